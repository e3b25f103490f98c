"""The log files of an ``up``, as lines with the part's name in front."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

_BLOCK = 64 * 1024
_PAUSE_SECONDS = 0.25


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a file that may be large; nothing when there is none."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            text = b""
            while end and text.count(b"\n") <= count:
                begin = max(0, end - _BLOCK)
                file.seek(begin)
                text, end = file.read(end - begin) + text, begin
    except OSError:
        return []
    lines = text.decode(errors="replace").splitlines()
    return lines[-count:] if count else []


class Tail:
    """Whole lines that are written to a file from now on, across its rotation."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode, self._at = _size_of(path)
        self._rest = b""

    def read(self) -> list[str]:
        inode, size = _size_of(self._path)
        if inode != self._inode or size < self._at:
            self._inode, self._at, self._rest = inode, 0, b""
        if size <= self._at:
            return []
        with self._path.open("rb") as file:
            file.seek(self._at)
            block = file.read()
        self._at += len(block)
        *lines, self._rest = (self._rest + block).split(b"\n")
        return [line.decode(errors="replace") for line in lines]


def follow(names: Sequence[str], log_of: Callable[[str], Path]) -> Iterator[tuple[str, str] | None]:
    """New lines of several logs with their part's name; None after each look at all of them."""
    tails = {name: Tail(log_of(name)) for name in names}
    while True:
        for name, tail in tails.items():
            for line in tail.read():
                yield name, line
        yield None
        time.sleep(_PAUSE_SECONDS)


def _size_of(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_ino, found.st_size
