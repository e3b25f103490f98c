"""Sessions the exchange_calendars library lacks or gets wrong: our own dated table.

Each row was announced by the exchange or follows from a law. Where a newer library agrees with a
row the row does nothing, so rows may stay. Days shut at short notice (storms, elections called
late) cannot be here in advance: the broker's own holiday query is asked besides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta

from trading_core.model.market import MarketGroup

FIRST_DAY = date(2007, 1, 1)
LAST_DAY = date(2027, 12, 31)
"""The span asked of the library, which may know less (Shanghai publishes one year at a time)."""

VN_FIRST_DAY = date(2023, 1, 1)
VN_LAST_DAY = date(2026, 12, 31)


@dataclass(frozen=True, slots=True)
class Hours:
    """Opening hours of a session on the exchange's own clock."""

    open: time
    close: time
    break_start: time | None = None
    break_end: time | None = None


def _closed(name: str, first: date, last: date | None = None) -> Iterator[tuple[date, str]]:
    day = first
    while day <= (last or first):
        yield day, name
        day += timedelta(days=1)


CLOSED: Mapping[MarketGroup, Mapping[date, str]] = {
    # Public Holidays Act as amended in 2026: Constitution Day is a holiday again, Labour Day is
    # one for everybody, and both move to Monday when they fall on a weekend.
    MarketGroup.KR: dict(
        [
            *_closed("local elections", date(2026, 6, 3)),
            *_closed("Constitution Day", date(2026, 7, 17)),
            *_closed("substitute for Labour Day", date(2027, 5, 3)),
            *_closed("substitute for Constitution Day", date(2027, 7, 19)),
        ]
    ),
    # HKEX market communications of these days.
    MarketGroup.HK: dict(
        [
            *_closed("typhoon signal no. 8", date(2023, 9, 1)),
            *_closed("black rainstorm", date(2023, 9, 8)),
        ]
    ),
    # Yearly notices of HOSE, HNX and the Vietnam Exchange.
    MarketGroup.VN: dict(
        [
            *_closed("New Year's Day, observed", date(2023, 1, 2)),
            *_closed("Tet", date(2023, 1, 20), date(2023, 1, 26)),
            *_closed("Reunification and Labour Day", date(2023, 5, 1), date(2023, 5, 3)),
            *_closed("National Day", date(2023, 9, 1), date(2023, 9, 4)),
            *_closed("New Year's Day", date(2024, 1, 1)),
            *_closed("Tet", date(2024, 2, 8), date(2024, 2, 14)),
            *_closed("Hung Kings", date(2024, 4, 18)),
            *_closed("Reunification and Labour Day", date(2024, 4, 29), date(2024, 5, 1)),
            *_closed("National Day", date(2024, 9, 2), date(2024, 9, 3)),
            *_closed("New Year's Day", date(2025, 1, 1)),
            *_closed("Tet", date(2025, 1, 27), date(2025, 1, 31)),
            *_closed("Hung Kings", date(2025, 4, 7)),
            *_closed("Reunification and Labour Day", date(2025, 4, 30), date(2025, 5, 2)),
            *_closed("National Day", date(2025, 9, 1), date(2025, 9, 2)),
            *_closed("New Year's Day", date(2026, 1, 1)),
            *_closed("Tet", date(2026, 2, 16), date(2026, 2, 20)),
            *_closed("Hung Kings, observed", date(2026, 4, 27)),
            *_closed("Reunification and Labour Day", date(2026, 4, 30), date(2026, 5, 1)),
            *_closed("National Day", date(2026, 8, 31), date(2026, 9, 2)),
            # Named a paid holiday in January 2026, after the exchanges had published their year.
            # Unconfirmed, and a day not traded costs less than a day traded by mistake.
            *_closed("Vietnam Culture Day", date(2026, 11, 24)),
        ]
    ),
}
"""Weekdays without a session, with the reason."""

_EXAM = Hours(time(10), time(16, 30))
_AFTERNOON_ONLY = Hours(time(13, 30), time(16))

HOURS: Mapping[MarketGroup, Mapping[date, Hours]] = {
    # College entrance exam: everything one hour later.
    MarketGroup.KR: {
        date(2021, 11, 18): _EXAM,
        date(2022, 11, 17): _EXAM,
        date(2023, 11, 16): _EXAM,
        date(2024, 11, 14): _EXAM,
        date(2025, 11, 13): _EXAM,
        date(2026, 11, 19): _EXAM,
        date(2027, 11, 18): _EXAM,
    },
    # Mornings lost to a typhoon and to a black rainstorm.
    MarketGroup.HK: {
        date(2020, 8, 19): _AFTERNOON_ONLY,
        date(2021, 6, 28): _AFTERNOON_ONLY,
    },
}
"""Sessions with hours of their own."""

BREAKS: Mapping[MarketGroup, tuple[tuple[date, time, time], ...]] = {
    MarketGroup.JP: (
        (FIRST_DAY, time(11), time(12, 30)),
        (date(2011, 11, 21), time(11, 30), time(12, 30)),
    ),
    MarketGroup.HK: (
        (FIRST_DAY, time(12, 30), time(14, 30)),
        (date(2011, 3, 7), time(12), time(13, 30)),
        (date(2012, 3, 5), time(12), time(13)),
    ),
}
"""Lunch breaks (since, start, end); the library applies today's to the past as well."""

VN_HOURS = Hours(time(9), time(14, 45), time(11, 30), time(13))
"""Trading hours of HOSE and HNX, closing auction included, post-close trading not."""


def fingerprint() -> str:
    """A hash that changes when any row of this table does."""
    rows = repr((FIRST_DAY, LAST_DAY, VN_FIRST_DAY, VN_LAST_DAY, CLOSED, HOURS, BREAKS, VN_HOURS))
    return hashlib.sha256(rows.encode()).hexdigest()[:16]
