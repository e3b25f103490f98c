"""Why a symbol was or was not traded at a moment, and how close it came over the session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from trading_core.errors import ConfigError
from trading_core.model.limits import Policy
from trading_core.model.market import MarketGroup
from trading_core.ports import Store, StoreReader
from trading_core.steps.board.orders import order_row
from trading_core.steps.summary import plain
from trading_core.steps.why import why

Json = dict[str, Any]


def known_symbols(reader: StoreReader, market: str, session: date) -> list[Json]:
    """Everything of a session that there is something to say about, what was decided on first."""
    names: dict[str, str] = {}
    decided: set[str] = set()
    for decision in reader.decisions(market, session):
        names[decision.instrument.symbol] = decision.instrument.name
        decided.add(decision.instrument.symbol)
    for record in reader.orders(market, session):
        names.setdefault(record.intent.instrument.symbol, record.intent.instrument.name)
        decided.add(record.intent.instrument.symbol)
    playbook = reader.playbook(market, session)
    planned = set(playbook.symbols) if playbook else set()
    seen = set(reader.last_prices(market, session))
    screened = {row.symbol for row in reader.screened(market, session)}
    order = [*sorted(decided), *sorted(planned), *sorted(seen), *sorted(screened)]
    return [
        {
            "symbol": symbol,
            "name": names.get(symbol, ""),
            "decided": symbol in decided,
            "planned": symbol in planned,
            "observed": symbol in seen,
        }
        for symbol in dict.fromkeys(order)
    ]


def looks(reader: StoreReader, market: str, session: date, symbol: str) -> list[Json]:
    """Every tick of a symbol, oldest first: its price and the nearest miss by scenario.

    ``distance`` is relative to the threshold, None where a scenario matched or nothing was near.
    """
    near: dict[datetime, Json] = {}
    for match in reader.matches(market, session, symbol):
        known = near.get(match.at)
        row = {
            "scenario": match.scenario_id,
            "kind": match.kind,
            "action": match.action,
            "field": match.field,
            "op": match.op,
            "threshold": match.threshold,
            "value": match.value,
            "distance": match.distance if match.kind == "near" else 0.0,
        }
        if known is None or _closeness(row) < _closeness(known):
            near[match.at] = row
    return [
        {
            "at": seen.at,
            "price": seen.values.get("price"),
            **(near.get(seen.at) or {"scenario": "", "kind": "", "distance": None}),
        }
        for seen in reader.observations(market, session, symbol)
    ]


def _closeness(row: Json) -> tuple[bool, float]:
    distance = row["distance"]
    return distance is None, distance if distance is not None else 0.0


def funnel(
    store: Store,
    *,
    group: MarketGroup,
    session: date,
    symbol: str,
    policy: Policy,
    at: datetime | None = None,
) -> Json | None:
    """The funnel at the last tick, or at the last one up to ``at``; None when nothing is known."""
    try:
        found = why(store, group=group, session=session, symbol=symbol, policy=policy, at=at)
    except ConfigError:
        return None
    return {
        "market": found.market,
        "symbol": found.symbol,
        "session": found.session,
        "at": found.at,
        "conclusion": found.conclusion,
        "stages": [asdict(stage) for stage in found.stages],
        "values": dict(found.values),
        "scenarios": [
            {
                "scenario": look.scenario_id,
                "action": look.action,
                "confidence": look.confidence,
                "matched": look.matched,
                "distance": look.distance,
                "conditions": [plain(asdict(c)) | {"needed": c.needed} for c in look.conditions],
            }
            for look in found.scenarios
        ],
        "matches": [plain(asdict(match)) for match in found.matches],
        "orders": [order_row(record, _of(found.fills, record)) for record in found.orders],
    }


def _of(fills: Sequence[Any], record: Any) -> list[Any]:
    return [fill for fill in fills if fill.intent_id == record.intent.intent_id]
