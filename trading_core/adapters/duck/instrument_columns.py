"""The columns that say what is traded, the same in every table that has an instrument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from trading_core.adapters.duck.codecs import BOOLEAN, TEXT, Codec, enum_of
from trading_core.model.market import Instrument, Market

T = TypeVar("T")

INSTRUMENT: dict[str, tuple[Codec, str]] = {
    "symbol": (TEXT, "instrument.symbol"),
    "exchange": (enum_of(Market), "instrument.market"),
    "name": (TEXT, "instrument.name"),
    "is_fund": (BOOLEAN, "instrument.is_fund"),
}
GROUP: dict[str, tuple[Codec, str]] = {"market": (TEXT, "instrument.market.group")}


def with_instrument(record: Callable[..., T]) -> Callable[[dict[str, Any]], T]:
    """How a record whose ``instrument`` is in these columns is built from the values of a row."""

    def build(values: dict[str, Any]) -> T:
        parts = [values.pop(attribute) for _, attribute in INSTRUMENT.values()]
        return record(instrument=Instrument(*parts), **values)

    return build


def exchange_code(column: str) -> str:
    """SQL for an exchange's code in the broker's order requests. Released views hold this text."""
    return f"""
    CASE {column}
        WHEN 'KR' THEN 'KRX' WHEN 'US_NASDAQ' THEN 'NASD' WHEN 'US_NYSE' THEN 'NYSE'
        WHEN 'US_AMEX' THEN 'AMEX' WHEN 'JP' THEN 'TKSE' WHEN 'HK' THEN 'SEHK'
        WHEN 'CN_SHA' THEN 'SHAA' WHEN 'CN_SZA' THEN 'SZAA' WHEN 'VN_HNX' THEN 'HASE'
        WHEN 'VN_HSX' THEN 'VNSE'
    END"""
