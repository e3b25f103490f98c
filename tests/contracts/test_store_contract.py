"""What every ``Store`` does, whether it keeps a file or lives in memory."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.record_factories import (
    APPLE,
    AT,
    MINUTE,
    SAMSUNG,
    SESSION,
    make_backup,
    make_check,
    make_context,
    make_cycle,
    make_decision,
    make_decision_review,
    make_difference,
    make_equity,
    make_event,
    make_fill,
    make_halt,
    make_intent,
    make_kill_row,
    make_level,
    make_llm_call,
    make_llm_reservation,
    make_llm_text,
    make_lot,
    make_match,
    make_notification,
    make_observation,
    make_operator_command,
    make_order_life,
    make_outcome,
    make_playbook,
    make_protection,
    make_restore,
    make_scorecard,
    make_screened,
    make_send,
    make_split,
    make_switch,
    make_upload,
    one_of_each,
)
from trading_core.adapters.duck import DuckStore
from trading_core.errors import IllegalTransition, StoreError
from trading_core.model.audit import DecisionFilter
from trading_core.model.difference import DifferenceKind
from trading_core.model.journal import ContextLayer, HaltLevel
from trading_core.model.language import LlmSpend
from trading_core.model.market import Currency, Instrument, Market
from trading_core.model.memory import EntryOrigin
from trading_core.model.operator import CommandState
from trading_core.model.order import TRANSITIONS, OrderState, Side
from trading_core.model.portfolio import ExitState, StopBasis
from trading_core.ports import Record, Store, StoreReader

S = OrderState
NEXT_DAY = date(2026, 11, 23)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "empty.duckdb"
    with DuckStore(path).write():
        pass
    return path


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path, empty_file: Path) -> Store:
    if request.param == "memory":
        return DuckStore(":memory:")
    return DuckStore(shutil.copy(empty_file, tmp_path / "state.duckdb"))


def append(store: Store, *records: Record) -> None:
    with store.write() as tx:
        tx.append(records)


def ask(store: Store, question: Callable[[StoreReader], Any]) -> Any:
    with store.read() as db:
        return question(db)


class TestRoundTrips:
    def test_a_record_of_every_type_comes_back_equal(self, store: Store) -> None:
        append(store, *one_of_each())
        with store.read() as db:
            assert db.playbook("KR", SESSION) == make_playbook()
            assert db.decisions() == [make_decision()]
            assert db.outcomes("KR", SESSION) == [make_outcome()]
            [logged] = db.decision_log(DecisionFilter())
            assert (logged.outcome, logged.review) == (make_outcome(), make_decision_review())
            assert db.screened("KR", SESSION) == [make_screened()]
            [order] = db.orders()
            assert (order.intent, order.events) == (make_intent(), (make_event(),))
            assert db.adopted_lots("KR") == [make_lot()]
            assert db.splits("KR") == [make_split()]
            assert db.splits("US") == []
            assert db.fills() == [make_fill()]
            assert db.observations("KR", SESSION) == [make_observation()]
            assert db.matches("KR", SESSION) == [make_match()]
            assert db.equity_curve("KR", SESSION) == [make_equity()]
            assert db.halts() == [make_halt()]
            assert db.differences("KR", SESSION) == [make_difference()]
            assert db.decision_cycles("KR", SESSION) == [make_cycle()]
            assert db.kill_rows() == [make_kill_row()]
            assert db.operator_commands() == [make_operator_command()]
            assert db.deployment_switches() == [make_switch()]
            assert db.llm_calls() == [make_llm_call()]
            assert db.llm_reservations() == [make_llm_reservation()]
            assert db.llm_text("prompt-1") == make_llm_text().text
            assert db.scorecards() == [make_scorecard()]
            assert db.context(ContextLayer.L3) == [make_context()]
            assert db.backups() == [make_backup()]
            assert db.backup_uploads() == [make_upload()]
            assert db.backup_checks() == [make_check()]
            assert db.restores() == [make_restore()]
            assert db.protections("KR") == {"005930": make_protection().protection}

    def test_differences_are_those_of_one_market_and_session_as_they_were_seen(
        self, store: Store
    ) -> None:
        first = make_difference(difference_id="z", at=AT + MINUTE, amount=None)
        append(store, first, make_difference(difference_id="a"))
        append(store, first, make_difference(difference_id="b", session=NEXT_DAY))
        append(store, make_difference(difference_id="c", market="US"))
        found = ask(store, lambda db: db.differences("KR", SESSION))
        assert [item.difference_id for item in found] == ["z", "a"]
        assert found[0] == first

    def test_rounds_of_decisions_are_those_of_one_market_and_session_by_time(
        self, store: Store
    ) -> None:
        later = make_cycle(at=AT + MINUTE, reason="")
        append(store, later, make_cycle(), make_cycle(market="US"))
        append(store, later, make_cycle(session=NEXT_DAY))
        found = ask(store, lambda db: db.decision_cycles("KR", SESSION))
        assert found == [make_cycle(), later]

    def test_one_order_is_found_by_its_intent_with_its_life_and_its_fills(
        self, store: Store
    ) -> None:
        chase = make_intent(intent_id="intent-2", chases="intent-1")
        append(store, make_intent(), chase, make_event(), make_fill(quantity=4))
        with store.read() as db:
            found = db.order("intent-1")
            assert found is not None
            assert (found.intent, found.events) == (make_intent(), (make_event(),))
            assert found.filled_quantity == 4
            other = db.order("intent-2")
            assert other is not None
            assert (other.intent, other.intent.chases, other.events) == (chase, "intent-1", ())
            assert db.order("nobody's") is None

    def test_what_is_not_compared_about_an_instrument_comes_back_too(self, store: Store) -> None:
        fund = Instrument("069500", Market.KR, "KODEX 200", is_fund=True)
        append(store, make_fill(instrument=fund), make_decision(instrument=fund))
        with store.read() as db:
            for found in (
                db.fills()[0].instrument,
                db.decisions()[0].instrument,
                db.recently_traded("KR", since=SESSION)[0],
            ):
                assert (found.name, found.is_fund) == ("KODEX 200", True)

    def test_times_come_back_aware_utc_to_the_microsecond(self, store: Store) -> None:
        seoul = timezone(timedelta(hours=9))
        at = datetime(2026, 11, 20, 10, 0, 0, 123_457, tzinfo=seoul)
        append(store, make_fill(filled_at=at))
        [fill] = ask(store, lambda db: db.fills())
        assert fill.filled_at == at
        assert fill.filled_at.tzinfo is UTC

    def test_a_time_without_a_zone_is_refused(self, store: Store) -> None:
        with pytest.raises(ValueError, match="no time zone"):
            append(store, make_fill(filled_at=datetime(2026, 11, 20, 10, 0)))  # noqa: DTZ001

    @pytest.mark.parametrize(
        "text",
        [
            "0",
            "0.1",
            "71000",
            f"{'123456789' * 3}1.0123456789",
            "-0.0000000001",
            "182.355",
        ],
    )
    def test_decimals_come_back_exact_and_without_padding(self, store: Store, text: str) -> None:
        append(store, make_equity(equity=Decimal(text)))
        [point] = ask(store, lambda db: db.equity_curve("KR", SESSION))
        assert point.equity == Decimal(text)
        assert format(point.equity, "f") == text

    def test_a_repeating_average_is_kept_to_ten_places(self, store: Store) -> None:
        append(store, make_fill(price=Decimal(100) / 3, quantity=3, amount=Decimal(100)))
        [fill] = ask(store, lambda db: db.fills())
        assert fill.price == Decimal("33.3333333333")
        assert fill.amount == 100

    def test_an_amount_that_is_no_number_is_refused(self, store: Store) -> None:
        with pytest.raises(ValueError, match="not an amount"):
            append(store, make_equity(cash=Decimal("NaN")))

    def test_nan_and_infinity_in_an_observation_become_none(self, store: Store) -> None:
        values = {"price": np.float64(1.5), "rsi": float("nan"), "atr_pct": np.float64("inf")}
        append(store, make_observation(values=values))
        [row] = ask(store, lambda db: db.observations("KR", SESSION))
        assert row.values == {"price": 1.5, "rsi": None, "atr_pct": None}

    def test_nan_in_a_match_becomes_none(self, store: Store) -> None:
        append(store, make_match(value=float("nan"), distance=None))
        [row] = ask(store, lambda db: db.matches("KR", SESSION))
        assert (row.value, row.distance) == (None, None)

    @pytest.mark.parametrize("value", [None, 0, 1.25, "x", [1, {"y": None}], {"a": [True, False]}])
    def test_any_json_value_can_be_remembered(self, store: Store, value: Any) -> None:
        append(store, make_context(value=value))
        [entry] = ask(store, lambda db: db.context(ContextLayer.L3))
        assert entry.value == value

    def test_text_that_looks_like_sql_or_json_stays_text(self, store: Store) -> None:
        text = '\'); DROP TABLE fills; -- {"a": 1} \\ \n 한글 🐍'
        append(store, make_decision(rationale=text, input_data={"news": text}))
        [decision] = ask(store, lambda db: db.decisions())
        assert (decision.rationale, decision.input_data) == (text, {"news": text})

    def test_two_hundred_observations_of_a_tick_are_one_append(self, store: Store) -> None:
        rows = [make_observation(symbol=f"{n:06d}", values={"price": n / 7}) for n in range(200)]
        append(store, *rows)
        assert ask(store, lambda db: db.observations("KR", SESSION)) == rows


class TestAppending:
    def test_appending_everything_twice_leaves_everything_once(self, store: Store) -> None:
        append(store, *one_of_each())
        before = ask(store, lambda db: db.total_rows())
        append(store, *one_of_each())
        append(store, *one_of_each(), *one_of_each())
        assert ask(store, lambda db: db.total_rows()) == before

    def test_a_row_whose_id_is_there_is_left_as_it_was(self, store: Store) -> None:
        append(store, make_decision(rationale="first"))
        append(store, make_decision(rationale="second"))
        append(store, make_fill(quantity=1), make_fill(quantity=2))
        with store.read() as db:
            assert [d.rationale for d in db.decisions()] == ["first"]
            assert [f.quantity for f in db.fills()] == [1]

    def test_an_observation_is_unique_by_moment_and_symbol(self, store: Store) -> None:
        append(store, make_observation(values={"price": 1.0}))
        append(
            store,
            make_observation(values={"price": 2.0}),
            make_observation(symbol="000660"),
            make_observation(at=AT + MINUTE),
            make_observation(market="US"),
        )
        assert ask(store, lambda db: db.counts("KR", SESSION))["observations"] == 3
        found = ask(store, lambda db: db.observations("KR", SESSION, "005930"))
        assert found[0].values == {"price": 1.0}

    def test_an_exception_in_the_block_rolls_everything_back(self, store: Store) -> None:
        with pytest.raises(SystemExit), store.write() as tx:
            tx.append(one_of_each())
            assert tx.fills() == [make_fill()]
            raise SystemExit("the breaker tripped")
        assert ask(store, lambda db: db.fills()) == []

    def test_an_append_that_failed_rolls_back_even_when_its_error_is_swallowed(
        self, store: Store
    ) -> None:
        with pytest.raises(IllegalTransition), store.write() as tx:
            tx.append([make_intent(), make_event()])
            try:
                tx.append([make_event(sequence=1, state=S.FILLED)])
            except IllegalTransition:
                tx.append([make_notification()])
        assert ask(store, lambda db: db.orders()) == []

    def test_something_else_than_a_record_is_refused(self, store: Store) -> None:
        with pytest.raises(TypeError, match="dict"):
            append(store, {"not": "a record"})  # type: ignore[arg-type]

    def test_an_empty_append_is_fine(self, store: Store) -> None:
        append(store)
        assert ask(store, lambda db: db.decisions()) == []

    def test_a_later_context_value_replaces_the_older_and_keeps_its_birth(
        self, store: Store
    ) -> None:
        append(store, make_context(value=1), make_context(value=2))
        append(store, make_context(value=3, at=AT + MINUTE))
        append(store, make_context(value=0, at=AT - MINUTE))
        with store.read() as db:
            [entry] = db.context(ContextLayer.L3)
            assert (entry.value, entry.at) == (3, AT + MINUTE)
            [(created, updated)] = sql(
                db, "SELECT epoch_us(created_at), epoch_us(updated_at) FROM contexts"
            )
            assert updated - created == MINUTE // timedelta(microseconds=1)


class TestOrderLife:
    def test_every_allowed_transition_is_taken(self, store: Store) -> None:
        with store.write() as tx:
            for before, allowed in TRANSITIONS.items():
                for after in allowed:
                    name = f"{before}-{after}"
                    path = [*_path_to(before), after]
                    tx.append(
                        [make_intent(intent_id=name), *make_order_life(*path, intent_id=name)]
                    )
        with store.read() as db:
            for order in db.orders():
                before, after = order.intent.intent_id.split("-")
                assert order.state == after
                assert [event.state for event in order.events] == [*_path_to(S(before)), after]

    @pytest.mark.parametrize("before", S)
    def test_every_other_transition_is_not(self, before: OrderState) -> None:
        store = DuckStore(":memory:")
        for after in set(S) - TRANSITIONS[before]:
            life = make_order_life(*_path_to(before), after)
            with pytest.raises(IllegalTransition, match=f"{after} cannot follow {before}"):
                append(store, make_intent(), *life)

    @pytest.mark.parametrize("first", [s for s in S if s not in (S.INTENDED, S.REFUSED)])
    def test_an_order_begins_intended_or_refused(self, store: Store, first: OrderState) -> None:
        with pytest.raises(IllegalTransition, match="cannot follow nothing"):
            append(store, make_intent(), make_event(state=first))

    @pytest.mark.parametrize("first", [S.INTENDED, S.REFUSED])
    def test_the_two_first_states(self, store: Store, first: OrderState) -> None:
        append(store, make_intent(), make_event(state=first))
        assert ask(store, lambda db: db.orders())[0].state is first

    def test_an_identical_event_is_ignored_and_a_different_one_is_not(self, store: Store) -> None:
        life = make_order_life(S.INTENDED, S.SENDING, S.UNKNOWN)
        append(store, make_intent(), *life)
        append(store, *life)
        with pytest.raises(IllegalTransition):
            append(store, make_event(sequence=1, state=S.SENDING, at=AT + timedelta(hours=1)))
        assert ask(store, lambda db: db.orders())[0].events == tuple(life)

    def test_a_gap_in_the_sequence_is_illegal(self, store: Store) -> None:
        append(store, make_intent(), make_event())
        with pytest.raises(IllegalTransition, match="number 1"):
            append(store, make_event(sequence=2, state=S.SENDING))

    def test_an_event_without_an_intent_is_illegal(self, store: Store) -> None:
        with pytest.raises(IllegalTransition, match="no such order"):
            append(store, make_event())

    def test_two_processes_cannot_both_take_the_same_step(self, store: Store) -> None:
        append(store, make_intent(), make_event())
        append(store, make_event(sequence=1, state=S.SENDING))
        with pytest.raises(IllegalTransition):
            append(store, make_event(sequence=1, state=S.NOT_SENT))

    def test_a_record_knows_its_numbers_and_what_was_filled(self, store: Store) -> None:
        append(
            store,
            make_intent(quantity=10),
            *make_order_life(S.INTENDED, S.SENDING, S.ACCEPTED, S.PARTIALLY_FILLED),
            make_fill(fill_id="a", quantity=3, price=Decimal("100.5")),
            make_fill(fill_id="b", quantity=4, price=Decimal("101")),
        )
        [order] = ask(store, lambda db: db.orders("KR", SESSION))
        assert order.order_no == "0000117057"
        assert order.next_sequence == 4
        assert (order.filled_quantity, order.filled_amount) == (7, Decimal("705.5"))

    def test_orders_come_in_order_of_creation_and_by_market_and_session(self, store: Store) -> None:
        append(
            store,
            make_intent(intent_id="late", created_at=AT + MINUTE),
            make_intent(intent_id="early"),
            make_intent(intent_id="apple", instrument=APPLE),
            make_intent(intent_id="next", session=NEXT_DAY, created_at=AT + timedelta(days=3)),
        )

        def ids(orders: Sequence[Any]) -> list[str]:
            return [order.intent.intent_id for order in orders]

        with store.read() as db:
            assert ids(db.orders()) == ["early", "apple", "late", "next"]
            assert ids(db.orders("KR")) == ["early", "late", "next"]
            assert ids(db.orders("KR", SESSION)) == ["early", "late"]
            assert ids(db.orders("US", SESSION)) == ["apple"]
            assert ids(db.orders(session=NEXT_DAY)) == ["next"]

    def test_unsettled_orders_are_those_to_which_something_can_still_happen(
        self, store: Store
    ) -> None:
        for state in S:
            append(
                store,
                make_intent(intent_id=state),
                *make_order_life(*_path_to(state), intent_id=state),
            )
        append(store, make_intent(intent_id="bare", session=NEXT_DAY))
        found = {
            order.intent.intent_id for order in ask(store, lambda db: db.unsettled_orders("KR"))
        }
        assert found == {"bare", *(state for state in S if not state.is_final)}
        assert ask(store, lambda db: db.unsettled_orders("US")) == []

        live = ask(store, lambda db: db.live_orders("KR", SESSION))
        assert {order.intent.intent_id for order in live} == {"bare", *S}
        later = ask(store, lambda db: db.live_orders("KR", NEXT_DAY))
        assert {order.intent.intent_id for order in later} == found


class TestQueries:
    def test_an_empty_store_gives_empty_answers(self, store: Store) -> None:
        with store.read() as db:
            assert db.playbook("KR", SESSION) is None
            assert db.latest_playbook("KR", before=SESSION) is None
            assert db.scorecard("KR", SESSION) is None
            assert db.lease_holder("session-KR", at=AT) is None
            assert db.protections("KR") == {}
            assert set(db.counts("KR", SESSION).values()) == {0}
            assert db.notified(["note-1"]) == set()
            assert db.newest_session("KR") is None
            for empty in (
                db.orders(), db.unsettled_orders("KR"), db.fills(), db.adopted_lots("KR"),
                db.open_halts(), db.halts(), db.equity_curve("KR", SESSION), db.decisions(),
                db.outcomes("KR", SESSION), db.matches("KR", SESSION),
                db.observations("KR", SESSION), db.llm_calls(), db.scorecards(),
                db.context(ContextLayer.L7), db.backups(),
                db.recently_traded("KR", since=SESSION),
            ):  # fmt: skip
                assert list(empty) == []

    def test_calls_of_models_are_found_by_time_and_prompt(self, store: Store) -> None:
        later = make_llm_call(call_id="call-2", at=AT + MINUTE, prompt_id="prompt-2")
        append(store, later, make_llm_call())
        with store.read() as db:
            assert db.llm_calls() == [make_llm_call(), later]
            assert db.llm_calls(since=AT + MINUTE) == [later]
            assert db.llm_calls("KR", SESSION, prompt_id="prompt-1") == [make_llm_call()]
            assert db.llm_calls("US") == []

    def test_a_reserved_call_counts_at_its_most_until_its_cost_is_known(self, store: Store) -> None:
        append(
            store,
            make_llm_reservation(at=AT - MINUTE, call_id="early", most_usd=Decimal(7)),
            make_llm_reservation(call_id="lost", most_usd=Decimal("0.31")),
            make_llm_reservation(call_id="unpriced", most_usd=None),
            make_llm_reservation(call_id="done", most_usd=Decimal(9)),
            make_llm_call(call_id="done", cost_usd=Decimal("0.02")),
            make_llm_call(call_id="reused", outcome="reused", cost_usd=Decimal(0)),
        )
        with store.read() as db:
            assert db.llm_spend(since=AT) == LlmSpend(3, Decimal("0.33"))
            assert db.llm_spend(since=AT - MINUTE).calls == 4
            assert db.llm_spend(since=AT + MINUTE) == LlmSpend()
            assert len(db.llm_reservations(since=AT)) == 3

    def test_a_text_is_kept_once_and_an_unknown_one_is_none(self, store: Store) -> None:
        long = make_llm_text(text="가나다 " * 50_000)
        append(store, long)
        append(store, make_llm_text(text="another one under the same name"))
        assert ask(store, lambda db: db.llm_text("prompt-1")) == long.text
        assert ask(store, lambda db: db.llm_text("nobody's")) is None

    def test_the_playbook_of_a_session_is_the_newest_one(self, store: Store) -> None:
        first, second = make_playbook(), make_playbook(token_count=2, generated_at=AT)
        append(store, second)
        append(store, first)
        assert ask(store, lambda db: db.playbook("KR", SESSION)) == second
        append(store, first.model_copy(update={"generated_at": AT + MINUTE}))
        found = ask(store, lambda db: db.playbook("KR", SESSION))
        assert found.playbook_id == first.playbook_id
        assert ask(store, lambda db: db.playbook("US", SESSION)) is None

    def test_the_latest_playbook_is_strictly_before_the_day(self, store: Store) -> None:
        older = make_playbook(session=SESSION - timedelta(days=7), generated_at=AT + MINUTE)
        append(store, make_playbook(), older, make_playbook(market="US"))
        with store.read() as db:
            assert db.latest_playbook("KR", before=NEXT_DAY) == make_playbook()
            assert db.latest_playbook("KR", before=SESSION) == older
            assert db.latest_playbook("KR", before=older.session) is None

    def test_fills_come_in_the_order_they_were_observed(self, store: Store) -> None:
        append(store, make_fill(fill_id="z", filled_at=AT + MINUTE))
        append(
            store, make_fill(fill_id="a", filled_at=AT), make_fill(fill_id="m", instrument=APPLE)
        )
        with store.read() as db:
            assert [fill.fill_id for fill in db.fills()] == ["z", "a", "m"]
            assert [fill.fill_id for fill in db.fills("US")] == ["m"]
            assert db.fills("KR", NEXT_DAY) == []

    def test_the_newest_guard_of_each_symbol_counts(self, store: Store) -> None:
        append(
            store,
            make_protection(peak_price=Decimal(72_000), updated_at=AT + MINUTE),
            make_protection(peak_price=Decimal(71_000), updated_at=AT),
            make_protection(symbol="000660", session=NEXT_DAY),
            make_protection(symbol="AAPL", market="US"),
        )
        found = ask(store, lambda db: db.protections("KR"))
        assert set(found) == {"005930", "000660"}
        assert found["005930"].peak_price == 72_000

    def test_two_looks_of_one_moment_are_both_kept(self, store: Store) -> None:
        higher = {"state": ExitState.BREAK_EVEN, "peak_price": Decimal(72_000)}
        look = make_protection(**higher, blind_looks=0)
        append(store, make_protection(), make_protection())
        append(store, look, make_protection())
        assert ask(store, lambda db: db.protections("KR")) == {"005930": look.protection}

    def test_a_guard_is_never_moved_back_by_one_who_knew_less(self, store: Store) -> None:
        higher = {
            "state": ExitState.EXITING,
            "armed": ExitState.TRAILING,
            "peak_price": Decimal(75_000),
            "trail_atr": Decimal(900),
            "stop_loss_pct": -2.0,
            "stop_basis": StopBasis.SET,
        }
        append(store, make_protection(**higher))
        append(store, make_protection(updated_at=AT + MINUTE, stop_loss_pct=-5.0, blind_looks=7))
        guard = ask(store, lambda db: db.protections("KR"))["005930"]
        assert {name: getattr(guard, name) for name in higher} == higher
        assert (guard.updated_at, guard.blind_looks) == (AT + MINUTE, 7)

    def test_a_stop_that_was_set_counts_even_where_it_is_looser_than_the_first(
        self, store: Store
    ) -> None:
        first = make_protection(stop_loss_pct=-3.0, stop_basis=StopBasis.DEFAULT)
        append(store, first, make_protection(stop_loss_pct=-5.0, stop_basis=StopBasis.SET))
        guard = ask(store, lambda db: db.protections("KR"))["005930"]
        assert (guard.stop_loss_pct, guard.stop_basis) == (-5.0, StopBasis.SET)

    def test_the_guard_of_a_new_position_owes_nothing_to_the_last_one(self, store: Store) -> None:
        old = make_protection(state=ExitState.EXITING, peak_price=Decimal(99_000))
        new = make_protection(opened_at=AT + MINUTE, updated_at=AT + MINUTE)
        append(store, new, old)
        append(store, make_protection(state=ExitState.EXITING, updated_at=AT + 2 * MINUTE))
        assert ask(store, lambda db: db.protections("KR")) == {"005930": new.protection}

    def test_a_halt_stands_until_a_person_lifts_it(self, store: Store) -> None:
        append(store, make_halt(), make_halt(halt_id="halt-2", raised_at=AT + MINUTE))
        with store.write() as tx:
            tx.lift_halt("halt-1", at=AT + MINUTE, by="kim")
        with store.write() as tx:
            tx.lift_halt("halt-1", at=AT + timedelta(days=1), by="someone else")
        append(store, make_halt())
        with store.read() as db:
            assert [halt.halt_id for halt in db.open_halts()] == ["halt-2"]
            lifted = db.halts()[0]
            assert (lifted.lifted_at, lifted.lifted_by) == (AT + MINUTE, "kim")
            assert [halt.halt_id for halt in db.halts(AT + MINUTE)] == ["halt-2"]

    def test_a_lifted_halt_keeps_its_level_and_the_loss_that_was_accepted(
        self, store: Store
    ) -> None:
        append(store, make_halt(level=HaltLevel.HALTED))
        with store.write() as tx:
            tx.lift_halt(
                "halt-1",
                at=AT + MINUTE,
                by="kim",
                accepted_pnl_pct=Decimal("-3.25"),
                accepted_on=SESSION,
            )
        [halt] = ask(store, lambda db: db.halts())
        assert halt == make_halt(
            level=HaltLevel.HALTED,
            lifted_at=AT + MINUTE,
            lifted_by="kim",
            accepted_pnl_pct=Decimal("-3.25"),
            accepted_on=SESSION,
        )

    def test_the_newest_match_of_each_symbol_and_kind(self, store: Store) -> None:
        append(store, make_match(at=AT, kind="near"), make_match(at=AT + MINUTE, kind="near"))
        append(store, make_match(at=AT, kind="first"), make_match(at=AT, symbol="A", kind="near"))
        append(store, make_match(at=AT, symbol="A", kind="near", market="US"))
        found = ask(store, lambda db: db.newest_matches("KR", SESSION))
        assert [(r.symbol, r.kind, r.at) for r in found] == [
            ("005930", "first", AT),
            ("005930", "near", AT + MINUTE),
            ("A", "near", AT),
        ]

    def test_commands_are_those_of_one_message_or_of_a_time_on_and_are_written_once(
        self, store: Store
    ) -> None:
        begun = make_operator_command(state=CommandState.BEGUN, detail="", at=AT - MINUTE)
        append(store, begun, make_operator_command(command_id="telegram-99", at=AT - HOUR))
        append(store, make_operator_command(), make_operator_command(actor="somebody else"))
        mine = ask(store, lambda db: db.operator_commands("telegram-101"))
        assert mine == [begun, make_operator_command()]
        assert ask(store, lambda db: db.operator_commands(since=AT - MINUTE)) == mine
        assert len(ask(store, lambda db: db.operator_commands())) == 3

    def test_the_fingerprint_changes_with_every_write_and_with_no_read(self, store: Store) -> None:
        before = store.fingerprint()
        ask(store, lambda db: db.open_halts())
        assert store.fingerprint() == before
        append(store, make_halt())
        after = store.fingerprint()
        assert after != before
        with store.write() as tx:
            tx.lift_halt("halt-1", at=AT, by="me")
        assert store.fingerprint() != after

    def test_the_tries_of_a_kill_switch_come_back_in_order_and_apart_from_others(
        self, store: Store
    ) -> None:
        tries = [make_kill_row(attempt=n, at=AT - n * MINUTE) for n in (1, 2)]
        for row in (tries[0], make_kill_row(kill_id="kill-2"), tries[1]):
            append(store, row)
        append(store, make_kill_row(detail="the same try again"))
        with store.read() as db:
            assert db.kill_rows("kill-1") == tries
            assert len(db.kill_rows()) == 3
            assert db.kill_rows("kill-9") == []

    def test_lifting_a_halt_that_does_not_exist_says_so(self, store: Store) -> None:
        with pytest.raises(StoreError, match="no halt 'halt-9'"), store.write() as tx:
            tx.lift_halt("halt-9", at=AT, by="kim")

    def test_decisions_are_filtered_by_what_is_given(self, store: Store) -> None:
        append(
            store,
            make_decision(decision_id="2", at=AT + MINUTE),
            make_decision(decision_id="1"),
            make_decision(decision_id="3", instrument=APPLE, market="US"),
            make_decision(decision_id="4", session=NEXT_DAY, at=AT + timedelta(days=3)),
        )

        def ids(**given: Any) -> list[str]:
            return [d.decision_id for d in ask(store, lambda db: db.decisions(**given))]

        assert ids() == ["1", "3", "2", "4"]
        assert ids(market="KR", session=SESSION) == ["1", "2"]
        assert ids(symbol="AAPL") == ["3"]
        assert ids(market="KR", symbol="AAPL") == []

    def test_the_newest_outcome_of_a_decision_counts(self, store: Store) -> None:
        later = make_outcome(outcome_pnl=Decimal(7), at=AT + timedelta(hours=9))
        append(store, make_decision(), later, make_outcome())
        assert ask(store, lambda db: db.outcomes("KR", SESSION)) == [later]
        assert ask(store, lambda db: db.outcomes("KR", NEXT_DAY)) == []

    def test_counts_are_of_one_session_and_market(self, store: Store) -> None:
        append(
            store,
            *(make_observation(at=AT + n * MINUTE, symbol=s) for n in range(3) for s in "AB"),
            make_observation(session=NEXT_DAY),
            make_match(),
            make_match(kind="first"),
            make_match(market="US"),
        )
        found = ask(store, lambda db: db.counts("KR", SESSION))
        assert found == {"ticks": 3, "observations": 6, "matches": 2, "first_matches": 1}

    def test_scorecards_come_newest_first_one_per_session(self, store: Store) -> None:
        again = make_scorecard(at=AT + timedelta(hours=9), wins=2)
        tomorrow = make_scorecard(session=NEXT_DAY, at=AT + timedelta(days=3))
        append(store, again, make_scorecard(), tomorrow, make_scorecard(market="US"))
        with store.read() as db:
            assert db.scorecard("KR", SESSION) == again
            assert db.scorecards("KR") == [tomorrow, again]
            assert db.scorecards(limit=1) == [tomorrow]

    def test_the_newest_timeframe_is_not_the_one_written_last(self, store: Store) -> None:
        append(store, make_context(timeframe="2026-11-20", key="b"), make_context(key="a"))
        append(store, make_context(timeframe="2026-11-19", key="a", at=AT + timedelta(days=9)))
        append(store, make_context(layer=ContextLayer.L4, timeframe="2026-W47"))
        with store.read() as db:
            newest = db.context(ContextLayer.L3)
            assert [(entry.timeframe, entry.key) for entry in newest] == [
                ("2026-11-20", "a"),
                ("2026-11-20", "b"),
            ]
            assert len(db.context(ContextLayer.L3, "2026-11-19")) == 1
            assert db.context(ContextLayer.L3, "2026-11-18") == []

    def test_the_newest_timeframe_is_each_markets_own_and_of_each_form(self, store: Store) -> None:
        days = [("KR", "2026-11-23"), ("KR", "2026-11-20"), ("US", "2026-11-20")]
        append(store, *(make_context(timeframe=day, key=f"day_{code}_X") for code, day in days))
        for timeframe in ("all", "2025", "2026", "2026-11-20", "2026-11-19"):
            append(
                store,
                make_context(layer=ContextLayer.L7, timeframe=timeframe, key="total_KR_KRW"),
            )
        with store.read() as db:
            assert {(e.timeframe, e.key) for e in db.context(ContextLayer.L3)} == {
                ("2026-11-23", "day_KR_X"),
                ("2026-11-20", "day_US_X"),
            }
            assert [e.timeframe for e in db.context(ContextLayer.L7)] == [
                *("2026", "2026-11-20", "all"),
            ]

    def test_the_history_of_a_layer_is_by_timeframe_of_one_market_and_before_one(
        self, store: Store
    ) -> None:
        keys = ("day_KR_KRW", "day_US_USD")
        days = ("2026-11-20", "2026-11-18", "2026-11-19")
        append(store, *(make_context(timeframe=day, key=key) for day in days for key in keys))
        with store.read() as db:
            assert [(e.timeframe, e.key) for e in db.context_history(ContextLayer.L3)] == [
                (day, key) for day in sorted(days) for key in keys
            ]
            found = db.context_history(ContextLayer.L3, market="US", before="2026-11-20")
            assert [e.timeframe for e in found] == ["2026-11-18", "2026-11-19"]
            assert {e.key for e in found} == {"day_US_USD"}
            assert db.context_history(ContextLayer.L4) == []

    def test_the_newest_look_at_each_symbol_is_the_first_layer(self, store: Store) -> None:
        append(
            store,
            make_observation(values={"price": 1.0}),
            make_observation(at=AT + MINUTE, values={"price": 2.0, "rsi": None}),
            make_observation(symbol="000660", values={"price": 9.0}),
            make_observation(market="US", session=NEXT_DAY, symbol="AAPL", at=AT + 9 * MINUTE),
            make_observation(session=date(2026, 11, 16), at=AT - timedelta(days=4)),
        )
        with store.read() as db:
            ticks = db.context(ContextLayer.L1)
            assert [(e.timeframe, e.key, e.at) for e in ticks] == [
                ("2026-11-20", "tick_KR_000660", AT),
                ("2026-11-20", "tick_KR_005930", AT + MINUTE),
                ("2026-11-23", "tick_US_AAPL", AT + 9 * MINUTE),
            ]
            assert ticks[1].value == {"price": 2.0, "rsi": None}
            # Seven days back from the newest session; the sixteenth is one too many.
            assert [e.timeframe for e in db.context_history(ContextLayer.L1, market="KR")] == [
                *("2026-11-20", "2026-11-20"),
            ]
            found = db.context(ContextLayer.L1, "2026-11-20")
            assert [e.key for e in found] == ["tick_KR_000660", "tick_KR_005930"]
            [[stored]] = sql(db, "SELECT count(*) FROM context_entries")
            assert stored == 0

    def test_what_is_forgotten_is_gone_and_can_be_remembered_again(self, store: Store) -> None:
        append(store, make_context(), make_context(key="other"), make_context(timeframe="2026"))
        with store.write() as tx:
            tx.forget([make_context(value="whatever it says")], at=AT)
            tx.forget([], at=AT)
        with store.read() as db:
            left = db.context_history(ContextLayer.L3)
            assert [(e.timeframe, e.key) for e in left] == [
                ("2026", "net_pnl_KR"),
                ("2026-11-20", "other"),
            ]
        append(store, make_context(value=7))
        assert len(ask(store, lambda db: db.context_history(ContextLayer.L3))) == 3

    def test_the_mark_of_a_session_changes_with_every_fact_of_it(self, store: Store) -> None:
        assert ask(store, lambda db: db.fact_marks("KR")) == {}
        seen = set()
        for record in (
            make_decision(),
            make_fill(),
            make_fill(fill_id="another"),
            make_lot(),
            make_split(),
            make_equity(),
            make_equity(at=AT + MINUTE),
            make_difference(),
        ):
            append(store, record, make_fill(fill_id="abroad", instrument=APPLE))
            marks = ask(store, lambda db: db.fact_marks("KR"))
            assert list(marks) == [SESSION]
            seen.add(marks[SESSION])
        assert len(seen) == 8
        append(store, make_observation(), make_match(), make_halt(), make_scorecard())
        assert ask(store, lambda db: db.fact_marks("KR"))[SESSION] in seen

    def test_the_facts_of_memory_are_summed_up(self, store: Store) -> None:
        book = make_playbook()
        late = make_equity(at=AT + MINUTE, equity=Decimal(9), cash=Decimal("8.5"))
        append(
            store,
            book,
            make_decision(playbook_id=book.playbook_id),
            make_decision(decision_id="hold", action="HOLD"),
            make_decision(decision_id="abroad", market="US"),
            make_intent(),
            make_intent(intent_id="unfilled"),
            make_fill(),
            make_equity(),
            late,
            make_equity(at=AT + 2 * MINUTE, currency=Currency.USD),
            make_equity(market="US"),
            make_difference(),
            make_difference(difference_id="2"),
            make_difference(difference_id="3", kind=DifferenceKind.GHOST),
        )
        facts = ask(store, lambda db: db.memory_facts("KR"))
        won, dollars = facts.equity
        first = make_equity()
        assert (won.currency, won.points, won.opened_at, won.closed_at) == (
            *(Currency.KRW, 2, AT, AT + MINUTE),
        )
        assert (won.open, won.high, won.low, won.close) == (
            *(first.equity, first.equity, Decimal(9), Decimal(9)),
        )
        assert (won.open_cash, won.close_cash) == (first.cash, Decimal("8.5"))
        assert (dollars.currency, dollars.points) == (Currency.USD, 1)
        assert facts.origins == {"intent-1": EntryOrigin(85, "005930#0", "gemini")}
        assert facts.decisions == {SESSION: {"BUY": 1, "HOLD": 1}}
        assert facts.cash_moved == {(SESSION, Currency.KRW): Decimal("100.5")}

    def test_what_was_told_before_is_known(self, store: Store) -> None:
        append(store, make_notification(), make_notification(notification_id="note-2"))
        assert ask(store, lambda db: db.notified(["note-2", "note-3"])) == {"note-2"}
        assert ask(store, lambda db: db.notified([])) == set()

    def test_a_message_is_unsent_on_each_of_its_channels_until_a_row_says_otherwise(
        self, store: Store
    ) -> None:
        late = make_notification(notification_id="late", at=AT + MINUTE, channels=("telegram",))
        both = make_notification(
            notification_id="both", channels=("telegram", "ntfy-1f3a9c"), picture="equity KR"
        )
        append(store, late, both, make_notification(notification_id="for the log alone"))
        assert ask(store, lambda db: db.unsent("telegram")) == [both, late]
        assert ask(store, lambda db: db.unsent("ntfy-1f3a9c")) == [both]
        assert ask(store, lambda db: db.unsent("gram")) == []
        sent = make_send(notification_id="both", channel="telegram")
        append(store, sent, make_send(notification_id="both", channel="telegram", attempts=9))
        assert ask(store, lambda db: db.unsent("telegram")) == [late]
        assert ask(store, lambda db: db.unsent("ntfy-1f3a9c")) == [both]
        assert ask(store, lambda db: db.sends(["both", "late"])) == [sent]

    def test_the_newest_messages_come_first(self, store: Store) -> None:
        notes = [make_notification(notification_id=f"{n}", at=AT + n * MINUTE) for n in range(5)]
        append(store, *notes)
        assert ask(store, lambda db: db.notifications(2)) == [notes[4], notes[3]]

    def test_the_level_that_was_set_last_counts(self, store: Store) -> None:
        assert ask(store, lambda db: db.notification_levels()) == {}
        append(
            store,
            make_level(kind="halt", level="silent"),
            make_level(level="off"),
            make_level(level="on", at=AT + MINUTE),
        )
        assert ask(store, lambda db: db.notification_levels()) == {
            "halt": "silent",
            "order_filled": "on",
        }

    def test_the_newest_session_has_a_playbook_or_an_equity_point(self, store: Store) -> None:
        append(store, make_playbook(), make_playbook(market="US", session=NEXT_DAY))
        assert ask(store, lambda db: db.newest_session("KR")) == SESSION
        append(store, make_equity(session=NEXT_DAY))
        assert ask(store, lambda db: db.newest_session("KR")) == NEXT_DAY

    def test_backups_come_newest_first(self, store: Store) -> None:
        append(store, make_backup(), make_backup(backup_id="2", at=AT + MINUTE))
        assert [b.backup_id for b in ask(store, lambda db: db.backups())] == ["2", "backup-1"]

    def test_what_became_of_backups_comes_newest_first_and_no_more_than_asked_for(
        self, store: Store
    ) -> None:
        for number in range(3):
            at = AT + number * MINUTE
            append(
                store,
                make_upload(at=at, bytes_sent=number),
                make_check(at=at, restored_rows=None, reasons=()),
                make_restore(restore_id=str(number), at=at),
            )
        assert [u.bytes_sent for u in ask(store, lambda db: db.backup_uploads(2))] == [2, 1]
        [check] = ask(store, lambda db: db.backup_checks(1))
        assert (check.at, check.restored_rows, check.reasons) == (AT + 2 * MINUTE, None, ())
        assert [r.restore_id for r in ask(store, lambda db: db.restores())] == ["2", "1", "0"]

    def test_recently_traded_are_distinct_instruments_newest_first(self, store: Store) -> None:
        hynix = Instrument("000660", Market.KR, "SK hynix")
        append(
            store,
            make_fill(fill_id="0", instrument=hynix, session=SESSION - timedelta(days=30)),
            make_fill(fill_id="1", instrument=hynix),
            make_fill(fill_id="2"),
            make_fill(fill_id="3", instrument=Instrument("005930", Market.KR, "Samsung")),
            make_fill(fill_id="4", instrument=APPLE),
        )
        with store.read() as db:
            assert db.recently_traded("KR", since=SESSION) == [SAMSUNG, hynix]
            assert db.recently_traded("KR", since=SESSION)[0].name == "Samsung"
            assert db.recently_traded("KR", since=NEXT_DAY) == []


class TestLeases:
    TTL = timedelta(minutes=3)

    def take(self, store: Store, owner: str, at: datetime) -> bool:
        with store.write() as tx:
            return tx.acquire_lease("session-KR", owner, at, self.TTL)

    def test_one_owner_at_a_time_until_it_runs_out(self, store: Store) -> None:
        assert self.take(store, "a", AT)
        assert not self.take(store, "b", AT + self.TTL - timedelta(seconds=1))
        assert ask(store, lambda db: db.lease_holder("session-KR", at=AT)) == "a"
        assert ask(store, lambda db: db.lease_holder("session-KR", at=AT + self.TTL)) is None
        assert self.take(store, "b", AT + self.TTL)
        assert not self.take(store, "a", AT + self.TTL)

    def test_the_owner_renews_it(self, store: Store) -> None:
        assert self.take(store, "a", AT)
        assert self.take(store, "a", AT + MINUTE)
        assert not self.take(store, "b", AT + self.TTL)

    def test_a_released_lease_is_free_and_only_its_owner_releases_it(self, store: Store) -> None:
        assert self.take(store, "a", AT)
        with store.write() as tx:
            tx.release_lease("session-KR", "b")
        assert not self.take(store, "b", AT)
        with store.write() as tx:
            tx.release_lease("session-KR", "a")
            assert tx.lease_holder("session-KR", at=AT) is None
        assert self.take(store, "b", AT)


class TestTheDescribedTables:
    COLUMNS = {
        "trades": "id timestamp stock_code action confidence rationale quantity price pnl market"
        " exchange_code selection_context decision_id",
        "contexts": "id layer timeframe key value created_at updated_at",
        "decision_logs": "decision_id timestamp stock_code market exchange_code action confidence"
        " rationale context_snapshot input_data outcome_pnl outcome_accuracy reviewed review_notes",
        "playbooks": "id date market status playbook_json generated_at token_count scenario_count"
        " match_count",
        "context_metadata": "layer description retention_days aggregation_source",
    }

    @pytest.mark.parametrize("name", COLUMNS)
    def test_names_and_columns_are_the_described_ones(self, store: Store, name: str) -> None:
        found = [row[0] for row in ask(store, lambda db: sql(db, f"DESCRIBE {name}"))]
        wanted = self.COLUMNS[name].split()
        assert found[: len(wanted)] == wanted

    def test_the_seven_layers_are_described(self, store: Store) -> None:
        found = ask(store, lambda db: sql(db, "SELECT layer FROM context_metadata ORDER BY 1"))
        assert [layer for (layer,) in found] == list(ContextLayer)

    def test_trades_shows_what_was_traded_and_what_it_brought(self, store: Store) -> None:
        sell = make_intent(intent_id="sell", decision_id="d-sell", side=Side.SELL)
        append(
            store,
            make_decision(),
            make_decision(decision_id="hold", action="HOLD"),
            make_intent(),
            make_fill(quantity=10, price=Decimal(1000), fee=Decimal(10)),
        )
        append(
            store,
            make_lot(quantity=2, price=Decimal(900), adopted_at=AT + 2 * MINUTE),
            sell,
            make_fill(
                fill_id="out", intent_id="sell", side=Side.SELL, quantity=12,
                price=Decimal(1100), fee=Decimal(12), tax=Decimal(24), filled_at=AT + 3 * MINUTE,
            ),
        )  # fmt: skip
        found = ask(
            store,
            lambda db: sql(
                db,
                "SELECT stock_code, action, confidence, quantity, price, pnl, adopted_pnl, market,"
                " exchange_code, selection_context->>'signal', decision_id FROM trades ORDER BY id",
            ),
        )
        assert found == [
            ("005930", "BUY", 85, 10, 1000, 0, 0, "KR", "KRX", "oversold", "decision-1"),
            # Strategy: 10 x 100 less 10 entry fee, 10 exit fee, 20 tax. Adopted: 2 x 200 less 2, 4.
            ("005930", "SELL", None, 12, 1100, 960, 394, "KR", "KRX", None, "d-sell"),
        ]

    def test_profit_is_booked_once_however_often_a_fill_is_seen(self, store: Store) -> None:
        sale = make_fill(fill_id="out", side=Side.SELL, quantity=4, filled_at=AT + 2 * MINUTE)
        for _ in range(2):
            append(store, make_fill(), sale)
        assert ask(store, lambda db: sql(db, "SELECT count(*) FROM closed_trades")) == [(1,)]

    def test_a_trade_knows_its_won_rate_and_its_profit_in_won_by_source(self, store: Store) -> None:
        dollars = {"instrument": APPLE, "currency": Currency.USD, "fee": Decimal("0.5")}
        bought = make_fill(quantity=10, price=Decimal(100), krw_rate=Decimal("1350.25"), **dollars)
        sold = make_fill(
            fill_id="out",
            side=Side.SELL,
            quantity=4,
            price=Decimal(110),
            filled_at=AT + 2 * MINUTE,
            krw_rate=Decimal("1400.5"),
            **dollars,
        )
        lot = make_lot(krw_rate=Decimal(1))
        point = make_equity(krw_rate=Decimal(1))
        append(store, bought, sold, lot, point)
        with store.read() as db:
            assert db.fills() == [bought, sold]
            assert db.adopted_lots("KR") == [lot]
            assert db.equity_curve("KR", SESSION) == [point]
            columns = "krw_rate, strategy_pnl_krw, fx_pnl_krw, pnl_krw"
            entry, sale = sql(db, f"SELECT {columns} FROM trades ORDER BY id")
        assert entry == (Decimal("1350.25"), None, None, None)
        # Bought for 400.2 with its costs and sold for 439.5 after its own.
        strategy = Decimal("39.3") * Decimal("1400.5")
        currency = Decimal("400.2") * Decimal("50.25")
        assert sale == (Decimal("1400.5"), strategy, currency, strategy + currency)

    def test_the_profit_of_a_trade_without_a_rate_is_not_known_in_won(self, store: Store) -> None:
        dollars = {"instrument": APPLE, "currency": Currency.USD}
        sold = make_fill(
            fill_id="out",
            side=Side.SELL,
            quantity=4,
            filled_at=AT + 2 * MINUTE,
            krw_rate=Decimal("1400.5"),
            **dollars,
        )
        append(store, make_fill(**dollars), sold)
        found = ask(store, lambda db: sql(db, "SELECT krw_rate, pnl_krw FROM trades ORDER BY id"))
        assert found == [(None, None), (Decimal("1400.5"), None)]

    def test_what_a_sale_after_a_split_realised_is_by_the_new_share(self, store: Store) -> None:
        append(store, make_fill(quantity=10, price=Decimal(100), fee=Decimal(0)))
        append(store, make_split(added=10, at=AT + 2 * MINUTE))
        sale = make_fill(
            fill_id="out",
            side=Side.SELL,
            quantity=20,
            price=Decimal(60),
            fee=Decimal(0),
            filled_at=AT + 3 * MINUTE,
        )
        append(store, sale)
        assert ask(store, lambda db: sql(db, "SELECT pnl FROM trades WHERE fill_id = 'out'")) == [
            (200,)
        ]
        assert ask(store, lambda db: sql(db, "SELECT quantity, split FROM positions")) == [(0, 10)]

    def test_a_decision_is_reviewed_once_somebody_left_a_remark(self, store: Store) -> None:
        append(store, make_decision(), make_decision(decision_id="open"), make_outcome())
        append(store, make_decision(decision_id="said"), make_decision(decision_id="settled"))
        append(store, make_outcome(decision_id="settled", note=""))
        append(store, make_decision_review(decision_id="said"))
        append(store, make_decision_review(decision_id="said", note="no", at=AT + 10 * HOUR))
        found = ask(
            store,
            lambda db: sql(
                db,
                "SELECT decision_id, outcome_pnl, outcome_accuracy, reviewed, review_notes"
                " FROM decision_logs ORDER BY decision_id",
            ),
        )
        assert found == [
            ("decision-1", Decimal("-1234.5"), 0.0, True, "sold into strength too late"),
            ("open", None, None, False, None),
            ("said", None, None, True, "no"),
            ("settled", Decimal("-1234.5"), 0.0, False, None),
        ]

    def test_a_playbook_is_generated_then_active_then_expired(self, store: Store) -> None:
        def statuses() -> list[tuple[str, int]]:
            return ask(
                store, lambda db: sql(db, "SELECT status, match_count FROM playbooks ORDER BY id")
            )

        append(store, make_playbook())
        assert statuses() == [("generated", 0)]
        append(store, make_observation(), make_match(kind="first"), make_match(kind="near"))
        assert statuses() == [("active", 1)]
        append(store, make_playbook(token_count=1, generated_at=AT + MINUTE))
        append(store, make_match(kind="first", at=AT + 2 * MINUTE))
        assert statuses() == [("expired", 1), ("active", 1)]
        append(store, make_scorecard())
        assert statuses() == [("expired", 1), ("expired", 1)]

    def test_positions_count_every_origin(self, store: Store) -> None:
        append(
            store,
            make_fill(quantity=10),
            make_fill(fill_id="2", side=Side.SELL, quantity=4),
            make_lot(quantity=3),
        )
        found = ask(store, lambda db: sql(db, "SELECT symbol, quantity FROM positions"))
        assert found == [("005930", 9)]

    def test_daily_pnl_runs_from_the_first_equity_of_the_session(self, store: Store) -> None:
        append(
            store,
            make_equity(equity=Decimal(1000), at=AT),
            make_equity(equity=Decimal(1200), at=AT + MINUTE),
            make_equity(equity=Decimal(970), at=AT + 2 * MINUTE),
        )
        found = ask(store, lambda db: sql(db, "SELECT pnl, pnl_pct FROM daily_pnl"))
        assert found == [(-30, -3.0)]


class TestSnapshots:
    def test_a_snapshot_opens_as_a_store_with_the_same_rows(
        self, store: Store, tmp_path: Path
    ) -> None:
        append(store, *one_of_each())
        target = tmp_path / "copies" / "copy.duckdb"
        rows = store.snapshot(target)
        copy = DuckStore(target)
        assert (
            rows == ask(copy, lambda db: db.total_rows()) == ask(store, lambda db: db.total_rows())
        )
        assert ask(copy, lambda db: db.orders()) == ask(store, lambda db: db.orders())
        append(copy, make_playbook(generated_at=AT + MINUTE))
        assert ask(copy, lambda db: sql(db, "SELECT count(DISTINCT id) FROM playbooks")) == [(2,)]
        assert [path.name for path in target.parent.glob("*.duckdb*")] != []
        assert not list(target.parent.glob(".*"))

    def test_it_never_overwrites_a_file(self, store: Store, tmp_path: Path) -> None:
        target = tmp_path / "copy.duckdb"
        target.write_text("precious")
        with pytest.raises(StoreError, match="exists already"):
            store.snapshot(target)
        assert target.read_text() == "precious"

    def test_a_failure_leaves_nothing_behind(self, store: Store, tmp_path: Path) -> None:
        append(store, make_notification())
        blocker = tmp_path / "a-file"
        blocker.write_text("")
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(StoreError, match="cannot write the snapshot"):
            store.snapshot(blocker / "copy.duckdb")
        assert sorted(tmp_path.rglob("*")) == before


class TestTheDoor:
    @pytest.mark.parametrize("inner", ["read", "write"])
    @pytest.mark.parametrize("outer", ["read", "write"])
    def test_a_block_inside_a_block_is_an_error_at_once(
        self, store: Store, outer: str, inner: str
    ) -> None:
        with getattr(store, outer)():
            again = getattr(store, inner)()
            with pytest.raises(RuntimeError, match="already open in this thread"):
                again.__enter__()
        append(store, make_notification())

    def test_threads_wait_for_each_other(self, store: Store) -> None:
        def work(name: int) -> None:
            for n in range(5):
                append(store, make_notification(notification_id=f"{name}-{n}"))

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert ask(store, lambda db: sql(db, "SELECT count(*) FROM notifications")) == [(20,)]

    def test_a_reader_is_of_no_use_after_its_block(self, store: Store) -> None:
        with store.read() as db:
            pass
        with pytest.raises(Exception, match="closed"):
            db.fills()


def sql(db: Any, statement: str) -> list[tuple[Any, ...]]:
    """A query of the test's own, for what the port does not show."""
    return db._connection.execute(statement).fetchall()


def _path_to(state: OrderState) -> list[OrderState]:
    """A shortest legal life that ends in ``state``."""
    paths: list[list[OrderState]] = [[S.INTENDED], [S.REFUSED]]
    for path in paths:
        if path[-1] is state:
            return path
        paths.extend([*path, after] for after in TRANSITIONS[path[-1]] if after not in path)
    raise AssertionError(f"no order can become {state}")
