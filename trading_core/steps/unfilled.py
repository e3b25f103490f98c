"""Orders that do not fill: a closer look at their symbols, and what a tick wants of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from trading_core.errors import BrokerError
from trading_core.model.limits import Policy
from trading_core.model.market import Instrument
from trading_core.model.order import OrderRecord, OrderState, RefusalCode, Side
from trading_core.model.portfolio import Holding
from trading_core.model.price import OrderBook, Quote
from trading_core.ports import MarketData
from trading_core.rules import chase
from trading_core.rules.blackout import blackout_until
from trading_core.rules.calendar import phase_at
from trading_core.rules.chase import Cancel, CancelCode, Chain, Terms
from trading_core.rules.markets import lot_size
from trading_core.rules.pricing import executable_price
from trading_core.rules.trading_state import stops_everything
from trading_core.steps.books import Books
from trading_core.steps.desk import Desk
from trading_core.steps.guard import usable_quote
from trading_core.steps.observe import View

CANCELLABLE = frozenset(
    {OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED, OrderState.CANCEL_REQUESTED}
)
"""A cancel that was asked for before may never have arrived, so it is asked for again."""

LAST_MINUTES = 2.0
"""So shortly before the close an exit is left to work: there may be no look to send another."""

_KEPT = ("stop_loss_pct", "take_profit_pct", "allocation_pct", "selection_context")


async def look_closer(market_data: MarketData, view: View, policy: Policy) -> View:
    """The view with the order book of every symbol whose order is to be given up or followed, and
    with the quote of those that have none. What cannot be had is left out."""
    wanted = _wanted(view, policy)
    if not wanted:
        return view
    missing = [item for symbol, item in wanted.items() if symbol not in view.quotes]
    quotes: Mapping[str, Quote] = {}
    if missing:
        try:
            quotes = await market_data.quotes(missing)
        except BrokerError:
            quotes = {}
    books: dict[str, OrderBook] = {}
    for symbol, instrument in wanted.items():
        try:
            books[symbol] = await market_data.order_book(instrument)
        except BrokerError:
            continue
    return replace(view, quotes={**view.quotes, **quotes}, order_books=books)


def _wanted(view: View, policy: Policy) -> dict[str, Instrument]:
    books = view.books
    found = {
        chain.last.intent.instrument.symbol: chain.last.intent.instrument
        for chain in chase.chains_due(books.orders, books.book, session=view.session.date).values()
    }
    for record in books.orders:
        intent = record.intent
        works = intent.side is Side.SELL and record.state in CANCELLABLE
        if works and chase.waited_out(record, view.at, policy.unfilled):
            found[intent.instrument.symbol] = intent.instrument
    return found


def given_up(view: View, policy: Policy, *, stop_all: bool) -> tuple[Cancel, ...]:
    """Working orders to cancel: entries that waited too long, and all of them once trading is
    halted; exits that waited too long and that something stronger can take the place of. None in a
    blackout, in which nothing is cancelled either."""
    if blackout_until(policy.blackouts, view.at) is not None:
        return ()
    found = []
    for record in view.books.orders:
        if record.state not in CANCELLABLE or not chase.may_ask(record, view.at):
            continue
        code: CancelCode | None = None
        if record.intent.side is Side.SELL:
            code = _exit_given_up(view, record, policy)
        elif stop_all:
            code = CancelCode.HALTED
        elif chase.waited_out(record, view.at, policy.unfilled):
            code = CancelCode.UNFILLED
        if code is not None:
            found.append(Cancel(record, code))
    return tuple(found)


def _exit_given_up(view: View, record: OrderRecord, policy: Policy) -> CancelCode | None:
    if record.intent.session != view.session.date or not view.session.contains(view.at):
        return None
    if view.session.minutes_to_close(view.at) <= LAST_MINUTES:
        return None
    if view.books.unknown or stops_everything(view.books.halts) is not None:
        # Nothing could take its place.
        return None
    quote = usable_quote(view, record.intent.instrument.symbol, policy.exits)
    if quote is None:
        return None
    missed = chase.misses(chase.followed_by(record, view.books.orders))
    terms, strongest = (
        _terms(view, record, quote, policy, missed=count)
        for count in (missed, chase.MISSES_AT_THE_BID)
    )
    return chase.exit_given_up(record, terms, strongest, view.at, policy.unfilled)


def exit_terms(view: View, chain: Chain, quote: Quote, policy: Policy) -> Terms:
    """How what remains of an exit is to be sold now."""
    return _terms(view, chain.last, quote, policy, missed=chase.misses(chain.orders))


def _terms(view: View, last: OrderRecord, quote: Quote, policy: Policy, *, missed: int) -> Terms:
    symbol = quote.instrument.symbol
    return chase.exit_terms(
        last.intent,
        quote,
        view.order_books.get(symbol),
        missed=missed,
        phase=phase_at(view.session.group, view.at),
        policy=policy.unfilled,
        market_refused=chase.market_refused(symbol, view.books.orders),
    )


def chase_entry(desk: Desk, chain: Chain) -> None:
    """Order the rest of an entry once more where it can trade now, or say why not."""
    view, policy = desk.view, desk.policy
    last = chain.last.intent
    quote = usable_quote(view, last.instrument.symbol, policy.exits)
    if quote is None:
        return
    book = view.order_books.get(last.instrument.symbol)
    price = executable_price(quote, Side.BUY, book, view.session.date)
    refused = chase.entry_given_up(chain, price, at=view.at, policy=policy.unfilled)
    decided = view.books.decided.get(chain.first.intent.decision_id)
    lot = lot_size(last.instrument.market, Side.BUY)
    plan = decided.context_snapshot if decided else {}
    desk.want(
        quote,
        side=Side.BUY,
        quantity=chain.remaining // lot * lot,
        price=price,
        reason=last.reason,
        confidence=decided.confidence if decided else 0,
        rationale=f"{chain.remaining} of {last.quantity} did not fill at {last.limit_price}",
        scenario_id=decided.scenario_id if decided else "",
        extra={
            **{name: plan[name] for name in _KEPT if name in plan},
            "decided_price": str(chain.first.intent.decided_price),
            "chases": last.intent_id,
        },
        chases=last.intent_id,
        refused=refused,
    )


def not_sellable(books: Books, holding: Holding) -> tuple[RefusalCode, str] | None:
    """Why a sale would be refused by the broker as the last one was; None when it may not be."""
    orders = [r for r in books.orders if r.intent.session == books.session]
    if not chase.has_no_balance(holding, orders, chase.stood_on(books.decided.values())):
        return None
    return (
        RefusalCode.NO_BALANCE,
        f"the broker had nothing to sell of the {holding.sellable} shares it shows; not sent "
        "again until they change",
    )
