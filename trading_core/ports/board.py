"""What the pages that follow a session ask of the store: little rows of what is large."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Protocol

from trading_core.model.board import MatchTotal, PricePoint, TradeHistory
from trading_core.model.journal import ObservationRow
from trading_core.model.playbook import Playbook
from trading_core.model.portfolio import Protection


class BoardReader(Protocol):
    """``market`` is a market group code."""

    def held_symbols(self, market: str) -> Sequence[str]:
        """The symbols of which our books hold shares now, by symbol."""
        ...

    def trade_history(
        self, market: str, symbols: Sequence[str] | None = None
    ) -> Callable[[], TradeHistory]:
        """All trades there ever were, or those in these symbols, copied out at once; what is
        answered makes records of them, which takes longer, and is to be called after the store was
        let go."""
        ...

    def instrument_names(self, market: str) -> Mapping[str, str]:
        """The names of the symbols of which anything was ever decided, by symbol."""
        ...

    def last_observations(self, market: str, session: date) -> Sequence[ObservationRow]:
        """The newest observation of each symbol in a session, by symbol."""
        ...

    def price_path(self, market: str, session: date, symbol: str) -> Sequence[PricePoint]:
        """The observed prices of a symbol in a session, oldest first; a look that saw no price is
        left out."""
        ...

    def match_totals(self, market: str, session: date) -> Sequence[MatchTotal]:
        """How often each scenario and rule of a session matched or came close."""
        ...

    def playbook_versions(self, market: str, session: date) -> Sequence[Playbook]:
        """Every playbook of a session, newest first."""
        ...

    def guard_history(self, market: str, session: date, symbol: str) -> Sequence[Protection]:
        """How the guard of a position moved through a session, oldest first."""
        ...

    def index_levels(self, names: Sequence[str]) -> Mapping[str, Sequence[tuple[date, float]]]:
        """The newest reading of each UTC day of these indices, oldest first, by name; those that
        were never read are left out."""
        ...
