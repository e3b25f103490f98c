"""Where a session stands: collected for an auction, traded continuously, in a break or over."""

from __future__ import annotations

from datetime import datetime, timedelta

from trading_core.rules.calendar import Phase, Session, local_date, phase_at
from trading_core.twin.columns import closing_auction_minutes

_LONGEST_OPENING = 90


def opening_auction_minutes(hours: Session) -> int:
    """Minutes before the open in which orders for the opening auction are collected."""
    return sum(
        phase_at(hours.group, hours.open_at - timedelta(minutes=n)) is Phase.OPENING_AUCTION
        for n in range(1, _LONGEST_OPENING + 1)
    )


class SessionPhases:
    """The phases of the one session a venue plays; every other date is closed.

    ``auction_from`` is when orders for the opening auction are first taken (the open itself where
    that auction takes no minutes), ``quiet_from`` when continuous trading ends.
    """

    def __init__(self, hours: Session) -> None:
        self._hours = hours
        self.auction_from = hours.open_at - timedelta(minutes=opening_auction_minutes(hours))
        self.quiet_from = hours.close_at - timedelta(minutes=closing_auction_minutes(hours))

    @property
    def closes_by_auction(self) -> bool:
        """Whether minutes before the close collect orders for one price."""
        return self.quiet_from < self._hours.close_at

    def at(self, now: datetime) -> Phase:
        hours = self._hours
        if now < hours.open_at or now >= hours.close_at:
            if local_date(hours.group, now) != hours.date:
                return Phase.CLOSED
            if now >= hours.close_at:
                return Phase.AFTER_CLOSE
            return Phase.OPENING_AUCTION if now >= self.auction_from else Phase.PRE_OPEN
        if hours.in_break(now):
            return Phase.LUNCH
        return Phase.CLOSING_AUCTION if now >= self.quiet_from else Phase.CONTINUOUS
