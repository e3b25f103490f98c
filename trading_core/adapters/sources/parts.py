"""Reads single values of providers' JSON; what is not what it should be is "no data"."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from trading_core.model.sources import MAX_URL, plain_text

Row: TypeAlias = Mapping[str, Any]

_TAG = re.compile(r"</?[A-Za-z][^<>]{0,300}>")
_LONGEST = 4000


def rows(value: object) -> list[Row]:
    """The objects of a list; anything else is left out."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def row(value: object) -> Row:
    return value if isinstance(value, dict) else {}


def text(value: object) -> str:
    """One line without mark-up: tags taken out, character references resolved."""
    if not isinstance(value, str):
        return ""
    return plain_text(html.unescape(_TAG.sub(" ", value[:_LONGEST])), MAX_URL)


def number(value: object) -> float | None:
    """A finite number, given as one or as its text (``1.5``, ``1.5%``)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value.strip().removesuffix("%")) if isinstance(value, str) else float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def score(value: object) -> float | None:
    """A sentiment from -1 to 1; None for any other number, which is of another scale."""
    found = number(value)
    return found if found is not None and -1 <= found <= 1 else None


def from_epoch(value: object) -> datetime | None:
    """Seconds since 1970 as aware UTC."""
    seconds = number(value)
    if seconds is None or not 0 < seconds < 1e11:
        return None
    return datetime.fromtimestamp(seconds, UTC)


def from_iso(value: object, form: str = "") -> datetime | None:
    """ISO 8601, or a ``strptime`` form that is UTC; None where the zone is not known."""
    if not isinstance(value, str):
        return None
    try:
        if form:
            return datetime.strptime(value.strip(), form).replace(tzinfo=UTC)
        found = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else None
