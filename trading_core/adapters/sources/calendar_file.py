"""An economic calendar that a person keeps in a CSV or JSON file.

CSV with a head line, or a JSON list of objects, with ``at, country, name`` and, where known,
``importance, forecast, previous, actual`` (JSON texts). ``at`` is ISO 8601 with its offset
(``2026-12-10T14:00:00-05:00``); without one the line needs a ``zone`` such as America/New_York.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from trading_core.adapters.sources.config import FILE as NAME
from trading_core.adapters.sources.web import MAX_BYTES
from trading_core.errors import SourceError
from trading_core.model.sources import EconomicEvent, Importance


class FileCalendar:
    """Implements ``EconomicCalendar``. A line that cannot be read is left out and named."""

    name = NAME

    def __init__(self, path: Path) -> None:
        self._path = path

    async def events(
        self, country: str, *, since: datetime, until: datetime, at: datetime
    ) -> AsyncIterator[Sequence[EconomicEvent]]:
        wrong: list[str] = []
        found: list[EconomicEvent] = []
        for number, line in enumerate(await asyncio.to_thread(self._lines), start=1):
            try:
                event = _event(line, at)
            except (ValueError, KeyError, OSError, AttributeError, TypeError) as error:
                wrong.append(f"entry {number} ({_reason(error)})")
                continue
            if event.country == country and since <= event.at < until:
                found.append(event)
        yield found
        if wrong:
            more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
            raise SourceError(f"{self._path.name}: not read: {', '.join(wrong[:3])}{more}")

    def _lines(self) -> list[Mapping[str, str]]:
        try:
            with self._path.open("rb") as file:
                body = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise SourceError(f"{self._path.name} cannot be read: {error.strerror}") from None
        if len(body) > MAX_BYTES:
            raise SourceError(f"{self._path.name} is larger than {MAX_BYTES // 1000} kB")
        try:
            text = body.decode("utf-8-sig")
            if self._path.suffix.lower() == ".json":
                entries = json.loads(text)
            else:
                entries = list(csv.DictReader(io.StringIO(text), skipinitialspace=True))
        except (ValueError, RecursionError, csv.Error):
            raise SourceError(f"{self._path.name} is neither CSV nor JSON in UTF-8") from None
        if not isinstance(entries, list):
            raise SourceError(f"{self._path.name} is not a list of events")
        return entries


def _event(line: Mapping[str, str], at: datetime) -> EconomicEvent:
    due = datetime.fromisoformat(line["at"].strip())
    if due.tzinfo is None:
        zone = (line.get("zone") or "").strip()
        if not zone:
            raise ValueError("at has no offset and there is no zone")
        due = due.replace(tzinfo=ZoneInfo(zone))
    return EconomicEvent(
        at=due,
        country=line["country"],
        name=line["name"],
        source=NAME,
        fetched_at=at,
        importance=Importance((line.get("importance") or "unknown").strip().lower()),
        forecast=_figure(line.get("forecast")),
        previous=_figure(line.get("previous")),
        actual=_figure(line.get("actual")),
    )


def _figure(value: object) -> str | None:
    return None if value is None else str(value)


def _reason(error: Exception) -> str:
    if isinstance(error, ZoneInfoNotFoundError):
        return "no such zone"
    if isinstance(error, KeyError):
        return f"no {error.args[0]}"
    if isinstance(error, ValueError):
        return str(error)[:80]
    return "not an entry"
