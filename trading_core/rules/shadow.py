"""What a shadow planner would have traded and earned. Pure.

A shadow's order trades whole and at once, at the best price of the other side of the book, or it
does not trade. Sizes at the best price are not looked at, so a large order is filled too well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal

from trading_core.model.journal import Decision, EquityPoint, Json
from trading_core.model.limits import RiskLimits
from trading_core.model.order import OrderIntent, Side
from trading_core.model.portfolio import PositionOrigin
from trading_core.model.price import OrderBook, Quote
from trading_core.model.shadow import ShadowMark, ShadowPlan, ShadowTrade
from trading_core.rules import risk
from trading_core.rules.costs import trade_costs
from trading_core.rules.positions import PositionBook
from trading_core.rules.pricing import executable_price
from trading_core.rules.trading_state import breaker_floor_pct

REAL = "real"
"""How the planner that trades is called in a comparison."""
_ZERO = Decimal(0)


def virtual_trade(
    planner: str,
    intent: OrderIntent,
    decision: Decision,
    quote: Quote,
    book: OrderBook | None,
    *,
    krw_rate: Decimal | None = None,
) -> ShadowTrade | None:
    """The trade of an order that passed the risk gate; None when it would not have traded now.

    A purchase pays no more than its limit. A sale has no such bound, as a real one is sent again
    until it is out. Nothing trades against a book that is empty on the other side.

    Args:
        planner: The shadow's name.
        intent: The order.
        decision: What it was decided on.
        quote: A usable quote of the same moment.
        book: The broker's order book; None when it gave none, and then the last price and one
            increment is the price.
        krw_rate: Won for one unit of the order's currency.
    """
    is_buy = intent.side is Side.BUY
    if book is not None and not (book.asks if is_buy else book.bids):
        return None
    price = executable_price(quote, intent.side, book, intent.session)
    if is_buy and intent.limit_price is not None and price > intent.limit_price:
        return None
    costs = trade_costs(
        intent.instrument.market,
        intent.side,
        intent.quantity * price,
        intent.session,
        quantity=intent.quantity,
        etf=intent.instrument.is_fund,
    )
    plan = decision.context_snapshot
    return ShadowTrade(
        planner=planner,
        intent_id=intent.intent_id,
        decision_id=decision.decision_id,
        playbook_id=decision.playbook_id,
        scenario_id=decision.scenario_id,
        instrument=intent.instrument,
        session=intent.session,
        at=intent.created_at,
        side=intent.side,
        quantity=intent.quantity,
        price=price,
        fee=costs.fee,
        tax=costs.tax,
        currency=intent.currency,
        decided_price=intent.decided_price,
        limit_price=intent.limit_price,
        reason=intent.reason,
        confidence=decision.confidence,
        stop_loss_pct=plan.get("stop_loss_pct"),
        take_profit_pct=plan.get("take_profit_pct"),
        krw_rate=krw_rate,
    )


def cash_after(mark: ShadowMark, trades: Sequence[ShadowTrade]) -> Decimal:
    """Cash now: that of the newest mark, and what was traded at its moment or later."""
    later = (trade.cash_moved for trade in trades if trade.at >= mark.at)
    return sum(later, mark.point.cash)


def lost_too_much(curve: Sequence[EquityPoint], limits: RiskLimits) -> str:
    """Why a shadow makes no more entries in a session; empty while it may.

    The day's loss limit of the real planner, measured from the first point of ``curve`` (the
    session's, oldest first) at every later one. Nobody lifts it: it ends with the session.
    """
    if not curve:
        return ""
    pnl = risk.day_pnl_pct(curve[0].equity, min(point.equity for point in curve))
    if pnl is None or pnl >= breaker_floor_pct(limits, None):
        return ""
    return f"day P&L was {pnl:.2f} %, below -{limits.max_loss_pct} %"


@dataclass(frozen=True, slots=True)
class PlannerScore:
    """One planner over one session; money in the market's currency, percentages 0-100.

    ``net`` is the profit after costs since the end of the session before (since the first look
    where there is none), what is held included; None when nothing is known. ``trades`` are orders
    that traded. ``won`` and ``lost`` count closed trades after the costs of both ends.
    ``match_rate_pct`` is the share of observations that met a scenario. ``cost_usd`` are the
    model calls of its plan; None for the real planner, whose calls ``costs`` shows.
    """

    planner: str
    source: str
    net: Decimal | None
    costs: Decimal = _ZERO
    trades: int = 0
    won: int = 0
    lost: int = 0
    match_rate_pct: float | None = None
    equity: Decimal | None = None
    positions: int = 0
    cost_usd: Decimal | None = None
    problem: str = ""

    @property
    def win_rate_pct(self) -> float | None:
        closed = self.won + self.lost
        return self.won / closed * 100 if closed else None

    def as_json(self) -> Json:
        """Plain values; money as text."""
        values = asdict(self) | {"win_rate_pct": self.win_rate_pct}
        return {
            name: f"{value:f}" if isinstance(value, Decimal) else value
            for name, value in values.items()
        }


def score_shadow(
    planner: str,
    session: date,
    *,
    plan: ShadowPlan | None,
    trades: Sequence[ShadowTrade],
    book: PositionBook,
    marks: Sequence[ShadowMark],
    before: ShadowMark | None,
) -> PlannerScore:
    """How a shadow did in a session.

    Args:
        planner: Its name.
        session: Which session.
        plan: Its plan of the session; None when it has none.
        trades: All it ever made up to the end of the session.
        book: The position book of these.
        marks: What it was worth in the session, oldest first.
        before: Its last mark of an earlier session, if there is one.
    """
    today = [trade for trade in trades if trade.session == session]
    closed = [t.net for t in book.closed if t.session == session]
    observed = sum(mark.observed for mark in marks)
    matched = sum(mark.matched for mark in marks)
    # Before its first trade a shadow's cash is the account's of the day, and no profit.
    has_traded = any(trade.session < session for trade in trades)
    base = before if has_traded and before is not None else next(iter(marks), None)
    end = marks[-1] if marks else None
    return PlannerScore(
        planner=planner,
        source=plan.playbook.source.value if plan else "none",
        net=end.point.equity - base.point.equity if end and base else None,
        costs=sum((trade.fee + trade.tax for trade in today), _ZERO),
        trades=len(today),
        won=sum(net > 0 for net in closed),
        lost=sum(net < 0 for net in closed),
        match_rate_pct=matched / observed * 100 if observed else None,
        equity=end.point.equity if end else None,
        positions=sum(p.origin is PositionOrigin.STRATEGY for p in book.open_positions),
        cost_usd=plan.cost_usd if plan else _ZERO,
        problem=plan.problem if plan else "it has no plan for this session",
    )
