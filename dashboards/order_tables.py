"""Tables of orders and what happened to them, wherever a page shows them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import streamlit as st

from dashboards import formats, tables
from dashboards.texts import t, word

Json = dict[str, Any]


def orders(rows: Sequence[Json], market: str, *, key: str | None) -> Json | None:
    """A table of orders; with a ``key`` a row can be selected, and the selected one is answered."""
    shown = [
        {
            "at": formats.clock(order["at"], market, seconds=True),
            "symbol": order["symbol"],
            "name": order["name"],
            "side": word("side", order["side"]),
            "quantity": order["quantity"],
            "filled": order["filled"],
            "limit": _number(order["limit_price"]),
            "decided": _number(order["decided_price"]),
            "average": _number(order["average_price"]),
            "slippage": order["slippage_bps"],
            "state": word("state", order["state"]),
            "reason": word("reason", order["reason"]),
            "note": order["note"],
        }
        for order in rows
    ]
    currency = rows[0]["currency"]
    config = {
        "at": t("orders.at"),
        "symbol": t("orders.symbol"),
        "name": t("orders.name"),
        "side": t("orders.side"),
        "quantity": st.column_config.NumberColumn(t("orders.quantity"), format="localized"),
        "filled": st.column_config.NumberColumn(t("orders.filled_of"), format="localized"),
        "limit": tables.money(t("orders.limit"), currency),
        "decided": tables.money(t("orders.decided"), currency),
        "average": tables.money(t("orders.average"), currency),
        "slippage": st.column_config.NumberColumn(t("orders.slippage"), format="%.1f"),
        "state": t("orders.state"),
        "reason": t("orders.reason"),
        "note": t("orders.note"),
    }
    if key is None:
        st.dataframe(
            shown,
            hide_index=True,
            placeholder=formats.NO_DATA,
            width="stretch",
            column_config=config,
        )
        return None
    event = st.dataframe(
        shown,
        hide_index=True,
        placeholder=formats.NO_DATA,
        width="stretch",
        column_config=config,
        on_select="rerun",
        selection_mode="single-row",
        key=key,
    )
    picked = event.selection.rows
    return rows[picked[0]] if picked and picked[0] < len(rows) else None


def life(order: Json, market: str) -> None:
    """The events and fills of one order."""
    title = t(
        "orders.one",
        side=word("side", order["side"]),
        quantity=formats.count(order["quantity"]),
        symbol=f"{order['symbol']} {order['name']}".strip(),
        state=word("state", order["state"]),
    )
    st.subheader(title, anchor=False)
    if order["chases"]:
        st.caption(t("orders.chases", order=order["chases"][:12]))
    st.dataframe(
        [
            {
                "at": formats.clock(event["at"], market, seconds=True),
                "state": word("state", event["state"]),
                "order_no": event["order_no"],
                "code": event["code"],
                "note": event["note"],
            }
            for event in order["events"]
        ],
        hide_index=True,
        placeholder=formats.NO_DATA,
        width="stretch",
        column_config={
            "at": t("orders.time"),
            "state": t("orders.state"),
            "order_no": t("orders.order_no"),
            "code": t("orders.code"),
            "note": t("orders.note"),
        },
    )
    if not order["fills"]:
        if not order["filled"]:
            st.caption(t("orders.no_fills"))
        return
    currency = order["currency"]
    st.dataframe(
        [
            {
                "at": formats.clock(fill["at"], market, seconds=True),
                "quantity": fill["quantity"],
                "price": _number(fill["price"]),
                "amount": _number(fill["amount"]),
                "fee": _number(fill["fee"]),
                "tax": _number(fill["tax"]),
            }
            for fill in order["fills"]
        ],
        hide_index=True,
        placeholder=formats.NO_DATA,
        width="stretch",
        column_config={
            "at": t("orders.time"),
            "quantity": st.column_config.NumberColumn(t("orders.quantity"), format="localized"),
            "price": tables.money(t("orders.price"), currency),
            "amount": tables.money(t("orders.amount"), currency),
            "fee": tables.money(t("orders.fee"), currency),
            "tax": tables.money(t("orders.tax"), currency),
        },
    )


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
