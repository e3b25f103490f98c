"""How the funnel of a symbol and the log of decisions look in a terminal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table

from flows.console import Json, money, out, screen
from trading_core.model.market import MarketGroup
from trading_core.rules.markets import zone_of

_PASSED = {True: "[green]yes[/]", False: "[red]no[/]", None: "[dim]-[/]"}
_ID_SHOWN = 8


def _clock_of(market: str) -> Callable[[str], str]:
    zone = ZoneInfo(zone_of(MarketGroup.parse(market)))
    return lambda text: f"{datetime.fromisoformat(text).astimezone(zone):%H:%M}"


@screen
def why(answer: Json) -> None:
    """The funnel, from the scan to the fill; times of the exchange."""
    console, clock = out(), _clock_of(answer["market"])
    when = f" at {clock(answer['at'])}" if answer["at"] else ""
    console.print(f"[bold]{answer['symbol']} on {answer['market']} {answer['session']}{when}[/]")
    table = Table(show_header=False, box=None, pad_edge=False)
    for _ in range(3):
        table.add_column(overflow="fold")
    for stage in answer["stages"]:
        table.add_row(stage["name"], _PASSED[stage["passed"]], stage["text"])
    console.print(table)
    if answer["scenarios"]:
        console.print()
        _scenarios(console, answer["scenarios"])
    console.print(f"\n[bold]{answer['conclusion']}[/]", soft_wrap=True)


def _scenarios(console: Console, scenarios: list[Json]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("scenario", "condition", "value", "", "off by"):
        table.add_column(name, justify="right" if name in ("value", "off by") else "left")
    for look in scenarios:
        label = f"{look['scenario_id']} {look['action']} {look['confidence']}"
        for condition in look["conditions"]:
            value, distance = condition["value"], condition["distance"]
            table.add_row(
                label,
                f"{condition['field']} {condition['op']} {condition['threshold']:g}",
                "no data" if value is None else f"{value:,.6g}",
                _PASSED[condition["met"]],
                "" if distance is None else f"{distance:.1%}",
            )
            label = ""
    console.print(table)


@screen
def decisions(answer: Json) -> None:
    """One line per decision, newest first, and its remark below it."""
    console = out()
    if not answer["decisions"]:
        console.print("no decision fits")
        return
    for logged in answer["decisions"]:
        _decision(console, logged)
    if len(answer["decisions"]) == answer["limit"]:
        console.print(f"the newest {answer['limit']}; --limit shows more", style="dim")


@screen
def reviewed(answer: Json) -> None:
    """The decision with its new remark."""
    _decision(out(), answer["reviewed"])


def _decision(console: Console, logged: Json) -> None:
    made, outcome, review = logged["decision"], logged["outcome"], logged["review"]
    result = ""
    when = _clock_of(made["market"])(made["at"])
    if outcome is not None:
        result = f"; made {money(outcome['outcome_pnl'], signed=True)}"
    console.print(
        f"{made['decision_id'][:_ID_SHOWN]}  {made['session']} {when}"
        f"  {made['action']:<4} {made['instrument']['symbol']} confidence {made['confidence']} "
        f"({made['scenario_id']}): {made['rationale']}{result}",
        soft_wrap=True,
    )
    if review is not None:
        by = f" ({review['by']})" if review["by"] else ""
        console.print(f"          reviewed{by}: {review['note']}", soft_wrap=True, style="dim")
