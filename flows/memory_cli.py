"""``ouroboros memory``: what the seven layers hold, and computing them anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from flows.console import Json, out, screen
from flows.options import JsonOption, print_answer


def memory(
    layer: Annotated[
        str | None, typer.Argument(help="L1 to L7; what the layers are when left out.")
    ] = None,
    timeframe: Annotated[
        str | None,
        typer.Option(
            "--timeframe", help="2026-11-20, 2026-W47, 2026-11 or all; the newest when left out."
        ),
    ] = None,
    market: Annotated[str | None, typer.Option("--market", "-m", help="One market only.")] = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Compute all of it anew from what was traded.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """What the system remembers: ticks, sessions, days, weeks, months, reviews, the long run."""
    if rebuild:
        print_answer(_rebuild(market), as_json, _rebuilt)
        return
    answer = _entries(layer, timeframe, market) if layer else _layers(market)
    print_answer(answer, as_json, _remembered if layer else _overview)


def _rebuild(market: str | None) -> Json:
    from trading_core.clock import SystemClock
    from trading_core.model.market import MarketGroup
    from trading_core.steps.memory import remember
    from trading_core.wiring import configure, open_store

    settings = configure()
    groups = [MarketGroup.parse(market)] if market else list(settings.enabled_markets)
    done = remember(open_store(settings), groups, at=SystemClock().now(), rebuild=True)
    return {
        "written": done.written,
        "forgotten": done.forgotten,
        "sessions": {group.value: len(days) for group, days in done.sessions.items()},
        "failed": {group.value: why for group, why in done.failed.items()},
        "line": done.line(),
    }


def _layers(market: str | None) -> Json:
    from dataclasses import asdict

    from trading_core.steps.summary import plain
    from trading_core.wiring import open_store

    wanted = _group_code(market)
    with open_store().read() as reader:
        layers = reader.context_layers()
        newest = {item.layer: _of_market(reader.context(item.layer), wanted) for item in layers}
    return {
        "layers": [
            plain(asdict(item))
            | {"newest": sorted({entry.timeframe for entry in newest[item.layer]}, reverse=True)}
            for item in layers
        ]
    }


def _entries(name: str, timeframe: str | None, market: str | None) -> Json:
    from trading_core.errors import ConfigError
    from trading_core.model.journal import ContextLayer
    from trading_core.wiring import open_store

    wanted = _group_code(market)
    try:
        layer = ContextLayer(name.strip().upper())
    except ValueError:
        raise ConfigError(f"{name}: not a layer of memory; they are L1 to L7") from None
    with open_store().read() as reader:
        entries = _of_market(reader.context(layer, timeframe), wanted)
    return {
        "layer": layer.value,
        "entries": [
            {"timeframe": e.timeframe, "key": e.key, "value": e.value, "at": e.at.isoformat()}
            for e in entries
        ],
    }


def _group_code(market: str | None) -> str | None:
    from trading_core.model.market import MarketGroup

    return MarketGroup.parse(market).value if market else None


def _of_market(entries: Sequence[Any], market: str | None) -> list[Any]:
    from trading_core.rules.memory_layers import market_of

    return [entry for entry in entries if market in (None, market_of(entry.key))]


@screen
def _overview(answer: Json) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("layer", "what", "newest", "kept"):
        table.add_column(name, overflow="fold")
    for item in answer["layers"]:
        days = item["retention_days"]
        table.add_row(
            f"[bold]{item['layer']}[/] {item['name']}",
            f"{item['description']} ({item['keys']})",
            ", ".join(item["newest"]) or "nothing yet",
            "for good" if days is None else f"{days} days",
        )
    out().print(table)


@screen
def _remembered(answer: Json) -> None:
    from trading_core.rules.summarise import clauses

    console = out()
    if not answer["entries"]:
        console.print(f"{answer['layer']} holds nothing of that yet")
    for entry in answer["entries"]:
        said = "; ".join(f"{name} {value}".strip() for name, value in clauses(entry["value"]))
        console.print(f"[bold]{entry['timeframe']} {entry['key']}[/]")
        console.print(f"  {said or 'no data'}", soft_wrap=True)


@screen
def _rebuilt(answer: Json) -> None:
    out().print(answer["line"])
