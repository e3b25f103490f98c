"""How the reply of a language model becomes a draft, and the schema it is bound to.

Read leniently where dropping a part is safe (a bad scenario costs that scenario and leaves a
note) and strictly where guessing is not: a condition is never dropped from a scenario, because
fewer conditions match more often.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from trading_core.errors import ReplyInvalid
from trading_core.model.playbook import (
    GlobalRule,
    LintNote,
    Outlook,
    PlaybookDraft,
    Scenario,
    StockPlan,
)

GLOBAL = ""
MAX_RATIONALE = 500
_MAX_PROBLEMS = 12
_FENCE = re.compile(r"^\s*```[a-zA-Z]*\s*|\s*```\s*$")


def parse_draft(
    text: str, *, known_symbols: Collection[str]
) -> tuple[PlaybookDraft, tuple[LintNote, ...]]:
    """The draft in a reply, and a note for everything in it that could not be used.

    Code fences are taken off; an unknown outlook becomes neutral; unknown fields, unknown symbols,
    and scenarios or rules that do not validate are dropped. Notes about the whole reply
    or a global rule carry the symbol ``""``, as in lint; numbers are those of the reply.

    Raises:
        ReplyInvalid: not JSON, no list of stocks, or nothing usable in a list that is not empty;
            the message says what was wrong, for the model to repair.
    """
    reply = json_object(text)
    notes = _Notes()
    stocks = reply.get("stocks")
    if not isinstance(stocks, list):
        raise ReplyInvalid('the reply has no "stocks" list')
    notes.unknown_fields(GLOBAL, None, reply, PlaybookDraft)
    outlook = _outlook(reply.get("outlook"), notes)
    rules = _global_rules(reply.get("global_rules", []), notes)
    plans = _stock_plans(stocks, frozenset(known_symbols), notes)
    if stocks and not plans:
        raise ReplyInvalid(f"no usable stock in the reply: {notes.problems()}")
    draft = PlaybookDraft(outlook=outlook, global_rules=tuple(rules), stocks=tuple(plans))
    return draft, tuple(notes.rows)


def response_schema() -> dict[str, Any]:
    """The JSON schema of :class:`PlaybookDraft` in the keywords Gemini documents.

    Its structured output documents no exclusive bounds, lengths or defaults
    (ai.google.dev/gemini-api/docs/structured-output), so those are left out (the reply is
    validated here in any case), references are written out, and every property is required, so
    that none is forgotten.
    """
    return plain_schema(PlaybookDraft.model_json_schema())


def plain_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Any JSON schema in those keywords, with its references written out."""
    return _plain_schema(schema, schema.get("$defs", {}))


_KEPT_KEYWORDS = frozenset(
    {"type", "description", "enum", "minimum", "maximum", "minItems", "additionalProperties"}
)


def _plain_schema(node: Mapping[str, Any], defs: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        return _plain_schema(defs[node["$ref"].rpartition("/")[2]], defs)
    plain = {key: value for key, value in node.items() if key in _KEPT_KEYWORDS}
    if "properties" in node:
        plain["properties"] = {k: _plain_schema(v, defs) for k, v in node["properties"].items()}
        plain["required"] = list(node["properties"])
    if "items" in node:
        plain["items"] = _plain_schema(node["items"], defs)
    if "anyOf" in node:
        plain["anyOf"] = [_plain_schema(option, defs) for option in node["anyOf"]]
    return plain


class _Notes:
    """Collects what was dropped or repaired."""

    def __init__(self) -> None:
        self.rows: list[LintNote] = []

    def add(
        self, symbol: str, scenario: int | None, kind: Literal["dropped", "repaired"], reason: str
    ) -> None:
        self.rows.append(LintNote(symbol=symbol, scenario=scenario, kind=kind, reason=reason))

    def unknown_fields(
        self, symbol: str, scenario: int | None, raw: Mapping[str, Any], model: type[BaseModel]
    ) -> dict[str, Any]:
        """``raw`` without the fields that ``model`` does not have."""
        known = {key: value for key, value in raw.items() if key in model.model_fields}
        if unknown := sorted(key[:40] for key in raw.keys() - known.keys()):
            self.add(symbol, scenario, "dropped", f"unknown field {', '.join(unknown)}")
        return known

    def problems(self) -> str:
        """What was dropped, in one line for the model."""
        dropped = [row for row in self.rows if row.kind == "dropped"]
        lines = []
        for row in dropped[:_MAX_PROBLEMS]:
            where = "" if row.scenario is None else f" scenario {row.scenario}"
            lines.append(f"{row.symbol}{where}: {row.reason}".lstrip(": "))
        if len(dropped) > _MAX_PROBLEMS:
            lines.append(f"and {len(dropped) - _MAX_PROBLEMS} more")
        return "; ".join(lines)


def json_object(text: str) -> dict[str, Any]:
    bare = _FENCE.sub("", text).strip()
    if not bare.startswith("{"):
        # Some models greet before they answer.
        start, end = bare.find("{"), bare.rfind("}")
        bare = bare[start : end + 1] if 0 <= start < end else bare
    if not bare:
        raise ReplyInvalid("the reply is empty")
    try:
        reply = json.loads(bare, object_pairs_hook=_each_key_once)
    except json.JSONDecodeError as error:
        where = f"character {error.pos} of {len(bare)}"
        raise ReplyInvalid(f"the reply is not JSON: {error.msg} at {where}") from None
    except (RecursionError, ValueError):
        # Nested too deeply, or a number of thousands of digits.
        raise ReplyInvalid("the reply is not usable JSON") from None
    if not isinstance(reply, dict):
        raise ReplyInvalid(f"the reply is a JSON {type(reply).__name__}, not an object")
    return reply


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object that says a thing twice says two things, and nobody knows which is meant."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ReplyInvalid(f'the reply gives "{_short(twice)}" twice in one object')
    return found


def _outlook(raw: object, notes: _Notes) -> Outlook:
    if isinstance(raw, str):
        word = re.sub(r"[\s-]+", "_", raw.strip().lower())
        if word in set(Outlook):
            return Outlook(word)
    notes.add(GLOBAL, None, "repaired", f"unknown outlook {_short(raw)}: taken as neutral")
    return Outlook.NEUTRAL


def _global_rules(raw: object, notes: _Notes) -> list[GlobalRule]:
    if not isinstance(raw, list):
        notes.add(GLOBAL, None, "dropped", "global_rules is not a list")
        return []
    rules = []
    for index, item in enumerate(raw):
        if not isinstance(item, dict):
            notes.add(GLOBAL, index, "dropped", f"global rule is not an object: {_short(item)}")
            continue
        fields = _tidy(notes.unknown_fields(GLOBAL, index, item, GlobalRule), GLOBAL, index, notes)
        try:
            rules.append(GlobalRule.model_validate(fields))
        except ValidationError as error:
            notes.add(GLOBAL, index, "dropped", f"global rule: {_reasons(error)}")
    return rules


def _stock_plans(raw: Iterable[object], known: frozenset[str], notes: _Notes) -> list[StockPlan]:
    scenarios: dict[str, list[Scenario]] = {}
    for item in raw:
        if not isinstance(item, dict):
            notes.add(GLOBAL, None, "dropped", f"stock is not an object: {_short(item)}")
            continue
        symbol = _known_symbol(item.get("symbol"), known)
        if symbol is None:
            name = _short(item.get("symbol"))
            notes.add(name, None, "dropped", f"symbol {name} is not in the tables")
            continue
        notes.unknown_fields(symbol, None, item, StockPlan)
        if symbol in scenarios:
            notes.add(symbol, None, "repaired", "named twice: the scenarios are joined")
        found = scenarios.setdefault(symbol, [])
        found += _scenarios(symbol, item.get("scenarios"), notes)
    return [
        StockPlan(symbol=symbol, scenarios=tuple(found))
        for symbol, found in scenarios.items()
        if found
    ]


def _known_symbol(raw: object, known: frozenset[str]) -> str | None:
    if not isinstance(raw, str):
        return None
    return next((s for s in (raw, raw.strip(), raw.strip().upper()) if s in known), None)


def _scenarios(symbol: str, raw: object, notes: _Notes) -> list[Scenario]:
    if not isinstance(raw, list) or not raw:
        notes.add(symbol, None, "dropped", "no list of scenarios")
        return []
    scenarios = []
    for index, item in enumerate(raw):
        if not isinstance(item, dict):
            notes.add(symbol, index, "dropped", f"scenario is not an object: {_short(item)}")
            continue
        fields = _tidy(notes.unknown_fields(symbol, index, item, Scenario), symbol, index, notes)
        try:
            scenarios.append(Scenario.model_validate(fields))
        except ValidationError as error:
            notes.add(symbol, index, "dropped", _reasons(error))
    return scenarios


def _tidy(raw: dict[str, Any], symbol: str, index: int, notes: _Notes) -> dict[str, Any]:
    """Harmless deviations put right: null for "not given", letter case, a long rationale."""
    tidy = {key: value for key, value in raw.items() if value is not None}
    if isinstance(action := tidy.get("action"), str):
        tidy["action"] = action.strip().upper()
    if isinstance(rationale := tidy.get("rationale"), str) and len(rationale) > MAX_RATIONALE:
        tidy["rationale"] = rationale[:MAX_RATIONALE]
        notes.add(symbol, index, "repaired", f"rationale cut to {MAX_RATIONALE} characters")
    if tidy.get("action") != "BUY":
        for name in ("stop_loss_pct", "take_profit_pct"):
            # A zero means "none" where nothing is bought; for a BUY it is doubt, and costs it.
            if tidy.get(name) == 0:
                del tidy[name]
                notes.add(symbol, index, "repaired", f"{name} 0 taken as none")
    return tidy


def _reasons(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
        for item in error.errors(include_url=False, include_input=False)[:4]
    )


def _short(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return " ".join(text.split())[:40] or "(empty)"
