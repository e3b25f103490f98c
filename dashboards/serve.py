"""``python -m dashboards.serve``: the pages behind Streamlit's server, with any of its options.

Loading what a page is drawn with takes seconds the first time. Here it is loaded while nobody looks
yet, so that the first visitor waits no longer than the second. Of the processors the pages get what
trading leaves.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from streamlit.web import cli

LAST_IN_TURN = 10
"""How much nicer than a trader this process is, as nice(2) counts."""
APP = Path(__file__).with_name("app.py")
_LOADED = ("pandas", "pyarrow", "altair", "dashboards.charts", "dashboards.entry", "httpx")


def warm_up() -> None:
    """Load the modules and read once what every page reads."""
    for name in _LOADED:
        import_module(name)
    from trading_core.errors import TradingError
    from trading_core.wiring import board, records

    # What is wrong is told by the page, to whoever opens it.
    with suppress(TradingError):
        for market in board.hours(board.clock().now()):
            board.today(market)
        records.read_operations()


def main() -> None:
    """Serve until told to stop."""
    os.nice(LAST_IN_TURN)
    threading.Thread(target=warm_up, name="warm-up", daemon=True).start()
    cli.main(["run", str(APP), *sys.argv[1:]])


if __name__ == "__main__":
    main()
