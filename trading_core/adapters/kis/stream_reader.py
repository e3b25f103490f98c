"""From the records of a frame to events: all of a frame's records, or none of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from trading_core.adapters.kis import stream_values as values
from trading_core.adapters.kis import wire
from trading_core.adapters.kis.stream_frames import Garbled
from trading_core.adapters.kis.stream_layouts import Content, Stream
from trading_core.adapters.kis.stream_link import Registration
from trading_core.clock import Clock
from trading_core.errors import BrokerUnavailable
from trading_core.model.market import Instrument, Market
from trading_core.model.order import OrderNotice
from trading_core.model.price import OrderBook
from trading_core.ports import StreamEvent


class StreamReader:
    """Reads the records of what is followed, and the notices of one account.

    ``strangers`` counts the records of anything else.
    """

    def __init__(self, clock: Clock, account: str) -> None:
        self.quotes = values.QuoteMaker()
        self.strangers = 0
        self._clock = clock
        self._account = account
        self._instruments: dict[str, Instrument] = {}

    def follow(self, registrations: Iterable[Registration]) -> None:
        """Read the records of these; forget what is known of the others."""
        kept = {it.tr_key: it.instrument for it in registrations if it.instrument is not None}
        for instrument in set(self._instruments.values()) - set(kept.values()):
            self.quotes.forget(instrument)
        # A layout without the real-time symbol names the plain one.
        abroad = {it.symbol: it for it in kept.values() if it.market is not Market.KR}
        self._instruments = abroad | kept

    def read(self, tr_id: str, stream: Stream, records: Sequence[wire.Row]) -> list[StreamEvent]:
        """The events of a frame, in the order of its records.

        Raises:
            Garbled: one of its records could not be read.
        """
        now = self._clock.now()
        try:
            found = [self._one(stream, row, now) for row in records]
        except BrokerUnavailable:
            raise Garbled("number", tr_id) from None
        except Garbled as garbled:
            raise Garbled(garbled.kind, tr_id) from None
        events: list[StreamEvent] = []
        for item in found:
            made = self.quotes.quote(item) if isinstance(item, values.Trade) else item
            if made is not None:
                events.append(made)
        return events

    def _one(
        self, stream: Stream, row: wire.Row, now: datetime
    ) -> values.Trade | OrderBook | OrderNotice | None:
        if stream.content in (Content.KR_NOTICE, Content.NOTICE):
            return self._notice(stream, row, now)
        key = "MKSC_SHRN_ISCD" if stream.domestic else "RSYM" if "RSYM" in row else "SYMB"
        instrument = self._instruments.get(wire.text(row, key))
        if instrument is None:
            self.strangers += 1
            return None
        if stream.content is Content.BOOK:
            book = values.domestic_book if stream.domestic else values.overseas_book
            return book(row, instrument, now)
        trade = values.domestic_trade if stream.domestic else values.overseas_trade
        return trade(row, instrument, now)

    def _notice(self, stream: Stream, row: wire.Row, now: datetime) -> OrderNotice | None:
        account = wire.text(row, "ACNT_NO")
        if not account:
            raise Garbled("notice")
        if account != self._account:
            # One login may own several accounts.
            self.strangers += 1
            return None
        read = values.domestic_notice if stream.domestic else values.overseas_notice
        return read(row, now)
