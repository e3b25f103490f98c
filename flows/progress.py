"""How far long work is, on the error output of a terminal; silent anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from trading_core.ports.safekeeping import Progress, no_progress

SHOWN_FROM = 4 * 1024 * 1024
"""Less is done before it can be read."""


@contextmanager
def shown(quiet: bool) -> Iterator[Progress]:
    """A bar for each kind of work that is told of.

    A little work shows nothing; ``quiet`` shows nothing ever.
    """
    if quiet or not sys.stderr.isatty():
        yield no_progress
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description:<9}"), BarColumn(), DownloadColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        known: dict[str, TaskID] = {}

        def report(what: str, done: int, total: int) -> None:
            if total < SHOWN_FROM and what != "export":
                return
            if what not in known:
                known[what] = bars.add_task(what, total=total)
            bars.update(known[what], completed=done, total=total)

        yield report
