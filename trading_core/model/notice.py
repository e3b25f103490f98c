"""What people are told about, how loudly, and what became of each message.

Three words that are not the same: the *severity* of a message (info, warning, critical) says how
bad it is, its *kind* what it is about, and the *level* of a kind how loudly a person wants to hear
of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from trading_core.model.difference import Severity


class NotifyLevel(StrEnum):
    """``ON`` makes a sound, ``SILENT`` none, ``OFF`` is not sent. What is critical is always sent
    with a sound."""

    ON = "on"
    SILENT = "silent"
    OFF = "off"


class NotifyKind(StrEnum):
    """Everything a person can be told about."""

    ORDER_ACCEPTED = "order_accepted"
    ORDER_FILLED = "order_filled"
    ORDER_REJECTED = "order_rejected"
    ORDER_NOT_SENT = "order_not_sent"
    ORDER_REFUSED = "order_refused"
    ORDER_UNKNOWN = "order_unknown"
    FAT_FINGER = "fat_finger"
    UNFILLED = "unfilled"
    GIVEN_UP = "given_up"
    BLACKOUT = "blackout"
    STOP_NEAR = "stop_near"
    STOP_BREACHED = "stop_breached"
    STOP_BLIND = "stop_blind"
    BREAKER = "breaker"
    HALT = "halt"
    RECOVERED = "recovered"
    WATCHDOG = "watchdog"
    KILL = "kill"
    RECONCILIATION = "reconciliation"
    PLAYBOOK = "playbook"
    REALTIME = "realtime"
    MARKET_OPEN = "market_open"
    MARKET_CLOSE = "market_close"
    REVIEW = "review"
    BACKUP = "backup"
    RUN = "run"
    SYSTEM_START = "system_start"
    SYSTEM_STOP = "system_stop"


@dataclass(frozen=True, slots=True)
class KindNote:
    """What a kind is called in a message, what it is about, and its level unless a person sets
    another."""

    title: str
    about: str
    level: NotifyLevel = NotifyLevel.ON


_SILENT = NotifyLevel.SILENT

KINDS: dict[NotifyKind, KindNote] = {
    NotifyKind.ORDER_ACCEPTED: KindNote("Accepted", "the broker took an order", _SILENT),
    NotifyKind.ORDER_FILLED: KindNote("Filled", "shares were bought or sold"),
    NotifyKind.ORDER_REJECTED: KindNote("Rejected", "the broker refused an order"),
    NotifyKind.ORDER_NOT_SENT: KindNote("Not sent", "an order did not reach the broker"),
    NotifyKind.ORDER_REFUSED: KindNote("Refused", "an order was stopped at the last look"),
    NotifyKind.ORDER_UNKNOWN: KindNote("Order unknown", "nobody knows what became of an order"),
    NotifyKind.FAT_FINGER: KindNote("Fat finger", "an entry was too large for the cash"),
    NotifyKind.UNFILLED: KindNote("Unfilled", "an order waited too long; it is followed", _SILENT),
    NotifyKind.GIVEN_UP: KindNote("Given up", "an entry that did not fill is not followed"),
    NotifyKind.BLACKOUT: KindNote("Blackout", "an exit waits because the broker takes no orders"),
    NotifyKind.STOP_NEAR: KindNote("Stop near", "a price is close to a stop"),
    NotifyKind.STOP_BREACHED: KindNote("Stop breached", "a price is at or below a stop"),
    NotifyKind.STOP_BLIND: KindNote("Stop blind", "a position has no usable price"),
    NotifyKind.BREAKER: KindNote("Circuit breaker", "the day lost more than the limit"),
    NotifyKind.HALT: KindNote("Halted", "entries are stopped until a person lifts it"),
    NotifyKind.RECOVERED: KindNote("Recovered", "the watchdog lifted its halt"),
    NotifyKind.WATCHDOG: KindNote("Watchdog", "a session stands still"),
    NotifyKind.KILL: KindNote("Kill switch", "how the kill switch went"),
    NotifyKind.RECONCILIATION: KindNote("Books differ", "store and broker did not agree"),
    NotifyKind.PLAYBOOK: KindNote("Playbook", "a plan was made, refreshed or failed", _SILENT),
    NotifyKind.REALTIME: KindNote("Model", "the playbook decides in place of the model"),
    NotifyKind.MARKET_OPEN: KindNote("Market open", "a session begins", _SILENT),
    NotifyKind.MARKET_CLOSE: KindNote("Market closed", "a session ended", _SILENT),
    NotifyKind.REVIEW: KindNote("Day", "the day's summary with its equity"),
    NotifyKind.BACKUP: KindNote("Backup", "the health of the backups changed"),
    NotifyKind.RUN: KindNote("Run", "a run hung, crashed or was started again"),
    NotifyKind.SYSTEM_START: KindNote("Started", "the system was started", _SILENT),
    NotifyKind.SYSTEM_STOP: KindNote("Stopped", "the system was stopped", _SILENT),
}


def default_level(kind: str) -> NotifyLevel:
    """The level of a kind that nobody has set; a kind that is not known here is on."""
    return KINDS[NotifyKind(kind)].level if kind in set(NotifyKind) else NotifyLevel.ON


def title_of(kind: str) -> str:
    """What a message of a kind is headed with."""
    return KINDS[NotifyKind(kind)].title if kind in set(NotifyKind) else kind.replace("_", " ")


@dataclass(frozen=True, slots=True)
class LevelRow:
    """A person set the level of a kind; the newest row of a kind counts.

    ``by`` is such as ``telegram:42``, ``at`` aware UTC.
    """

    kind: str
    level: NotifyLevel
    at: datetime
    by: str


class Outcome(StrEnum):
    """What became of a message on one channel.

    ``SENT``: taken, alone or with others. ``COUNTED``: one of those that a message spoke of as
    "and N more". ``OFF``: a person switched its kind off. ``UNSURE``: the answer was lost and it
    is not repeated, because it is not critical. ``REFUSED``: the channel does not take it.
    """

    SENT = "sent"
    COUNTED = "counted"
    OFF = "off"
    UNSURE = "unsure"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class SendRow:
    """The end of one message on one channel; without one it is still to be sent.

    ``attempts`` counts the tries of the process that ended it. ``at`` is real time, aware UTC.
    """

    notification_id: str
    channel: str
    outcome: Outcome
    attempts: int
    at: datetime
    detail: str = ""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From ``start`` to ``end`` every day in ``zone``; over midnight when ``end`` is earlier."""

    start: time
    end: time
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str, zone: str) -> QuietHours:
        """``23:00-07:00``, or with a zone of their own ``23:00-07:00 Asia/Seoul``.

        Raises:
            ValueError: it is neither.
        """
        hours, _, own = text.strip().partition(" ")
        start, dash, end = hours.partition("-")
        try:
            found = cls(_clock(start), _clock(end), ZoneInfo(own.strip() or zone))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            found = None
        if not dash or found is None or found.start == found.end:
            raise ValueError("two times and maybe a zone, such as 23:00-07:00 Asia/Seoul")
        return found

    def contains(self, at: datetime) -> bool:
        """Whether ``at`` (aware) is in them; the start is, the end is not."""
        now = at.astimezone(self.zone).time()
        if self.start <= self.end:
            return self.start <= now < self.end
        return now >= self.start or now < self.end


def _clock(text: str) -> time:
    hour, minute = text.split(":")
    return time(int(hour), int(minute))


@dataclass(frozen=True, slots=True)
class Message:
    """What one message says, as plain text. ``silent`` asks for no sound, ``picture`` is a PNG that
    belongs to it."""

    title: str
    body: str
    severity: Severity
    silent: bool
    picture: bytes | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """The channel has the message."""


@dataclass(frozen=True, slots=True)
class TryLater:
    """The channel does not take anything now; ``after_seconds`` is what it asks for, if it does.

    ``maybe_taken``: the answer was lost, so the message may have arrived.
    """

    reason: str
    after_seconds: float | None = None
    maybe_taken: bool = False


@dataclass(frozen=True, slots=True)
class NotTaken:
    """The channel works and refuses this message; sent again it would be refused again."""

    reason: str


Answer = Taken | TryLater | NotTaken
