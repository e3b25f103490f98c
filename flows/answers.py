"""What the read-only commands answer, as plain JSON values."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from trading_core.clock import SystemClock
from trading_core.errors import ConfigError
from trading_core.model.audit import DecisionFilter
from trading_core.model.journal import HaltLevel
from trading_core.model.market import Currency, MarketGroup
from trading_core.ports import Store
from trading_core.rules.calendar import local_date
from trading_core.rules.markets import zone_of
from trading_core.rules.trading_state import ALL
from trading_core.steps import decision_log, operate
from trading_core.steps import why as funnel
from trading_core.steps.summary import plain
from trading_core.wiring import configure, open_store, policy_of

Json = dict[str, Any]


def why(symbol: str, market: str | None, session: date | None, at: str | None = None) -> Json:
    """The funnel of one symbol; every enabled market is looked through when none is named.

    Args:
        at: ``10:35`` in the exchange's time, or an ISO 8601 time; the last tick when left out.

    Raises:
        ConfigError: nothing is known of the symbol, or ``at`` is not a time.
    """
    settings = configure()
    store, policy = open_store(settings), policy_of(settings)
    groups = [MarketGroup.parse(market)] if market else list(settings.enabled_markets)
    wanted = symbol.strip().upper()
    for group in groups:
        moment = None if at is None else _moment(at, group, session)
        day = session
        if day is None and moment is not None and "T" in (at or ""):
            day = local_date(group, moment)
        if day is None:
            with store.read() as reader:
                day = reader.newest_session(group)
        if day is None:
            continue
        if at is not None and moment is None:
            moment = _moment(at, group, day)
        try:
            found = funnel.why(
                store, group=group, session=day, symbol=wanted, policy=policy, at=moment
            )
        except ConfigError:
            continue
        answer: Json = plain(asdict(found))
        return answer
    where = ", ".join(group.value for group in groups)
    when = f" on {session}" if session else ""
    raise ConfigError(
        f"nothing is known of {wanted} in {where}{when}: it was not scanned, planned or observed"
    )


def _moment(text: str, group: MarketGroup, session: date | None) -> datetime | None:
    """The time meant; None for a time of day while its session is not known yet."""
    zone = ZoneInfo(zone_of(group))
    try:
        if ":" in text and "-" not in text.split("+")[0]:
            clock = time.fromisoformat(text)
            return None if session is None else datetime.combine(session, clock, tzinfo=zone)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--at {text}: not a time; write 10:35 or 2025-09-10T10:35") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def decisions(
    market: str | None,
    session: date | None,
    symbol: str | None,
    action: str | None,
    *,
    unreviewed: bool,
    limit: int,
) -> Json:
    """The newest decisions with their outcomes and remarks."""
    wanted = DecisionFilter(
        market=MarketGroup.parse(market).value if market else "",
        since=session,
        until=session,
        symbol=(symbol or "").strip().upper(),
        action=(action or "").strip().upper(),
        unreviewed=unreviewed,
        limit=limit,
    )
    found = decision_log.decision_log(open_store(), wanted)
    return {"decisions": [plain(asdict(item)) for item in found], "limit": limit}


def review_decision(name: str, note: str, by: str) -> Json:
    """Leave a remark on one decision.

    Raises:
        ConfigError: no decision, or more than one, begins with ``name``; or the remark is empty.
    """
    at = SystemClock().now()
    logged = decision_log.review(open_store(), name=name, note=note, by=by, at=at)
    return {"reviewed": plain(asdict(logged))}


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

    followed: Json = plain(asdict(asyncio.run(follow_halts(store, at))))
    return followed


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
