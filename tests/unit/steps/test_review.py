"""After the close: the day is settled, scored and remembered, as often as it takes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from tests.trading_fakes import KR, Died, MakeFloor, all_rows, busy, playbook, still, when
from tests.unit.twin.handmade_tape import CLOSE, SESSION, make_tape, minute
from trading_core.errors import NotOffered
from trading_core.model.journal import ContextLayer
from trading_core.model.market import Instrument, Market
from trading_core.model.order import OrderState, Side
from trading_core.model.playbook import PlaybookSource
from trading_core.model.price import RankRow
from trading_core.steps.memory import remember
from trading_core.steps.review import (
    can_settle,
    missed_sessions,
    ranking_after_close,
    score_day,
    settle_day,
)
from trading_core.steps.tell import of_scorecard

AFTER = CLOSE + timedelta(minutes=20)
NEXT = date(2025, 9, 4)
SWING = [when("price >= 10200", "SELL"), when("price <= 10000")]


@pytest.fixture
def floor(tmp_path):
    return MakeFloor(tmp_path)


@pytest.fixture
def desk(floor):
    """A is bought at 10,010 and sold at 10,190; B rests and never fills."""
    up = busy(10_000, 10_000, 10_000, 10_200, 10_200, 10_200)
    return floor({"A": up, "B": still(10_000, 60)}, {"A": SWING, "B": [when("price <= 10000")]})


async def trade(desk, *minutes):
    for n in minutes or (2, 3, 4, 5):
        await desk.tick(minute(n))


async def review(desk, at=AFTER):
    desk.venue.advance_to(at)
    await settle_day(desk.broker, desk.store, group=KR, session=desk.session, at=at)
    card = score_day(desk.store, group=KR, session=desk.session, at=at)
    remember(desk.store, [KR], at=at)
    return card


def entries(desk, layer):
    with desk.store.read() as reader:
        return {entry.key: entry for entry in reader.context(layer)}


async def test_what_was_never_filled_expires_with_the_session(desk):
    await trade(desk)
    assert desk.order("B").state is OrderState.ACCEPTED
    await review(desk)
    assert desk.order("B").state is OrderState.EXPIRED
    assert desk.order("A").state is OrderState.FILLED


async def test_before_the_close_nothing_expires(desk):
    await trade(desk)
    await settle_day(desk.broker, desk.store, group=KR, session=desk.session, at=minute(6))
    assert desk.order("B").state is OrderState.ACCEPTED


async def test_the_card_counts_what_was_traded_and_what_it_earned(desk):
    await trade(desk)
    card = await review(desk)
    assert (card.wins, card.losses, card.win_rate_pct) == (1, 0, 100.0)
    # One entry each in A and B, the second try in B and the exit of A; A's second was refused.
    assert (card.orders, card.filled_orders, card.refused) == (4, 2, 1)
    assert (card.buys, card.sells) == (4, 1)
    bought, sold = 99 * Decimal(10_010), 99 * Decimal(10_190)
    assert card.gross_pnl == {"KRW": sold - bought}
    assert card.net_pnl["KRW"] == card.gross_pnl["KRW"] - card.fees["KRW"] - card.taxes["KRW"]
    account = await desk.broker.account(KR)
    assert card.net_pnl["KRW"] == account.equity - Decimal(100_000_000)
    assert card.playbook_source == "none"
    with desk.store.read() as reader:
        assert reader.scorecard(KR, SESSION) == card


async def test_the_last_fills_of_the_day_are_in_the_card(desk):
    await trade(desk, 2, 4)  # the sell went out at minute 4 and nobody has looked since
    with desk.store.read() as reader:
        assert len(reader.fills(KR)) == 1
    card = await review(desk)
    assert (card.wins, card.filled_orders) == (1, 2)


async def test_the_outcome_of_a_trade_is_written_on_its_entry_and_its_exit(desk):
    await trade(desk)
    card = await review(desk)
    with desk.store.read() as reader:
        outcomes = {o.decision_id: o for o in reader.outcomes(KR, SESSION)}
    entry, leave = desk.order("A").intent, desk.order("A", Side.SELL).intent
    assert set(outcomes) == {entry.decision_id, leave.decision_id}
    assert {o.outcome_pnl for o in outcomes.values()} == {card.net_pnl["KRW"]}
    assert {o.outcome_accuracy for o in outcomes.values()} == {1.0}


async def test_the_day_is_remembered_in_its_layers(desk):
    await trade(desk)
    card = await review(desk)
    net = str(card.net_pnl["KRW"])
    shape = entries(desk, ContextLayer.L2)["session_KR_KRW"].value
    assert shape["equity_open"] == "100000000"
    assert shape["looks"] == 5
    day = entries(desk, ContextLayer.L3)["day_KR_KRW"].value
    assert day["pnl"]["net"] == day["realized"]["net"] == net
    assert entries(desk, ContextLayer.L4)["week_KR_KRW"].timeframe == "2025-W36"
    assert entries(desk, ContextLayer.L5)["month_KR_KRW"].value["sessions"] == 1
    assert entries(desk, ContextLayer.L6)["scorecard_KR"].value["net_pnl"] == {"KRW": net}
    assert entries(desk, ContextLayer.L7)["total_KR_KRW"].value["pnl"]["net"] == net


async def test_a_second_day_is_added_to_the_week_and_the_month(desk):
    await trade(desk)
    first = await review(desk)
    desk.venue.start_session(
        make_tape({"A": busy(10_000, 10_000, 10_000, 9_600, 9_600, 9_600)}, session=NEXT)
    )
    desk.book = playbook({"A": [when("price <= 10000")]}, session=NEXT)
    for n in (2, 3, 4, 5):
        await desk.tick(desk.session.open_at + timedelta(minutes=n))
    second = await review(desk, desk.session.close_at + timedelta(minutes=20))
    assert (second.wins, second.losses) == (0, 1)
    both = str(first.net_pnl["KRW"] + second.net_pnl["KRW"])
    week = entries(desk, ContextLayer.L4)["week_KR_KRW"].value
    assert (week["sessions"], week["wins"], week["losses"]) == (2, 1, 1)
    assert week["pnl"]["net"] == both


async def test_reviewing_twice_at_one_moment_changes_nothing(desk, tmp_path):
    await trade(desk)
    first = await review(desk)
    before = all_rows(desk.store, tmp_path / "copy.duckdb")
    assert await review(desk) == first
    assert all_rows(desk.store, tmp_path / "copy.duckdb") == before


async def test_reviewing_again_later_says_the_same_and_counts_the_day_once(desk):
    await trade(desk)
    first = await review(desk)
    second = await review(desk, AFTER + timedelta(hours=1))
    same = {f: getattr(second, f) for f in second.__slots__ if f != "at"}
    assert same == {f: getattr(first, f) for f in first.__slots__ if f != "at"}
    assert entries(desk, ContextLayer.L5)["month_KR_KRW"].value["sessions"] == 1
    with desk.store.read() as reader:
        assert len(reader.scorecards(KR)) == 1
        assert len(reader.outcomes(KR, SESSION)) == 2
    assert of_scorecard(first, AFTER).notification_id == of_scorecard(second, AFTER).notification_id


async def test_a_day_whose_sender_died_is_settled_all_the_same(desk):
    desk.broker.script = ["die"]
    with pytest.raises(Died):
        await desk.tick(minute(2))
    card = await review(desk)
    assert desk.order("A").state is OrderState.FILLED
    assert card.filled_orders == 1


async def test_shares_bought_by_hand_are_no_merit_of_ours(floor):
    desk = floor({"A": busy(10_000, 10_000, 9_600, 9_600, 9_600)}, {})
    desk.venue.advance_to(minute(1))
    desk.by_hand(Side.BUY, 100, 10_010)
    await trade(desk, 2, 3, 4)
    assert await desk.holding() == 0
    card = await review(desk)
    assert (card.wins, card.losses, card.win_rate_pct) == (0, 0, None)
    assert card.worst == []
    # The account did lose it, though, and the account's figures say so.
    assert card.net_pnl["KRW"] < 0


async def test_a_day_without_a_trade_is_scored_too(floor):
    desk = floor({"A": still(10_000, 9)}, {"A": [when("price < 1")]})
    await trade(desk, 2, 3)
    card = await review(desk)
    assert (card.orders, card.wins, card.win_rate_pct, card.match_rate_pct) == (0, 0, None, 0.0)
    assert card.net_pnl == {"KRW": Decimal(0)}


async def test_a_day_nobody_traded_at_all_is_scored_from_its_close(floor):
    desk = floor({"A": still(10_000, 9)}, {})
    card = await review(desk)
    assert (card.decisions, card.match_rate_pct) == (0, None)
    assert of_scorecard(card, AFTER).text.endswith("0 orders, no closed trades")


# --- The parts with a name of their own ------------------------------------------------------


async def test_the_card_says_what_the_fills_cost_against_their_decisions(desk):
    await trade(desk)
    card = await review(desk)
    # Decided at 10,000 and 10,200, filled a tick worse on either side.
    assert card.details["slippage"]["BUY"]["cost_bps"] == 10.0
    assert card.details["slippage"]["SELL"]["cost_bps"] == pytest.approx(9.8)
    assert card.details["expectancy"] == {"KRW": f"{card.net_pnl['KRW']:.4f}"}


async def test_coverage_and_calibration_are_remembered_beside_the_scorecard(floor):
    plan = [when("price >= 10200", "SELL"), when("price <= 10000"), when("price > 99999")]
    desk = floor({"A": busy(10_000, 10_000, 10_000, 10_200, 10_200, 10_200)}, playbook({"A": plan}))
    with desk.store.write() as tx:
        tx.append([desk.book])
    await trade(desk)
    card = await review(desk)
    assert card.details["coverage"]["fates"] == {"matched": 2, "out_of_range": 1}
    kept = entries(desk, ContextLayer.L6)
    assert kept["coverage_KR"].value == card.details["coverage"]
    assert kept["calibration_KR"].value["samples"] == 1
    assert kept["calibration_KR"].value["brier"] == pytest.approx(0.01)


async def test_an_entry_sold_on_a_later_day_gets_its_outcome_with_that_day(desk):
    desk.book = playbook({"A": [when("price <= 10000")]})
    await trade(desk)
    first = await review(desk)
    entry = desk.order("A").intent.decision_id
    with desk.store.read() as reader:
        assert reader.outcomes(KR, SESSION) == []
    desk.venue.start_session(make_tape({"A": busy(*[10_300] * 6)}, session=NEXT))
    desk.book = playbook({"A": [when("price >= 10200", "SELL")]}, session=NEXT)
    for n in (2, 3, 4, 5):
        await desk.tick(desk.session.open_at + timedelta(minutes=n))
    second = await review(desk, desk.session.close_at + timedelta(minutes=20))
    with desk.store.read() as reader:
        [settled] = reader.outcomes(KR, SESSION)
    assert (settled.decision_id, settled.outcome_accuracy) == (entry, 1.0)
    assert (first.wins, second.wins) == (0, 1)
    assert first.details["calibration"]["samples"] == 0
    assert second.details["calibration"]["samples"] == 1


async def test_an_entry_sold_in_parts_on_two_days_is_judged_by_both(desk):
    desk.book = playbook({"A": [when("price <= 10000"), when("price >= 10200", "REDUCE")]})
    await trade(desk)
    await review(desk)
    entry = desk.order("A").intent.decision_id

    def judged():
        with desk.store.read() as reader:
            return {o.decision_id: o.outcome_pnl for o in reader.outcomes(KR, SESSION)}[entry]

    half = judged()
    assert half > 0
    desk.venue.start_session(make_tape({"A": busy(*[9_500] * 6)}, session=NEXT))
    desk.book = playbook({"A": [when("price <= 9600", "SELL")]}, session=NEXT)
    for n in (2, 3, 4, 5):
        await desk.tick(desk.session.open_at + timedelta(minutes=n))
    second = await review(desk, desk.session.close_at + timedelta(minutes=20))
    rest = sum(Decimal(trade["net"]) for trade in second.worst)
    assert rest < 0
    assert judged() == half + rest


async def test_what_moved_without_a_scenario_is_no_data_without_a_ranking(desk):
    await trade(desk)
    assert (await review(desk)).details["movers"] is None
    ranked = [RankRow(Instrument("B2", Market.KR), 1, Decimal(100), 12.0, 1)]
    later = AFTER + timedelta(hours=1)
    card = score_day(desk.store, group=KR, session=desk.session, at=later, ranked=ranked)
    assert [row["symbol"] for row in card.details["movers"]] == ["B2"]


async def test_a_broker_without_a_ranking_leaves_the_review_alone():
    class Mute:
        async def ranking(self, group, ranking):
            raise NotOffered("no rankings here")

    assert await ranking_after_close(Mute(), KR) is None


async def test_what_a_model_earned_is_told_apart_from_what_rules_did(desk):
    await trade(desk)
    card = await review(desk)
    llm = card.details["llm"]
    assert (llm["calls"], llm["trades"]) == (0, 1)
    assert llm["earned"] == {"KRW": str(card.net_pnl["KRW"])}


async def test_what_rules_planned_is_not_earned_by_a_model(desk):
    desk.book = desk.book.model_copy(update={"source": PlaybookSource.RULES})
    await trade(desk)
    assert (await review(desk)).details["llm"]["earned"] == {}


# --- Days that nobody reviewed -----------------------------------------------------------------


async def test_a_missed_session_is_found_until_it_is_scored(desk):
    await trade(desk)
    tomorrow = CLOSE + timedelta(hours=20)
    [missed] = missed_sessions(desk.store, group=KR, at=tomorrow)
    assert missed.date == SESSION
    assert missed_sessions(desk.store, group=KR, at=AFTER) == []
    card = score_day(desk.store, group=KR, session=missed, at=tomorrow)
    assert card.details["reviewed_late_on"] == "2025-09-04"
    assert card.at == tomorrow
    assert missed_sessions(desk.store, group=KR, at=tomorrow) == []


async def test_a_session_is_forgotten_two_weeks_later(desk):
    await trade(desk)
    assert missed_sessions(desk.store, group=KR, at=AFTER + timedelta(days=15)) == []


def test_the_account_shows_a_close_until_the_next_session_opens(desk):
    session = desk.session
    assert not can_settle(session, CLOSE - timedelta(seconds=1))
    assert can_settle(session, CLOSE)
    assert can_settle(session, CLOSE + timedelta(hours=17))
    assert not can_settle(session, CLOSE + timedelta(hours=18))


async def test_a_review_says_two_lessons_and_the_profit_before_and_after_costs(desk):
    await trade(desk)
    card = replace(await review(desk), lessons=["one", "two", "three"])
    text = of_scorecard(card, AFTER).text
    assert text.splitlines()[1:] == ["lesson: one", "lesson: two"]
    assert "KRW after costs (gross +17,820)" in text
    assert "win rate 100 % (1 of 1)" in text
