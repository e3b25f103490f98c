"""A whole trading day on one command: twin, Prefect server and the flows, then a summary."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from flows.live_view import LiveView
from flows.prefect_server import PrefectServer
from flows.twin_process import TwinChild, TwinFailed
from trading_core.errors import ConfigError, TradingError
from trading_core.model.market import Instrument, Market, MarketGroup
from trading_core.source_ports import Sources
from trading_core.steps.gather import Universe
from trading_core.steps.summary import summarize
from trading_core.wiring import configure, open_runtime, shared

MAX_STOCKS = 200


@dataclass(frozen=True, slots=True)
class Demo:
    """What to play; see ``ouroboros demo --help``."""

    market: str
    session: date | None
    data: tuple[Path, ...]
    capital: Decimal | None
    seed: int
    every: int
    keep: Path | None

    def twin_arguments(self) -> list[str]:
        arguments = ["--market", self.market, "--seed", str(self.seed)]
        arguments += ["--date", self.session.isoformat()] if self.session else []
        arguments += ["--capital", str(self.capital)] if self.capital else []
        for path in self.data:
            arguments += ["--data", str(path)]
        return arguments


class DemoFailed(TradingError):
    """A stage of the day did not complete."""


def run_demo(demo: Demo, *, quiet: bool) -> dict[str, Any]:
    """Play the day and answer with its summary; everything started is stopped again.

    Raises:
        ConfigError, DataError, NotASession: the input is not usable; nothing was kept.
        DemoFailed: a stage failed; its name and message.
    """
    group = MarketGroup.parse(demo.market)
    if demo.data and demo.session is None:
        raise ConfigError("--data needs --date: which session of the files is to be played?")
    begun = time.monotonic()
    with ExitStack() as stack:
        home = stack.enter_context(_home(demo.keep))
        twin = stack.enter_context(TwinChild(demo.twin_arguments(), home))
        server = stack.enter_context(PrefectServer(home))
        view = stack.enter_context(LiveView(quiet=quiet))
        view.say("starting the exchange and the Prefect server ...")
        place = twin.wait_ready()
        view.say(
            f"exchange: {place['url']} plays {group} {place['session']} with "
            f"{place['symbols']} symbols"
        )
        # Prefect reads its settings when it is first imported, and that takes as long as its
        # server takes to start: so now, and here.
        os.environ.update(server.environment())
        import flows.trading_day  # noqa: F401

        server.wait_ready()
        result = asyncio.run(_play(demo, group, home, place, view))
    result["wall_seconds"] = round(time.monotonic() - begun, 2)
    result["kept"] = str(demo.keep) if demo.keep else None
    return result


async def _play(
    demo: Demo, group: MarketGroup, home: Path, place: dict[str, Any], view: LiveView
) -> dict[str, Any]:
    from flows.trading_day import trading_day

    settings = configure(
        ouroboros_home=home,
        db_path=home / "trades.db",
        lock_dir=home,
        backup_dir=home / "backups",
        mode="paper",
        kis_app_key=None,
        kis_app_secret=None,
        kis_account_no=None,
        twin_url=place["url"],
        enabled_markets=(group,),
        rescan_interval_seconds=demo.every,
        planner_max_stocks=MAX_STOCKS,
        telegram_enabled=False,
    )
    watched = tuple(
        Instrument(row["symbol"], Market(row["market"]), row["name"]) for row in place["busiest"]
    )
    universe = Universe(always=watched, max_candidates=MAX_STOCKS)
    # News of today is none about the day that is played.
    here = {"universe": universe, "notifier": view, "sources": Sources()}
    async with open_runtime(settings, **here) as runtime:
        view.follow(runtime, group, date.fromisoformat(place["session"]))
        with shared(replace(runtime, on_tick=view.on_tick)):
            states = await trading_day(group.value)
        _require_completed(states)
        account = await runtime.broker.account(group)
        answer = summarize(
            runtime.store,
            group=group,
            session=date.fromisoformat(place["session"]),
            account=account,
        )
    answer["data_notes"] = place["data_notes"]
    return answer


def _require_completed(states: dict[str, Any]) -> None:
    for stage, state in states.items():
        if not state.is_completed() and state.name != "Halted":
            raise DemoFailed(f"{stage} ended as {state.name}: {state.message}")


@contextmanager
def _home(keep: Path | None) -> Iterator[Path]:
    """The folder of the day: the one to keep, which must be new or empty, or a throw-away one.

    A day that could not begin leaves nothing behind.
    """
    if keep is None:
        place = Path(tempfile.mkdtemp(prefix="ouroboros-demo-"))
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)
        return
    is_new = not keep.exists()
    if not is_new and (not keep.is_dir() or any(keep.iterdir())):
        raise ConfigError(f"--keep {keep}: must be a new or an empty folder")
    keep.mkdir(parents=True, exist_ok=True)
    try:
        yield keep.resolve()
    except TwinFailed:
        shutil.rmtree(keep, ignore_errors=True)
        if not is_new:
            keep.mkdir()
        raise
