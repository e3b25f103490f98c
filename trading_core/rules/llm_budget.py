"""How many calls of language models a day may have, and what they may cost.

Days and months are those of the Pacific coast of the United States, because Google's daily quotas
begin anew at midnight there (ai.google.dev/gemini-api/docs/rate-limits) and no exchange of ours is
open at that hour.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from trading_core.errors import BudgetExhausted
from trading_core.model.journal import LlmCall
from trading_core.model.language import LOST, OK, UNDER_WAY, LlmReservation, LlmSpend
from trading_core.model.limits import LlmBudget

ZONE = ZoneInfo("America/Los_Angeles")


def budget_day(at: datetime) -> date:
    """The day a moment is billed to."""
    return at.astimezone(ZONE).date()


def start_of(day: date) -> datetime:
    """Its first moment, aware UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=ZONE).astimezone(UTC)


def day_and_month(at: datetime) -> tuple[datetime, datetime]:
    """When the day and the month of a moment began, aware UTC."""
    day = budget_day(at)
    return start_of(day), start_of(day.replace(day=1))


def require_room(
    budget: LlmBudget,
    *,
    today: LlmSpend,
    month: LlmSpend,
    most_usd: Decimal | None,
    at: datetime,
) -> None:
    """Whether one more call fits, counted at the most it may cost; with no known price it is
    bound by the number of calls alone.

    Raises:
        BudgetExhausted: it does not; the message names the limit and when there is room again.
    """
    tomorrow = start_of(budget_day(at) + timedelta(days=1))
    again = f"there is room again from {tomorrow:%Y-%m-%d %H:%M} UTC"
    if budget.calls_per_day and today.calls >= budget.calls_per_day:
        raise BudgetExhausted(
            f"{today.calls} of LLM_CALLS_PER_DAY={budget.calls_per_day} calls are made; {again}"
        )
    if most_usd is None:
        return
    for name, cap, spent, when in (
        ("LLM_USD_PER_DAY", budget.usd_per_day, today.usd, again),
        ("LLM_USD_PER_MONTH", budget.usd_per_month, month.usd, "raise it, or wait for the next"),
    ):
        if cap and spent + most_usd > cap:
            raise BudgetExhausted(
                f"{spent:.2f} of {name}={cap} are spent and this call may cost {most_usd:.2f}; "
                f"{when}"
            )


def reusable(
    calls: Iterable[LlmCall], *, provider: str, model: str, prompt_id: str
) -> LlmCall | None:
    """The newest good call of the same model with the same prompt that left a reply."""
    found = [
        call
        for call in calls
        if (call.provider, call.model, call.prompt_id) == (provider, model, prompt_id)
        and call.outcome == OK
        and call.reply_id
    ]
    return max(found, key=lambda call: call.at, default=None)


def ledger(
    reservations: Iterable[LlmReservation], calls: Collection[LlmCall], *, at: datetime
) -> list[LlmCall]:
    """Every call, oldest first; those without an outcome are under way, or lost.

    A lost one carries the most it may have cost, for nobody knows whether it was billed.
    """
    known = {call.call_id for call in calls}
    without = [_without_outcome(r, at) for r in reservations if r.call_id not in known]
    return sorted([*calls, *without], key=lambda call: (call.at, call.call_id))


def _without_outcome(reserved: LlmReservation, at: datetime) -> LlmCall:
    return LlmCall(
        call_id=reserved.call_id,
        at=reserved.at,
        market=reserved.market,
        session=reserved.session,
        model=reserved.model,
        purpose=reserved.purpose,
        outcome=LOST if at >= reserved.until else UNDER_WAY,
        input_tokens=0,
        output_tokens=0,
        cost_usd=reserved.most_usd or Decimal(0),
        latency_ms=0,
        prompt_hash="",
        detail="the process ended before the reply" if at >= reserved.until else "",
        provider=reserved.provider,
        prompt_id=reserved.prompt_id,
    )
