"""Checks before money is at stake; none of them changes anything at the broker."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

from trading_core.clock import SystemClock
from trading_core.errors import NotOffered, TradingError
from trading_core.model.market import MarketGroup
from trading_core.rules.calendar import get_next_market_open, local_date, session_on
from trading_core.wiring import Runtime, configure, open_runtime, open_store

Finding = dict[str, str]
LOW_DISK_GB = 2


async def examine() -> list[Finding]:
    """Every check in order; a check that fails does not stop the others."""
    findings: list[Finding] = []
    try:
        settings = configure()
    except TradingError as error:
        return [_finding("settings", "failed", str(error))]
    limits = f"loss {settings.max_loss_pct} %, order {settings.max_order_pct} % of cash"
    findings.append(_finding("settings", "ok", f"mode {settings.mode}; limits: {limits}"))
    findings.append(_disk(settings.ouroboros_home))
    findings.append(await _guarded("store", _store))
    findings.append(_calendars(settings.enabled_markets))
    findings.append(_finding("planner", "ok", _planner(settings)))
    try:
        async with open_runtime(settings) as runtime:
            for group in settings.enabled_markets:
                findings += await _broker(runtime, group)
    except TradingError as error:
        findings.append(_finding("broker", "failed", str(error)))
    return findings


def _finding(name: str, result: str, detail: str) -> Finding:
    return {"name": name, "result": result, "detail": detail}


async def _guarded(name: str, check: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return _finding(name, "ok", await check())
    except NotOffered as error:
        return _finding(name, "warning", str(error))
    except TradingError as error:
        return _finding(name, "failed", str(error))


def _disk(home: Any) -> Finding:
    home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(home).free / 1e9
    result = "ok" if free >= LOW_DISK_GB else "warning"
    return _finding("disk", result, f"{free:.1f} GB free in {home}")


async def _store() -> str:
    store = open_store()
    with store.read() as reader:
        halts = reader.open_halts()
    if halts:
        return f"opens; {len(halts)} halt stands: {halts[0].reason}"
    return "opens; no halt stands"


def _planner(settings: Any) -> str:
    if settings.planner_provider == "openai":
        return f"{settings.openai_model} at {settings.openai_base_url.host}"
    keys = "set" if settings.gemini_api_key else "not set: the rules write the playbooks"
    return f"GEMINI_API_KEY {keys}"


def _calendars(groups: tuple[MarketGroup, ...]) -> Finding:
    try:
        group, at = get_next_market_open(groups, SystemClock().now())
    except TradingError as error:
        return _finding("calendars", "failed", str(error))
    return _finding("calendars", "ok", f"{group} opens next, at {at:%Y-%m-%d %H:%M} UTC")


async def _broker(runtime: Runtime, group: MarketGroup) -> list[Finding]:
    async def account() -> str:
        view = await runtime.broker.account(group)
        return f"{runtime.account_label}: equity {view.equity:,} {view.currency}"

    async def calendar() -> str:
        today: date = local_date(group, runtime.clock.now())
        ours = session_on(group, today) is not None
        theirs = await runtime.market_data.is_trading_day(group, today)
        if ours != theirs:
            raise TradingError(f"{today}: the broker says open={theirs}, the calendar {ours}")
        return f"{today}: the broker agrees that it is {'a' if ours else 'no'} session"

    return [
        await _guarded(f"broker {group}", account),
        await _guarded(f"calendar {group}", calendar),
    ]
