"""Charts of one stock's prices: the day with its fills and levels, and the days before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from dashboards import formats
from dashboards.charts import (
    BLUE,
    GRAY,
    ORANGE,
    PURPLE,
    RED,
    TEAL,
    Drawing,
    Json,
    gain,
    level,
    loss,
    money_axis,
    session_axis,
)
from dashboards.texts import t, word

_OPERATORS = {"<": "<", "<=": "≤", ">": ">", ">=": "≥"}
CANDLE_SECONDS = 300
FEWEST_CANDLES = 12


def price_path(found: Json, market: str, *, thresholds: bool = True) -> Drawing:
    """The prices of a symbol in a session, with entries, exits, stops and thresholds of scenarios.

    Five-minute bars where several prices were seen in five minutes, else a line through them.
    """
    frame = pd.DataFrame(
        [{"at": formats.local(at, market), "price": price} for at, price in found["points"]]
    )
    marks = {
        "stop": (found["stop"], RED, t("chart.stop")),
        "target": (found["target"], TEAL, t("chart.target")),
    }
    wanted = [(float(v), colour, name) for v, colour, name in marks.values() if v is not None]
    if thresholds:
        wanted += [
            (
                row["price"],
                GRAY,
                f"#{row['scenario_id'].rpartition('#')[2]} {word('action', row['action'])}"
                f" {_OPERATORS[row['op']]}",
            )
            for row in found["thresholds"]
        ]
    scale = _price_scale(frame, found, [value for value, _, _ in wanted])
    form = money_axis(found["currency"])
    layers = [*_prices(frame, scale, form)]
    for value, colour, name in wanted:
        if scale.domain[0] <= value <= scale.domain[1]:
            layers += level(value, name, colour, scale=scale)
    if found["stops"] and found["stop"] is None:
        stops = pd.DataFrame(
            [{"at": formats.local(at, market), "price": float(v)} for at, v in found["stops"]]
        )
        layers.append(
            alt.Chart(stops)
            .mark_line(color=RED, strokeDash=[5, 4], interpolate="step-after")
            .encode(x="at:T", y=alt.Y("price:Q", scale=scale))
        )
    if found["fills"]:
        layers.append(_fills(found["fills"], market, scale, form))
    return alt.layer(*layers).properties(height=320)


def _price_scale(frame: pd.DataFrame, found: Json, levels: Sequence[float]) -> alt.Scale:
    """Around the prices; a level takes part when it is not far off."""
    low, high = float(frame["price"].min()), float(frame["price"].max())
    filled = [float(fill["price"]) for fill in found["fills"]]
    stops = [float(value) for _, value in found["stops"]]
    low, high = min([low, *filled]), max([high, *filled])
    reach = max(high - low, high * 0.01) * 1.5
    near = [v for v in (*levels, *stops) if low - reach <= v <= high + reach]
    near += [] if found["stop"] is None else [float(found["stop"])]
    low, high = min([low, *near]), max([high, *near])
    margin = (high - low or high * 0.01) * 0.06
    return alt.Scale(domain=[low - margin, high + margin], nice=False)


def _prices(frame: pd.DataFrame, scale: alt.Scale, form: str) -> list[Any]:
    axis = alt.Axis(format=form, labelLimit=110)
    x = alt.X("at:T", title=None, axis=alt.Axis(format="%H:%M", labelOverlap=True, tickCount=8))
    bars = frame.set_index("at")["price"].resample(f"{CANDLE_SECONDS}s").ohlc().dropna()
    if len(bars) < FEWEST_CANDLES or len(frame) < 2 * len(bars):
        tooltip = [
            alt.Tooltip("at:T", format="%H:%M:%S", title=t("chart.time")),
            alt.Tooltip("price:Q", format=form, title=t("chart.price")),
        ]
        line = alt.Chart(frame).mark_line(color=BLUE, strokeWidth=1.8, point=len(frame) < 90)
        y = alt.Y("price:Q", title=None, scale=scale, axis=axis)
        return [line.encode(x=x, y=y, tooltip=tooltip)]
    bars = bars.reset_index()
    colour = alt.condition("datum.close >= datum.open", alt.value(gain()), alt.value(loss()))
    base = alt.Chart(bars).encode(
        x=x,
        color=colour,
        tooltip=[
            alt.Tooltip("at:T", format="%H:%M", title=t("chart.time")),
            *(
                alt.Tooltip(f"{name}:Q", format=form, title=t(f"chart.{name}"))
                for name in ("open", "high", "low", "close")
            ),
        ],
    )
    low = alt.Y("low:Q", scale=scale, title=None, axis=axis)
    wicks = base.mark_rule().encode(y=low, y2="high:Q")
    bodies = base.mark_bar(size=5).encode(
        y=alt.Y("open:Q", scale=scale, title=None, axis=axis), y2="close:Q"
    )
    return [wicks, bodies]


def _fills(fills: Sequence[Json], market: str, scale: alt.Scale, form: str) -> Drawing:
    frame = pd.DataFrame(
        [
            {
                "at": formats.local(fill["at"], market),
                "price": float(fill["price"]),
                "side": word("action", fill["side"]),
                "shape": "triangle-up" if fill["side"] == "BUY" else "triangle-down",
                "colour": ORANGE if fill["side"] == "BUY" else PURPLE,
                "quantity": fill["quantity"],
            }
            for fill in fills
        ]
    )
    return (
        alt.Chart(frame)
        .mark_point(filled=True, size=190, opacity=1, stroke="white", strokeWidth=1)
        .encode(
            x="at:T",
            y=alt.Y("price:Q", scale=scale),
            shape=alt.Shape("shape:N", scale=None, legend=None),
            color=alt.Color("colour:N", scale=None, legend=None),
            tooltip=[
                alt.Tooltip("side:N", title=" "),
                alt.Tooltip("quantity:Q", format=",", title=t("chart.shares")),
                alt.Tooltip("price:Q", format=form, title=t("chart.price")),
                alt.Tooltip("at:T", format="%H:%M:%S", title=t("chart.time")),
            ],
        )
    )


def day_bars(bars: Sequence[Json], currency: str) -> Drawing:
    """Daily bars and, below them, what was traded."""
    frame = pd.DataFrame(bars)
    frame["session"] = pd.to_datetime(frame["session"])
    for name in ("open", "high", "low", "close"):
        frame[name] = frame[name].astype(float)
    form = money_axis(currency)
    colour = alt.condition("datum.close >= datum.open", alt.value(gain()), alt.value(loss()))
    base = alt.Chart(frame).encode(
        x=session_axis(),
        color=colour,
        tooltip=[
            alt.Tooltip("session:T", format="%Y-%m-%d", title=t("chart.session")),
            *(
                alt.Tooltip(f"{name}:Q", format=form, title=t(f"chart.{name}"))
                for name in ("open", "high", "low", "close")
            ),
            alt.Tooltip("volume:Q", format=",", title=t("chart.volume")),
        ],
    )
    scale = alt.Scale(zero=False)
    axis = alt.Axis(format=form, labelLimit=110)
    wicks = base.mark_rule().encode(y=alt.Y("low:Q", scale=scale, title=None, axis=axis), y2="high")
    bodies = base.mark_bar(size=4).encode(y=alt.Y("open:Q", scale=scale, title=None), y2="close")
    volume = base.mark_bar(size=4, opacity=0.6).encode(
        y=alt.Y("volume:Q", title=None, axis=alt.Axis(format="~s", tickCount=3))
    )
    return alt.vconcat(
        alt.layer(wicks, bodies).properties(height=230, width="container"),
        volume.properties(height=60, width="container"),
        spacing=4,
    ).resolve_scale(x="shared")


# --- Over many sessions --------------------------------------------------------------------------
