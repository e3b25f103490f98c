"""No sequence of books lets an entry through that breaks a promise."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.guard_books import NO_GUARDS, ago, in_dollars, make_quote, make_record
from tests.record_factories import AT, SESSION, make_fill
from trading_core.model.limits import GuardLimits, RiskLimits
from trading_core.model.market import Currency, Instrument, Market, MarketGroup
from trading_core.model.order import (
    ApprovedOrder,
    IntentReason,
    OrderRecord,
    OrderState,
    Refusal,
    RefusalCode,
    Side,
)
from trading_core.model.portfolio import Account, Holding
from trading_core.rules.positions import fold_positions
from trading_core.rules.risk import RiskState, check
from trading_core.rules.trade_history import trade_history

SYMBOLS = ("A", "B")
SECTORS = {MarketGroup.US: {"A": "x", "B": "x"}}
PRICES = st.integers(90, 112).map(D)
# Bounds are made to be hit: times are whole multiples of what the pauses are multiples of.
TIMES = st.sampled_from([0, 1, 5, 9, 10, 30, 59, 60, 119, 120, 121, 599, 600, 3600]).map(
    lambda seconds: ago(seconds=seconds)
)
PAUSES = st.sampled_from([10, 60, 120, 600]).map(lambda seconds: timedelta(seconds=seconds))
SHARES = st.sampled_from([1.0, 4.0, 5.0, 10.0, 30.0])


def listed(symbol: str) -> Instrument:
    return Instrument(symbol, Market.US_NYSE)


LIMIT_NAMES = [field.name for field in fields(GuardLimits) if field.name != "sectors"]
ANY_LIMITS = st.fixed_dictionaries(
    {
        "entry_tries_per_session": st.integers(1, 2),
        "reentry_after_loss": PAUSES,
        "not_above_sale": PAUSES,
        "chase_gain_pct": SHARES,
        "chase_near_high_pct": SHARES,
        "min_prices": st.sampled_from([{MarketGroup.US: D(95)}, {MarketGroup.US: D(100)}]),
        "cash_buffers": st.just({Currency.USD: D(9_000)}),
        "cash_buffer_pct": SHARES,
        "pause_after_no_cash": PAUSES,
        "pause_after_unfilled": PAUSES,
        "max_symbol_pct": SHARES,
        "max_sector_pct": SHARES,
        "max_exposure_pct": SHARES,
        "max_orders_per_session": st.integers(1, 4),
        "max_orders_per_minute": st.integers(1, 3),
        "repeat_after": PAUSES,
    }
)


def some_of(drawn: dict[str, Any], names: set[str], sectors: Any) -> GuardLimits:
    """All guards off but a few: with all of them on, hardly an entry gets to the last ones."""
    return replace(NO_GUARDS, sectors=sectors, **{name: drawn[name] for name in names})


LIMITS = st.builds(
    some_of,
    ANY_LIMITS,
    st.sets(st.sampled_from(LIMIT_NAMES), max_size=2),
    st.sampled_from([{}, SECTORS]),
)
# Most of what happened is about the symbol that is wished for.
MOSTLY_A = st.sampled_from(["A", "A", "A", "B"])
MOSTLY_BUYS = st.sampled_from([Side.BUY, Side.BUY, Side.SELL])
UNFILLED = (OrderState.CANCELLED, OrderState.EXPIRED, OrderState.REJECTED, OrderState.REJECTED)
ENDS = [s for s in OrderState if s not in (OrderState.SENDING, OrderState.UNKNOWN)]
RECORDS = st.lists(
    st.builds(
        lambda symbol, side, state, sent, fill, code, price: make_record(
            state,
            sent=None if state in (OrderState.INTENDED, OrderState.REFUSED) else sent,
            ended=sent,
            filled=fill,
            code=code if state is OrderState.REJECTED else "",
            side=side,
            instrument=listed(symbol),
            limit_price=price,
            decided_price=price,
            currency=Currency.USD,
        ),
        MOSTLY_A,
        MOSTLY_BUYS,
        st.sampled_from(ENDS) | st.sampled_from(UNFILLED),
        TIMES,
        st.sampled_from([0, 0, 3]),
        st.sampled_from(["", "APBK0952", "APBK0952"]),
        PRICES,
    ),
    max_size=5,
)


def round_trips(rows: list[tuple[str, int, D, int, D, datetime]]) -> list[Any]:
    """Fills in order of time: shares bought two hours ago and shares sold since."""
    legs = []
    for symbol, bought, paid, sold, got, when in rows:
        legs += [
            (ago(hours=2), symbol, Side.BUY, bought, paid),
            (when, symbol, Side.SELL, sold, got),
        ]
    return [
        make_fill(
            fill_id=str(n),
            intent_id=f"f{n}",
            instrument=listed(symbol),
            side=side,
            quantity=quantity,
            price=price,
            fee=D("0.3"),
            currency=Currency.USD,
            filled_at=at,
        )
        for n, (at, symbol, side, quantity, price) in enumerate(
            sorted(legs, key=lambda leg: leg[0])
        )
    ]


LOTS = st.integers(1, 3)
FILLS = st.lists(st.tuples(MOSTLY_A, LOTS, PRICES, LOTS, PRICES, TIMES), max_size=4).map(
    round_trips
)
HELD = st.lists(
    st.builds(
        lambda symbol, n, price: Holding(listed(symbol), n, n, price, price),
        st.sampled_from(["B", "B", "B", "A"]),
        st.integers(1, 20),
        PRICES,
    ),
    max_size=2,
    unique_by=lambda item: item.instrument.symbol,
)
QUOTES = st.tuples(PRICES, PRICES, st.sampled_from([D(0), D(100), D(105)]))


class Oracle:
    """Each promise once more, in plain loops over the books; no code is shared with the guards."""

    def __init__(self, wish, quote, limits, books, records, fills) -> None:
        self.symbol = wish.instrument.symbol
        self.wish, self.quote, self.limits, self.books = wish, quote, limits, books
        self.records, self.fills = records, fills
        self.sent = [(r, e.at) for r in records for e in r.events if e.state is OrderState.SENDING]

    def age(self, when: datetime) -> float:
        return (AT - when).total_seconds()

    def losing_exits(self) -> list[datetime]:
        """Average cost, fees shared out by quantity."""
        have, cost, found = 0, 0.0, []
        for fill in self.fills:
            if fill.instrument.symbol != self.symbol:
                continue
            if fill.side is Side.BUY:
                have, cost = have + fill.quantity, cost + float(fill.amount + fill.fee)
                continue
            part = min(have, fill.quantity)
            if not part:
                continue
            spent = cost * part / have
            have, cost = have - part, cost - spent
            if (float(fill.amount - fill.fee)) * part / fill.quantity - spent < -1e-9:
                found.append(fill.filled_at)
        return found

    def broken(self) -> set[str]:
        limits, price, own = self.limits, float(self.wish.decided_price), self.symbol
        high = max(float(self.quote.high), price)
        before = float(self.quote.previous_close)
        equity = float(self.books.equity)
        new = float(self.wish.notional)
        worth = dict.fromkeys(SYMBOLS, 0.0)
        for item in self.books.holdings:
            worth[item.instrument.symbol] += item.quantity * float(item.last_price)
        for r in self.records:
            open_states = ("accepted", "partially_filled", "cancel_requested")
            if r.intent.side is Side.BUY and r.state.value in open_states:
                left = r.intent.quantity - r.filled_quantity
                worth[r.intent.instrument.symbol] += left * float(r.intent.limit_price)
        mine = [(r, at) for r, at in self.sent if r.intent.instrument.symbol == own]
        dead = [
            r
            for r, _ in mine
            if r.intent.side is Side.BUY
            and r.state.value in ("cancelled", "rejected", "expired")
            and r.filled_quantity == 0
        ]
        no_cash = [r for r in dead if r.events[-1].code == "APBK0952"]
        sales = [f for f in self.fills if f.instrument.symbol == own and f.side is Side.SELL]
        sector = [s for s in SYMBOLS if s in limits.sectors.get(MarketGroup.US, {})]
        truths = {
            "reentry": any(
                self.age(at) < limits.reentry_after_loss.total_seconds()
                for at in self.losing_exits()
            ),
            "entry_tried": 0 < limits.entry_tries_per_session <= len(dead) - len(no_cash),
            "above_last_sale": bool(sales)
            and self.age(sales[-1].filled_at) < limits.not_above_sale.total_seconds()
            and price > float(sales[-1].price),
            "chasing_high": limits.chase_gain_pct > 0
            and (
                before == 0
                or (
                    (price - before) * 100 >= before * limits.chase_gain_pct
                    and (high - price) * 100 <= high * limits.chase_near_high_pct
                )
            ),
            "price_too_low": price < float(limits.min_prices.get(MarketGroup.US, 0)),
            "cash_pause": any(
                self.age(r.events[-1].at) < limits.pause_after_no_cash.total_seconds()
                for r in no_cash
            ),
            "unfilled_pause": any(
                self.age(r.events[-1].at) < limits.pause_after_unfilled.total_seconds()
                for r, _ in mine
                if r.intent.side is Side.BUY and r.state is OrderState.CANCELLED
            ),
            "symbol_cap": limits.max_symbol_pct > 0
            and (worth[own] + new) * 100 > equity * limits.max_symbol_pct,
            "sector_cap": limits.max_sector_pct > 0
            and own in sector
            and (sum(worth[s] for s in sector) + new) * 100 > equity * limits.max_sector_pct,
            "exposure_cap": limits.max_exposure_pct > 0
            and (sum(worth.values()) + new) * 100 > equity * limits.max_exposure_pct,
            "orders_per_session": 0 < limits.max_orders_per_session <= len(self.sent),
            "orders_per_minute": 0
            < limits.max_orders_per_minute
            <= sum(self.age(at) < 60 for _, at in self.sent),
            "too_soon": any(
                self.age(at) < limits.repeat_after.total_seconds()
                for r, at in mine
                if r.intent.side is Side.BUY
            ),
        }
        # The online fee in the US is 0.25 %, to the cent.
        left = float(self.books.orderable) - new - round(new * 0.0025 + 1e-9, 2)
        buffer = max(
            float(limits.cash_buffers.get(Currency.USD, 0)), equity * limits.cash_buffer_pct / 100
        )
        truths["cash_buffer"] = buffer > 0 and left < buffer - 1e-6
        return {name for name, is_broken in truths.items() if is_broken}


@pytest.mark.parametrize("name", LIMIT_NAMES)
@settings(max_examples=100, deadline=None)
@given(st.data(), LIMITS, RECORDS, FILLS, HELD, QUOTES, st.just("A"), st.integers(1, 20))
def test_no_books_let_an_entry_through_that_breaks_a_promise(
    name: str,
    data: st.DataObject,
    limits: GuardLimits,
    records: list[OrderRecord],
    fills: list[Any],
    shares: list[Holding],
    prices: tuple[D, D, D],
    symbol: str,
    quantity: int,
) -> None:
    limits = replace(limits, **{name: data.draw(ANY_LIMITS)[name]})
    last, high, before = prices
    cash = D(10_000)
    books = Account(Currency.USD, cash, cash, tuple(shares), AT)
    wish = in_dollars(str(last), quantity, instrument=listed(symbol))
    quote = make_quote(last, high=high, before=before, of=wish.instrument)
    state = RiskState(
        books,
        books.equity,
        history=trade_history(
            books,
            session=SESSION,
            at=AT,
            orders=records,
            fills=fills,
            closed=fold_positions(fills).closed,
        ),
    )

    def once() -> object:
        return check(
            wish, state, RiskLimits(), confidence=90, lot=1, at=AT, quote=quote, guards=limits
        )

    answer = once()
    broken = Oracle(wish, quote, limits, books, records, fills).broken()
    is_held = any(item.instrument.symbol == symbol for item in shares)
    if isinstance(answer, ApprovedOrder):
        assert not broken
        assert not is_held
    else:
        assert isinstance(answer, Refusal)
        of_gate = {RefusalCode.ALREADY_HELD, RefusalCode.FAT_FINGER}
        assert answer.code.value in broken or answer.code in of_gate
    assert once() == answer


@settings(max_examples=200, deadline=None)
@given(LIMITS, RECORDS, FILLS, st.sampled_from(SYMBOLS), st.integers(1, 20), QUOTES)
def test_no_guard_refuses_the_exit_of_a_held_position(
    limits: GuardLimits,
    records: list[OrderRecord],
    fills: list[Any],
    symbol: str,
    quantity: int,
    prices: tuple[D, D, D],
) -> None:
    """But for the throttle, after an exit of the symbol that still stands or that was filled."""
    shares = Holding(listed(symbol), 20, 20, D(100), D(100))
    books = Account(Currency.USD, D(-5), D(-5), (shares,), AT)
    wish = in_dollars(
        str(prices[0]),
        quantity,
        instrument=listed(symbol),
        side=Side.SELL,
        reason=IntentReason.HARD_STOP,
    )
    closed = fold_positions(fills).closed
    history = trade_history(
        books, session=SESSION, at=AT, orders=records, fills=fills, closed=closed
    )
    answer = check(
        wish,
        RiskState(books, None, history=history),
        RiskLimits(),
        confidence=0,
        lot=1,
        at=AT,
        quote=None,
        guards=limits,
    )
    stands = [
        r
        for r in records
        if (r.intent.instrument.symbol, r.intent.side) == (symbol, Side.SELL)
        and r.state.value in ("accepted", "partially_filled", "cancel_requested", "filled")
        and AT - r.events[1].at < limits.repeat_after
    ]
    if stands:
        assert isinstance(answer, Refusal)
        assert answer.code is RefusalCode.TOO_SOON
    else:
        assert answer == ApprovedOrder(wish, AT)
