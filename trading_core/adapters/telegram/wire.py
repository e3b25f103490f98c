"""The Bot API as the listener uses it: one update that makes no sense does not hide the others."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from telegram import Bot, Update
from telegram.error import RetryAfter, TelegramError
from telegram.request import HTTPXRequest

from trading_core.adapters.telegram_channel import hide_token


class TolerantRequest(HTTPXRequest):
    """Requests whose replies may hold updates that the library cannot read.

    The library would fail on the whole reply, again and again: such an update is never confirmed.
    Here it becomes one that holds nothing, and is counted.
    """

    def __init__(self, unread: Callable[[int], None], **options: Any) -> None:
        super().__init__(**options)
        self._unread = unread

    # An override of a static method by one that knows its object: it is called on the object.
    def parse_json_payload(self, payload: bytes) -> Any:  # type: ignore[override]
        body = HTTPXRequest.parse_json_payload(payload)
        result = body.get("result") if isinstance(body, dict) else None
        if isinstance(result, list):
            read = [_readable(item) for item in result]
            kept = [item for item in read if item is not None]
            lost = sum(item is None or len(item) == 1 for item in read)
            if lost:
                self._unread(lost)
            return body | {"result": kept}
        if not isinstance(body, dict) or "result" not in body:
            raise TelegramError("a reply without a result")
        return body


def _readable(item: object) -> dict[str, Any] | None:
    """The update, or its number alone; None for what has no number."""
    if not isinstance(item, dict) or type(item.get("update_id")) is not int:
        return None
    try:
        Update.de_json(dict(item), None)
    except Exception:
        # Whatever the library stumbles over in it.
        return {"update_id": item["update_id"]}
    return item


def seconds_of(error: RetryAfter) -> float:
    """How long Telegram asks to be left alone."""
    with warnings.catch_warnings():
        # The library announces that it will answer with a timedelta one day.
        warnings.simplefilter("ignore")
        after = error.retry_after
    return after.total_seconds() if isinstance(after, timedelta) else float(after)


def open_bot(
    token: str, base_url: str, *, patience_seconds: float, unread: Callable[[int], None]
) -> Bot:
    """A bot whose token is in no log line.

    Args:
        patience_seconds: How long to wait for a reply, besides the time a poll may take.
        unread: Is told how many updates could not be read.
    """
    hide_token(token)
    wait = patience_seconds
    patience: dict[str, Any] = {
        "read_timeout": wait,
        "write_timeout": wait,
        "connect_timeout": wait,
        "pool_timeout": wait,
    }
    return Bot(
        token,
        base_url=base_url,
        request=HTTPXRequest(connection_pool_size=8, **patience),
        get_updates_request=TolerantRequest(unread, connection_pool_size=1, **patience),
    )
