"""Telling people that the system was started or stopped."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

logger = logging.getLogger(__name__)


def tell_of_start(settings: Any, parts: Iterable[str]) -> None:
    """Every part works; a failure to say so is logged."""
    from trading_core.steps.tell import of_start

    markets = ", ".join(settings.enabled_markets)
    _tell(of_start, settings, f"{settings.mode} trading of {markets}: {', '.join(parts)} are up")


def tell_of_stop(settings: Any) -> None:
    """Nothing runs any more; a failure to say so is logged."""
    from trading_core.steps.tell import of_stop

    _tell(of_stop, settings, "stopped: nothing trades and no stop is watched")


def _tell(note_of: Any, settings: Any, words: str) -> None:
    from trading_core.clock import SystemClock
    from trading_core.wiring import tell_people

    try:
        asyncio.run(tell_people([note_of(SystemClock().now(), words)], settings))
    except Exception:
        logger.exception("people were not told: %s", words)
