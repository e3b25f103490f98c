"""What a tick wants: the breaker, the guards, the global rules and the scenarios."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.trading_fakes import ALWAYS, POLICY, MakeFloor, busy, rule, still, when
from tests.unit.twin.handmade_tape import minute
from trading_core.adapters.duck.store import DuckStore
from trading_core.model.journal import HaltKind
from trading_core.model.order import IntentReason, OrderState, RefusalCode, Side
from trading_core.model.portfolio import ExitState
from trading_core.steps import operate
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


async def test_an_entry_that_expired_unfilled_was_the_entry_of_the_session(floor):
    desk = floor({"A": still(10_000, 60)}, {"A": CHEAP})
    for n in (2, 3, 17, 18, 19, 40):
        await desk.tick(minute(n))
    assert desk.order().state is OrderState.CANCELLED
    assert len(desk.broker.submitted) == 1


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
    assert (near.sent, near.plan.near_stops) == ((), ("A",))
    stop = await desk.tick(minute(4))
    assert wants(stop) == [("A", "SELL", 1000, "hard_stop")]
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
    desk = floor({"A": busy(10_000, 10_000, 8_500, 8_500)}, {})
    held(desk, 100)
    await desk.tick(minute(2))
    tick = await desk.tick(minute(3))
    assert tick.plan.approved[0].intent.limit_price == Decimal(8_330)
    await desk.tick(minute(4))
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
    desk = floor({"A": [*busy(10_000, 10_000), *still(9_650, 9)]}, {})
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
    assert losing.notifier.kinds().count("halt") == 1


async def test_a_tripped_breaker_refuses_entries_and_cancels_those_that_work(losing):
    tick = await lose(losing)
    assert codes(tick) == [RefusalCode.HALTED]
    assert [record.intent.instrument.symbol for record in tick.plan.cancels] == ["C"]
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
    losing.store = DuckStore(tmp_path / "state.duckdb")
    tick = await losing.tick(minute(6))
    assert tick.report.halted
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
    assert [len((await desk.tick(minute(n))).plan.guards) for n in range(2, 8)] == [0] * 6


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
    assert (await desk.tick(minute(17) - timedelta(seconds=1))).plan.cancels == ()
    assert len((await desk.tick(minute(17))).plan.cancels) == 1
