"""``ouroboros restore``."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from flows.backup_cli import moment_of
from flows.console import Json, out, screen
from flows.options import JsonOption, print_answer
from flows.progress import shown
from trading_core.errors import ConfigError


def restore(
    list_: Annotated[bool, typer.Option("--list", help="Only show what there is.")] = False,
    at: Annotated[
        str | None,
        typer.Option("--at", help="The newest backup made then or before, UTC; else the newest."),
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="A folder, a backup file, s3:// (the configured bucket) or "
            "s3://BUCKET/FOLDER, or one backup in it; BACKUP_DIR when left out.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Fetch, verify and open it; change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    reconcile: Annotated[
        bool,
        typer.Option("--reconcile", help="Only compare a restored state with the broker again."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring the state back from a backup, with a safety copy of what is there.

    Nothing may trade meanwhile. Afterwards nothing is sent until the state agrees with the broker,
    which is tried at once; then stops go on, and entries wait for `resume`.
    """
    from flows import restore as work
    from trading_core.wiring import watched_by

    if list_:
        print_answer(asyncio.run(work.listed(from_)), as_json, _listed)
        return
    if reconcile:
        answer = asyncio.run(work.reconcile())
        print_answer(answer, as_json, _reconciled)
    else:
        if not (yes or dry_run) and (as_json or not sys.stdin.isatty()):
            raise ConfigError("restore replaces the state: say --yes, or look first: --dry-run")
        wanted = work.Wanted(moment_of(at, "--at") if at else None, from_, dry_run)
        with shown(as_json) as progress, watched_by(progress):
            answer = asyncio.run(work.restore(wanted, lambda plan: _ask(plan, yes)))
        print_answer(answer, as_json, _restored)
    if not answer.get("agreed", True):
        raise typer.Exit(1)


def _ask(plan: Json, yes: bool) -> None:
    if yes:
        return
    _planned(plan)
    if not typer.confirm("Go on?"):
        raise ConfigError("nothing was changed")


@screen
def _planned(plan: Json) -> None:
    console, now = out(), plan["rows_before"]
    console.print(f"from   {plan['source']}: {plan['backup']['rows']:,} rows", soft_wrap=True)
    there = "no store that opens" if now is None else f"{now:,} rows, kept as a safety copy"
    console.print(f"to     {plan['store']}: {there}", soft_wrap=True)
    console.print(f"written since the backup and lost: {_span(plan['lost_seconds'])}")


@screen
def _restored(answer: Json) -> None:
    console = out()
    backup = answer["backup"]
    verb = "would be restored" if answer["dry_run"] else "restored"
    console.print(
        f"{verb}: {backup['backup_id']}, {answer['rows']:,} rows, checksum right, from "
        f"{answer['source']}",
        soft_wrap=True,
    )
    console.print(f"written since and lost: {_span(answer['lost_seconds'])}")
    if answer["dry_run"]:
        return
    if answer["safety_copy"]:
        console.print(f"what was there: {answer['safety_copy']}", soft_wrap=True)
    _agreements(answer)


@screen
def _reconciled(answer: Json) -> None:
    _agreements(answer)


def _agreements(answer: Json) -> None:
    console = out()
    for item in answer["agreements"]:
        found = (
            f"{item['orders']} orders and {item['fills']} fills taken over from the broker, "
            f"{item['adopted']} positions adopted"
        )
        how = f"[red]not yet: {item['problem']}[/]" if item["problem"] else "[green]agrees[/]"
        console.print(f"{item['market']}: {how}; {found}", soft_wrap=True)
    if answer["problem"]:
        console.print(f"[red]not compared with the broker: {answer['problem']}[/]", soft_wrap=True)
    if answer["agreed"]:
        console.print("stops go on; entries wait for you. Today's loss counts anew.")
    console.print(f"next: {answer['next']}", soft_wrap=True)


@screen
def _listed(answer: Json) -> None:
    console = out()
    console.print(answer["source"], soft_wrap=True)
    for item in answer["backups"]:
        rows = f"  {item['rows']:,} rows  {item['bytes']:,} bytes" if "rows" in item else ""
        console.print(f"  {item['backup_id']}{rows}", soft_wrap=True)
    if not answer["backups"]:
        console.print("  no backups")


def _span(seconds: int) -> str:
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds % 60} s"
