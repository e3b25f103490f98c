"""The session that is on, or was the newest: where the market stands, the money, what is held,
what works and what was decided last."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from trading_core.errors import DataError
from trading_core.model.audit import DecisionFilter, LoggedDecision
from trading_core.model.board import TradeHistory
from trading_core.model.decision import DecisionCycle
from trading_core.model.journal import EquityPoint, Halt
from trading_core.model.limits import ExitPolicy, Policy
from trading_core.model.market import MarketGroup
from trading_core.model.order import Fill, OrderRecord
from trading_core.model.playbook import Playbook
from trading_core.model.portfolio import Position, Protection
from trading_core.ports import StoreReader
from trading_core.rules.calendar import local_date as date_at
from trading_core.rules.calendar import next_session, phase_at, session_on
from trading_core.rules.exits import stop_level, target_level
from trading_core.rules.exits_view import ExitView, break_even_price, unrealized_pct
from trading_core.rules.markets import currency_of
from trading_core.rules.positions import fold_positions
from trading_core.rules.risk import day_pnl_pct
from trading_core.rules.scorecard import session_pnl
from trading_core.rules.trading_state import (
    accepted_pnl_pct,
    breaker_floor_pct,
    halts_for,
    trading_state,
)
from trading_core.steps import operate
from trading_core.steps.summary import count_orders

Json = dict[str, Any]
LAST_DECISIONS = 10


def hours(group: MarketGroup, at: datetime) -> Json:
    """Where the exchange's day stands at ``at`` and what comes next (aware times).

    ``turns`` is ``close`` while a session is on, else ``open``; ``turns_at`` is None where the
    calendar ends.
    """
    today = date_at(group, at)
    session = session_on(group, today)
    is_on = session is not None and session.open_at <= at < session.close_at
    return {
        "phase": phase_at(group, at).value,
        "today": today,
        "is_session": session is not None,
        "opens_at": session.open_at if session else None,
        "closes_at": session.close_at if session else None,
        "turns": "close" if is_on else "open",
        "turns_at": session.close_at if session and is_on else _next_open(group, at),
    }


def _next_open(group: MarketGroup, at: datetime) -> datetime | None:
    today = date_at(group, at)
    session = session_on(group, today)
    if session is not None and session.open_at > at:
        return session.open_at
    try:
        return next_session(group, today).open_at
    except DataError:
        return None


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What is read of the newest session; what it means is worked out after the store is let go.

    ``orders`` are those of the session and any other that still works.
    """

    group: MarketGroup
    session: date
    curve: Sequence[EquityPoint]
    halts: Sequence[Halt]
    orders: Sequence[OrderRecord]
    fills: Sequence[Fill]
    ticks: int
    playbook: Playbook | None
    is_reviewed: bool
    held: Callable[[], TradeHistory]
    guards: Mapping[str, Protection]
    prices: Mapping[str, float]
    log: Sequence[LoggedDecision]
    cycles: Sequence[DecisionCycle]
    differences: int


def read(reader: StoreReader, group: MarketGroup) -> SessionFacts | None:
    """The newest session of a market; None before there was one."""
    session = reader.newest_session(group)
    if session is None:
        return None
    held = reader.held_symbols(group)
    log = DecisionFilter(market=group.value, since=session, until=session, limit=LAST_DECISIONS)
    return SessionFacts(
        group=group,
        session=session,
        curve=reader.equity_curve(group, session),
        halts=reader.halts(),
        orders=reader.live_orders(group, session),
        fills=reader.fills(group, session),
        ticks=reader.counts(group, session)["ticks"],
        playbook=reader.playbook(group, session),
        is_reviewed=reader.scorecard(group, session) is not None,
        held=reader.trade_history(group, held),
        guards=reader.protections(group, held),
        prices=reader.last_prices(group, session),
        log=reader.decision_log(log),
        cycles=reader.decision_cycles(group, session),
        differences=len(reader.differences(group, session)),
    )


def day(facts: SessionFacts, policy: Policy) -> Json:
    """The session in plain values, as the page shows it."""
    own = [record for record in facts.orders if record.intent.session == facts.session]
    book = _playbook(facts.playbook)
    return {
        "market": facts.group.value,
        "session": facts.session,
        "currency": currency_of(facts.group).value,
        "ticks": facts.ticks,
        "seen_at": facts.curve[-1].at if facts.curve else None,
        "playbook": book | {"is_reviewed": facts.is_reviewed, "is_active": facts.ticks > 0},
        "money": _money(facts, policy),
        "positions": positions(facts, policy.exits),
        "orders": count_orders(own),
        "working": [_working(record) for record in facts.orders if record.state.is_working],
        "decisions": [_decision(row) for row in facts.log],
        "realtime": _realtime(facts.cycles),
        "differences": facts.differences,
        **_standing(facts.halts, facts.group),
    }


def _playbook(playbook: Playbook | None) -> Json:
    if playbook is None:
        return {"source": None}
    return {
        "source": playbook.source.value,
        "outlook": playbook.outlook.value,
        "model": playbook.model,
        "stocks": len(playbook.stocks),
        "scenarios": playbook.scenario_count,
        "removed": sum(note.kind in ("dropped", "reviewed") for note in playbook.notes),
        "generated_at": playbook.generated_at,
        "refreshed_for": playbook.refreshed_for.value if playbook.refreshed_for else "",
        "fallback_reason": playbook.fallback_reason,
    }


def _money(facts: SessionFacts, policy: Policy) -> list[Json]:
    """One entry per currency that the account showed in the session."""
    found = []
    for currency, pnl in session_pnl(facts.curve, facts.fills).items():
        points = [point for point in facts.curve if point.currency is currency]
        first, last = points[0].equity, points[-1].equity
        accepted = accepted_pnl_pct(facts.halts, currency=currency.value, session=facts.session)
        floor = breaker_floor_pct(policy.risk, accepted)
        found.append(
            {
                "currency": currency.value,
                "start": first,
                "now": last,
                "cash": points[-1].cash,
                "holdings": points[-1].holdings_value,
                "gross": pnl.gross,
                "costs": pnl.fees + pnl.taxes,
                "net": pnl.net,
                "pct": day_pnl_pct(first, last),
                "lowest_pct": day_pnl_pct(first, min(point.equity for point in points)),
                "floor_pct": floor,
                "floor": first * (1 + floor / 100),
                "accepted_pct": accepted,
                "curve": [(point.at, point.equity) for point in points],
            }
        )
    return found


def _standing(halts: Sequence[Halt], group: MarketGroup) -> Json:
    currency = currency_of(group)
    standing = halts_for(halts, group=group, currency=currency)
    return {
        "trading": trading_state(standing, group=group, currency=currency).value,
        "halts": [
            {
                "kind": halt.kind.value,
                "scope": halt.scope,
                "reason": halt.reason,
                "raised_at": halt.raised_at,
                "lift_with": operate.resume_command(halt),
            }
            for halt in standing
        ],
    }


def _working(record: OrderRecord) -> Json:
    wish = record.intent
    return {
        "at": wish.created_at,
        "symbol": wish.instrument.symbol,
        "name": wish.instrument.name,
        "side": wish.side.value,
        "quantity": wish.quantity,
        "filled": record.filled_quantity,
        "limit_price": wish.limit_price,
        "currency": wish.currency.value,
        "reason": wish.reason.value,
        "state": record.state.value,
        "session": wish.session,
        "order_no": record.order_no,
    }


def _decision(row: LoggedDecision) -> Json:
    return {
        "at": row.decision.at,
        "symbol": row.decision.instrument.symbol,
        "name": row.decision.instrument.name,
        "action": row.decision.action,
        "confidence": row.decision.confidence,
        "rationale": row.decision.rationale,
        "decision_id": row.decision.decision_id,
    }


def _realtime(cycles: Sequence[DecisionCycle]) -> Json | None:
    if not cycles:
        return None
    last = cycles[-1]
    return {
        "cycles": len(cycles),
        "at": last.at,
        "decided_by": last.decided_by.value,
        "reason": last.reason,
    }


# --- What is held --------------------------------------------------------------------------------


def positions(facts: SessionFacts, policy: ExitPolicy) -> list[Json]:
    """Open positions at the last observed prices, with the stop that guards each.

    ``to_stop_pct`` is how far the price may fall before it is sold, in percent of the price; None
    without a price or a guard.
    """
    held = facts.held()
    return [
        _position(
            line,
            facts.prices,
            facts.guards.get(line.instrument.symbol),
            facts.session,
            policy,
        )
        for line in fold_positions(held.fills, held.lots, held.splits).open_positions
    ]


def _position(
    line: Position,
    prices: Mapping[str, float],
    guard: Protection | None,
    session: date,
    policy: ExitPolicy,
) -> Json:
    symbol = line.instrument.symbol
    last = Decimal(str(prices[symbol])) if symbol in prices else None
    stop, target = levels(line, guard, session, policy)
    gain = None if last is None else (last - line.average_price) * line.quantity
    return {
        "symbol": symbol,
        "name": line.instrument.name,
        "quantity": line.quantity,
        "average_price": line.average_price,
        "last_price": last,
        "currency": line.currency.value,
        "value": None if last is None else last * line.quantity,
        "unrealized": gain,
        "unrealized_pct": None if last is None else unrealized_pct(line.average_price, last),
        "stop": stop,
        "target": target,
        "to_stop_pct": None
        if last is None or stop is None or last <= 0
        else float((last - stop) / last * 100),
        "guard": guard.state.value if guard else None,
        "opened_on": line.opened_on,
        "origin": line.origin.value,
    }


def levels(
    line: Position, guard: Protection | None, session: date, policy: ExitPolicy
) -> tuple[Decimal | None, Decimal | None]:
    """The prices at which a position would be sold now: at a loss, and at its target."""
    if guard is None:
        return None, None
    view = ExitView(
        average_price=line.average_price,
        last=line.average_price,
        at=guard.updated_at,
        break_even=break_even_price(
            line.instrument.market,
            line.average_price,
            line.quantity,
            bought_on=line.opened_on,
            on=session,
            etf=line.instrument.is_fund,
        ),
    )
    stop = stop_level(guard, view, policy)
    target = target_level(guard, view, policy)
    return (None if stop.is_nan() else stop), target
