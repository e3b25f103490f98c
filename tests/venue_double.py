"""A venue of fixed prices for the server's tests: limit orders fill only when told to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from trading_core.model.market import Currency, Instrument, Market, MarketGroup
from trading_core.model.order import NoticeKind, OrderType, Side
from trading_core.model.price import (
    BookLevel,
    DailyBar,
    MinuteBar,
    OrderBook,
    Quote,
    Ranking,
    RankRow,
)
from trading_core.rules.calendar import Phase
from trading_core.rules.markets import currency_of
from trading_core.twin.venue import (
    AccountSpec,
    AccountView,
    NewOrder,
    RefusalKind,
    RowKind,
    TradingState,
    VenueFill,
    VenueHolding,
    VenueNotice,
    VenueOrder,
    VenueRefusal,
    VenueState,
)

ACCOUNT = "12345678-01"
# A Friday: 10:30 in Seoul, and 10:30 in New York.
KR_NOW = datetime(2026, 11, 20, 1, 30, tzinfo=UTC)
US_NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
SESSION = date(2026, 11, 20)
CONTINUOUS = TradingState(Phase.CONTINUOUS, halted=False)


class VenueDouble:
    """``prices`` maps an instrument to (last, previous close); cash never settles late.

    ``refuse`` makes the next order fail with that kind, ``requests`` are the orders as they came,
    ``states`` says which symbols do not trade continuously. Weekdays are sessions.
    """

    def __init__(
        self,
        group: MarketGroup,
        prices: dict[Instrument, tuple[str, str]],
        *,
        now: datetime,
        cash: str = "10000000",
    ) -> None:
        self.group = group
        self.now = now
        self.currency: Currency = currency_of(group)
        self.prices = {i.symbol: (i, Decimal(a), Decimal(b)) for i, (a, b) in prices.items()}
        self.specs = [AccountSpec(ACCOUNT, {self.currency: Decimal(cash)})]
        self.deposit = self.next_day = self.settled = Decimal(cash)
        self.reserved = self.bought = self.sold = Decimal(0)
        self.held: list[VenueHolding] = []
        self.rows: list[VenueOrder] = []
        self.executions: list[VenueFill] = []
        self.refuse: RefusalKind | None = None
        self.requests: list[NewOrder] = []
        self.states: dict[str, TradingState] = {}
        self.listeners: list[Callable[[VenueNotice], None]] = []

    def advance_to(self, at: datetime) -> list[VenueFill]:
        self.now = at
        return []

    def state(self) -> VenueState:
        counts = (len(self.prices), len(self.rows), len(self.executions))
        return VenueState(self.now, self.group, SESSION, True, *counts, [ACCOUNT])

    def instruments(self) -> Sequence[Instrument]:
        return [item for item, _, _ in self.prices.values()]

    def instrument(self, symbol: str) -> Instrument | None:
        return self.prices[symbol][0] if symbol in self.prices else None

    def quote(self, symbol: str) -> Quote | None:
        if symbol not in self.prices:
            return None
        item, last, base = self.prices[symbol]
        limits = (base * Decimal("1.3"), base * Decimal("0.7"))
        return Quote(
            item, last, base, max(last, base), min(last, base), base, 1000, self.now, last * 1000,
            *(limits if self.group is MarketGroup.KR else (None, None)),
        )  # fmt: skip

    def order_book(self, symbol: str) -> OrderBook | None:
        if symbol not in self.prices:
            return None
        item, last, _ = self.prices[symbol]
        step = Decimal("0.01") if self.group is MarketGroup.US else Decimal(100)
        asks = tuple(BookLevel(last + step * n, 10 * n) for n in range(1, 11))
        bids = tuple(BookLevel(last - step * n, 20 * n) for n in range(1, 11))
        return OrderBook(item, asks, bids, self.now)

    def trading_state(self, symbol: str) -> TradingState | None:
        return self.states.get(symbol, CONTINUOUS) if symbol in self.prices else None

    def daily_bars(
        self, symbol: str, *, start: date | None, end: date, adjusted: bool = True
    ) -> list[DailyBar]:
        """One bar a weekday, 300 of them up to the session, each close one above the last.

        As they were traded they are ten times as high: a split lies ahead of them all.
        """
        days = [SESSION - timedelta(days=n) for n in range(420)]
        days = [day for day in days if day.weekday() < 5][:300]
        bars = []
        for index, day in enumerate(reversed(days)):
            close = Decimal(1000 + index) * (1 if adjusted else 10)
            if (start is None or start <= day) and day <= end and symbol in self.prices:
                bars.append(DailyBar(day, close, close + 5, close - 5, close, 100 + index))
        return bars

    def bars_between(self, symbol: str, *, after: datetime, until: datetime) -> list[MinuteBar]:
        """The minutes of the session that end in (after, until]."""
        bars = self.minute_bars(symbol, session=SESSION, until=until)
        return [bar for bar in bars if after < bar.start_at + timedelta(minutes=1) <= until]

    def minute_bars(self, symbol: str, *, session: date, until: datetime) -> list[MinuteBar]:
        """Bars from 90 minutes before 'now' of that day on, close = 100, 101, ..."""
        if session.weekday() >= 5 or symbol not in self.prices:
            return []
        begin = datetime.combine(session, self.now.time(), UTC) - timedelta(minutes=90)
        starts = [begin + timedelta(minutes=n) for n in range(90)]
        return [
            MinuteBar(at, *(Decimal(100 + n),) * 4, volume=n + 1)
            for n, at in enumerate(starts)
            if at <= until
        ]

    def ranking(
        self, ranking: Ranking, market: Market, *, descending: bool = True
    ) -> list[RankRow]:
        quotes = [self.quote(s) for s, row in self.prices.items() if row[0].market is market]
        known = [quote for quote in quotes if quote is not None]
        known.sort(key=lambda quote: quote.change_pct, reverse=descending)
        return [
            RankRow(q.instrument, n, q.last, q.change_pct, q.volume) for n, q in enumerate(known, 1)
        ]

    def is_session(self, day: date) -> bool:
        return day.weekday() < 5

    def place(self, order: NewOrder) -> VenueOrder:
        if self.refuse is not None:
            raise VenueRefusal(self.refuse, "as told")
        if order.symbol not in self.prices:
            raise VenueRefusal(RefusalKind.UNKNOWN_SYMBOL, order.symbol)
        self.requests.append(order)
        row = self._append(
            RowKind.NEW,
            self.prices[order.symbol][0],
            order.side,
            order.order_type,
            order.quantity,
            order.limit_price,
        )
        row.pricing, row.time_in_force = order.pricing, order.time_in_force
        row.trigger_price = order.trigger_price
        self._tell(NoticeKind.ACCEPTED, row)
        return row

    def _append(
        self,
        kind: RowKind,
        instrument: Instrument,
        side: Side,
        order_type: OrderType,
        quantity: int,
        price: Decimal | None,
        original: int = 0,
    ) -> VenueOrder:
        row = VenueOrder(
            len(self.rows) + 1, kind, ACCOUNT, instrument, side, order_type, quantity, price,
            self.now, SESSION, original,
        )  # fmt: skip
        self.rows.append(row)
        return row

    def _working(self, order_no: int) -> VenueOrder:
        if not 0 < order_no <= len(self.rows):
            raise VenueRefusal(RefusalKind.ORIGINAL_NOT_FOUND, "no such order")
        row = self.rows[order_no - 1]
        if not row.remaining_quantity:
            raise VenueRefusal(RefusalKind.NOTHING_LEFT, "nothing left")
        return row

    def modify(
        self, account_no: str, order_no: int, *, limit_price: Decimal | None, quantity: int | None
    ) -> VenueOrder:
        row = self._working(order_no)
        moved = quantity or row.remaining_quantity
        row.cancelled_quantity += moved
        return self._done(
            RowKind.MODIFY, row.instrument, row.side, row.order_type, moved, limit_price, order_no
        )

    def cancel(self, account_no: str, order_no: int, *, quantity: int | None) -> VenueOrder:
        row = self._working(order_no)
        gone = quantity or row.remaining_quantity
        row.cancelled_quantity += gone
        return self._done(
            RowKind.CANCEL, row.instrument, row.side, row.order_type, gone, None, order_no
        )

    def _done(self, *terms: object) -> VenueOrder:
        """A modify or cancel, taken and in effect at once."""
        row = self._append(*terms)  # type: ignore[arg-type]
        self._tell(NoticeKind.ACCEPTED, row)
        self._tell(NoticeKind.CONFIRMED, row)
        return row

    def _tell(
        self, kind: NoticeKind, row: VenueOrder, execution: tuple[int, Decimal] | None = None
    ) -> None:
        quantity, price = execution or (row.quantity, row.limit_price)
        for listener in self.listeners:
            listener(VenueNotice(kind, copy(row), quantity, price, self.now))

    def listen(self, listener: Callable[[VenueNotice], None]) -> None:
        self.listeners.append(listener)

    def fill(self, order_no: int, quantity: int, price: str) -> None:
        """Let part of an order trade."""
        row = self.rows[order_no - 1]
        row.filled_quantity += quantity
        row.filled_amount += quantity * Decimal(price)
        row.last_fill_at = self.now
        self.executions.append(
            VenueFill(
                order_no, ACCOUNT, row.instrument, row.side, quantity, Decimal(price), self.now
            )
        )
        self._tell(NoticeKind.FILLED, row, (quantity, Decimal(price)))

    def reject(self, order_no: int) -> None:
        """Let the exchange refuse what is left of an order it had taken."""
        row = self.rows[order_no - 1]
        row.rejected_quantity += row.remaining_quantity
        self._tell(NoticeKind.REJECTED, row)

    def orders(self, account_no: str, *, start: date, end: date) -> list[VenueOrder]:
        return [row for row in self.rows if start <= row.session <= end]

    def fills(self, account_no: str) -> list[VenueFill]:
        return list(self.executions)

    def account(self, account_no: str, currency: Currency) -> AccountView:
        if account_no != ACCOUNT:
            raise VenueRefusal(RefusalKind.UNKNOWN_ACCOUNT, account_no)
        return AccountView(
            ACCOUNT, currency, self.deposit, self.next_day, self.settled, self.reserved,
            tuple(self.held), self.bought, self.sold, Decimal(0), Decimal(0),
        )  # fmt: skip

    def accounts(self) -> list[AccountSpec]:
        return self.specs


SAMSUNG = Instrument("005930", Market.KR, "삼성전자")
HYNIX = Instrument("000660", Market.KR, "SK하이닉스")
APPLE = Instrument("AAPL", Market.US_NASDAQ, "Apple")
FORD = Instrument("F", Market.US_NYSE, "Ford")


def korea() -> VenueDouble:
    """Samsung up 1.43 % at 71,000 won and Hynix down 2 % at 98,000 won."""
    prices = {SAMSUNG: ("71000", "70000"), HYNIX: ("98000", "100000")}
    return VenueDouble(MarketGroup.KR, prices, now=KR_NOW)


def america() -> VenueDouble:
    """Apple up 1 % at 202 dollars and Ford down 5 % at 9.50 dollars."""
    prices = {APPLE: ("202", "200"), FORD: ("9.50", "10")}
    return VenueDouble(MarketGroup.US, prices, now=US_NOW, cash="50000.55")


def holding(instrument: Instrument, quantity: int, average: str, last: str) -> VenueHolding:
    return VenueHolding(instrument, quantity, quantity, Decimal(average), Decimal(last), 0, 0)
