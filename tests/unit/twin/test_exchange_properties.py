"""What holds for any sequence of orders, on any seeded market."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from functools import cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_core.model.market import Currency, MarketGroup
from trading_core.model.order import NoticeKind, OrderType, Side
from trading_core.rules.markets import price_increment
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.synthetic import synthetic_tape
from trading_core.twin.tape import Tape
from trading_core.twin.venue import (
    AccountSpec,
    NewOrder,
    OrderFate,
    Pricing,
    RowKind,
    TimeInForce,
    VenueNotice,
    VenueOrder,
    VenueRefusal,
)

DAY = date(2025, 9, 3)
CURRENCY = {MarketGroup.KR: Currency.KRW, MarketGroup.US: Currency.USD}


@cache
def market(group: MarketGroup) -> Tape:
    return synthetic_tape(group, DAY, symbols=4, seed=3)


def opened(tape: Tape, cash: str = "20000000") -> SimulatedExchange:
    specs = [AccountSpec(str(n), {CURRENCY[tape.group]: Decimal(cash)}) for n in (1, 2)]
    return SimulatedExchange(tape, specs, at=tape.hours.open_at - timedelta(minutes=20))


KINDS = (
    [(Pricing.STATED, tif) for tif in TimeInForce]
    + [(Pricing.BEST, tif) for tif in TimeInForce]
    + [(p, TimeInForce.DAY) for p in Pricing if p not in (Pricing.STATED, Pricing.BEST)]
)
FATES = [OrderFate()] * 6 + [OrderFate(True), OrderFate(fill_at_most=0), OrderFate(False, 7)]

actions = st.lists(
    st.tuples(
        st.sampled_from(["buy", "sell", "market", "cancel", "modify", "wait", "wait"]),
        st.integers(1, 2),
        st.integers(0, 3),
        st.integers(1, 400),
        st.integers(-8, 8),
        st.integers(0, 40),
        st.sampled_from(KINDS),
        st.sampled_from(FATES),
    ),
    max_size=40,
)


def play(venue: SimulatedExchange, steps) -> None:
    """Apply random actions; refusals are part of the game."""
    names = [item.symbol for item in venue.instruments()]
    for verb, who, pick, quantity, offset, minutes, kind, fate in steps:
        symbol, number = names[pick], str(who)
        last = venue.quote(symbol).last
        book = venue.order_book(symbol)
        step = book.asks[0].price - book.bids[0].price if book.asks and book.bids else last / 100
        price = max(last + offset * step / 2, Decimal(1))
        try:
            if verb in ("buy", "sell", "market"):
                side = Side.SELL if verb == "sell" or (verb == "market" and pick % 2) else Side.BUY
                venue.place(order_of(number, symbol, side, quantity, verb, price, kind, fate))
            elif verb == "cancel":
                venue.cancel(number, quantity % 7 + 1, quantity=None if offset > 0 else pick + 1)
            elif verb == "modify":
                venue.modify(number, quantity % 7 + 1, limit_price=price, quantity=None)
        except VenueRefusal:
            pass
        if verb == "wait":
            venue.advance_to(venue.now + timedelta(minutes=minutes, seconds=pick * 13))
        check(venue)


def order_of(number, symbol, side, quantity, verb, price, kind, fate) -> NewOrder:
    pricing, tif = kind
    priced = verb != "market" and pricing not in (Pricing.BEST, Pricing.PRIORITY)
    return NewOrder(
        number,
        symbol,
        side,
        OrderType.LIMIT if priced else OrderType.MARKET,
        quantity,
        price if priced else None,
        pricing,
        tif,
        price if pricing is Pricing.STOP else None,
        fate,
    )


def check(venue: SimulatedExchange) -> None:
    """The books are even to the last unit, and every promise is covered."""
    currency = CURRENCY[venue.group]
    for number in ("1", "2"):
        balance = venue.balance(number)
        assert balance.is_even
        view = venue.account(number, currency)
        assert view.orderable >= 0
        rows = venue.orders(number, start=DAY, end=DAY)
        costs = sum(row.fee + row.tax for row in rows)
        signs = {Side.BUY: -1, Side.SELL: 1}
        paid = sum(signs[f.side] * f.quantity * f.price for f in venue.fills(number))
        assert balance.fees + balance.taxes == costs
        assert view.settled == balance.cash == balance.initial + paid - costs
        for row in rows:
            assert row.remaining_quantity >= 0
            if row.limit_price is not None and row.filled_quantity:
                average = row.filled_amount / row.filled_quantity
                better = average <= row.limit_price
                assert better if row.side is Side.BUY else average >= row.limit_price
        for holding in view.holdings:
            assert 0 <= holding.sellable <= holding.quantity
        open_sells = sum(r.remaining_quantity for r in rows if r.side is Side.SELL)
        held = sum(h.quantity - h.sellable for h in view.holdings)
        assert open_sells == held
        if not any(r.remaining_quantity for r in rows if r.side is Side.BUY):
            assert view.reserved == 0
        assert sum(f.quantity for f in venue.fills(number)) == sum(r.filled_quantity for r in rows)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([MarketGroup.KR, MarketGroup.US]), actions)
def test_the_books_balance_to_the_last_unit_at_every_moment(group, steps):
    venue = opened(market(group))
    play(venue, steps)
    venue.advance_to(venue.tape.hours.close_at)
    check(venue)
    assert venue.account("1", CURRENCY[group]).reserved == 0


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([MarketGroup.KR, MarketGroup.US]), actions)
def test_nothing_trades_outside_its_bar_or_beyond_its_limit(group, steps):
    """An increment of spread is paid around the prices of a minute, never the daily limit."""
    tape = market(group)
    venue = opened(tape)
    limits: dict[int, Decimal | None] = {}

    def listen(notice: VenueNotice) -> None:
        row = notice.order
        if notice.kind is NoticeKind.ACCEPTED:
            limits[row.order_no] = row.limit_price
        if notice.kind is not NoticeKind.FILLED:
            return
        limit = row.limit_price
        assert limit is None or limit == limits[row.order_no]
        if limit is not None:
            buy = row.side is Side.BUY
            assert notice.price <= limit if buy else notice.price >= limit
        quote = venue.quote(row.instrument.symbol)
        assert quote.upper_limit is None or quote.lower_limit <= notice.price <= quote.upper_limit
        low, high = bar_before(tape, row.instrument.symbol, notice.at)
        step = price_increment(row.instrument.market, high, DAY)
        assert low - step <= notice.price <= high + step

    venue.listen(listen)
    play(venue, steps)
    venue.advance_to(tape.hours.close_at)


def bar_before(tape: Tape, symbol: str, at) -> tuple[Decimal, Decimal]:
    """Low and high of the minutes that were over last; at the close the auction is one of them."""
    row = [item.symbol for item in tape.instruments].index(symbol)
    last = int(np.searchsorted(tape.ends, at.timestamp(), side="right")) - 1
    columns = [c for c in range(last + 1) if tape.ends[c] == tape.ends[last]]
    lows, highs = tape.bars.low[row, columns], tape.bars.high[row, columns]
    return Decimal(repr(float(lows.min()))), Decimal(repr(float(highs.max())))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([MarketGroup.KR, MarketGroup.US]), actions)
def test_the_notices_alone_rebuild_the_book(group, steps):
    venue = opened(market(group))
    book: dict[int, VenueOrder] = {}
    done: dict[int, list[int]] = {}

    def listen(notice: VenueNotice) -> None:
        number, kind = notice.order.order_no, notice.kind
        if kind is NoticeKind.ACCEPTED:
            book[number], done[number] = notice.order, [0, 0, 0]
        elif kind is NoticeKind.FILLED:
            done[number][0] += notice.quantity
        elif kind is NoticeKind.CONFIRMED:
            done[notice.order.original_no][1] += notice.quantity
            if notice.order.kind is RowKind.CANCEL:
                done[number][1] = notice.quantity
        elif kind is NoticeKind.EXPIRED:
            done[number][1] = notice.order.cancelled_quantity
        else:
            done[number][2] = notice.order.rejected_quantity

    venue.listen(listen)
    play(venue, steps)
    for until in (venue.now, venue.tape.hours.close_at):
        venue.advance_to(until)
        rows = [r for n in ("1", "2") for r in venue.orders(n, start=DAY, end=DAY)]
        assert {r.order_no for r in rows} == set(book)
        for row in rows:
            seen = [row.filled_quantity, row.cancelled_quantity, row.rejected_quantity]
            assert done[row.order_no] == seen
            assert book[row.order_no].quantity == row.quantity


@settings(max_examples=15, deadline=None)
@given(actions)
def test_the_same_calls_on_the_same_tape_give_the_same_rows(steps):
    outcomes = []
    for _ in range(2):
        venue = opened(market(MarketGroup.KR))
        play(venue, steps)
        venue.advance_to(venue.tape.hours.close_at)
        rows = [repr(venue.orders(n, start=DAY, end=DAY)) for n in ("1", "2")]
        outcomes.append((rows, [repr(venue.fills(n)) for n in ("1", "2")]))
    assert outcomes[0] == outcomes[1]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 24_000), st.integers(0, 3))
def test_nothing_that_can_be_seen_depends_on_what_comes_later(second, pick):
    """Everything after the moment is overwritten; what is seen at the moment stays the same."""
    tape = market(MarketGroup.KR)
    at = tape.hours.open_at + timedelta(seconds=second)
    later = tape.ends > at.timestamp()
    changed = {}
    for name in ("open", "high", "low", "close", "volume"):
        values = getattr(tape.bars, name).copy()
        values[:, later] = values[:, later] * 3 + 5
        changed[name] = values
    other = Tape(
        **{
            **{f: getattr(tape, f) for f in tape.__dataclass_fields__},
            "bars": type(tape.bars)(**changed),
        }
    )
    symbol = tape.instruments[pick].symbol
    seen = []
    for one in (tape, other):
        venue = SimulatedExchange(one, [AccountSpec("1", {})], at=at)
        seen.append(
            (
                venue.quote(symbol),
                venue.order_book(symbol),
                venue.minute_bars(symbol, session=DAY, until=tape.hours.close_at),
                venue.daily_bars(symbol, start=None, end=date(2030, 1, 1)),
            )
        )
    assert seen[0] == seen[1]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 5_000), min_size=1, max_size=6))
def test_our_orders_never_take_more_than_a_tenth_of_a_bar(quantities):
    tape = market(MarketGroup.KR)
    venue = opened(tape, cash="100000000000")
    symbol = tape.instruments[1].symbol
    for number, quantity in enumerate(quantities):
        who = str(number % 2 + 1)
        venue.place(NewOrder(who, symbol, Side.BUY, OrderType.MARKET, quantity, None))
    venue.advance_to(tape.hours.close_at)
    taken = dict.fromkeys(tape.ends.tolist(), 0)
    for fill in venue.fills("1") + venue.fills("2"):
        taken[int(fill.at.timestamp())] += fill.quantity
    volume = dict(zip(tape.ends.tolist(), tape.bars.volume[1].tolist(), strict=True))
    # The auction ends in the same second as the last minute.
    for end, shares in taken.items():
        assert shares <= max(np.ceil(volume[end] * 0.10), 1)
