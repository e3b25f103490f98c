"""The promises about entries: each at its bounds, each missed when it is gone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from tests.guard_books import NO_GUARDS, ago, at_price, in_dollars, make_quote, make_record, traded
from tests.record_factories import AT, SAMSUNG, SESSION, make_fill, make_intent
from trading_core.errors import ConfigError
from trading_core.model.limits import GuardLimits, RiskLimits
from trading_core.model.market import Currency, Instrument, Market, MarketGroup
from trading_core.model.order import (
    ApprovedOrder,
    IntentReason,
    OrderIntent,
    OrderRecord,
    OrderState,
    Refusal,
    RefusalCode,
    Side,
)
from trading_core.model.portfolio import Account, Holding
from trading_core.model.price import Quote
from trading_core.rules.guards import PROMISES
from trading_core.rules.positions import fold_positions
from trading_core.rules.risk import RiskState, check
from trading_core.rules.trade_history import trade_history

CASH = D(10_000_000)
HYNIX = Instrument("000660", Market.KR)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def ask(
    intent: OrderIntent | None = None,
    *,
    limits: GuardLimits = NO_GUARDS,
    quote: Quote | None = None,
    account: Account | None = None,
    at: datetime = AT,
    **facts: Any,
) -> RefusalCode | None:
    """The code the whole gate refuses an entry with; None when it approves."""
    answer = gate(intent, limits=limits, quote=quote, account=account, at=at, **facts)
    if isinstance(answer, ApprovedOrder):
        return None
    assert isinstance(answer, Refusal), answer
    assert answer.detail
    return answer.code


def gate(
    intent: OrderIntent | None,
    *,
    limits: GuardLimits,
    quote: Quote | None,
    account: Account | None,
    at: datetime,
    **facts: Any,
) -> object:
    wanted = intent or make_intent(quantity=1)
    books = account or Account(wanted.currency, CASH, CASH, (), AT)
    return check(
        wanted,
        RiskState(
            books, books.equity, history=trade_history(books, session=SESSION, at=at, **facts)
        ),
        RiskLimits(),
        confidence=90,
        lot=1,
        at=at,
        quote=quote or make_quote(wanted.decided_price, of=wanted.instrument),
        guards=limits,
    )


# --- the table ------------------------------------------------------------------------------


def test_every_promise_has_a_code_and_a_sentence_of_its_own() -> None:
    assert len({promise.code for promise in PROMISES}) == len(PROMISES)
    assert len({promise.says for promise in PROMISES}) == len(PROMISES)


def test_only_the_throttle_binds_exits() -> None:
    assert [promise.code for promise in PROMISES if promise.binds_exits] == [RefusalCode.TOO_SOON]


def test_an_entry_that_breaks_nothing_passes_the_standing_guards() -> None:
    assert ask(limits=GuardLimits()) is None


def test_without_any_facts_no_entry_passes() -> None:
    answer = check(
        make_intent(),
        RiskState(Account(Currency.KRW, CASH, CASH, (), AT), CASH),
        RiskLimits(),
        confidence=90,
        lot=1,
        at=AT,
    )
    assert isinstance(answer, Refusal)


# --- re-entry after a loss ------------------------------------------------------------------

TWO_HOURS = replace(NO_GUARDS, reentry_after_loss=timedelta(minutes=120))


def a_loss(when: datetime, of: Instrument = SAMSUNG) -> dict[str, Any]:
    return traded((Side.BUY, 10, 70_000, ago(days=2)), (Side.SELL, 10, 69_000, when), of=of)


@pytest.mark.parametrize(
    ("since", "code"),
    [
        (timedelta(0), RefusalCode.REENTRY),
        (timedelta(minutes=119, seconds=59), RefusalCode.REENTRY),
        (timedelta(minutes=120), None),
        (timedelta(days=1), None),
    ],
)
def test_after_a_losing_exit_there_is_no_entry_for_two_hours(
    since: timedelta, code: RefusalCode | None
) -> None:
    assert ask(limits=TWO_HOURS, **a_loss(AT - since)) is code


def test_a_losing_exit_of_another_symbol_holds_nothing_back() -> None:
    assert ask(limits=TWO_HOURS, **a_loss(AT, of=HYNIX)) is None


@pytest.mark.parametrize(("fee", "code"), [(49, None), (50, None), (51, RefusalCode.REENTRY)])
def test_what_an_exit_earned_is_counted_after_the_costs_of_both_ends(
    fee: int, code: RefusalCode | None
) -> None:
    facts = traded((Side.BUY, 1, 70_000, AT), (Side.SELL, 1, 70_100, AT), fee=fee)
    assert ask(limits=TWO_HOURS, **facts) is code


def test_an_exit_of_several_fills_is_one_exit() -> None:
    fills = [
        make_fill(fill_id="b", intent_id="b", quantity=20, price=D(100), fee=D(0), filled_at=AT),
        *(
            make_fill(
                fill_id=f"s{price}",
                intent_id="s",
                side=Side.SELL,
                quantity=10,
                price=D(price),
                fee=D(0),
                filled_at=AT,
            )
            for price in (90, 111)
        ),
    ]
    closed = fold_positions(fills).closed
    assert ask(limits=TWO_HOURS, fills=fills, closed=closed) is None
    assert ask(limits=TWO_HOURS, fills=fills[:2], closed=closed[:1]) is RefusalCode.REENTRY


def test_a_gain_after_a_loss_does_not_end_the_pause() -> None:
    facts = traded(
        (Side.BUY, 10, 70_000, ago(minutes=50)),
        (Side.SELL, 10, 69_000, ago(minutes=40)),
        (Side.BUY, 10, 68_000, ago(minutes=30)),
        (Side.SELL, 10, 69_000, ago(minutes=20)),
    )
    assert ask(limits=TWO_HOURS, **facts) is RefusalCode.REENTRY


# --- tries of a session ---------------------------------------------------------------------

ONE_TRY = replace(NO_GUARDS, entry_tries_per_session=1)


@pytest.mark.parametrize("state", ["cancelled", "rejected", "expired"])
def test_an_entry_that_ended_without_a_fill_was_the_try_of_its_session(state: str) -> None:
    record = make_record(OrderState(state))
    assert ask(limits=ONE_TRY, orders=[record]) is RefusalCode.ENTRY_TRIED
    assert ask(limits=replace(ONE_TRY, entry_tries_per_session=2), orders=[record]) is None


@pytest.mark.parametrize(
    "record",
    [
        make_record(OrderState.CANCELLED, filled=1),
        make_record(OrderState.FILLED, filled=10),
        make_record(OrderState.NOT_SENT),
        make_record(OrderState.REFUSED, sent=None),
        make_record(OrderState.CANCELLED, session=SESSION - timedelta(days=1)),
        make_record(OrderState.CANCELLED, instrument=HYNIX),
        make_record(OrderState.CANCELLED, side=Side.SELL, reason=IntentReason.HARD_STOP),
    ],
    ids=["part filled", "filled", "not sent", "refused", "other day", "other symbol", "exit"],
)
def test_what_is_no_try(record: OrderRecord) -> None:
    assert ask(limits=ONE_TRY, orders=[record]) is None


# --- not above the last sale ----------------------------------------------------------------

TWO_MINUTES = replace(NO_GUARDS, not_above_sale=timedelta(seconds=120))


@pytest.mark.parametrize(
    ("price", "since", "code"),
    [
        ("70000.01", 0, RefusalCode.ABOVE_LAST_SALE),
        ("70000.01", 119, RefusalCode.ABOVE_LAST_SALE),
        ("70000.01", 120, None),
        ("70000", 0, None),
        ("69999.99", 0, None),
    ],
)
def test_nothing_is_bought_back_dearer_for_two_minutes(
    price: str, since: int, code: RefusalCode | None
) -> None:
    facts = traded(
        (Side.BUY, 10, 60_000, ago(days=1)),
        (Side.SELL, 5, 80_000, ago(minutes=3)),
        (Side.SELL, 5, 70_000, ago(seconds=since)),
    )
    assert ask(at_price(price), limits=TWO_MINUTES, **facts) is code


# --- chasing --------------------------------------------------------------------------------

NO_CHASE = replace(NO_GUARDS, chase_gain_pct=4.0, chase_near_high_pct=0.5)


@pytest.mark.parametrize(
    ("last", "high", "code"),
    [
        (10_400, 10_400, RefusalCode.CHASING_HIGH),
        (10_399, 10_399, None),
        (10_945, 11_000, RefusalCode.CHASING_HIGH),
        (10_944, 11_000, None),
        (10_400, 0, RefusalCode.CHASING_HIGH),
    ],
    ids=["gain at bound", "gain below", "near at bound", "away from high", "high unknown"],
)
def test_the_high_of_a_day_of_large_gains_is_not_bought(
    last: int, high: int, code: RefusalCode | None
) -> None:
    quote = make_quote(D(last), high=D(high), before=D(10_000))
    assert ask(at_price(last), limits=NO_CHASE, quote=quote) is code


def test_a_gain_that_cannot_be_known_is_no_gain_of_zero() -> None:
    quote = make_quote(before=D(0))
    assert ask(limits=NO_CHASE, quote=quote) is RefusalCode.CHASING_HIGH


# --- lowest price ---------------------------------------------------------------------------


@pytest.mark.parametrize(("price", "code"), [("4.99", RefusalCode.PRICE_TOO_LOW), ("5", None)])
def test_an_entry_below_the_lowest_price_of_its_market_is_refused(
    price: str, code: RefusalCode | None
) -> None:
    limits = replace(NO_GUARDS, min_prices={MarketGroup.US: D(5), MarketGroup.KR: D(1000)})
    assert ask(in_dollars(price), limits=limits) is code


def test_the_standing_lowest_prices_bind_every_market() -> None:
    assert set(GuardLimits().min_prices) == set(MarketGroup)
    assert ask(at_price(999), limits=GuardLimits()) is RefusalCode.PRICE_TOO_LOW
    assert ask(at_price(1000), limits=GuardLimits()) is None


# --- cash -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("buffer", "code"), [("8997.50", None), ("8997.51", RefusalCode.CASH_BUFFER)]
)
def test_a_foreign_entry_leaves_its_buffer_with_costs_paid(
    buffer: str, code: RefusalCode | None
) -> None:
    books = Account(Currency.USD, D(10_000), D(10_000), (), AT)
    limits = replace(NO_GUARDS, cash_buffers={Currency.USD: D(buffer)})
    # Ten shares at 100 dollars and a fee of 0.25 %.
    assert ask(in_dollars(), limits=limits, account=books) is code


def test_the_buffer_is_the_larger_of_amount_and_share() -> None:
    books = Account(Currency.USD, D(10_000), D(1_500), (), AT)
    share = replace(NO_GUARDS, cash_buffer_pct=10.0)
    assert ask(in_dollars("100", 4), limits=share, account=books) is None
    small = Account(Currency.USD, D(10_000), D(1_300), (), AT)
    assert ask(in_dollars("100", 3), limits=share, account=small) is RefusalCode.CASH_BUFFER
    both = replace(share, cash_buffers={Currency.USD: D(1_200)})
    assert ask(in_dollars("100", 4), limits=both, account=books) is RefusalCode.CASH_BUFFER


def test_won_need_no_buffer() -> None:
    limits = replace(NO_GUARDS, cash_buffer_pct=100.0, cash_buffers={Currency.KRW: CASH})
    assert ask(limits=limits) is None


TEN_MINUTES = replace(NO_GUARDS, pause_after_no_cash=timedelta(minutes=10))


@pytest.mark.parametrize("said", ["APBK0952", "40250000"])
@pytest.mark.parametrize(
    ("since", "code"), [(0, RefusalCode.CASH_PAUSE), (599, RefusalCode.CASH_PAUSE), (600, None)]
)
def test_after_the_broker_missed_the_cash_the_symbol_pauses_ten_minutes(
    said: str, since: int, code: RefusalCode | None
) -> None:
    record = make_record(OrderState.REJECTED, ended=ago(seconds=since), code=said)
    assert ask(limits=TEN_MINUTES, orders=[record]) is code
    assert ask(limits=ONE_TRY, orders=[record]) is None
    assert ask(at_price(100, instrument=HYNIX), limits=TEN_MINUTES, orders=[record]) is None


def test_another_rejection_is_no_lack_of_cash() -> None:
    record = make_record(OrderState.REJECTED, ended=AT, code="APBK0919")
    assert ask(limits=TEN_MINUTES, orders=[record]) is None


# --- caps -----------------------------------------------------------------------------------


def holding(value: int, of: Instrument = HYNIX) -> Holding:
    return Holding(of, 1, 1, D(value), D(value))


def worth(total: int, *held: Holding) -> Account:
    """An account of that equity, the rest of it in cash."""
    cash = total - sum((item.value for item in held), D(0))
    return Account(Currency.KRW, cash, cash, held, AT)


@pytest.mark.parametrize(("price", "code"), [(20_000, None), (20_001, RefusalCode.SYMBOL_CAP)])
def test_one_symbol_takes_no_more_than_its_share(price: int, code: RefusalCode | None) -> None:
    limits = replace(NO_GUARDS, max_symbol_pct=20.0)
    assert ask(at_price(price), limits=limits, account=worth(100_000)) is code


@pytest.mark.parametrize(("price", "code"), [(10_000, None), (10_001, RefusalCode.EXPOSURE_CAP)])
def test_all_positions_and_working_entries_take_no_more_than_their_share(
    price: int, code: RefusalCode | None
) -> None:
    limits = replace(NO_GUARDS, max_exposure_pct=60.0)
    working = make_record(
        OrderState.PARTIALLY_FILLED,
        filled=7,
        quantity=10,
        limit_price=D(10_000),
        instrument=Instrument("035420", Market.KR),
    )
    books = worth(100_000, holding(20_000))
    assert ask(at_price(price), limits=limits, account=books, orders=[working]) is code


@pytest.mark.parametrize(("price", "code"), [(10_000, None), (10_001, RefusalCode.SECTOR_CAP)])
def test_a_sector_takes_no_more_than_its_share_where_it_is_known(
    price: int, code: RefusalCode | None
) -> None:
    chips = {"005930": "chips", "000660": "chips"}
    limits = replace(NO_GUARDS, max_sector_pct=30.0, sectors={MarketGroup.KR: chips})
    books = worth(100_000, holding(20_000), holding(30_000, Instrument("1", Market.KR)))
    assert ask(at_price(price), limits=limits, account=books) is code
    unknown = replace(limits, sectors={MarketGroup.US: chips, MarketGroup.KR: {"000660": "chips"}})
    assert ask(at_price(price), limits=unknown, account=books) is None


def test_what_was_approved_in_the_tick_counts_for_the_next_entry() -> None:
    chips = {MarketGroup.KR: {f"S{n}": "chips" for n in range(9)}}
    books = worth(1_000_000)
    one = {"instrument": Instrument("S1", Market.KR)}
    two = at_price(60_000, instrument=Instrument("S2", Market.KR))
    for limits, code in (
        (replace(NO_GUARDS, max_exposure_pct=10.0), RefusalCode.EXPOSURE_CAP),
        (replace(NO_GUARDS, max_sector_pct=10.0, sectors=chips), RefusalCode.SECTOR_CAP),
        (replace(NO_GUARDS, max_orders_per_session=1), RefusalCode.ORDERS_PER_SESSION),
        (replace(NO_GUARDS, max_orders_per_minute=1), RefusalCode.ORDERS_PER_MINUTE),
    ):
        state = RiskState(books, CASH, history=trade_history(books, session=SESSION, at=AT))
        state = replace(state, session_open_equity=D(1_000_000))
        rest: dict[str, Any] = {"confidence": 90, "lot": 1, "at": AT, "guards": limits}
        first = check(at_price(60_000, **one), state, RiskLimits(), quote=make_quote(), **rest)
        assert isinstance(first, ApprovedOrder)
        second = check(two, state.after(first), RiskLimits(), quote=make_quote(), **rest)
        assert isinstance(second, Refusal)
        assert second.code is code


# --- how many -------------------------------------------------------------------------------


def many(count: int, *, newest: datetime, side: Side = Side.BUY) -> list[OrderRecord]:
    state = OrderState.FILLED
    return [
        make_record(state, sent=newest - n * SECOND, side=side, instrument=HYNIX, filled=10)
        for n in range(count)
    ]


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize(("sent", "code"), [(4, None), (5, RefusalCode.ORDERS_PER_SESSION)])
def test_a_session_has_so_many_orders_exits_counted(
    sent: int, code: RefusalCode | None, side: Side
) -> None:
    limits = replace(NO_GUARDS, max_orders_per_session=5)
    assert ask(limits=limits, orders=many(sent, newest=ago(hours=1), side=side)) is code
    yesterday = SESSION - timedelta(days=1)
    older = [
        replace(r, intent=replace(r.intent, session=yesterday))
        for r in many(sent, newest=ago(hours=1))
    ]
    assert ask(limits=limits, orders=older) is None


@pytest.mark.parametrize(
    ("newest", "sent", "code"),
    [
        (ago(seconds=0), 4, None),
        (ago(seconds=0), 5, RefusalCode.ORDERS_PER_MINUTE),
        (ago(seconds=55), 5, RefusalCode.ORDERS_PER_MINUTE),
        (ago(seconds=56), 5, None),
    ],
)
def test_a_minute_has_so_many_orders(newest: datetime, sent: int, code: RefusalCode | None) -> None:
    limits = replace(NO_GUARDS, max_orders_per_minute=5)
    assert ask(limits=limits, orders=many(sent, newest=newest)) is code


def test_what_was_never_sent_is_not_counted() -> None:
    limits = replace(NO_GUARDS, max_orders_per_session=1, max_orders_per_minute=1)
    assert ask(limits=limits, orders=[make_record(OrderState.REFUSED, sent=None)]) is None


# --- the throttle ---------------------------------------------------------------------------

TEN_SECONDS = replace(NO_GUARDS, repeat_after=timedelta(seconds=10))


@pytest.mark.parametrize("state", ["filled", "cancelled", "rejected", "expired", "not_sent"])
@pytest.mark.parametrize(
    ("since", "code"), [(0, RefusalCode.TOO_SOON), (9.999, RefusalCode.TOO_SOON), (10, None)]
)
def test_no_second_entry_of_a_symbol_within_ten_seconds_however_the_first_ended(
    since: float, code: RefusalCode | None, state: str
) -> None:
    record = make_record(OrderState(state), sent=ago(seconds=since))
    assert ask(limits=TEN_SECONDS, orders=[record]) is code


def make_exit(quantity: int = 10) -> OrderIntent:
    return make_intent(intent_id="exit", side=Side.SELL, reason=IntentReason.HARD_STOP)


def held(sellable: int = 10) -> Account:
    shares = Holding(SAMSUNG, sellable, sellable, D(70_000), D(70_000))
    return Account(Currency.KRW, CASH, CASH, (shares,), AT)


@pytest.mark.parametrize("state", ["cancelled", "rejected", "expired", "not_sent"])
def test_an_exit_that_did_not_do_its_work_is_repeated_at_once(state: str) -> None:
    record = make_record(OrderState(state), sent=AT, side=Side.SELL)
    assert ask(make_exit(), limits=TEN_SECONDS, account=held(), orders=[record]) is None


@pytest.mark.parametrize(("since", "code"), [(9.999, RefusalCode.TOO_SOON), (10, None)])
def test_an_exit_right_after_one_that_filled_waits_for_the_books(
    since: float, code: RefusalCode | None
) -> None:
    record = make_record(OrderState.FILLED, sent=ago(seconds=since), side=Side.SELL, filled=5)
    facts: dict[str, Any] = {"limits": TEN_SECONDS, "account": held(), "orders": [record]}
    assert ask(make_exit(), **facts) is code
    assert ask(make_intent(instrument=HYNIX), **facts) is None


def test_an_entry_does_not_hold_back_the_exit_of_its_symbol() -> None:
    record = make_record(OrderState.FILLED, sent=AT, filled=10)
    assert ask(make_exit(), limits=TEN_SECONDS, account=held(), orders=[record]) is None


# --- limits ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        {"entry_tries_per_session": -1},
        {"reentry_after_loss": timedelta(seconds=-1)},
        {"reentry_after_loss": timedelta(days=7, seconds=1)},
        {"not_above_sale": -SECOND},
        {"repeat_after": -SECOND},
        {"pause_after_no_cash": -SECOND},
        {"chase_gain_pct": -0.1},
        {"chase_near_high_pct": float("nan")},
        {"cash_buffer_pct": 100.1},
        {"max_symbol_pct": float("inf")},
        {"max_sector_pct": -1.0},
        {"max_exposure_pct": 101.0},
        {"max_orders_per_session": -1},
        {"max_orders_per_minute": -1},
    ],
    ids=str,
)
def test_guards_that_make_no_sense_cannot_be_made(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(values))):
        GuardLimits(**values)


@pytest.mark.parametrize("amount", [D(-1), D("NaN"), D("Infinity")])
def test_amounts_that_make_no_sense_cannot_be_made(amount: D) -> None:
    with pytest.raises(ConfigError, match="KR="):
        GuardLimits(min_prices={MarketGroup.KR: amount})
    with pytest.raises(ConfigError, match="USD="):
        GuardLimits(cash_buffers={Currency.USD: amount})
