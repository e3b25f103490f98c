"""Charts of the pages about records: near misses, the life of orders, memory, slippage, costs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import altair as alt
import pandas as pd

from dashboards import formats
from dashboards.charts import BLUE, GRAY, GREEN, ORANGE, PURPLE, RED, TEAL
from dashboards.texts import t, word

Json = dict[str, Any]

PALETTE = [BLUE, ORANGE, GREEN, PURPLE, TEAL, RED, "#c2638f", GRAY]

# The same room on the left, so that charts that stand one above the other have one axis of time.
_AXIS = alt.Axis(minExtent=56, tickCount=5)

_DAYS = alt.Axis(labelOverlap=True, labelAngle=0)

_STATE_COLOURS = {
    "intended": GRAY,
    "sending": GRAY,
    "unknown": RED,
    "accepted": BLUE,
    "partially_filled": TEAL,
    "filled": GREEN,
    "cancel_requested": ORANGE,
    "cancelled": ORANGE,
    "rejected": RED,
    "expired": ORANGE,
    "not_sent": PURPLE,
    "refused": PURPLE,
}


def closeness(
    rows: Sequence[Json], market: str, at: datetime | None
) -> tuple[alt.LayerChart | alt.FacetChart, alt.LayerChart | alt.FacetChart]:
    """The price over a session, and how far the nearest scenario was from matching; to stand one
    above the other."""
    frame = pd.DataFrame(
        [
            {
                "at": formats.local(row["at"], market),
                "price": row["price"],
                "distance": None if row["distance"] is None else row["distance"] * 100,
                "scenario": row["scenario"],
                "field": word("field", row.get("field", "")),
            }
            for row in rows
        ]
    )
    x = alt.X("at:T", title=None, axis=alt.Axis(format="%H:%M"))
    base = alt.Chart(frame).encode(x=x)
    price = base.mark_line(color=BLUE, interpolate="step-after").encode(
        y=alt.Y("price:Q", title=t("why.price"), scale=alt.Scale(zero=False), axis=_AXIS),
        tooltip=[alt.Tooltip("at:T", format="%H:%M:%S", title=t("why.tick")), "price:Q"],
    )
    miss = base.mark_circle(size=34, color=ORANGE, opacity=0.85).encode(
        y=alt.Y(
            "distance:Q", title=t("why.off"), scale=alt.Scale(type="sqrt", zero=True), axis=_AXIS
        ),
        tooltip=[
            alt.Tooltip("at:T", format="%H:%M:%S", title=t("why.tick")),
            alt.Tooltip("distance:Q", format=".2f", title=t("why.off")),
            alt.Tooltip("scenario:N", title=t("why.scenario")),
            alt.Tooltip("field:N", title=t("why.field")),
        ],
    )
    layers: list[alt.Chart] = []
    if at is not None:
        mark = pd.DataFrame([{"at": formats.local(at, market)}])
        layers = [alt.Chart(mark).mark_rule(color=GRAY, strokeDash=[4, 3]).encode(x=x)]
    upper = alt.layer(price, *layers).properties(height=200)
    lower = alt.layer(miss, *layers).properties(height=140)
    return upper, lower


def timeline(orders: Sequence[Json], market: str) -> alt.LayerChart | alt.FacetChart:
    """One row per order: a line from the wish to its end, a mark for every state it took."""
    marks = []
    for place, order in enumerate(orders, start=1):
        side = word("side", order["side"])
        label = f"{place:>2} · {order['symbol']} {side} {order['quantity']:,}"
        marks += [
            {
                "order": label,
                "at": formats.local(event["at"], market),
                "state": word("state", event["state"]),
                "note": event["note"],
            }
            for event in order["events"]
        ]
    frame = pd.DataFrame(marks, columns=["order", "at", "state", "note"])
    rows = alt.Y(
        "order:N",
        title=None,
        sort=list(dict.fromkeys(frame["order"])),
        axis=alt.Axis(labelLimit=220, labelPadding=12, labelOverlap=False),
    )
    x = alt.X("at:T", title=None, axis=alt.Axis(format="%H:%M:%S", labelOverlap=True))
    spans = (
        alt.Chart(frame)
        .mark_rule(color=GRAY, strokeWidth=2)
        .encode(y=rows, x=alt.X("min(at):T", title=None), x2="max(at):T")
    )
    states = [word("state", state) for state in _STATE_COLOURS]
    seen = [state for state in states if state in set(frame["state"])]
    colours = dict(zip(states, _STATE_COLOURS.values(), strict=True))
    points = (
        alt.Chart(frame)
        .mark_circle(size=110, opacity=1)
        .encode(
            y=rows,
            x=x,
            color=alt.Color(
                "state:N",
                title=None,
                scale=alt.Scale(domain=seen, range=[colours[state] for state in seen]),
                legend=alt.Legend(orient="top"),
            ),
            tooltip=[
                alt.Tooltip("order:N", title=t("orders.orders")),
                alt.Tooltip("state:N", title=t("orders.state")),
                alt.Tooltip("at:T", format="%H:%M:%S", title=t("orders.time")),
                alt.Tooltip("note:N", title=t("orders.note")),
            ],
        )
    )
    height = 26 * frame["order"].nunique() + 40
    return alt.layer(spans, points).properties(height=height)


def slippage(rows: Sequence[Json]) -> alt.Chart:
    """Slippage of every session, by side."""
    frame = pd.DataFrame(
        [
            {
                "session": f"{row['session']:%m-%d}",
                "day": row["session"].isoformat(),
                "side": word("side", row["side"]),
                "worse": float(row["worse"]),
                "amount": float(row["amount"]),
            }
            for row in rows
        ]
    )
    summed = frame.groupby(["day", "session", "side"], as_index=False)[["worse", "amount"]].sum()
    summed["bps"] = summed["worse"] / summed["amount"] * 10_000
    chart: alt.Chart = (
        alt.Chart(summed)
        .mark_bar(opacity=0.9, **_slim(summed["day"]))
        .encode(
            x=alt.X("session:O", title=None, sort=None, axis=_DAYS),
            xOffset="side:N",
            y=alt.Y("bps:Q", title=t("orders.slippage"), axis=alt.Axis(format=".1~f", tickCount=5)),
            color=alt.Color(
                "side:N",
                title=None,
                scale=alt.Scale(
                    domain=[word("side", "BUY"), word("side", "SELL")], range=[BLUE, ORANGE]
                ),
                legend=alt.Legend(orient="top"),
            ),
            tooltip=[
                alt.Tooltip("day:N", title=t("orders.session")),
                alt.Tooltip("side:N", title=t("orders.side")),
                alt.Tooltip("bps:Q", format=".1f", title=t("orders.slippage")),
            ],
        )
        .properties(height=220)
    )
    return chart


def over_time(series: Sequence[tuple[str, float]], title: str) -> alt.Chart:
    """One number of memory by its timeframe, in the order of time."""
    frame = pd.DataFrame(series, columns=["timeframe", "value"])
    x = alt.X("timeframe:N", title=None, sort=None, axis=alt.Axis(labelOverlap=True, labelAngle=0))
    chart: alt.Chart = (
        alt.Chart(frame)
        .mark_line(color=BLUE, point=alt.OverlayMarkDef(color=BLUE, size=36))
        .encode(
            x=x,
            y=alt.Y(
                "value:Q",
                title=None,
                scale=alt.Scale(zero=False),
                axis=alt.Axis(format=",.6~f", labelLimit=130, tickCount=5),
            ),
            tooltip=[
                alt.Tooltip("timeframe:N", title=t("memory.timeframe")),
                alt.Tooltip("value:Q", title=title, format=",.6~f"),
            ],
        )
        .properties(height=240)
    )
    return chart


def stacked(
    rows: Sequence[tuple[str, str, float]], *, y: str, by: str, colours: Sequence[str] = PALETTE
) -> alt.Chart:
    """Amounts by day, ``(day, kind, amount)``, one kind upon the other."""
    frame = pd.DataFrame(rows, columns=["day", "kind", "amount"])
    frame = frame.sort_values("day", kind="stable")
    years = frame["day"].str[:4].nunique()
    frame["short"] = frame["day"] if years > 1 else frame["day"].str[5:]
    kinds = list(dict.fromkeys(frame["kind"]))
    chart: alt.Chart = (
        alt.Chart(frame)
        .mark_bar(opacity=0.9, **_slim(frame["day"]))
        .encode(
            x=alt.X("short:O", title=None, sort=None, axis=_DAYS),
            y=alt.Y("sum(amount):Q", title=y),
            color=alt.Color(
                "kind:N",
                title=None,
                scale=alt.Scale(domain=kinds, range=list(colours)[: len(kinds)] or [BLUE]),
                legend=alt.Legend(orient="top"),
            ),
            tooltip=[
                alt.Tooltip("day:N", title=t("costs.day")),
                alt.Tooltip("kind:N", title=by),
                alt.Tooltip("sum(amount):Q", format=",.4~f", title=y),
            ],
        )
        .properties(height=240)
    )
    return chart


def _slim(days: pd.Series) -> dict[str, Any]:
    """Bars of a few days are not as wide as a hand."""
    return {"size": 28} if days.nunique() < 12 else {}
