"""What a model might answer, made from the tables of the prompt alone; the same prompt, the same
answer. It knows no prices but those it is shown, and has no merit as a strategy."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

MOST_ENTRIES = 8
WIDEST_STOP = 6.9
Row = Mapping[str, str]
Json = dict[str, Any]


def scripted_draft(prompt: str) -> Json:
    """A playbook: exits for every holding, and entries for the liveliest candidates."""
    held = list(_rows(prompt, "symbol,quantity,"))
    candidates = list(_rows(prompt, "symbol,price,"))
    planned: dict[str, list[Json]] = {row["symbol"]: _exits(row) for row in held}
    entered = 0
    for row in candidates:
        entry = _entry(row)
        if entry is None or row["symbol"] in planned:
            continue
        planned[row["symbol"]] = [entry, _stop_scenario(entry["stop_loss_pct"])]
        entered += 1
        if entered == MOST_ENTRIES:
            break
    return {
        "outlook": _outlook(candidates),
        "global_rules": [
            {
                "condition": {"field": "day_pnl_pct", "op": "<", "value": -1.5},
                "action": "NO_ENTRIES",
                "rationale": "a bad day is not chased",
            }
        ],
        "stocks": [{"symbol": name, "scenarios": plans} for name, plans in planned.items()],
    }


def scripted_lessons(prompt: str) -> Json:
    """One sentence that says no more than it was shown."""
    return {"lessons": [f"the figures shown were {len(prompt)} characters long"]}


def _rows(prompt: str, header: str) -> Iterator[Row]:
    """The rows of the table whose first line begins with ``header``."""
    lines = iter(prompt.splitlines())
    names = next((line.split(",") for line in lines if line.startswith(header)), [])
    for line in lines:
        # A name may hold commas, and stands last.
        cells = line.split(",", len(names) - 1)
        if len(cells) != len(names):
            return
        yield dict(zip(names, cells, strict=True))


def _value(row: Row, name: str) -> float:
    try:
        return float(row[name])
    except (KeyError, ValueError):
        return math.nan


def _entry(row: Row) -> Json | None:
    """One entry: with the trend when there is one, against it when it has gone far."""
    names = ("rsi", "atr_pct", "return_20d_pct", "momentum")
    rsi, atr, month, momentum = (_value(row, name) for name in names)
    stop = round(max(2.0 * atr, 2.0), 1)
    if not (all(map(math.isfinite, (rsi, month, momentum))) and stop <= WIDEST_STOP):
        return None
    if month > 5 and rsi < 72:
        confidence = min(92, 78 + round(momentum / 8))
        tests = [("change_pct", ">", 0.7), ("volume_ratio", ">", 1.1), ("rsi", "<", 78.0)]
        why = "goes on rising on more volume than usual"
    elif rsi < 38:
        confidence = min(90, 80 + round((38 - rsi) / 2))
        tests = [("change_pct", ">", 0.4), ("gap_pct", ">", -2.0)]
        why = "sold far enough, and turns"
    else:
        return None
    conditions = [{"field": field, "op": op, "value": value} for field, op, value in tests]
    conditions.append({"field": "minutes_to_close", "op": ">", "value": 45.0})
    return {
        "conditions": conditions,
        "action": "BUY",
        "confidence": confidence,
        "allocation_pct": 6.0,
        "stop_loss_pct": -stop,
        "take_profit_pct": round(1.8 * stop, 1),
        "rationale": why,
    }


def _exits(row: Row) -> list[Json]:
    gain = _value(row, "unrealized_pnl_pct")
    tight = 1.5 if gain > 4 else 4.0
    return [
        _stop_scenario(-tight if gain > 4 else -5.0),
        {
            "conditions": [
                {"field": "rsi", "op": ">", "value": 80.0},
                {"field": "unrealized_pnl_pct", "op": ">", "value": 3.0},
            ],
            "action": "REDUCE",
            "confidence": 84,
            "rationale": "run far: half of it is taken",
        },
    ]


def _stop_scenario(loss_pct: float) -> Json:
    return {
        "conditions": [{"field": "unrealized_pnl_pct", "op": "<=", "value": loss_pct}],
        "action": "SELL",
        "confidence": 95,
        "rationale": "the loss that was planned for",
    }


def _outlook(candidates: list[Row]) -> str:
    known = [v for row in candidates if math.isfinite(v := _value(row, "change_pct"))]
    rising = sum(value > 0 for value in known)
    if not known or abs(2 * rising - len(known)) <= len(known) / 5:
        return "neutral"
    return "neutral_to_bullish" if 2 * rising > len(known) else "neutral_to_bearish"
