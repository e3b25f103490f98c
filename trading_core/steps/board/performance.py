"""How the markets did over all sessions: each currency by itself, because they are never summed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from trading_core.model.board import TradeHistory
from trading_core.model.market import Currency, MarketGroup
from trading_core.model.memory import MemoryFacts
from trading_core.model.portfolio import PositionOrigin
from trading_core.ports import StoreReader
from trading_core.rules.markets import currency_of, zone_of
from trading_core.rules.performance import (
    JudgedTrade,
    max_drawdown_pct,
    sharpe_ratio,
    total_return_pct,
    trade_stats,
)
from trading_core.rules.position_book import ClosedTrade
from trading_core.rules.positions import fold_positions
from trading_core.rules.trading_days import TradingDay, judge, trading_days

Json = dict[str, Any]
_ZERO = Decimal(0)

BENCHMARKS: Mapping[MarketGroup, tuple[str, ...]] = {
    MarketGroup.KR: ("KOSPI",),
    MarketGroup.US: ("S&P 500",),
}
"""The index a market is held against, by the name under which its readings are stored."""


@dataclass(frozen=True, slots=True)
class MarketFacts:
    """What is read of one market group; what it means is worked out after the store is let go."""

    group: MarketGroup
    trades: Callable[[], TradeHistory]
    known: MemoryFacts
    benchmark: Mapping[str, Sequence[tuple[date, float]]]


def read(reader: StoreReader, groups: Iterable[MarketGroup]) -> list[MarketFacts]:
    """Everything the page is worked out from."""
    return [
        MarketFacts(
            group,
            reader.trade_history(group),
            reader.memory_facts(group),
            reader.index_levels(BENCHMARKS.get(group, ())),
        )
        for group in groups
    ]


@dataclass(frozen=True, slots=True)
class _Trade:
    group: MarketGroup
    closed: ClosedTrade
    judged: JudgedTrade


def performance(facts: Sequence[MarketFacts], since: date | None = None) -> list[Json]:
    """One entry per currency, in the order of the markets; those without a session are left out.

    Args:
        facts: What was read.
        since: The first session that counts; all of them when left out.
    """
    first = since or date.min
    days: dict[Currency, list[tuple[MarketGroup, TradingDay]]] = {}
    trades: dict[Currency, list[_Trade]] = {}
    for market in facts:
        history = market.trades()
        book = fold_positions(history.fills, history.lots, history.splits)
        for day in trading_days(
            market.group,
            fills=history.fills,
            lots=history.lots,
            closed=book.closed,
            known=market.known,
        ):
            if day.currency is currency_of(market.group) and day.session >= first:
                days.setdefault(day.currency, []).append((market.group, day))
        for closed, judged in judge(book.closed, history.fills, market.known.origins):
            if closed.origin is PositionOrigin.STRATEGY and closed.session >= first:
                made = _Trade(market.group, closed, judged)
                trades.setdefault(closed.currency, []).append(made)
    indices = {currency_of(market.group): market.benchmark for market in facts}
    return [
        _of_currency(currency, theirs, trades.get(currency, []))
        | {"benchmark": _benchmark(indices[currency], since=theirs[0][1].session)}
        for currency, theirs in days.items()
    ]


def _benchmark(
    found: Mapping[str, Sequence[tuple[date, float]]], *, since: date
) -> dict[str, list[tuple[date, float]]]:
    """How an index has grown, in percent, from the first of its readings that counts."""
    grown = {}
    for name, levels in found.items():
        counted = [(day, value) for day, value in levels if day >= since and value > 0]
        if len(counted) > 1:
            base = counted[0][1]
            grown[name] = [(day, (value / base - 1) * 100) for day, value in counted]
    return grown


def _of_currency(
    currency: Currency, days: list[tuple[MarketGroup, TradingDay]], trades: list[_Trade]
) -> Json:
    measured = [day for _, day in days if day.net is not None]
    returns = [day.fraction for day in measured if day.fraction is not None]
    stats = trade_stats([trade.judged for trade in trades])
    return {
        "currency": currency.value,
        "markets": list(dict.fromkeys(group.value for group, _ in days)),
        "sessions": len(measured),
        "net": sum((day.net for day in measured if day.net is not None), _ZERO)
        if measured
        else None,
        "return_pct": total_return_pct(returns),
        "drawdown_pct": max_drawdown_pct(returns),
        "sharpe": sharpe_ratio(returns),
        "costs": sum((day.fees + day.taxes for _, day in days), _ZERO),
        "cash_flow": sum((day.cash_flow for _, day in days), _ZERO),
        "trades": stats.trades,
        "wins": stats.wins,
        "losses": stats.losses,
        "win_rate_pct": stats.win_rate_pct,
        "expectancy": stats.expectancy,
        "profit_factor": stats.profit_factor,
        "average_win": stats.average_win,
        "average_loss": stats.average_loss,
        "average_holding": stats.average_holding,
        "days": _days(days),
        "nets": [trade.judged.net for trade in trades],
        "by_scenario": _table(trades, lambda trade: trade.judged.scenario_id),
        "by_source": _table(trades, lambda trade: trade.judged.source),
        "by_hour": _table(trades, _bought_hour),
        "by_symbol": _table(trades, lambda trade: trade.closed.instrument.symbol),
        "by_market": _table(trades, lambda trade: trade.closed.instrument.market.value),
    }


def _days(days: Sequence[tuple[MarketGroup, TradingDay]]) -> list[Json]:
    """Every session with its running return, oldest first; percentages of 0-100."""
    found = []
    grown, peak = 1.0, 1.0
    for group, day in days:
        fraction = day.fraction
        grown *= 1 + (fraction or 0.0)
        peak = max(peak, grown)
        equity = day.equity
        worth = equity.close if equity else None
        found.append(
            {
                "market": group.value,
                "session": day.session,
                "equity": worth,
                "net": day.net,
                "pct": None if fraction is None else fraction * 100,
                "grown_pct": (grown - 1) * 100,
                "drawdown_pct": (grown / peak - 1) * 100,
                "fills": day.fills,
                "costs": day.fees + day.taxes,
                "trades": len(day.trades),
                "wins": sum(trade.net > 0 for trade in day.trades),
                "cash_flow": day.cash_flow,
                "exposure_pct": None
                if equity is None or not worth
                else float((worth - equity.close_cash) / worth * 100),
            }
        )
    return found


def _table(trades: Sequence[_Trade], key: Callable[[_Trade], Any]) -> list[Json]:
    """Closed trades by a key, the one that earned most first."""
    by_key: dict[Any, list[JudgedTrade]] = {}
    for trade in trades:
        by_key.setdefault(key(trade), []).append(trade.judged)
    rows = []
    for name, theirs in by_key.items():
        stats = trade_stats(theirs)
        rows.append(
            {
                "key": name,
                "trades": stats.trades,
                "wins": stats.wins,
                "win_rate_pct": stats.win_rate_pct,
                "net": stats.net,
                "expectancy": stats.expectancy,
            }
        )
    return sorted(rows, key=lambda row: row["net"], reverse=True)


def _bought_hour(trade: _Trade) -> int | None:
    """The hour at the exchange in which the shares were bought; None when it is not known."""
    if trade.judged.holding is None:
        return None
    bought: datetime = trade.closed.closed_at - trade.judged.holding
    return bought.astimezone(ZoneInfo(zone_of(trade.group))).hour
