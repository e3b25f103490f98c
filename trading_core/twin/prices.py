"""What can be seen of a tape at a moment, as exact values. Every read costs the same all day.

A *cursor* is the number of minute columns that are over; running totals are made once, so a quote
is a few array look-ups. Nothing here reads a column at or after the cursor.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np

from trading_core.model.market import Market
from trading_core.model.order import Side
from trading_core.model.price import DailyBar, MinuteBar, OrderBook, Quote, Ranking, RankRow
from trading_core.rules.calendar import local_date
from trading_core.rules.markets import daily_limits, lot_size
from trading_core.twin.book import Bar, Grid, share_of, synthetic_book, to_decimal
from trading_core.twin.bridge import Bars
from trading_core.twin.tape import Tape, day_history

ZERO = Decimal(0)
_Best = tuple[Decimal | None, Decimal | None]
_Shown = tuple[Decimal, Decimal, Decimal, Decimal, int, Decimal]


class Prices:
    """Reads of one tape. Prices in the market's currency, times aware UTC.

    ``turnover`` is estimated from bars: each minute's volume at the mean of its open, high, low
    and close.
    """

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        bars = tape.bars
        self._rows = {item.symbol: i for i, item in enumerate(tape.instruments)}
        self._starts = [datetime.fromtimestamp(int(s), UTC) for s in tape.starts]
        self._ends = [datetime.fromtimestamp(int(s), UTC) for s in tape.ends]
        self._end_seconds = [int(s) for s in tape.ends]
        self._high = np.fmax.accumulate(bars.high, axis=1)
        self._low = np.fmin.accumulate(bars.low, axis=1)
        self._volume = np.cumsum(bars.volume, axis=1)
        mean = (bars.open + bars.high + bars.low + bars.close) / 4
        self._turnover = np.cumsum(np.nan_to_num(mean) * bars.volume, axis=1)
        priced = np.isfinite(bars.close)
        self._first = np.where(priced.any(axis=1), priced.argmax(axis=1), priced.shape[1])
        self._grids: dict[int, Grid] = {}
        self._shown: dict[int, _Shown] = {}
        self._best: dict[int, _Best] = {}
        self._shown_at = -1
        self._base = [to_decimal(float(price)) for price in np.nan_to_num(tape.previous_close)]

    @property
    def session(self) -> date:
        return self._tape.session

    @property
    def columns(self) -> int:
        """The cursor at the end of the session."""
        return len(self._starts)

    def find(self, symbol: str) -> int | None:
        return self._rows.get(symbol)

    def row(self, symbol: str) -> int:
        return self._rows[symbol]

    def local_date(self, at: datetime) -> date:
        return local_date(self._tape.group, at)

    def columns_ended(self, at: datetime) -> int:
        """The cursor at a moment."""
        return bisect_right(self._end_seconds, at.timestamp())

    def start_of(self, column: int) -> datetime:
        return self._starts[column]

    def end_of(self, column: int) -> datetime:
        return self._ends[column]

    def lot(self, row: int, side: Side = Side.BUY) -> int:
        return lot_size(self._tape.instruments[row].market, side)

    def grid(self, row: int) -> Grid:
        grid = self._grids.get(row)
        if grid is None:
            item, etf = self._tape.instruments[row], bool(self._tape.etf[row])
            base, on = self._base[row], self._tape.session
            limits = None
            if base > 0:
                limits = daily_limits(item.market, base, on, etf=etf, symbol=item.symbol)
            upper, lower = limits or (None, None)
            grid = self._grids[row] = Grid(item.market, on, etf, upper, lower)
        return grid

    def is_auction(self, column: int) -> bool:
        """Whether a column is the closing auction."""
        return bool(self._tape.starts[column] == self._tape.ends[column])

    def traded_range(self, row: int, column: int) -> tuple[float, float] | None:
        """(low, high) of a minute; None when nothing traded in it."""
        bars = self._tape.bars
        if bars.volume[row, column] == 0 or self._tape.halted[row]:
            return None
        return float(bars.low[row, column]), float(bars.high[row, column])

    def bar(self, row: int, column: int, *, single: bool) -> Bar:
        """A minute as matching sees it; ``single`` when it begins with a single price."""
        bars = self._tape.bars
        return Bar(
            begins=self._starts[column],
            open=to_decimal(bars.open[row, column]),
            high=to_decimal(bars.high[row, column]),
            low=to_decimal(bars.low[row, column]),
            close=to_decimal(bars.close[row, column]),
            volume=int(bars.volume[row, column]),
            auction=self.is_auction(column),
            single=single,
        )

    def last(self, row: int, cursor: int) -> Decimal:
        return self._show(row, cursor)[0]

    def quote(self, row: int, cursor: int, at: datetime) -> Quote:
        last, opened, high, low, volume, turnover = self._show(row, cursor)
        grid = self.grid(row)
        return Quote(
            instrument=self._tape.instruments[row],
            last=last,
            open=opened,
            high=high,
            low=low,
            previous_close=self._base[row],
            volume=volume,
            at=at,
            turnover=turnover,
            upper_limit=grid.upper,
            lower_limit=grid.lower,
            halted=bool(self._tape.halted[row]),
        )

    def _show(self, row: int, cursor: int) -> _Shown:
        """(last, open, high, low, volume, turnover); converted once per symbol and minute."""
        if cursor != self._shown_at:
            self._shown.clear()
            self._best.clear()
            self._shown_at = cursor
        shown = self._shown.get(row)
        if shown is None:
            first, column = int(self._first[row]), cursor - 1
            if column < first:
                shown = (self._base[row], ZERO, ZERO, ZERO, 0, ZERO)
            else:
                bars = self._tape.bars
                shown = (
                    to_decimal(bars.close[row, column]),
                    to_decimal(bars.open[row, first]),
                    to_decimal(self._high[row, column]),
                    to_decimal(self._low[row, column]),
                    int(self._volume[row, column]),
                    to_decimal(round(float(self._turnover[row, column]), 2)),
                )
            self._shown[row] = shown
        return shown

    def standing(self, row: int, cursor: int) -> int:
        """Shares at the best price of either side: our share of the last minute's volume."""
        if cursor == 0 or self._tape.halted[row]:
            return 0
        return share_of(int(self._tape.bars.volume[row, cursor - 1]), self.lot(row))

    def best(self, row: int, cursor: int) -> _Best:
        """(ask, bid): the tape's own where it has them, else one increment around the last.

        At the upper limit there is no ask, at the lower limit no bid.
        """
        last = self.last(row, cursor)
        if cursor == 0 or last <= 0:
            return None, None
        best = self._best.get(row)
        if best is None:
            best = self._best[row] = self._quoted(row, cursor, last)
        return best

    def _quoted(self, row: int, cursor: int, last: Decimal) -> _Best:
        grid, tape = self.grid(row), self._tape
        if tape.bid is not None and tape.ask is not None:
            bid, ask = tape.bid[row, cursor - 1], tape.ask[row, cursor - 1]
            if bid == bid and ask == ask:
                return grid.up(to_decimal(ask)), grid.down(to_decimal(bid))
        return grid.above(last), grid.below(last)

    def order_book(self, row: int, cursor: int, at: datetime, *, quiet: bool) -> OrderBook:
        item = self._tape.instruments[row]
        first = 0 if quiet else self.standing(row, cursor)
        best = self.best(row, cursor)
        return synthetic_book(item, at, best, self.grid(row), first, cursor)

    def daily_bars(
        self, row: int, cursor: int, start: date | None, end: date, *, adjusted: bool
    ) -> list[DailyBar]:
        """History and, from the first trade on, today's forming bar."""
        tape = self._tape
        known = None if adjusted else tape.as_traded.get(row)
        history = day_history(tape.history, row) if known is None else known
        dates, prices = history.dates, history.prices
        low = 0 if start is None else int(np.searchsorted(dates, np.datetime64(start, "D")))
        high = int(np.searchsorted(dates, np.datetime64(end, "D"), side="right"))
        days: list[date] = dates[low:high].astype(object).tolist()
        result = [
            DailyBar(
                day,
                to_decimal(prices[0, i]),
                to_decimal(prices[1, i]),
                to_decimal(prices[2, i]),
                to_decimal(prices[3, i]),
                int(history.volume[i]),
            )
            for i, day in enumerate(days, start=low)
        ]
        wanted = (start is None or start <= tape.session) and tape.session <= end
        last, opened, top, bottom, volume, _ = self._show(row, cursor)
        if wanted and opened > 0:
            result.append(DailyBar(tape.session, opened, top, bottom, last, volume))
        return result

    def minute_bars(self, row: int, cursor: int, until: datetime) -> list[MinuteBar]:
        """Bars that are over, from the symbol's first one to the last that began by ``until``."""
        first = int(self._first[row])
        stop = min(cursor, bisect_right(self._starts, until))
        return self._listed(row, first, stop)

    def bars_between(
        self, row: int, cursor: int, after: datetime, until: datetime
    ) -> list[MinuteBar]:
        """Bars that ended in (after, until] and are over."""
        first = max(int(self._first[row]), bisect_right(self._ends, after))
        stop = min(cursor, bisect_right(self._ends, until))
        return self._listed(row, first, stop)

    def _listed(self, row: int, first: int, stop: int) -> list[MinuteBar]:
        bars = self._tape.bars
        return [minute_bar(bars, row, c, self._starts[c]) for c in range(first, stop)]

    def ranking(
        self, ranking: Ranking, market: Market, cursor: int, descending: bool
    ) -> list[RankRow]:
        """Instruments of a market by day change or volume; ties keep the tape's order."""
        tape = self._tape
        rows = np.array(
            [i for i, item in enumerate(tape.instruments) if item.market is market], dtype=int
        )
        if not len(rows):
            return []
        base = tape.previous_close[rows]
        last, volume = base.copy(), np.zeros(len(rows), dtype=np.int64)
        if cursor:
            now = tape.bars.close[rows, cursor - 1]
            last = np.where(np.isfinite(now), now, base)
            volume = self._volume[rows, cursor - 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            change = np.where(base > 0, (last / base - 1) * 100, 0.0)
        key = change if ranking is Ranking.FLUCTUATION else volume.astype(np.float64)
        order = np.argsort(-key if descending else key, kind="stable")
        return [
            RankRow(
                tape.instruments[rows[i]],
                rank,
                to_decimal(last[i]),
                float(change[i]),
                int(volume[i]),
            )
            for rank, i in enumerate(order, start=1)
        ]


def minute_bar(bars: Bars, row: int, column: int, start_at: datetime) -> MinuteBar:
    """One bar of a block as exact values."""
    return MinuteBar(
        start_at,
        to_decimal(bars.open[row, column]),
        to_decimal(bars.high[row, column]),
        to_decimal(bars.low[row, column]),
        to_decimal(bars.close[row, column]),
        int(bars.volume[row, column]),
    )
