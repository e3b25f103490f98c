"""What the request handlers stand on: the venues, the accounts and what is known of the past."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, TypeVar

from trading_core.errors import DataError
from trading_core.model.market import Currency, Market, MarketGroup
from trading_core.model.order import Side
from trading_core.model.price import DailyBar, Quote
from trading_core.rules.costs import trade_costs
from trading_core.rules.markets import currency_of
from trading_core.twin.exchange_rates import rates_at
from trading_core.twin.venue import AccountView, Venue, VenueFill, VenueHolding, VenueOrder
from trading_core.twin.wire.codes import account_error
from trading_core.twin.wire.envelope import Call
from trading_core.twin.wire.order_types import Route

T = TypeVar("T")

SATURDAY = 5
# Rendered bars of this many requests are kept.
REMEMBERED = 400
YEAR_OF_SESSIONS = 250
Personality = Literal["real", "paper", "both"]
"""Which of the broker's hosts to be; ``both`` lets each request's TR id say which it means."""


@dataclass(frozen=True, slots=True)
class Extremes:
    """Highest and lowest price of a span, and when; zeros and no date without any."""

    high: Decimal = Decimal(0)
    high_on: date | None = None
    low: Decimal = Decimal(0)
    low_on: date | None = None

    def with_day(self, quote: Quote, today: date) -> Extremes:
        """With what the present day has seen so far."""
        high, high_on, low, low_on = self.high, self.high_on, self.low, self.low_on
        if quote.high > high:
            high, high_on = quote.high, today
        if quote.low > 0 and (not low or quote.low < low):
            low, low_on = quote.low, today
        return Extremes(high, high_on, low, low_on)


@dataclass(frozen=True, slots=True)
class History:
    """The sessions before today of one instrument, summed up; zeros without any.

    ``year`` are 365 days, ``this_year`` the days since its first, ``recent`` the bars, oldest
    first, of that year.
    """

    year: Extremes = Extremes()
    this_year: Extremes = Extremes()
    sessions_250: Extremes = Extremes()
    previous: DailyBar | None = None
    average_volume: int = 0
    recent: tuple[DailyBar, ...] = ()

    @property
    def previous_volume(self) -> int:
        return self.previous.volume if self.previous else 0


class Desk:
    """The venues behind one server, found by market group.

    An account of a currency whose market no venue plays has its opening cash and no holdings.
    """

    def __init__(
        self,
        venues: Sequence[Venue],
        *,
        personality: Personality,
        rates: Mapping[Currency, Decimal] | None = None,
    ) -> None:
        if not venues:
            raise ValueError("a server needs at least one venue")
        self.venues = tuple(venues)
        self.personality: Personality = personality
        self._rates = rates
        self._by_group = {venue.group: venue for venue in venues}
        self._sessions: dict[MarketGroup, tuple[datetime, date]] = {}
        self._kept: dict[tuple[MarketGroup, str, str], tuple[date, Any]] = {}
        self._remembered: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
        self.routes: dict[tuple[date, int], Route] = {}
        if len(self._by_group) != len(self.venues):
            raise ValueError("two venues play the same market group")

    @property
    def paper(self) -> bool:
        return self.personality == "paper"

    def serves(self, hosts: Collection[str]) -> bool:
        """Whether a request that only these hosts take is taken here."""
        return self.personality == "both" or self.personality in hosts

    @property
    def rates(self) -> Mapping[Currency, Decimal]:
        """Won for one unit of each currency now."""
        return self._rates or rates_at(self.now)

    @property
    def now(self) -> datetime:
        """The clock all venues share, aware UTC."""
        return max(venue.now for venue in self.venues)

    def advance_to(self, at: datetime) -> list[VenueFill]:
        """Move every venue's clock; a venue that is already there stays."""
        fills: list[VenueFill] = []
        for venue in self.venues:
            if at > venue.now:
                fills += venue.advance_to(at)
        return fills

    def venue(self, group: MarketGroup) -> Venue | None:
        return self._by_group.get(group)

    def account_no(self, call: Call) -> str:
        """The venue's number of the account a request names.

        Raises:
            WireError: no venue knows such an account.
        """
        wanted = call.text("CANO") + call.text("ACNT_PRDT_CD")
        for venue in self.venues:
            for spec in venue.accounts():
                digits = spec.account_no.replace("-", "")
                if wanted in (digits, f"{digits}01" if len(digits) == 8 else digits):
                    return spec.account_no
        raise account_error()

    def view(self, account_no: str, group: MarketGroup) -> AccountView:
        """One currency of an account, with the holdings of that group's exchanges only."""
        currency = currency_of(group)
        venue = self._by_group.get(group)
        if venue is not None and any(s.account_no == account_no for s in venue.accounts()):
            return venue.account(account_no, currency)
        specs = [s for v in self.venues for s in v.accounts() if s.account_no == account_no]
        cash = next((s.cash[currency] for s in specs if currency in s.cash), Decimal(0))
        zero = Decimal(0)
        return AccountView(account_no, currency, cash, cash, cash, zero, (), zero, zero, zero, zero)

    def holdings(self, view: AccountView, group: MarketGroup) -> list[VenueHolding]:
        """Holdings of the group by symbol."""
        mine = [h for h in view.holdings if h.instrument.market in group.markets]
        return sorted(mine, key=lambda holding: holding.instrument.symbol)

    def session(self, venue: Venue) -> date:
        """The venue's session; asked once for each position of its clock."""
        now = venue.now
        known = self._sessions.get(venue.group)
        if known is None or known[0] != now:
            known = self._sessions[venue.group] = (now, venue.state().session)
        return known[1]

    def history(self, venue: Venue, symbol: str) -> History:
        """A year of sessions before the present one; read once a session."""

        def read() -> History:
            session = self.session(venue)
            start, end = session - timedelta(days=365), session - timedelta(days=1)
            return summarise(venue.daily_bars(symbol, start=start, end=end), session)

        return self.kept(venue, "history", symbol, read)

    def kept(self, venue: Venue, what: str, symbol: str, make: Callable[[], T]) -> T:
        """What ``make`` says of a symbol, made once a session."""
        session = self.session(venue)
        key = (venue.group, what, symbol)
        known = self._kept.get(key)
        if known is None or known[0] != session:
            known = self._kept[key] = (session, make())
        value: T = known[1]
        return value

    def remembered(self, key: tuple[Any, ...], make: Callable[[], T]) -> T:
        """What ``make`` gave for ``key``, which must say all it depends on; the oldest goes."""
        if key in self._remembered:
            self._remembered.move_to_end(key)
        else:
            self._remembered[key] = make()
            if len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
        value: T = self._remembered[key]
        return value

    def route(self, session: date, order_no: int) -> Route:
        """The route of a domestic order; KRX unless another one was named with it."""
        return self.routes.get((session, order_no), Route.KRX)

    def remember_route(self, row: VenueOrder, route: Route) -> None:
        """Keep the route of a new row."""
        if route is not Route.KRX:
            self.routes[row.session, row.order_no] = route


def opens_on(venue: Venue | None, day: date) -> bool | None:
    """Whether the venue opens that day; None beyond its calendar. Weekdays without a venue."""
    if venue is None:
        return day.weekday() < SATURDAY
    try:
        return venue.is_session(day)
    except (DataError, ValueError):
        return None


def affordable(cash: Decimal, price: Decimal, market: Market, on: date) -> int:
    """How many shares ``cash`` buys at ``price``, costs included, in any number of shares."""
    if price <= 0 or cash <= 0:
        return 0
    most = cash // price
    costs = trade_costs(market, Side.BUY, most * price, on, quantity=int(most))
    return max(0, int((cash - costs.total) // price))


def extremes(bars: Sequence[DailyBar]) -> Extremes:
    """Of the sessions in which something traded."""
    traded = [bar for bar in bars if bar.low > 0]
    if not traded:
        return Extremes()
    top = max(traded, key=lambda bar: bar.high)
    bottom = min(traded, key=lambda bar: bar.low)
    return Extremes(top.high, top.session, bottom.low, bottom.session)


def summarise(bars: Sequence[DailyBar], session: date) -> History:
    """Extremes, last bar and 20-session average volume of bars that are oldest first."""
    if not bars:
        return History()
    newest = bars[-20:]
    return History(
        year=extremes(bars),
        this_year=extremes([bar for bar in bars if bar.session.year == session.year]),
        sessions_250=extremes(bars[-YEAR_OF_SESSIONS:]),
        previous=bars[-1],
        average_volume=sum(bar.volume for bar in newest) // len(newest),
        recent=tuple(bars),
    )


def grouped(bars: Sequence[DailyBar], period: str) -> list[DailyBar]:
    """Bars by day (``D``), week, month or year, oldest first, each dated by its last session."""
    if period not in ("W", "M", "Y"):
        return list(bars)
    merged: list[DailyBar] = []
    previous_key: tuple[int, ...] = ()
    for bar in bars:
        day = bar.session
        key: tuple[int, ...] = (day.year,) if period == "Y" else (day.year, day.month)
        if period == "W":
            key = day.isocalendar()[:2]
        if merged and key == previous_key:
            last = merged[-1]
            lows = [low for low in (last.low, bar.low) if low > 0]
            merged[-1] = DailyBar(
                session=day,
                open=last.open or bar.open,
                high=max(last.high, bar.high),
                low=min(lows, default=Decimal(0)),
                close=bar.close,
                volume=last.volume + bar.volume,
            )
        else:
            merged.append(bar)
        previous_key = key
    return merged
