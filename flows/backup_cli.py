"""``ouroboros backup`` and what belongs to it, and ``ouroboros export``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from flows.console import Json, out, screen
from flows.options import JsonOption, print_answer
from flows.progress import shown
from trading_core.errors import ConfigError

SERVER_SECONDS = 3.0
COLOURS = {"HEALTHY": "green", "DEGRADED": "yellow", "UNHEALTHY": "red"}

logger = logging.getLogger(__name__)

backup_app = typer.Typer(
    help="Copy the store, open the copy again, keep it here and in S3, drop what is old.",
    invoke_without_command=True,
    no_args_is_help=False,
)


@backup_app.callback()
def backup(context: typer.Context, as_json: JsonOption = False) -> None:
    """Make a backup now, whatever BACKUP_ENABLED says."""
    if context.invoked_subcommand is not None:
        return
    from flows.backup import backup as flow
    from trading_core.wiring import watched_by

    with shown(as_json) as progress, watched_by(progress):
        state = asyncio.run(_recorded(flow))
    answer = {"flow": "backup", "market": None, "state": state.name, "message": state.message or ""}
    print_answer(answer, as_json, _made)
    if not state.is_completed():
        raise typer.Exit(1)


@backup_app.command("health")
def health(as_json: JsonOption = False) -> None:
    """Would a restore work? Opens the newest backup; exit code 1 unless it is HEALTHY."""
    from tasks.safekeeping import check_backups
    from trading_core.steps.backup_health import plain_check
    from trading_core.wiring import open_safekeeping, watched_by

    safe = open_safekeeping()
    with shown(as_json) as progress, watched_by(progress):
        answer = plain_check(asyncio.run(_run(check_backups(safe, safe.clock.now()))))
    print_answer(answer, as_json, _health)
    if answer["health"] != "HEALTHY":
        raise typer.Exit(1)


@backup_app.command("list")
def list_backups(as_json: JsonOption = False) -> None:
    """The backups in BACKUP_DIR, newest first, and what each is kept as."""
    from trading_core.wiring import read_backups

    print_answer(read_backups(), as_json, _listed)


async def _recorded(flow: Any) -> Any:
    """Run it where Prefect can see it; where no server answers a backup is made all the same."""
    if await _prefect_answers():
        return await flow(by_hand=True, return_state=True)
    return await flow.fn(by_hand=True)


async def _prefect_answers() -> bool:
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL

    if not PREFECT_API_URL.value():
        return False
    try:
        async with get_client(httpx_settings={"timeout": SERVER_SECONDS}) as client:
            return await client.api_healthcheck() is None
    except Exception as error:
        logger.warning("Prefect does not answer (%s); the run is not shown", type(error).__name__)
        return False


async def _run(work: Awaitable[Any]) -> Any:
    return await work


def export(
    to: Annotated[Path, typer.Option("--to", help="Folder that gets a folder for each export.")],
    file_format: Annotated[
        str, typer.Option("--format", help="parquet, csv or json (one object a line).")
    ] = "parquet",
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            help="last: what the last export there did not have; or a date or time (UTC when it "
            "names no zone): what was written since. Everything when left out.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the tables as files, read them back and compare; with checksums in a manifest."""
    from dataclasses import asdict

    from trading_core.steps.summary import plain
    from trading_core.wiring import open_safekeeping, watched_by

    safe = open_safekeeping()
    with shown(as_json) as progress, watched_by(progress):
        made = safe.exporter.export(
            to, _format_of(file_format), at=safe.clock.now(), since=_since(since)
        )
    print_answer({**plain(asdict(made)), "rows": made.rows}, as_json, _exported)


def _format_of(text: str) -> Literal["parquet", "csv", "json"]:
    match text.strip().lower():
        case "parquet":
            return "parquet"
        case "csv":
            return "csv"
        case "json":
            return "json"
    raise ConfigError(f"--format {text}: is parquet, csv or json")


def _since(text: str | None) -> datetime | Literal["last"] | None:
    if text is None or text == "last":
        return "last" if text else None
    return moment_of(text, "--since")


def moment_of(text: str, option: str) -> datetime:
    """A time as it is typed; UTC when it names no zone. Raises ``ConfigError``."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"{option} {text}: not a time; write 2026-09-10 or 2026-09-10T06:40Z"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@screen
def _made(answer: Json) -> None:
    out().print(f"backup: {answer['state']} - {answer['message']}", soft_wrap=True)


@screen
def _health(answer: Json) -> None:
    console = out()
    colour = COLOURS[answer["health"]]
    console.print(f"backups are [{colour}]{answer['health']}[/]")
    for reason in answer["reasons"]:
        console.print(
            f"[{COLOURS[reason['health']]}]{reason['health']:<9}[/] {reason['text']}",
            soft_wrap=True,
        )
    if answer["restored_rows"] is not None:
        console.print(f"{answer['newest']} opens with {answer['restored_rows']:,} rows")


@screen
def _listed(answer: Json) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("backup", "rows", "bytes", "", "kept as"):
        right = name in ("rows", "bytes")
        table.add_column(name, justify="right" if right else "left", no_wrap=name != "kept as")
    for item in answer["backups"]:
        table.add_row(
            item["backup_id"],
            f"{item['rows']:,}",
            f"{item['bytes']:,}",
            "encrypted" if item["encrypted"] else "",
            ", ".join(item["kept_as"]),
        )
    out().print(table)
    out().print(f"\n{answer['count']} backups, {answer['bytes']:,} bytes")


@screen
def _exported(answer: Json) -> None:
    said = f"{answer['kind']} export, {answer['rows']:,} rows in {len(answer['tables'])} files"
    out().print(f"{said}, read back and compared: {answer['folder']}", soft_wrap=True)
