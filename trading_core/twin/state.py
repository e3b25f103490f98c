"""A twin's state file: an append-only journal that survives the death of the process.

One JSON object a line. The first line says what the file belongs to; every later one is an effect,
written to the file before the reply that tells of it leaves. Nothing waits for the disk, so a
killed process loses nothing, a power cut may lose the last moments.

The clock would fill the file by itself, so a line about it is written over, in place and at the
same width, until something else happens.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trading_core.errors import ConfigError, TradingError

VERSION = 1
_PAGE = 4096
_CLOCK = '{"do":"clock","at":"%s"}\n'
_log = logging.getLogger(__name__)

Event = dict[str, Any]


class StateLost(TradingError):
    """The state file could not be written; the twin takes no further orders."""


class StateFile:
    """The journal of one twin; at most one process has it open.

    Args:
        path: Made when it is not there.
        identity: What the file belongs to (markets, sessions, tapes, accounts), as JSON values.

    Raises:
        ConfigError: the file belongs to something else, is damaged, is in use or cannot be used.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be used: {error.strerror}") from None
        try:
            self._lock()
            self._end = self._begin(identity)
        except BaseException:
            os.close(self._file)
            raise
        self._broken = False
        self._clock_at = -1
        self._clock_first = True
        self._clock_last: datetime | None = None

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(
                f"{self.path}: another twin is using it; stop that one or name another file"
            ) from None

    def _begin(self, identity: Mapping[str, Any]) -> int:
        """Check or write the first line and cut off a torn last one; returns where to go on."""
        end = self._whole_lines()
        if not end:
            line = json.dumps({"twin_state": VERSION, "of": identity}, ensure_ascii=False) + "\n"
            os.pwrite(self._file, line.encode(), 0)
            return len(line.encode())
        with self.path.open("rb") as lines:
            head = _parsed(lines.readline())
        if head.get("twin_state") != VERSION or not isinstance(head.get("of"), dict):
            raise ConfigError(f"{self.path}: is not a twin's state file")
        _require_same(self.path, head["of"], json.loads(json.dumps(identity)))
        return end

    def _whole_lines(self) -> int:
        """Bytes up to the end of the last whole line; what follows was being written and goes."""
        size = os.fstat(self._file).st_size
        end, block = size, b""
        while end and (at := block.rfind(b"\n")) < 0:
            begin = max(0, end - _PAGE)
            block = os.pread(self._file, end - begin, begin)
            if (at := block.rfind(b"\n")) >= 0:
                end = begin + at + 1
                break
            end = begin
        if end < size:
            _log.warning("%s: its last line was not finished and is left out", self.path)
            os.ftruncate(self._file, end)
        return end

    def events(self) -> Iterator[tuple[int, Event]]:
        """The effects so far, oldest first, each with its line number.

        Raises:
            ConfigError: a line is not one of this file's.
        """
        with self.path.open("rb") as lines:
            next(lines)
            for number, line in enumerate(lines, 2):
                event = _parsed(line)
                if not isinstance(event.get("do"), str):
                    raise ConfigError(f"{self.path}: line {number} is damaged")
                yield number, event

    def append(self, event: Mapping[str, Any]) -> None:
        """Write an effect.

        Raises:
            StateLost: it could not be written, now or before.
        """
        self._write(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n")
        self._clock_at, self._clock_first = -1, True

    def clock(self, at: datetime) -> None:
        """Write where the clock stands (aware UTC).

        The first reading after an effect keeps its line; later ones share the next.
        """
        if at == self._clock_last:
            return
        self._clock_last = at
        line = _CLOCK % at.astimezone(UTC).isoformat(timespec="microseconds")
        # A write within a page cannot be torn by a kill; one across two could mix two readings.
        if self._clock_at >= 0 and self._clock_at // _PAGE == (self._end - 1) // _PAGE:
            self._put(line.encode(), self._clock_at)
            return
        begun = self._end
        self._write(line)
        self._clock_at = -1 if self._clock_first else begun
        self._clock_first = False

    def require_writable(self) -> None:
        """Raises :class:`StateLost` when an effect could not be written before."""
        if self._broken:
            raise StateLost(f"{self.path}: could not be written; start the twin again")

    def _write(self, line: str) -> None:
        raw = line.encode()
        self._put(raw, self._end)
        self._end += len(raw)

    def _put(self, raw: bytes, at: int) -> None:
        self.require_writable()
        try:
            written = os.pwrite(self._file, raw, at)
        except OSError as error:
            self._broken = True
            raise StateLost(f"{self.path}: cannot be written: {error.strerror}") from None
        if written != len(raw):
            self._broken = True
            raise StateLost(f"{self.path}: cannot be written: the disk is full")

    def close(self) -> None:
        """Let go of the file; safe to call twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _parsed(line: bytes) -> Event:
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _require_same(path: Path, written: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for key in dict.fromkeys([*wanted, *written]):
        if written.get(key) != wanted.get(key):
            raise ConfigError(
                f"{path}: was written with {key} {_brief(written.get(key))}, not "
                f"{_brief(wanted.get(key))}; start with what it was written with, or name "
                "another file"
            )


def _brief(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
