"""Performance: what was made over all sessions, currency by currency, and by what."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pandas as pd
import streamlit as st

from dashboards import charts, data, formats, frames, tables
from dashboards.texts import t, word
from trading_core.wiring import board

Json = dict[str, Any]
_SPANS = {"1m": 30, "3m": 91, "6m": 182, "1y": 365, "all": None}
_TABLE_ROWS = 31
_ALL = "ALL"
_FEWEST_DAYS, _FEWEST_TRADES = 2, 5


def _draw() -> None:
    markets = data.frame()["markets"]
    left, right = st.columns([3, 2])
    with left:
        picked = _pick_markets(markets)
    with right:
        span = st.segmented_control(
            t("performance.span"),
            list(_SPANS),
            default="all",
            format_func=lambda name: t(f"performance.span.{name}"),
            key="performance-span",
            label_visibility="collapsed",
        )
    chosen = tuple(markets) if picked is None else (picked,)
    frames.part(lambda: _all(chosen, _SPANS[span or "all"]), every=frames.SLOW_SECONDS)


def _pick_markets(markets: list[str]) -> str | None:
    """One market; None for all of them."""
    if len(markets) == 1:
        return markets[0]
    picked = st.segmented_control(
        t("frame.market"),
        [_ALL, *markets],
        default=_ALL,
        format_func=lambda code: t("performance.all") if code == _ALL else word("market", code),
        key="performance-markets",
        label_visibility="collapsed",
    )
    return None if picked in (None, _ALL) else str(picked)


def _all(markets: tuple[str, ...], days: int | None) -> None:
    since = None if days is None else data.now().date() - timedelta(days=days)
    found = data.read(board.performance, markets, since)
    if not found:
        st.info(t("performance.none"))
        return
    if len(found) > 1:
        st.caption(t("performance.apart"))
    for place, each in enumerate(found):
        if place:
            st.divider()
        _currency(each)


def _currency(found: Json) -> None:
    code = found["currency"]
    names = ", ".join(word("market", market) for market in found["markets"])
    st.header(f"{names} · {code}", anchor=False)
    if not found["sessions"]:
        st.caption(t("performance.no_sessions"))
        return
    _figures(found)
    days = _frame(found["days"])
    if len(days) < _FEWEST_DAYS:
        st.caption(t("performance.no_curve"))
    else:
        charts.draw(charts.grown, days, _benchmark(found), name=t("performance.return"))
        charts.draw(charts.drawdown, days, name=t("performance.drawdown"))
    if found["benchmark"] and len(days) >= _FEWEST_DAYS:
        st.caption(t("performance.benchmark", names=", ".join(found["benchmark"])))
    _periods(found, days)
    _trades(found)


def _figures(found: Json) -> None:
    code = found["currency"]
    figures = (
        ("performance.net", formats.money(found["net"], code, signed=True)),
        ("performance.return", formats.pct(found["return_pct"])),
        ("performance.drawdown", formats.pct(found["drawdown_pct"])),
        (
            "performance.sharpe",
            formats.NO_DATA if found["sharpe"] is None else f"{found['sharpe']:.2f}",
        ),
        ("performance.win_rate", formats.pct(found["win_rate_pct"], 1, signed=False)),
        ("performance.expectancy", formats.money(found["expectancy"], code, signed=True)),
        (
            "performance.profit_factor",
            formats.NO_DATA if found["profit_factor"] is None else f"{found['profit_factor']:.2f}",
        ),
        ("performance.costs", formats.money(found["costs"], code)),
    )
    with st.container(horizontal=True):
        for key, value in figures:
            st.metric(t(key), value, border=True, width=205)
    line = t(
        "performance.counted",
        sessions=found["sessions"],
        trades=found["trades"],
        wins=found["wins"],
        losses=found["losses"],
    )
    if found["average_holding"] is not None:
        line += " · " + t("performance.held", span=formats.duration(found["average_holding"]))
    if found["cash_flow"]:
        flow = formats.money(found["cash_flow"], code, signed=True)
        line += " · " + t("performance.flow", amount=flow)
    st.caption(line)


def _frame(days: list[Json]) -> pd.DataFrame:
    frame = pd.DataFrame(days)
    frame["session"] = pd.to_datetime(frame["session"])
    for name in ("equity", "net", "costs", "cash_flow"):
        frame[name] = frame[name].astype(float)
    return frame


def _benchmark(found: Json) -> pd.DataFrame | None:
    rows = [
        {"name": name, "session": day, "grown_pct": grown}
        for name, points in found["benchmark"].items()
        for day, grown in points
    ]
    if not rows:
        return None
    frame = pd.DataFrame(rows)
    frame["session"] = pd.to_datetime(frame["session"])
    return frame


def _periods(found: Json, days: pd.DataFrame) -> None:
    code = found["currency"]
    by_day, by_month, in_shares = st.tabs(
        [t("performance.daily"), t("performance.monthly"), t("performance.exposure")]
    )
    with by_day:
        charts.draw(charts.daily, days, code, name=t("performance.daily"))
        tables.show(
            [row | {"day": formats.day(row["session"])} for row in reversed(found["days"])],
            {
                "day": tables.text(t("performance.session")),
                "net": tables.money(t("performance.net"), code),
                "pct": tables.percent(t("performance.return")),
                "equity": tables.money(t("performance.equity"), code),
                "drawdown_pct": tables.percent(t("performance.drawdown")),
                "costs": tables.money(t("performance.costs"), code),
                "fills": tables.number(t("performance.fills")),
                "trades": tables.number(t("performance.closed")),
                "wins": tables.number(t("performance.wins")),
                "cash_flow": tables.money(t("performance.cash_flow"), code),
            },
            height=36 * 11 if len(found["days"]) > _TABLE_ROWS else None,
        )
    with by_month:
        months = _months(found["days"])
        nets = [(month["month"], month["net"]) for month in months]
        charts.draw(charts.net_bars, nets, code, angle=-40, name=t("performance.monthly"))
        tables.show(
            list(reversed(months)),
            {
                "month": tables.text(t("performance.month")),
                "net": tables.money(t("performance.net"), code),
                "pct": tables.percent(t("performance.return")),
                "costs": tables.money(t("performance.costs"), code),
                "sessions": tables.number(t("performance.sessions")),
                "trades": tables.number(t("performance.closed")),
                "wins": tables.number(t("performance.wins")),
            },
        )
    with in_shares:
        charts.draw(charts.exposure, days, name=t("performance.exposure"))


def _months(days: list[Json]) -> list[Json]:
    months: dict[str, Json] = {}
    for day in days:
        name = f"{day['session']:%Y-%m}"
        month = months.setdefault(
            name,
            {"month": name, "net": 0, "grown": 1.0, "costs": 0, "sessions": 0}
            | {"trades": 0, "wins": 0},
        )
        month["net"] += day["net"] or 0
        month["grown"] *= 1 + (day["pct"] or 0.0) / 100
        month["sessions"] += day["net"] is not None
        for key in ("costs", "trades", "wins"):
            month[key] += day[key]
    return [month | {"pct": (month["grown"] - 1) * 100} for month in months.values()]


def _trades(found: Json) -> None:
    code = found["currency"]
    st.subheader(t("performance.trades", count=found["trades"]), anchor=False)
    if not found["trades"]:
        st.caption(t("performance.no_trades"))
        return
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown(f"**{t('performance.distribution')}**")
        if found["trades"] < _FEWEST_TRADES:
            st.caption(t("performance.few_trades", count=_FEWEST_TRADES))
        else:
            name = t("performance.distribution")
            charts.draw(charts.distribution, found["nets"], code, name=name)
    with right:
        st.markdown(f"**{t('performance.by_hour')}**")
        _by_hour(found)
    names = ("source", "scenario", "market", "symbol")
    tabs = st.tabs([t(f"performance.by_{name}") for name in names])
    for name, tab in zip(names, tabs, strict=True):
        with tab:
            _breakdown(found[f"by_{name}"], name, code)
    with tabs[0]:
        st.caption(t("performance.by_source.help"))


def _by_hour(found: Json) -> None:
    rows = sorted(
        (row for row in found["by_hour"] if row["key"] is not None), key=lambda row: row["key"]
    )
    if not rows:
        st.caption(t("performance.no_hours"))
        return
    nets = [(f"{row['key']:02d}", row["net"]) for row in rows]
    title, name = t("performance.hour"), t("performance.by_hour")
    charts.draw(charts.net_bars, nets, found["currency"], title=title, name=name)


def _breakdown(rows: list[Json], name: str, code: str) -> None:
    shown = [row | {"key": _named(name, row["key"])} for row in rows]
    tables.show(
        shown,
        {
            "key": tables.text(t(f"performance.by_{name}")),
            "trades": tables.number(t("performance.closed")),
            "wins": tables.number(t("performance.wins")),
            "win_rate_pct": tables.percent(t("performance.win_rate"), 1),
            "net": tables.money(t("performance.net"), code),
            "expectancy": tables.money(t("performance.expectancy"), code),
        },
        height=36 * 11 if len(shown) > _TABLE_ROWS else None,
    )


def _named(name: str, key: Any) -> str:
    if not key:
        return t("performance.unknown")
    if name == "source":
        return word("source", key)
    return str(key)


frames.show("page.performance", _draw)
