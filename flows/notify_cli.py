"""``ouroboros notify``: how loudly people are told about each kind, and what waits to be told."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from flows.console import Json, out, screen
from flows.options import JsonOption, print_answer


def notify(
    kind: Annotated[
        str | None, typer.Argument(help="A kind of message, or all; every kind when left out.")
    ] = None,
    level: Annotated[str | None, typer.Argument(help="on, silent or off.")] = None,
    test: Annotated[
        bool, typer.Option("--test", help="Send a message to every channel, now.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """What you are told about, how loudly, and where; set one kind: notify order_accepted off."""
    from trading_core.clock import SystemClock
    from trading_core.steps import notify_levels
    from trading_core.wiring import configure, open_store

    settings = configure()
    store = open_store(settings)
    if test:
        print_answer(asyncio.run(_send_test()), as_json, _waiting)
        return
    if level is not None:
        at = SystemClock().now()
        found = notify_levels.set_level(store, kind or "", level, at=at, by="command line")
    else:
        with store.read() as reader:
            found = notify_levels.levels(reader)
        if kind is not None:
            found = [item for item in found if item.kind in notify_levels.kinds_of(kind)]
    answer = {"kinds": [_plain(item) for item in found], **_channels(settings, store)}
    print_answer(answer, as_json, _show)


async def _send_test() -> Json:
    """The end of a message that is sent now; what did not go out says so in the log."""
    from trading_core.clock import SystemClock
    from trading_core.errors import ConfigError
    from trading_core.model.journal import Notification
    from trading_core.wiring import channel_names, configure, open_store, tell_people

    settings = configure()
    if not channel_names(settings):
        raise ConfigError("no channel: set TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID, or NOTIFY_URLS")
    at = SystemClock().now()
    text = "this is where you are told"
    note = Notification(f"test-{at:%Y%m%dT%H%M%S.%f}", at, "test", "info", text)
    await tell_people([note], settings)
    with open_store(settings).read() as reader:
        ends = {row.channel: row.outcome.value for row in reader.sends([note.notification_id])}
    return {"channels": {name: ends.get(name, "waits") for name in channel_names(settings)}}


def _plain(item: Any) -> Json:
    return {
        "kind": item.kind.value,
        "level": item.level.value,
        "is_set": item.is_set,
        "about": item.about,
    }


def _channels(settings: Any, store: Any) -> Json:
    from trading_core.wiring import channel_names

    with store.read() as reader:
        waiting = {name: len(reader.unsent(name)) for name in channel_names(settings)}
    return {"channels": waiting, "quiet_hours": settings.notify_quiet_hours}


@screen
def _show(answer: Json) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("kind", "level", "about"):
        table.add_column(heading)
    for row in answer["kinds"]:
        level = f"{row['level']}{'' if row['is_set'] else ' (default)'}"
        table.add_row(row["kind"], level, row["about"])
    out().print(table)
    channels = ", ".join(f"{name} ({count} waiting)" for name, count in answer["channels"].items())
    out().print(f"\nchannels: {channels or 'none, only the log'}")
    if answer["quiet_hours"]:
        out().print(f"quiet hours: {answer['quiet_hours']}; what is critical has a sound then too")


@screen
def _waiting(answer: Json) -> None:
    for name, end in answer["channels"].items():
        out().print(f"{name}: {end}")
