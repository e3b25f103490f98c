"""What ``ouroboros sources`` answers and shows."""

from __future__ import annotations

import asyncio
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from trading_core.clock import SystemClock
from trading_core.policies import source_names
from trading_core.rules.calendar import local_date
from trading_core.steps.sources import collect, listing
from trading_core.wiring import configure, open_runtime, open_store

Json = dict[str, Any]
MINUTES_SHOWN = 600


def answer(*, ask: bool) -> Json:
    """Each configured source and how it went; with ``ask`` all of them are asked first.

    Raises:
        ConfigError: a source is not known, what it needs is not set, or there is no broker to ask.
    """
    settings = configure()
    names = source_names(settings)
    reasons = asyncio.run(_ask()) if ask and names else []
    rows = listing(open_store(settings), names, SystemClock().now())
    return {"sources": rows, "asked": ask, "reasons": reasons}


async def _ask() -> list[str]:
    """Ask about every enabled market as a whole, now."""
    found: list[str] = []
    async with open_runtime() as runtime:
        at = runtime.clock.now()
        for group in runtime.groups:
            told = await collect(
                runtime.store,
                runtime.sources,
                group=group,
                session=local_date(group, at),
                at=at,
            )
            found += [f"{group.value}: {reason}" for reason in told.reasons]
    return found


def show(told: Json) -> None:
    """A line for each source, and what went wrong just now."""
    console = Console(highlight=False)
    if not told["sources"]:
        console.print(
            "no outside source is configured: plans are made of the broker's data alone. "
            "See NEWS_API_PROVIDER and the lines below it in .env.example"
        )
        return
    table = Table("kind", "source", "last success", "records", "last failure", box=None)
    for row in told["sources"]:
        table.add_row(*(escape(text) for text in _cells(row)))
    console.print(table)
    for reason in told["reasons"]:
        console.print(escape(reason), style="yellow")
    if not told["asked"]:
        console.print("nothing was asked now; to ask: ouroboros sources --ask", style="dim")


def _cells(row: Json) -> tuple[str, ...]:
    good = "never"
    if row["last_success_at"] is not None:
        good = f"{row['last_success_at']:%Y-%m-%d %H:%M} UTC ({row['last_success_market']})"
        if 0 <= row["age_minutes"] < MINUTES_SHOWN:
            good += f", {row['age_minutes']} min ago"
    failed = "none"
    if row["problem"]:
        failed = f"{row['last_failure_at']:%Y-%m-%d %H:%M} UTC: {row['problem']}"
    count = "-" if row["count"] is None else str(row["count"])
    return row["kind"], row["source"], good, count, failed
