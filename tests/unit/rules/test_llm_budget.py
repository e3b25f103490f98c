"""Days and months of the ledger, prices by date, and what becomes of calls without an outcome."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from tests.record_factories import AT, make_llm_call, make_llm_reservation
from trading_core.model.language import LOST, UNDER_WAY
from trading_core.rules.llm_budget import budget_day, day_and_month, ledger, reusable
from trading_core.rules.llm_prices import OPENAI_PRICES, TokenPrice, call_cost, flat_price


@pytest.mark.parametrize(
    ("at", "day", "began", "month"),
    [
        ("2026-11-22T07:59", "2026-11-21", "2026-11-21T08:00", "2026-11-01T07:00"),
        ("2026-11-22T08:00", "2026-11-22", "2026-11-22T08:00", "2026-11-01T07:00"),
        ("2026-07-01T06:59", "2026-06-30", "2026-06-30T07:00", "2026-06-01T07:00"),
        ("2026-11-02T00:00", "2026-11-01", "2026-11-01T07:00", "2026-11-01T07:00"),
        ("2027-01-01T07:00", "2026-12-31", "2026-12-31T08:00", "2026-12-01T08:00"),
    ],
)
def test_days_and_months_begin_at_midnight_in_california_summer_and_winter(
    at: str, day: str, began: str, month: str
) -> None:
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    begins = tuple(datetime.fromisoformat(t).replace(tzinfo=UTC) for t in (began, month))
    assert budget_day(moment) == date.fromisoformat(day)
    assert day_and_month(moment) == begins


def test_a_reservation_without_an_outcome_is_under_way_and_then_lost() -> None:
    open_call = make_llm_reservation(call_id="open", until=AT + timedelta(seconds=90))
    done = make_llm_reservation(call_id="call-1")
    for seconds, outcome in ((0, UNDER_WAY), (89, UNDER_WAY), (90, LOST)):
        at = AT + timedelta(seconds=seconds)
        rows = ledger([open_call, done], [make_llm_call()], at=at)
        assert [(row.call_id, row.outcome) for row in rows] == [("call-1", "ok"), ("open", outcome)]
        assert rows[1].cost_usd == Decimal("0.31")


def test_only_a_good_reply_of_the_same_model_to_the_same_prompt_is_used_again() -> None:
    good = make_llm_call()
    same = {"provider": "gemini", "model": "a-model", "prompt_id": "prompt-1"}
    newer = make_llm_call(call_id="call-2", at=AT + timedelta(minutes=1))
    assert reusable([newer, good], **same) == newer
    for other in (
        make_llm_call(outcome="ReplyInvalid"),
        make_llm_call(outcome="reused"),
        make_llm_call(reply_id=""),
        make_llm_call(provider="openai"),
        make_llm_call(model="b-model"),
        make_llm_call(prompt_id="prompt-2"),
    ):
        assert reusable([other], **same) is None


def test_a_long_prompt_costs_more_from_where_the_list_says() -> None:
    def cost(tokens: int) -> Decimal | None:
        return call_cost(
            OPENAI_PRICES, "gpt-5.4", date(2026, 11, 1), input_tokens=tokens, output_tokens=1_000
        )

    assert cost(272_000) == Decimal("0.68") + Decimal("0.015")
    assert cost(300_000) == Decimal("1.5") + Decimal("0.0225")


def test_a_long_price_of_nothing_is_nothing() -> None:
    price = TokenPrice("m", date.min, Decimal(1), Decimal(1), Decimal(0), Decimal(0))
    assert call_cost([price], "m", date(2026, 1, 1), input_tokens=300_000, output_tokens=9) == 0


def test_a_flat_price_holds_for_all_times() -> None:
    price = flat_price("mine", input_usd=Decimal("0.5"), output_usd=Decimal(0))
    for day in (date(1999, 1, 1), date(2099, 1, 1)):
        cost = call_cost([price], "mine", day, input_tokens=2_000_000, output_tokens=5)
        assert cost == 1
    assert call_cost([price], "yours", day, input_tokens=1, output_tokens=1) is None
