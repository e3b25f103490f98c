"""How a session went: profit per currency, hit rates, what became of each decision.

Profit is measured twice, from what the broker says the account is worth and from our own fills;
:func:`session_pnl` gives the first, :func:`traded_pnl` the second, and the two must agree. Shares
nobody planned are part of the account's profit, but not of the strategy's wins and losses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from trading_core.model.journal import Decision, DecisionOutcome, EquityPoint, Json, Scorecard
from trading_core.model.market import Currency, MarketGroup
from trading_core.model.order import Fill, OrderRecord, OrderState, Side
from trading_core.model.portfolio import PositionOrigin
from trading_core.rules.position_book import EXACT, KrwPnl, krw_pnl, won_rate
from trading_core.rules.positions import ClosedTrade

TOP = 3


@dataclass(frozen=True, slots=True)
class Pnl:
    """Profit of one currency over a session. ``gross`` is before costs; ``net`` after."""

    gross: Decimal
    fees: Decimal
    taxes: Decimal

    @property
    def net(self) -> Decimal:
        return self.gross - self.fees - self.taxes


def session_pnl(curve: Sequence[EquityPoint], fills: Sequence[Fill]) -> dict[Currency, Pnl]:
    """Equity now less equity at the session's start, with the session's costs added back.

    Args:
        curve: The session's equity points, oldest first, of any currencies.
        fills: The session's fills.
    """
    result: dict[Currency, Pnl] = {}
    for currency in dict.fromkeys(point.currency for point in curve):
        points = [point for point in curve if point.currency is currency]
        fees = sum((f.fee for f in fills if f.currency is currency), Decimal(0))
        taxes = sum((f.tax for f in fills if f.currency is currency), Decimal(0))
        change = points[-1].equity - points[0].equity
        result[currency] = Pnl(change + fees + taxes, fees, taxes)
    return result


def session_krw(curve: Sequence[EquityPoint]) -> dict[Currency, KrwPnl]:
    """The session's net profit in won, by where it comes from; only of currencies whose rate was
    known at both ends of ``curve`` (the session's equity points, oldest first).

    What the equity of the start gained or lost by the change of the rate is the currency's.
    """
    result: dict[Currency, KrwPnl] = {}
    for currency in dict.fromkeys(point.currency for point in curve):
        points = [point for point in curve if point.currency is currency]
        first, last = points[0], points[-1]
        before = won_rate(currency, first.krw_rate)
        split = krw_pnl(
            received=last.equity,
            paid=first.equity,
            paid_krw=None if before is None else EXACT.multiply(first.equity, before),
            rate=won_rate(currency, last.krw_rate),
        )
        if split is not None:
            result[currency] = split
    return result


def traded_pnl(
    fills: Sequence[Fill],
    *,
    held_at_start: Mapping[str, Decimal],
    held_now: Mapping[str, Decimal],
) -> Decimal:
    """Gross profit of one currency's session from our own fills alone.

    What was sold less what was bought, plus the value of the holdings now, less their value at
    the start; both maps give the value per symbol in the currency. This must equal the ``gross``
    of :func:`session_pnl`, which is read from the broker's account.
    """
    moved = sum(
        (fill.amount if fill.side is Side.SELL else -fill.amount for fill in fills), Decimal(0)
    )
    return moved + sum(held_now.values(), Decimal(0)) - sum(held_at_start.values(), Decimal(0))


def outcomes(
    closed: Sequence[ClosedTrade],
    orders: Sequence[OrderRecord],
    at: datetime,
) -> list[DecisionOutcome]:
    """The outcome of every decision whose order closed shares, and of the entries they came from.

    ``outcome_pnl`` is after costs, in the market's currency; accuracy is 1 for a profit, else 0.
    No entry of ours answers for adopted shares.

    Args:
        closed: The trades to judge.
        orders: All that may have led to them, in order of creation.
        at: Now, aware UTC.
    """
    decision_of = {r.intent.intent_id: r.intent.decision_id for r in orders}
    totals: dict[str, Decimal] = {}
    for trade in closed:
        touched = {decision_of.get(trade.intent_id, ""), entry_of(trade, orders)}
        for decision_id in touched - {""}:
            totals[decision_id] = totals.get(decision_id, Decimal(0)) + trade.net
    return [
        DecisionOutcome(decision_id, pnl, 1.0 if pnl > 0 else 0.0, at)
        for decision_id, pnl in sorted(totals.items())
    ]


def entry_of(trade: ClosedTrade, orders: Sequence[OrderRecord]) -> str:
    """The decision of the last entry before the trade was closed; empty for adopted shares."""
    if trade.origin is not PositionOrigin.STRATEGY:
        return ""
    entries = [
        record.intent.decision_id
        for record in orders
        if record.intent.side is Side.BUY
        and record.filled_quantity
        and record.intent.instrument == trade.instrument
        and record.intent.created_at <= trade.closed_at
    ]
    return entries[-1] if entries else ""


def score(
    *,
    group: MarketGroup,
    session: date,
    at: datetime,
    decisions: Sequence[Decision],
    orders: Sequence[OrderRecord],
    closed: Sequence[ClosedTrade],
    pnl: Mapping[Currency, Pnl],
    match_rate_pct: float | None,
    source: str,
) -> Scorecard:
    """Score one session of one market group.

    Args:
        decisions: All of the session.
        orders: All of the session, refused ones too.
        closed: Trades closed in the session; those of adopted shares are left out of the score.
        pnl: Per currency, from :func:`session_pnl`.
        match_rate_pct: Share of observations that met a scenario; None without observations.
        source: Who wrote the playbook.
    """
    actions = Counter(decision.action for decision in decisions)
    confidences = [d.confidence for d in decisions if d.action == Side.BUY.value]
    closed = [trade for trade in closed if trade.origin is PositionOrigin.STRATEGY]
    wins = sum(trade.net > 0 for trade in closed)
    losses = sum(trade.net < 0 for trade in closed)
    ranked = sorted(closed, key=lambda trade: (trade.net, trade.instrument.symbol))
    states = Counter(record.state for record in orders)
    return Scorecard(
        market=group.value,
        session=session,
        at=at,
        decisions=len(decisions),
        buys=actions["BUY"],
        sells=actions["SELL"],
        holds=actions["HOLD"],
        orders=len(orders) - states[OrderState.REFUSED],
        filled_orders=sum(record.filled_quantity > 0 for record in orders),
        refused=states[OrderState.REFUSED],
        gross_pnl={c.value: p.gross for c, p in pnl.items()},
        fees={c.value: p.fees for c, p in pnl.items()},
        taxes={c.value: p.taxes for c, p in pnl.items()},
        net_pnl={c.value: p.net for c, p in pnl.items()},
        wins=wins,
        losses=losses,
        win_rate_pct=wins / (wins + losses) * 100 if wins + losses else None,
        average_confidence=sum(confidences) / len(confidences) if confidences else None,
        match_rate_pct=match_rate_pct,
        best=[_brief(trade) for trade in reversed(ranked[-TOP:]) if trade.net > 0],
        worst=[_brief(trade) for trade in ranked[:TOP] if trade.net < 0],
        lessons=_lessons(closed, orders, wins, losses),
        playbook_source=source,
    )


def _brief(trade: ClosedTrade) -> Json:
    return {
        "symbol": trade.instrument.symbol,
        "quantity": trade.quantity,
        "net": str(trade.net),
        "currency": trade.currency.value,
    }


def _lessons(
    closed: Sequence[ClosedTrade], orders: Sequence[OrderRecord], wins: int, losses: int
) -> list[str]:
    """Plain findings from the session's own numbers; no model is asked."""
    lessons: list[str] = []
    reasons = Counter(r.intent.reason.value for r in orders if r.filled_quantity)
    if reasons["hard_stop"] > reasons["take_profit"]:
        lessons.append(
            f"{_count(reasons['hard_stop'], 'stop')} against "
            f"{_count(reasons['take_profit'], 'target')}: entries were early or stops too tight"
        )
    if losses > wins:
        lessons.append(f"{losses} of {wins + losses} closed trades lost after costs")
    costs = sum((trade.exit_costs + trade.entry_costs for trade in closed), Decimal(0))
    gross = sum((abs(trade.gross) for trade in closed), Decimal(0))
    if gross and costs / gross > Decimal("0.3"):
        lessons.append(f"costs were {costs / gross * 100:.0f} % of what the trades moved")
    unfilled = sum(
        r.intent.reason.is_entry and r.state.is_final and not r.filled_quantity
        for r in orders
        if r.state is not OrderState.REFUSED
    )
    if unfilled:
        lessons.append(f"{_count(unfilled, 'entry', 'entries')} never filled")
    return lessons[:TOP]


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
