"""What trading and thinking cost: fees and taxes of fills, the ledger of model calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from trading_core.model.limits import LlmBudget
from trading_core.model.market import MarketGroup
from trading_core.ports import LanguageModel, Store
from trading_core.rules.llm_prices import TokenPrice
from trading_core.steps.costs import cost_report

Json = dict[str, Any]
_CALLS = 300


def costs(
    store: Store,
    budget: LlmBudget,
    *,
    at: datetime,
    days: int,
    groups: Sequence[MarketGroup] = (),
    model: LanguageModel | None = None,
    prices: Sequence[TokenPrice] = (),
) -> Json:
    """The last ``days`` days: ``trading`` by session, market and currency (Decimals of that
    currency, estimates until the broker's statement), ``llm`` as ``ouroboros costs --json`` says
    it, and the newest ``calls`` one by one.

    Days of trading are counted from the newest session of ``groups`` where that is older than
    ``at``: models are paid by the calendar, and a session may be played long after its date.
    """
    begin = at - timedelta(days=days)
    with store.read() as reader:
        newest = [day for group in groups if (day := reader.newest_session(group))]
        last = min(max(newest, default=at.date()), at.date())
        trading = reader.trading_costs(since=last - timedelta(days=days - 1))
        calls = reader.llm_calls(since=begin)[-_CALLS:]
    return {
        "trading": [asdict(row) | {"currency": row.currency.value} for row in trading],
        "llm": cost_report(store, budget, at=at, days=days, model=model, prices=prices),
        "calls": [
            {
                "at": call.at,
                "market": call.market,
                "session": call.session,
                "purpose": call.purpose,
                "model": call.model,
                "outcome": call.outcome,
                "input_tokens": call.input_tokens,
                "cached_tokens": call.cached_tokens,
                "output_tokens": call.output_tokens,
                "thinking_tokens": call.thinking_tokens,
                "usd": call.cost_usd,
                "seconds": call.latency_ms / 1000,
                "detail": call.detail,
            }
            for call in reversed(calls)
        ],
    }
