"""What the pages that look over many sessions ask of the store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Protocol

from trading_core.model.ledger import SlippageRow, TradingCost


class LedgerReader(Protocol):
    """Sums over sessions; ``market`` is a market group code, all of them by default."""

    def traded_sessions(self, market: str) -> Sequence[date]:
        """Sessions that left a playbook, an equity point or an order, newest first."""
        ...

    def trading_costs(self, market: str | None = None, *, since: date) -> Sequence[TradingCost]:
        """By session (newest first), market and currency."""
        ...

    def slippage(self, market: str | None = None, *, since: date) -> Sequence[SlippageRow]:
        """By session (newest first), market, side and reason."""
        ...
