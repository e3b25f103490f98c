"""The newest lines of the log files in a folder, with secrets masked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

_TAIL_BYTES = 256 * 1024


def log_names(folder: Path) -> list[str]:
    """Names of the logs in a folder, without ``.log``; none where there is no such folder."""
    try:
        return sorted(path.stem for path in folder.glob("*.log") if path.is_file())
    except OSError:
        return []


def tail(folder: Path, name: str, lines: int, clean: Callable[[str], str]) -> list[str]:
    """The last lines of a log, oldest first; at most what the last 256 KiB hold.

    Args:
        name: One of :func:`log_names`; anything else has no lines.
        clean: What masks secrets in a text.
    """
    if name not in log_names(folder):
        return []
    try:
        with (folder / f"{name}.log").open("rb") as file:
            size = file.seek(0, 2)
            begin = max(size - _TAIL_BYTES, 0)
            file.seek(begin)
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    found = text.splitlines()
    # The first of a part is half a line.
    return clean("\n".join(found[1 if begin else 0 :][-lines:])).splitlines()
