"""How the parts of the system are: the newest sign of life of each, halts, backups, messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from trading_core.model.market import MarketGroup
from trading_core.ports import StoreReader
from trading_core.rules.trading_state import paused_deployments
from trading_core.steps import operate

Json = dict[str, Any]
LOOK_BACK = timedelta(days=30)
_SHOWN = 50


def operations(reader: StoreReader, groups: Sequence[MarketGroup], at: datetime) -> Json:
    """Everything the store knows of the running of the system, newest first.

    ``signs`` are the parts with the time of their newest sign of life, None when there never was
    one; what is too old is for the page to say, because markets are shut most of the time.
    """
    since = at - LOOK_BACK
    halts = sorted(reader.halts(), key=lambda halt: halt.raised_at, reverse=True)
    return {
        "halts": [
            asdict(halt) | {"lift_with": None if halt.lifted_at else operate.resume_command(halt)}
            for halt in halts[:_SHOWN]
        ],
        "paused": [switch.name for switch in paused_deployments(reader.deployment_switches())],
        "kills": [asdict(row) for row in reversed(reader.kill_rows()[-_SHOWN:])],
        "backups": [asdict(backup) for backup in reader.backups()[:_SHOWN]],
        "checks": [asdict(check) for check in reader.backup_checks(_SHOWN)],
        "uploads": [asdict(upload) for upload in reader.backup_uploads(_SHOWN)],
        "restores": [asdict(restore) for restore in reader.restores()[:_SHOWN]],
        "messages": _messages(reader),
        "commands": [asdict(row) for row in reader.operator_commands(since=since)[-_SHOWN:]],
        "signs": [
            *(sign for group in groups for sign in _of_market(reader, group)),
            *_of_sources(reader, since),
            _of_model(reader, since),
        ],
    }


def _messages(reader: StoreReader) -> list[Json]:
    """The newest messages to people; ``sends`` says what became of each on each channel, and is
    empty while it waits."""
    notes = reader.notifications(_SHOWN)
    sends: dict[str, list[Json]] = {}
    for row in reader.sends([note.notification_id for note in notes]):
        sends.setdefault(row.notification_id, []).append(asdict(row))
    return [asdict(note) | {"sends": sends.get(note.notification_id, [])} for note in notes]


def _of_market(reader: StoreReader, group: MarketGroup) -> list[Json]:
    day = reader.newest_session(group)
    if day is None:
        return [_sign("ticks", group, None), _sign("plan", group, None)]
    curve = reader.equity_curve(group, day)
    playbook = reader.playbook(group, day)
    cards = reader.scorecards(group, limit=1)
    return [
        _sign("plan", group, playbook.generated_at if playbook else None),
        _sign("ticks", group, curve[-1].at if curve else None),
        _sign("review", group, cards[0].at if cards else None),
    ]


def _of_sources(reader: StoreReader, since: datetime) -> list[Json]:
    newest = {f"{ask.kind.value} {ask.source}": ask for ask in reader.source_asks(since=since)}
    return [
        _sign("source", name, ask.at, problem=ask.problem) for name, ask in sorted(newest.items())
    ]


def _of_model(reader: StoreReader, since: datetime) -> Json:
    calls = reader.llm_calls(since=since)
    if not calls:
        return _sign("model", "", None)
    last = calls[-1]
    problem = "" if last.outcome in ("ok", "reused") else f"{last.outcome}: {last.detail}"
    return _sign("model", last.model, last.at, problem=problem)


def _sign(part: str, of: str, at: datetime | None, *, problem: str = "") -> Json:
    return {"part": part, "of": str(of), "at": at, "problem": problem}
