"""The ``ouroboros`` command. Heavy imports happen inside the commands that need them."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from flows import audit_screens, screens
from flows.automations_cli import automations
from flows.backup_cli import backup_app, export
from flows.book_cli import book
from flows.decide_cli import decide
from flows.decisions_cli import decisions_app
from flows.live_cli import go_live
from flows.memory_cli import memory
from flows.notify_cli import notify
from flows.options import (
    CapitalOption,
    DataOption,
    DateOption,
    JsonOption,
    MarketArgument,
    MarketOption,
    SeedOption,
    amount_of,
    date_of,
    print_answer,
)
from flows.restore_cli import restore
from flows.secrets_cli import secrets_app
from flows.shadow_cli import shadow
from flows.telegram_cli import telegram
from flows.twin_cli import twin_app
from flows.up_cli import dashboard, down, logs, show_status, state_of, up
from trading_core.errors import TradingError

app = typer.Typer(
    name="ouroboros",
    help="An AI-planned stock trader for Korea Investment & Securities: plan once, execute "
    "locally. New here? Watch a whole trading day on a simulated exchange: ouroboros demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(twin_app, name="twin")
app.add_typer(decisions_app, name="decisions")
app.add_typer(backup_app, name="backup")
app.add_typer(secrets_app, name="secrets")
app.command()(restore)
app.command()(export)
for running in (up, down, logs, dashboard, go_live):
    app.command()(running)
app.command()(memory)
app.command()(notify)
app.command()(telegram)
app.command()(shadow)
app.command()(decide)
app.command()(book)
app.command()(automations)


@app.callback()
def begin() -> None:
    """Before any command: who keeps our secrets, and what Prefect's server is told."""
    from tasks.server import log_in

    log_in()


@app.command()
def demo(
    market: MarketOption = "KR",
    date_: DateOption = None,
    data: DataOption = None,
    capital: CapitalOption = None,
    seed: SeedOption = 0,
    every: Annotated[
        int, typer.Option("--every", min=10, max=3600, help="Seconds between two ticks.")
    ] = 300,
    as_json: JsonOption = False,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", help="Keep store, backups and Prefect runs in this folder."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            help="Play every session from --date to this one, YYYY-MM-DD; --json prints a line "
            "for each and one for their total.",
        ),
    ] = None,
    planner: Annotated[
        str | None,
        typer.Option("--planner", help="rules or gemini; as the settings say when left out."),
    ] = None,
) -> None:
    """Watch a whole trading day now: plan, ticks, review, backup, on a simulated KIS exchange.

    Everything is real but the exchange: a Prefect server runs the flows, a KIS-speaking server on
    this machine takes the orders, the state is a DuckDB file. No keys are needed or used, except
    GEMINI_API_KEY, with which the model writes the playbook.
    """
    from flows import span_view
    from flows.demo import Demo, run_demo

    wanted = Demo(
        market=market,
        session=date_of(date_),
        data=tuple(data or ()),
        capital=amount_of(capital),
        seed=seed,
        every=every,
        keep=keep,
        until=date_of(until, "--until"),
        planner=planner,
    )
    played = span_view.Played(as_json)
    result = run_demo(wanted, quiet=as_json, on_session=played.add)
    print_answer(result, as_json, screens.demo_summary if until is None else played.show)


def _run_flow(name: str, market: str | None, as_json: bool) -> None:
    """Run one flow in this process, on the Prefect server that is configured."""
    import importlib

    from trading_core.model.market import MarketGroup

    if market is not None:
        MarketGroup.parse(market)
    flow = getattr(importlib.import_module(f"flows.{name}"), name)
    arguments = {} if market is None else {"market": market}
    state = asyncio.run(flow(**arguments, return_state=True))
    answer = {"flow": name, "market": market, "state": state.name, "message": state.message or ""}
    print_answer(answer, as_json, screens.flow_state)
    if not state.is_completed():
        raise typer.Exit(1)


@app.command()
def plan(
    market: MarketArgument,
    as_json: JsonOption = False,
    show_prompt: Annotated[
        bool,
        typer.Option("--show-prompt", help="Only show what a model would be asked; none is."),
    ] = False,
) -> None:
    """Write today's playbook of a market now."""
    if show_prompt:
        from flows import prompt_cli

        print_answer(asyncio.run(prompt_cli.read_prompt(market)), as_json, prompt_cli.prompt)
        return
    _run_flow("plan", market, as_json)


@app.command()
def session(market: MarketArgument, as_json: JsonOption = False) -> None:
    """Trade a market from now until its close."""
    _run_flow("session", market, as_json)


@app.command()
def tick(market: MarketArgument, as_json: JsonOption = False) -> None:
    """Observe, decide and act once, now."""
    _run_flow("tick", market, as_json)


@app.command()
def review(market: MarketArgument, as_json: JsonOption = False) -> None:
    """Score today's session of a market after its close."""
    _run_flow("review", market, as_json)


@app.command()
def status(as_json: JsonOption = False) -> None:
    """What stands: playbooks, orders, positions, P&L and halts, and the parts that are up."""
    from trading_core.wiring import home_folder, read_status

    answer = read_status() | {"up": state_of(home_folder())}
    print_answer(answer, as_json, show_status)


@app.command()
def costs(
    days: Annotated[int, typer.Option("--days", min=1, max=3660, help="Today and before.")] = 7,
    as_json: JsonOption = False,
) -> None:
    """What the language model was asked and what that cost, by day, and what the limits leave."""
    from trading_core.wiring import read_costs

    print_answer(read_costs(days), as_json, screens.costs)


@app.command()
def why(
    symbol: Annotated[str, typer.Argument(help="Symbol, such as 005930 or AAPL.")],
    market: Annotated[str | None, typer.Option("--market", "-m", help="Where to look.")] = None,
    date_: Annotated[
        str | None, typer.Option("--date", help="Session, YYYY-MM-DD; the newest when left out.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", help="10:35 in the exchange's time, or ISO; else the last tick."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Why a symbol was or was not traded: from the scan to the fill, and the smallest change."""
    from flows import answers

    print_answer(answers.why(symbol, market, date_of(date_), at), as_json, audit_screens.why)


@app.command()
def halt(
    scope: Annotated[str, typer.Argument(help="A market, a currency, or ALL.")] = "ALL",
    reason: Annotated[str, typer.Option("--reason", help="Why; shown until lifted.")] = "by hand",
    everything: Annotated[
        bool, typer.Option("--everything", help="Stop protective sells too: send nothing at all.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Stop entries at once. Protective sells still go; only `resume` lifts it."""
    from flows import answers

    print_answer(answers.halt(scope, reason, everything=everything), as_json, screens.halts)


@app.command()
def kill(
    reason: Annotated[
        str, typer.Option("--reason", prompt="Why?", help="Recorded, and told to everybody.")
    ],
    scope: Annotated[str, typer.Argument(help="A market, or ALL.")] = "ALL",
    reduce: Annotated[
        bool, typer.Option("--reduce", help="Sell everything held; without it nothing is sent.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Kill switch: block entries, cancel them, check the books, sell if asked to, back up, tell.

    A step that fails does not stop the next. Type it again to go on after a crash or to retry what
    failed. Without --reduce protective sells are stopped too.
    """
    from flows import answers

    answer = answers.kill(scope, reason, reduce=reduce)
    print_answer(answer, as_json, screens.kill)
    if answer["failed"]:
        raise typer.Exit(1)


@app.command()
def resume(
    reason: Annotated[
        str, typer.Option("--reason", prompt="Why is it safe to trade again?", help="Recorded.")
    ],
    scope: Annotated[str, typer.Argument(help="A market, a currency, or ALL.")] = "ALL",
    as_json: JsonOption = False,
) -> None:
    """Lift halts, the breaker's included, and say why."""
    from flows import answers

    print_answer(answers.resume(scope, reason), as_json, screens.halts)


@app.command()
def settle(
    intent: Annotated[str, typer.Argument(help="The order, as the halt's reason names it.")],
    order_no: Annotated[
        str, typer.Argument(help="The broker's number of it, or NONE when it never had it.")
    ],
    reason: Annotated[
        str, typer.Option("--reason", prompt="Where did you look?", help="Recorded.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Say what became of an order whose answer was lost and that the system cannot tell apart.

    Nothing else is sent while an order's fate is unknown. Lift the halt with `resume` afterwards.
    """
    from flows import answers

    print_answer(answers.settle(intent, order_no, reason), as_json, screens.settled)


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Check settings, keys, calendars, store, disk and broker before money is at stake."""
    from flows.doctor import examine

    findings = asyncio.run(examine())
    print_answer({"checks": findings}, as_json, screens.doctor)
    if any(finding["result"] == "failed" for finding in findings):
        raise typer.Exit(1)


@app.command()
def sources(
    ask: Annotated[bool, typer.Option("--ask", help="Ask all of them now.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Where news, market levels and economic events come from, and how it went."""
    from flows import sources_view

    print_answer(sources_view.answer(ask=ask), as_json, sources_view.show)


def main() -> None:
    """Run the command; every known error is one line, and the exit code says how it went."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # So that what was started is stopped when this process is asked to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        app()
        code = 0
    except SystemExit as leaving:
        said = leaving.code or 0
        code = said if isinstance(said, int) else _failed(said, 1)
    except TradingError as error:
        code = _failed(str(error), error.exit_code)
    except KeyboardInterrupt:
        code = _failed("interrupted", 130)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        code = _failed(f"{place}{error.strerror or error}", 1)
    _leave(code)


def _failed(message: str, code: int) -> int:
    sys.stderr.write(f"error: {message}\n")
    return code


def _leave(code: int) -> None:
    """End the process after its exit handlers, without tearing the interpreter down.

    Prefect's background threads outlive the teardown, and then the database's C++ binding prints
    pages of warnings about objects that are still referenced.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
