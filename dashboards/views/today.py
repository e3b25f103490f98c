"""Today: halts, playbook, orders, P&L and positions of every market."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboards.data import status
from trading_core.errors import TradingError


@st.fragment(run_every=10)
def page() -> None:
    """Draw the page and refresh it by itself; a store that cannot be read is one sentence."""
    try:
        answer = status()
    except TradingError as error:
        st.error(str(error))
        return
    st.title("Today")
    st.caption(f"mode {answer['mode']}, store {answer['store']}")
    for halt in answer["halts"]:
        st.error(f"Halted ({halt['scope']}): {halt['reason']}. Lift it with: ouroboros resume")
    for market in answer["markets"]:
        _market(market)
    for name in answer["nothing_yet"]:
        st.info(f"{name}: nothing yet; the first plan is made before the next open.")


def _market(market: dict[str, Any]) -> None:
    st.subheader(f"{market['market']} {market['session']}")
    book, orders = market["playbook"], market["orders"]
    columns = st.columns(4)
    columns[0].metric("Playbook by", book["source"] or "none")
    columns[1].metric("Ticks", market["ticks"])
    columns[2].metric("Orders accepted", orders["accepted"])
    columns[3].metric("Orders filled", orders["filled"])
    for code, pnl in market["pnl"].items():
        st.metric(f"Net P&L {code}", f"{float(pnl['net']):+,.2f}")
    if market["positions"]:
        st.dataframe(market["positions"], hide_index=True, width="stretch")
    else:
        st.caption("No open positions.")


page()
