"""Settings and store without a broker, for whoever only reads."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trading_core import policies
from trading_core.clock import SystemClock
from trading_core.errors import ConfigError
from trading_core.policies import budget_of
from trading_core.settings import Settings, load_settings, secret_names
from trading_core.wiring.mind import provider_of

if TYPE_CHECKING:
    from trading_core.adapters.duck.store import DuckStore


def configure(**overrides: Any) -> Settings:
    """The settings of this process with some of them set by hand. Raises ``ConfigError``."""
    return load_settings(**overrides)


def present_settings() -> Settings:
    """The settings, read again only after the environment or ``.env`` has changed: for those who
    ask many times a minute. Raises ``ConfigError``."""
    file = Settings.model_config.get("env_file")
    try:
        written = Path(str(file)).stat().st_mtime_ns if file else 0
    except OSError:
        written = 0
    return _settings_of(frozenset(os.environ.items()), Path.cwd(), written)


@lru_cache(maxsize=4)
def _settings_of(environment: frozenset[tuple[str, str]], folder: Path, written: int) -> Settings:
    return load_settings()


def secret_settings() -> frozenset[str]:
    """Names, in lower case, of the settings that may be kept as secrets elsewhere."""
    return secret_names(Settings)


def secrets_of(settings: Settings) -> dict[str, str]:
    """The secrets that are set, by the names of their variables."""
    found = {name: getattr(settings, name) for name in secret_settings()}
    return {name.upper(): value.get_secret_value() for name, value in found.items() if value}


def home_folder() -> Path:
    """``OUROBOROS_HOME``, made when missing."""
    home = load_settings().ouroboros_home
    make_home(home)
    return home


def open_store(settings: Settings | None = None) -> DuckStore:
    """The store alone, for reading: no broker, no clock."""
    from trading_core.adapters.duck.store import DuckStore

    settings = settings or present_settings()
    make_home(settings.ouroboros_home)
    return DuckStore(settings.store_path)


def read_status() -> dict[str, Any]:
    """The state and newest session of every enabled market and all standing halts, as JSON."""
    from trading_core.steps.summary import overview
    from trading_core.wiring.safekeeping import read_backups

    settings = load_settings()
    answer = overview(open_store(settings), settings.enabled_markets)
    backups = {key: value for key, value in read_backups().items() if key != "backups"}
    return {
        "mode": settings.mode,
        "store": str(settings.store_path),
        "backups": backups,
        **answer,
    }


def read_costs(days: int) -> dict[str, Any]:
    """The ledger of the model calls of the last days, and what is left, as JSON."""
    from trading_core.steps.costs import cost_report

    settings, at = load_settings(), SystemClock().now()
    store, model = open_store(settings), provider_of(settings)
    budget, prices = budget_of(settings), policies.prices_of(settings)
    return cost_report(store, budget, at=at, days=days, model=model, prices=prices)


def make_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"OUROBOROS_HOME={home}: cannot be used: {error.strerror}") from None
