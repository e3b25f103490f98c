"""``ouroboros plan MARKET --show-prompt``: what a model would be asked, and what it would cost."""

from __future__ import annotations

from rich.table import Table

from flows.console import Json, out, screen
from trading_core.errors import NotASession
from trading_core.model.market import MarketGroup


async def read_prompt(market: str) -> Json:
    """The prompt of today's session of a market. Raises ``NotASession`` when there is none."""
    from trading_core.rules.calendar import local_date, session_on
    from trading_core.steps.preview import preview_prompt
    from trading_core.wiring import open_runtime

    group = MarketGroup.parse(market)
    async with open_runtime() as runtime:
        at = runtime.clock.now()
        today = local_date(group, at)
        if session_on(group, today) is None:
            raise NotASession(f"{group} has no session on {today}")
        return await preview_prompt(
            runtime.store,
            runtime.market_data,
            runtime.broker,
            group=group,
            session=today,
            at=at,
            policy=runtime.policy,
            universe=runtime.universe,
            sources=runtime.sources,
        )


@screen
def prompt(answer: Json) -> None:
    """The prompt as it is, then its sections with their tokens."""
    console = out()
    console.print(answer["prompt"], highlight=False, soft_wrap=True)
    table = Table(title=f"{answer['market']} {answer['session']}, estimated tokens", box=None)
    for name in ("section", "tokens", "lines", "cut"):
        table.add_column(name, justify="left" if name == "section" else "right")
    for row in answer["sections"]:
        table.add_row(row["title"], f"{row['tokens']}", f"{row['lines']}", f"{row['cut']}")
    budget = f" of {answer['budget']}" if answer["budget"] else ""
    table.add_row("together", f"{answer['tokens']}{budget}", "", "")
    console.print(table)
    console.print(f"Market condition: {answer['condition']}")
    for line in answer["memory"]:
        console.print(f"Memory {line}", highlight=False)
    if not answer["would_ask"]:
        console.print("There are no candidates, so no model would be asked.")
