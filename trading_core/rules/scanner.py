"""Which few instruments of a market deserve a plan: the broker's rankings, scored by volatility.

The fluctuation ranking is the universe, the volume ranking a bonus for liquidity, and
``max(|day change %|, intraday range %)`` the score's main part. Pure and free of order: the same
rows in any order give the same result, ties included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Literal, TypeAlias

import numpy as np

from trading_core.model.audit import ScreenedRow
from trading_core.model.limits import ScanLimits
from trading_core.model.market import Instrument, MarketGroup
from trading_core.model.price import Candidate, Quote, RankRow, Signal
from trading_core.rules.indicators import BarPanel, Floats
from trading_core.rules.observation import IndicatorState, observe_columns, observe_quotes

FULL_VOLATILITY_PCT = 10.0
"""A day's volatility that earns every volatility point; beyond it liquidity decides."""

LIQUIDITY_POINTS = 15.0
LIQUIDITY_RANKS = 50
"""The first of the volume ranking earns all liquidity points, the 51st none."""

MAX_QUOTE_AGE = timedelta(minutes=5)

UniverseSource: TypeAlias = Literal["ranking", "fallback"]


class Exclusion(StrEnum):
    """Why an instrument of the universe is no candidate."""

    NO_QUOTE = "no_quote"
    HALTED = "halted"
    NO_PRICE = "no_price"
    STALE = "stale"
    BELOW_MINIMUM_PRICE = "below_minimum_price"
    NO_DAY_MOVE = "no_day_move"
    LOW_VOLATILITY = "low_volatility"


@dataclass(frozen=True, slots=True)
class ScanResult:
    """Candidates best first, and (symbol, :class:`Exclusion`) of the rest in order of symbol.

    An instrument that qualified but was not among the top N is in neither; ``qualified`` has all
    that did, best first. ``shortfalls`` says by symbol what an excluded one measured and the
    bound it stayed below, where its reason has one.
    """

    candidates: tuple[Candidate, ...]
    excluded: tuple[tuple[str, str], ...]
    universe_source: UniverseSource
    qualified: tuple[Candidate, ...] = ()
    shortfalls: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def rows(self, group: MarketGroup, session: date, at: datetime) -> list[ScreenedRow]:
        """The whole scan for the journal: what qualified by place, then the excluded."""
        chosen = len(self.candidates)
        rows = [
            ScreenedRow(
                market=group.value,
                session=session,
                at=at,
                symbol=candidate.instrument.symbol,
                chosen=place <= chosen,
                place=place,
                score=candidate.score,
                selection=candidate.selection_context(),
            )
            for place, candidate in enumerate(self.qualified, start=1)
        ]
        for symbol, reason in self.excluded:
            short = self.shortfalls.get(symbol)
            selection = {"value": short[0], "bound": short[1]} if short else {}
            rows.append(
                ScreenedRow(
                    market=group.value,
                    session=session,
                    at=at,
                    symbol=symbol,
                    chosen=False,
                    reason=reason,
                    selection=selection,
                )
            )
        return rows


def scan(
    group: MarketGroup,
    *,
    fluctuation: Sequence[RankRow],
    volume: Sequence[RankRow],
    quotes: Mapping[str, Quote],
    state: IndicatorState,
    limits: ScanLimits,
    minimum_price: Decimal,
    elapsed_fraction: float,
    fallback: Sequence[Instrument] = (),
    allow_domestic_fallback: bool = False,
    at: datetime | None = None,
    max_quote_age: timedelta = MAX_QUOTE_AGE,
) -> ScanResult:
    """The best ``limits.top_n`` instruments by today's prices.

    Args:
        fluctuation: The universe.
        volume: Earns the liquidity bonus; adds no instrument.
        quotes: By symbol; an instrument without one is excluded.
        state: History; a symbol that is not in it keeps its candidacy, with NaN indicators.
        minimum_price: In the market's currency; a lower price is excluded, an equal one is not.
        elapsed_fraction: Part of the regular session that has passed, for ``volume_ratio``.
        fallback: The universe when the fluctuation ranking had no rows at all (never when its rows
            were all excluded). Overseas, unless ``allow_domestic_fallback``.
        at: When given, quotes older than ``max_quote_age`` are excluded as stale.
    """
    universe, source = _universe(group, fluctuation, fallback, allow_domestic_fallback)
    reasons = {s: _unusable(quotes.get(s), at, max_quote_age) for s in universe}
    excluded = {symbol: reason for symbol, reason in reasons.items() if reason is not None}
    usable = tuple(symbol for symbol, reason in reasons.items() if reason is None)
    columns = observe_quotes(state.select(usable), quotes, elapsed_fraction=elapsed_fraction)
    prices = {symbol: quotes[symbol].last for symbol in usable}
    return _qualify(
        universe, prices, columns, excluded, _best_ranks(volume), limits, minimum_price, source
    )


def scan_closed(
    group: MarketGroup,
    *,
    fluctuation: Sequence[RankRow],
    volume: Sequence[RankRow],
    panel: BarPanel,
    limits: ScanLimits,
    minimum_price: Decimal,
    fallback: Sequence[Instrument] = (),
    allow_domestic_fallback: bool = False,
) -> ScanResult:
    """The same on the last closed session, for the plan before the open.

    The last column of ``panel`` stands in for today: its close as the price, its change and range
    as the day's. A symbol without a bar there (halted, or not in the panel) has no price.
    """
    universe, source = _universe(group, fluctuation, fallback, allow_domestic_fallback)
    prices: dict[str, Decimal] = {}
    columns: dict[str, Floats] = {}
    if panel.length:
        row_of = {symbol: row for row, symbol in enumerate(panel.symbols)}
        usable = tuple(
            s for s in universe if s in row_of and np.isfinite(panel.close[row_of[s], -1])
        )
        rows = np.array([row_of[symbol] for symbol in usable], dtype=np.intp)
        before = IndicatorState.from_panel(panel.without_last()).select(usable)
        columns = observe_columns(
            before,
            last=panel.close[rows, -1],
            open=panel.open[rows, -1],
            high=panel.high[rows, -1],
            low=panel.low[rows, -1],
            previous_close=before.last_close,
            volume=panel.volume[rows, -1],
            elapsed_fraction=1.0,
        )
        prices = {
            s: Decimal(str(p)) for s, p in zip(usable, columns["price"].tolist(), strict=True)
        }
    excluded = {symbol: Exclusion.NO_PRICE for symbol in universe if symbol not in prices}
    return _qualify(
        universe, prices, columns, excluded, _best_ranks(volume), limits, minimum_price, source
    )


def dynamic_universe(
    active: Iterable[Instrument],
    recently_traded: Iterable[Instrument],
    held: Iterable[Instrument],
) -> tuple[Instrument, ...]:
    """The three together in that order, each instrument once (the first time it appears)."""
    seen: dict[tuple[str, str], Instrument] = {}
    for instrument in (*active, *recently_traded, *held):
        seen.setdefault((instrument.market, instrument.symbol), instrument)
    return tuple(seen.values())


def volatility_pct(change_pct: Floats, range_pct: Floats) -> Floats:
    """``max(|day change %|, intraday range %)``; NaN when either is."""
    return np.maximum(np.abs(change_pct), range_pct)


def score(volatility: float, volume_rank: int | None, *, ranked: bool) -> float:
    """0-100: volatility points, plus liquidity points by the rank in traded volume.

    ``85 * min(volatility / 10 %, 1) + 15 * max(0, 1 - (rank - 1) / 50)``. Without any volume
    ranking (``ranked`` false) there is no bonus to be had, and volatility carries all 100 points.
    """
    share = min(volatility / FULL_VOLATILITY_PCT, 1.0)
    if not ranked:
        return 100.0 * share
    bonus = 0.0
    if volume_rank is not None:
        bonus = min(max(0.0, 1 - (volume_rank - 1) / LIQUIDITY_RANKS), 1.0)
    return (100.0 - LIQUIDITY_POINTS) * share + LIQUIDITY_POINTS * bonus


def signal(change_pct: float, rsi: float, limits: ScanLimits) -> Signal:
    """What kind of candidate it is.

    An RSI at or beyond one of the two thresholds decides; between them, and without an RSI, the
    day's direction does: momentum from 0 % on, else oversold.
    """
    if rsi <= limits.rsi_oversold:
        return Signal.OVERSOLD
    if rsi >= limits.rsi_momentum or change_pct >= 0:
        return Signal.MOMENTUM
    return Signal.OVERSOLD


def _universe(
    group: MarketGroup,
    fluctuation: Sequence[RankRow],
    fallback: Sequence[Instrument],
    allow_domestic_fallback: bool,
) -> tuple[dict[str, Instrument], UniverseSource]:
    """Instruments by symbol, in order of symbol, and where they come from."""
    source: UniverseSource = "ranking"
    instruments: Iterable[Instrument] = (row.instrument for row in fluctuation)
    if not fluctuation and fallback and (group is not MarketGroup.KR or allow_domestic_fallback):
        source, instruments = "fallback", fallback
    return {instrument.symbol: instrument for instrument in sorted(instruments)}, source


def _best_ranks(rows: Iterable[RankRow]) -> dict[str, int]:
    ranks: dict[str, int] = {}
    for row in rows:
        symbol = row.instrument.symbol
        ranks[symbol] = min(row.rank, ranks.get(symbol, row.rank))
    return ranks


def _unusable(
    quote: Quote | None, at: datetime | None, max_quote_age: timedelta
) -> Exclusion | None:
    if quote is None:
        return Exclusion.NO_QUOTE
    if quote.halted:
        return Exclusion.HALTED
    if not quote.usable:
        return Exclusion.NO_PRICE
    if at is not None and at - quote.at > max_quote_age:
        return Exclusion.STALE
    return None


def _qualify(
    universe: Mapping[str, Instrument],
    prices: Mapping[str, Decimal],
    columns: Mapping[str, Floats],
    excluded: dict[str, Exclusion],
    volume_ranks: Mapping[str, int],
    limits: ScanLimits,
    minimum_price: Decimal,
    source: UniverseSource,
) -> ScanResult:
    """Exclude, score, sort and cut; ``columns`` are in the order of ``prices``."""
    found: list[tuple[float, float, Candidate]] = []
    shortfalls: dict[str, tuple[float, float]] = {}
    names = tuple(name for name in columns if name not in ("price", "gap_pct"))
    for row, (symbol, price) in enumerate(prices.items()):
        values = {name: float(columns[name][row]) for name in names}
        change_pct = values["change_pct"]
        volatility = float(volatility_pct(columns["change_pct"][row], columns["range_pct"][row]))
        if price < minimum_price:
            excluded[symbol] = Exclusion.BELOW_MINIMUM_PRICE
            shortfalls[symbol] = (float(price), float(minimum_price))
        elif not volatility < np.inf:
            excluded[symbol] = Exclusion.NO_DAY_MOVE
        elif volatility < limits.min_volatility_pct:
            excluded[symbol] = Exclusion.LOW_VOLATILITY
            shortfalls[symbol] = (volatility, limits.min_volatility_pct)
        else:
            rank = volume_ranks.get(symbol)
            points = score(volatility, rank, ranked=bool(volume_ranks))
            candidate = Candidate(
                instrument=universe[symbol],
                price=price,
                score=points,
                signal=signal(change_pct, values["rsi"], limits),
                volume_rank=rank,
                **values,
            )
            found.append((-points, -volatility, candidate))
    # Equal points go to the wilder one, then by symbol, which is the order they were found in.
    found.sort(key=lambda item: item[:2])
    qualified = tuple(candidate for _, _, candidate in found)
    return ScanResult(
        candidates=qualified[: max(limits.top_n, 0)],
        excluded=tuple((symbol, excluded[symbol].value) for symbol in sorted(excluded)),
        universe_source=source,
        qualified=qualified,
        shortfalls=shortfalls,
    )
