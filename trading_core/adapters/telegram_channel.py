"""One chat of a Telegram bot, through python-telegram-bot."""

from __future__ import annotations

import html
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from trading_core.model.difference import Severity
from trading_core.model.notice import Answer, Message, NotTaken, Taken, TryLater

if TYPE_CHECKING:
    from telegram import Bot

logger = logging.getLogger(__name__)

NAME = "telegram"
TIMEOUT_SECONDS = 10.0
CONNECT_SECONDS = 5.0
SETTINGS_WRONG_SECONDS = 600.0
"""How long a channel rests that only another setting can help."""

_LONGEST_TEXT, _LONGEST_CAPTION = 4096, 1024
"""In UTF-16 code units, after the mark-up was taken out (Bot API, sendMessage, sendPhoto)."""
_CLIENT_LOGGERS = ("httpx", "telegram.Bot")
_SIGNS = {Severity.CRITICAL: "🔴 ", Severity.WARNING: "🟡 ", Severity.INFO: ""}
_WRONG_CHAT = ("chat not found", "chat_id is empty", "peer_id_invalid", "group chat was upgraded")


@dataclass(frozen=True, slots=True)
class _HideToken:
    """A log filter: the token is a part of every request's address, and clients log addresses."""

    token: str = field(repr=False)

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = record.getMessage().replace(self.token, "***"), ()
        return True


def hide_token(token: str) -> None:
    """Keep a bot's token out of what the client libraries log."""
    for name in _CLIENT_LOGGERS if token else ():
        known = logging.getLogger(name)
        if _HideToken(token) not in known.filters:
            known.addFilter(_HideToken(token))


class TelegramChannel:
    """The ``Channel`` port over ``sendMessage`` and ``sendPhoto``.

    Args:
        token: The bot's token; never logged.
        chat_id: The only chat that is written to.
        base_url: Where the Bot API is, up to the token.
    """

    name = NAME
    has_silence = True

    def __init__(
        self,
        token: str,
        chat_id: str,
        base_url: str,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._token = token
        self._chat_id = chat_id
        self._base_url = base_url
        self._timeout = timeout_seconds
        self._bot: Bot | None = None
        hide_token(token)

    async def deliver(self, message: Message) -> Answer:
        """One attempt; a message that is refused for its mark-up goes again as plain text."""
        try:
            answer = await self._attempt(message, marked_up=True)
            if isinstance(answer, NotTaken):
                answer = await self._attempt(message, marked_up=False)
        except Exception as error:
            # The library raises more than its own errors, KeyError for a reply it cannot read.
            return TryLater(f"not delivered ({type(error).__name__})", maybe_taken=True)
        return answer

    async def _attempt(self, message: Message, *, marked_up: bool) -> Answer:
        # Imported here because whoever only writes rows should not pay for it.
        from telegram.error import (
            BadRequest,
            ChatMigrated,
            Forbidden,
            InvalidToken,
            NetworkError,
            RetryAfter,
        )

        try:
            await self._send(self._opened(), message, marked_up)
        except RetryAfter as error:
            seconds = error.retry_after
            if isinstance(seconds, timedelta):
                seconds = int(seconds.total_seconds())
            return TryLater("too many messages", after_seconds=float(seconds))
        except (InvalidToken, Forbidden, ChatMigrated) as error:
            words = f"{type(error).__name__}: check TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID"
            return TryLater(words, after_seconds=SETTINGS_WRONG_SECONDS)
        except BadRequest as error:
            if any(words in error.message.lower() for words in _WRONG_CHAT):
                words = "the bot does not know this chat: check TELEGRAM_CHAT_ID, and write to it"
                return TryLater(words, after_seconds=SETTINGS_WRONG_SECONDS)
            return NotTaken(error.message)
        except NetworkError as error:
            return _unreachable(error)
        return Taken()

    async def _send(self, bot: Bot, message: Message, marked_up: bool) -> None:
        shared: dict[str, Any] = {"disable_notification": message.silent}
        if marked_up:
            shared["parse_mode"] = "HTML"
        if message.picture is not None:
            text = _text(message, marked_up, _LONGEST_CAPTION)
            await bot.send_photo(self._chat_id, message.picture, caption=text, **shared)
            return
        text = _text(message, marked_up, _LONGEST_TEXT)
        await bot.send_message(self._chat_id, text, **shared)

    def _opened(self) -> Bot:
        if self._bot is None:
            from telegram import Bot
            from telegram.request import HTTPXRequest

            request = HTTPXRequest(
                connection_pool_size=1,
                read_timeout=self._timeout,
                write_timeout=self._timeout,
                media_write_timeout=self._timeout,
                connect_timeout=min(CONNECT_SECONDS, self._timeout),
            )
            self._bot = Bot(self._token, base_url=self._base_url, request=request)
        return self._bot

    async def aclose(self) -> None:
        """Close the connection, if there is one."""
        if self._bot is not None:
            await self._bot.request.shutdown()
            self._bot = None


def _unreachable(error: Exception) -> TryLater:
    """Whether anything can have arrived follows from how far the request came."""
    import httpx

    cause = error.__cause__
    reason = f"not reachable ({type(cause or error).__name__})"
    never_left = isinstance(cause, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    # Else it was answered, with an error of the server's own.
    return TryLater(reason, maybe_taken=isinstance(cause, httpx.HTTPError) and not never_left)


def _text(message: Message, marked_up: bool, units: int) -> str:
    """Title and body, escaped where there is mark-up; cut before that, so that no tag is cut."""
    title = f"{_SIGNS[message.severity]}{message.title}"
    body = _cut(message.body, units - _units(title) - 1)
    if not marked_up:
        return f"{title}\n{body}"
    return f"<b>{html.escape(title, quote=False)}</b>\n{html.escape(body, quote=False)}"


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _cut(text: str, units: int) -> str:
    if _units(text) <= units:
        return text
    raw = text.encode("utf-16-le")[: 2 * (units - 1)]
    return f"{raw.decode('utf-16-le', errors='ignore')}…"
