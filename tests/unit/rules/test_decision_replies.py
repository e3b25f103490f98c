"""A reply becomes a decision, or a HOLD with confidence 0: nothing in between."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_core.errors import ReplyInvalid
from trading_core.model.decision import REALTIME, TradeDecision, no_decision
from trading_core.model.language import STOPPED, ModelReply
from trading_core.model.limits import PlanLimits, RiskLimits
from trading_core.model.playbook import Action, Outlook
from trading_core.rules.decision_replies import as_match, decision_schema, parse_decision, settled
from trading_core.rules.exits import DEFAULT_STOP_LOSS_PCT
from trading_core.rules.lint import LOOSEST_STOP_LOSS_PCT

SYMBOL = "005930"
GOOD: dict[str, Any] = {
    "symbol": SYMBOL,
    "action": "BUY",
    "confidence": 85,
    "rationale": "volume",
    "stop_loss_pct": -3.0,
    "take_profit_pct": 6.0,
    "allocation_pct": 5.0,
}


def read(text: str, ending: str = STOPPED) -> TradeDecision:
    return parse_decision(ModelReply(text, ending, "stand-in"), symbol=SYMBOL)


def of(**changes: Any) -> TradeDecision:
    return read(json.dumps(GOOD | changes))


def test_a_good_reply_is_taken_as_it_is() -> None:
    assert of() == TradeDecision(SYMBOL, Action.BUY, 85, "volume", -3.0, 6.0, 5.0, model="stand-in")


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{json.dumps(GOOD)}\n```",
        f"Here you are: {json.dumps(GOOD)}",
        json.dumps(GOOD | {"action": " buy ", "confidence": 85.0, "more": "x"}),
    ],
)
def test_harmless_wrapping_is_taken_off(text: str) -> None:
    assert read(text) == of()


@pytest.mark.parametrize(
    "changes",
    [
        {"action": "REDUCE"},
        {"action": "BUY_ALL"},
        {"action": None},
        {"confidence": 101},
        {"confidence": -1},
        {"confidence": 85.5},
        {"confidence": "85"},
        {"confidence": True},
        {"confidence": None},
        {"confidence": math.nan},
        {"symbol": "000660"},
        {"symbol": None},
        {"stop_loss_pct": 0},
        {"stop_loss_pct": 3},
        {"stop_loss_pct": "-3"},
        {"take_profit_pct": -6},
        {"allocation_pct": 101},
        {"allocation_pct": -1},
        {"rationale": 7},
    ],
)
def test_what_is_not_valid_is_no_decision(changes: dict[str, Any]) -> None:
    with pytest.raises(ReplyInvalid):
        of(**changes)


@pytest.mark.parametrize("text", ["", "[]", "null", "BUY", "{", '{"action": "BUY"}'])
def test_what_is_no_such_object_is_no_decision(text: str) -> None:
    with pytest.raises(ReplyInvalid):
        read(text)


def test_a_reply_that_was_cut_off_is_no_decision_even_where_it_can_be_read() -> None:
    with pytest.raises(ReplyInvalid, match="MAX_TOKENS"):
        read(json.dumps(GOOD), "MAX_TOKENS")


def test_a_stop_of_zero_says_none_where_nothing_is_bought() -> None:
    held = of(action="HOLD", stop_loss_pct=0, take_profit_pct=0, allocation_pct=-1)
    assert (held.action, held.stop_loss_pct, held.allocation_pct) == (Action.HOLD, None, 0.0)


def test_a_long_rationale_is_cut_and_stays_one_line() -> None:
    assert of(rationale="a\nb" * 400).rationale == ("a b" * 400)[:300]


@given(st.text(max_size=300) | st.binary(max_size=80).map(lambda b: b.decode("latin-1")))
def test_no_text_is_an_error_of_another_kind_or_a_buy(text: str) -> None:
    try:
        decision = read(text)
    except ReplyInvalid as error:
        assert len(str(error)) <= 300
    else:
        assert decision.action is not Action.BUY


_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*GOOD, "other"]), _VALUES), st.booleans())
def test_whatever_stands_in_the_fields_a_buy_is_complete_and_within_bounds(
    fields: dict[str, Any], over_good: bool
) -> None:
    try:
        decision = read(json.dumps((GOOD | fields) if over_good else fields))
    except ReplyInvalid:
        return
    assert decision.symbol == SYMBOL
    assert 0 <= decision.confidence <= 100
    ready = settled(decision, held=0, limits=RiskLimits(), plan=PlanLimits())
    if ready.action is Action.BUY:
        assert ready.confidence >= 80
        assert LOOSEST_STOP_LOSS_PCT <= (ready.stop_loss_pct or 0) < 0
        assert 0 <= ready.allocation_pct <= PlanLimits().max_allocation_pct
    assert as_match(ready).scenario.action is ready.action


def ready(decision: TradeDecision, held: int = 0) -> TradeDecision:
    return settled(decision, held=held, limits=RiskLimits(), plan=PlanLimits())


def test_the_threshold_itself_is_confident_enough_and_one_below_is_hold() -> None:
    assert ready(of(confidence=80)).action is Action.BUY
    below = ready(of(confidence=79))
    assert (below.action, below.confidence) == (Action.HOLD, 79)
    assert below.reason == "confidence 79 is below 80"


def test_a_bearish_outlook_asks_more_of_a_buy_and_nothing_more_of_a_sale() -> None:
    def bearish(decision: TradeDecision, held: int = 0) -> TradeDecision:
        limits, plan = RiskLimits(), PlanLimits()
        return settled(decision, held=held, limits=limits, plan=plan, outlook=Outlook.BEARISH)

    assert bearish(of(confidence=90)).action is Action.BUY
    below = bearish(of(confidence=89))
    assert below.action is Action.HOLD
    assert below.reason == "confidence 89 is below the 90 of an entry, bearish outlook"
    assert bearish(of(action="SELL", confidence=80), held=5).action is Action.SELL


def test_what_lost_lately_is_not_bought_and_may_be_sold() -> None:
    def banned(decision: TradeDecision, held: int = 0) -> TradeDecision:
        limits, plan = RiskLimits(), PlanLimits()
        return settled(decision, held=held, limits=limits, plan=plan, banned="3 losing trades")

    assert banned(of()).reason == "not bought after recent losses: 3 losing trades"
    assert banned(of()).action is Action.HOLD
    assert banned(of(action="SELL"), held=5).action is Action.SELL


def test_a_buy_without_a_stop_gets_the_usual_one_and_a_loose_one_is_tightened() -> None:
    assert ready(of(stop_loss_pct=None)).stop_loss_pct == DEFAULT_STOP_LOSS_PCT
    assert ready(of(stop_loss_pct=-60)).stop_loss_pct == LOOSEST_STOP_LOSS_PCT
    assert ready(of(stop_loss_pct=-1.5)).stop_loss_pct == -1.5


def test_an_allocation_is_cut_to_the_cap() -> None:
    assert ready(of(allocation_pct=100)).allocation_pct == PlanLimits().max_allocation_pct
    assert ready(of(allocation_pct=None)).allocation_pct == 0


def test_only_what_is_held_is_sold_and_only_what_is_not_is_bought() -> None:
    assert ready(of(action="SELL"), held=5).action is Action.SELL
    assert ready(of(action="SELL")).reason == "nothing is held"
    assert ready(of(), held=5).reason == "already held"
    assert ready(of(action="SELL", confidence=10), held=5).action is Action.HOLD


def test_a_decision_is_acted_on_as_the_scenario_that_matched() -> None:
    match = as_match(no_decision(SYMBOL, "as told"))
    assert (match.symbol, match.scenario_id) == (SYMBOL, REALTIME)
    scenario = match.scenario
    assert (scenario.action, scenario.confidence, scenario.rationale) == (
        *(Action.HOLD, 0),
        "as told",
    )


def test_the_schema_asks_for_every_field_and_knows_three_actions() -> None:
    schema = decision_schema()
    assert schema["required"] == list(GOOD)
    assert schema["properties"]["action"]["enum"] == ["BUY", "SELL", "HOLD"]
    assert "exclusive" not in json.dumps(schema)
