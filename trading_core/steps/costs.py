"""What the calls of language models cost, by day, and what the limits leave."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from trading_core.model.journal import LlmCall
from trading_core.model.language import LOST, OK, REUSED, UNDER_WAY
from trading_core.model.limits import LlmBudget
from trading_core.ports import LanguageModel, Store
from trading_core.rules.llm_budget import ZONE, budget_day, day_and_month, ledger, start_of
from trading_core.rules.llm_prices import TokenPrice, call_cost
from trading_core.steps.summary import plain

Json = dict[str, Any]
_TOKENS = ("input_tokens", "output_tokens", "cached_tokens", "thinking_tokens")


def cost_report(
    store: Store,
    budget: LlmBudget,
    *,
    at: datetime,
    days: int,
    model: LanguageModel | None = None,
    prices: Sequence[TokenPrice] = (),
) -> Json:
    """The ledger of the last ``days`` days, today included, in plain JSON values.

    A row is a day, a model and a purpose. ``calls`` are those that count; ``failed`` and ``lost``
    are among them, ``reused`` replies are not. Money is USD as decimal strings; what a call under
    way or a lost one may have cost is counted in full. What has no limit has None left of it.
    ``price_known`` says whether the ``model`` that is asked now is in the price list.
    """
    day, month = day_and_month(at)
    since = start_of(budget_day(at) - timedelta(days=days - 1))
    with store.read() as db:
        calls = ledger(db.llm_reservations(since=since), db.llm_calls(since=since), at=at)
        today, this_month = db.llm_spend(since=day), db.llm_spend(since=month)
    groups: dict[tuple[str, ...], list[LlmCall]] = {}
    for call in calls:
        name = (budget_day(call.at).isoformat(), call.provider, call.model, call.purpose)
        groups.setdefault(name, []).append(call)
    rows = [
        dict(zip(("day", "provider", "model", "purpose"), name, strict=True)) | _sums(group)
        for name, group in sorted(groups.items(), reverse=True)
    ]
    limits = {
        "calls_per_day": _limit(budget.calls_per_day, today.calls),
        "usd_per_day": _limit(budget.usd_per_day, today.usd),
        "usd_per_month": _limit(budget.usd_per_month, this_month.usd),
    }
    asked = model.model if model else ""
    price = call_cost(prices, asked, budget_day(at), input_tokens=0, output_tokens=0)
    now = {"model": asked or None, "price_known": price is not None}
    report = now | {"zone": ZONE.key, "days": days, "rows": rows, "total": _sums(calls)}
    return {**report, "limits": plain(limits)}


def _sums(calls: Sequence[LlmCall]) -> Json:
    made = [call for call in calls if call.outcome != REUSED]
    sums: Json = {
        "calls": len(made),
        "reused": len(calls) - len(made),
        "failed": sum(call.outcome not in (OK, LOST, UNDER_WAY) for call in made),
        "lost": sum(call.outcome == LOST for call in made),
    }
    sums |= {name: sum(_each(made, name)) for name in _TOKENS}
    usd: Decimal = sum((call.cost_usd for call in made), Decimal(0))
    return sums | {"usd": plain(usd)}


def _each(calls: Iterable[LlmCall], name: str) -> Iterable[int]:
    return (getattr(call, name) for call in calls)


def _limit(most: int | Decimal, used: int | Decimal) -> Json:
    return {"limit": most or None, "used": used, "left": max(most - used, 0) if most else None}
