"""The session's daily bars on disk, so that a tick in a process of its own need not ask again."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path

from trading_core.model.market import Instrument, Market, MarketGroup
from trading_core.model.price import DailyBar

logger = logging.getLogger(__name__)


class HistoryCache:
    """One JSON file per market group and session under ``directory``; older ones are removed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def _path(self, group: MarketGroup, session: date) -> Path:
        return self._directory / f"bars-{group}-{session.isoformat()}.json"

    def load(self, group: MarketGroup, session: date) -> dict[Instrument, list[DailyBar]]:
        """Empty when there is no file, or one that cannot be read: the bars are asked for again."""
        path = self._path(group, session)
        try:
            rows = json.loads(path.read_text())
            return {
                Instrument(row["symbol"], Market(row["market"]), row["name"], row["is_fund"]): [
                    _bar(*bar) for bar in row["bars"]
                ]
                for row in rows
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, IndexError, InvalidOperation) as error:
            logger.warning("ignoring %s: %s", path, error)
            return {}

    def save(
        self, group: MarketGroup, session: date, bars: Mapping[Instrument, Sequence[DailyBar]]
    ) -> None:
        """Replace the group's file as a whole; a failure is logged, because it only costs time."""
        path = self._path(group, session)
        rows = [
            {
                "symbol": instrument.symbol,
                "market": instrument.market.value,
                "name": instrument.name,
                "is_fund": instrument.is_fund,
                "bars": [
                    [b.session.isoformat(), *map(str, (b.open, b.high, b.low, b.close)), b.volume]
                    for b in series
                ],
            }
            for instrument, series in bars.items()
        ]
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(f".{os.getpid()}.part")
            draft.write_text(json.dumps(rows))
            draft.replace(path)
            for old in self._directory.glob(f"bars-{group}-*.json"):
                if old.name < path.name:
                    old.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("cannot keep daily bars in %s: %s", path, error)


def _bar(day: str, open: str, high: str, low: str, close: str, volume: int) -> DailyBar:
    prices = (Decimal(open), Decimal(high), Decimal(low), Decimal(close))
    return DailyBar(date.fromisoformat(day), *prices, volume)
