"""What ``doctor`` looks at besides the broker's answers: clock, store, age of the backups."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from trading_core.clock import Clock
from trading_core.model.journal import Halt
from trading_core.settings import Settings
from trading_core.wiring.broker import Place
from trading_core.wiring.reading import open_store


async def clock_seconds_behind(settings: Settings, clock: Clock) -> float:
    """How far ``clock`` is behind the broker's, in seconds. Raises ``BrokerUnavailable``."""
    from trading_core.adapters.server_time import seconds_behind

    place = Place.of(settings)
    return await seconds_behind(place.url, clock, verify=place.venue != "paper")


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """A store that opened: what its rows say against each other, and its newest backup."""

    orders: int
    unsettled: int
    problems: tuple[str, ...]
    halts: tuple[Halt, ...]
    backup_at: datetime | None
    backup_verified: bool


def look_at_store(settings: Settings) -> StoreFacts:
    """Open the store, migrate it when it is older, and audit its rows.

    Raises:
        StoreError: it does not open, or was written by a newer version.
    """
    from trading_core.rules.store_audit import audit

    store = open_store(settings)
    with store.write():
        # Opening it for writing is what migrates it.
        pass
    with store.read() as reader:
        orders, fills = reader.orders(), reader.fills()
        backups = sorted(reader.backups(), key=lambda backup: backup.at)
        return StoreFacts(
            orders=len(orders),
            unsettled=len(reader.unsettled_orders()),
            problems=tuple(audit(orders, fills)),
            halts=tuple(reader.open_halts()),
            backup_at=backups[-1].at if backups else None,
            backup_verified=bool(backups) and backups[-1].verified,
        )
