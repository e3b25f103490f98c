"""Sectors of instruments from a file that a person keeps."""

from __future__ import annotations

import csv
from pathlib import Path

from trading_core.errors import ConfigError, UnknownMarket
from trading_core.model.market import MarketGroup

COLUMNS = ("market", "symbol", "sector")


def read_sectors(path: Path) -> dict[MarketGroup, dict[str, str]]:
    """The sector of each symbol by market group, from a CSV file of :data:`COLUMNS`.

    Raises:
        ConfigError: the file cannot be read, or a row is not usable; its line is named.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            rows = csv.DictReader(text)
            if missing := set(COLUMNS) - set(rows.fieldnames or ()):
                raise ConfigError(f"{path}: no column {', '.join(sorted(missing))}")
            found: dict[MarketGroup, dict[str, str]] = {}
            for row in rows:
                group, symbol, sector = _entry(path, rows.line_num, row)
                found.setdefault(group, {})[symbol] = sector
            return found
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None


def _entry(path: Path, line: int, row: dict[str, str]) -> tuple[MarketGroup, str, str]:
    market, symbol, sector = ((row[name] or "").strip() for name in COLUMNS)
    if not symbol or not sector:
        raise ConfigError(f"{path}, line {line}: a symbol and its sector are needed")
    try:
        return MarketGroup.parse(market), symbol, sector
    except UnknownMarket as error:
        raise ConfigError(f"{path}, line {line}: {error}") from None
