"""``ouroboros shadow``: what every planner earned, or would have earned, side by side."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.console import Json, money, out, screen
from flows.options import JsonOption, print_answer


def shadow(
    market: Annotated[str | None, typer.Option("--market", "-m", help="One market only.")] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=3660, help="Today and before.")] = 30,
    as_json: JsonOption = False,
) -> None:
    """What shadow planners would have earned after costs beside the real one; they never trade."""
    from trading_core.wiring.shadows import read_shadows

    print_answer(read_shadows(market, days), as_json, _shown)


@screen
def _shown(answer: Json) -> None:
    console = out()
    for entry in answer["configured"]:
        if entry["problem"]:
            console.print(f"{entry['planner']}: {entry['problem']}")
    if not answer["configured"]:
        console.print("no shadow planner is configured; SHADOW_PLANNERS=rules adds one")
    for market in answer["markets"]:
        _market(market)
    if not answer["markets"]:
        console.print(f"nothing was planned in shadow in the last {answer['days']} days")


def _market(market: Json) -> None:
    from rich.table import Table

    code = market["currency"]
    span = market["first"]
    if market["last"] != market["first"]:
        span += f" to {market['last']}"
    console = out()
    console.print(f"[bold]{market['market']}[/] {span}")
    table = Table(box=None, pad_edge=False)
    table.add_column("planner", overflow="fold")
    names = ("sessions", f"net {code}", "trades", "won", "lost", "win rate", "match", "open")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for name, row in market["planners"].items():
        table.add_row(
            name,
            f"{row['sessions']}",
            money(row["net"], signed=True),
            *(f"{row[part]}" for part in ("trades", "won", "lost")),
            _percent(row["win_rate_pct"]),
            _percent(row["match_rate_pct"]),
            f"{row['positions']}",
        )
    console.print(table)
    for name, row in market["planners"].items():
        if row["cost_usd"] not in (None, "0"):
            console.print(f"{name}: its model cost {row['cost_usd']} USD")
        if row["problem"]:
            console.print(f"{name}: {row['problem']}")


def _percent(value: float | None) -> str:
    return "no data" if value is None else f"{value:.1f} %"
