"""Sending answers: in order, at the pace Telegram allows, with more patience than a command has."""

from __future__ import annotations

import asyncio
import html
import logging
import re
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from telegram import Bot, InputMediaPhoto
from telegram.constants import ParseMode
from telegram.error import BadRequest, Forbidden, InvalidToken, RetryAfter, TelegramError

from trading_core.adapters.telegram.rendering import Page, page_of
from trading_core.adapters.telegram.wire import seconds_of
from trading_core.model.chat import Answer

logger = logging.getLogger(__name__)

MOST_WAITING = 100
TRIES = 5
FIRST_PAUSE_SECONDS = 0.5

_UNCHANGED = "not modified"
_GONE = ("to edit not found", "can't be edited", "no text in the message", "MESSAGE_ID_INVALID")


@dataclass(frozen=True, slots=True)
class Reply:
    """Where an answer goes: a new message, or in place of the one whose button was pressed."""

    edits: int | None = None
    is_picture: bool = False
    query_id: str = ""
    page: int = 0


@dataclass(slots=True)
class Delivery:
    """What waits to be sent to one chat."""

    bot: Bot
    chat_id: int
    pace_seconds: float = 1.0
    _waiting: deque[Callable[[], Awaitable[None]]] = field(default_factory=deque)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    def confirm(self, query_id: str) -> None:
        """Tell the button that it was pressed."""

        async def answer() -> None:
            # After a while Telegram does not want to know any more.
            await self.bot.answer_callback_query(query_id)

        self._put(answer, first=True)

    async def say(self, answer: Answer, reply: Reply, *, first: bool = False) -> None:
        """Send it when its turn comes; ``first`` goes before what waits."""
        page = page_of(answer, reply.page)
        picture: bytes | None = None
        if answer.picture is not None:
            # Imported here because a listener that draws nothing should not pay for it.
            from trading_core.adapters.pictures import price_picture

            picture = await asyncio.to_thread(price_picture, answer.picture)

        async def send() -> None:
            await self._send(page, picture, reply)

        self._put(send, first=first)

    def _put(self, work: Callable[[], Awaitable[None]], *, first: bool) -> None:
        if first:
            self._waiting.appendleft(work)
        else:
            self._waiting.append(work)
        while len(self._waiting) > MOST_WAITING:
            self._waiting.pop()
            logger.warning("telegram: too many answers wait; the newest was left out")
        self._more.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._more.wait()
            if not self._waiting:
                self._more.clear()
                continue
            await self._patiently(self._waiting.popleft())
            if self._waiting:
                await asyncio.sleep(self.pace_seconds)

    async def _patiently(self, work: Callable[[], Awaitable[None]]) -> None:
        pause = FIRST_PAUSE_SECONDS
        for _ in range(TRIES):
            try:
                await work()
                return
            except RetryAfter as error:
                await asyncio.sleep(seconds_of(error))
            except (BadRequest, Forbidden, InvalidToken) as error:
                logger.warning("telegram: an answer was refused (%s)", type(error).__name__)
                return
            except TelegramError:
                await asyncio.sleep(pause)
                pause *= 2
            except Exception:
                logger.exception("telegram: an answer could not be sent")
                return
        logger.warning("telegram: an answer was given up after %d tries", TRIES)

    async def _send(self, page: Page, picture: bytes | None, reply: Reply) -> None:
        try:
            await self._as_html(page, picture, reply)
        except BadRequest as error:
            said = str(error)
            if _UNCHANGED in said:
                return
            if reply.edits is not None and any(words in said for words in _GONE):
                await self._as_html(page, picture, Reply())
                return
            # Rather without its looks than not at all.
            text = html.unescape(re.sub(r"<[^>]+>", "", page.text))
            await self.bot.send_message(self.chat_id, text, reply_markup=page.keyboard)

    async def _as_html(self, page: Page, picture: bytes | None, reply: Reply) -> None:
        bot, chat, mode = self.bot, self.chat_id, ParseMode.HTML
        text, keys, edits = page.text, page.keyboard, reply.edits
        if picture is None:
            if edits is not None and not reply.is_picture:
                await bot.edit_message_text(text, chat, edits, parse_mode=mode, reply_markup=keys)
            else:
                await bot.send_message(chat, text, parse_mode=mode, reply_markup=keys)
        elif edits is not None and reply.is_picture:
            media = InputMediaPhoto(picture, caption=text, parse_mode=mode)
            await bot.edit_message_media(media, chat, edits, reply_markup=keys)
        else:
            await bot.send_photo(chat, picture, caption=text, parse_mode=mode, reply_markup=keys)
