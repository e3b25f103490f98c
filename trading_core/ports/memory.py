"""What memory asks of the store, and the one thing that is ever deleted from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

from trading_core.model.journal import ContextEntry, ContextLayer
from trading_core.model.memory import ContextMetadata, MemoryFacts


class MemoryReader(Protocol):
    """Queries over the layers of memory and the facts they are computed from."""

    def context(self, layer: ContextLayer, timeframe: str | None = None) -> Sequence[ContextEntry]:
        """Entries of a layer, by key.

        When no timeframe is named, those of the newest one of each market and each form of
        timeframe: one market may be a day ahead of another, and a year is no day.
        """
        ...

    def context_history(
        self, layer: ContextLayer, *, market: str | None = None, before: str | None = None
    ) -> Sequence[ContextEntry]:
        """Every entry of a layer, by timeframe and key; of one market group, and of timeframes
        before that one, when they are named."""
        ...

    def context_layers(self) -> Sequence[ContextMetadata]:
        """What the layers are, L1 first."""
        ...

    def fact_marks(self, market: str) -> Mapping[date, str]:
        """A mark of all facts of each session, which changes when one of them is added."""
        ...

    def memory_facts(self, market: str) -> MemoryFacts:
        """What memory is computed from, besides fills, adopted lots and splits."""
        ...


class MemoryWriter(Protocol):
    """Forgetting."""

    def forget(self, entries: Iterable[ContextEntry], *, at: datetime) -> None:
        """Delete these entries of memory, whatever their value is; facts are never deleted.
        Who looks back to before ``at`` still sees them."""
        ...
