"""The tables of what stops trading: halts, kill switches, paused deployments."""

from __future__ import annotations

from typing import Any

from trading_core.adapters.duck.codecs import (
    DATE,
    DECIMAL,
    INTEGER,
    JSON,
    TEXT,
    TIME,
    enum_of,
)
from trading_core.adapters.duck.tables import table
from trading_core.model.journal import (
    DeploymentSwitch,
    Halt,
    HaltKind,
    HaltLevel,
    KillRow,
    KillStep,
    StepOutcome,
    SwitchAction,
)


def _switch(values: dict[str, Any]) -> DeploymentSwitch:
    return DeploymentSwitch(**(values | {"halts": tuple(values["halts"])}))


HALTS = table(
    "halts",
    Halt,
    {
        "halt_id": TEXT,
        "kind": enum_of(HaltKind),
        "scope": TEXT,
        "reason": TEXT,
        "raised_at": TIME,
        "lifted_at": TIME,
        "lifted_by": TEXT,
        "level": enum_of(HaltLevel),
        "accepted_pnl_pct": DECIMAL,
        "accepted_on": DATE,
    },
    "halt_id",
)

KILL_ROWS = table(
    "kill_steps",
    KillRow,
    {
        "kill_id": TEXT,
        "step": enum_of(KillStep),
        "market": TEXT,
        "attempt": INTEGER,
        "outcome": enum_of(StepOutcome),
        "detail": TEXT,
        "ended_at": (TIME, "at"),
    },
    "kill_id step market attempt",
    numbered=True,
)

DEPLOYMENT_SWITCHES = table(
    "deployment_switches",
    DeploymentSwitch,
    {
        "deployment_id": TEXT,
        "name": TEXT,
        "action": enum_of(SwitchAction),
        "switched_at": (TIME, "at"),
        "halts": JSON,
    },
    "deployment_id action switched_at",
    numbered=True,
    build=_switch,
)

HALT_TABLES: tuple[str, ...] = (
    "ALTER TABLE halts ADD COLUMN level TEXT DEFAULT 'reducing'",
    "ALTER TABLE halts ADD COLUMN accepted_pnl_pct DECIMAL(38, 10)",
    "ALTER TABLE halts ADD COLUMN accepted_on DATE",
    """
    CREATE TABLE kill_steps (
        id BIGINT NOT NULL,
        kill_id TEXT NOT NULL,
        step TEXT NOT NULL,
        market TEXT NOT NULL,
        attempt BIGINT NOT NULL,
        outcome TEXT NOT NULL,
        detail TEXT NOT NULL,
        ended_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (kill_id, step, market, attempt)
    )""",
    """
    CREATE TABLE deployment_switches (
        id BIGINT NOT NULL,
        deployment_id TEXT NOT NULL,
        name TEXT NOT NULL,
        action TEXT NOT NULL,
        switched_at TIMESTAMPTZ NOT NULL,
        halts JSON NOT NULL,
        PRIMARY KEY (deployment_id, action, switched_at)
    )""",
)
"""Frozen, as all schema statements are: a change is a new migration."""
