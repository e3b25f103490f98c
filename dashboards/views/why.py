"""Why: a symbol and a time, and what let it through or held it back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import streamlit as st

from dashboards import data, formats, frames, funnel, record_charts
from dashboards.texts import t, word
from trading_core.wiring import records

Json = dict[str, Any]
_LAST = "last"


def _draw() -> None:
    market = frames.pick_market()
    sessions = data.read(records.read_sessions, market)
    if not sessions:
        st.info(t("frame.no_market", market=word("market", market)))
        return
    left, right = st.columns([1, 2])
    with left:
        session = frames.pick_session(market, sessions)
    if session is None:
        return
    symbols = data.read(records.read_symbols, market, session)
    if not symbols:
        st.info(t("why.nothing", session=formats.day(session)))
        return
    known = {row["symbol"]: row for row in symbols}
    with right:
        symbol = _pick_symbol(known)
    looks = data.read(records.read_looks, market, session, symbol)
    at = _pick_tick(looks, market, f"{market}-{session}-{symbol}")
    found = data.read(records.read_why, market, session, symbol, at)
    if found is None:
        st.info(t("why.unknown", symbol=symbol))
        return
    funnel.draw(found)
    if looks:
        st.subheader(t("why.chart"), anchor=False, help=t("why.chart.help"))
        for chart in record_charts.closeness(looks, market, found["at"]):
            st.altair_chart(chart, width="stretch")


def _pick_symbol(known: dict[str, Json]) -> str:
    def label(symbol: str) -> str:
        row = known[symbol]
        kind = next((k for k in ("decided", "planned", "observed") if row[k]), "screened")
        name = f" {row['name']}" if row["name"] else ""
        return f"{symbol}{name} · {t(f'why.{kind}')}"

    asked = st.query_params.get("symbol", "")
    choices = list(known)
    picked = st.selectbox(
        t("why.symbol"),
        choices,
        index=choices.index(asked) if asked in known else 0,
        format_func=label,
        key=f"why-symbol-{'-'.join(choices[:1])}-{len(choices)}",
    )
    symbol = str(picked or choices[0])
    if symbol == choices[0]:
        st.query_params.pop("symbol", None)
    elif asked != symbol:
        st.query_params["symbol"] = symbol
    return symbol


def _pick_tick(looks: list[Json], market: str, key: str) -> datetime | None:
    """The tick that is asked about; None is the end of the session, with all that came of it."""
    if len(looks) < 2:
        return None
    ticks = [row["at"] for row in looks]
    picked = st.select_slider(
        t("why.tick"),
        [*ticks, _LAST],
        value=_LAST,
        format_func=lambda at: t("why.last") if at == _LAST else formats.clock(at, market),
        key=f"why-tick-{key}",
    )
    return None if picked == _LAST else picked


frames.show("page.why", _draw)
