"""How loudly people are told about each kind: read and set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from trading_core.errors import ConfigError
from trading_core.model.notice import (
    KINDS,
    LevelRow,
    NotifyKind,
    NotifyLevel,
    default_level,
)
from trading_core.ports import Store, StoreReader

ALL = "all"


@dataclass(frozen=True, slots=True)
class KindLevel:
    """One kind as a person sees it; ``is_set`` says that somebody chose the level."""

    kind: NotifyKind
    title: str
    about: str
    level: NotifyLevel
    is_set: bool


def levels(reader: StoreReader) -> list[KindLevel]:
    """Every kind with its present level, in the order they are to be shown."""
    chosen = reader.notification_levels()
    return [
        KindLevel(kind, note.title, note.about, level_of(kind, chosen), kind.value in chosen)
        for kind, note in KINDS.items()
    ]


def level_of(kind: str, chosen: Mapping[str, NotifyLevel]) -> NotifyLevel:
    """The level of a kind, of what people chose (``reader.notification_levels``) or by default."""
    return chosen.get(kind, default_level(kind))


def set_level(store: Store, kind: str, level: str, *, at: datetime, by: str) -> list[KindLevel]:
    """Set one kind, or every kind with ``all``; answers those that were set.

    What is critical goes out with a sound whatever the level of its kind.

    Args:
        at: Now in real time, aware UTC.
        by: Who says so, such as ``telegram:42`` or ``command line``.

    Raises:
        ConfigError: there is no such kind or level.
    """
    kinds, wanted = kinds_of(kind), _level(level)
    with store.write() as tx:
        tx.append([LevelRow(each.value, wanted, at, by) for each in kinds])
        return [item for item in levels(tx) if item.kind in kinds]


def kinds_of(kind: str) -> list[NotifyKind]:
    """The kinds a person means by a word. Raises ``ConfigError``."""
    name = kind.strip().lower().replace("-", "_")
    if name == ALL:
        return list(NotifyKind)
    try:
        return [NotifyKind(name)]
    except ValueError:
        known = ", ".join([ALL, *(each.value for each in NotifyKind)])
        raise ConfigError(f"{kind!r} is no kind of message; there are: {known}") from None


def _level(level: str) -> NotifyLevel:
    try:
        return NotifyLevel(level.strip().lower())
    except ValueError:
        raise ConfigError(f"{level!r} is no level; there are: on, silent, off") from None
