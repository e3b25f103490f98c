"""Ways to tell a person. None of them ever raises: trading does not depend on being heard."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from trading_core.model.journal import Notification
from trading_core.ports import Notifier

logger = logging.getLogger(__name__)

_LONGEST = 4096
"""Characters of one message of the Bot API; a longer one is refused."""

_CLIENT_LOGGERS = ("httpx", "telegram.Bot")

_LEVELS = {"critical": logging.CRITICAL, "warning": logging.WARNING}


class LogNotifier:
    """Writes every message to the program's log."""

    async def send(self, notification: Notification) -> bool:
        level = _LEVELS.get(notification.level, logging.INFO)
        logger.log(level, "%s: %s", notification.kind, notification.text)
        return True


class Notifiers:
    """Sends through several notifiers; delivered means that all of them took it."""

    def __init__(self, members: Sequence[Notifier]) -> None:
        self._members = tuple(members)

    async def send(self, notification: Notification) -> bool:
        answers = [await member.send(notification) for member in self._members]
        return all(answers)


@dataclass(frozen=True, slots=True)
class _HideToken:
    """A log filter: the token is a part of every request's address, and clients log addresses."""

    token: str = field(repr=False)

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = record.getMessage().replace(self.token, "***"), ()
        return True


class TelegramNotifier:
    """One chat of a Telegram bot, through python-telegram-bot.

    Args:
        token: The bot's token; never logged.
        chat_id: The only chat that is written to.
        base_url: Another Bot API server, for tests.
    """

    def __init__(self, token: str, chat_id: str, base_url: str | None = None) -> None:
        self._token = token
        self._chat_id = chat_id
        self._base_url = base_url
        for name in _CLIENT_LOGGERS if token else ():
            logging.getLogger(name).addFilter(_HideToken(token))

    async def send(self, notification: Notification) -> bool:
        # Imported here because a tick that has nothing to say should not pay for it.
        from telegram import Bot

        try:
            bot = Bot(self._token, base_url=self._base_url) if self._base_url else Bot(self._token)
            async with bot:
                await bot.send_message(
                    self._chat_id,
                    notification.text[:_LONGEST],
                    disable_notification=notification.level == "info",
                    read_timeout=5,
                    connect_timeout=5,
                )
        except Exception as error:
            # The library raises more than its own errors, KeyError for a reply it cannot read.
            logger.warning("telegram: not delivered (%s)", type(error).__name__)
            return False
        return True
