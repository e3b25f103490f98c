"""What is new about one symbol since the stream last told of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from trading_core.model.market import Instrument, MarketGroup
from trading_core.twin.stream import domestic, overseas
from trading_core.twin.stream.domestic import Record, View
from trading_core.twin.stream.layouts import Content, Stream
from trading_core.twin.stream.tally import Tally, Trade
from trading_core.twin.venue import TradingState, Venue
from trading_core.twin.wire.desk import Desk

QUIET = timedelta(seconds=1)


class Feed:
    """One symbol, followed from the moment somebody registered it."""

    def __init__(self, desk: Desk, venue: Venue, instrument: Instrument) -> None:
        self._desk = desk
        self._venue = venue
        self._symbol = instrument.symbol
        self._domestic = venue.group is MarketGroup.KR
        self._tally = Tally(venue, self._symbol, desk.session(venue))
        self._tally.catch_up()
        self._view = self._seen()
        self._looked_at = venue.now
        self._trades: list[Trade] = []
        self._before: View | None = None
        self._repeat = False

    def _seen(self) -> View | None:
        quote = self._venue.quote(self._symbol)
        state = self._venue.trading_state(self._symbol)
        book = self._venue.order_book(self._symbol)
        if quote is None or state is None or book is None:
            return None
        previous = self._desk.history(self._venue, self._symbol).previous_volume
        return View(quote, state, book, previous)

    def look(self, *, repeat: bool) -> bool:
        """Find out what is new since the last look; False when nothing can be.

        ``repeat``: a book is told although it did not change, and however short the time.
        """
        now, then = self._venue.now, self._looked_at
        same_minute = now.replace(second=0, microsecond=0) <= then
        if not repeat and same_minute and now - then < QUIET:
            return False
        session = self._desk.session(self._venue)
        if session != self._tally.session:
            self._tally = Tally(self._venue, self._symbol, session)
        self._looked_at = now
        self._repeat = repeat
        self._trades = self._tally.catch_up()
        self._before, self._view = self._view, self._seen()
        return self._view is not None

    def records(self, stream: Stream) -> list[Record]:
        """What is to be told through a TR; ``RSYM`` of foreign records is left to the caller."""
        if self._view is None:
            return []
        return _TOLD[stream.content](self, self._view, stream)

    def _trade_records(self, view: View, stream: Stream) -> list[Record]:
        if not self._trades:
            return []
        if self._domestic:
            return domestic.trade_records(view, self._trades)
        return overseas.trade_records(view, self._trades, self._tally.session)

    def _book_records(self, view: View, stream: Stream) -> list[Record]:
        old = self._before
        if not self._repeat and old is not None and _shown(old) == _shown(view):
            return []
        if self._domestic:
            return [domestic.book_record(view, old.book if old else None)]
        return [overseas.book_record(view, stream.levels)]

    def _expected_records(self, view: View, stream: Stream) -> list[Record]:
        old = self._before
        if not self._repeat and old is not None and _expected(old.state) == _expected(view.state):
            return []
        told = domestic.expected_record(view, self._tally.last)
        return [] if told is None else [told]

    def _state_records(self, view: View, stream: Stream) -> list[Record]:
        old = self._before
        changed = old is not None and _kind(old.state) != _kind(view.state)
        return [domestic.state_record(view)] if changed else []


_TOLD: Mapping[Content, Callable[[Feed, View, Stream], list[Record]]] = {
    Content.TRADE: Feed._trade_records,
    Content.BOOK: Feed._book_records,
    Content.EXPECTED: Feed._expected_records,
    Content.MARKET_STATE: Feed._state_records,
}


def _shown(view: View) -> tuple[object, ...]:
    """What an order book's record depends on, its time aside."""
    return (
        view.book.asks,
        view.book.bids,
        view.quote.volume,
        _kind(view.state),
        _expected(view.state),
    )


def _kind(state: TradingState) -> tuple[object, ...]:
    return state.phase, state.halted, state.interrupted


def _expected(state: TradingState) -> tuple[object, ...]:
    return state.expected_price, state.expected_quantity
