"""Every invariant sees what breaks it, and nothing where store and broker agree."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.order_books import NUMBER, make_record, make_row
from tests.record_factories import (
    APPLE,
    AT,
    MINUTE,
    SAMSUNG,
    SESSION,
    make_equity,
    make_event,
    make_fill,
    make_intent,
    make_lot,
    make_split,
)
from trading_core.model.difference import DifferenceKind, Severity
from trading_core.model.journal import HaltKind, HaltLevel
from trading_core.model.market import Currency, MarketGroup
from trading_core.model.order import OrderRecord, OrderState, Side
from trading_core.model.portfolio import Account, Holding
from trading_core.rules.evidence import Evidence
from trading_core.rules.invariants import INVARIANTS, halts_over, violations
from trading_core.rules.order_invariants import STATE_GRACE
from trading_core.rules.order_life import GRACE
from trading_core.rules.positions import Uncovered

D = Decimal
K = DifferenceKind
S = OrderState
LATER = AT + timedelta(hours=1)


def account(held: int = 0, cash: int = 9_000_000) -> Account:
    holdings = (Holding(SAMSUNG, held, held, D(70_000), D(70_000)),) if held else ()
    return Account(Currency.KRW, D(cash), D(cash), holdings, LATER)


def evidence(**changes) -> Evidence:
    values = {"account": account(), "book": (), "orders": (), "fills": ()} | changes
    return Evidence(MarketGroup.KR, SESSION, LATER, **values)


def filled(**changes) -> OrderRecord:
    """A filled order of ten shares, its events long ago."""
    record = make_record(S.ACCEPTED, filled_quantity=10)
    end = make_event(sequence=3, state=S.FILLED, order_no=NUMBER, at=AT)
    return replace(record, state=S.FILLED, events=(*record.events, end), **changes)


def refused_sale() -> OrderRecord:
    intent = make_intent(intent_id="sale", decision_id="exit", side=Side.SELL)
    record = make_record(S.SENDING, intent=intent)
    end = make_event(intent_id="sale", sequence=2, state=S.REJECTED, code="APBK0400")
    return replace(record, state=S.REJECTED, events=(*record.events, end))


def unsure(at=AT) -> OrderRecord:
    return make_record(S.UNKNOWN, at=at)


BROKEN = {
    K.STRAY_FILL: evidence(fills=[make_fill()]),
    K.OVERFILLED: evidence(orders=[filled(filled_quantity=11)]),
    K.SHARED_NUMBER: evidence(
        orders=[filled(), replace(filled(), intent=make_intent(intent_id="other"))],
        book=[make_row(filled_quantity=10)],
    ),
    K.FILLS_DIFFER: evidence(orders=[filled()], book=[make_row(filled_quantity=9)]),
    K.SHARES_DIFFER: evidence(lots=[make_lot(quantity=5)], account=account(5)),
    K.GHOST: evidence(lots=[make_lot(quantity=-5)], orders=[refused_sale()]),
    K.SPLIT: evidence(splits=[make_split()]),
    K.UNCOVERED_SALE: evidence(
        fills=[make_fill(quantity=10)],
        orders=[filled()],
        book=[make_row(filled_quantity=10)],
        uncovered=[Uncovered("fill-1", SAMSUNG, 4, D(280_000), Currency.KRW)],
    ),
    K.CASH_MOVED: evidence(
        curve=[
            make_equity(at=LATER - MINUTE * n, cash=D(cash)) for n, cash in ((2, 1), (1, 9), (0, 9))
        ]
    ),
    K.NO_STATE: evidence(orders=[unsure()]),
    K.ANSWER_LOST: evidence(settled=[make_record(S.ACCEPTED)]),
    K.NOT_IN_BOOK: evidence(orders=[make_record(S.ACCEPTED)]),
    K.FOREIGN_ORDER: evidence(book=[make_row()]),
    K.NOTHING_TO_SELL: evidence(
        account=account(10), orders=[refused_sale()], held_then={"exit": (10, 10)}
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_breaks_one_invariant_is_seen_by_that_one_alone(kind):
    (found,) = violations(BROKEN[kind])
    assert found.kind is kind
    assert (found.market, found.session, found.at) == ("KR", SESSION, LATER)
    assert violations(replace(BROKEN[kind], reported=[found])) == ()


def test_each_is_named_once_and_says_its_own_sentence():
    assert {item.kind for item in INVARIANTS} == set(DifferenceKind)
    assert len({item.kind for item in INVARIANTS}) == len(INVARIANTS)
    assert len({item.says for item in INVARIANTS}) == len(INVARIANTS)


def test_nothing_differs_where_everything_agrees():
    fills = [make_fill(quantity=10)]
    agreed = evidence(
        orders=[filled()], fills=fills, book=[make_row(filled_quantity=10)], account=account(10)
    )
    assert violations(agreed) == ()


def test_only_what_nobody_can_explain_halts_the_market_and_exits_go_on():
    halting = {K.STRAY_FILL, K.OVERFILLED, K.SHARED_NUMBER}
    for kind, seen in BROKEN.items():
        halts = halts_over(violations(seen))
        assert len(halts) == (kind in halting), kind
        for halt in halts:
            assert (halt.kind, halt.scope) == (HaltKind.INVARIANT, "KR")
            assert halt.level is HaltLevel.REDUCING


@pytest.mark.parametrize("change", [{"instrument": APPLE}, {"side": Side.SELL}])
def test_a_fill_of_another_instrument_or_side_than_its_order_is_stray(change):
    seen = evidence(
        orders=[filled()], fills=[make_fill(**change)], book=[make_row(filled_quantity=10)]
    )
    assert [item.kind for item in violations(seen)] == [K.STRAY_FILL]


def test_a_book_that_lags_behind_is_waited_for():
    young = replace(BROKEN[K.FILLS_DIFFER], at=AT + GRACE - timedelta(seconds=1))
    assert violations(young) == ()
    assert violations(replace(BROKEN[K.FILLS_DIFFER], at=AT + GRACE)) != ()


def test_an_order_has_some_time_to_be_found_or_given_up():
    assert violations(replace(BROKEN[K.NO_STATE], at=AT + STATE_GRACE)) == ()


def test_a_row_that_may_be_the_order_of_unknown_fate_is_not_called_foreign():
    seen = evidence(orders=[unsure(LATER)], book=[make_row()])
    assert violations(seen) == ()


def test_cancels_and_modifies_are_no_foreign_orders():
    row = make_row(order_no="7", original_no="5")
    assert violations(evidence(book=[row])) == ()


def test_an_order_like_one_that_was_given_up_is_critical():
    record = unsure()
    end = make_event(sequence=3, state=S.NOT_SENT)
    given_up = replace(record, state=S.NOT_SENT, events=(*record.events, end))
    (found,) = violations(evidence(orders=[given_up], book=[make_row()]))
    assert (found.kind, found.severity) == (K.FOREIGN_ORDER, Severity.CRITICAL)
    assert record.intent.intent_id in found.expected


def test_two_moves_of_cash_of_the_same_size_are_two_differences():
    (first,) = violations(BROKEN[K.CASH_MOVED])
    points = [
        make_equity(at=LATER - MINUTE * n, cash=D(c)) for n, c in ((3, 1), (2, 9), (1, 17), (0, 17))
    ]
    (second,) = violations(replace(BROKEN[K.CASH_MOVED], curve=points, reported=[first]))
    assert (first.amount, second.amount) == (8, 8)
    assert first.difference_id != second.difference_id


def test_a_holding_that_changed_since_may_be_sold_again():
    assert violations(replace(BROKEN[K.NOTHING_TO_SELL], account=account(4))) == ()
