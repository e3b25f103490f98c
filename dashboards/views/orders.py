"""Orders: the life of each, what store and broker did not agree on, and slippage."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import streamlit as st

from dashboards import data, formats, frames, order_tables, record_charts, tables
from dashboards.texts import t, word
from trading_core.wiring import records

Json = dict[str, Any]
SLIPPAGE_DAYS = 60
_ON_THE_TIMELINE = 40


def _draw() -> None:
    market = frames.pick_market()
    sessions = data.read(records.read_sessions, market)
    if not sessions:
        st.info(t("frame.no_market", market=word("market", market)))
        return
    session = frames.pick_session(market, sessions)
    if session is None:
        return
    frames.part(lambda: _day(market, session), every=frames.SLOW_SECONDS)
    frames.part(lambda: _slippage(market, session))


def _day(market: str, session: date) -> None:
    found = data.read(records.read_orders, market, session)
    orders = found["orders"]
    if not orders:
        st.info(t("orders.none", session=formats.day(session)))
    else:
        _counts(orders)
        st.subheader(t("orders.timeline"), anchor=False, help=t("orders.timeline.help"))
        shown = orders[-_ON_THE_TIMELINE:]
        st.altair_chart(record_charts.timeline(shown, market), width="stretch")
        picked = order_tables.orders(orders, market, key=f"orders-{market}-{session}")
        if picked is None:
            st.caption(t("orders.pick"))
        else:
            order_tables.life(picked, market)
    _differences(found, market)


def _counts(orders: list[Json]) -> None:
    counted = {
        "wanted": len(orders),
        "accepted": sum(order["accepted"] for order in orders),
        "filled": sum(order["state"] == "filled" for order in orders),
        "refused": sum(order["state"] == "refused" for order in orders),
        "rejected": sum(order["state"] == "rejected" for order in orders),
        "unsure": sum(order["state"] in ("unknown", "sending") for order in orders),
    }
    with st.container(horizontal=True):
        for name, number in counted.items():
            if number or name in ("wanted", "accepted", "filled"):
                st.metric(t(f"orders.{name}"), formats.count(number), border=True, width=170)


def _differences(found: Json, market: str) -> None:
    st.subheader(t("orders.differences"), anchor=False)
    if not found["differences"]:
        st.caption(t("orders.no_differences"))
    else:
        st.dataframe(
            [
                {
                    "at": formats.clock(row["at"], market, seconds=True),
                    "kind": word("difference", row["kind"]),
                    "subject": row["subject"],
                    "expected": row["expected"],
                    "found": row["found"],
                    "severity": word("severity", row["severity"]),
                    "repaired": t("orders.unrepaired")
                    if row["repaired_by"] == "none"
                    else row["repaired_by"],
                }
                for row in found["differences"]
            ],
            hide_index=True,
            placeholder=formats.NO_DATA,
            width="stretch",
            column_config={
                "at": t("orders.time"),
                "kind": t("orders.kind"),
                "subject": t("orders.subject"),
                "expected": t("orders.expected"),
                "found": t("orders.found"),
                "severity": t("orders.severity"),
                "repaired": t("orders.repaired"),
            },
        )
    for split in found["splits"]:
        st.info(t("orders.split", **{k: v for k, v in split.items() if k != "at"}))
    if found["adopted"]:
        st.subheader(t("orders.adopted"), anchor=False)
        st.dataframe(
            [
                {
                    "at": formats.clock(lot["at"], market, seconds=True),
                    "symbol": lot["symbol"],
                    "quantity": lot["quantity"],
                    "price": float(lot["price"]),
                    "note": lot["note"],
                }
                for lot in found["adopted"]
            ],
            hide_index=True,
            placeholder=formats.NO_DATA,
            width="stretch",
            column_config={
                "at": t("orders.time"),
                "symbol": t("orders.symbol"),
                "quantity": st.column_config.NumberColumn(t("orders.quantity"), format="localized"),
                "price": tables.money(t("orders.price"), found["adopted"][0]["currency"]),
                "note": t("orders.note"),
            },
        )


def _slippage(market: str, session: date) -> None:
    title = t("orders.slippage.title", days=SLIPPAGE_DAYS)
    st.subheader(title, anchor=False, help=t("orders.slippage.help"))
    since = session - timedelta(days=SLIPPAGE_DAYS)
    rows = [
        row
        for row in data.read(records.read_slippage, market, since)
        if row["session"] <= session and row["amount"]
    ]
    if not rows:
        st.caption(t("orders.slippage.none"))
        return
    st.altair_chart(record_charts.slippage(rows), width="stretch")
    sums: dict[tuple[str, str], list[Any]] = {}
    for row in rows:
        kind = sums.setdefault((row["side"], row["reason"]), [0, 0, 0])
        kind[0] += row["orders"]
        kind[1] += row["amount"]
        kind[2] += row["worse"]
    st.dataframe(
        [
            {
                "side": word("side", side),
                "reason": word("reason", reason),
                "orders": orders,
                "amount": float(amount),
                "worse": float(worse),
                "bps": float(worse / amount * 10_000),
            }
            for (side, reason), (orders, amount, worse) in sorted(sums.items())
        ],
        hide_index=True,
        placeholder=formats.NO_DATA,
        width="stretch",
        column_config={
            "side": t("orders.side"),
            "reason": t("orders.reason"),
            "orders": st.column_config.NumberColumn(t("orders.orders"), format="localized"),
            "amount": tables.money(t("orders.amount"), rows[0]["currency"]),
            "worse": tables.money(t("orders.worse"), rows[0]["currency"]),
            "bps": st.column_config.NumberColumn(t("orders.slippage"), format="%.1f"),
        },
    )


frames.show("page.orders", _draw)
