"""Where a message is seen at once, in this process."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from trading_core.model.journal import Notification

logger = logging.getLogger(__name__)

_LEVELS = {"critical": logging.CRITICAL, "warning": logging.WARNING}


@dataclass(frozen=True, slots=True)
class LogNotifier:
    """Writes every message to the program's log.

    Args:
        channels: Names of those it is to go out on besides.
        on_told: Called once for each message, before it is written down.
    """

    channels: tuple[str, ...] = ()
    on_told: Callable[[], None] = lambda: None

    async def send(self, notification: Notification) -> bool:
        """Log it at its severity; the second line is for channels, a log has its own detail."""
        level = _LEVELS.get(notification.level, logging.INFO)
        logger.log(level, "%s: %s", notification.kind, notification.text)
        self.on_told()
        return True
