"""What must be so before anything is started, and what runs in place of what is missing."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil

from flows.supervision.parts import (
    Part,
    Wish,
    has_own_api,
    listens_to_telegram,
    runs_twin,
    serves_dashboard,
)
from flows.supervision.place import UpFiles
from trading_core.errors import (
    BrokerUnavailable,
    ConfigError,
    NotOffered,
    RateLimited,
    TradingError,
)

LEAST_FREE_MB = 300
LOW_FREE_MB = 2_000


def require_home(files: UpFiles) -> None:
    """Make the folders and write a file there.

    Raises:
        ConfigError: the home cannot be written, or its disk is full.
    """
    named = f"OUROBOROS_HOME={files.home}"
    try:
        files.make()
        with tempfile.TemporaryFile(dir=files.run) as file:
            file.write(b"\0" * 4096)
            file.flush()
        free = free_mb(files.home)
    except OSError as error:
        raise ConfigError(f"{named}: cannot be written: {error.strerror}") from None
    if free < LEAST_FREE_MB:
        raise ConfigError(
            f"{named}: {free:,} MB are free on its disk, {LEAST_FREE_MB} are needed; make room or "
            "choose another home"
        )


def free_mb(folder: Path) -> int:
    return int(shutil.disk_usage(folder).free / 1e6)


def require_ports(parts: Iterable[Part]) -> None:
    """Raises ``ConfigError``: each port in use, by whom, and the setting that moves it."""
    taken: dict[int, str] = {}
    problems = []
    for part in parts:
        if part.port is None:
            continue
        if part.port in taken:
            problems.append(
                f"{part.setting}={part.port}: {taken[part.port]} is to listen there already"
            )
        elif not _is_free(part.host, part.port):
            problems.append(
                f"{part.setting}={part.port}: {_listener(part.port)} listens there, where "
                f"{part.name} is to listen; stop that, or choose another port"
            )
        taken[part.port] = part.name
    if problems:
        raise ConfigError("; ".join(problems))


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As servers do; a connection that is being forgotten is no listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _listener(port: int) -> str:
    """The process on a port, as far as this user may know; its arguments stay its own."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,):
                if connection.pid is None:
                    break
                return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    except (psutil.Error, OSError):
        return "another process"
    return "a process of another user"


def instead_of(settings: Any, wish: Wish, commands: frozenset[str]) -> list[str]:
    """One line for everything that is not set and what that means."""
    lines = []
    if runs_twin(settings):
        lines.append("KIS keys are not set: trading goes to the twin, on made-up prices")
    if settings.planner_provider == "gemini" and settings.gemini_api_key is None:
        lines.append("GEMINI_API_KEY is not set: the rules write the playbooks")
    if settings.telegram_bot_token is None:
        lines.append("TELEGRAM_BOT_TOKEN is not set: nothing is told by Telegram")
    elif wish.telegram and listens_to_telegram(settings) and "telegram" not in commands:
        lines.append("this version has no Telegram commands: messages are sent, none is read")
    if not serves_dashboard(settings):
        lines.append("DASHBOARD_ENABLED=false: no dashboard")
    if has_own_api(settings):
        lines.append(
            f"PREFECT_API_URL is set: the Prefect server there is used ({_host(settings)})"
        )
    free = free_mb(settings.ouroboros_home)
    if free < LOW_FREE_MB:
        lines.append(f"only {free:,} MB are free on the home's disk")
    return lines


def _host(settings: Any) -> str:
    return str(settings.prefect_api_url.host)


async def require_account(settings: Any) -> str | None:
    """Ask the broker for the account once; a line for a person where that was not possible now.

    Raises:
        ConfigError: the broker refuses keys or account.
    """
    if not settings.has_kis_keys:
        return None
    from trading_core.wiring import open_runtime

    try:
        async with open_runtime(settings, unconfirmed=True) as runtime:
            for group in runtime.groups:
                try:
                    await runtime.broker.account(group)
                    return None
                except NotOffered:
                    continue
    except (BrokerUnavailable, RateLimited) as error:
        return f"the broker does not answer now: {error}"
    except ConfigError:
        raise
    except TradingError as error:
        raise ConfigError(
            f"KIS_APP_KEY, KIS_APP_SECRET, KIS_ACCOUNT_NO: the broker refuses them: {error}"
        ) from None
    return None
