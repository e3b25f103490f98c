"""What the pages of the dashboard that look at records read; each call is one short read.

``as_of`` (aware) shows what was known then; the present where it is None. All of it raises
``TradingError`` with one line for a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from pydantic import SecretStr

from trading_core import policies
from trading_core.adapters.kis.redaction import MASK, Redactor
from trading_core.adapters.log_files import log_names, tail
from trading_core.adapters.past_store import PastStore
from trading_core.clock import SystemClock
from trading_core.model.audit import DecisionFilter
from trading_core.model.market import MarketGroup
from trading_core.policies import budget_of, policy_of
from trading_core.ports import Store
from trading_core.settings import Settings
from trading_core.steps.board import costs, decisions, memory, operations, orders, why
from trading_core.wiring.mind import provider_of
from trading_core.wiring.reading import open_store, present_settings

Json = dict[str, Any]
_SHORTEST_SECRET = 4
_SECRET_WORDS = ("key", "secret", "token", "password", "auth", "urls")


def store_as_of(as_of: datetime | None, settings: Settings | None = None) -> Store:
    """The store of the settings, standing still at ``as_of``."""
    store = open_store(settings)
    return store if as_of is None else PastStore(store, as_of)


def read_sessions(market: str, as_of: datetime | None = None) -> list[date]:
    """Sessions that left a trace, newest first."""
    with store_as_of(as_of).read() as reader:
        return list(reader.traded_sessions(market))


def find_decisions(wanted: DecisionFilter, as_of: datetime | None = None) -> list[Json]:
    with store_as_of(as_of).read() as reader:
        return decisions.search(reader, wanted)


def decisions_for_a_file(
    wanted: DecisionFilter, most: int, as_of: datetime | None = None
) -> list[Json]:
    """The same decisions for a file, ``most`` of the newest."""
    return find_decisions(replace(wanted, limit=most), as_of)


def read_decision(decision_id: str, as_of: datetime | None = None) -> Json | None:
    """One decision with its funnel; None when there was none of that id."""
    settings = present_settings()
    return decisions.one(store_as_of(as_of, settings), decision_id, policy_of(settings))


def read_symbols(market: str, session: date, as_of: datetime | None = None) -> list[Json]:
    with store_as_of(as_of).read() as reader:
        return why.known_symbols(reader, market, session)


def read_looks(
    market: str, session: date, symbol: str, as_of: datetime | None = None
) -> list[Json]:
    with store_as_of(as_of).read() as reader:
        return why.looks(reader, market, session, symbol)


def read_why(
    market: str,
    session: date,
    symbol: str,
    at: datetime | None = None,
    as_of: datetime | None = None,
) -> Json | None:
    """The funnel of a symbol at its last tick, or the last one up to ``at``."""
    settings = present_settings()
    return why.funnel(
        store_as_of(as_of, settings),
        group=MarketGroup.parse(market),
        session=session,
        symbol=symbol,
        policy=policy_of(settings),
        at=at,
    )


def read_layers(as_of: datetime | None = None) -> list[Json]:
    with store_as_of(as_of).read() as reader:
        return memory.layers(reader)


def read_layer(layer: str, as_of: datetime | None = None) -> list[Json]:
    with store_as_of(as_of).read() as reader:
        return memory.entries(reader, layer)


def search_memory(words: str, as_of: datetime | None = None) -> list[Json]:
    with store_as_of(as_of).read() as reader:
        return memory.search(reader, words)


def memory_numbers(rows: Sequence[Json]) -> dict[str, list[tuple[str, float]]]:
    """What of the values of one key is a number, by name, oldest first."""
    return memory.numbers(rows)


def read_orders(market: str, session: date, as_of: datetime | None = None) -> Json:
    with store_as_of(as_of).read() as reader:
        return orders.day(reader, market, session)


def read_slippage(market: str, since: date, as_of: datetime | None = None) -> list[Json]:
    with store_as_of(as_of).read() as reader:
        return orders.slippage(reader, market, since)


def read_spending(days: int, as_of: datetime | None = None) -> Json:
    """Costs of the last ``days`` days before ``as_of``, or before now."""
    settings = present_settings()
    return costs.costs(
        store_as_of(as_of, settings),
        budget_of(settings),
        at=as_of or SystemClock().now(),
        days=days,
        groups=settings.enabled_markets,
        model=provider_of(settings),
        prices=policies.prices_of(settings),
    )


def read_operations(as_of: datetime | None = None) -> Json:
    settings = present_settings()
    at = as_of or SystemClock().now()
    with store_as_of(as_of, settings).read() as reader:
        return operations.operations(reader, settings.enabled_markets, at)


def read_settings() -> list[Json]:
    """Every setting by its variable's name; a secret says only whether it is set."""
    settings = present_settings()
    return [
        {
            "name": name.upper(),
            "value": _shown(name, getattr(settings, name)),
            "is_default": name not in settings.model_fields_set,
        }
        for name in sorted(type(settings).model_fields)
    ]


def read_log_names() -> list[str]:
    return log_names(present_settings().ouroboros_home / "logs")


def read_log(name: str, lines: int = 200) -> list[str]:
    """The newest lines of one log, oldest first, with every secret masked."""
    settings = present_settings()
    return tail(settings.ouroboros_home / "logs", name, lines, _redactor(settings).clean)


def prefect_address() -> tuple[str, str | None]:
    """Where the Prefect API is, and ``user:password`` where it wants them."""
    settings = present_settings()
    own = f"http://{settings.prefect_server_api_host}:{settings.prefect_server_api_port}/api"
    return str(settings.prefect_api_url or own), settings.prefect_auth or None


def _shown(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr) or any(word in name.split("_") for word in _SECRET_WORDS):
        return MASK
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g} s"
    if isinstance(value, tuple | list | set | frozenset):
        return ", ".join(str(item) for item in value)
    text = str(value)
    user, at, rest = text.partition("@")
    return f"{user.partition('://')[0]}://{MASK}@{rest}" if at and "://" in user else text


def _redactor(settings: Settings) -> Redactor:
    redactor = Redactor()
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            text = value.get_secret_value()
            # An account number is also written without what follows its dash.
            parts = {text, text.partition("-")[0], text.partition(":")[2]}
            redactor.add(*(part for part in parts if len(part) >= _SHORTEST_SECRET))
    return redactor
