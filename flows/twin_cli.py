"""The ``ouroboros twin`` commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows import screens
from flows.options import (
    CapitalOption,
    DataOption,
    DateOption,
    JsonOption,
    SeedOption,
    amount_of,
    date_of,
    print_answer,
    speed_of,
)
from trading_core.errors import ConfigError

twin_app = typer.Typer(help="The KIS look-alike on this machine.", no_args_is_help=True)


MarketsOption = Annotated[
    str,
    typer.Option("--market", "-m", help="KR, US, JP, HK, CN or VN; several as KR,US."),
]
AccountOption = Annotated[
    list[str] | None,
    typer.Option(
        "--account",
        help="An account and its cash, such as 12345678-01=KRW:50000000,USD:50000 "
        "(repeatable); takes the place of the usual one.",
    ),
]
PortOption = Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")]
SpeedOption = Annotated[
    str | None,
    typer.Option(
        "--speed", help="Exchange seconds per second: 60 plays an hour a minute. real is 1."
    ),
]
SteppedOption = Annotated[
    bool, typer.Option("--stepped", help="Stand still until POST /twin/clock moves the clock.")
]
TodayOption = Annotated[
    bool,
    typer.Option("--today", help="Live in the present: each session on its own day, in real time."),
]
NowOption = Annotated[
    bool, typer.Option("--now", help="Start at the open, not 45 minutes before it.")
]
ModeOption = Annotated[
    str,
    typer.Option("--mode", help="Which host to be: real, paper, or both, told apart by the TR id."),
]
LayoutOption = Annotated[
    str,
    typer.Option(
        "--layout", help="Fields of the stream: 2026-09, or legacy for older client libraries."
    ),
]
StrictOption = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Limits as at the broker: 20 calls a second (paper 2), one token a minute.",
    ),
]
RateLimitOption = Annotated[
    float | None,
    typer.Option("--rate-limit", min=1, help="Calls a second and app key; none without it."),
]
FaultsOption = Annotated[
    Path | None,
    typer.Option(
        "--faults",
        help='JSON of what goes wrong: {"rules": [{"action": "drop_after", "path": '
        '"order-cash", "nth": 2}]}; also POST /twin/faults while it runs.',
    ),
]
StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state", help="Keep orders, cash, clock and tokens in this file across restarts."
    ),
]
HostOption = Annotated[
    str, typer.Option("--host", help="Address to listen on; loopback unless allowed below.")
]
AllowRemoteOption = Annotated[
    bool, typer.Option("--allow-remote", help="Let other machines in (needs the next one).")
]
ConfirmedOption = Annotated[
    bool, typer.Option("--yes-allow-remote", help="Say it again: no password is asked for.")
]


@twin_app.callback()
def twin() -> None:
    """The KIS look-alike on this machine."""


@twin_app.command("serve")
def twin_serve(
    market: MarketsOption = "KR",
    date_: DateOption = None,
    data: DataOption = None,
    capital: CapitalOption = None,
    account: AccountOption = None,
    seed: SeedOption = 0,
    port: PortOption = 0,
    speed: SpeedOption = None,
    stepped: SteppedOption = False,
    today: TodayOption = False,
    now: NowOption = False,
    mode: ModeOption = "both",
    layout: LayoutOption = "2026-09",
    strict: StrictOption = False,
    rate_limit: RateLimitOption = None,
    faults: FaultsOption = None,
    state: StateOption = None,
    host: HostOption = "127.0.0.1",
    allow_remote: AllowRemoteOption = False,
    yes_allow_remote: ConfirmedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Serve a simulated KIS exchange on this machine until Ctrl-C.

    It speaks the broker's REST and WebSocket protocols, so a KIS client needs only its address:
    any key and secret will do. Other ouroboros commands of the same OUROBOROS_HOME find it by
    themselves. Without --data a made-up market plays; the same --seed makes the same one.

    GET /twin/state tells where it stands; POST /twin/clock {"session": "next"} begins the next day.
    """
    from flows.twin_process import TwinWish, serve

    if stepped and speed is not None:
        raise ConfigError("--stepped stands still and --speed moves: leave one of them out")
    wish = TwinWish(
        market=market,
        session=date_of(date_),
        data=tuple(data or ()),
        capital=amount_of(capital),
        accounts=tuple(account or ()),
        seed=seed,
        speed=None if stepped else speed_of(speed),
        today=today,
        at_open=now,
        mode=mode,
        layout=layout,
        strict=strict,
        rate_limit=rate_limit,
        faults=faults,
        state=state,
        host=host,
        port=port,
        allow_remote=allow_remote,
        confirmed=yes_allow_remote,
    )
    serve(wish, lambda answer: print_answer(answer, as_json, screens.twin))
