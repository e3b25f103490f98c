"""A market that never was: seeded, with sectors, fat tails, gaps, halts and limit moves.

Daily returns are market factor + sector factor + a Student t(4) residual, split into an overnight
gap and the session; the session's minutes are bridged as for real daily bars. The same arguments
give the same arrays.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from trading_core.model.market import Instrument, Market, MarketGroup
from trading_core.rules.calendar import Session, require_session, sessions_between
from trading_core.rules.markets import daily_limits
from trading_core.twin.bridge import Floats, Ints, increments, snap
from trading_core.twin.columns import bridged, closing_auction_minutes, minute_columns
from trading_core.twin.levels import DayHistory
from trading_core.twin.tape import Tape, day_history, stack

HISTORY_SESSIONS = 120
_SYMBOLS = {MarketGroup.KR: 200, MarketGroup.US: 100}
_FEWER = 60
_PRICE = {
    MarketGroup.KR: 24_000.0,
    MarketGroup.US: 70.0,
    MarketGroup.JP: 2_200.0,
    MarketGroup.HK: 25.0,
    MarketGroup.CN: 20.0,
    MarketGroup.VN: 32_000.0,
}
_SECTORS = (
    ("Electronics", "전자"),
    ("Semiconductor", "반도체"),
    ("Bio", "바이오"),
    ("Chemical", "화학"),
    ("Motors", "모터스"),
    ("Financial", "금융지주"),
    ("Software", "소프트"),
    ("Energy", "에너지"),
    ("Foods", "식품"),
    ("Steel", "제강"),
)
_STEMS_KR = (
    "한빛",
    "가온",
    "누리",
    "다온",
    "라온",
    "마루",
    "미르",
    "벼리",
    "새롬",
    "아라",
    "온새",
    "윤슬",
    "이든",
    "차온",
    "하늘",
    "해솔",
    "한결",
    "다솜",
    "늘봄",
    "도담",
)
_STEMS_EN = (
    "Alder",
    "Birch",
    "Cedar",
    "Delta",
    "Ember",
    "Falcon",
    "Granite",
    "Harbor",
    "Iris",
    "Juniper",
    "Keystone",
    "Lumen",
    "Meridian",
    "Nova",
    "Orchard",
    "Pioneer",
    "Quarry",
    "Ridge",
    "Summit",
    "Tidal",
)
_MARKET_VOLATILITY = 0.009
_SECTOR_VOLATILITY = 0.007


@dataclass(frozen=True)
class _Cast:
    instruments: tuple[Instrument, ...]
    sectors: Ints


def synthetic_tape(
    group: MarketGroup,
    session: date,
    *,
    symbols: int | Sequence[str] | None = None,
    seed: int = 0,
    after: Tape | None = None,
) -> Tape:
    """A made-up session with 120 sessions of daily history.

    Args:
        symbols: How many instruments, or their symbols; 200 in Korea and 100 in the US when not
            given. From 20 instruments on a few are halted, and where daily limits exist two end
            the day locked at one.
        after: The session played before, with the same instruments. It ends the history, and the
            new session begins where it closed; without it the past is drawn anew.

    Raises:
        NotASession: the exchange is shut on that date.
    """
    hours = require_session(group, session)
    cast = _cast(group, symbols, seed)
    count = len(cast.instruments)
    rng = np.random.default_rng([seed, zlib.crc32(group.encode()), session.toordinal()])
    halted = np.zeros(count, dtype=bool)
    locked = np.zeros(count, dtype=np.int64)
    if count >= 20:
        special = rng.permutation(count)
        halted[special[: max(2, count // 60)]] = True
        locked[special[-1]], locked[special[-2]] = 1, -1
    dates = _dates_before(hours)
    prices, volume = _daily(rng, group, cast, len(dates) + 1)
    prices = _on_grid(prices, cast, session)
    days = [DayHistory(dates, prices[:, i, :-1], volume[i, :-1]) for i in range(count)]
    previous, new, traded = prices[3, :, -2], prices[:, :, -1], volume[:, -1]
    if after is not None:
        days = _days_with(after)
        level = np.array([day.prices[3, -1] for day in days])
        new = _on_grid((new * level / previous)[:, :, np.newaxis], cast, session)[:, :, 0]
        traded = np.maximum(traded * previous / level, 1).astype(np.int64)
        previous = level
    today = _today(new, previous, cast, session, locked)
    shares = np.where(halted, 0, traded)
    bars = bridged(
        [item.symbol for item in cast.instruments],
        [item.market for item in cast.instruments],
        hours,
        seed,
        (today[0], today[1], today[2], today[3]),
        shares,
    )
    starts, ends = minute_columns(hours, auction=closing_auction_minutes(hours) > 0)
    return Tape(
        hours=hours,
        instruments=cast.instruments,
        starts=starts,
        ends=ends,
        bars=bars,
        previous_close=previous,
        halted=halted,
        etf=np.zeros(count, dtype=bool),
        history=stack(days),
        report={"halted": int(halted.sum())} if halted.any() else {},
    )


def _days_with(tape: Tape) -> list[DayHistory]:
    """The history of a tape with its own session at the end and its oldest day left out."""
    days = []
    for row, halted in enumerate(tape.halted):
        old = day_history(tape.history, row)
        bar = np.array([0.0, 0.0, 0.0, tape.previous_close[row]])
        if not halted:
            known = np.isfinite(tape.bars.close[row])
            bar[0] = tape.bars.open[row][known][0]
            bar[1] = tape.bars.high[row][known].max()
            bar[2] = tape.bars.low[row][known].min()
            bar[3] = tape.bars.close[row][known][-1]
        dates = np.append(old.dates[1:], np.datetime64(tape.session, "D"))
        prices = np.concatenate([old.prices[:, 1:], bar[:, np.newaxis]], axis=1)
        volume = np.append(old.volume[1:], tape.bars.volume[row].sum())
        days.append(DayHistory(dates, prices, volume))
    return days


def _cast(group: MarketGroup, symbols: int | Sequence[str] | None, seed: int) -> _Cast:
    """Who is listed: stable for a group and seed, whatever the session."""
    rng = np.random.default_rng([seed, zlib.crc32(group.encode())])
    if symbols is None:
        symbols = _SYMBOLS.get(group, _FEWER)
    codes = _codes(group, symbols, rng) if isinstance(symbols, int) else list(symbols)
    sectors = rng.integers(0, len(_SECTORS), len(codes))
    markets = group.markets
    instruments = []
    for i, code in enumerate(codes):
        english, korean = _SECTORS[sectors[i]]
        turn = i // len(_STEMS_KR)
        if group is MarketGroup.KR:
            name = _STEMS_KR[i % len(_STEMS_KR)] + korean + (str(turn + 1) if turn else "")
        else:
            name = f"{_STEMS_EN[i % len(_STEMS_EN)]} {english}" + (f" {turn + 1}" if turn else "")
        instruments.append(Instrument(code, markets[i % len(markets)], name))
    return _Cast(tuple(instruments), sectors.astype(np.int64))


def _codes(group: MarketGroup, count: int, rng: np.random.Generator) -> list[str]:
    """Codes of the group's shape that no order of drawing can repeat."""
    if group in (MarketGroup.US, MarketGroup.VN):
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        picks = np.sort(rng.choice(26**3, count, replace=False))
        return ["".join(letters[int(p) // 26**k % 26] for k in (2, 1, 0)) for p in picks]
    # Korean common shares end in 0.
    width, unit, least = {
        MarketGroup.KR: (6, 10, 10),
        MarketGroup.JP: (4, 1, 1300),
        MarketGroup.HK: (5, 1, 1),
        MarketGroup.CN: (6, 1, 1),
    }[group]
    picks = np.sort(rng.choice(8_000, count, replace=False)) + least
    if group is MarketGroup.KR:
        picks = picks * 6 + 5
    if group is MarketGroup.CN:
        return [f"{(600_000 if i % 2 == 0 else 0) + int(p):06d}" for i, p in enumerate(picks)]
    return [f"{int(p) * unit:0{width}d}" for p in picks]


def _dates_before(hours: Session) -> NDArray[np.datetime64]:
    start = hours.date - timedelta(days=HISTORY_SESSIONS * 2)
    days = [s.date for s in sessions_between(hours.group, start, hours.date)]
    before = [day for day in days if day < hours.date][-HISTORY_SESSIONS:]
    return np.array(before, dtype="datetime64[D]")


def _daily(
    rng: np.random.Generator, group: MarketGroup, cast: _Cast, days: int
) -> tuple[Floats, Ints]:
    """Open, high, low, close of shape (4, symbols, days), and volumes."""
    count = len(cast.instruments)
    own = rng.uniform(0.012, 0.035, (count, 1))
    beta = rng.normal(1.0, 0.3, (count, 1))
    market = _MARKET_VOLATILITY * rng.standard_t(4, (1, days)) / np.sqrt(2)
    sector = _SECTOR_VOLATILITY * rng.standard_normal((len(_SECTORS), days))
    residual = own * rng.standard_t(4, (count, days)) / np.sqrt(2)
    moves = np.clip(beta * market + sector[cast.sectors] + residual, -0.25, 0.25)
    overnight = rng.beta(2, 5, (count, days)) * moves + 0.2 * own * rng.standard_normal(
        (count, days)
    )
    level = _PRICE[group] * np.exp(rng.normal(0.0, 0.9, (count, 1)))
    close = level * np.exp(np.cumsum(moves, axis=1))
    before = np.concatenate([level, close[:, :-1]], axis=1)
    opened = before * np.exp(overnight)
    reach = own * np.abs(rng.standard_normal((2, count, days))) * 0.7
    high = np.maximum(opened, close) * (1 + reach[0])
    low = np.minimum(opened, close) * (1 - np.minimum(reach[1], 0.2))
    turnover = 3e5 * _PRICE[group] * np.exp(rng.normal(0.0, 1.0, (count, 1)))
    busy = np.exp(rng.normal(0.0, 0.35, (count, days)) + 8 * np.abs(moves))
    volume = np.maximum(turnover / level * busy, 100).astype(np.int64)
    return np.stack([opened, high, low, close]), volume


def _on_grid(prices: Floats, cast: _Cast, session: date) -> Floats:
    """All prices on the increments of the session's date."""
    result = prices.copy()
    markets = np.array([item.market.value for item in cast.instruments])
    for market in np.unique(markets):
        mine = markets == market
        block = prices[:, mine]
        step = increments(Market(str(market)), block, session)
        result[:, mine] = np.maximum(snap(block, step), step)
    return result


def _today(prices: Floats, previous: Floats, cast: _Cast, session: date, locked: Ints) -> Floats:
    """The session's bar inside its daily limits; ``locked`` 1 closes at the upper, -1 at the lower
    one."""
    result = prices.copy()
    for i, item in enumerate(cast.instruments):
        limits = daily_limits(
            item.market, Decimal(repr(float(previous[i]))), session, symbol=item.symbol
        )
        if limits is None:
            continue
        upper, lower = float(limits[0]), float(limits[1])
        result[:, i] = np.clip(prices[:, i], lower, upper)
        if locked[i] > 0:
            result[1, i] = result[3, i] = upper
        elif locked[i] < 0:
            result[2, i] = result[3, i] = lower
    return result
