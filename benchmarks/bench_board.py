"""What the dashboard costs with a year of sessions: pages, and the ticks that go on beside them.

``python -m benchmarks.bench_board [HOME]`` prints one line per page, and the time a tick's write
takes while nobody looks and while ten browsers do, in turns. HOME holds a store made before with
``python -m tests.board_store HOME``; without it one is made and thrown away.
"""

from __future__ import annotations

import itertools
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("today", "playbook", "scorecard", "performance")
BROWSERS, REFRESH_SECONDS, SLOWLY = 10, 5.0, 6
ROUNDS, WRITES, EVERY_SECONDS = 4, 40, 0.5


def pages() -> None:
    """First content with nothing kept, and a refresh, of every page; the modules are loaded."""
    import streamlit as st
    from streamlit.testing.v1 import AppTest

    logging.disable(logging.CRITICAL)
    print(f"{'page':12s} {'first content':>14s} {'store held':>11s} {'refresh':>9s}")
    for page in PAGES:
        app = AppTest.from_file(str(ROOT / "dashboards" / "views" / f"{page}.py"))
        app.default_timeout = 120
        app.session_state["language"] = "en"
        app.run()
        first, held, again = [], [], []
        for _ in range(5):
            st.cache_data.clear()
            with _time_held() as spans:
                first.append(_seconds(app.run))
            held.append(sum(spans))
            again.append(_seconds(app.run))
        print(f"{page:12s} {_ms(first):>14s} {_ms(held):>11s} {_ms(again):>9s}", flush=True)


def _seconds(call: object) -> float:
    begun = time.perf_counter()
    call()  # type: ignore[operator]
    return time.perf_counter() - begun


def _ms(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.0f} ms"


@contextmanager
def _time_held() -> Iterator[list[float]]:
    """Collects how long the store was held by each read inside."""
    from trading_core.adapters.duck.store import DuckStore

    spans: list[float] = []
    before = DuckStore._reading

    @contextmanager
    def timed(store: DuckStore, as_of: object) -> Iterator[object]:
        begun = time.perf_counter()
        with before(store, as_of) as reader:  # type: ignore[arg-type]
            yield reader
        spans.append(time.perf_counter() - begun)

    DuckStore._reading = timed  # type: ignore[method-assign, assignment]
    try:
        yield spans
    finally:
        DuckStore._reading = before  # type: ignore[method-assign]


def look() -> None:
    """Be ten browsers while the last line of the input says so: each reads Today every five
    seconds, and all that the other pages read every thirty."""
    from dashboards import data
    from tests.board_store import LAST
    from trading_core.wiring import board, records

    logging.disable(logging.CRITICAL)
    wanted = threading.Event()

    def browser(number: int) -> None:
        time.sleep(number * REFRESH_SECONDS / BROWSERS)
        for refresh in itertools.count():
            wanted.wait()
            data.read_fresh(board.today, "KR")
            if refresh % SLOWLY == 0:
                data.read(records.read_operations)
                data.read(board.playbook, "KR", LAST)
                data.read(board.performance, ("KR",), None)
            time.sleep(REFRESH_SECONDS)

    for number in range(BROWSERS):
        threading.Thread(target=browser, args=(number,), daemon=True).start()
    for line in sys.stdin:
        (wanted.set if line.strip() == "on" else wanted.clear)()


def ticks() -> None:
    """The time of a tick's write, alone and with ten browsers, in turns."""
    from benchmarks.bench_store import tick
    from tests.board_store import LAST
    from tests.record_factories import SESSION
    from trading_core.wiring import open_store

    assert SESSION == LAST
    store, number = open_store(), 10_000
    spans: dict[str, list[float]] = {"alone": [], "ten browsers": []}
    command = [sys.executable, "-m", "benchmarks.bench_board", "--look"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, text=True) as browsers:
        assert browsers.stdin
        for turn in range(-1, 2 * ROUNDS):
            name = "alone" if turn % 2 == 0 else "ten browsers"
            browsers.stdin.write("off\n" if name == "alone" else "on\n")
            browsers.stdin.flush()
            for _ in range(WRITES):
                number += 1
                rows = tick(number)
                begun = time.perf_counter()
                with store.write() as tx:
                    tx.append(rows)
                # The first turn is for the browsers to come up.
                if turn >= 0:
                    spans[name].append(time.perf_counter() - begun)
                time.sleep(EVERY_SECONDS)
        browsers.stdin.close()
    print(f"\n{'a write of 220 rows':20s} {'p50':>8s} {'p90':>8s} {'p95':>8s} {'max':>8s}")
    for name, took in spans.items():
        cuts = statistics.quantiles(took, n=20)
        row = (statistics.median(took), cuts[17], cuts[18], max(took))
        print(f"{name:20s} " + " ".join(f"{value * 1000:5.0f} ms" for value in row))


def main() -> None:
    if "--look" in sys.argv:
        look()
        return
    with tempfile.TemporaryDirectory() as place:
        home = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(place)
        os.environ |= {
            "OUROBOROS_HOME": str(home),
            "ENABLED_MARKETS": "KR",
            "PREFECT_API_URL": "http://127.0.0.1:9/api",
        }
        if not (home / "trades.db").exists():
            from tests.board_store import make_year

            print(f"making a year: {_seconds(lambda: make_year(home / 'trades.db')):.0f} s")
        pages()
        ticks()


if __name__ == "__main__":
    main()
