"""Which backups are kept: one a day, then one a week, then one a month. Pure.

Times are grouped by their UTC date, ISO week and month. Of each group the newest good backup stays,
so what is kept of a finished month is the state at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

EVERY = timedelta(days=1)
DAILY = timedelta(days=30)
WEEKLY = timedelta(days=365)


class Tier(StrEnum):
    """Why a backup stays. ``RECENT``: all of the last day stay."""

    RECENT = "recent"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


@dataclass(frozen=True, slots=True)
class Aged:
    """One backup; ``good`` says that it can be trusted to open."""

    backup_id: str
    at: datetime
    good: bool = True


def tiers(backups: Iterable[Aged], *, now: datetime) -> dict[str, frozenset[Tier]]:
    """What each backup is kept for, by id; an empty set for one that may go.

    A good backup stays as the newest of its day for 30 days, of its week for a year, of its month
    for good, so the newest good one always does. One that is not good stands for nothing: it stays
    for 30 days, to be looked at, and as long as there is no good one at all.
    """
    known = sorted(backups, key=lambda item: item.at)
    good = [item for item in known if item.good]
    kept: dict[str, set[Tier]] = {item.backup_id: set() for item in known}
    for tier, span, period in _PERIODS:
        newest = {period(item.at.astimezone(UTC)): item for item in good}
        for item in newest.values():
            if span is None or now - item.at <= span:
                kept[item.backup_id].add(tier)
    for item in known:
        if now - item.at <= EVERY or (not item.good and (not good or now - item.at <= DAILY)):
            kept[item.backup_id].add(Tier.RECENT)
    return {name: frozenset(found) for name, found in kept.items()}


def expired(backups: Iterable[Aged], *, now: datetime) -> frozenset[str]:
    """Ids of the backups that are kept for nothing any more."""
    return frozenset(name for name, found in tiers(backups, now=now).items() if not found)


def _month(at: datetime) -> Hashable:
    return at.year, at.month


def _week(at: datetime) -> Hashable:
    return at.isocalendar()[:2]


_PERIODS: tuple[tuple[Tier, timedelta | None, Callable[[datetime], Hashable]], ...] = (
    (Tier.DAILY, DAILY, datetime.date),
    (Tier.WEEKLY, WEEKLY, _week),
    (Tier.MONTHLY, None, _month),
)
