"""``ouroboros up``, ``down``, ``logs`` and ``dashboard``: everything that keeps running."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows import screens
from flows.console import Json, out, screen
from flows.options import JsonOption, print_answer

if TYPE_CHECKING:
    from flows.supervision.up import Up

_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "red")
_STATES = {"running": "green", "starting": "yellow", "stopping": "yellow"}
LOST_SECONDS = 2.0
"""Between two looks at whether the supervisor is still there."""


def up(
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Come back once everything works.")
    ] = False,
    dashboard: Annotated[
        bool | None,
        typer.Option("--dashboard/--no-dashboard", help="Serve the dashboard or not."),
    ] = None,
    telegram: Annotated[
        bool, typer.Option("--telegram/--no-telegram", help="Listen to Telegram commands or not.")
    ] = True,
    deploy: Annotated[
        bool, typer.Option("--deploy/--no-deploy", help="Make the deployments anew or not.")
    ] = True,
    i_know: Annotated[
        bool,
        typer.Option("--i-know", help="With MODE=live: confirm real money and the limits now."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Start everything and keep it running: Prefect, worker, twin or broker, dashboard, Telegram.

    Ctrl-C stops all of it. With --detach it goes on by itself: see `status`, `logs` and `down`.
    """
    from flows.supervision.parts import Wish
    from flows.supervision.told import tell_of_start, tell_of_stop
    from flows.supervision.up import Up
    from trading_core.clock import SystemClock
    from trading_core.wiring import configure, confirm_live, live_limits, require_confirmation

    chosen = {} if dashboard is None else {"dashboard_enabled": dashboard}
    settings = configure(**chosen)
    say = _quiet if as_json else _say
    if settings.mode == "live":
        if i_know:
            confirm_live(settings, SystemClock().now())
        require_confirmation(settings)
        say(_limits(live_limits(settings)))
    runner = Up(settings, Wish(telegram=telegram, deploy=deploy), _commands(), say)
    runner.start()
    try:
        tell_of_start(settings, [part.name for part in runner.parts])
        print_answer(_addresses(runner), as_json, _up)
        if detach:
            return
        for line in _lines_until_lost(runner):
            if not as_json:
                _write(*line)
    except (KeyboardInterrupt, SystemExit):
        say("\nstopping ...")
    finally:
        if not detach:
            _stop(runner, say)
            tell_of_stop(settings)


def down(as_json: JsonOption = False) -> None:
    """Stop everything that `up` keeps running in this home, the last part first."""
    from flows.supervision.control import Control
    from flows.supervision.place import UpFiles
    from flows.supervision.remains import end_remains
    from flows.supervision.told import tell_of_stop
    from flows.supervision.up import STOP_SECONDS
    from trading_core.wiring import configure

    settings = configure()
    files = UpFiles(settings.ouroboros_home.resolve())
    control = Control(files)
    was_up = control.is_up()
    if was_up:
        control.stop(seconds=STOP_SECONDS)
    left = end_remains(files.home)
    if was_up:
        tell_of_stop(settings)
    print_answer({"was_up": was_up, "ended": left, "home": str(files.home)}, as_json, _down)


def logs(
    part: Annotated[
        str | None, typer.Argument(help="prefect, worker, twin, ...; all of them when left out.")
    ] = None,
    follow_: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Of each part.")] = 20,
) -> None:
    """Show what the parts of `up` wrote, each line with its part in front."""
    from flows.supervision.follow import follow, last_lines
    from flows.supervision.place import UpFiles
    from trading_core.errors import ConfigError
    from trading_core.wiring import configure

    files = UpFiles(configure().ouroboros_home.resolve())
    known = sorted(path.stem for path in files.logs.glob("*.log"))
    if not known:
        raise ConfigError(f"{files.logs}: nothing was written yet; start it with: ouroboros up")
    if part is not None and part not in known:
        raise ConfigError(f"{part}: no such part; there are {', '.join(known)}")
    names = [part] if part else known
    for name in names:
        for line in last_lines(files.log_of(name), lines):
            _write(name, line)
    with suppress(KeyboardInterrupt):
        for found in follow(names, files.log_of) if follow_ else ():
            if found is not None:
                _write(*found)


def dashboard() -> None:
    """Serve the dashboard alone, at DASHBOARD_HOST and DASHBOARD_PORT, until Ctrl-C."""
    from flows.supervision import parts
    from flows.supervision.preflight import require_ports
    from trading_core.wiring import configure

    settings = configure()
    part = parts.dashboard(settings)
    require_ports([part])
    _say(f"dashboard: {part.page}")
    sys.stdout.flush()
    environment = parts.environment_of(settings, settings.ouroboros_home.resolve())
    del environment[parts.MARK]
    os.chdir(parts.ROOT)
    os.execve(sys.executable, list(part.command), environment)


def _commands() -> frozenset[str]:
    """The names of the commands there are."""
    from flows import cli

    root: Any = typer.main.get_command(cli.app)
    return frozenset(root.commands)


def _addresses(runner: Up) -> Json:
    from flows.supervision.parts import api_of

    return {
        "home": str(runner.files.home),
        "logs": str(runner.files.logs),
        "pid": runner.control.pid(),
        "mode": runner.settings.mode,
        "prefect": api_of(runner.settings).removesuffix("/api"),
        "pages": {part.name: part.page for part in runner.parts if part.page},
    }


def _lines_until_lost(runner: Up) -> Iterable[tuple[str, str]]:
    """What the parts write, for as long as the supervisor lives."""
    from flows.supervision.control import UpFailed
    from flows.supervision.follow import follow

    names = ["supervisor", *(part.name for part in runner.parts)]
    looked = time.monotonic()
    for found in follow(names, runner.files.log_of):
        if found is not None:
            yield found
        elif time.monotonic() - looked > LOST_SECONDS:
            looked = time.monotonic()
            if not runner.control.is_up():
                raise UpFailed(f"the supervisor has ended; see {runner.files.logs}")


def _stop(runner: Up, say: Any) -> None:
    from flows.supervision.remains import end_remains

    begun = time.monotonic()
    try:
        left = runner.stop()
    except KeyboardInterrupt:
        say("at once, then")
        left = end_remains(runner.files.home, grace_seconds=0.5)
    if left:
        say(f"ended besides: processes {left}")
    say(f"stopped in {time.monotonic() - begun:.1f} s")


def _say(line: str) -> None:
    out().print(line, markup=False, soft_wrap=True)


def _quiet(line: str) -> None:
    """A machine reads the one answer; people's lines go to the other stream."""
    sys.stderr.write(f"{line.strip()}\n")


def _write(name: str, line: str) -> None:
    from rich.text import Text

    colour = _COLOURS[sum(name.encode()) % len(_COLOURS)]
    out().print(Text(f"{name:<10} ", style=colour) + Text.from_ansi(line), soft_wrap=True)


def _limits(live: Json) -> str:
    limits = ", ".join(f"{name}={value:g}" for name, value in live["limits"].items())
    return (
        f"REAL MONEY: the {live['account']}, {', '.join(live['markets'])}, within {limits}; "
        "stop entries with `ouroboros halt`, everything with `ouroboros kill`"
    )


@screen
def _up(answer: Json) -> None:
    console = out()
    console.print(f"\n[bold]up[/] (mode {answer['mode']})")
    for name, page in (answer["pages"] | {"prefect": answer["prefect"]}).items():
        console.print(f"  {name:<10} {page}", soft_wrap=True)
    console.print(f"  {'logs':<10} {answer['logs']}", soft_wrap=True)
    console.print(f"  {'home':<10} {answer['home']}\n", soft_wrap=True)


@screen
def _down(answer: Json) -> None:
    said = "stopped" if answer["was_up"] else "was not up"
    if answer["ended"]:
        said += f"; ended what was left: processes {', '.join(map(str, answer['ended']))}"
    out().print(f"{answer['home']}: {said}", soft_wrap=True)


def show_status(answer: Json) -> None:
    """The answer of `status`: what stands, then what is kept running."""
    screens.status(answer)
    if answer["up"] is not None:
        _parts(answer["up"])


@screen
def _parts(answer: Json) -> None:
    from datetime import datetime

    from flows.supervision.up import age
    from trading_core.clock import SystemClock

    at = SystemClock().now()
    console = out()
    console.print(f"\nup (process {answer['pid']}), logs in {answer['logs']}", soft_wrap=True)
    for row in answer["parts"]:
        since = f" for {age(datetime.fromisoformat(row['since']), at)}" if row["since"] else ""
        style = _STATES.get(row["state"], "red")
        console.print(
            f"  {row['name']:<10} [{style}]{row['state']}[/]{since}  {row['page']}", soft_wrap=True
        )


def state_of(home: Path) -> Json | None:
    """The parts of a home that is up, as JSON; None when it is not."""
    from flows.supervision.up import read_parts_state

    return read_parts_state(home)
