"""The books: what is held, what it cost, what was earned."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.record_factories import APPLE, AT, MINUTE, SAMSUNG, SESSION, make_fill, make_lot
from trading_core.errors import CurrencyMismatch
from trading_core.model.market import Currency, Instrument, Market
from trading_core.model.order import Fill, Side
from trading_core.model.portfolio import AdoptedLot, PositionOrigin
from trading_core.rules.positions import PositionBook, Realized, fold_positions

STRATEGY, ADOPTED = PositionOrigin.STRATEGY, PositionOrigin.ADOPTED


def buy(quantity: int, amount: str | Decimal, **changes: Any) -> Fill:
    return _fill(Side.BUY, quantity, Decimal(amount), **changes)


def sell(quantity: int, amount: str | Decimal, **changes: Any) -> Fill:
    return _fill(Side.SELL, quantity, Decimal(amount), **changes)


def _fill(side: Side, quantity: int, amount: Decimal, **changes: Any) -> Fill:
    minute = changes.pop("minute", 1)
    values: dict[str, Any] = {
        "fill_id": f"{side}-{minute}",
        "side": side,
        "quantity": quantity,
        "price": amount / quantity,
        "amount": amount,
        "fee": Decimal(0),
        "tax": Decimal(0),
        "filled_at": AT + minute * MINUTE,
    }
    return make_fill(**(values | changes))


class TestTheAverageCostMethod:
    def test_buys_raise_the_cost_and_the_average_is_derived_from_it(self) -> None:
        book = fold_positions([buy(10, "1000"), buy(20, "2300", minute=2)])
        [line] = book.lines
        assert (line.position.quantity, line.cost) == (30, 3300)
        assert line.position.average_price == 110

    def test_a_repeating_average_leaves_the_cost_exact(self) -> None:
        [line] = fold_positions([buy(3, "100")]).lines
        assert line.cost == 100
        assert line.position.average_price == Decimal("33.3333333333")

    def test_a_sell_realises_its_proceeds_less_its_share_of_the_cost(self) -> None:
        book = fold_positions([buy(10, "1000"), sell(4, "480", minute=2)])
        [closed] = book.closed
        assert (closed.cost, closed.gross, closed.net) == (400, 80, 80)
        assert (book.lines[0].cost, book.quantity("005930")) == (600, 6)

    def test_fees_and_taxes_are_kept_apart_and_charged_to_the_trade_they_belong_to(self) -> None:
        book = fold_positions(
            [
                buy(10, "1000", fee=Decimal(10)),
                sell(5, "600", fee=Decimal(3), tax=Decimal(2), minute=2),
            ]
        )
        [closed] = book.closed
        assert (closed.gross, closed.entry_costs, closed.exit_costs) == (100, 5, 5)
        assert closed.net == 90
        assert book.realized() == {Currency.KRW: Realized(Decimal(100), Decimal(13), Decimal(2))}
        assert book.realized()[Currency.KRW].net == 85

    def test_a_closed_position_stays_with_what_it_earned(self) -> None:
        book = fold_positions([buy(3, "100"), sell(1, "40", minute=2), sell(2, "70", minute=3)])
        [line] = book.lines
        assert book.open_positions == ()
        assert (line.position.quantity, line.cost, line.position.average_price) == (0, 0, 0)
        assert line.position.realized == 10

    def test_a_position_that_is_bought_again_is_as_old_as_its_last_opening(self) -> None:
        later = SESSION + timedelta(days=3)
        book = fold_positions(
            [
                buy(1, "10"),
                sell(1, "11", minute=2),
                buy(1, "12", minute=3, session=later),
                buy(1, "12", minute=4, session=later + timedelta(days=1)),
            ]
        )
        [position] = book.open_positions
        assert (position.opened_on, position.opened_at) == (later, AT + 3 * MINUTE)
        assert position.average_price == 12

    def test_fills_are_taken_in_order_of_time_not_of_arrival(self) -> None:
        early, late = buy(10, "1000"), sell(10, "1100", minute=2)
        assert fold_positions([late, early]) == fold_positions([early, late])

    def test_a_currency_has_its_own_total(self) -> None:
        usd = {"instrument": APPLE, "currency": Currency.USD}
        book = fold_positions(
            [
                buy(1, "1000"),
                sell(1, "1500", minute=2),
                buy(1, "200.25", fill_id="u1", minute=3, **usd),
                sell(1, "200.50", fill_id="u2", minute=4, **usd),
            ]
        )
        gross = {currency: total.gross for currency, total in book.realized().items()}
        assert gross == {Currency.KRW: 500, Currency.USD: Decimal("0.25")}

    def test_one_symbol_in_two_currencies_is_an_error(self) -> None:
        with pytest.raises(CurrencyMismatch, match="005930"):
            fold_positions([buy(1, "10"), buy(1, "10", minute=2, currency=Currency.USD)])
        with pytest.raises(CurrencyMismatch, match="005930"):
            fold_positions([buy(1, "10"), sell(1, "10", minute=2, currency=Currency.USD)])

    def test_the_same_symbol_in_two_market_groups_is_two_positions(self) -> None:
        hong_kong = {"instrument": Instrument("005930", Market.HK), "currency": Currency.HKD}
        book = fold_positions([buy(1, "10"), buy(2, "20", minute=2, **hong_kong)])
        assert [line.position.quantity for line in book.lines] == [1, 2]

    def test_an_exchange_renamed_within_its_group_is_the_same_position(self) -> None:
        moved = Instrument("AAPL", Market.US_NYSE)
        usd = {"currency": Currency.USD}
        book = fold_positions(
            [buy(1, "10", instrument=APPLE, **usd), sell(1, "9", instrument=moved, minute=2, **usd)]
        )
        assert book.open_positions == ()


class TestAdoptedShares:
    def test_they_are_a_line_of_their_own(self) -> None:
        book = fold_positions([buy(10, "1000")], [make_lot(quantity=5, price=Decimal(90))])
        assert {p.origin: p.quantity for p in book.open_positions} == {STRATEGY: 10, ADOPTED: 5}
        assert book.quantity("005930") == 15
        adopted = book.line("005930", ADOPTED)
        assert adopted is not None
        assert adopted.cost == 450

    def test_a_sell_takes_the_strategys_shares_first(self) -> None:
        book = fold_positions(
            [buy(10, "1000"), sell(12, "1320", fee=Decimal(12), minute=2)],
            [make_lot(quantity=5, price=Decimal(90))],
        )
        first, second = book.closed
        assert (first.origin, first.quantity, first.gross, first.exit_costs) == (
            STRATEGY,
            10,
            100,
            10,
        )
        assert (second.origin, second.quantity, second.gross, second.exit_costs) == (
            ADOPTED,
            2,
            40,
            2,
        )
        assert book.realized()[Currency.KRW].net == 90
        assert book.realized(ADOPTED)[Currency.KRW].net == 38

    def test_shares_sold_by_hand_are_the_adopted_ones_first(self) -> None:
        by_hand = make_lot(
            lot_id="hand", quantity=-7, price=Decimal(100), adopted_at=AT + 5 * MINUTE
        )
        book = fold_positions([buy(10, "1000")], [make_lot(quantity=5, price=Decimal(90)), by_hand])
        assert {p.origin: p.quantity for p in book.open_positions} == {STRATEGY: 8}
        assert [(c.closing_id, c.origin, c.quantity) for c in book.closed] == [
            ("hand", ADOPTED, 5),
            ("hand", STRATEGY, 2),
        ]

    def test_shares_nobody_accounted_for_bring_no_profit_but_cost_their_fees(self) -> None:
        book = fold_positions([buy(1, "100"), sell(3, "330", fee=Decimal(3), minute=2)])
        [gone] = book.uncovered
        assert (gone.quantity, gone.proceeds) == (2, 220)
        assert [c.quantity for c in book.closed] == [1]
        assert book.realized()[Currency.KRW] == Realized(Decimal(10), Decimal(3), Decimal(0))
        assert book.quantity("005930") == 0


amounts = st.decimals("0.01", "99999999.99", places=2)
costs = st.decimals("0", "999.99", places=2)
instruments = st.sampled_from([SAMSUNG, Instrument("000660", Market.KR)])


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Fill], list[AdoptedLot]]:
    fills: list[Fill] = []
    lots: list[AdoptedLot] = []
    for minute in range(draw(st.integers(0, 25))):
        instrument, quantity = draw(instruments), draw(st.integers(1, 1000))
        kind = draw(st.sampled_from(["buy", "buy", "sell", "sell", "lot"]))
        if kind == "lot":
            lots.append(
                make_lot(
                    lot_id=str(minute),
                    instrument=instrument,
                    quantity=draw(st.sampled_from([quantity, -quantity])),
                    price=draw(amounts),
                    adopted_at=AT + minute * MINUTE,
                )
            )
            continue
        make = buy if kind == "buy" else sell
        fills.append(
            make(
                quantity,
                draw(amounts),
                instrument=instrument,
                fee=draw(costs),
                tax=draw(costs),
                minute=minute,
            )
        )
    return fills, lots


def total(values: Sequence[Decimal]) -> Decimal:
    return sum(values, Decimal(0))


def cash_of(fills: Sequence[Fill], lots: Sequence[AdoptedLot]) -> Decimal:
    """What trading moved, before fees and taxes; adopted shares count as bought when found."""
    bought = total([f.amount for f in fills if f.side is Side.BUY])
    sold = total([f.amount for f in fills if f.side is Side.SELL])
    return sold - bought - total([lot.quantity * lot.price for lot in lots])


def held_cost(book: PositionBook) -> Decimal:
    return total([line.cost for line in book.lines])


class TestTheBooksBalance:
    @given(histories())
    def test_cash_plus_cost_of_what_is_held_is_what_was_realised(
        self, history: tuple[list[Fill], list[AdoptedLot]]
    ) -> None:
        fills, lots = history
        with localcontext(prec=60):
            book = fold_positions(fills, lots)
            realized = total([line.position.realized for line in book.lines])
            uncovered = total([sale.proceeds for sale in book.uncovered])
            assert cash_of(fills, lots) + held_cost(book) == realized + uncovered
            assert realized == total([trade.gross for trade in book.closed])

    @given(histories())
    def test_every_share_is_somewhere(self, history: tuple[list[Fill], list[AdoptedLot]]) -> None:
        fills, lots = history
        book = fold_positions(fills, lots)
        for symbol in ("005930", "000660"):
            moved = sum(
                f.quantity if f.side is Side.BUY else -f.quantity
                for f in fills
                if f.instrument.symbol == symbol
            ) + sum(lot.quantity for lot in lots if lot.instrument.symbol == symbol)
            lost = sum(s.quantity for s in book.uncovered if s.instrument.symbol == symbol)
            assert book.quantity(symbol) == moved + lost
        assert all(line.position.quantity >= 0 and line.cost >= 0 for line in book.lines)

    @given(histories())
    def test_every_fee_and_tax_is_in_the_books_once(
        self, history: tuple[list[Fill], list[AdoptedLot]]
    ) -> None:
        fills, lots = history
        with localcontext(prec=60):
            book = fold_positions(fills, lots)
            both = [*book.realized(STRATEGY).values(), *book.realized(ADOPTED).values()]
            assert total([r.fees for r in both]) == total([f.fee for f in fills])
            assert total([r.taxes for r in both]) == total([f.tax for f in fills])
            if not book.uncovered:
                # What closed trades were charged, and what waits on shares still held.
                charged = total([t.entry_costs + t.exit_costs for t in book.closed])
                waiting = total([line.entry_costs for line in book.lines])
                assert charged + waiting == total([r.fees + r.taxes for r in both])

    @given(histories(), amounts)
    def test_selling_everything_leaves_exactly_nothing(
        self, history: tuple[list[Fill], list[AdoptedLot]], amount: Decimal
    ) -> None:
        fills, lots = history
        held = {
            symbol: fold_positions(fills, lots).quantity(symbol) for symbol in ("005930", "000660")
        }
        last = [
            sell(quantity, amount, instrument=Instrument(symbol, Market.KR), minute=100)
            for symbol, quantity in held.items()
            if quantity
        ]
        book = fold_positions([*fills, *last], lots)
        assert book.open_positions == ()
        assert all(line.cost == 0 and line.entry_costs == 0 for line in book.lines)
