"""Where people are told what happens."""

from __future__ import annotations

from trading_core.adapters.notifiers import LogNotifier, Notifiers
from trading_core.ports import Notifier
from trading_core.settings import Settings


def notifier_of(settings: Settings) -> Notifier:
    token, chat = settings.telegram_bot_token, settings.telegram_chat_id
    if not settings.telegram_enabled or token is None or chat is None:
        return LogNotifier()
    from trading_core.adapters.notifiers import TelegramNotifier

    return Notifiers(
        [LogNotifier(), TelegramNotifier(token.get_secret_value(), chat.get_secret_value())]
    )
