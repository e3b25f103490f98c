"""Telling people: what takes a message and what the store keeps of it; ``ports`` takes these in."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeAlias

from trading_core.model.journal import Notification
from trading_core.model.notice import Answer, LevelRow, Message, NotifyLevel, SendRow

NoticeRecord: TypeAlias = Notification | SendRow | LevelRow


class NoticeReader(Protocol):
    """A notification that is to go out names its channels; it is unsent on each of them until a
    :class:`SendRow` says what became of it."""

    def notified(self, notification_ids: Collection[str]) -> set[str]:
        """Which of these notifications were written down before."""
        ...

    def unsent(self, channel: str) -> Sequence[Notification]:
        """What is still to go out on a channel, oldest first."""
        ...

    def notifications(self, limit: int = 100) -> Sequence[Notification]:
        """The newest, newest first."""
        ...

    def sends(self, notification_ids: Collection[str]) -> Sequence[SendRow]:
        """What became of these, by id and channel."""
        ...

    def notification_levels(self) -> Mapping[str, NotifyLevel]:
        """What people chose, by kind; a kind nobody set is not in it."""
        ...


class Notifier(Protocol):
    """Where a message is seen at once, inside this process: a log, a screen.

    ``channels`` names those that it is to go out on besides, by the outbox. Never raises: a failure
    is logged and answered with False.
    """

    @property
    def channels(self) -> tuple[str, ...]: ...

    async def send(self, notification: Notification) -> bool: ...


class Channel(Protocol):
    """One way out of the house. ``deliver`` makes one attempt and never raises.

    ``has_silence`` says whether it can take a message without a sound.
    """

    @property
    def name(self) -> str: ...

    @property
    def has_silence(self) -> bool: ...

    async def deliver(self, message: Message) -> Answer: ...

    async def aclose(self) -> None: ...


class SenderLock(Protocol):
    """One sender per store, of all processes; freed by the system when its holder dies."""

    def attempt(self) -> AbstractContextManager[bool]:
        """Try to hold it for the block, without waiting; whether it is held."""
        ...
