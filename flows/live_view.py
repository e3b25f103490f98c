"""What a person sees while a day is played: a progress bar and a line per trade."""

from __future__ import annotations

from datetime import date
from types import TracebackType
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from trading_core.model.journal import Notification
from trading_core.model.market import MarketGroup
from trading_core.rules.calendar import require_session
from trading_core.rules.markets import zone_of
from trading_core.steps.opening import tick_times
from trading_core.steps.report import TickReport
from trading_core.wiring import Runtime

_STYLE = {"warning": "yellow", "critical": "bold red"}


class LiveView:
    """Progress on standard error, so that standard output stays for the result."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._console = Console(stderr=True, quiet=quiet, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("ticks"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=quiet,
        )
        self._zone = ZoneInfo("UTC")
        self._task = self._progress.add_task("waiting", total=None, visible=False)

    def __enter__(self) -> LiveView:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        self._console.print(text, style="dim")

    def follow(self, runtime: Runtime, group: MarketGroup, day: date) -> None:
        """Show the ticks of this session."""
        self._zone = ZoneInfo(zone_of(group))
        total = len(list(tick_times(require_session(group, day), runtime.interval)))
        self._progress.reset(self._task, description=f"{group} {day}", total=total, visible=True)

    channels: tuple[str, ...] = ()
    """Nothing of a day that is played goes out of the house."""

    async def send(self, notification: Notification) -> bool:
        """Implements ``ports.Notifier``: fills, and what is more than news, become a line."""
        if notification.kind == "order_filled" or notification.level != "info":
            at = f"{notification.at.astimezone(self._zone):%H:%M}"
            style = _STYLE.get(notification.level, "")
            line = notification.text.partition("\n")[0]
            self._console.print(f"{at}  {line}", style=style, markup=False)
        return True

    def on_tick(self, report: TickReport) -> None:
        """Advance the bar; what happened has come as notifications."""
        if report.halted:
            at = f"{report.at.astimezone(self._zone):%H:%M}"
            self._progress.update(self._task, description=f"[red]halted[/] {at}")
        self._progress.advance(self._task)
