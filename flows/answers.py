"""What the read-only commands answer, as plain JSON values."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from trading_core.clock import SystemClock
from trading_core.errors import ConfigError
from trading_core.model.journal import HaltLevel
from trading_core.model.market import Currency, MarketGroup
from trading_core.ports import Store
from trading_core.rules.trading_state import ALL
from trading_core.steps import operate
from trading_core.steps.summary import plain
from trading_core.wiring import configure, open_store

Json = dict[str, Any]


def why(symbol: str, market: str | None, session: date | None) -> Json:
    """The funnel of one symbol; the market is guessed from the symbol's shape when left out.

    Raises:
        ConfigError: nothing is known of the symbol.
    """
    settings = configure()
    store = open_store(settings)
    groups = [MarketGroup.parse(market)] if market else list(settings.enabled_markets)
    for group in groups:
        with store.read() as reader:
            day = session or reader.newest_session(group)
        if day is None:
            continue
        found = operate.why(store, group=group, session=day, symbol=symbol.upper())
        if found.observations or found.decisions or found.orders:
            return {"market": group.value, **plain(asdict(found))}
    where = ", ".join(group.value for group in groups)
    when = f" on {session}" if session else ""
    raise ConfigError(f"nothing is known of {symbol} in {where}{when}: it was not observed")


def halt(scope: str, reason: str, *, everything: bool = False) -> Json:
    """Raise an operator halt; with ``everything`` exits are stopped too."""
    store, at = open_store(), SystemClock().now()
    level = HaltLevel.HALTED if everything else HaltLevel.REDUCING
    raised = operate.halt(store, scope=_scope(scope), reason=reason, at=at, level=level)
    return {"raised": [plain(asdict(raised))], "lifted": [], **_deployments(store, at)}


def resume(scope: str, reason: str) -> Json:
    """Lift halts."""
    store, at = open_store(), SystemClock().now()
    lifted = operate.resume(store, scope=_scope(scope), by=reason, at=at)
    answer: Json = {"raised": [], "lifted": [plain(asdict(item)) for item in lifted]}
    return {**answer, **_deployments(store, at)}


def kill(scope: str, reason: str, *, reduce: bool) -> Json:
    """Throw the kill switch; ``failed`` holds the steps that did not succeed."""
    from tasks.kill import throw_switch

    wanted, at = scope.strip().upper(), SystemClock().now()
    report = asyncio.run(throw_switch(scope=wanted, reason=reason, reduce=reduce, at=at))
    return {
        "scope": report.scope,
        "reduce": report.reduce,
        "kill_id": report.kill_id,
        "steps": [plain(asdict(row)) for row in report.rows],
        "failed": [row.label for row in report.failed],
        "line": report.line(),
        "lift_with": f"ouroboros resume {wanted}",
    }


def _deployments(store: Store, at: datetime) -> Json:
    """Let the deployments follow the halts that are stored by now."""
    from tasks.deployments import follow_halts

    return plain(asdict(asyncio.run(follow_halts(store, at))))


def settle(intent_id: str, order_no: str, reason: str) -> Json:
    """Settle an order of unknown fate by hand; ``NONE`` says that the broker never had it.

    Raises:
        ConfigError: there is no such order, or the number is another order's.
    """
    number = "" if order_no.strip().upper() == "NONE" else order_no.strip()
    record = operate.settle(
        open_store(), intent_id=intent_id, order_no=number, by=reason, at=SystemClock().now()
    )
    return {"order": plain(asdict(record))}


def _scope(text: str) -> str:
    wanted = text.strip().upper()
    if wanted == ALL or wanted in set(Currency):
        return wanted
    return MarketGroup.parse(wanted).value
