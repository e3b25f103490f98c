"""Whole trading days on one command: twin, Prefect server and the flows, then a summary."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from flows.live_view import LiveView
from flows.prefect_server import PrefectServer
from flows.twin_process import TwinChild, TwinFailed
from trading_core.errors import ConfigError, TradingError
from trading_core.model.market import Instrument, Market, MarketGroup
from trading_core.ports.sources import Sources
from trading_core.rules.calendar import Session, require_session, sessions_between
from trading_core.steps.gather import Universe
from trading_core.steps.span import summarize_span
from trading_core.steps.summary import summarize
from trading_core.wiring import Runtime, configure, open_runtime, shared

MAX_STOCKS = 200
PLANNERS = ("rules", "gemini")


@dataclass(frozen=True, slots=True)
class Demo:
    """What to play; see ``ouroboros demo --help``.

    ``until`` plays every session from ``session`` to it, ``planner`` (``rules`` or ``gemini``)
    takes the place of what the settings say.
    """

    market: str
    session: date | None
    data: tuple[Path, ...]
    capital: Decimal | None
    seed: int
    every: int
    keep: Path | None
    until: date | None = None
    planner: str | None = None

    def twin_arguments(self) -> list[str]:
        arguments = ["--market", self.market, "--seed", str(self.seed)]
        arguments += ["--date", self.session.isoformat()] if self.session else []
        arguments += ["--capital", str(self.capital)] if self.capital else []
        for path in self.data:
            arguments += ["--data", str(path)]
        return arguments


class DemoFailed(TradingError):
    """A stage of the day did not complete."""


def run_demo(
    demo: Demo, *, quiet: bool, on_session: Callable[[dict[str, Any]], None] = lambda answer: None
) -> dict[str, Any]:
    """Play it and answer with a summary; everything started is stopped again.

    One session answers with its own summary. Of several each is handed to ``on_session`` when it
    is over, and the answer is their total; cash, holdings, store and memory go from one to the
    next.

    Raises:
        ConfigError, DataError, NotASession: the input is not usable; nothing was kept.
        DemoFailed: a stage failed; its name and message.
    """
    group = MarketGroup.parse(demo.market)
    if demo.data and demo.session is None:
        raise ConfigError("--data needs --date: which session of the files is to be played?")
    later = _later_sessions(demo, group)
    _check_planner(demo.planner)
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
        play = _Play(demo, group, home, place, view)
        if later is None:
            result = asyncio.run(play.one())
        else:
            result = asyncio.run(play.all_of(later, twin, on_session))
    result["wall_seconds"] = round(time.monotonic() - begun, 2)
    result["kept"] = str(demo.keep) if demo.keep else None
    return result


def _check_planner(name: str | None) -> None:
    if name not in (None, *PLANNERS):
        raise ConfigError(f"--planner {name}: choose {' or '.join(PLANNERS)}")
    if name == "gemini" and configure().gemini_api_key is None:
        raise ConfigError("--planner gemini: set GEMINI_API_KEY")


def _later_sessions(demo: Demo, group: MarketGroup) -> Sequence[Session] | None:
    """The sessions after the first one; None when only one was asked for."""
    if demo.until is None:
        return None
    if demo.session is None:
        raise ConfigError("--until needs --date: which session is the first?")
    if demo.until < demo.session:
        raise ConfigError(f"--until {demo.until}: is before --date {demo.session}")
    require_session(group, demo.session)
    return sessions_between(group, demo.session + timedelta(days=1), demo.until)


@dataclass
class _Play:
    """What is played, where, and before whom."""

    demo: Demo
    group: MarketGroup
    home: Path
    place: dict[str, Any]
    view: LiveView
    played: list[dict[str, Any]] = field(default_factory=list)

    async def one(self) -> dict[str, Any]:
        async with self._stage() as runtime:
            answer = await self._session(runtime, require_session(self.group, self._first))
        answer["data_notes"] = self.place["data_notes"]
        return answer

    async def all_of(
        self,
        later: Sequence[Session],
        twin: TwinChild,
        on_session: Callable[[dict[str, Any]], None],
    ) -> dict[str, Any]:
        """The first session and all of ``later``; the answer is their total."""
        first = require_session(self.group, self._first)
        async with self._stage() as runtime:
            for session in (first, *later):
                begun = time.monotonic()
                if session is not first:
                    await asyncio.to_thread(_begin, twin, session.date)
                    # Whoever waits for a stepped clock moves it, and reads it anew.
                    await runtime.clock.sleep_until(session.open_at - runtime.pre_market)
                answer = await self._session(runtime, session)
                answer["wall_seconds"] = round(time.monotonic() - begun, 2)
                self.played.append(answer)
                on_session(answer)
            return summarize_span(runtime.store, group=self.group, sessions=self.played)

    @property
    def _first(self) -> date:
        return date.fromisoformat(self.place["session"])

    async def _session(self, runtime: Runtime, session: Session) -> dict[str, Any]:
        from flows.trading_day import trading_day

        self.view.follow(runtime, self.group, session.date)
        _require_completed(await trading_day(self.group.value))
        account = await runtime.broker.account(self.group)
        return summarize(runtime.store, group=self.group, session=session.date, account=account)

    @asynccontextmanager
    async def _stage(self) -> AsyncIterator[Runtime]:
        """The runtime of all sessions, shared with the flows."""
        demo = self.demo
        chosen = {"planner_provider": "gemini"} if demo.planner == "gemini" else {}
        settings = configure(
            ouroboros_home=self.home,
            db_path=self.home / "trades.db",
            lock_dir=self.home,
            backup_enabled=True,
            backup_dir=self.home / "backups",
            backup_export="none",
            backup_encryption_key=None,
            s3_bucket_name=None,
            mode="paper",
            kis_app_key=None,
            kis_app_secret=None,
            kis_account_no=None,
            twin_url=self.place["url"],
            enabled_markets=(self.group,),
            rescan_interval_seconds=demo.every,
            planner_max_stocks=MAX_STOCKS,
            telegram_enabled=False,
            **chosen,
        )
        watched = tuple(
            Instrument(row["symbol"], Market(row["market"]), row["name"])
            for row in self.place["busiest"]
        )
        here: dict[str, Any] = {
            "universe": Universe(always=watched, max_candidates=MAX_STOCKS),
            "notifier": self.view,
            # News of today is none about the day that is played.
            "sources": Sources(),
        }
        if demo.planner == "rules":
            here |= {"planner": None, "language_model": None}
        async with open_runtime(settings, **here) as runtime:
            with shared(replace(runtime, on_tick=self.view.on_tick)):
                yield runtime


def _begin(twin: TwinChild, day: date) -> None:
    try:
        twin.begin_session(day)
    except TwinFailed as error:
        # Sessions were played by now, and what is kept of them stays.
        raise DemoFailed(str(error)) from None


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
