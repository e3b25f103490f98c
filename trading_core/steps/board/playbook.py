"""One playbook: what it says, what was taken out of it, how it met the market, what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from trading_core.model.board import MatchTotal
from trading_core.model.journal import ObservationRow
from trading_core.model.language import REUSED
from trading_core.model.limits import ExitPolicy
from trading_core.model.market import MarketGroup
from trading_core.model.order import Fill, Side
from trading_core.model.playbook import GlobalRule, Scenario, StockPlan, scenario_id
from trading_core.model.portfolio import Protection
from trading_core.ports import StoreReader
from trading_core.rules.funnel import look_at
from trading_core.rules.markets import currency_of
from trading_core.rules.positions import fold_positions
from trading_core.steps.board.today import levels

Json = dict[str, Any]


def playbook(reader: StoreReader, group: MarketGroup, session: date) -> Json | None:
    """The newest playbook of a session; None without one.

    ``stocks`` tell of each scenario what became of it (``matched``, ``near`` or ``quiet``) and of
    each condition the value that was seen last, with its distance to the threshold.
    """
    versions = reader.playbook_versions(group, session)
    if not versions:
        return None
    book = versions[0]
    seen = {row.symbol: row for row in reader.last_observations(group, session)}
    totals: dict[str, dict[str, MatchTotal]] = {}
    for total in reader.match_totals(group, session):
        totals.setdefault(total.scenario_id, {})[total.kind] = total
    names = reader.instrument_names(group)
    calls = [call for call in reader.llm_calls(group, session) if call.outcome != REUSED]
    return {
        "market": group.value,
        "session": session,
        "currency": currency_of(group).value,
        "source": book.source.value,
        "model": book.model,
        "outlook": book.outlook.value,
        "generated_at": book.generated_at,
        "playbook_id": book.playbook_id,
        "fallback_reason": book.fallback_reason,
        "refreshed_for": book.refreshed_for.value if book.refreshed_for else "",
        "tokens": book.token_count,
        "calls": len(calls),
        "failed_calls": sum(call.outcome != "ok" for call in calls),
        "cost_usd": sum((call.cost_usd for call in calls), Decimal(0)),
        "earlier": [
            {"at": older.generated_at, "source": older.source.value} for older in versions[1:]
        ],
        "rules": [_rule(rule, n, totals) for n, rule in enumerate(book.global_rules)],
        "stocks": [_stock(plan, seen.get(plan.symbol), totals, names) for plan in book.stocks],
        "notes": [note.model_dump() for note in book.notes],
        "seen_at": max((row.at for row in seen.values()), default=None),
    }


def _rule(rule: GlobalRule, number: int, totals: Mapping[str, Mapping[str, MatchTotal]]) -> Json:
    met = totals.get(f"global#{number}", {}).get("global")
    return {
        "field": rule.condition.field,
        "op": rule.condition.op,
        "threshold": rule.condition.value,
        "action": rule.action.value,
        "rationale": rule.rationale,
        "count": met.count if met else 0,
        "last_at": met.last_at if met else None,
    }


def _stock(
    plan: StockPlan,
    seen: ObservationRow | None,
    totals: Mapping[str, Mapping[str, MatchTotal]],
    names: Mapping[str, str],
) -> Json:
    values = seen.values if seen else {}
    return {
        "symbol": plan.symbol,
        "name": names.get(plan.symbol, ""),
        "seen_at": seen.at if seen else None,
        "price": values.get("price"),
        "change_pct": values.get("change_pct"),
        "scenarios": [
            _scenario(scenario, scenario_id(plan.symbol, n), values, totals)
            for n, scenario in enumerate(plan.scenarios)
        ],
    }


def _scenario(
    scenario: Scenario,
    name: str,
    values: Mapping[str, float | None],
    totals: Mapping[str, Mapping[str, MatchTotal]],
) -> Json:
    theirs = totals.get(name, {})
    first, also, near = theirs.get("first"), theirs.get("also"), theirs.get("near")
    looks = [look_at(condition, values) for condition in scenario.conditions]
    return {
        "scenario_id": name,
        "action": scenario.action.value,
        "confidence": scenario.confidence,
        "allocation_pct": scenario.allocation_pct,
        "stop_loss_pct": scenario.stop_loss_pct,
        "take_profit_pct": scenario.take_profit_pct,
        "rationale": scenario.rationale,
        "fate": "matched" if first else "behind" if also else "near" if near else "quiet",
        "matched": first.count if first else 0,
        "matched_at": first.first_at if first else None,
        "nearest": near.distance if near else None,
        "holds_now": bool(values) and all(look.met for look in looks),
        "conditions": [
            {
                "field": look.field,
                "op": look.op,
                "threshold": look.threshold,
                "value": look.value,
                "met": look.met if values else None,
                "distance": look.distance,
            }
            for look in looks
        ],
    }


# --- The price of one symbol -------------------------------------------------------------------


def price_path(
    reader: StoreReader, group: MarketGroup, session: date, symbol: str, policy: ExitPolicy
) -> Json | None:
    """The prices of a symbol that were seen in a session, and what was done and planned at them;
    None of a symbol that was not looked at."""
    points = reader.price_path(group, session, symbol)
    if not points:
        return None
    fills = [fill for fill in reader.fills(group, session) if fill.instrument.symbol == symbol]
    book = reader.playbook(group, session)
    scenarios = [s for p in book.stocks if p.symbol == symbol for s in p.scenarios] if book else []
    stop, target = _levels(reader, group, session, symbol, policy)
    return {
        "symbol": symbol,
        "currency": currency_of(group).value,
        "points": [(point.at, point.price) for point in points],
        "fills": [_fill(fill) for fill in fills],
        "stops": _stops(reader.guard_history(group, session, symbol), fills),
        "stop": stop,
        "target": target,
        "thresholds": [
            {
                "scenario_id": scenario_id(symbol, number),
                "action": scenario.action.value,
                "op": condition.op,
                "price": condition.value,
            }
            for number, scenario in enumerate(scenarios)
            for condition in scenario.conditions
            if condition.field == "price"
        ],
    }


def _levels(
    reader: StoreReader, group: MarketGroup, session: date, symbol: str, policy: ExitPolicy
) -> tuple[Decimal | None, Decimal | None]:
    """Stop and target of the position that is open now; None of one that is not."""
    held = reader.trade_history(group, [symbol])()
    lines = fold_positions(held.fills, held.lots, held.splits).open_positions
    line = next(iter(lines), None)
    if line is None:
        return None, None
    guard = reader.protections(group, [symbol]).get(symbol)
    return levels(line, guard, session, policy)


def _stops(guards: Sequence[Protection], fills: Sequence[Fill]) -> list[tuple[Any, Decimal]]:
    """The hard stop through the session, against what was paid in it; it moves when more is
    bought."""
    found: list[tuple[Any, Decimal]] = []
    for guard in guards:
        bought = [f for f in fills if f.side is Side.BUY and f.filled_at <= guard.updated_at]
        shares = sum(fill.quantity for fill in bought)
        if not shares:
            continue
        average = sum((fill.amount for fill in bought), Decimal(0)) / shares
        level = average * (1 + Decimal(str(guard.stop_loss_pct)) / 100)
        found.append((guard.updated_at, level))
    return found


def _fill(fill: Fill) -> Json:
    return {
        "at": fill.filled_at,
        "side": fill.side.value,
        "quantity": fill.quantity,
        "price": fill.price,
    }
