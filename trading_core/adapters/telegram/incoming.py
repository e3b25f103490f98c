"""What an update of our chat asks for: a command that was typed, or a button that was pressed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from telegram import CallbackQuery, Message, Update

from trading_core.adapters.telegram.delivery import Reply
from trading_core.adapters.telegram.rendering import pressed
from trading_core.model.chat import Asked


@dataclass(frozen=True, slots=True)
class Incoming:
    """One command, with where its answer goes."""

    update_id: int
    asked: Asked
    reply: Reply


def understood(update: Update, *, bot_name: str, at: datetime) -> Incoming | None:
    """The command in an update; None where there is none for this bot.

    Args:
        at: When it was received, aware UTC.
    """
    if update.callback_query is not None:
        return _pressed(update, update.callback_query, at)
    if update.message is None:
        return None
    return _typed(update, update.message, bot_name, at)


def _pressed(update: Update, query: CallbackQuery, at: datetime) -> Incoming | None:
    words, page = pressed(query.data or "")
    message = query.message
    if not words or message is None:
        return None
    reply = Reply(
        edits=message.message_id,
        is_picture=isinstance(message, Message) and bool(message.photo),
        query_id=query.id,
        page=page,
    )
    # Telegram does not say when a button was pressed.
    asked = _asked(update, words, at, typed_at=at, page=page, tapped=True)
    return Incoming(update.update_id, asked, reply)


def _typed(update: Update, message: Message, bot_name: str, at: datetime) -> Incoming | None:
    words = (message.text or "").split()
    if not words:
        return None
    if not words[0].startswith("/"):
        if message.chat.type != "private":
            return None
        words = ["/help"]
    name, _, addressed = words[0][1:].partition("@")
    if addressed and addressed.lower() != bot_name.lower():
        return None
    asked = _asked(update, [name, *words[1:]], at, typed_at=message.date)
    return Incoming(update.update_id, asked, Reply())


def _asked(
    update: Update,
    words: list[str],
    at: datetime,
    *,
    typed_at: datetime,
    page: int = 0,
    tapped: bool = False,
) -> Asked:
    return Asked(
        name=words[0].lower(),
        arguments=tuple(words[1:]),
        message_id=f"telegram-{update.update_id}",
        actor=_actor(update),
        at=at,
        typed_at=typed_at,
        page=page,
        tapped=tapped,
    )


def _actor(update: Update) -> str:
    """The chat, and in a group who of it."""
    chat, user = update.effective_chat, update.effective_user
    where = f"telegram:{chat.id if chat is not None else '?'}"
    return where if user is None or chat is None or user.id == chat.id else f"{where}/{user.id}"
