"""What ``ouroboros up`` keeps running, in order, and the environment all of it runs in."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from dotenv import dotenv_values

from trading_core.errors import ConfigError
from trading_core.wiring import secrets_of

ROOT = Path(__file__).resolve().parents[2]
POOL = "local"
WORKER = "ouroboros"
MARK = "OUROBOROS_UP"
"""Variable that every process of an ``up`` carries; its value is the home."""

Health = Literal["http", "worker", "process"]
Settings = Any


@dataclass(frozen=True, slots=True)
class Part:
    """One process that is kept running.

    Args:
        command: Its arguments; no secret is among them.
        health: ``http`` answers at ``url``; ``worker`` is known to the Prefect server at ``url``;
            ``process`` is all right while it runs.
        port: What it listens on, None for none.
        setting: The variable that moves the port.
        page: The address to show a person.
    """

    name: str
    command: tuple[str, ...]
    health: Health = "process"
    url: str = ""
    host: str = "127.0.0.1"
    port: int | None = None
    setting: str = ""
    page: str = ""
    stop_seconds: int = 10


@dataclass(frozen=True, slots=True)
class Wish:
    """What to leave out of an ``up``; see its ``--help``."""

    telegram: bool = True
    deploy: bool = True


def parts_of(settings: Settings, wish: Wish, *, commands: frozenset[str]) -> tuple[Part, ...]:
    """Everything that the settings ask for, in the order it is started.

    Args:
        commands: Names of the ``ouroboros`` commands there are.
    """
    parts = [] if has_own_api(settings) else [_prefect(settings)]
    if runs_twin(settings):
        parts.append(_twin(settings))
    parts.append(_worker(settings))
    if serves_dashboard(settings):
        parts.append(dashboard(settings))
    if wish.telegram and listens_to_telegram(settings) and "telegram" in commands:
        parts.append(Part("telegram", _ouroboros("telegram")))
    return tuple(parts)


def has_own_api(settings: Settings) -> bool:
    """Whether a Prefect server that somebody else runs is to be used."""
    given = settings.prefect_api_url
    return given is not None and str(given).rstrip("/") != _own_api(settings)


def api_of(settings: Settings) -> str:
    if has_own_api(settings):
        return str(settings.prefect_api_url).rstrip("/")
    return _own_api(settings)


def runs_twin(settings: Settings) -> bool:
    return not settings.has_kis_keys and settings.twin_url is None


def serves_dashboard(settings: Settings) -> bool:
    """Unless it was switched off; that nobody said anything means yes here."""
    return settings.dashboard_enabled or "dashboard_enabled" not in settings.model_fields_set


def listens_to_telegram(settings: Settings) -> bool:
    return (
        settings.telegram_bot_token is not None
        and settings.telegram_enabled
        and settings.telegram_commands_enabled
    )


def dashboard(settings: Settings) -> Part:
    """The dashboard; it sends nothing about its use to anybody."""
    host, port = settings.dashboard_host, settings.dashboard_port
    options = {
        "server.address": host,
        "server.port": port,
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
    }
    command = [sys.executable, "-m", "dashboards.serve"]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    page = f"http://{_reachable(host)}:{port}"
    return Part(
        "dashboard",
        tuple(command),
        "http",
        f"{page}/_stcore/health",
        host=host,
        port=port,
        setting="DASHBOARD_PORT",
        page=page,
    )


def environment_of(settings: Settings, home: Path) -> dict[str, str]:
    """The variables of every part: the settings as they are now, and one Prefect for all.

    What ``.env`` says is handed on, so that nothing changes under a part that is started again, and
    paths are made absolute, because flows run in the project's folder.

    Raises:
        ConfigError: there is another ``.env`` that flows would read.
    """
    environment = _from_file(settings) | dict(os.environ)
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, Path):
            environment[name.upper()] = str(value.resolve())
    if runs_twin(settings):
        environment["TWIN_URL"] = f"http://127.0.0.1:{settings.twin_port}"
    environment.pop("PREFECT_API_KEY", None)
    if settings.prefect_auth:
        environment |= dict.fromkeys(
            ("PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING"), settings.prefect_auth
        )
    if settings.prefect_secrets:
        # Read once, by whoever starts all this; no part asks the server again.
        environment |= secrets_of(settings) | {"PREFECT_SECRETS": "false"}
    usual = {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_LOGGING_COLORS": "false",
        "PREFECT_CLI_COLORS": "false",
    }
    return (
        usual
        | environment
        | {
            "OUROBOROS_HOME": str(home),
            "PREFECT_HOME": str(home / "prefect"),
            "PREFECT_API_URL": api_of(settings),
            "PREFECT_CLI_PROMPT": "false",
            "PYTHONUNBUFFERED": "1",
            "DO_NOT_TRACK": "1",
            MARK: str(home),
        }
    )


def write_parts(path: Path, parts: tuple[Part, ...]) -> None:
    path.write_text(json.dumps([asdict(part) for part in parts], indent=1))


def read_parts(path: Path) -> tuple[Part, ...]:
    """What was written last; nothing when there never was an ``up``."""
    try:
        rows = json.loads(path.read_text())
        return tuple(Part(**{**row, "command": tuple(row["command"])}) for row in rows)
    except (OSError, ValueError, TypeError, KeyError):
        return ()


def _from_file(settings: Settings) -> dict[str, str]:
    name = type(settings).model_config.get("env_file")
    if name is None:
        return {}
    file, other = Path(str(name)).absolute(), ROOT / str(name)
    if file != other and other.exists():
        raise ConfigError(f"{other}: the flows would read it too; type the command in {ROOT}")
    return {key.upper(): value for key, value in dotenv_values(file).items() if value}


def _own_api(settings: Settings) -> str:
    host = _reachable(settings.prefect_server_api_host)
    return f"http://{host}:{settings.prefect_server_api_port}/api"


def _reachable(host: str) -> str:
    """The name under which this machine reaches what listens on ``host``."""
    if host in ("0.0.0.0", "::"):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _ouroboros(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "flows.cli", *arguments)


def _prefect(settings: Settings) -> Part:
    host, port = settings.prefect_server_api_host, settings.prefect_server_api_port
    command = [sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app"]
    command += ["--host", host, "--port", str(port), "--log-level", "warning"]
    # Open pages and workers would keep it from ending otherwise.
    command += ["--timeout-graceful-shutdown", "3"]
    return Part(
        "prefect",
        tuple(command),
        "http",
        f"{_own_api(settings)}/health",
        host=host,
        port=port,
        setting="PREFECT_SERVER_API_PORT",
        page=_own_api(settings).removesuffix("/api"),
    )


def _twin(settings: Settings) -> Part:
    markets = ",".join(settings.enabled_markets)
    state = settings.ouroboros_home.resolve() / "twin" / f"{markets.replace(',', '-')}.state"
    port = settings.twin_port
    command = _ouroboros(
        *("twin", "serve", "--today", "--market", markets, "--port", str(port)),
        *("--state", str(state)),
    )
    return Part(
        "twin",
        command,
        "http",
        f"http://127.0.0.1:{port}/twin/state",
        port=port,
        setting="TWIN_PORT",
        page=f"http://127.0.0.1:{port}",
    )


def _worker(settings: Settings) -> Part:
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL]
    command += ["--type", "process", "--name", WORKER, "--prefetch-seconds", "30"]
    return Part(
        "worker",
        tuple(command),
        "worker",
        f"{api_of(settings)}/work_pools/{POOL}/workers/filter",
        stop_seconds=15,
    )
