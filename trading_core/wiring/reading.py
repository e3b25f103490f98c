"""Settings and store without a broker, for whoever only reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from trading_core import policies
from trading_core.clock import SystemClock
from trading_core.errors import ConfigError
from trading_core.policies import budget_of
from trading_core.settings import Settings, load_settings
from trading_core.wiring.mind import provider_of

if TYPE_CHECKING:
    from trading_core.adapters.duck.store import DuckStore


def configure(**overrides: Any) -> Settings:
    """The settings of this process with some of them set by hand. Raises ``ConfigError``."""
    return load_settings(**overrides)


def home_folder() -> Path:
    """``OUROBOROS_HOME``, made when missing."""
    home = load_settings().ouroboros_home
    make_home(home)
    return home


def open_store(settings: Settings | None = None) -> DuckStore:
    """The store alone, for reading: no broker, no clock."""
    from trading_core.adapters.duck.store import DuckStore

    settings = settings or load_settings()
    make_home(settings.ouroboros_home)
    return DuckStore(settings.store_path)


def read_status() -> dict[str, Any]:
    """The state and newest session of every enabled market and all standing halts, as JSON."""
    from trading_core.steps.summary import overview

    settings = load_settings()
    answer = overview(open_store(settings), settings.enabled_markets)
    return {"mode": settings.mode, "store": str(settings.store_path), **answer}


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
