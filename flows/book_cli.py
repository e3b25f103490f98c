"""``ouroboros book``: what the calendar books, and booking it now."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import date, timedelta
from typing import Annotated, Any

import typer

from flows.console import Json, out, screen
from flows.options import JsonOption, date_of, print_answer


def book(
    since: Annotated[
        str | None,
        typer.Option("--from", help="First session, YYYY-MM-DD; today when left out."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", help="Last session, YYYY-MM-DD; a week on when left out."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list the runs; no server is needed.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Book plan, session, rounds, review and backup of every session, and restart what died.

    Does at once what the deployment `book/calendar` does every five minutes. With --dry-run the
    runs of the sessions dated --from to --until are listed, with --json one object a line.
    """
    from trading_core.errors import ConfigError

    if not dry_run:
        if since or until:
            raise ConfigError("--from and --until go with --dry-run; booking is for a year ahead")
        print_answer(asyncio.run(_book(quiet=as_json)), as_json, _booked)
        return
    first = date_of(since, "--from") or _today()
    last = date_of(until, "--until") or max(first, _today()) + timedelta(days=7)
    if last < first:
        raise ConfigError(f"--until {last} is before --from {first}")
    found, ends = _listed(first, last)
    if as_json:
        sys.stdout.writelines(json.dumps(row) + "\n" for row in found)
    else:
        _listing({"bookings": found})
    for group, day in ends.items():
        sys.stderr.write(f"warning: sessions of {group} are known until {day}\n")


def _today() -> date:
    from trading_core.clock import SystemClock

    return SystemClock().now().date()


def _listed(first: date, last: date) -> tuple[list[Json], dict[str, date]]:
    """The bookings, and the calendars that end before ``last``."""
    from trading_core.rules.schedules import bookings, known_until
    from trading_core.wiring import configure, schedule_policy_of, warm_calendars

    settings = configure()
    warm_calendars(settings.ouroboros_home, settings.enabled_markets)
    found = bookings(settings.enabled_markets, first, last, schedule_policy_of(settings))
    rows: list[Json] = [
        {
            "market": item.market.value,
            "session": item.session.isoformat(),
            "flow": item.flow.value,
            "scheduled_at": item.scheduled_at.isoformat(),
            "deployment": item.deployment,
        }
        for item in found
    ]
    ends = {g.value: known_until(g) for g in settings.enabled_markets if known_until(g) < last}
    return rows, ends


async def _book(*, quiet: bool) -> Json:
    from dataclasses import asdict

    from tasks.oversight import oversee
    from trading_core.clock import SystemClock
    from trading_core.steps.summary import plain

    now = SystemClock().now()
    done = await oversee(now, (lambda text: None) if quiet else _progress)
    answer: dict[str, Any] = plain(asdict(done))
    return {**answer, "line": done.line()}


def _progress(text: str) -> None:
    out().print(text, soft_wrap=True)


@screen
def _booked(answer: Json) -> None:
    out().print(answer["line"], soft_wrap=True)


@screen
def _listing(answer: Json) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("scheduled (UTC)", "market", "session", "flow", "deployment"):
        table.add_column(name)
    found = answer["bookings"]
    for row in found:
        when = row["scheduled_at"][:16].replace("T", " ")
        table.add_row(when, row["market"], row["session"], row["flow"], row["deployment"])
    out().print(table if found else "no session lies between these dates")
