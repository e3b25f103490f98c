"""Getting out of everything held: which sales are wanted now, and why others are not possible."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from trading_core.model.journal import Decision
from trading_core.model.limits import Policy
from trading_core.model.order import (
    ApprovedOrder,
    IntentReason,
    OrderIntent,
    OrderRecord,
    OrderState,
    OrderType,
    Refusal,
    Side,
)
from trading_core.model.portfolio import Holding
from trading_core.model.price import Quote
from trading_core.ports import Broker, MarketData, OrderLock, Store
from trading_core.rules import risk
from trading_core.rules.blackout import blackout_words
from trading_core.rules.markets import lot_size
from trading_core.rules.pricing import limit_price
from trading_core.steps import execute
from trading_core.steps.desk import Verdict
from trading_core.steps.execute import Sent
from trading_core.steps.guard import is_usable
from trading_core.steps.reconcile import Books
from trading_core.steps.tick import TickPlan
from trading_core.steps.unfilled import not_sellable

REASON = IntentReason.REDUCE_ALL


@dataclass(frozen=True, slots=True)
class WayOut:
    """``plan`` holds the sales; ``stuck`` says by symbol why a holding cannot be sold now."""

    plan: TickPlan
    stuck: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sold:
    """``sent`` are the sales that went out; ``stuck`` says by symbol why a holding is not being
    sold."""

    sent: tuple[Sent, ...] = ()
    stuck: Mapping[str, str] = field(default_factory=dict)

    @property
    def accepted(self) -> int:
        """How many the broker took."""
        return sum(item.state is OrderState.ACCEPTED for item in self.sent)


async def sell_held(
    books: Books,
    broker: Broker,
    market_data: MarketData,
    store: Store,
    lock: OrderLock,
    policy: Policy,
    *,
    because: str,
    at: datetime,
    only: Collection[str] | None = None,
) -> Sold:
    """Send a sale of every holding that has none working, as any other order is sent.

    Args:
        only: Leave all other symbols alone.

    Raises:
        BrokerError: there are no prices.
        StoreBusy: the store or the order lock could not be had in time.
    """
    held = [
        holding.instrument
        for holding in books.account.holdings
        if holding.quantity > 0 and (only is None or holding.instrument.symbol in only)
    ]
    if not held:
        return Sold()
    quotes = await market_data.quotes(held, held=[instrument.symbol for instrument in held])
    with store.read() as reader:
        tried = reader.orders(books.group, books.session)
    out = way_out(books, quotes, tried, policy, because=because, at=at, only=only)
    execute.journal(store, out.plan)
    sent = await execute.send_all(broker, store, lock, books, out.plan)
    stuck = {o.intent.instrument.symbol: "was not sent" for o in out.plan.approved}
    for item in sent:
        symbol = item.order.intent.instrument.symbol
        stuck[symbol] = item.detail or item.state.value
        if item.state is OrderState.ACCEPTED:
            del stuck[symbol]
    return Sold(sent, {**stuck, **out.stuck})


def way_out(
    books: Books,
    quotes: Mapping[str, Quote],
    tried: Sequence[OrderRecord],
    policy: Policy,
    *,
    because: str,
    at: datetime,
    only: Collection[str] | None = None,
) -> WayOut:
    """A sale of every holding that has none working. Pure.

    Args:
        books: Store and broker in agreement at ``at``.
        quotes: By symbol; one that is missing, halted, too old or not above zero sells nothing.
        tried: All orders of the session, refused ones too: they number the tries of a symbol, so
            that a new try is a new order and the same one is the same.
        policy: How old a quote may be, and when no orders are taken.
        because: What these sales are for; recorded with each.
        at: Now, aware UTC.
        only: Leave all other symbols alone.
    """
    state = risk.RiskState(
        account=books.account,
        session_open_equity=books.session_open_equity,
        halts=books.halts,
        working=books.working,
        unknown=books.unknown,
        blackout=blackout_words(policy.blackouts, at),
    )
    verdicts: list[Verdict] = []
    stuck: dict[str, str] = {}
    for holding in sorted(books.account.holdings, key=lambda h: h.instrument.symbol):
        symbol = holding.instrument.symbol
        if holding.quantity <= 0 or (symbol, Side.SELL) in books.working:
            continue
        if only is not None and symbol not in only:
            continue
        quote = quotes.get(symbol)
        if quote is None or not is_usable(quote, policy.exits, at):
            stuck[symbol] = "no usable price"
            continue
        number = sum(_is_sale(record, symbol) for record in tried)
        verdict = _verdict(books, holding, quote, state, policy, f"{because}|{number}", at)
        verdicts.append(verdict)
        if isinstance(verdict.gate, ApprovedOrder):
            state = state.after(verdict.gate)
        elif verdict.gate is not None:
            stuck[symbol] = verdict.gate.detail
    return WayOut(TickPlan(at=at, verdicts=tuple(verdicts)), stuck)


def _is_sale(record: OrderRecord, symbol: str) -> bool:
    return (record.intent.instrument.symbol, record.intent.side) == (symbol, Side.SELL)


def _verdict(
    books: Books,
    holding: Holding,
    quote: Quote,
    state: risk.RiskState,
    policy: Policy,
    because: str,
    at: datetime,
) -> Verdict:
    """Decide, want and put before the risk gate, as every order of a tick."""
    instrument, session = holding.instrument, books.session
    key = f"{books.group}|{session}|{at.isoformat()}|{instrument.symbol}|{because}"
    decision = Decision(
        decision_id=hashlib.sha256(key.encode()).hexdigest()[:32],
        at=at,
        market=books.group.value,
        session=session,
        instrument=instrument,
        action=Side.SELL.value,
        confidence=100,
        rationale=because.rpartition("|")[0],
        scenario_id=REASON.value,
        context_snapshot={
            "cash": str(books.account.orderable),
            "equity": str(books.account.equity),
            "average_price": str(holding.average_price),
            "held": holding.quantity,
            "sellable": holding.sellable,
        },
        input_data={"price": float(quote.last)},
    )
    intent = OrderIntent(
        intent_id=OrderIntent.make_id(
            books.group, session, at, instrument.symbol, Side.SELL, decision.decision_id
        ),
        decision_id=decision.decision_id,
        instrument=instrument,
        session=session,
        side=Side.SELL,
        quantity=holding.sellable,
        order_type=OrderType.LIMIT,
        limit_price=limit_price(quote, Side.SELL, REASON, session),
        decided_price=quote.last,
        currency=books.account.currency,
        reason=REASON,
        created_at=at,
    )
    refused = not_sellable(books, holding)
    gate = (
        Refusal(intent, *refused, at)
        if refused is not None
        else risk.check(
            intent,
            state,
            policy.risk,
            confidence=100,
            lot=lot_size(instrument.market, Side.SELL),
            at=at,
        )
    )
    assert isinstance(gate, ApprovedOrder | Refusal), "the breaker never answers a sale"
    if isinstance(gate, ApprovedOrder):
        intent = gate.intent
    return Verdict(decision, intent, gate)
