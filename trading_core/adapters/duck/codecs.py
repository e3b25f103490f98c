"""How single values travel between Python and DuckDB.

Times travel as microseconds since 1970 and decimals as text, so neither a time-zone package nor a
float stands between a value and its column. Decimals are kept to ten places; a quotient with more
(an average price) is rounded half even. NaN is stored as null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from enum import Enum, StrEnum
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PLACES = Decimal("1e-10")
_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class Codec:
    """One kind of column.

    ``encode`` makes the parameter, ``decode`` the value again. ``parameter`` is the SQL that turns
    a list of parameters into rows, ``selected`` the SQL that reads a column back.
    """

    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]
    parameter: str
    selected: str = "{column}"


def to_micros(at: datetime) -> int:
    """Microseconds since 1970; the exact inverse of :func:`from_micros`.

    Raises:
        ValueError: ``at`` has no time zone.
    """
    if at.tzinfo is None:
        raise ValueError(f"{at.isoformat()} has no time zone")
    return (at - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The moment, aware UTC."""
    return _EPOCH + timedelta(microseconds=micros)


def to_json(value: Any) -> str:
    """JSON text; NaN and infinity become null, decimals text, dates ISO 8601."""
    try:
        return _dumps(value)
    except (TypeError, ValueError):
        # Not the rule: something json does not know, or a number that is none.
        return _dumps(_plain(value))


_dumps = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Enum):
        return _plain(value.value)
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else None
    if isinstance(value, datetime | date):
        return value.isoformat()
    if hasattr(value, "tolist"):  # a number or an array of numpy
        return _plain(value.tolist())
    if isinstance(value, Sequence | set | frozenset):
        return [_plain(entry) for entry in value]
    raise TypeError(f"{type(value).__name__} cannot be stored as JSON")


def _decimal_text(value: Decimal) -> str:
    if not value.is_finite():
        raise ValueError(f"{value} is not an amount")
    return format(value.quantize(_PLACES, context=_WIDE), "f")


def tidy(value: Decimal) -> Decimal:
    """Without the zeros the column's scale appends: 71000, not 71000.0000000000."""
    whole = value.to_integral_value(context=_WIDE)
    return whole if whole == value else value.normalize(_WIDE)


def _optional(encode: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else encode(value)


def _same(value: Any) -> Any:
    return value


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


TEXT = Codec(_optional(str), _same, "unnest(?::VARCHAR[])")
INTEGER = Codec(_optional(int), _same, "unnest(?::BIGINT[])")
FLOAT = Codec(_optional(_finite), _same, "unnest(?::DOUBLE[])")
BOOLEAN = Codec(_same, _same, "unnest(?::BOOLEAN[])")
DATE = Codec(_same, _same, "unnest(?::DATE[])")
TIME = Codec(
    _optional(to_micros),
    _optional(from_micros),
    "make_timestamptz(unnest(?::BIGINT[]))",
    "epoch_us({column})",
)
DECIMAL = Codec(_optional(_decimal_text), _optional(tidy), "unnest(?::VARCHAR[])::DECIMAL(38, 10)")
JSON = Codec(to_json, _optional(json.loads), "unnest(?::VARCHAR[])::JSON", "{column}::VARCHAR")
AMOUNTS = Codec(
    to_json,
    lambda text: {name: Decimal(amount) for name, amount in json.loads(text).items()},
    JSON.parameter,
    JSON.selected,
)


def enum_of(kind: type[StrEnum]) -> Codec:
    """The codec of a column that holds one of the values of ``kind``."""
    return Codec(str, kind, TEXT.parameter)
