"""The playbook's contract: what a planner may write, and the schema it is bound to."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from google.genai import _transformers as gemini
from pydantic import ValidationError

from trading_core.model.playbook import (
    Outlook,
    Playbook,
    PlaybookDraft,
    PlaybookSource,
    scenario_id,
)

CONDITION = {"field": "rsi", "op": "<", "value": 30}
SCENARIO = {"conditions": [CONDITION], "action": "BUY", "confidence": 85}
DRAFT = {"outlook": "neutral", "stocks": [{"symbol": "005930", "scenarios": [SCENARIO]}]}

# What Gemini reads of a JSON schema, and three it takes without heeding them.
GEMINI_KEYWORDS = {
    "$defs", "$ref", "type", "title", "description", "enum", "items", "minItems", "maxItems",
    "minimum", "maximum", "anyOf", "properties", "additionalProperties", "required",
}  # fmt: skip
UNHEEDED_KEYWORDS = {"default", "minLength", "maxLength"}


def draft(**changes: Any) -> PlaybookDraft:
    """A draft of one scenario with some of its fields changed."""
    stock = {"symbol": "005930", "scenarios": [SCENARIO | changes]}
    return PlaybookDraft.model_validate(DRAFT | {"stocks": [stock]})


def playbook(**changes: Any) -> Playbook:
    fields: dict[str, Any] = {
        "session": date(2026, 11, 20),
        "market": "KR",
        "source": PlaybookSource.GEMINI,
        "outlook": Outlook.NEUTRAL,
        "stocks": draft().stocks,
        "generated_at": datetime(2026, 11, 19, 23, 30, tzinfo=UTC),
    }
    return Playbook(**(fields | changes))


def keywords(schema: dict[str, Any]) -> set[str]:
    """Every keyword used anywhere in a schema; names of properties and definitions are none."""
    found = set(schema)
    for name in ("properties", "$defs"):
        for part in schema.get(name, {}).values():
            found |= keywords(part)
    for part in [schema["items"]] if "items" in schema else schema.get("anyOf", []):
        found |= keywords(part)
    return found


def test_the_schema_a_model_must_fill_has_these_fields() -> None:
    schema = PlaybookDraft.model_json_schema()
    fields = {name: list(part.get("properties", {})) for name, part in schema["$defs"].items()}
    assert list(schema["properties"]) == ["outlook", "global_rules", "stocks"]
    assert {name: names for name, names in fields.items() if names} == {
        "Condition": ["field", "op", "value"],
        "MarketCondition": ["field", "op", "value"],
        "GlobalRule": ["condition", "action", "rationale"],
        "Scenario": [
            "conditions",
            "action",
            "confidence",
            "allocation_pct",
            "stop_loss_pct",
            "take_profit_pct",
            "rationale",
        ],
        "StockPlan": ["symbol", "scenarios"],
    }
    assert schema["$defs"]["Condition"]["properties"]["field"]["enum"] == [
        "price",
        "change_pct",
        "gap_pct",
        "range_pct",
        "volume_ratio",
        "rsi",
        "atr_pct",
        "return_5d_pct",
        "return_20d_pct",
        "momentum",
        "breakout_pct",
        "spread_pct",
        "unrealized_pnl_pct",
        "holding_days",
        "minutes_to_close",
    ]
    assert schema["$defs"]["MarketCondition"]["properties"]["field"]["enum"] == [
        "day_pnl_pct",
        "cash_pct",
        "exposure_pct",
        "index_change_pct",
    ]
    assert schema["$defs"]["Condition"]["properties"]["op"]["enum"] == ["<", "<=", ">", ">="]


def test_the_schema_uses_only_keywords_that_gemini_takes() -> None:
    assert keywords(PlaybookDraft.model_json_schema()) <= GEMINI_KEYWORDS | UNHEEDED_KEYWORDS


def test_the_schema_sets_nothing_beside_a_reference() -> None:
    def references(part: Any) -> list[dict[str, Any]]:
        parts = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        below = [found for each in parts for found in references(each)]
        return [*below, part] if isinstance(part, dict) and "$ref" in part else below

    found = references(PlaybookDraft.model_json_schema())
    assert found
    assert all(set(reference) == {"$ref"} for reference in found)


def test_the_gemini_library_converts_the_schema_to_its_own() -> None:
    schema = gemini.t_schema(None, PlaybookDraft)
    assert schema is not None
    stocks = schema.properties["stocks"].items
    scenario = stocks.properties["scenarios"].items
    assert scenario.properties["stop_loss_pct"].nullable
    assert (scenario.properties["stop_loss_pct"].minimum, scenario.min_items) == (-100, None)
    assert scenario.properties["conditions"].items.properties["value"].type == "NUMBER"


def test_a_reply_becomes_a_draft() -> None:
    reply = '{"outlook": "bullish", "stocks": [{"symbol": "AAPL", "scenarios": [{"conditions": [{"field": "price", "op": ">=", "value": 190.5}], "action": "BUY", "confidence": 90, "allocation_pct": 5, "stop_loss_pct": -2, "take_profit_pct": 4, "rationale": "r"}]}]}'  # noqa: E501
    scenario = PlaybookDraft.model_validate_json(reply).stocks[0].scenarios[0]
    assert (scenario.conditions[0].value, scenario.stop_loss_pct) == (190.5, -2.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"conditions": []},
        {"conditions": [CONDITION | {"field": "portfolio_pnl"}]},
        {"conditions": [CONDITION | {"op": "=="}]},
        {"conditions": [CONDITION | {"value": float("nan")}]},
        {"conditions": [CONDITION | {"value": float("inf")}]},
        {"conditions": [CONDITION | {"note": "not in the schema"}]},
        {"action": "REDUCE_ALL"},
        {"confidence": 101},
        {"confidence": -1},
        {"allocation_pct": 100.5},
        {"stop_loss_pct": 0},
        {"stop_loss_pct": 2.0},
        {"stop_loss_pct": -101},
        {"take_profit_pct": 0},
        {"take_profit_pct": -1.0},
        {"leverage": 3},
    ],
)
def test_a_scenario_outside_the_contract_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        draft(**changes)


def test_a_stock_without_scenarios_is_refused() -> None:
    with pytest.raises(ValidationError):
        PlaybookDraft.model_validate(DRAFT | {"stocks": [{"symbol": "A", "scenarios": []}]})


def test_the_default_action_is_hold_and_nothing_else() -> None:
    assert playbook().default_action == "HOLD"
    with pytest.raises(ValidationError):
        playbook(default_action="BUY")


def test_the_id_names_what_the_playbook_says_not_when_it_was_written() -> None:
    book = playbook()
    later = playbook(generated_at=book.generated_at + timedelta(hours=1))
    assert later.playbook_id == book.playbook_id
    assert playbook(outlook=Outlook.BEARISH).playbook_id != book.playbook_id


def test_a_playbook_survives_being_stored_as_json() -> None:
    book = playbook()
    again = Playbook.model_validate_json(book.model_dump_json())
    assert again == book
    assert again.playbook_id == book.playbook_id


def test_a_scenario_is_named_by_its_symbol_and_place() -> None:
    assert scenario_id("005930", 0) == "005930#0"
    assert playbook().symbols == ("005930",)
    assert playbook().scenario_count == 1
