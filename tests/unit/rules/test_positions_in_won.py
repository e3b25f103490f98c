"""Profit in won, what the currency did of it, and the lots behind a position."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.record_factories import (
    APPLE,
    AT,
    MINUTE,
    SAMSUNG,
    SESSION,
    make_fill,
    make_lot,
    make_split,
)
from trading_core.model.market import Currency
from trading_core.model.order import Fill, Side
from trading_core.model.portfolio import AdoptedLot, Lot, PositionOrigin, Split
from trading_core.rules.position_book import KrwPnl, won_rate
from trading_core.rules.positions import fold_positions

D = Decimal


def trade(side: Side, quantity: int, price: str, rate: str | None, **changes: Any) -> Fill:
    minute = changes.pop("minute", 1)
    values: dict[str, Any] = {
        "fill_id": f"{side}-{minute}",
        "instrument": APPLE,
        "currency": Currency.USD,
        "side": side,
        "quantity": quantity,
        "price": D(price),
        "fee": D(0),
        "filled_at": AT + minute * MINUTE,
        "krw_rate": None if rate is None else D(rate),
    }
    return make_fill(**(values | changes))


def buy(quantity: int, price: str, rate: str | None, **changes: Any) -> Fill:
    return trade(Side.BUY, quantity, price, rate, **changes)


def sell(quantity: int, price: str, rate: str | None, **changes: Any) -> Fill:
    return trade(Side.SELL, quantity, price, rate, **changes)


class TestAClosedTrade:
    def test_price_and_rate_are_told_apart(self) -> None:
        book = fold_positions([buy(10, "100", "1300"), sell(10, "110", "1400", minute=2)])
        [closed] = book.closed
        # 100 dollars earned at 1400, and 1000 dollars that are worth 100 won more each.
        assert closed.krw == KrwPnl(strategy=D(140_000), fx=D(100_000))
        assert closed.krw.total == 10 * 110 * 1400 - 10 * 100 * 1300
        assert book.lines[0].realized_krw == closed.krw

    def test_costs_of_the_entry_were_paid_at_its_rate_and_those_of_the_exit_at_its_own(
        self,
    ) -> None:
        book = fold_positions(
            [
                buy(10, "100", "1300", fee=D(5)),
                sell(10, "110", "1400", fee=D(6), tax=D(1), minute=2),
            ]
        )
        [closed] = book.closed
        assert closed.net == 88
        assert closed.krw == KrwPnl(strategy=88 * D(1400), fx=1005 * D(100))
        assert closed.krw.total == (1100 - 7) * 1400 - 1005 * 1300

    def test_the_rate_of_the_entry_is_the_average_by_what_was_paid(self) -> None:
        book = fold_positions(
            [
                buy(10, "100", "1300"),
                buy(30, "100", "1500", minute=2),
                sell(20, "100", "1450", minute=3),
            ]
        )
        [line] = book.lines
        assert line.entry_rate == 1450
        assert line.realized_krw == KrwPnl(D(0), D(0))

    @pytest.mark.parametrize("missing", ["entry", "exit"])
    def test_without_a_rate_there_is_no_profit_in_won(self, missing: str) -> None:
        rates = (None, "1400") if missing == "entry" else ("1300", None)
        book = fold_positions([buy(10, "100", rates[0]), sell(4, "110", rates[1], minute=2)])
        [closed], [line] = book.closed, book.lines
        assert closed.net == 40
        assert (closed.krw, closed.strategy_krw, closed.fx_krw, line.realized_krw) == (None,) * 4
        if missing == "entry":
            assert (line.entry_krw, line.entry_rate) == (None, None)
            assert line.unrealized_krw(D(120), D(1400)) is None
        else:
            assert line.unrealized_krw(D(120), D(1400)) == KrwPnl(D(168_000), D(60_000))
            assert line.unrealized_krw(D(120), None) is None

    def test_a_position_opened_again_forgets_the_rate_nobody_knew(self) -> None:
        book = fold_positions(
            [
                buy(1, "100", None),
                sell(1, "100", "1400", minute=2),
                buy(1, "100", "1500", minute=3),
            ]
        )
        assert book.lines[0].entry_rate == 1500

    def test_a_rate_of_nothing_is_no_rate(self) -> None:
        assert won_rate(Currency.USD, D(0)) is None
        assert won_rate(Currency.USD, None) is None
        assert won_rate(Currency.KRW, None) == 1

    def test_won_needs_no_rate_and_no_rate_earns_it_anything(self) -> None:
        won = {"instrument": SAMSUNG, "currency": Currency.KRW}
        book = fold_positions([buy(2, "100", None, **won), sell(1, "130", None, minute=2, **won)])
        assert book.closed[0].krw == KrwPnl(D(30), D(0))
        assert book.lines[0].unrealized_krw(D(90), None) == KrwPnl(D(-10), D(0))

    def test_adopted_shares_count_from_the_rate_of_the_day_they_were_found(self) -> None:
        found = make_lot(
            instrument=APPLE, currency=Currency.USD, quantity=2, price=D(100), krw_rate=D(1300)
        )
        gone = replace(
            found, lot_id="gone", quantity=-2, krw_rate=D(1400), adopted_at=AT + 3 * MINUTE
        )
        book = fold_positions([], [found, gone])
        assert book.closed[0].krw == KrwPnl(D(0), D(20_000))
        unknown = fold_positions([], [replace(found, krw_rate=None), gone])
        assert unknown.closed[0].krw is None


class TestLots:
    def test_they_are_the_purchases_that_are_left_first_in_first_out(self) -> None:
        later = SESSION + timedelta(days=1)
        book = fold_positions(
            [
                buy(10, "100", "1300"),
                buy(5, "110", "1310", minute=2, session=later),
                sell(12, "120", "1320", minute=3),
            ]
        )
        [line] = book.lines
        assert line.lots == (Lot(later, 3, D(110), D(1310)),)
        # The average-cost book goes its own way: a fifth of all that was paid.
        assert line.cost == (1000 + 550) * D(3) / 15

    def test_a_split_makes_other_shares_of_them(self) -> None:
        split = make_split(instrument=APPLE, numerator=3, denominator=2, at=AT + 3 * MINUTE)
        book = fold_positions(
            [buy(10, "90", "1300"), buy(5, "120", "1310", minute=2)], splits=[split]
        )
        [line] = book.lines
        assert [(lot.quantity, lot.price) for lot in line.lots] == [(15, 60), (8, 80)]
        assert (line.position.quantity, line.cost) == (23, 1500)
        assert line.position.opened_at == split.at
        assert line.position.opened_on == SESSION

    def test_a_split_of_another_symbol_or_of_what_was_sold_changes_nothing(self) -> None:
        split = make_split(at=AT + 5 * MINUTE)
        fills = [buy(10, "100", "1300"), sell(10, "100", "1300", minute=2)]
        assert fold_positions(fills, splits=[split]) == fold_positions(fills)
        other = replace(split, instrument=APPLE)
        assert fold_positions(fills, splits=[other]) == fold_positions(fills)

    def test_a_split_comes_after_what_was_seen_at_the_same_moment(self) -> None:
        split = make_split(instrument=APPLE, at=AT + MINUTE)
        book = fold_positions([buy(10, "100", "1300")], splits=[split])
        assert book.quantity("AAPL") == 20

    def test_both_lines_of_a_symbol_are_split_and_neither_is_lost(self) -> None:
        split = make_split(instrument=APPLE, numerator=1, denominator=10, at=AT + 5 * MINUTE)
        lot = make_lot(instrument=APPLE, currency=Currency.USD, quantity=97, price=D(10))
        book = fold_positions([buy(3, "10", "1300")], [lot], [split])
        assert [line.position.quantity for line in book.lines] == [10, 1]
        assert [line.cost for line in book.lines] == [970, 30]
        assert split.adding([3, 97]).added == 11 - 100


rates = st.decimals("0.01", "3000", places=4)
amounts = st.decimals("0.01", "99999999.99", places=2)
costs = st.decimals("0", "999.99", places=2)


@st.composite
def histories(
    draw: st.DrawFn, known: bool = True
) -> tuple[list[Fill], list[AdoptedLot], list[Split]]:
    fills: list[Fill] = []
    lots: list[AdoptedLot] = []
    splits: list[Split] = []
    for minute in range(draw(st.integers(0, 20))):
        rate = draw(rates if known else st.one_of(rates, st.none()))
        quantity = draw(st.integers(1, 500))
        match draw(st.sampled_from(["buy", "buy", "sell", "sell", "lot", "split"])):
            case "lot":
                lots.append(
                    make_lot(
                        lot_id=str(minute),
                        instrument=APPLE,
                        currency=Currency.USD,
                        quantity=draw(st.sampled_from([quantity, -quantity])),
                        price=draw(amounts),
                        adopted_at=AT + minute * MINUTE,
                        krw_rate=rate,
                    )
                )
            case "split":
                up, down = draw(st.integers(1, 12)), draw(st.integers(1, 12))
                splits.append(
                    make_split(
                        split_id=str(minute),
                        instrument=APPLE,
                        numerator=up,
                        denominator=down,
                        at=AT + minute * MINUTE,
                    )
                )
            case side:
                fills.append(
                    make_fill(
                        fill_id=str(minute),
                        instrument=APPLE,
                        currency=Currency.USD,
                        side=Side.BUY if side == "buy" else Side.SELL,
                        quantity=quantity,
                        price=D(1),
                        amount=draw(amounts),
                        fee=draw(costs),
                        tax=draw(costs),
                        filled_at=AT + minute * MINUTE,
                        krw_rate=rate,
                    )
                )
    return fills, lots, splits


class TestProfitInWonAddsUp:
    @given(histories(), amounts, rates)
    def test_strategy_and_currency_are_exactly_the_won_received_less_the_won_paid(
        self, history: tuple[list[Fill], list[AdoptedLot], list[Split]], price: D, rate: D
    ) -> None:
        book = fold_positions(*history)
        with localcontext(prec=90):
            for closed in book.closed:
                assert closed.krw is not None
                assert closed.entry_krw is not None
                assert closed.exit_rate is not None
                received = (closed.proceeds - closed.exit_costs) * closed.exit_rate
                assert closed.krw.strategy == closed.net * closed.exit_rate
                assert closed.krw.strategy + closed.krw.fx == closed.krw.total
                assert closed.krw.total == received - closed.entry_krw
            for line in book.lines:
                assert line.entry_krw is not None
                open_now = line.unrealized_krw(price, rate)
                assert open_now is not None
                paid = line.cost + line.entry_costs
                value = line.position.quantity * price
                assert open_now.strategy == (value - paid) * rate
                assert open_now.strategy + open_now.fx == open_now.total
                assert open_now.total == value * rate - line.entry_krw

    @given(histories())
    def test_every_won_that_was_paid_is_in_a_closed_trade_or_still_held(
        self, history: tuple[list[Fill], list[AdoptedLot], list[Split]]
    ) -> None:
        fills, lots, _ = history
        book = fold_positions(*history)
        quantum = D("1e-10")
        with localcontext(prec=90):
            paid = sum(
                (
                    ((f.amount + f.fee + f.tax) * (f.krw_rate or 0)).quantize(quantum)
                    for f in fills
                    if f.side is Side.BUY
                ),
                D(0),
            ) + sum(
                (
                    (lot.quantity * lot.price * (lot.krw_rate or 0)).quantize(quantum)
                    for lot in lots
                    if lot.quantity > 0
                ),
                D(0),
            )
            left = sum((c.entry_krw or D(0) for c in book.closed), D(0))
            assert paid == left + sum((line.entry_krw or D(0) for line in book.lines), D(0))

    @given(histories(known=False))
    def test_one_rate_that_is_not_known_is_never_taken_for_a_number(
        self, history: tuple[list[Fill], list[AdoptedLot], list[Split]]
    ) -> None:
        fills, lots, _ = history
        book = fold_positions(*history)
        exits = {f.fill_id: f.krw_rate for f in fills} | {lot.lot_id: lot.krw_rate for lot in lots}
        for closed in book.closed:
            assert closed.exit_rate == exits[closed.closing_id]
            assert (closed.krw is None) == (closed.exit_rate is None or closed.entry_krw is None)
        entries = [f.krw_rate for f in fills if f.side is Side.BUY] + [
            lot.krw_rate for lot in lots if lot.quantity > 0
        ]
        if entries and all(rate is None for rate in entries):
            assert all(c.krw is None for c in book.closed)
            assert all(line.entry_krw is None for line in book.open_lines)

    @given(histories())
    def test_the_lots_are_the_position_and_a_split_changes_no_cost(
        self, history: tuple[list[Fill], list[AdoptedLot], list[Split]]
    ) -> None:
        fills, lots, _ = history
        book = fold_positions(*history)
        for line in book.lines:
            assert sum(lot.quantity for lot in line.lots) == line.position.quantity
            assert all(lot.quantity > 0 for lot in line.lots)
            assert (line.position.quantity == 0) == (line.cost == 0)
        with localcontext(prec=90):
            bought = sum((f.amount for f in fills if f.side is Side.BUY), D(0))
            found = sum((lot.quantity * lot.price for lot in lots if lot.quantity > 0), D(0))
            gone = sum((closed.cost for closed in book.closed), D(0))
            assert bought + found == gone + sum((line.cost for line in book.lines), D(0))

    def test_won_of_two_origins_are_kept_apart(self) -> None:
        lot = make_lot(
            instrument=APPLE, currency=Currency.USD, quantity=1, price=D(50), krw_rate=D(1000)
        )
        fills = [buy(1, "100", "1300"), sell(2, "110", "1400", minute=2)]
        book = fold_positions(fills, [lot])
        by_origin = {line.position.origin: line.realized_krw for line in book.lines}
        assert by_origin == {
            PositionOrigin.STRATEGY: KrwPnl(D(14_000), D(10_000)),
            PositionOrigin.ADOPTED: KrwPnl(D(84_000), D(20_000)),
        }
