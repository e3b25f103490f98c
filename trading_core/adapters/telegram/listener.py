"""The listener: polls Telegram, obeys one chat, and says what the commands answer.

Three tasks of one event loop. One polls, and does itself what must not wait (a stop). One works
through the other commands in their order. One sends, at the pace Telegram allows, and so holds up
neither of them. What changes something is confirmed to Telegram only once it is done: after a crash
it is handed out again, and the record of commands in the store says that it was done before.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from telegram import Bot, Update
from telegram.error import Conflict, InvalidToken, RetryAfter, TelegramError, TimedOut

from trading_core.adapters.telegram.delivery import Delivery
from trading_core.adapters.telegram.incoming import Incoming, understood
from trading_core.adapters.telegram.wire import open_bot, seconds_of
from trading_core.clock import Clock
from trading_core.errors import ConfigError
from trading_core.model.chat import Answer, Asked

logger = logging.getLogger(__name__)

MOST_REMEMBERED = 1000
"""Updates; while a command is done Telegram hands out everything after it again and again."""

MOST_WAITING = 60
"""Commands that wait; of more, the oldest that only ask are left out."""

_WRONG_TOKEN = "TELEGRAM_BOT_TOKEN: Telegram does not know it"
_HEARD = ("message", "callback_query")
_TROUBLED_FOR = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Manner:
    """How a listener behaves.

    Args:
        interval_seconds: Between two polls.
        poll_seconds: How long Telegram holds a poll open while nothing happens.
        patience_seconds: How long a reply may take besides.
        pause_seconds: After the first failure of a poll; it doubles, up to ``longest_seconds``.
        pace_seconds: Between two messages to the chat when several are to go out.
    """

    interval_seconds: float = 1.0
    poll_seconds: int = 20
    patience_seconds: float = 10.0
    pause_seconds: float = 1.0
    longest_seconds: float = 30.0
    pace_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the listener is told about commands.

    ``is_urgent`` goes before everything else, ``changes`` does something, and answering the second
    of two that ``repeats`` says are the same is enough. What ``overruled`` says of an urgent one
    and one that waits is not done any more. ``menu`` holds names and descriptions.
    """

    answer: Callable[[Asked], Awaitable[Answer]]
    is_urgent: Callable[[str], bool]
    changes: Callable[[str], bool]
    repeats: Callable[[Asked, Asked], bool]
    overruled: Callable[[Asked, Asked], Answer | None]
    menu: Sequence[tuple[str, str]]


@dataclass(slots=True)
class Tally:
    """What happened so far; times aware UTC."""

    since: datetime
    heard_at: datetime | None = None
    trouble: str = ""
    troubled_at: datetime | None = None
    answered: int = 0
    strangers: int = 0
    unread: int = 0
    left_out: int = 0


@dataclass(slots=True)
class Listener:
    """One listener of one bot and one chat.

    Args:
        chat_id: The only chat that is obeyed; whoever is in it may give any command.
        clock: Real time.
    """

    token: str = field(repr=False)
    base_url: str
    chat_id: int
    meaning: Meaning
    clock: Clock
    manner: Manner = field(default_factory=Manner)
    tally: Tally = field(init=False)
    # A bot shows its token when it is printed.
    _bot: Bot = field(init=False, repr=False)
    _delivery: Delivery = field(init=False, repr=False)
    _next: int = field(init=False, default=0)
    _seen: deque[int] = field(init=False, default_factory=lambda: deque(maxlen=MOST_REMEMBERED))
    _open: set[int] = field(init=False, default_factory=set)
    _waiting: deque[Incoming] = field(init=False, default_factory=deque)
    _more: asyncio.Event = field(init=False, default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.tally = Tally(self.clock.now())
        self._bot = open_bot(
            self.token,
            self.base_url,
            patience_seconds=self.manner.patience_seconds,
            unread=self._unread,
        )
        self._delivery = Delivery(self._bot, self.chat_id, pace_seconds=self.manner.pace_seconds)

    async def run(self) -> None:
        """Listen until cancelled.

        Raises:
            ConfigError: Telegram does not know the token.
        """
        try:
            await self._begin()
            works = (self._poll(), self._work(), self._delivery.run())
            tasks = [asyncio.create_task(work) for work in works]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await self._confirm()
        finally:
            await self._bot.shutdown()

    async def _begin(self) -> None:
        """Reach Telegram, however long that takes, and hand in the menu."""
        pause = self.manner.pause_seconds
        while True:
            try:
                await self._bot.initialize()
                await self._bot.set_my_commands(list(self.meaning.menu))
            except InvalidToken:
                # The library's own words hold the token.
                raise ConfigError(_WRONG_TOKEN) from None
            except TelegramError as error:
                pause = await self._rest(error, pause)
            else:
                return

    async def _poll(self) -> None:
        pause = self.manner.pause_seconds
        while True:
            try:
                updates = await self._bot.get_updates(
                    offset=min(self._open, default=self._next),
                    timeout=self.manner.poll_seconds,
                    allowed_updates=_HEARD,
                )
            except InvalidToken:
                raise ConfigError(
                    "TELEGRAM_BOT_TOKEN: Telegram does not know it any more"
                ) from None
            except TelegramError as error:
                pause = await self._rest(error, pause)
                continue
            except Exception as error:
                logger.exception("a poll failed")
                pause = await self._rest(error, pause)
                continue
            pause = self.manner.pause_seconds
            self.tally.heard_at = self.clock.now()
            for update in updates:
                # Not by their order: after a quiet week Telegram begins anew somewhere else.
                if update.update_id not in self._seen:
                    self._seen.append(update.update_id)
                    self._next = update.update_id + 1
                    await self._take(update)
            await asyncio.sleep(self.manner.interval_seconds)

    async def _rest(self, error: Exception, pause: float) -> float:
        """Wait after a failure; answers how long to wait after the next one."""
        words = _words(error)
        if words != self.tally.trouble or not self._in_trouble():
            logger.warning("telegram: %s", words)
        self.tally.trouble, self.tally.troubled_at = words, self.clock.now()
        if isinstance(error, RetryAfter):
            await asyncio.sleep(seconds_of(error))
            return self.manner.pause_seconds
        await asyncio.sleep(pause)
        return min(pause * 2, self.manner.longest_seconds)

    def _unread(self, count: int) -> None:
        self.tally.unread += count

    async def _take(self, update: Update) -> None:
        """Do it now, or put it where it waits; nothing in it may end the listening."""
        chat = update.effective_chat
        if chat is not None and chat.id != self.chat_id:
            self.tally.strangers += 1
            return
        try:
            work = understood(update, bot_name=self._bot.username or "", at=self.clock.now())
        except Exception:
            logger.exception("an update could not be read")
            self.tally.unread += 1
            return
        if work is None:
            return
        if work.reply.query_id:
            self._delivery.confirm(work.reply.query_id)
        if self.meaning.is_urgent(work.asked.name):
            await self._overrule(work)
            await self._do(work, first=True)
            return
        if self.meaning.changes(work.asked.name):
            self._open.add(work.update_id)
        self._waiting.append(work)
        self._leave_out()
        self._more.set()

    async def _overrule(self, urgent: Incoming) -> None:
        """A stop goes first, so what was asked for before it must not undo it afterwards."""
        for work in list(self._waiting):
            answer = self.meaning.overruled(urgent.asked, work.asked)
            if answer is not None:
                self._waiting.remove(work)
                self._open.discard(work.update_id)
                await self._delivery.say(answer, work.reply)

    def _leave_out(self) -> None:
        while len(self._waiting) > MOST_WAITING:
            asking = (w for w in self._waiting if w.update_id not in self._open)
            oldest = next(asking, None)
            if oldest is None:
                return
            self._waiting.remove(oldest)
            self.tally.left_out += 1

    async def _work(self) -> None:
        while True:
            await self._more.wait()
            if not self._waiting:
                self._more.clear()
                continue
            work = self._waiting.popleft()
            if any(self.meaning.repeats(work.asked, later.asked) for later in self._waiting):
                self.tally.left_out += 1
                continue
            await self._do(work)

    async def _do(self, work: Incoming, *, first: bool = False) -> None:
        try:
            answer = await self.meaning.answer(work.asked)
            await self._delivery.say(answer, work.reply, first=first)
            self.tally.answered += 1
        except Exception:
            logger.exception("the command %s was not answered", work.asked.name)
        finally:
            self._open.discard(work.update_id)

    async def _confirm(self) -> None:
        """Tell Telegram what was taken, so that it is not handed out again."""
        offset = min(self._open, default=self._next)
        if not offset:
            return
        try:
            await self._bot.get_updates(offset=offset, timeout=0, allowed_updates=_HEARD)
        except TelegramError as error:
            logger.info("telegram: the last updates may come again (%s)", type(error).__name__)

    def _in_trouble(self) -> bool:
        heard, troubled = self.tally.heard_at, self.tally.troubled_at
        return troubled is not None and (heard is None or troubled >= heard)

    def lines(self, at: datetime) -> list[str]:
        """How the listener does, for ``/health``, as HTML lines without anything from outside."""
        tally = self.tally
        up = int((at - tally.since).total_seconds() // 60)
        found = [f"✅ this listener is up {up:,} min, answered {tally.answered:,}"]
        if tally.troubled_at is not None and at - tally.troubled_at < _TROUBLED_FOR:
            found.append(f"⚠ {tally.trouble}")
        found.append(
            f"▫️ ignored from other chats: {tally.strangers:,}; unreadable: {tally.unread:,}; "
            f"left out in a flood: {tally.left_out:,}"
        )
        return found


def _words(error: Exception) -> str:
    """What went wrong, without anything that came over the wire: it may hold the token."""
    if isinstance(error, Conflict):
        return "another program listens to this bot (409); stop it, or give this one its own bot"
    if isinstance(error, RetryAfter):
        return f"Telegram asks to wait {seconds_of(error):g} s (429)"
    if isinstance(error, TimedOut):
        return "no reply in time"
    return f"no usable reply ({type(error).__name__})"
