"""Session tables on disk, so that a short process need not import pandas to know the hours."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import os
import tempfile
import zlib
from collections.abc import Iterable
from datetime import UTC, date, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from trading_core.model.market import MarketGroup
from trading_core.rules import calendar, calendar_exceptions
from trading_core.rules.sessions import Session, SessionTable

logger = logging.getLogger(__name__)

_FORMAT = 1

SHIPPED = Path(__file__).parent / "session_tables"
"""Tables made by ``make calendars``; building one takes seconds that a first run need not pay."""


@cache
def _table_version() -> str:
    library = version("exchange-calendars")
    return f"{_FORMAT}:{library}:{calendar_exceptions.fingerprint()}"


class SessionCache:
    """Session tables as one JSON file per calendar, ``sessions-XKRX.json``, under a directory.

    A file is used when it was written by the same library version and exception table and its
    checksum holds; otherwise the tables that come with the program are looked at in the same way,
    and only then the table is built again and the file replaced as a whole.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def path(self, group: MarketGroup) -> Path:
        """Where the table of a group is kept."""
        return self._directory / f"sessions-{calendar.calendar_name(group) or group}.json"

    def load(self, group: MarketGroup) -> SessionTable:
        """The table from disk, or a new one, which is then stored."""
        table = _read(self.path(group), group) or _read(shipped_path(group), group)
        if table is None:
            table = calendar.build_sessions(group)
            self._write(table)
        return table

    def warm(self, groups: Iterable[MarketGroup]) -> None:
        """Load these groups and install them for :mod:`trading_core.rules.calendar`."""
        for group in groups:
            calendar.install_sessions(self.load(group))

    def _write(self, table: SessionTable) -> None:
        stored = _document(table)
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._directory, suffix=".part")
            with os.fdopen(handle, "w", encoding="utf-8") as part:
                json.dump(stored, part, separators=(",", ":"))
            Path(name).replace(self.path(table.group))
        except OSError as error:
            # The table itself is good; the next process only has to build it again.
            logger.warning("session cache %s was not written: %s", self.path(table.group), error)


def shipped_path(group: MarketGroup) -> Path:
    """Where the table that comes with the program lies; it may be of an older version."""
    return SHIPPED / f"sessions-{calendar.calendar_name(group) or group}.json.gz"


def ship(group: MarketGroup) -> None:
    """Build a group's table anew and put it among those that come with the program."""
    SHIPPED.mkdir(exist_ok=True)
    text = json.dumps(_document(calendar.build_sessions(group)), separators=(",", ":"))
    shipped_path(group).write_bytes(gzip.compress(text.encode(), mtime=0))


def _read(path: Path, group: MarketGroup) -> SessionTable | None:
    try:
        content = path.read_bytes()
        stored = json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)
        if stored["version"] != _table_version() or stored["group"] != group:
            return None
        rows = stored["sessions"]
        if stored["checksum"] != _checksum(rows):
            raise ValueError("checksum does not hold")
        return SessionTable(
            group,
            date.fromisoformat(stored["first_day"]),
            date.fromisoformat(stored["last_day"]),
            tuple(_decode(group, row) for row in rows),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zlib.error) as error:
        logger.warning("session table %s is unusable: %s", path, error)
        return None


def _document(table: SessionTable) -> dict[str, Any]:
    rows = [_encode(session) for session in table.sessions]
    return {
        "version": _table_version(),
        "group": table.group.value,
        "first_day": table.first_day.isoformat(),
        "last_day": table.last_day.isoformat(),
        "checksum": _checksum(rows),
        "sessions": rows,
    }


def _checksum(rows: list[Any]) -> str:
    return hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode()).hexdigest()


def _encode(session: Session) -> list[Any]:
    moments = session.open_at, session.close_at, session.break_start_at, session.break_end_at
    return [
        session.date.isoformat(),
        *(None if moment is None else int(moment.timestamp()) for moment in moments),
    ]


def _decode(group: MarketGroup, row: list[Any]) -> Session:
    day, *moments = row
    open_at, close_at, break_start_at, break_end_at = (
        None if moment is None else datetime.fromtimestamp(moment, UTC) for moment in moments
    )
    if open_at is None or close_at is None:
        raise ValueError(f"no open or close on {day}")
    return Session(group, date.fromisoformat(day), open_at, close_at, break_start_at, break_end_at)
