"""Checks before money is at stake; none of them changes anything at the broker."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Awaitable, Callable
from datetime import date, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from flows.supervision.preflight import LEAST_FREE_MB, LOW_FREE_MB, free_mb
from trading_core.clock import SystemClock
from trading_core.errors import NotOffered, TradingError
from trading_core.model.market import MarketGroup
from trading_core.rules.backup_health import OLDEST, age
from trading_core.rules.calendar import get_next_market_open, local_date, session_on
from trading_core.wiring import (
    Runtime,
    clock_seconds_behind,
    configure,
    live_limits,
    look_at_store,
    open_runtime,
    require_confirmation,
)

Finding = dict[str, str]

PYTHONS = ("3.11", "3.12", "3.13")
TESTED = {
    "prefect": "3.8.8",
    "fastapi": "0.150",
    "sqlalchemy": "2.0",
    "duckdb": "2.0",
    "exchange-calendars": "4.13",
}
"""Releases this version was tested with; another patch of the same release is no finding, except
where the patch is named."""

SKEW_WARNING, SKEW_FAILURE = 3.0, 60.0
"""Seconds between this machine's clock and the broker's: ticks come late, or on another minute."""


async def examine() -> list[Finding]:
    """Every check in order; a check that fails does not stop the others."""
    findings: list[Finding] = []
    try:
        settings = configure()
    except TradingError as error:
        return [_finding("settings", "failed", str(error))]
    findings.append(_finding("settings", "ok", f"mode {settings.mode}"))
    findings.append(_limits(settings))
    if settings.mode == "live":
        findings.append(await _guarded("go-live", lambda: _confirmed(settings)))
    findings.append(_versions())
    findings.append(_disk(settings.ouroboros_home))
    findings += _store(settings)
    findings.append(_calendars(settings.enabled_markets))
    findings.append(_finding("planner", "ok", _planner(settings)))
    try:
        async with open_runtime(settings, unconfirmed=True) as runtime:
            findings.append(await _clock(settings, runtime))
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


def _limits(settings: Any) -> Finding:
    """What it would trade with."""
    names = ("max_loss_pct", "max_order_pct", "guard_max_symbol_pct", "guard_max_exposure_pct")
    parts = [f"{name.upper()}={getattr(settings, name):g}" for name in names]
    parts.append(f"GUARD_MAX_ORDERS_PER_SESSION={settings.guard_max_orders_per_session}")
    return _finding("limits", "ok", ", ".join(parts))


async def _confirmed(settings: Any) -> str:
    require_confirmation(settings)
    return f"real money was confirmed: the {live_limits(settings)['account']}"


def _versions() -> Finding:
    running = ".".join(platform.python_version_tuple()[:2])
    odd = [] if running in PYTHONS else [f"python {running} (tested: {', '.join(PYTHONS)})"]
    found = [f"python {platform.python_version()}"]
    for name, tested in TESTED.items():
        try:
            installed = version(name)
        except PackageNotFoundError:
            odd.append(f"{name} is not installed")
            continue
        found.append(f"{name} {installed}")
        if not f"{installed}.".startswith(f"{tested}."):
            odd.append(f"{name} {installed} (tested: {tested})")
    if odd:
        return _finding("versions", "warning", f"not what was tested: {'; '.join(odd)}")
    return _finding("versions", "ok", ", ".join(found))


def _disk(home: Path) -> Finding:
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home) as file:
            file.write(b"\0")
        free = free_mb(home)
    except OSError as error:
        return _finding("disk", "failed", f"{home} cannot be written: {error.strerror}")
    result = "failed" if free < LEAST_FREE_MB else "warning" if free < LOW_FREE_MB else "ok"
    return _finding("disk", result, f"{free / 1e3:.1f} GB free in {home}")


def _store(settings: Any) -> list[Finding]:
    """Whether it opens and its rows agree with each other, and how old the newest backup is."""
    try:
        facts = look_at_store(settings)
    except TradingError as error:
        return [_finding("store", "failed", str(error))]
    said = f"opens; {facts.orders} orders, {facts.unsettled} of them not settled"
    result = "ok"
    if facts.halts:
        result, said = "warning", f"{said}; a halt stands: {facts.halts[0].reason}"
    if facts.problems:
        result, said = "failed", f"{len(facts.problems)} rows cannot be: {facts.problems[0]}"
    return [_finding("store", result, said), _backup(facts.backup_at, facts, SystemClock().now())]


def _backup(at: datetime | None, facts: Any, now: datetime) -> Finding:
    if at is None:
        said = "there is none yet" + ("" if facts.orders else ", and nothing to lose yet")
        return _finding("backup", "warning" if facts.orders else "ok", said)
    if not facts.backup_verified:
        return _finding("backup", "failed", f"the newest, of {at:%Y-%m-%d %H:%M} UTC, did not open")
    result = "warning" if now - at > OLDEST else "ok"
    return _finding("backup", result, f"the newest is {age(now - at)} old and opened")


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


async def _clock(settings: Any, runtime: Runtime) -> Finding:
    """The clock trading goes by, against the broker's."""
    try:
        behind = await clock_seconds_behind(settings, runtime.clock)
    except TradingError as error:
        return _finding("clock", "warning", str(error))
    off = abs(behind)
    result = "failed" if off > SKEW_FAILURE else "warning" if off > SKEW_WARNING else "ok"
    way = "behind" if behind > 0 else "ahead of"
    said = f"{off:.1f} s {way} the broker's" if off > 1 else "the same as the broker's"
    return _finding("clock", result, f"{said}; set it by NTP" if result != "ok" else said)


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
