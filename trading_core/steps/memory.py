"""Memory is brought up to date with the facts of the store, and what has expired is forgotten.

A day's entry carries a mark of the facts it was computed from. Where the mark no longer fits, or
an entry is missing, everything from that session on is computed again: a late fill changes what
later sales have cost. So any number of missed days is caught up, and a second run finds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from trading_core.errors import CurrencyMismatch
from trading_core.model.journal import ContextEntry, ContextLayer
from trading_core.model.market import MarketGroup
from trading_core.model.memory import MemoryFacts
from trading_core.model.order import Fill
from trading_core.model.portfolio import AdoptedLot, Split
from trading_core.ports import Store, StoreReader
from trading_core.rules.aggregate import COMPUTED, aggregate, is_computed, timeframes
from trading_core.rules.memory_layers import ALL_TIME, first_kept, timeframe_of
from trading_core.rules.positions import fold_positions
from trading_core.rules.trading_days import trading_days

FORMULA = "1"
"""Part of every mark: when the arithmetic changes, so does this, and memory is computed anew."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What one run did. ``sessions`` are those computed anew by market, ``failed`` says why the
    memory of a market was left as it is."""

    written: int = 0
    forgotten: int = 0
    sessions: Mapping[MarketGroup, tuple[date, ...]] = field(default_factory=dict)
    failed: Mapping[MarketGroup, str] = field(default_factory=dict)

    def line(self) -> str:
        """``sessions computed: KR 2, US 1; 12 entries written, 3 forgotten``."""
        anew = [f"{group} {len(days)}" for group, days in self.sessions.items() if days]
        parts = [f"sessions computed: {', '.join(anew)}"] if anew else []
        parts += [f"{group} was left as it is: {why}" for group, why in self.failed.items()]
        if self.written or self.forgotten:
            parts.append(f"{self.written} entries written, {self.forgotten} forgotten")
        return "; ".join(parts) or "memory was up to date"


@dataclass(frozen=True, slots=True)
class _Market:
    """What was read of one market group. ``stored`` is what is computed here, ``reviews`` are the
    expired entries of the daily review, ``kept`` the oldest timeframe of each layer to remember.

    The facts are empty when ``since``, the first session to compute anew, is None.
    """

    marks: Mapping[date, str]
    kept: Mapping[ContextLayer, str]
    stored: Sequence[ContextEntry]
    reviews: Sequence[ContextEntry]
    since: date | None = None
    fills: Sequence[Fill] = ()
    lots: Sequence[AdoptedLot] = ()
    splits: Sequence[Split] = ()
    known: MemoryFacts = field(default_factory=MemoryFacts)


def remember(
    store: Store, groups: Iterable[MarketGroup], *, at: datetime, rebuild: bool = False
) -> Remembered:
    """Compute what is missing or older than its facts, and forget what has expired.

    L6 is the daily review's: only its retention is enforced here. L1 is a view over observations.
    Retention counts from the newest session of the market, so a day that is played again long
    after forgets nothing. The store is written only when there is something to write.

    Args:
        at: Now, aware UTC.
        rebuild: Compute everything anew, whatever the marks say.

    Raises:
        StoreBusy: the store could not be opened in time.
    """
    written = forgotten = 0
    sessions: dict[MarketGroup, tuple[date, ...]] = {}
    failed: dict[MarketGroup, str] = {}
    for group in groups:
        with store.read() as reader:
            market = _read(reader, group, rebuild)
        if market is None:
            continue
        try:
            computed = _compute(group, market, at)
        except CurrencyMismatch as error:
            failed[group] = str(error)
            continue
        new, gone = _changes(market, computed)
        if new or gone:
            with store.write() as tx:
                tx.forget(gone, at=at)
                tx.append(new)
        written += len(new)
        forgotten += len(gone)
        since = market.since
        sessions[group] = tuple(sorted(d for d in market.marks if since and d >= since))
    return Remembered(written, forgotten, sessions, failed)


def _read(reader: StoreReader, group: MarketGroup, rebuild: bool) -> _Market | None:
    """One short read; None of a market that never had a session."""
    marks = {day: f"{FORMULA} {mark}" for day, mark in reader.fact_marks(group).items()}
    if not marks:
        return None
    kept = {layer: first_kept(layer, max(marks)) for layer in ContextLayer}
    stored = [
        entry
        for layer in COMPUTED
        for entry in reader.context_history(layer, market=group)
        if is_computed(entry, group)
    ]
    reviews = reader.context_history(ContextLayer.L6, market=group, before=kept[ContextLayer.L6])
    since = min(marks) if rebuild else _first_stale(marks, stored, kept)
    if since is None:
        return _Market(marks, kept, stored, reviews)
    return _Market(
        marks,
        kept,
        stored,
        reviews,
        since,
        reader.fills(group),
        reader.adopted_lots(group),
        reader.splits(group),
        reader.memory_facts(group),
    )


def _first_stale(
    marks: Mapping[date, str], ours: Sequence[ContextEntry], kept: Mapping[ContextLayer, str]
) -> date | None:
    """The first session with an entry that is missing or was computed from other facts."""
    days = [entry for entry in ours if entry.layer is ContextLayer.L3]
    seen: dict[str, set[str]] = {}
    for entry in days:
        seen.setdefault(entry.timeframe, set()).add(entry.value.get("facts", ""))
    stale = [
        session
        for session, mark in marks.items()
        if session.isoformat() >= kept[ContextLayer.L3] and seen.get(session.isoformat()) != {mark}
    ]
    known = {session.isoformat() for session in marks}
    stale += [date.fromisoformat(day) for day in seen if day not in known]
    present = {(entry.layer, entry.timeframe) for entry in ours}
    for layer, wanted in timeframes(marks, kept).items():
        missing = {timeframe for timeframe in wanted if (layer, timeframe) not in present}
        stale += [
            session
            for session in marks
            if timeframe_of(layer, session) in missing or ALL_TIME in missing
        ]
    return min(stale, default=None)


def _compute(group: MarketGroup, market: _Market, at: datetime) -> list[ContextEntry]:
    if market.since is None:
        return []
    book = fold_positions(market.fills, market.lots, market.splits)
    days = trading_days(
        group, fills=market.fills, lots=market.lots, closed=book.closed, known=market.known
    )
    return aggregate(group, days, marks=market.marks, kept=market.kept, since=market.since, at=at)


def _changes(
    market: _Market, computed: Sequence[ContextEntry]
) -> tuple[list[ContextEntry], list[ContextEntry]]:
    """What differs from what is stored, and what is stored and expired or has no fact behind it."""
    names = {_name(entry) for entry in computed}
    values = {_name(entry): entry.value for entry in market.stored}
    new = [entry for entry in computed if values.get(_name(entry)) != entry.value]
    gone = list(market.reviews)
    for entry in market.stored:
        expired = entry.timeframe < market.kept[entry.layer]
        anew = market.since and entry.timeframe >= timeframe_of(entry.layer, market.since)
        if expired or (anew and _name(entry) not in names):
            gone.append(entry)
    return new, gone


def _name(entry: ContextEntry) -> tuple[ContextLayer, str, str]:
    return entry.layer, entry.timeframe, entry.key
