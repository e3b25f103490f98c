"""The hours in which the broker takes orders: an exchange's phases and the sessions around them.

Korea's second exchange (NXT) and the KRX after-market keep the hours in force since 2026-09-14;
before that date only the regular session is known here. The hours around the US session are the
broker's own: pre-market from 04:00 in New York, after-market until 17:00, and a day session at
another venue from 10:00 in Seoul to the pre-market.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from zoneinfo import ZoneInfo

from trading_core.adapters.kis.tokens import SEOUL
from trading_core.errors import DataError, NotOffered
from trading_core.model.market import MarketGroup
from trading_core.rules.calendar import Phase, phase_at, session_on
from trading_core.rules.sessions import Session

_NEW_KOREAN_HOURS = date(2026, 9, 14)
_KOREAN_EVENING_ENDS = time(20)
_NEW_YORK = ZoneInfo("America/New_York")
_US_PRE_MARKET, _US_AFTER_MARKET_ENDS = time(4), time(17)
_US_DAY_SESSION = time(10)


class Window(Enum):
    """A stretch of the day with rules of its own; the value completes a sentence."""

    CLOSED = "while the market is shut"
    PRE_OPEN = "before the market opens"
    DAY_SESSION = "in the day session"
    PRE_MARKET = "in the pre-market"
    OPENING_AUCTION = "in the opening auction"
    CONTINUOUS = "in the session"
    LUNCH = "in the lunch break"
    CLOSING_AUCTION = "in the closing auction"
    AFTER_CLOSE = "after the close"
    AFTER_MARKET = "in the after-market"

    @property
    def when(self) -> str:
        return str(self.value)


def window_at(group: MarketGroup, venue: str, at: datetime) -> Window:
    """What ``at`` is at a venue of the group (``KRX``, ``NXT``, ``SOR``, ``NASD`` ...).

    Raises:
        NotOffered: the calendar does not know that date, so no order may be sent on it.
    """
    try:
        phase = phase_at(group, at)
        if group is MarketGroup.US and phase is not Phase.CONTINUOUS:
            return _around_new_york(phase, at)
        if group is MarketGroup.KR and phase is not Phase.CLOSED:
            session = session_on(group, at.astimezone(SEOUL).date())
            if session is not None and session.date >= _NEW_KOREAN_HOURS:
                return _korean(session, phase, venue, at)
    except DataError as error:
        raise NotOffered(f"no orders without a calendar: {error}") from None
    return Window[phase.name]


def _korean(session: Session, phase: Phase, venue: str, at: datetime) -> Window:
    opens, closes = session.open_at, session.close_at
    evening = datetime.combine(session.date, _KOREAN_EVENING_ENDS, SEOUL)
    if venue == "NXT":
        if opens - timedelta(minutes=60) <= at < opens - timedelta(minutes=10):
            return Window.PRE_MARKET
        # It starts half a minute after the KRX and has no auctions.
        if phase is Phase.CONTINUOUS and at < opens + timedelta(seconds=30):
            return Window.OPENING_AUCTION
        evening_begins = closes + timedelta(minutes=10)
    else:
        evening_begins = closes + timedelta(minutes=30)
    if phase is Phase.AFTER_CLOSE and evening_begins <= at < evening:
        return Window.AFTER_MARKET if venue != "SOR" else Window.AFTER_CLOSE
    return Window[phase.name]


def _around_new_york(phase: Phase, at: datetime) -> Window:
    local = at.astimezone(_NEW_YORK)
    if phase is Phase.PRE_OPEN and local.time() >= _US_PRE_MARKET:
        return Window.PRE_MARKET
    if phase is Phase.AFTER_CLOSE and local.time() < _US_AFTER_MARKET_ENDS:
        return Window.AFTER_MARKET
    # The day session belongs to the coming session, and begins on New York's evening before it.
    day = at.astimezone(SEOUL).date()
    ends = datetime.combine(day, _US_PRE_MARKET, _NEW_YORK).astimezone(UTC)
    begins = datetime.combine(day, _US_DAY_SESSION, SEOUL).astimezone(UTC)
    if begins <= at < ends and session_on(MarketGroup.US, day) is not None:
        return Window.DAY_SESSION
    return Window[phase.name]
