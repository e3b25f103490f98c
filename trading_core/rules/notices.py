"""Which message goes out next, made of what waits to be told.

What is critical comes first and in full. Of the rest the oldest comes first, with everything else
of its kind: a burst is one message, which lists the newest and counts those before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from trading_core.model.difference import Severity
from trading_core.model.journal import Notification
from trading_core.model.notice import Message, NotifyLevel, default_level, title_of

LISTED = 10
"""Messages of a burst that are listed; those before are counted."""
LINE_CHARACTERS = 240
"""Of each message that is listed with others."""
BODY_CHARACTERS = 3500
"""Fits one message of every channel we know with its title (Telegram takes 4096)."""
MOST_PICTURES = 5
"""Messages with a picture go out one by one unless more of them wait."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One message. ``told`` are those it speaks of, ``counted`` those it only counts. ``picture``
    says what is to be drawn to it, empty for nothing."""

    message: Message
    told: tuple[Notification, ...]
    counted: tuple[Notification, ...] = ()
    picture: str = ""

    @property
    def is_critical(self) -> bool:
        return self.message.severity is Severity.CRITICAL


@dataclass(frozen=True, slots=True)
class Manner:
    """How a channel is to be spoken to at a moment. ``one_by_one`` merges nothing."""

    chosen: Mapping[str, NotifyLevel]
    now: datetime
    zone: ZoneInfo
    is_quiet: bool = False
    has_silence: bool = True
    one_by_one: bool = False

    def level(self, kind: str) -> NotifyLevel:
        return self.chosen.get(kind, default_level(kind))


def switched_off(waiting: Sequence[Notification], manner: Manner) -> list[Notification]:
    """What nobody wants to hear; never anything critical."""
    return [
        note
        for note in waiting
        if not is_critical(note) and manner.level(note.kind) is NotifyLevel.OFF
    ]


def next_batch(waiting: Sequence[Notification], manner: Manner) -> Batch | None:
    """The next message out of what waits (oldest first); None while there is none to send.

    In quiet hours the rest comes without a sound, and waits for their end on a channel that has no
    silence.
    """
    critical = [note for note in waiting if is_critical(note)]
    if critical:
        return _critical(_of_kind(critical, manner), manner)
    off = {note.notification_id for note in switched_off(waiting, manner)}
    rest = [note for note in waiting if note.notification_id not in off]
    if not rest or (manner.is_quiet and not manner.has_silence):
        return None
    return _burst(_of_kind(rest, manner), manner)


def is_critical(note: Notification) -> bool:
    return note.level == Severity.CRITICAL


def _of_kind(notes: Sequence[Notification], manner: Manner) -> list[Notification]:
    if manner.one_by_one:
        return [notes[0]]
    return [note for note in notes if note.kind == notes[0].kind]


def _critical(notes: Sequence[Notification], manner: Manner) -> Batch:
    """As many as fit, each in full; only one that is too long for a message by itself is cut."""
    if len(notes) == 1:
        return _single(notes[0], manner, silent=False)
    told: list[Notification] = []
    lines: list[str] = []
    for note in notes:
        line = _line(note, manner)
        if told and sum(map(len, lines)) + len(lines) + len(line) > BODY_CHARACTERS:
            break
        told.append(note)
        lines.append(line)
    if len(told) == 1:
        return _single(told[0], manner, silent=False)
    title = f"{title_of(notes[0].kind)} ({len(told)})"
    return Batch(Message(title, "\n".join(lines), Severity.CRITICAL, silent=False), tuple(told))


def _burst(notes: list[Notification], manner: Manner) -> Batch:
    silent = manner.is_quiet or manner.level(notes[0].kind) is NotifyLevel.SILENT
    if len(notes) == 1 or (notes[0].picture and len(notes) <= MOST_PICTURES):
        return _single(notes[0], manner, silent=silent)
    counted, told = notes[:-LISTED], notes[-LISTED:]
    lines = [_cut(_line(note, manner), LINE_CHARACTERS) for note in told]
    if counted:
        first = _moment(counted[0], manner)
        lines.append(f"and {len(counted)} more before, since {first}")
    severity = max((Severity(_known(note.level)) for note in notes), key=lambda each: each.rank)
    title = f"{title_of(notes[0].kind)} ({len(notes)})"
    return Batch(Message(title, "\n".join(lines), severity, silent), tuple(told), tuple(counted))


def _single(note: Notification, manner: Manner, *, silent: bool) -> Batch:
    title = f"{title_of(note.kind)} {_moment(note, manner)}"
    body = _cut(note.text, BODY_CHARACTERS)
    message = Message(title, body, Severity(_known(note.level)), silent)
    return Batch(message, (note,), picture=note.picture)


def _line(note: Notification, manner: Manner) -> str:
    return f"{_moment(note, manner)} {note.text}"


def _moment(note: Notification, manner: Manner) -> str:
    """``09:31 KST``, with the date where it is not today's."""
    at = note.at.astimezone(manner.zone)
    today = manner.now.astimezone(manner.zone).date()
    return f"{at:%H:%M %Z}" if at.date() == today else f"{at:%Y-%m-%d %H:%M %Z}"


def _known(level: str) -> str:
    return level if level in set(Severity) else Severity.INFO.value


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1]}…"
