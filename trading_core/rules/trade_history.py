"""What was sent and traded so far, as far as the guards of the risk gate ask.

Made from stored orders, fills and closed trades, so a restart forgets nothing; once per tick.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal

from trading_core.model.limits import LONGEST_PAUSE
from trading_core.model.order import Fill, OrderIntent, OrderRecord, OrderState, Side
from trading_core.model.portfolio import Account, Split
from trading_core.rules.positions import ClosedTrade
from trading_core.rules.splits import price_after

NO_CASH_CODES = frozenset({"APBK0952", "40250000"})
"""What the broker answers to a buy that the cash does not cover: a real account, a paper one."""

_ENDED_UNFILLED = frozenset({OrderState.CANCELLED, OrderState.REJECTED, OrderState.EXPIRED})
_ENDED_SHORT = _ENDED_UNFILLED | {OrderState.NOT_SENT}
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Sale:
    """The newest sale of a symbol: average price a share and when it was seen (aware UTC)."""

    price: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class TradeHistory:
    """Facts of one market group at one moment; mappings are by symbol, times aware UTC.

    ``equity`` is the currency's, 0 where nothing is known of it. ``exposed`` is the value of what
    is held and of what working entries may still buy, ``exposure`` their sum.

    ``losing_exits`` says when the newest exit was seen that lost after the costs of both ends,
    ``no_cash`` when the broker last refused an entry for lack of cash, ``unfilled`` when an entry
    was last cancelled before all of it had traded. ``tries`` counts entries of the session that
    ended without a fill; one that was chased and its chase are one. ``sent_at`` are the times of
    all orders of the session that were sent, in order; ``last_sent`` the newest by side and
    symbol. An exit that ended without doing what it was sent for does not count there, so that it
    can be repeated at once.
    """

    equity: Decimal = _ZERO
    exposed: Mapping[str, Decimal] = field(default_factory=dict)
    exposure: Decimal = _ZERO
    losing_exits: Mapping[str, datetime] = field(default_factory=dict)
    sales: Mapping[str, Sale] = field(default_factory=dict)
    no_cash: Mapping[str, datetime] = field(default_factory=dict)
    unfilled: Mapping[str, datetime] = field(default_factory=dict)
    tries: Mapping[str, int] = field(default_factory=dict)
    sent_at: tuple[datetime, ...] = ()
    last_sent: Mapping[Side, Mapping[str, datetime]] = field(default_factory=dict)

    def after(self, intent: OrderIntent, at: datetime) -> TradeHistory:
        """The history once an order approved at ``at`` counts as sent."""
        symbol, side = intent.instrument.symbol, intent.side
        last = {**self.last_sent.get(side, {}), symbol: at}
        sent_at, last_sent = (*self.sent_at, at), {**self.last_sent, side: last}
        if side is Side.SELL:
            return replace(self, sent_at=sent_at, last_sent=last_sent)
        value = intent.notional
        return replace(
            self,
            exposed={**self.exposed, symbol: self.exposed.get(symbol, _ZERO) + value},
            exposure=self.exposure + value,
            sent_at=sent_at,
            last_sent=last_sent,
        )


def trade_history(
    account: Account,
    *,
    session: date,
    at: datetime,
    orders: Iterable[OrderRecord] = (),
    fills: Sequence[Fill] = (),
    closed: Sequence[ClosedTrade] = (),
    splits: Sequence[Split] = (),
) -> TradeHistory:
    """The history of one market group.

    Args:
        account: In the group's currency.
        session: Whose orders are counted.
        at: Now, aware UTC.
        orders: Those of the session and all that are not final, with their events.
        fills: Of any session, in the order they were seen.
        closed: What left the position book, in the order it was seen.
        splits: Of any session; prices of sales before them are told in shares of today.
    """
    exposed = {h.instrument.symbol: h.value for h in account.holdings}
    tries: dict[str, int] = {}
    no_cash: dict[str, datetime] = {}
    unfilled: dict[str, datetime] = {}
    last_sent: dict[Side, dict[str, datetime]] = {Side.BUY: {}, Side.SELL: {}}
    last_buys, last_sells = last_sent[Side.BUY], last_sent[Side.SELL]
    sent_at = []
    orders = tuple(orders)
    chased = {r.intent.chases for r in orders if r.intent.chases and _sent_at(r) is not None}
    for record in orders:
        intent, state = record.intent, record.state
        symbol, is_buy = intent.instrument.symbol, intent.side is Side.BUY
        # Most orders of a day are filled; sets of states are asked about the others alone.
        filled = state is OrderState.FILLED
        if is_buy and not filled and state.is_working:
            left = (intent.quantity - record.filled_quantity) * _price(intent)
            exposed[symbol] = exposed.get(symbol, _ZERO) + left
        if intent.session != session:
            continue
        events = record.events
        if len(events) < 2 or events[1].state is not OrderState.SENDING:
            continue
        sent = events[1].at
        sent_at.append(sent)
        if is_buy or filled or state not in _ENDED_SHORT:
            last = last_buys if is_buy else last_sells
            before = last.get(symbol)
            if before is None or before < sent:
                last[symbol] = sent
        if filled or not is_buy or state not in _ENDED_UNFILLED:
            continue
        if state is OrderState.CANCELLED:
            ended_at = events[-1].at
            unfilled[symbol] = max(ended_at, unfilled.get(symbol, ended_at))
        if record.filled_quantity or intent.intent_id in chased:
            continue
        ended = events[-1]
        if state is OrderState.REJECTED and ended.code in NO_CASH_CODES:
            no_cash[symbol] = max(ended.at, no_cash.get(symbol, ended.at))
        else:
            tries[symbol] = tries.get(symbol, 0) + 1
    return TradeHistory(
        equity=account.equity,
        exposed=exposed,
        exposure=sum(exposed.values(), _ZERO),
        losing_exits=_losing_exits(closed, at),
        sales=_sales(fills, splits, at),
        no_cash=no_cash,
        unfilled=unfilled,
        tries=tries,
        sent_at=tuple(sorted(sent_at)),
        last_sent=last_sent,
    )


def _price(intent: OrderIntent) -> Decimal:
    return intent.limit_price or intent.decided_price


def _sent_at(record: OrderRecord) -> datetime | None:
    # What follows "intended" is "sending", or the order never left.
    events = record.events
    return events[1].at if len(events) > 1 and events[1].state is OrderState.SENDING else None


def _losing_exits(closed: Sequence[ClosedTrade], at: datetime) -> dict[str, datetime]:
    """When the newest exit order of a symbol was seen whose fills lost money together.

    Shares that went by hand were sold at a price nobody told us, so they are no exit here.
    """
    nets: dict[tuple[str, str], Decimal] = {}
    newest: dict[tuple[str, str], datetime] = {}
    oldest = at - LONGEST_PAUSE
    for trade in reversed(closed):
        if trade.closed_at < oldest:
            break
        if trade.intent_id:
            key = trade.instrument.symbol, trade.intent_id
            net = trade.proceeds - trade.cost - trade.entry_costs - trade.exit_costs
            if key in nets:
                nets[key] += net
            else:
                nets[key], newest[key] = net, trade.closed_at
    losing: dict[str, datetime] = {}
    for (symbol, exit_id), net in nets.items():
        if net < 0:
            losing.setdefault(symbol, newest[symbol, exit_id])
    return losing


def _sales(fills: Sequence[Fill], splits: Sequence[Split], at: datetime) -> dict[str, Sale]:
    newest: dict[str, Sale] = {}
    oldest = at - LONGEST_PAUSE
    for fill in reversed(fills):
        if fill.filled_at < oldest:
            break
        symbol = fill.instrument.symbol
        if fill.side is Side.SELL and symbol not in newest:
            since = fill.filled_at
            price = price_after(fill.price, symbol, since=since, splits=splits)
            newest[symbol] = Sale(price, since)
    return newest
