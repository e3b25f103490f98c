"""Single trades out of minute bars, with the running totals of the day.

A bar says where a minute opened, how far it went and where it ended; the stream tells trades. A
bar that rose is played open, low, high, close, one that fell open, high, low, close, spread over
its minute, its volume shared out among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from trading_core.model.price import MinuteBar, Quote
from trading_core.twin.venue import Venue

MINUTE_SECONDS = 60
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade and the day's totals right after it.

    ``bought``: the buyer came to the seller's price, as told by the last change of the price.
    ``strength`` is shares bought per share sold, in percent; 0 before anything was sold.
    """

    at: datetime
    price: Decimal
    quantity: int
    bought: bool
    open: Decimal
    high: Decimal
    low: Decimal
    opened_at: datetime
    high_at: datetime
    low_at: datetime
    volume: int
    turnover: Decimal
    buys: int
    sells: int
    bought_volume: int
    sold_volume: int

    @property
    def strength(self) -> Decimal:
        return Decimal(100 * self.bought_volume) / self.sold_volume if self.sold_volume else ZERO

    @property
    def bought_pct(self) -> Decimal:
        return Decimal(100 * self.bought_volume) / self.volume if self.volume else ZERO


def prints(bar: MinuteBar, until: datetime) -> list[tuple[datetime, Decimal, int]]:
    """Time, price and quantity of a bar's trades; their quantities add up to its volume.

    A minute with fewer shares than prices leaves out the extremes first, then the open. Nothing
    is later than ``until``, the moment the bar was over.
    """
    if bar.volume <= 0:
        return []
    inner = (bar.low, bar.high) if bar.close >= bar.open else (bar.high, bar.low)
    path = [bar.open]
    for price in (*inner, bar.close):
        if price != path[-1]:
            path.append(price)
    if bar.volume < len(path):
        path = [bar.open, bar.close][-bar.volume :]
    count = len(path)
    share, rest = divmod(bar.volume, count)
    step = (MINUTE_SECONDS - 1) // max(1, count - 1)
    return [
        (
            min(bar.start_at + timedelta(seconds=step * n), until),
            price,
            share + (rest if n == count - 1 else 0),
        )
        for n, price in enumerate(path)
    ]


class Tally:
    """The trades of one symbol, followed from the session's first to the latest.

    Args:
        venue: Where it is listed.
        symbol: Its code there.
        session: The venue's present session.
    """

    def __init__(self, venue: Venue, symbol: str, session: date) -> None:
        self._venue = venue
        self._symbol = symbol
        self.session = session
        self.last: Trade | None = None
        self._turnover = ZERO
        self._mark = datetime.combine(session - timedelta(days=1), time.min, UTC)

    def catch_up(self) -> list[Trade]:
        """What was traded since the last call, the first time since the session's first trade.

        The totals of the last trade are those of the venue's present quote.
        """
        now, since = self._venue.now, self._mark
        if now <= since:
            return []
        bars = self._venue.bars_between(self._symbol, after=since, until=now)
        self._mark = now
        quote = self._venue.quote(self._symbol)
        if quote is None:
            return []
        trades = list(self._trades([part for bar in bars for part in prints(bar, now)], quote))
        self._turnover = quote.turnover
        if trades:
            trades[-1] = self.last = replace(
                trades[-1],
                open=quote.open,
                high=quote.high,
                low=quote.low,
                volume=quote.volume,
                turnover=quote.turnover,
            )
        return trades

    def _trades(
        self, parts: Sequence[tuple[datetime, Decimal, int]], quote: Quote
    ) -> Iterator[Trade]:
        value = sum((price * quantity for _, price, quantity in parts), ZERO)
        gained = max(ZERO, quote.turnover - self._turnover)
        begun, so_far = self._turnover, ZERO
        last = self.last
        for at, price, quantity in parts:
            so_far += price * quantity
            turnover = begun + gained * so_far / value if value else begun
            last = _after(last, at, price, quantity, turnover)
            self.last = last
            yield last


def _after(
    last: Trade | None, at: datetime, price: Decimal, quantity: int, turnover: Decimal
) -> Trade:
    if last is None:
        return Trade(
            at, price, quantity, True, price, price, price, at, at, at, quantity, turnover,
            buys=1, sells=0, bought_volume=quantity, sold_volume=0,
        )  # fmt: skip
    bought = last.bought if price == last.price else price > last.price
    rose, fell = price > last.high, price < last.low
    return Trade(
        at=at,
        price=price,
        quantity=quantity,
        bought=bought,
        open=last.open,
        high=price if rose else last.high,
        low=price if fell else last.low,
        opened_at=last.opened_at,
        high_at=at if rose else last.high_at,
        low_at=at if fell else last.low_at,
        volume=last.volume + quantity,
        turnover=turnover,
        buys=last.buys + bought,
        sells=last.sells + (not bought),
        bought_volume=last.bought_volume + (quantity if bought else 0),
        sold_volume=last.sold_volume + (0 if bought else quantity),
    )
