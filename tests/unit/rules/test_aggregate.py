"""Entries of memory from sessions: what they say, and that periods hold their own days alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_core.model.journal import ContextEntry, ContextLayer
from trading_core.model.market import Currency, MarketGroup
from trading_core.model.memory import EquityDay
from trading_core.rules.aggregate import MAX_SCENARIOS, aggregate, is_computed
from trading_core.rules.memory_layers import first_kept, iso_week, month
from trading_core.rules.performance import JudgedTrade
from trading_core.rules.trading_days import TradingDay

AT = datetime(2026, 12, 31, tzinfo=UTC)
FRIDAY = date(2026, 11, 20)
KRW, USD = Currency.KRW, Currency.USD
KEEP_ALL = dict.fromkeys(ContextLayer, "")

won = JudgedTrade(D(120), D(100), timedelta(minutes=30), 85, "A#0", "gemini")
lost = JudgedTrade(D(-40), D(-60), timedelta(minutes=90), 92, "A#1", "rules")


def make_day(
    session: date = FRIDAY, net: D | int | None = 0, currency: Currency = KRW, **changes: Any
) -> TradingDay:
    equity = None
    if net is not None:
        at = datetime(session.year, session.month, session.day, tzinfo=UTC)
        close = D(10_000) + net
        cash = D(5_000)
        equity = EquityDay(
            session, currency, D(10_000), D(9_900), D(10_200), close, cash, cash, at, at, 7
        )
    values: dict[str, Any] = {
        "equity": equity,
        "base": None if net is None else D(10_000),
        "net": None if net is None else D(net),
    }
    return TradingDay(session, currency, **(values | changes))


def entries_of(
    days: Sequence[TradingDay], since: date = date(1, 1, 1), **kept: str
) -> dict[tuple[str, str], Any]:
    found = aggregate(
        MarketGroup.KR,
        days,
        marks={day.session: f"mark {day.session}" for day in days},
        kept=KEEP_ALL | {ContextLayer[name]: label for name, label in kept.items()},
        since=since,
        at=AT,
    )
    assert all(entry.at == AT and is_computed(entry, MarketGroup.KR) for entry in found)
    named = {(entry.timeframe, entry.key): entry.value for entry in found}
    assert len(named) == len(found)
    return named


def test_a_day_says_what_it_earned_and_what_it_stands_on() -> None:
    day = make_day(
        net=130,
        fills=4,
        bought=D(6_000),
        sold=D(4_130),
        fees=D(12),
        taxes=D(8),
        trades=(won, lost, won),
        decisions={"SELL": 3, "BUY": 4},
    )
    value = entries_of([day])["2026-11-20", "day_KR_KRW"]
    assert value["pnl"] == {"gross": "150", "fees": "12", "taxes": "8", "net": "130"}
    assert value["realized"] == {"gross": "200", "net": "140"}
    assert (value["trades"], value["wins"], value["losses"]) == (3, 2, 1)
    assert value["win_rate_pct"] == 66.6667
    assert (value["expectancy"], value["profit_factor"]) == ("46.6667", 3.3333)
    assert (value["average_win"], value["average_loss"]) == ("100", "-60")
    assert value["average_holding_minutes"] == 50.0
    assert (value["traded"], value["turnover_pct"]) == ("10130", 100.0)
    assert value["return_pct"] == 1.3
    assert (value["equity_base"], value["equity_close"]) == ("10000", "10130")
    assert value["decisions"] == {"BUY": 4, "SELL": 3}
    assert value["facts"] == "mark 2026-11-20"


def test_a_session_shows_its_shape_from_its_open() -> None:
    value = entries_of([make_day(net=100)])["2026-11-20", "session_KR_KRW"]
    assert [value[f"equity_{name}"] for name in ("open", "low", "high", "close")] == [
        *("10000", "9900", "10200", "10100"),
    ]
    assert [value[f"{name}_pct"] for name in ("low", "high", "close")] == [-1.0, 2.0, 1.0]
    assert value["looks"] == 7


def test_what_nobody_saw_is_none_not_zero() -> None:
    named = entries_of([make_day(net=None)])
    day, shape = named["2026-11-20", "day_KR_KRW"], named["2026-11-20", "session_KR_KRW"]
    assert day["pnl"] == {"gross": None, "fees": "0", "taxes": "0", "net": None}
    for name in ("return_pct", "win_rate_pct", "expectancy", "turnover_pct", "equity_close"):
        assert day[name] is None, name
    assert (shape["equity_open"], shape["close_pct"], shape["looks"]) == (None, None, 0)
    assert named["2026-W47", "week_KR_KRW"]["max_drawdown_pct"] is None


def test_a_week_compounds_its_returns_and_bins_its_confidence() -> None:
    days = [
        make_day(date(2026, 11, 18), 1_000, trades=(won,)),
        make_day(date(2026, 11, 19), -1_000, trades=(lost,)),
    ]
    value = entries_of(days)["2026-W47", "week_KR_KRW"]
    assert (value["sessions"], value["from"], value["until"]) == (2, "2026-11-18", "2026-11-19")
    assert (value["return_pct"], value["max_drawdown_pct"]) == (-1.0, -10.0)
    assert value["sharpe"] is None
    assert value["hit_rates"] == [
        {"confidence": "80-89", "trades": 1, "stated_pct": 85.0, "realized_pct": 100.0},
        {"confidence": "90-100", "trades": 1, "stated_pct": 92.0, "realized_pct": 0.0},
    ]


def test_the_long_run_knows_who_and_what_made_the_profit() -> None:
    days = [make_day(FRIDAY - timedelta(days=n), 1, trades=(won,)) for n in range(70, 1, -1)]
    days.append(make_day(FRIDAY, -5, trades=(lost, JudgedTrade(D(1), D(1)))))
    named = entries_of(days)
    sessions = {
        name: named["all", f"{name}_KR_KRW"]["sessions"]
        for name in ("total", "rolling20", "rolling60")
    }
    assert sessions == {"total": 70, "rolling20": 20, "rolling60": 60}
    assert named["all", "rolling20_KR_KRW"]["pnl"]["net"] == "14"
    assert named["all", "total_KR_KRW"]["sharpe"] is not None
    sources = named["all", "sources_KR_KRW"]
    assert list(sources) == ["gemini", "rules", "unknown"]
    assert sources["gemini"] == {
        "trades": 69,
        "wins": 69,
        "losses": 0,
        "win_rate_pct": 100.0,
        "net": "6900",
        "expectancy": "100",
    }
    assert list(named["all", "scenarios_KR_KRW"]) == ["A#0", "A#1", "unknown"]


def test_scenarios_that_were_traded_least_are_summed_up() -> None:
    trades = [JudgedTrade(D(1), D(1), None, 80, f"S{n:02d}#0", "gemini") for n in range(40)]
    often = JudgedTrade(D(1), D(1), None, 80, "Z#0", "gemini")
    value = entries_of([make_day(trades=(*trades, often, often))])["all", "scenarios_KR_KRW"]
    assert len(value) == MAX_SCENARIOS + 1
    assert next(iter(value)) == "Z#0"
    assert value["others"]["trades"] == 42 - 2 - (MAX_SCENARIOS - 1)


def test_currencies_are_never_summed() -> None:
    days = [make_day(FRIDAY, 5), make_day(FRIDAY, 7, USD)]
    named = entries_of(days)
    assert named["2026-11", "month_KR_KRW"]["pnl"]["net"] == "5"
    assert named["2026-11", "month_KR_USD"]["pnl"]["net"] == "7"


def test_only_what_a_changed_session_takes_part_in_is_computed() -> None:
    days = [make_day(date(2026, 10, 30), 1), make_day(date(2026, 11, 16), 2), make_day(FRIDAY, 4)]
    named = entries_of(days, since=FRIDAY)
    assert {timeframe for timeframe, _ in named} == {
        "2026-11-20", "2026-W47", "2026-11", "2026", "all",
    }  # fmt: skip
    # With all of their days, though.
    assert named["2026-W47", "week_KR_KRW"]["pnl"]["net"] == "6"
    assert named["2026", "year_KR_KRW"]["pnl"]["net"] == "7"


def test_what_has_expired_is_not_computed_again() -> None:
    days = [make_day(date(2026, 1, 5), 1), make_day(FRIDAY, 2)]
    kept = {layer.name: first_kept(layer, FRIDAY) for layer in ContextLayer}
    named = entries_of(days, **kept)
    assert ("2026-01-05", "session_KR_KRW") not in named
    assert ("2026-01-05", "day_KR_KRW") in named


def test_entries_of_others_are_not_ours() -> None:
    def entry(layer: ContextLayer, key: str) -> ContextEntry:
        return ContextEntry(layer, "2026-11-20", key, {}, AT)

    assert is_computed(entry(ContextLayer.L3, "day_KR_KRW"), MarketGroup.KR)
    assert not is_computed(entry(ContextLayer.L3, "day_US_USD"), MarketGroup.KR)
    assert not is_computed(entry(ContextLayer.L7, "evolution_KR"), MarketGroup.KR)
    assert not is_computed(entry(ContextLayer.L6, "scorecard_KR"), MarketGroup.KR)


@given(
    st.dictionaries(
        st.dates(date(2024, 12, 1), date(2026, 1, 31)),
        st.decimals(-(10**6), 10**6, places=2),
        min_size=1,
        max_size=40,
    )
)
def test_the_months_of_a_year_add_up_to_the_year_and_the_weeks_to_their_days(
    nets: dict[date, D],
) -> None:
    named = entries_of([make_day(session, net) for session, net in sorted(nets.items())])
    sums: dict[str, D] = defaultdict(D)
    for session, net in nets.items():
        for timeframe in (iso_week(session), month(session), f"{session.year}", "all"):
            sums[timeframe] += net
    found = {
        timeframe: D(value["pnl"]["net"])
        for (timeframe, key), value in named.items()
        if key.partition("_")[0] in ("week", "month", "year", "total")
    }
    assert found == sums
    for year in {f"{session.year}" for session in nets}:
        months = [net for timeframe, net in found.items() if timeframe.startswith(f"{year}-")
                  and "W" not in timeframe]  # fmt: skip
        assert sum(months) == found[year]


@pytest.mark.parametrize("name", ["week_KR_KRW", "month_KR_KRW", "total_KR_KRW"])
def test_a_period_without_a_closed_trade_has_no_win_rate(name: str) -> None:
    values = [value for (_, key), value in entries_of([make_day()]).items() if key == name]
    assert [(v["win_rate_pct"], v["hit_rates"], v["trades"]) for v in values] == [(None, [], 0)]
