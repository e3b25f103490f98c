"""The venue as a broker, in process: no wire, no waiting. For replays at full speed and tests."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation

from trading_core.errors import NotOffered, OrderRejected
from trading_core.model.market import Instrument, MarketGroup
from trading_core.model.order import ApprovedOrder, BrokerOrder, OrderAck
from trading_core.model.portfolio import Account, Holding
from trading_core.model.price import DailyBar, MinuteBar, OrderBook, Quote, Ranking, RankRow
from trading_core.rules.calendar import session_on
from trading_core.rules.markets import currency_of
from trading_core.twin.exchange_rates import rates_at
from trading_core.twin.venue import NewOrder, RefusalKind, Venue, VenueOrder, VenueRefusal


class SimulatedBroker:
    """Fills the ``Broker`` and ``MarketData`` ports with one account of one venue.

    The venue's clock belongs to whoever drives it; no call here moves it. Nothing is ever of
    unknown outcome. Another group than the venue's, or a symbol it does not list, is
    ``NotOffered``.
    """

    def __init__(self, venue: Venue, account_no: str) -> None:
        self._venue = venue
        self._account_no = account_no

    # --- Broker -----------------------------------------------------------------------------

    async def account(self, group: MarketGroup) -> Account:
        self._require_group(group)
        currency = currency_of(group)
        view = self._venue.account(self._account_no, currency)
        return Account(
            currency=currency,
            cash=view.settled,
            orderable=view.orderable,
            holdings=tuple(
                Holding(h.instrument, h.quantity, h.sellable, h.average_price, h.last_price)
                for h in view.holdings
                if h.quantity > 0
            ),
            at=self._venue.now,
            krw_rate=rates_at(self._venue.now)[currency],
        )

    async def orders(self, group: MarketGroup, session: date) -> Sequence[BrokerOrder]:
        self._require_group(group)
        rows = self._venue.orders(self._account_no, start=session, end=session)
        return [_broker_order(row) for row in rows]

    async def submit(self, order: ApprovedOrder) -> OrderAck:
        """Raises ``TypeError`` for anything that did not pass the risk gate."""
        if not isinstance(order, ApprovedOrder):
            raise TypeError(f"only an ApprovedOrder can be sent, not {type(order).__name__}")
        intent = order.intent
        self._require_group(intent.instrument.market.group)
        wanted = NewOrder(
            account_no=self._account_no,
            symbol=intent.instrument.symbol,
            side=intent.side,
            order_type=intent.order_type,
            quantity=intent.quantity,
            limit_price=intent.limit_price,
        )
        try:
            return _ack(self._venue.place(wanted))
        except VenueRefusal as refusal:
            raise _rejected(refusal) from None

    async def cancel(self, order: BrokerOrder) -> OrderAck:
        """Cancel all that remains."""
        try:
            return _ack(self._venue.cancel(self._account_no, int(order.order_no), quantity=None))
        except VenueRefusal as refusal:
            raise _rejected(refusal) from None

    async def modify(self, order: BrokerOrder, *, limit_price: str) -> OrderAck:
        try:
            price = Decimal(limit_price)
        except InvalidOperation:
            raise OrderRejected(
                f"{limit_price!r} is not a price", RefusalKind.PRICE_INCREMENT.value
            ) from None
        try:
            row = self._venue.modify(
                self._account_no, int(order.order_no), limit_price=price, quantity=None
            )
        except VenueRefusal as refusal:
            raise _rejected(refusal) from None
        return _ack(row)

    # --- MarketData -------------------------------------------------------------------------

    async def quote(self, instrument: Instrument) -> Quote:
        quote = self._venue.quote(instrument.symbol)
        if quote is None:
            raise _not_listed(instrument)
        return quote

    async def quotes(
        self, instruments: Sequence[Instrument], *, held: Collection[str] = ()
    ) -> dict[str, Quote]:
        """Quotes by symbol; those not listed are left out, and none at all is ``NotOffered``."""
        found = {i.symbol: quote for i in instruments if (quote := self._venue.quote(i.symbol))}
        if instruments and not found:
            raise _not_listed(instruments[0])
        return found

    async def order_book(self, instrument: Instrument) -> OrderBook:
        book = self._venue.order_book(instrument.symbol)
        if book is None:
            raise _not_listed(instrument)
        return book

    async def daily_bars(
        self, instrument: Instrument, *, until: date, count: int
    ) -> Sequence[DailyBar]:
        self._require_listed(instrument)
        bars = self._venue.daily_bars(instrument.symbol, start=None, end=until)
        return bars[-count:] if count > 0 else []

    async def minute_bars(
        self, instrument: Instrument, *, until: datetime, count: int
    ) -> Sequence[MinuteBar]:
        self._require_listed(instrument)
        session = self._venue.state().session
        bars = self._venue.minute_bars(instrument.symbol, session=session, until=until)
        return bars[-count:] if count > 0 else []

    async def ranking(self, group: MarketGroup, ranking: Ranking) -> Sequence[RankRow]:
        """All markets of the group in one list, ranked anew."""
        self._require_group(group)
        rows = [row for market in group.markets for row in self._venue.ranking(ranking, market)]
        if ranking is Ranking.FLUCTUATION:
            rows.sort(key=lambda row: -row.change_pct)
        else:
            rows.sort(key=lambda row: -row.volume)
        return [
            RankRow(row.instrument, rank, row.last, row.change_pct, row.volume)
            for rank, row in enumerate(rows, start=1)
        ]

    async def is_trading_day(self, group: MarketGroup, day: date) -> bool:
        if group is self._venue.group:
            return self._venue.is_session(day)
        return session_on(group, day) is not None

    def _require_group(self, group: MarketGroup) -> None:
        if group is not self._venue.group:
            raise NotOffered(f"this venue trades {self._venue.group}, not {group}")

    def _require_listed(self, instrument: Instrument) -> None:
        if self._venue.instrument(instrument.symbol) is None:
            raise _not_listed(instrument)


def _ack(row: VenueOrder) -> OrderAck:
    return OrderAck(_number(row.order_no), "", row.ordered_at)


def _broker_order(row: VenueOrder) -> BrokerOrder:
    return BrokerOrder(
        order_no=_number(row.order_no),
        instrument=row.instrument,
        side=row.side,
        quantity=row.quantity,
        filled_quantity=row.filled_quantity,
        filled_amount=row.filled_amount,
        remaining_quantity=row.remaining_quantity,
        limit_price=row.limit_price,
        currency=currency_of(row.instrument.market.group),
        session=row.session,
        ordered_at=row.ordered_at,
        original_no=_number(row.original_no) if row.original_no else "",
        cancelled_quantity=row.cancelled_quantity,
        rejected_quantity=row.rejected_quantity,
    )


def _number(order_no: int) -> str:
    """Ten digits with leading zeros, as the broker writes them."""
    return f"{order_no:010d}"


def _rejected(refusal: VenueRefusal) -> OrderRejected:
    return OrderRejected(str(refusal), refusal.kind.value)


def _not_listed(instrument: Instrument) -> NotOffered:
    return NotOffered(f"{instrument.symbol} is not listed on this venue")
