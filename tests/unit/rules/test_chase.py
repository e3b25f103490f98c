"""What follows an order that did not fill, from its stored life alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from tests.order_books import NUMBER, make_row
from tests.record_factories import APPLE, AT, SAMSUNG, SESSION, make_intent, make_order_life
from trading_core.errors import ConfigError
from trading_core.model.limits import UnfilledPolicy
from trading_core.model.market import Currency
from trading_core.model.order import (
    IntentReason,
    OrderEvent,
    OrderRecord,
    OrderState,
    OrderType,
    RefusalCode,
    Side,
)
from trading_core.model.portfolio import Holding
from trading_core.model.price import BookLevel, OrderBook, Quote
from trading_core.rules import chase
from trading_core.rules.calendar import Phase
from trading_core.rules.chase import CancelCode, Chain, Terms

S = OrderState
POLICY = UnfilledPolicy()
KEY = (SAMSUNG.symbol, Side.BUY)


def make_cancelled(
    name: str = "intent-1",
    *,
    code: str = "unfilled",
    filled: int = 0,
    order_no: str = NUMBER,
    **intent: Any,
) -> OrderRecord:
    """An order we cancelled, a minute after it was made."""
    wish = make_intent(intent_id=name, **intent)
    life = make_order_life(
        S.INTENDED, S.SENDING, S.ACCEPTED, S.CANCEL_REQUESTED, S.CANCELLED,
        intent_id=name, order_no=order_no, at=wish.created_at,
    )  # fmt: skip
    life[3] = replace(life[3], code=code, at=wish.created_at + timedelta(minutes=1))
    return OrderRecord(wish, S.CANCELLED, tuple(life), filled, filled * D(70_500))


def working(name: str = "intent-1", **intent: Any) -> OrderRecord:
    wish = make_intent(intent_id=name, **intent)
    life = make_order_life(S.INTENDED, S.SENDING, S.ACCEPTED, intent_id=name, at=wish.created_at)
    return OrderRecord(wish, S.ACCEPTED, tuple(life))


def ended(name: str, state: OrderState, *, code: str = "", **intent: Any) -> OrderRecord:
    """An order that nobody at the exchange knows."""
    wish = make_intent(intent_id=name, **intent)
    return OrderRecord(wish, state, (OrderEvent(name, 0, state, wish.created_at, code=code),))


def row_of(record: OrderRecord, **changes: Any) -> Any:
    filled = record.filled_quantity
    values = {
        "order_no": record.order_no,
        "filled_quantity": filled,
        "cancelled_quantity": record.intent.quantity - filled,
    }
    return make_row(record.intent, **(values | changes))


def due(*orders: OrderRecord, book: Any = None) -> dict[Any, Chain]:
    rows = [row_of(r) for r in orders if r.state is S.CANCELLED] if book is None else book
    return chase.chains_due(orders, rows, session=SESSION)


def sale(name: str = "sale-1", **changes: Any) -> OrderRecord:
    values = {"side": Side.SELL, "reason": IntentReason.TAKE_PROFIT}
    return make_cancelled(name, **(values | changes))


class TestWhatIsDue:
    def test_an_entry_cancelled_because_it_did_not_fill_is_due_for_its_rest(self) -> None:
        chain = due(make_cancelled(filled=3))[KEY]
        assert (chain.remaining, chain.first) == (7, chain.last)

    @pytest.mark.parametrize("code", ["", "halted"])
    def test_what_was_cancelled_for_another_reason_is_not(self, code: str) -> None:
        assert due(make_cancelled(code=code)) == {}

    def test_what_nobody_of_us_cancelled_is_not(self) -> None:
        record = make_cancelled()
        events = tuple(e for e in record.events if e.state is not S.CANCEL_REQUESTED)
        assert due(replace(record, events=events)) == {}

    @pytest.mark.parametrize("state", [S.FILLED, S.EXPIRED, S.REJECTED, S.CANCEL_REQUESTED])
    def test_only_a_cancelled_order_is(self, state: OrderState) -> None:
        assert due(replace(make_cancelled(), state=state), book=[row_of(make_cancelled())]) == {}

    def test_an_order_the_book_does_not_show_is_not(self) -> None:
        assert due(make_cancelled(), book=[]) == {}

    @pytest.mark.parametrize(
        "changes",
        [
            {"remaining_quantity": 10, "cancelled_quantity": 0},
            {"remaining_quantity": 10},
            {"filled_quantity": 2, "cancelled_quantity": 8},
            {"cancelled_quantity": 6, "remaining_quantity": 0},
        ],
        ids=[
            "still open",
            "open and cancelled at once",
            "filled more",
            "four shares nobody accounts for",
        ],
    )
    def test_an_order_of_which_the_book_does_not_account_for_every_share_is_not(
        self, changes: dict[str, Any]
    ) -> None:
        record = make_cancelled()
        assert due(record, book=[row_of(record)]) != {}
        assert due(record, book=[row_of(record, **changes)]) == {}

    def test_an_order_whose_rest_works_under_another_number_is_not(self) -> None:
        record = make_cancelled()
        moved = make_row(record.intent, order_no="0000000009", original_no=record.order_no)
        assert due(record, book=[row_of(record), moved]) == {}

    def test_an_order_of_another_session_is_not(self) -> None:
        record = make_cancelled(session=SESSION - timedelta(days=1))
        assert due(record, book=[row_of(record)]) == {}

    def test_an_order_that_a_newer_one_came_after_is_not(self) -> None:
        newer = working("intent-2", created_at=AT + timedelta(minutes=2))
        assert due(make_cancelled(), newer) == {}

    @pytest.mark.parametrize("state", [S.REFUSED, S.REJECTED, S.INTENDED])
    def test_an_entry_is_due_once_however_its_chase_ended(self, state: OrderState) -> None:
        later = AT + timedelta(minutes=2)
        tried = ended("intent-2", state, chases="intent-1", created_at=later)
        assert due(make_cancelled(), tried) == {}

    def test_an_entry_whose_chase_never_left_is_due_again(self) -> None:
        later = AT + timedelta(minutes=2)
        tried = ended("intent-2", S.NOT_SENT, chases="intent-1", created_at=later)
        assert list(due(make_cancelled(), tried)) == [KEY]

    def test_a_chase_of_an_entry_is_not_chased(self) -> None:
        second = make_cancelled("intent-2", chases="intent-1", order_no="0000000002")
        assert due(make_cancelled(), second) == {}

    def test_an_exit_is_due_again_and_again_with_all_that_went_before(self) -> None:
        later = {"created_at": AT + timedelta(minutes=2), "order_no": "0000000002"}
        second = sale("sale-2", chases="sale-1", **later)
        (chain,) = due(sale(), second).values()
        assert [r.intent.intent_id for r in chain.orders] == ["sale-1", "sale-2"]
        assert chase.misses(chain.orders) == 2

    @pytest.mark.parametrize("state", [S.REFUSED, S.REJECTED, S.NOT_SENT])
    def test_an_exit_whose_chase_did_not_get_there_is_still_due(self, state: OrderState) -> None:
        later = AT + timedelta(minutes=2)
        tried = ended("sale-2", state, side=Side.SELL, chases="sale-1", created_at=later)
        assert [c.last.intent.intent_id for c in due(sale(), tried).values()] == ["sale-1"]


def quote_of(last: str = "70000", **changes: Any) -> Quote:
    price = D(last)
    return Quote(**({
        "instrument": SAMSUNG, "last": price, "open": price, "high": price, "low": price,
        "previous_close": price, "volume": 1, "at": AT,
    } | changes))  # fmt: skip


def book_of(bid: str, instrument: Any = SAMSUNG) -> OrderBook:
    return OrderBook(instrument, (), (BookLevel(D(bid), 5),), AT)


def terms(missed: int, last: str = "70000", bid: str | None = None, **changes: Any) -> Terms:
    before = {"limit_price": D(71_000), "reason": IntentReason.TAKE_PROFIT, "side": Side.SELL}
    options: dict[str, Any] = {"phase": Phase.CONTINUOUS, "policy": POLICY}
    instrument = changes.pop("instrument", SAMSUNG)
    options |= {k: changes.pop(k) for k in ("phase", "policy", "market_refused") if k in changes}
    currency = Currency.KRW if instrument is SAMSUNG else Currency.USD
    wish = make_intent(instrument=instrument, currency=currency, **(before | changes))
    seen = quote_of(last, instrument=instrument)
    book = None if bid is None else book_of(bid, instrument)
    return chase.exit_terms(wish, seen, book, missed=missed, **options)


MARKET = Terms(OrderType.MARKET, None)


class TestHowAnExitGoesOn:
    def test_first_at_the_best_bid(self) -> None:
        assert terms(1, bid="69000") == Terms(OrderType.LIMIT, D(69_000))

    def test_or_as_far_below_the_last_price_as_its_reason_allows(self) -> None:
        assert terms(1, bid="69900").limit_price == 69_700
        assert terms(1, bid="69900", reason=IntentReason.HARD_STOP).limit_price == 68_600

    def test_never_above_what_was_asked_before(self) -> None:
        assert terms(1, bid="69900", limit_price=D(65_000)).limit_price == 65_000
        assert terms(2, limit_price=D(60_000), instrument=APPLE).limit_price == 60_000

    def test_after_two_misses_as_a_market_order_in_koreas_continuous_session(self) -> None:
        assert terms(2) == MARKET

    @pytest.mark.parametrize("phase", [p for p in Phase if p is not Phase.CONTINUOUS])
    def test_never_as_a_market_order_in_any_other_phase(self, phase: Phase) -> None:
        assert terms(2, bid="69000", phase=phase) == Terms(OrderType.LIMIT, D(67_700))

    def test_never_as_a_market_order_where_the_route_takes_none(self) -> None:
        limits_alone = UnfilledPolicy(market_orders=False)
        assert terms(2, policy=limits_alone).order_type is OrderType.LIMIT
        assert terms(2, market_refused=True).order_type is OrderType.LIMIT

    def test_abroad_as_a_limit_well_through_the_book(self) -> None:
        there = terms(2, "100", bid="99.5", instrument=APPLE, limit_price=D("99.5"))
        assert there == Terms(OrderType.LIMIT, D("97.51"))

    def test_there_is_no_cap_on_the_gap(self) -> None:
        assert terms(1, "50000", bid="49000").limit_price == 49_000


class TestWhenAnExitIsGivenUp:
    record = working("s", side=Side.SELL, limit_price=D(100))
    higher, lower = Terms(OrderType.LIMIT, D(101)), Terms(OrderType.LIMIT, D(99))

    def given_up(self, seconds: int, after: Terms, strongest: Terms, **record: Any) -> Any:
        at = self.record.intent.created_at + timedelta(seconds=seconds)
        seen = replace(self.record, **record)
        return chase.exit_given_up(seen, after, strongest, at, POLICY)

    def test_not_before_it_has_waited(self) -> None:
        assert self.given_up(29, self.lower, MARKET) is None
        assert self.given_up(30, self.lower, MARKET) is CancelCode.UNFILLED

    def test_not_for_an_order_that_reaches_no_further(self) -> None:
        same = Terms(OrderType.LIMIT, D(100))
        for after in (self.higher, same):
            assert self.given_up(59, after, MARKET) is None
            assert self.given_up(60, after, MARKET) is CancelCode.STUCK
            assert self.given_up(6000, after, same) is None

    def test_a_market_order_is_left_to_work(self) -> None:
        wish = replace(self.record.intent, limit_price=None)
        assert self.given_up(6000, self.lower, MARKET, intent=wish) is None

    def test_a_cancel_is_asked_for_again_for_the_reason_it_had(self) -> None:
        asked = OrderEvent("s", 3, S.CANCEL_REQUESTED, AT, code="stuck")
        events = (*self.record.events, asked)
        again = self.given_up(60, self.lower, MARKET, state=S.CANCEL_REQUESTED, events=events)
        assert again is CancelCode.STUCK

    def test_an_order_that_was_stuck_counts_as_two_misses(self) -> None:
        assert chase.misses([sale(code="stuck")]) == 2
        assert chase.misses([sale(), sale("sale-2")]) == 2


class TestWhatAnEntryMayPay:
    chain = Chain((make_cancelled(decided_price=D(10_000)),))

    def given_up(self, price: int, *, minutes: int = 3, cap: float = 2.0) -> Any:
        at = self.chain.first.intent.created_at + timedelta(minutes=minutes)
        policy = UnfilledPolicy(max_gap_pct=cap)
        return chase.entry_given_up(self.chain, D(price), at=at, policy=policy)

    def test_the_cap_itself_is_paid_and_one_won_more_is_not(self) -> None:
        assert self.given_up(10_200) is None
        code, why = self.given_up(10_201)
        assert (code, "2.01 % above 10000" in why) == (RefusalCode.CHASE_GAP, True)

    def test_a_lower_price_is_always_paid(self) -> None:
        assert self.given_up(9_000, cap=0.0) is None

    def test_the_gap_is_measured_from_the_first_decision(self) -> None:
        second = make_cancelled("intent-2", decided_price=D(10_200), chases="intent-1")
        chain = Chain((*self.chain.orders, second))
        at = AT + timedelta(minutes=3)
        assert chase.entry_given_up(chain, D(10_300), at=at, policy=POLICY) is not None

    def test_a_decision_stands_for_half_an_hour(self) -> None:
        assert self.given_up(10_000, minutes=30) is None
        assert self.given_up(10_000, minutes=31)[0] is RefusalCode.CHASE_TOO_LATE


class TestSalesWithoutBalance:
    holding = Holding(SAMSUNG, 100, 100, D(70_000), D(70_000))

    def refused(self, code: str = "APBK0400") -> OrderRecord:
        return ended("sale-1", S.REJECTED, code=code, side=Side.SELL, decision_id="d1")

    @pytest.mark.parametrize("code", ["APBK0400", "40240000"])
    def test_is_not_sent_again_while_the_holding_is_the_same(self, code: str) -> None:
        known = {"d1": (100, 100)}
        assert chase.has_no_balance(self.holding, [self.refused(code)], known)

    @pytest.mark.parametrize("changes", [{"quantity": 99}, {"sellable": 50}])
    def test_is_sent_again_once_it_changed(self, changes: dict[str, int]) -> None:
        holding = replace(self.holding, **changes)
        assert not chase.has_no_balance(holding, [self.refused()], {"d1": (100, 100)})

    def test_is_sent_again_when_it_changed_and_came_back(self) -> None:
        later = AT + timedelta(minutes=1)
        between = ended("sale-2", S.REFUSED, side=Side.SELL, decision_id="d2", created_at=later)
        known = {"d1": (100, 100), "d2": (100, 0)}
        assert not chase.has_no_balance(self.holding, [self.refused(), between], known)

    def test_another_rejection_does_not_hold_a_sale_back(self) -> None:
        known = {"d1": (100, 100)}
        assert not chase.has_no_balance(self.holding, [self.refused("APBK0919")], known)


def test_a_cancel_on_its_way_may_be_asked_for_again_after_ten_seconds() -> None:
    asked = OrderEvent("intent-1", 3, S.CANCEL_REQUESTED, AT)
    record = replace(working(), state=S.CANCEL_REQUESTED, events=(asked,))
    assert not chase.may_ask(record, AT + timedelta(seconds=9))
    assert chase.may_ask(record, AT + timedelta(seconds=10))
    assert chase.may_ask(working(), AT)


def test_a_refused_market_order_of_another_symbol_says_nothing() -> None:
    refused = ended("m", S.REJECTED, side=Side.SELL, order_type=OrderType.MARKET)
    assert chase.market_refused(SAMSUNG.symbol, [refused])
    assert not chase.market_refused("000660", [refused])


@pytest.mark.parametrize(
    "wrong",
    [
        {"entry_wait": timedelta(0)},
        {"exit_wait": timedelta(days=2)},
        {"max_gap_pct": -0.1},
        {"max_gap_pct": float("nan")},
    ],
)
def test_a_policy_out_of_range_is_not_accepted(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        UnfilledPolicy(**wrong)
