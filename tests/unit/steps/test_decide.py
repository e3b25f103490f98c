"""What a tick wants: the breaker, the guards, the global rules and the scenarios."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest

from tests.trading_fakes import ALWAYS, POLICY, MakeFloor, an_entry, busy, rule, still, when
from tests.unit.twin.handmade_tape import CLOSE, minute
from trading_core.adapters.duck.store import DuckStore
from trading_core.model.journal import HaltKind
from trading_core.model.limits import ExitPolicy, GuardLimits, SessionEnd, UnfilledPolicy
from trading_core.model.market import Currency, Instrument, Market
from trading_core.model.order import IntentReason, OrderEvent, OrderState, RefusalCode, Side
from trading_core.model.portfolio import ExitState, StopBasis
from trading_core.rules.chase import CancelCode
from trading_core.steps import operate
from trading_core.steps.execute import journal
from trading_core.steps.tick import decide

CHEAP = [when("price <= 10000")]
NEVER = [when("price < 0.5")]


@pytest.fixture
def floor(tmp_path):
    return MakeFloor(tmp_path)


def held(desk, quantity=1000, symbol="A", at=1):
    """Somebody bought these by hand at 10,010 won before the first tick."""
    desk.venue.advance_to(minute(at))
    desk.by_hand(Side.BUY, quantity, 10_010, symbol)


def wants(tick):
    """(symbol, side, quantity, reason) of every approved order, in the order they are sent."""
    return [
        (i.instrument.symbol, i.side.value, i.quantity, i.reason.value)
        for i in (order.intent for order in tick.plan.approved)
    ]


def codes(tick):
    return [refusal.code for refusal in tick.plan.refused]


def alerts(tick):
    return [(alert.symbol, alert.kind.value) for alert in tick.plan.alerts]


def with_atr(view, pct):
    """The same view with an average true range of so many percent for every symbol."""
    columns = {**view.frame.columns, "atr_pct": np.full(len(view.frame.symbols), pct)}
    return replace(view, frame=replace(view.frame, columns=columns))


def waiting(**unfilled):
    """The policy of these tests with other waits for a fill."""
    return replace(POLICY, unfilled=UnfilledPolicy(**unfilled))


def guarded_by(**exits):
    """The policy of these tests with other exits."""
    return replace(POLICY, exits=ExitPolicy(**exits))


# --- the same view always gives the same plan -----------------------------------------------------


async def test_deciding_twice_on_one_view_gives_the_same_plan(floor):
    desk = floor({"A": busy(*[10_000] * 5), "B": busy(*[10_000] * 5)}, {"A": CHEAP, "B": NEVER})
    held(desk, symbol="B")
    view = await desk.look(minute(2))
    assert decide(view, POLICY) == decide(view, POLICY)


# --- entries --------------------------------------------------------------------------------------


async def test_an_entry_is_sized_priced_and_reasoned(floor):
    desk = floor({"A": busy(*[10_000] * 5)}, {"A": [when("price <= 10000", allocation=2.0)]})
    tick = await desk.tick(minute(2))
    (order,) = tick.plan.approved
    assert order.intent.limit_price == Decimal(10_020)
    assert order.intent.decided_price == Decimal(10_000)
    assert order.intent.quantity == 2_000_000 // 10_020
    assert order.intent.reason is IntentReason.ENTRY


async def test_entries_go_out_by_falling_confidence_and_exits_before_them(floor):
    rows = busy(*[10_000] * 5)
    desk = floor(
        {"A": rows, "B": rows, "C": rows},
        {
            "A": [when("price <= 10000", confidence=85)],
            "B": [when("price <= 10000", confidence=95)],
            "C": [when("price <= 10000", "SELL", confidence=50)],
        },
    )
    held(desk, 10, "C")
    assert [want[0] for want in wants(await desk.tick(minute(2)))] == ["C", "B", "A"]


async def test_the_cash_of_an_entry_counts_as_spent_for_the_next_one(floor):
    rows = busy(*[10_000] * 5)
    policy = replace(POLICY, sizing=replace(POLICY.sizing, max_allocation_pct=30.0))
    plan = [when("price <= 10000", allocation=30.0)]
    desk = floor(dict.fromkeys("ABCD", rows), dict.fromkeys("ABCD", plan), policy=policy)
    tick = await desk.tick(minute(2))
    left = tick.books.account.orderable
    for order in tick.plan.approved:
        assert order.intent.notional <= left * Decimal("0.3")
        left -= order.intent.notional
    assert len(tick.plan.approved) == 4


async def test_confidence_below_the_threshold_is_hold_and_is_written_once(floor):
    desk = floor({"A": still(10_000, 9)}, {"A": [when("price <= 10000", confidence=79)]})
    for n in range(2, 8):
        assert (await desk.tick(minute(n))).sent == ()
    (decision,) = desk.decisions("A")
    assert (decision.action, decision.confidence) == ("HOLD", 79)
    assert "79 is below 80" in decision.rationale
    assert decision.context_snapshot["wanted"] == "BUY"


async def test_confidence_at_the_threshold_trades(floor):
    desk = floor({"A": busy(*[10_000] * 5)}, {"A": [when("price <= 10000", confidence=80)]})
    assert len((await desk.tick(minute(2))).sent) == 1


async def test_a_hold_is_written_again_when_its_reason_changes(floor):
    plan = [
        when("price <= 9900", confidence=10),
        when("price <= 10000", confidence=20),
    ]
    desk = floor({"A": [*still(10_000, 4), *still(9_900, 9)]}, {"A": plan})
    for n in range(2, 9):
        await desk.tick(minute(n))
    assert [d.scenario_id for d in desk.decisions("A")] == ["A#1", "A#0"]


async def test_a_refused_entry_is_written_once_while_the_reason_stays(floor):
    plan = [when("price <= 10000", allocation=0.001)]
    desk = floor(
        {"A": still(10_000, 9)},
        {"A": plan},
        policy=replace(POLICY, sizing=replace(POLICY.sizing, min_allocation_pct=0.001)),
    )
    for n in range(2, 8):
        await desk.tick(minute(n))
    (record,) = desk.orders()
    assert (record.state, record.events[0].code) == (OrderState.REFUSED, RefusalCode.BELOW_LOT)


async def test_nothing_is_bought_that_is_held(floor):
    desk = floor({"A": busy(*[10_000] * 9)}, {"A": CHEAP})
    held(desk)
    tick = await desk.tick(minute(2))
    assert tick.sent == ()
    assert [v.decision.rationale for v in tick.plan.verdicts] == ["already held"]


async def test_an_order_that_works_is_seen_by_the_next_tick(floor):
    desk = floor({"A": still(10_000, 9)}, {"A": CHEAP})
    assert len((await desk.tick(minute(2))).sent) == 1
    second = await desk.tick(minute(3))
    assert (wants(second), codes(second)) == ([], [RefusalCode.ALREADY_WORKING])


async def test_no_second_entry_in_a_session_after_the_first_was_sold(floor):
    plan = [when("price <= 9500", "SELL"), when("price <= 10000")]
    desk = floor({"A": busy(10_000, 10_000, 10_000, 9_500, 9_500, *[10_000] * 6)}, {"A": plan})
    for n in range(2, 10):
        await desk.tick(minute(n))
    assert [order.intent.side for order in desk.broker.submitted] == [Side.BUY, Side.SELL]
    assert await desk.holding() == 0
    refused = [r for r in desk.orders() if r.state is OrderState.REFUSED]
    assert [r.events[0].code for r in refused] == [RefusalCode.REENTRY]


async def test_what_was_sold_in_the_session_is_not_bought_again(floor):
    plan = [when("price <= 9500", "SELL"), when("price <= 10000")]
    desk = floor({"A": busy(10_000, 9_500, 9_500, *[10_000] * 6)}, {"A": plan})
    held(desk, 10)
    for n in range(2, 8):
        await desk.tick(minute(n))
    assert [order.intent.side for order in desk.broker.submitted] == [Side.SELL]


async def test_an_entry_whose_chase_did_not_fill_either_was_the_entry_of_the_session(floor):
    desk = floor({"A": still(10_000, 60)}, {"A": CHEAP})
    for n in (2, 3, 17, 18, 19, 40, 41, 42, 58):
        await desk.tick(minute(n))
    assert desk.order().state is OrderState.CANCELLED
    assert len(desk.broker.submitted) == 2


async def test_no_entry_rule_refuses_entries_and_lets_exits_go(floor):
    rows = busy(*[10_000] * 9)
    plan = {"A": CHEAP, "B": [when("price <= 10000", "SELL")]}
    desk = floor({"A": rows, "B": rows}, plan, rule(ALWAYS, "NO_ENTRIES"))
    held(desk, 10, "B")
    tick = await desk.tick(minute(2))
    assert wants(tick) == [("B", "SELL", 10, "scenario_exit")]
    assert codes(tick) == [RefusalCode.NO_ENTRIES]


# --- exits ----------------------------------------------------------------------------------------


async def test_a_position_nobody_planned_is_watched_and_stopped(floor):
    rows = busy(10_000, 10_000, 9_720, 9_700, *[9_700] * 9)
    desk = floor({"A": rows, "B": busy(*[10_000] * 9)}, {"B": NEVER})
    held(desk, 1000)
    first = await desk.tick(minute(2))
    assert "A" in first.view.frame.symbols
    near = await desk.tick(minute(3))
    assert (near.sent, alerts(near)) == ((), [("A", "near")])
    stop = await desk.tick(minute(4))
    assert wants(stop) == [("A", "SELL", 1000, "hard_stop")]
    assert alerts(stop) == [("A", "breached")]
    await desk.tick(minute(5))
    assert await desk.holding() == 0
    assert desk.protections()["A"].state is ExitState.EXITING


async def test_a_loss_of_exactly_the_stop_sells(floor):
    plan = [when("price <= 10000", stop_loss_pct=-2.0)]
    # Bought at 10,000 won: the ask is one increment above 9,990.
    rows = busy(9_990, 9_990, 9_810, 9_800, 9_800)
    desk = floor({"A": rows}, {"A": plan})
    await desk.tick(minute(2))
    assert (await desk.tick(minute(3))).sent == ()
    assert [want[3] for want in wants(await desk.tick(minute(4)))] == ["hard_stop"]


async def test_the_target_of_the_scenario_sells(floor):
    plan = [when("price <= 10000", take_profit_pct=2.0)]
    desk = floor({"A": busy(9_990, 9_990, 10_190, 10_200, 10_200)}, {"A": plan})
    await desk.tick(minute(2))
    assert (await desk.tick(minute(3))).sent == ()
    assert [want[3] for want in wants(await desk.tick(minute(4)))] == ["take_profit"]


async def test_a_gap_through_the_stop_sells_below_it_at_once(floor):
    desk = floor({"A": busy(10_000, 10_000, *[8_500] * 9)}, {})
    held(desk, 100)
    await desk.tick(minute(2))
    tick = await desk.tick(minute(3))
    assert tick.plan.approved[0].intent.limit_price == Decimal(8_330)
    await desk.tick(minute(9))
    assert await desk.holding() == 0


@pytest.mark.parametrize(
    "change", [{"last": Decimal(0)}, {"last": Decimal(-5)}, {"halted": True}, None]
)
async def test_no_exit_is_decided_without_a_usable_price(floor, change):
    desk = floor({"A": busy(10_000, 10_000, *[9_000] * 9)}, {}, rule(ALWAYS, "REDUCE_ALL"))
    held(desk, 100)
    if change is None:
        desk.broker.silent = {"A"}
    else:
        desk.broker.quote_changes = {"A": change}
    tick = await desk.tick(minute(4))
    assert tick.sent == ()
    assert desk.protections()["A"].state is ExitState.HOLDING
    desk.broker.quote_changes, desk.broker.silent = {}, set()
    assert len((await desk.tick(minute(5))).sent) == 1


async def test_a_price_older_than_allowed_decides_nothing(floor):
    rows = busy(10_000, 10_000, *[9_000] * 9)
    desk = floor({"A": rows, "B": rows}, {"B": [when("price < 9500")]})
    held(desk, 100)
    for age, sides in ((121, []), (120, ["SELL", "BUY"])):
        at = minute(4) - timedelta(seconds=age)
        desk.broker.quote_changes = {symbol: {"at": at} for symbol in "AB"}
        books, plan = await desk.plan(minute(4))
        assert [order.intent.side for order in plan.approved] == sides
        assert books.protections["A"].state is ExitState.HOLDING


async def test_an_exit_that_cannot_be_priced_is_written_down_once(floor):
    desk = floor({"A": busy(*[10_000] * 9)}, {}, rule(ALWAYS, "REDUCE_ALL"))
    held(desk, 100)
    desk.broker.quote_changes = {"A": {"halted": True}}
    for n in (2, 3, 4):
        await desk.tick(minute(n))
    (decision,) = desk.decisions("A")
    assert (decision.action, decision.rationale) == ("HOLD", "no usable price to sell at")


async def test_reduce_all_sells_everything_held_planned_or_not(floor):
    rows = busy(*[10_000] * 9)
    desk = floor(
        {"A": rows, "B": rows, "C": rows}, {"B": CHEAP, "C": CHEAP}, rule(ALWAYS, "REDUCE_ALL")
    )
    held(desk, 100, "A")
    held(desk, 200, "B")
    tick = await desk.tick(minute(2))
    assert wants(tick) == [("A", "SELL", 100, "reduce_all"), ("B", "SELL", 200, "reduce_all")]
    assert codes(tick) == [RefusalCode.NO_ENTRIES]
    await desk.tick(minute(3))
    assert [await desk.holding(s) for s in "ABC"] == [0, 0, 0]


async def test_a_stop_stays_a_stop_while_reduce_all_is_in_force(floor):
    desk = floor({"A": busy(10_000, 10_000, 9_000, 9_000)}, {}, rule(ALWAYS, "REDUCE_ALL"))
    held(desk, 100)
    assert [want[3] for want in wants(await desk.tick(minute(3)))] == ["hard_stop"]


async def test_a_sell_scenario_sells_all_and_reduce_half_once(floor):
    rows = busy(*[10_000] * 9)
    plan = {"A": [when("price > 1", "SELL")], "B": [when("price > 1", "REDUCE")]}
    desk = floor({"A": rows, "B": rows}, plan)
    held(desk, 101, "A")
    held(desk, 101, "B")
    assert wants(await desk.tick(minute(2))) == [
        ("A", "SELL", 101, "scenario_exit"),
        ("B", "SELL", 50, "scenario_exit"),
    ]
    for n in (3, 4, 5):
        await desk.tick(minute(n))
    assert [await desk.holding(s) for s in "AB"] == [0, 51]


async def test_one_position_is_left_once_while_its_sell_works(floor):
    policy = waiting(exit_wait=timedelta(hours=1))
    desk = floor({"A": [*busy(10_000, 10_000), *still(9_650, 9)]}, {}, policy=policy)
    held(desk, 100)
    for n in range(3, 9):
        await desk.tick(minute(n))
    assert len(desk.broker.submitted) == 1


async def test_an_exit_is_not_measured_against_cash_or_confidence(floor):
    desk = floor({"A": busy(*[10_000] * 9)}, {"A": [when("price > 1", "SELL", confidence=1)]})
    held(desk, 9_900)  # 99 % of the cash
    assert wants(await desk.tick(minute(2))) == [("A", "SELL", 9_900, "scenario_exit")]


async def test_no_stop_is_decided_on_a_position_without_a_cost(floor):
    desk = floor({"A": busy(10_000, 10_000, *[9_000] * 9)}, {})
    held(desk, 100)
    ask = desk.broker.account

    async def account(group):
        seen = await ask(group)
        return replace(
            seen, holdings=tuple(replace(h, average_price=Decimal(0)) for h in seen.holdings)
        )

    desk.broker.account = account
    assert (await desk.tick(minute(4))).sent == ()
    desk.broker.account = ask
    assert len((await desk.tick(minute(5))).sent) == 1


# --- the breaker ----------------------------------------------------------------------------------


@pytest.fixture
def losing(floor):
    """9,000 shares of A bought for 90 % of the cash; B is planned, and an entry in C rests."""
    return floor(
        {
            "A": busy(*[10_000] * 3, *[9_650] * 30),
            "B": [*still(10_100, 3), *busy(*[10_000] * 30)],
            "C": still(10_000, 40),
        },
        {"B": CHEAP, "C": CHEAP},
    )


async def lose(desk):
    """Two ticks before the fall, and one after it."""
    held(desk, 9_000)
    await desk.tick(minute(2))
    await desk.tick(minute(3))
    assert desk.order("C").state is OrderState.ACCEPTED
    return await desk.tick(minute(4))


async def test_a_loss_beyond_the_limit_halts_is_stored_and_is_told_once(losing):
    tick = await lose(losing)
    (halt,) = losing.halts()
    assert (halt.kind, halt.scope) == (HaltKind.BREAKER, "KRW")
    assert tick.report.halted == halt.reason
    assert "-3." in halt.reason
    for n in (5, 6, 7):
        assert (await losing.tick(minute(n))).report.halted == halt.reason
    assert len(losing.halts()) == 1
    assert losing.notifier.kinds().count("breaker") == 1


async def test_a_tripped_breaker_refuses_entries_and_cancels_those_that_work(losing):
    tick = await lose(losing)
    assert codes(tick) == [RefusalCode.HALTED]
    # It has waited long enough to be given up anyway, so the reason counts.
    (item,) = tick.plan.cancels
    assert (item.record.intent.instrument.symbol, item.code) == ("C", CancelCode.HALTED)
    await losing.tick(minute(5))
    assert losing.order("C").state is OrderState.CANCELLED
    assert [o.intent.instrument.symbol for o in losing.broker.submitted] == ["C", "A"]


async def test_a_tripped_breaker_lets_the_stop_through(losing):
    tick = await lose(losing)
    assert [(s.order.intent.reason, s.state) for s in tick.sent] == [
        (IntentReason.HARD_STOP, OrderState.ACCEPTED)
    ]
    await losing.tick(minute(5))
    assert await losing.holding("A") == 0


async def test_the_halt_stands_for_a_new_process(floor, tmp_path, losing):
    losing.store = DuckStore(tmp_path / "state.duckdb")
    await lose(losing)
    (stored,) = losing.halts()
    losing.store = DuckStore(tmp_path / "state.duckdb")
    tick = await losing.tick(minute(6))
    # The same halt, and not another one because the loss is still there.
    assert (tick.books.halts, tick.plan.halts) == ((stored,), ())
    assert tick.report.halted == stored.reason
    assert all(order.intent.side is Side.SELL for order in tick.plan.approved)
    assert "B" not in {o.intent.instrument.symbol for o in losing.broker.submitted}


async def test_a_loss_of_exactly_the_limit_trades_and_one_won_more_does_not(floor):
    desk = floor({"A": busy(*[10_000] * 9)}, {"A": CHEAP})
    view = await desk.look(minute(2))
    base = Decimal(100_000_000)
    for equity, trips in ((Decimal(97_000_000), False), (Decimal(96_999_999), True)):
        books = replace(
            view.books,
            session_open_equity=base,
            account=replace(view.books.account, cash=equity, orderable=equity),
        )
        plan = decide(replace(view, books=books), POLICY)
        assert bool(plan.halts) is trips
        assert bool(plan.approved) is not trips


async def test_the_breaker_is_looked_at_without_any_order_in_sight(floor):
    desk = floor({"A": busy(10_000, 10_000, 10_000, 9_650, 9_650)}, {})
    held(desk, 9_900)
    await desk.tick(minute(3))
    desk.broker.quote_changes = {"A": {"halted": True}}
    tick = await desk.tick(minute(4))
    assert tick.sent == ()
    assert [halt.kind for halt in desk.halts()] == [HaltKind.BREAKER]


async def test_a_halt_by_hand_stops_entries_until_it_is_lifted(floor):
    desk = floor({"A": busy(*[10_000] * 9)}, {"A": CHEAP})
    operate.halt(desk.store, scope="KR", reason="lunch", at=minute(1))
    tick = await desk.tick(minute(2))
    assert (tick.sent, codes(tick), tick.report.halted) == ((), [RefusalCode.HALTED], "lunch")
    operate.resume(desk.store, scope="KR", by="back again", at=minute(3))
    tick = await desk.tick(minute(4))
    assert (len(tick.sent), tick.report.halted) == (1, "")


# --- guards ---------------------------------------------------------------------------------------


async def test_the_peak_of_a_position_is_kept_and_never_falls(floor):
    desk = floor({"A": busy(10_000, 10_000, 10_200, 10_100, 10_100, 10_100)}, {})
    held(desk, 100)
    for n in (2, 3, 4, 5):
        await desk.tick(minute(n))
    assert desk.protections()["A"].peak_price == Decimal(10_200)


async def test_a_guard_that_did_not_move_is_not_written_again(floor):
    desk = floor({"A": busy(*[10_000] * 20)}, {})
    held(desk, 100)
    # The first look sets the stop for good; nothing moves after it.
    assert [len((await desk.tick(minute(n))).plan.guards) for n in range(2, 8)] == [1, *[0] * 5]


async def test_what_moved_in_the_tick_that_made_the_guard_is_kept(floor):
    desk = floor({"A": busy(10_000, 10_000, 10_300, *[10_100] * 9)}, {})
    held(desk, 100)
    await desk.tick(minute(3))
    guard = desk.protections()["A"]
    assert (guard.peak_price, guard.state) == (Decimal(10_300), ExitState.BREAK_EVEN)
    assert guard.stop_basis is StopBasis.SET


async def test_a_look_on_older_books_moves_no_guard_back(floor):
    desk = floor({"A": busy(10_000, 10_000, 10_300, *[10_100] * 9)}, {})
    held(desk, 100)
    old = await desk.look(minute(2))
    await desk.tick(minute(3))
    late = replace(old, at=minute(4), quotes=(await desk.look(minute(4))).quotes)
    journal(desk.store, decide(late, POLICY))
    guard = desk.protections()["A"]
    assert (guard.peak_price, guard.state) == (Decimal(10_300), ExitState.BREAK_EVEN)


async def test_a_locked_position_is_sold_at_break_even_and_loses_nothing(floor):
    desk = floor({"A": busy(10_000, 10_000, 10_300, 10_040, *[10_030] * 9)}, {})
    held(desk, 1000)
    await desk.tick(minute(3))
    assert (await desk.tick(minute(4))).sent == ()
    tick = await desk.tick(minute(5))
    assert wants(tick) == [("A", "SELL", 1000, "break_even")]
    assert "break-even after costs 10030" in tick.plan.verdicts[0].decision.rationale


async def test_a_restart_in_mid_trail_goes_on_where_it_was(floor, tmp_path):
    desk = floor({"A": busy(10_000, 10_000, 11_000, 10_570, *[10_560] * 5)}, {})
    desk.store = DuckStore(tmp_path / "state.duckdb")
    held(desk, 100)
    await desk.tick(minute(2))
    journal(desk.store, decide(with_atr(await desk.look(minute(3)), 2.0), POLICY))
    guard = desk.protections()["A"]
    assert (guard.state, guard.trail_atr) == (ExitState.TRAILING, Decimal(220))
    desk.store = DuckStore(tmp_path / "state.duckdb")
    assert desk.protections()["A"] == guard
    # The trail is two ranges of 220 won below 11,000.
    assert (await desk.tick(minute(4))).sent == ()
    assert wants(await desk.tick(minute(5))) == [("A", "SELL", 100, "trail")]


async def test_the_range_of_the_first_look_sets_the_stop_in_korea(floor):
    desk = floor({"A": busy(*[10_000] * 9)}, {})
    held(desk, 100)
    journal(desk.store, decide(with_atr(await desk.look(minute(2)), 2.5), POLICY))
    # 250 won of range, twice, against an average price of 10,010.
    assert desk.protections()["A"].stop_loss_pct == -4.995


@pytest.mark.parametrize("word", ["reject", "rate limit"])
async def test_an_exit_that_was_not_taken_is_decided_again(floor, word):
    desk = floor({"A": busy(10_000, 10_000, *[9_650] * 9)}, {})
    held(desk, 100)
    desk.broker.script = [word]
    assert len((await desk.tick(minute(3))).sent) == 1
    assert desk.protections()["A"].state is ExitState.EXITING
    assert await desk.holding() == 100
    assert [want[3] for want in wants(await desk.tick(minute(4)))] == ["hard_stop"]
    await desk.tick(minute(5))
    assert await desk.holding() == 0


async def test_an_exit_the_price_fell_through_is_cancelled_and_decided_again(floor):
    rows = [*busy(10_000, 10_000), *still(9_650, 2), *still(9_300, 2), *busy(*[9_300] * 9)]
    desk = floor({"A": rows}, {}, policy=waiting(exit_wait=timedelta(seconds=90)))
    held(desk, 100)
    for n in range(3, 12):
        await desk.tick(minute(n))
    sells = [o.intent for o in desk.broker.submitted]
    assert [intent.reason for intent in sells] == [IntentReason.HARD_STOP] * 2
    assert sells[1].limit_price < sells[0].limit_price
    assert await desk.holding() == 0


async def test_losers_are_left_at_the_end_of_the_session_and_winners_stay(floor):
    policy = guarded_by(at_session_end=SessionEnd.CLOSE_LOSERS, session_end_minutes=20)
    rows = {"A": busy(*[10_000] * 9), "B": busy(10_000, 10_000, *[10_100] * 9)}
    desk = floor(rows, {}, policy=policy)
    held(desk, 100, "A")
    held(desk, 100, "B")
    assert (await desk.tick(CLOSE - timedelta(minutes=21))).sent == ()
    tick = await desk.tick(CLOSE - timedelta(minutes=20))
    assert wants(tick) == [("A", "SELL", 100, "session_end")]


async def test_a_position_below_break_even_is_left_after_its_sessions(floor):
    desk = floor({"A": busy(*[10_000] * 9)}, {}, policy=guarded_by(time_stop_sessions=2))
    held(desk, 100)
    view = await desk.look(minute(2))
    assert decide(view, desk.policy).approved == ()
    position = view.books.positions["A"]
    for opened, sold in ((date(2025, 9, 2), False), (date(2025, 9, 1), True)):
        older = {"A": replace(position, opened_on=opened)}
        plan = decide(replace(view, books=replace(view.books, positions=older)), desk.policy)
        assert [o.intent.reason for o in plan.approved] == [IntentReason.TIME_STOP] * sold


async def test_a_stale_quote_decides_nothing_at_all(floor):
    desk = floor({"A": busy(10_000, 10_000, *[9_000] * 9), "B": busy(*[10_000] * 9)}, {"B": CHEAP})
    held(desk, 100)
    old = {"at": minute(4) - POLICY.exits.quote_max_age - timedelta(seconds=1)}
    desk.broker.quote_changes = {"A": old, "B": old}
    assert (await desk.tick(minute(4))).plan.approved == ()
    just = {"at": minute(5) - POLICY.exits.quote_max_age}
    desk.broker.quote_changes = {"A": just, "B": just}
    assert [want[0] for want in wants(await desk.tick(minute(5)))] == ["A", "B"]


async def test_a_position_nobody_can_price_is_told_after_three_looks(floor):
    desk = floor({"A": busy(*[10_000] * 30)}, {})
    held(desk, 100)
    blind = {"A": {"last": Decimal(0)}}
    seen = []
    for n in range(2, 16):
        desk.broker.quote_changes = blind if n < 8 or n > 9 else {}
        seen.append(alerts(await desk.tick(minute(n))))
    told = [("A", "blind")]
    assert seen == [[], [], *[told] * 4, [], [], [], [], *[told] * 4]
    assert desk.notifier.kinds().count("stop_blind") == 2
    assert len({n.notification_id for n in desk.notifier.told if n.kind == "stop_blind"}) == 2


async def test_reduce_all_sells_a_position_whose_cost_is_unknown(floor):
    desk = floor({"A": busy(*[10_000] * 9)}, {}, rule(ALWAYS, "REDUCE_ALL"))
    held(desk, 100)
    view = await desk.look(minute(2))
    account = view.books.account
    free = replace(account.holdings[0], average_price=Decimal(0))
    books = replace(view.books, account=replace(account, holdings=(free,)))
    plan = decide(replace(view, books=books), POLICY)
    assert [o.intent.reason for o in plan.approved] == [IntentReason.REDUCE_ALL]


async def test_reduce_all_without_shares_to_sell_is_a_refusal(floor):
    desk = floor({"A": busy(*[10_000] * 9)}, {}, rule(ALWAYS, "REDUCE_ALL"))
    held(desk, 100)
    view = await desk.look(minute(2))
    account = view.books.account
    stuck = replace(account.holdings[0], sellable=0)
    books = replace(view.books, account=replace(account, holdings=(stuck,)))
    plan = decide(replace(view, books=books), POLICY)
    assert [refusal.code for refusal in plan.refused] == [RefusalCode.NOT_HELD]


async def test_every_tick_writes_what_it_saw_and_how_it_matched(floor):
    desk = floor({"A": still(10_000, 9)}, {"A": [when("price < 9900"), *NEVER]})
    for n in (2, 3):
        await desk.tick(minute(n))
    with desk.store.read() as reader:
        counts = reader.counts("KR", desk.session.date)
        near = reader.matches("KR", desk.session.date, "A")
    assert (counts["ticks"], counts["observations"]) == (2, 2)
    assert {(row.kind, row.scenario_id, row.threshold) for row in near} == {("near", "A#0", 9900.0)}


async def test_an_entry_life_is_counted_from_its_decision(floor):
    desk = floor({"A": still(10_000, 60)}, {"A": CHEAP})
    await desk.tick(minute(2))
    assert (await desk.tick(minute(4) - timedelta(seconds=1))).plan.cancels == ()
    assert len((await desk.tick(minute(4))).plan.cancels) == 1


# --- the guards, on the floor ---------------------------------------------------------------------


NO_CHASE = replace(POLICY, guards=GuardLimits(chase_gain_pct=0, repeat_after=timedelta(0)))


async def test_a_losing_exit_pauses_the_symbol_across_a_restart(floor, tmp_path):
    plan = [when("price <= 9500", "SELL"), when("price <= 10000")]
    rows = busy(10_000, 10_000, 10_000, 9_500, 9_500, *[10_000] * 160)
    desk = floor({"A": rows}, {"A": plan})
    desk.store = DuckStore(tmp_path / "state.duckdb")
    for n in range(2, 7):
        await desk.tick(minute(n))
    sold_at = desk.order(side=Side.SELL).events[-1].at
    desk.store = DuckStore(tmp_path / "state.duckdb")
    early = await desk.tick(sold_at + timedelta(minutes=120) - timedelta(seconds=1))
    assert early.sent == ()
    late = await desk.tick(sold_at + timedelta(minutes=120))
    assert [order.intent.side for order in late.plan.approved] == [Side.BUY]
    assert [sent.state for sent in late.sent] == [OrderState.ACCEPTED]


@pytest.mark.parametrize(("above", "refused"), [(0, []), (10, [RefusalCode.ABOVE_LAST_SALE])])
async def test_after_a_winning_exit_an_equal_price_is_bought_and_a_higher_one_is_not(
    floor, above, refused
):
    plan = [when("unrealized_pnl_pct > 1", "SELL"), when("price <= 10400")]
    rows = busy(10_000, 10_000, 10_000, *[10_300] * 9)
    desk = floor({"A": rows}, {"A": plan}, policy=NO_CHASE)
    for n in range(2, 5):
        await desk.tick(minute(n))
    await desk.books(minute(5) - timedelta(seconds=1))
    with desk.store.read() as reader:
        sale = reader.fills("KR")[-1]
    assert sale.side is Side.SELL
    desk.broker.quote_changes = {"A": {"last": sale.price + above}}
    tick = await desk.tick(minute(5))
    assert tick.books.account.holding("A") is None
    assert codes(tick) == refused
    assert [s.state for s in tick.sent] == [OrderState.ACCEPTED] * (not refused)


async def test_the_high_of_a_day_of_large_gains_is_left_alone(floor):
    plan = [when("price > 1")]
    desk = floor({"A": busy(*[10_500] * 9)}, {"A": plan})
    quote = {"previous_close": Decimal(10_000), "high": Decimal(10_500)}
    desk.broker.quote_changes = {"A": quote}
    assert codes(await desk.tick(minute(2))) == [RefusalCode.CHASING_HIGH]
    desk.broker.quote_changes = {"A": {**quote, "high": Decimal(10_600)}}
    assert len((await desk.tick(minute(3))).sent) == 1


async def test_an_order_unknown_in_another_market_stops_this_one_until_it_is_settled(floor):
    desk = floor({"A": busy(*[10_000] * 9), "B": busy(*[10_000] * 9)}, {"A": CHEAP})
    held(desk, 10, "B")
    intent = replace(
        an_entry(minute(1), symbol="AAPL").intent,
        instrument=Instrument("AAPL", Market.US_NASDAQ),
        currency=Currency.USD,
    )
    states = [OrderState.INTENDED, OrderState.SENDING, OrderState.UNKNOWN]
    life = [OrderEvent(intent.intent_id, n, s, minute(1)) for n, s in enumerate(states)]
    with desk.store.write() as tx:
        tx.append([intent, *life[:2]])
    # On its way a moment ago is no reason to stop; without an answer for half a minute is.
    assert not (await desk.books(minute(1) + timedelta(seconds=29))).unknown
    assert (await desk.books(minute(1) + timedelta(seconds=30))).unknown
    with desk.store.write() as tx:
        tx.append(life[2:])
    tick = await desk.tick(minute(2))
    assert (tick.sent, codes(tick)) == ((), [RefusalCode.UNKNOWN_ORDER])
    with desk.store.write() as tx:
        tx.append([OrderEvent(intent.intent_id, 3, OrderState.NOT_SENT, minute(3))])
    assert len((await desk.tick(minute(3))).sent) == 1


async def test_under_the_order_lock_an_order_unknown_in_another_market_stops_this_one(floor):
    desk = floor({"A": busy(*[10_000] * 9)}, {"A": CHEAP})
    books, plan = await desk.plan(minute(2))
    intent = replace(
        an_entry(minute(1), symbol="AAPL").intent,
        instrument=Instrument("AAPL", Market.US_NASDAQ),
        currency=Currency.USD,
    )
    states = (OrderState.INTENDED, OrderState.SENDING)
    with desk.store.write() as tx:
        life = [OrderEvent(intent.intent_id, n, s, minute(2)) for n, s in enumerate(states)]
        tx.append([intent, *life])
    (sent,) = await desk.act(books, plan)
    assert (sent.state, sent.code) == (OrderState.REFUSED, RefusalCode.UNKNOWN_ORDER)
