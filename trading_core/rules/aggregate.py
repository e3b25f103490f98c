"""Entries of memory computed from the sessions of a market group, layer by layer.

Every entry is computed from the facts, never from the layer below it, so any of them can be
computed again at any time and repairs what was missed. Amounts are text in the currency that the
key names; currencies are never summed. Percentages are 0-100, None says "no data".
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

from trading_core.model.journal import ContextEntry, ContextLayer, Json
from trading_core.model.market import Currency, MarketGroup
from trading_core.rules.calibration import calibrate
from trading_core.rules.memory_layers import ALL_TIME, timeframe_of
from trading_core.rules.performance import (
    JudgedTrade,
    max_drawdown_pct,
    sharpe_ratio,
    total_return_pct,
    trade_stats,
)
from trading_core.rules.trading_days import TradingDay

ROLLING = (20, 60)
MAX_SCENARIOS = 30

_PERIODS = {ContextLayer.L4: "week", ContextLayer.L5: "month", ContextLayer.L7: "year"}
_BREAKDOWNS = ("scenarios", "sources")

COMPUTED: Mapping[ContextLayer, tuple[str, ...]] = {
    ContextLayer.L2: ("session",),
    ContextLayer.L3: ("day",),
    **{layer: (name,) for layer, name in _PERIODS.items()},
    ContextLayer.L7: ("year", "total", *(f"rolling{count}" for count in ROLLING), *_BREAKDOWNS),
}
"""The first words of the keys that are computed here, by layer; other keys belong to others."""

_ZERO = Decimal(0)


def is_computed(entry: ContextEntry, group: MarketGroup) -> bool:
    """Whether an entry is one that this module computes for the group."""
    names = COMPUTED.get(entry.layer, ())
    return any(entry.key.startswith(f"{name}_{group}_") for name in names)


def aggregate(
    group: MarketGroup,
    days: Sequence[TradingDay],
    *,
    marks: Mapping[date, str],
    kept: Mapping[ContextLayer, str],
    since: date,
    at: datetime,
) -> list[ContextEntry]:
    """The entries of L2 to L5 and L7 that the sessions from ``since`` on take part in.

    Args:
        days: All sessions of the group, oldest first.
        marks: What each session's entries were computed from, by session; stored with the day.
        kept: The oldest timeframe of each layer that is remembered.
        since: The first session that changed; what ended before it is left alone.
        at: Now, aware UTC.
    """
    entries = []
    changed = {day.session for day in days if day.session >= since}
    touched = timeframes(changed, kept)
    for currency, theirs in _by_currency(days).items():
        found: list[tuple[ContextLayer, str, str, Json]] = []
        for day in theirs:
            timeframe, mark = day.session.isoformat(), marks.get(day.session, "")
            found.append((ContextLayer.L2, timeframe, "session", _session_value(day)))
            found.append((ContextLayer.L3, timeframe, "day", _day_value(day, mark)))
        for layer, name in _PERIODS.items():
            for timeframe, members in _by_timeframe(layer, theirs).items():
                if timeframe in touched[layer]:
                    found.append((layer, timeframe, name, period_value(members)))
        for name, value in long_run(theirs).items():
            found.append((ContextLayer.L7, ALL_TIME, name, value))
        entries += [
            ContextEntry(layer, timeframe, f"{name}_{group}_{currency}", value, at)
            for layer, timeframe, name, value in found
            if timeframe in touched[layer]
        ]
    return entries


def timeframes(
    sessions: Collection[date], kept: Mapping[ContextLayer, str]
) -> dict[ContextLayer, set[str]]:
    """The timeframes of which each layer has an entry when nothing of these sessions is missing."""
    found = {}
    for layer in COMPUTED:
        named = {timeframe_of(layer, session) for session in sessions}
        found[layer] = {timeframe for timeframe in named if timeframe >= kept[layer]}
    if sessions:
        found[ContextLayer.L7].add(ALL_TIME)
    return found


def _by_currency(days: Iterable[TradingDay]) -> dict[Currency, list[TradingDay]]:
    found: dict[Currency, list[TradingDay]] = defaultdict(list)
    for day in days:
        found[day.currency].append(day)
    return found


def _by_timeframe(layer: ContextLayer, days: Iterable[TradingDay]) -> dict[str, list[TradingDay]]:
    found: dict[str, list[TradingDay]] = defaultdict(list)
    for day in days:
        found[timeframe_of(layer, day.session)].append(day)
    return found


def _session_value(day: TradingDay) -> Json:
    """L2: how the session went, looked at from its open."""
    equity = day.equity
    value: Json = {
        "decisions": dict(sorted(day.decisions.items())),
        "fills": day.fills,
        "bought": _money(day.bought),
        "sold": _money(day.sold),
        "looks": equity.points if equity else 0,
    }
    for name in ("open", "low", "high", "close"):
        value[f"equity_{name}"] = _money(getattr(equity, name)) if equity else None
    for name in ("low", "high", "close"):
        value[f"{name}_pct"] = _change(getattr(equity, name), equity.open) if equity else None
    return value


def _day_value(day: TradingDay, mark: str) -> Json:
    """L3: the result of the session, and the mark of the facts it stands on."""
    equity = day.equity
    return {
        **_result([day]),
        "equity_base": None if day.base is None else _money(day.base),
        "equity_close": _money(equity.close) if equity else None,
        "decisions": dict(sorted(day.decisions.items())),
        "facts": mark,
    }


def period_value(days: Sequence[TradingDay]) -> Json:
    """What the sessions of a period amount to; of one currency, oldest first, at least one."""
    returns = [day.fraction for day in days if day.fraction is not None]
    closes = [day.equity.close for day in days if day.equity]
    trades = [trade for day in days for trade in day.trades]
    return {
        "sessions": len(days),
        **_result(days),
        "max_drawdown_pct": _rounded(max_drawdown_pct(returns)),
        "sharpe": _rounded(sharpe_ratio(returns)),
        "equity_close": _money(closes[-1]) if closes else None,
        "hit_rates": calibrate(
            (trade.confidence, trade.net > 0) for trade in trades if trade.confidence is not None
        ).summary()["bins"],
        "from": days[0].session.isoformat(),
        "until": days[-1].session.isoformat(),
    }


def long_run(days: Sequence[TradingDay]) -> dict[str, Json]:
    """L7: everything since the start, the last sessions, and who and what made the profit."""
    trades = [trade for day in days for trade in day.trades]
    return {
        "total": period_value(days),
        **{f"rolling{count}": period_value(days[-count:]) for count in ROLLING},
        "scenarios": _grouped(trades, lambda trade: trade.scenario_id, MAX_SCENARIOS),
        "sources": _grouped(trades, lambda trade: trade.source, len(trades)),
    }


def _result(days: Sequence[TradingDay]) -> Json:
    """Profit, trades and turnover; ``pnl`` is the account's, ``realized`` of closed trades.

    ``turnover_pct`` is what was bought and sold over the mean equity at the close.
    """
    known = [day.net for day in days if day.net is not None]
    closes = [day.equity.close for day in days if day.equity]
    fees = sum((day.fees for day in days), _ZERO)
    taxes = sum((day.taxes for day in days), _ZERO)
    net = sum(known, _ZERO) if known else None
    traded = sum((day.bought + day.sold for day in days), _ZERO)
    mean = sum(closes, _ZERO) / len(closes) if closes else _ZERO
    stats = trade_stats([trade for day in days for trade in day.trades])
    returns = [day.fraction for day in days if day.fraction is not None]
    held = stats.average_holding
    return {
        "pnl": {
            "gross": None if net is None else _money(net + fees + taxes),
            "fees": _money(fees),
            "taxes": _money(taxes),
            "net": None if net is None else _money(net),
        },
        "return_pct": _rounded(total_return_pct(returns)),
        "cash_flow": _money(sum((day.cash_flow for day in days), _ZERO)),
        "realized": {"gross": _money(stats.gross), "net": _money(stats.net)},
        "adopted_net": _money(sum((day.adopted_net for day in days), _ZERO)),
        "trades": stats.trades,
        "wins": stats.wins,
        "losses": stats.losses,
        "win_rate_pct": _rounded(stats.win_rate_pct),
        "expectancy": _mean(stats.expectancy),
        "profit_factor": _rounded(stats.profit_factor),
        "average_win": _mean(stats.average_win),
        "average_loss": _mean(stats.average_loss),
        "average_holding_minutes": None if held is None else round(held.total_seconds() / 60, 1),
        "fills": sum(day.fills for day in days),
        "traded": _money(traded),
        "turnover_pct": _rounded(float(traded / mean) * 100) if mean > 0 else None,
    }


def _grouped(
    trades: Sequence[JudgedTrade], name_of: Callable[[JudgedTrade], str], most: int
) -> Json:
    """Closed trades by name, the most traded names first; the rest are one group ``others``."""
    counts = Counter(name_of(trade) or "unknown" for trade in trades)
    ranked = sorted(counts, key=lambda name: (-counts[name], name))
    listed = frozenset(ranked[:most])
    groups: dict[str, list[JudgedTrade]] = {name: [] for name in ranked[:most]}
    for trade in trades:
        name = name_of(trade) or "unknown"
        groups.setdefault(name if name in listed else "others", []).append(trade)
    return {name: _group(members) for name, members in groups.items()}


def _group(trades: Sequence[JudgedTrade]) -> Json:
    stats = trade_stats(trades)
    return {
        "trades": stats.trades,
        "wins": stats.wins,
        "losses": stats.losses,
        "win_rate_pct": _rounded(stats.win_rate_pct),
        "net": _money(stats.net),
        "expectancy": _mean(stats.expectancy),
    }


def _change(value: Decimal, base: Decimal) -> float | None:
    return _rounded(float(value / base - 1) * 100) if base > 0 else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _mean(value: Decimal | None) -> str | None:
    return None if value is None else _money(value.quantize(Decimal("0.0001")))


def _money(value: Decimal) -> str:
    return f"{value.normalize():f}" if value else "0"
