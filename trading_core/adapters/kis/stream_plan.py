"""Which registrations a session should have, which it has, and the next step between the two."""

from __future__ import annotations

from collections.abc import Sequence

from trading_core.adapters.kis.routes import DomesticVenue
from trading_core.adapters.kis.stream_layouts import (
    NOTICE_TRS,
    book_key,
    offered,
    trade_key,
)
from trading_core.adapters.kis.stream_link import Registration
from trading_core.adapters.kis.tr_table import Personality
from trading_core.model.market import Instrument

MOST_REGISTRATIONS = 41


class StreamPlan:
    """Order notices come first, then trades in the order asked for, then books while room is left.

    ``present`` is what the session has now, in the order it was registered.
    """

    def __init__(
        self,
        personality: Personality,
        hts_id: str,
        *,
        books: bool,
        route: DomesticVenue,
        limit: int,
    ) -> None:
        self._personality = personality
        self._books = books
        self._route: DomesticVenue = route
        self._limit = limit
        trs = NOTICE_TRS[personality] if hts_id else ()
        self._notices = tuple(Registration(tr_id, hts_id) for tr_id in trs)
        self._asked: tuple[Instrument, ...] = ()
        self._trades: dict[Instrument, Registration] = {}
        self._refused: set[Registration] = set()
        self.wanted: tuple[Registration, ...] = self._notices[:limit]
        self.present: dict[Registration, None] = {}

    @property
    def followed(self) -> tuple[Instrument, ...]:
        """Instruments whose trades are to be told of."""
        return tuple(self._trades)

    @property
    def has_notices(self) -> bool:
        """Whether every kind of order notice is registered."""
        return bool(self._notices) and all(it in self.present for it in self._notices)

    @property
    def left_out(self) -> tuple[Instrument, ...]:
        """What was asked for and is not streamed: no room, not offered, or refused."""
        return tuple(
            instrument
            for instrument in self._asked
            if (trade := self._trades.get(instrument)) is None or trade in self._refused
        )

    def want(self, instruments: Sequence[Instrument]) -> bool:
        """Follow these instead of the ones before; False when nothing changes by that."""
        asked = tuple(dict.fromkeys(instruments))
        if asked == self._asked:
            return False
        self._asked = asked
        streamed = [it for it in asked if offered(it, self._personality)]
        room = max(self._limit - len(self._notices), 0)
        self._trades = {it: Registration(*trade_key(it, self._route), it) for it in streamed[:room]}
        wanted = [*self._notices, *self._trades.values()]
        if self._books:
            wanted += [Registration(*book_key(it, self._route), it) for it in self._trades]
        self.wanted = tuple(wanted[: self._limit])
        self._refused.clear()
        return True

    def begin_anew(self) -> None:
        """A new session has no registration, and may be given what another one was refused."""
        self.present.clear()
        self._refused.clear()

    def next_step(self) -> tuple[Registration, bool] | None:
        """A registration to make (True) or to release (False, these first); None when done."""
        for registration in self.present:
            if registration not in self.wanted:
                return registration, False
        for registration in self.wanted:
            if registration not in self.present and registration not in self._refused:
                return registration, True
        return None

    def done(self, registration: Registration, *, on: bool) -> None:
        """The broker did it."""
        if on:
            self.present[registration] = None
        else:
            self.present.pop(registration, None)

    def refused(self, registration: Registration, *, on: bool) -> None:
        """The broker would not; it is not asked again for the same."""
        if on:
            self._refused.add(registration)
        else:
            self.present.pop(registration, None)
