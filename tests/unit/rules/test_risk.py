"""The risk gate: the breaker, the fat finger and every coded refusal."""

from __future__ import annotations

import ast
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trading_core
from tests.guard_books import NO_GUARDS
from tests.record_factories import APPLE, AT, SAMSUNG, SESSION, make_halt, make_intent
from trading_core.errors import CurrencyMismatch
from trading_core.model.journal import Halt, HaltKind
from trading_core.model.limits import RiskLimits
from trading_core.model.market import Currency, Instrument, Market
from trading_core.model.order import (
    ApprovedOrder,
    IntentReason,
    OrderIntent,
    OrderType,
    Refusal,
    RefusalCode,
    Side,
)
from trading_core.model.portfolio import Account, Holding
from trading_core.rules.risk import ALL, RiskState, breaker, check, day_pnl_pct, halts_for

LIMITS = RiskLimits()
TEN_MILLION = D(10_000_000)


def make_account(
    cash: D = TEN_MILLION,
    *holdings: Holding,
    orderable: D | None = None,
    currency: Currency = Currency.KRW,
) -> Account:
    return Account(currency, cash, cash if orderable is None else orderable, holdings, AT)


def make_state(account: Account | None = None, **changes: Any) -> RiskState:
    values: dict[str, Any] = {
        "account": account or make_account(),
        "session_open_equity": TEN_MILLION,
    }
    return RiskState(**(values | changes))


def make_holding(quantity: int = 100, sellable: int | None = None, price: D = D(70_000)) -> Holding:
    return Holding(SAMSUNG, quantity, quantity if sellable is None else sellable, price, price)


def make_exit(**changes: Any) -> OrderIntent:
    values: dict[str, Any] = {
        "side": Side.SELL,
        "reason": IntentReason.HARD_STOP,
        "limit_price": D(69_000),
        "decided_price": D(70_000),
    }
    return make_intent(**(values | changes))


def gate(
    intent: OrderIntent,
    state: RiskState,
    limits: RiskLimits = LIMITS,
    *,
    confidence: int = 85,
    lot: int = 1,
) -> ApprovedOrder | Refusal | Halt:
    """The gate with its guards switched off; they have a page of tests of their own."""
    return check(intent, state, limits, confidence=confidence, lot=lot, at=AT, guards=NO_GUARDS)


def code_of(answer: ApprovedOrder | Refusal | Halt) -> RefusalCode:
    assert isinstance(answer, Refusal), answer
    return answer.code


def lost(share_pct: str) -> RiskState:
    """An account that is down by that many percent of its equity at the session's start."""
    return make_state(make_account(TEN_MILLION * (100 - D(share_pct)) / 100))


# --- the breaker ----------------------------------------------------------------------------


def test_day_pnl_is_measured_against_the_equity_at_the_session_start() -> None:
    assert day_pnl_pct(D(10_000_000), D(9_700_000)) == -3
    assert day_pnl_pct(D("12345.67"), D("12345.67")) == 0
    assert day_pnl_pct(D(200), D(250)) == 25


@pytest.mark.parametrize("base", [D(0), D(-1)])
def test_without_a_base_there_is_no_day_pnl(base: D) -> None:
    assert day_pnl_pct(base, D(100)) is None


@pytest.mark.parametrize("loss", ["-2", "0", "2.99", "2.9999999", "3", "3.00"])
def test_a_loss_within_the_limit_trades_and_exactly_three_percent_is_within(loss: str) -> None:
    assert breaker(lost(loss), LIMITS, session=SESSION, at=AT) is None
    assert isinstance(gate(make_intent(), lost(loss)), ApprovedOrder)


@pytest.mark.parametrize("loss", ["3.0000001", "3.01", "4", "99.9"])
def test_a_loss_beyond_the_limit_trips_however_little_beyond(loss: str) -> None:
    halt = breaker(lost(loss), LIMITS, session=SESSION, at=AT)
    assert halt is not None
    assert (halt.kind, halt.scope, halt.raised_at) == (HaltKind.BREAKER, "KRW", AT)
    assert halt.lifted_at is None
    assert gate(make_intent(), lost(loss)) == halt


def test_equity_counts_holdings_not_cash_alone() -> None:
    invested = make_account(D(3_000_000), make_holding(100, price=D(70_000)))
    assert breaker(make_state(invested), LIMITS, session=SESSION, at=AT) is None
    fallen = make_account(D(3_000_000), make_holding(100, price=D(66_999)))
    assert breaker(make_state(fallen), LIMITS, session=SESSION, at=AT) is not None


def test_a_stricter_limit_trips_earlier() -> None:
    strict = RiskLimits(max_loss_pct=1.5)
    assert breaker(lost("1.5"), strict, session=SESSION, at=AT) is None
    assert breaker(lost("1.51"), strict, session=SESSION, at=AT) is not None


def test_the_same_breaker_is_not_raised_twice() -> None:
    first = breaker(lost("3.5"), LIMITS, session=SESSION, at=AT)
    assert first is not None
    standing = replace(lost("3.6"), halts=(first,))
    later = AT + timedelta(minutes=1)
    assert breaker(standing, LIMITS, session=SESSION, at=later) is None
    assert code_of(gate(make_intent(), standing)) is RefusalCode.HALTED


def test_each_currency_has_a_breaker_of_its_own() -> None:
    dollars = make_account(D(12_000), currency=Currency.USD)
    won_halt = make_halt(scope="KRW")
    fine = RiskState(dollars, D(12_000), halts=(won_halt,))
    assert breaker(fine, LIMITS, session=SESSION, at=AT) is None
    down = RiskState(make_account(D(11_000), currency=Currency.USD), D(12_000), halts=(won_halt,))
    halt = breaker(down, LIMITS, session=SESSION, at=AT)
    assert halt is not None
    assert halt.scope == "USD"


def test_a_halt_of_another_kind_does_not_keep_the_breaker_from_tripping() -> None:
    by_hand = make_halt(kind=HaltKind.OPERATOR, scope="KRW")
    state = replace(lost("3.5"), halts=(by_hand,))
    halt = breaker(state, LIMITS, session=SESSION, at=AT)
    assert halt is not None
    assert halt.halt_id != by_hand.halt_id


@pytest.mark.parametrize("base", [None, D(0), D(-5)])
def test_without_a_base_to_measure_from_no_entry_is_approved_but_exits_are(base: D | None) -> None:
    state = make_state(make_account(TEN_MILLION, make_holding()), session_open_equity=base)
    assert breaker(state, LIMITS, session=SESSION, at=AT) is None
    other = make_intent(instrument=Instrument("000660", Market.KR))
    assert code_of(gate(other, state)) is RefusalCode.CASH_UNKNOWN
    assert isinstance(gate(make_exit(), state), ApprovedOrder)


def test_a_tripped_breaker_lets_protective_sells_through() -> None:
    held = make_account(D(1_000_000), make_holding(100, price=D(50_000)))
    state = make_state(held)
    assert isinstance(gate(make_exit(), state), ApprovedOrder)
    halted = replace(state, halts=(make_halt(),))
    assert isinstance(gate(make_exit(), halted), ApprovedOrder)


def test_halts_that_forbid_entries_are_those_of_the_market_the_currency_or_all() -> None:
    for_all = make_halt(halt_id="a", scope=ALL)
    for_won = make_halt(halt_id="b", scope="KRW")
    for_korea = make_halt(halt_id="c", scope="KR")
    elsewhere = make_halt(halt_id="d", scope="US")
    lifted = make_halt(halt_id="e", scope=ALL, lifted_at=AT, lifted_by="me")
    given_halts = [for_all, for_won, for_korea, elsewhere, lifted]
    found = halts_for(given_halts, group="KR", currency=Currency.KRW)
    assert found == (for_all, for_won, for_korea)
    assert halts_for([for_won], group="US", currency=Currency.USD) == ()


# --- the fat finger -------------------------------------------------------------------------


def priced(quantity: int, price: str) -> OrderIntent:
    return make_intent(quantity=quantity, limit_price=D(price), decided_price=D(price))


def test_an_entry_of_exactly_thirty_percent_passes() -> None:
    answer = gate(priced(30, "100000"), make_state())
    assert isinstance(answer, ApprovedOrder)
    assert answer.intent == priced(30, "100000")
    assert answer.approved_at == AT


@pytest.mark.parametrize(("quantity", "price"), [(30, "100000.0001"), (31, "100000")])
def test_an_entry_above_thirty_percent_is_refused(quantity: int, price: str) -> None:
    assert code_of(gate(priced(quantity, price), make_state())) is RefusalCode.FAT_FINGER


def test_the_limit_price_counts_not_the_price_that_was_decided_on() -> None:
    intent = make_intent(quantity=30, limit_price=D(100_200), decided_price=D(100_000))
    assert code_of(gate(intent, make_state())) is RefusalCode.FAT_FINGER


def test_a_market_order_is_measured_at_the_price_that_was_decided_on() -> None:
    fits = make_intent(
        quantity=30, order_type=OrderType.MARKET, limit_price=None, decided_price=D(100_000)
    )
    assert isinstance(gate(fits, make_state()), ApprovedOrder)
    assert code_of(gate(replace(fits, quantity=31), make_state())) is RefusalCode.FAT_FINGER


@pytest.mark.parametrize("orderable", [D(0), D(-1), D("-0.01")])
def test_without_cash_an_entry_is_refused(orderable: D) -> None:
    state = make_state(make_account(TEN_MILLION, orderable=orderable))
    assert code_of(gate(make_intent(quantity=1), state)) is RefusalCode.NO_CASH


def test_cash_reserved_by_open_orders_is_not_available() -> None:
    state = make_state(make_account(TEN_MILLION, orderable=D(2_000_000)))
    assert isinstance(gate(priced(6, "100000"), state), ApprovedOrder)
    assert code_of(gate(priced(7, "100000"), state)) is RefusalCode.FAT_FINGER


def test_cash_promised_earlier_in_the_tick_counts_as_spent_with_its_fee() -> None:
    state = make_state()
    first = gate(priced(30, "100000"), state)
    assert isinstance(first, ApprovedOrder)
    after = state.after(first)
    assert after.promised == D(3_000_000) + 421
    assert after.available == D(7_000_000) - 421
    other = Instrument("000660", Market.KR)
    second = replace(priced(21, "100000"), instrument=other)
    assert code_of(gate(second, after)) is RefusalCode.FAT_FINGER
    assert isinstance(gate(replace(second, quantity=20), after), ApprovedOrder)


def test_a_sale_promises_no_cash() -> None:
    state = make_state(make_account(TEN_MILLION, make_holding()))
    sold = gate(make_exit(), state)
    assert isinstance(sold, ApprovedOrder)
    assert state.after(sold).available == state.available


# --- exits ----------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", [reason for reason in IntentReason if not reason.is_entry])
def test_exits_are_held_back_by_nothing_that_is_meant_for_entries(reason: IntentReason) -> None:
    state = RiskState(
        account=make_account(D(-5), make_holding(1000, price=D(70_000)), orderable=D(-5)),
        session_open_equity=None,
        halts=(make_halt(), make_halt(halt_id="x", kind=HaltKind.OPERATOR, scope=ALL)),
        promised=D(10**12),
        no_entries="global rule",
    )
    wanted = make_exit(reason=reason, quantity=1000)
    answer = gate(wanted, state, confidence=0, lot=7)
    assert answer == ApprovedOrder(wanted, AT)


def test_an_exit_is_cut_down_to_what_is_sellable() -> None:
    state = make_state(make_account(TEN_MILLION, make_holding(100, sellable=40)))
    answer = gate(make_exit(quantity=100), state)
    assert isinstance(answer, ApprovedOrder)
    assert answer.intent == make_exit(quantity=40)
    smaller = gate(make_exit(quantity=39), state)
    assert isinstance(smaller, ApprovedOrder)
    assert smaller.intent.quantity == 39


@pytest.mark.parametrize("quantity", [0, 10])
def test_nothing_that_is_not_there_is_sold(quantity: int) -> None:
    exit_ = make_exit(quantity=quantity)
    assert code_of(gate(exit_, make_state())) is RefusalCode.NOT_HELD
    all_in_orders = make_state(make_account(TEN_MILLION, make_holding(100, sellable=0)))
    assert code_of(gate(exit_, all_in_orders)) is RefusalCode.NOT_HELD


def test_an_exit_of_no_shares_is_refused() -> None:
    state = make_state(make_account(TEN_MILLION, make_holding()))
    assert code_of(gate(make_exit(quantity=0), state)) is RefusalCode.BELOW_LOT


def test_a_second_exit_of_a_symbol_waits_for_the_first() -> None:
    state = make_state(make_account(TEN_MILLION, make_holding()))
    first = gate(make_exit(quantity=10), state)
    assert isinstance(first, ApprovedOrder)
    assert code_of(gate(make_exit(), state.after(first))) is RefusalCode.ALREADY_WORKING


def test_a_working_entry_does_not_hold_back_the_exit_of_its_symbol() -> None:
    state = make_state(
        make_account(TEN_MILLION, make_holding()), working=frozenset({("005930", Side.BUY)})
    )
    assert isinstance(gate(make_exit(), state), ApprovedOrder)


def test_a_sale_is_an_exit_whatever_its_reason_says_and_never_sells_short() -> None:
    state = make_state(make_account(TEN_MILLION, make_holding(5)))
    answer = gate(make_exit(reason=IntentReason.ENTRY, quantity=50), state)
    assert isinstance(answer, ApprovedOrder)
    assert answer.intent.quantity == 5


def test_a_buy_is_an_entry_whatever_its_reason_says() -> None:
    state = replace(make_state(), halts=(make_halt(),))
    disguised = make_intent(reason=IntentReason.HARD_STOP)
    assert code_of(gate(disguised, state)) is RefusalCode.HALTED


# --- the other refusals ---------------------------------------------------------------------


def test_while_an_order_is_unknown_nothing_at_all_is_sent() -> None:
    state = make_state(make_account(TEN_MILLION, make_holding()), unknown=True)
    other = make_intent(instrument=Instrument("000660", Market.KR))
    assert code_of(gate(other, state)) is RefusalCode.UNKNOWN_ORDER
    assert code_of(gate(make_exit(), state)) is RefusalCode.UNKNOWN_ORDER


def test_the_threshold_itself_is_confident_enough_and_one_below_is_not() -> None:
    assert isinstance(gate(make_intent(), make_state(), confidence=80), ApprovedOrder)
    answer = gate(make_intent(), make_state(), confidence=79)
    assert code_of(answer) is RefusalCode.CONFIDENCE


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"halts": (make_halt(kind=HaltKind.OPERATOR, scope=ALL),)}, RefusalCode.HALTED),
        ({"no_entries": "global rule: down"}, RefusalCode.NO_ENTRIES),
        ({"working": frozenset({("005930", Side.BUY)})}, RefusalCode.ALREADY_WORKING),
        ({"account": make_account(TEN_MILLION, make_holding(1))}, RefusalCode.ALREADY_HELD),
        (
            {"account": make_account(TEN_MILLION, make_holding(1, sellable=0))},
            RefusalCode.ALREADY_HELD,
        ),
    ],
)
def test_an_entry_is_refused_with_the_code_of_what_stands_against_it(
    changes: dict[str, Any], code: RefusalCode
) -> None:
    answer = gate(make_intent(quantity=1), make_state(**changes))
    assert isinstance(answer, Refusal)
    assert answer.code is code
    assert answer.detail
    assert (answer.intent, answer.refused_at) == (make_intent(quantity=1), AT)


def test_the_same_symbol_twice_in_one_tick_is_refused_the_second_time() -> None:
    state = make_state()
    first = gate(make_intent(quantity=1), state)
    assert isinstance(first, ApprovedOrder)
    assert code_of(gate(make_intent(quantity=1), state.after(first))) is RefusalCode.ALREADY_WORKING


def test_other_symbols_do_not_stand_in_the_way() -> None:
    state = make_state(working=frozenset({("000660", Side.BUY)}))
    assert isinstance(gate(make_intent(quantity=1), state), ApprovedOrder)


@pytest.mark.parametrize("quantity", [-100, 0, 50, 150])
def test_an_entry_must_be_whole_lots(quantity: int) -> None:
    answer = gate(make_intent(quantity=quantity, limit_price=D(100)), make_state(), lot=100)
    assert code_of(answer) is RefusalCode.BELOW_LOT


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("price", ["0", "-1", "NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("field", ["decided_price", "limit_price"])
def test_no_order_is_approved_on_a_price_that_is_none(side: Side, price: str, field: str) -> None:
    held = make_state(make_account(TEN_MILLION, make_holding()))
    wanted = make_exit() if side is Side.SELL else make_intent(instrument=SAMSUNG)
    state = held if side is Side.SELL else make_state()
    assert code_of(gate(replace(wanted, **{field: D(price)}), state)) is RefusalCode.NO_PRICE


def test_an_order_in_another_currency_than_the_account_is_an_error() -> None:
    dollars = make_intent(
        instrument=APPLE, currency=Currency.USD, limit_price=D(200), decided_price=D(200)
    )
    with pytest.raises(CurrencyMismatch):
        gate(dollars, make_state())


def test_only_the_risk_gate_makes_approved_orders() -> None:
    root = Path(trading_core.__file__).parent
    makers = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", getattr(node.func, "attr", "")) == "ApprovedOrder"
    }
    assert makers == {"rules/risk.py"}


# --- whatever the inputs --------------------------------------------------------------------

AMOUNTS = st.decimals(-(10**6), 10**12, places=2)
PRICES = st.decimals(-1, 10**7, places=4)
LIMITS_ANY = st.builds(
    RiskLimits,
    max_loss_pct=st.floats(0.01, 3.0),
    max_order_pct=st.floats(0.01, 30.0),
    confidence_threshold=st.integers(0, 100),
)
SYMBOLS = st.sampled_from(["A", "B", "C", "D"])
INTENTS = st.builds(
    lambda symbol, side, reason, quantity, limit, decided: make_intent(
        intent_id=f"{symbol}{side}",
        instrument=Instrument(symbol, Market.KR),
        side=side,
        reason=reason,
        quantity=quantity,
        limit_price=limit,
        decided_price=decided,
    ),
    SYMBOLS,
    st.sampled_from(Side),
    st.sampled_from(IntentReason),
    st.integers(-10, 10**6),
    st.none() | PRICES,
    PRICES,
)
HOLDINGS = st.lists(
    st.builds(
        lambda symbol, quantity, sellable, price: Holding(
            Instrument(symbol, Market.KR), quantity, min(quantity, sellable), price, price
        ),
        SYMBOLS,
        st.integers(0, 1000),
        st.integers(0, 1000),
        st.decimals(1, 10**5, places=0),
    ),
    max_size=2,
    unique_by=lambda holding: holding.instrument.symbol,
)
STATES = st.builds(
    lambda cash, orderable, held, base, **rest: RiskState(
        make_account(cash, *held, orderable=orderable), base, **rest
    ),
    AMOUNTS,
    AMOUNTS,
    HOLDINGS,
    st.none() | AMOUNTS,
    halts=st.sampled_from([(), (), (make_halt(),)]),
    promised=st.decimals(0, 10**9, places=2),
    working=st.frozensets(st.tuples(SYMBOLS, st.sampled_from(Side)), max_size=2),
    unknown=st.sampled_from([False, False, False, True]),
    no_entries=st.sampled_from(["", "", "down"]),
)


@given(INTENTS, STATES, LIMITS_ANY, st.integers(0, 100), st.sampled_from([1, 10, 100]))
def test_whatever_the_inputs_an_approved_order_keeps_every_promise(
    intent: OrderIntent, state: RiskState, limits: RiskLimits, confidence: int, lot: int
) -> None:
    answer = check(intent, state, limits, confidence=confidence, lot=lot, at=AT, guards=NO_GUARDS)
    if not isinstance(answer, ApprovedOrder):
        return
    order, symbol = answer.intent, intent.instrument.symbol
    held = state.account.holding(symbol)
    assert not state.unknown
    assert (symbol, order.side) not in state.working
    assert order.quantity > 0
    assert order.decided_price > 0
    assert order.limit_price is None or order.limit_price > 0
    if order.side is Side.SELL:
        assert held is not None
        assert order.quantity == min(intent.quantity, held.sellable)
        return
    assert order == intent
    available = Fraction(state.account.orderable) - Fraction(state.promised)
    price = Fraction(order.limit_price or order.decided_price)
    assert available > 0
    assert order.quantity * price * 100 <= available * Fraction(D(str(limits.max_order_pct)))
    assert not state.halts
    assert not state.no_entries
    assert confidence >= limits.confidence_threshold
    assert held is None or held.quantity == 0
    assert order.quantity % lot == 0
    base = state.session_open_equity
    assert base is not None
    change = Fraction(state.account.equity) - Fraction(base)
    assert change * 100 >= -Fraction(base) * Fraction(D(str(limits.max_loss_pct)))


@given(
    st.decimals(1, 10**9, places=2),
    st.lists(
        st.tuples(st.integers(1, 10**4), st.decimals("0.01", 10**5, places=2)),
        min_size=1,
        max_size=60,
    ),
)
def test_the_approved_entries_of_one_tick_never_promise_more_than_the_cash(
    cash: D, wishes: list[tuple[int, D]]
) -> None:
    state = RiskState(make_account(cash, currency=Currency.USD), cash)
    spent = D(0)
    for number, (quantity, price) in enumerate(wishes):
        most = int(state.available * 30 / 100 / price)
        intent = make_intent(
            instrument=Instrument(f"S{number}", Market.US_NYSE),
            quantity=max(min(quantity, most), 1),
            limit_price=price,
            decided_price=price,
            currency=Currency.USD,
        )
        answer = gate(intent, state)
        if isinstance(answer, ApprovedOrder):
            spent += answer.intent.notional
            state = state.after(answer)
    assert spent <= state.promised <= cash
