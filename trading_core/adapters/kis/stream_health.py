"""How patient the stream is, and how it is doing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class StreamTiming:
    """All in seconds of real time, whatever the clock of the trading day does.

    ``silent``: without any message for so long the connection is made again; the broker sends a
    heartbeat about every ten. ``answer``: the longest wait for the answer to a registration.
    ``pace``: between two registrations. ``backoff``: before the first attempt to connect again;
    doubled up to ``longest_backoff``. ``in_use``: the least wait after another session was found
    to use the app key. ``settle``: how long ``follow`` waits for the broker's answers.
    ``catch_up``: the longest wait for present quotes after a cut.
    """

    silent: float = 35.0
    answer: float = 10.0
    pace: float = 0.05
    backoff: float = 1.0
    longest_backoff: float = 60.0
    in_use: float = 5.0
    settle: float = 5.0
    catch_up: float = 30.0


@dataclass(frozen=True, slots=True)
class StreamHealth:
    """How the stream is doing, for a watchdog.

    ``last_frame_at`` (aware UTC) counts heartbeats too. ``garbled`` are frames that could not be
    read, by kind; ``cipher`` among them are those that could not be decrypted. ``notices`` says
    whether every kind of order notice is registered. ``lost_records``
    counts the jumps of a session's volume that no record told of, ``late_records`` those that
    came after a newer one, ``strangers`` those of instruments nobody follows and of other
    accounts, ``conflated`` the quotes that a newer one replaced before they were taken.
    """

    connected: bool
    last_frame_at: datetime | None
    reconnects: int
    registrations: int
    notices: bool
    waiting: int
    conflated: int
    lost_records: int
    late_records: int
    strangers: int
    garbled: Mapping[str, int] = field(default_factory=dict)
