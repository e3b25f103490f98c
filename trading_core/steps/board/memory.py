"""The seven layers of memory: what they are, what they hold, how a value went over time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from trading_core.model.journal import ContextEntry, ContextLayer
from trading_core.ports import StoreReader
from trading_core.steps.summary import plain

Json = dict[str, Any]
_FOUND = 200


def layers(reader: StoreReader) -> list[Json]:
    """L1 first, with how many entries each has and when the newest was written."""
    answer = []
    for layer in reader.context_layers():
        entries = reader.context_history(layer.layer)
        answer.append(
            {
                "layer": layer.layer.value,
                "name": layer.name,
                "description": layer.description,
                "keys": layer.keys,
                "timeframe_format": layer.timeframe_format,
                "retention_days": layer.retention_days,
                "made_from": layer.aggregates_from,
                "entries": len(entries),
                "newest": max((entry.timeframe for entry in entries), default=None),
                "written_at": max((entry.at for entry in entries), default=None),
            }
        )
    return answer


def entries(reader: StoreReader, layer: str) -> list[Json]:
    """Every entry of a layer, the newest timeframe first."""
    found = reader.context_history(ContextLayer(layer))
    return [_row(entry) for entry in sorted(found, key=_newest_first, reverse=True)]


def search(reader: StoreReader, words: str) -> list[Json]:
    """Entries of any layer with these words in key, timeframe or value, newest first; at most
    200. All the words must be there, in any order, whatever their case."""
    wanted = words.casefold().split()
    if not wanted:
        return []
    found = [
        entry
        for layer in ContextLayer
        for entry in reader.context_history(layer)
        if all(word in _text(entry) for word in wanted)
    ]
    found.sort(key=lambda entry: entry.at, reverse=True)
    return [_row(entry) for entry in found[:_FOUND]]


def numbers(rows: Sequence[Json]) -> dict[str, list[tuple[str, float]]]:
    """What of the values of one key is a number, over time: ``(timeframe, value)``, oldest first.

    Names of nested values are joined by dots.
    """
    series: dict[str, list[tuple[str, float]]] = {}
    for row in sorted(rows, key=lambda row: str(row["timeframe"])):
        for name, value in _leaves(row["value"]):
            series.setdefault(name, []).append((row["timeframe"], value))
    return series


def _leaves(value: Any, name: str = "") -> list[tuple[str, float]]:
    if isinstance(value, dict):
        parts = ((f"{name}.{key}" if name else str(key), item) for key, item in value.items())
        return [leaf for part, item in parts for leaf in _leaves(item, part)]
    if isinstance(value, bool) or value is None:
        return []
    if isinstance(value, int | float):
        return [(name, float(value))]
    if isinstance(value, str):
        try:
            return [(name, float(value))]
        except ValueError:
            return []
    return []


def _newest_first(entry: ContextEntry) -> tuple[str, str]:
    return entry.timeframe, entry.key


def _text(entry: ContextEntry) -> str:
    value = json.dumps(entry.value, ensure_ascii=False, default=str)
    return f"{entry.layer} {entry.timeframe} {entry.key} {value}".casefold()


def _row(entry: ContextEntry) -> Json:
    return {
        "layer": entry.layer.value,
        "timeframe": entry.timeframe,
        "key": entry.key,
        "value": plain(entry.value),
        "written_at": entry.at,
    }
