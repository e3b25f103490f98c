"""Reads the broker's JSON: every business value is a string, and nothing is taken on trust.

A blank means "no data"; anything that is not what its field should be raises
:class:`BrokerUnavailable`, so that no price, order or fill is ever made of garbage.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, NoReturn, TypeAlias
from zoneinfo import ZoneInfo

from trading_core.errors import BrokerUnavailable

Row: TypeAlias = Mapping[str, Any]

_NUMBER = re.compile(r"[+-]?([0-9]{1,20}(\.[0-9]{0,12})?|\.[0-9]{1,12})")
_DATE = re.compile(r"[0-9]{8}")
_TIME = re.compile(r"[0-9]{6}")
_ORDER_NO = re.compile(r"[0-9]{1,12}")
_SYMBOL = re.compile(r"[0-9A-Z][0-9A-Z./-]{0,15}")
_ORDER_NO_WIDTH = 10


def unusable(what: str) -> NoReturn:
    """Refuse an answer. Values stay out of the message: they may echo what was sent."""
    raise BrokerUnavailable(f"unusable answer: {what}")


def one_row(value: object) -> Row:
    """A single-row output, which may come as an object or as an array of one; {} for none."""
    found = rows(value)
    return found[0] if found else {}


def rows(value: object) -> Sequence[Row]:
    """The rows of an output; the empty objects that pad an array are left out."""
    if value is None or value == "":
        return ()
    found: list[Row] = []
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, dict):
            unusable("an output is neither an object nor rows of objects")
        if item:
            found.append(item)
    return found


def text(row: Row, key: str) -> str:
    """A trimmed text; "" when the field is missing or null."""
    value = row.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        unusable(f"{key} is not a text")
    return value.strip()


def number(row: Row, key: str) -> Decimal | None:
    """A finite decimal number, None when the field is blank or missing."""
    value = text(row, key)
    if not value:
        return None
    if _NUMBER.fullmatch(value) is None:
        unusable(f"{key} is not a number")
    return Decimal(value)


def required(row: Row, key: str) -> Decimal:
    """A number that must be there: a missing amount of money is never zero."""
    value = number(row, key)
    if value is None:
        unusable(f"{key} is missing")
    return value


def price(row: Row, key: str) -> Decimal:
    """A price >= 0; 0 when there is none ("no data")."""
    value = number(row, key) or Decimal(0)
    if value < 0:
        unusable(f"{key} is a negative price")
    return value


def quantity(row: Row, key: str) -> int:
    """A whole number >= 0; 0 when the field is blank. Decimals may only be zeros."""
    value = number(row, key) or Decimal(0)
    if value < 0 or value != value.to_integral_value():
        unusable(f"{key} is not a quantity")
    return int(value)


def symbol(row: Row, key: str) -> str:
    """A security's code; "" when blank."""
    value = text(row, key)
    if value and _SYMBOL.fullmatch(value) is None:
        unusable(f"{key} is not a symbol")
    return value


def order_no(row: Row, key: str) -> str:
    """An order number, padded with zeros to ten digits; "" when blank or zero."""
    value = text(row, key)
    if not value:
        return ""
    if _ORDER_NO.fullmatch(value) is None:
        unusable(f"{key} is not an order number")
    return value.lstrip("0").zfill(_ORDER_NO_WIDTH) if value.strip("0") else ""


def day(row: Row, key: str) -> date | None:
    """A ``YYYYMMDD`` date, None when blank."""
    value = text(row, key)
    if not value:
        return None
    if _DATE.fullmatch(value) is None:
        unusable(f"{key} is not a date")
    try:
        return date(int(value[:4]), int(value[4:6]), int(value[6:]))
    except ValueError:
        unusable(f"{key} is not a date")


def clock_time(row: Row, key: str) -> time | None:
    """An ``HHMMSS`` time of day, None when blank."""
    value = text(row, key)
    if not value:
        return None
    if _TIME.fullmatch(value) is None:
        unusable(f"{key} is not a time")
    try:
        return time(int(value[:2]), int(value[2:4]), int(value[4:]))
    except ValueError:
        unusable(f"{key} is not a time")


def instant(on: date, at: time | None, zone: ZoneInfo) -> datetime:
    """A wall-clock date and time of ``zone`` as aware UTC; midnight without a time."""
    return datetime.combine(on, at or time(), zone).astimezone(UTC)


def day_text(value: date) -> str:
    """``YYYYMMDD``."""
    return value.strftime("%Y%m%d")
