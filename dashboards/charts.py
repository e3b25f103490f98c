"""Charts in Altair. Colours are of middle brightness: they read on light and on dark ground."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from dashboards import formats
from dashboards.texts import language, t
from trading_core.model.market import Currency

Json = dict[str, Any]
Drawing = Any
"""What Altair makes: a chart, layers of them, or several below each other."""

BLUE, ORANGE, GREEN, RED, GRAY, PURPLE, TEAL = (
    "#4c8fd6",
    "#e08a2e",
    "#2fa36b",
    "#dd5a52",
    "#8a94a6",
    "#9a72d0",
    "#3fb0b5",
)


def draw(make: Callable[..., Any], *arguments: Any, name: str = "", **options: Any) -> None:
    """Draw the chart that ``make`` makes of these arguments.

    Making one takes longer than drawing everything around it, so it is kept until what it is made
    of is another; a page that refreshes itself mostly shows what it showed before.

    Args:
        make: A function that answers an Altair chart.
        arguments: What it is given; everything in them can be pickled.
        name: What the chart shows, for those who cannot see it.
        options: More of the same, by name.
    """
    given = pickle.dumps((make.__qualname__, arguments, sorted(options.items()), language()))
    digest = hashlib.blake2b(given, digest_size=16).hexdigest()
    spec = _spec(make, arguments, options, digest)
    st.vega_lite_chart(spec, width="stretch", alt=name or None)


@st.cache_data(ttl=3600, max_entries=256, show_spinner=False)
def _spec(
    _make: Callable[..., Any], _arguments: tuple[Any, ...], _options: dict[str, Any], digest: str
) -> dict[str, Any]:
    made: dict[str, Any] = _make(*_arguments, **_options).to_dict()
    return made


def gain() -> str:
    """The colour of what went up: red where people read Korean, green elsewhere."""
    return RED if language() == "ko" else GREEN


def loss() -> str:
    return BLUE if language() == "ko" else RED


def delta_colour(change: float | Decimal | None) -> Any:
    """The colour of a change in ``st.metric``, the one of the charts."""
    if not change:
        return "off"
    return {RED: "red", GREEN: "green", BLUE: "blue"}[gain() if change > 0 else loss()]


def money_axis(currency: str) -> str:
    """The d3 format of an axis in a currency: thousands, and its digits where they matter."""
    return ",.0f" if Currency(currency).exponent == 0 else ",.2f"


def equity(money: Json, market: str) -> Drawing:
    """The account through a session, with where it began and the loss at which entries stop."""
    points, currency = money["curve"], money["currency"]
    start, floor = money["start"], money["floor"]
    frame = pd.DataFrame(
        [{"at": formats.local(at, market), "equity": float(value)} for at, value in points]
    )
    values = [*frame["equity"], float(start), float(floor)]
    margin = (max(values) - min(values) or abs(values[0]) * 0.001) * 0.08
    scale = alt.Scale(domain=[min(values) - margin, max(values) + margin], nice=False)
    y = alt.Y(
        "equity:Q",
        title=None,
        scale=scale,
        axis=alt.Axis(format=money_axis(currency), labelLimit=130, tickCount=5),
    )
    x = alt.X("at:T", title=None, axis=alt.Axis(format="%H:%M", labelOverlap=True, tickCount=8))
    ended_up = points[-1][1] >= start
    line = (
        alt.Chart(frame)
        .mark_line(color=gain() if ended_up else loss(), strokeWidth=2.2)
        .encode(
            x=x,
            y=y,
            tooltip=[
                alt.Tooltip("at:T", format="%H:%M:%S", title=t("chart.time")),
                alt.Tooltip("equity:Q", format=money_axis(currency), title=t("chart.equity")),
            ],
        )
    )
    layers: list[Any] = [line]
    for value, colour, name in ((start, GRAY, "chart.start"), (floor, RED, "chart.floor")):
        is_above = name == "chart.floor" or not ended_up
        layers += level(float(value), t(name), colour, scale=scale, above=is_above)
    return alt.layer(*layers).properties(height=260)


def level(
    value: float, label: str, colour: str, *, scale: alt.Scale, above: bool = True
) -> list[Any]:
    """A horizontal line with its name at the right end, above or below it."""
    frame = pd.DataFrame([{"value": value, "label": label}])
    y = alt.Y("value:Q", scale=scale, title=None)
    rule = alt.Chart(frame).mark_rule(color=colour, strokeDash=[5, 4]).encode(y=y)
    name = (
        alt.Chart(frame)
        .mark_text(
            align="right",
            baseline="bottom" if above else "top",
            dx=-4,
            dy=-2 if above else 4,
            color=colour,
            fontSize=11,
        )
        .encode(y=y, x=alt.value("width"), text="label:N")
    )
    return [rule, name]


def breaker(money: Json) -> Drawing:
    """How much of the day's loss is used: from the limit on the left over zero to the gain."""
    now = float(money["pct"] or 0.0)
    floor, lowest = float(money["floor_pct"]), float(money["lowest_pct"] or 0.0)
    right = max(now, abs(floor) / 2, 0.5) * 1.05
    left = min(floor, now, lowest) * 1.05
    scale = alt.Scale(domain=[left, right], nice=False)
    axis = alt.Axis(format="+.1f", title=t("chart.day_pct"), tickCount=6, grid=False)
    zones = pd.DataFrame(
        [
            {"from": left, "to": floor, "colour": RED},
            {"from": floor, "to": floor / 2, "colour": ORANGE},
            {"from": floor / 2, "to": right, "colour": GRAY},
        ]
    )
    ground = (
        alt.Chart(zones)
        .mark_bar(height=18, opacity=0.28)
        .encode(
            x=alt.X("from:Q", scale=scale, axis=axis),
            x2="to:Q",
            color=alt.Color("colour:N", scale=None, legend=None),
        )
    )
    bar = (
        alt.Chart(pd.DataFrame([{"from": 0.0, "to": now}]))
        .mark_bar(height=10, color=gain() if now >= 0 else loss())
        .encode(x=alt.X("from:Q", scale=scale), x2="to:Q")
    )
    marks = pd.DataFrame(
        [
            {"at": floor, "name": t("chart.limit"), "colour": RED},
            {"at": lowest, "name": t("chart.lowest"), "colour": GRAY},
        ]
    )
    ticks = (
        alt.Chart(marks)
        .mark_tick(thickness=3, height=26)
        .encode(
            x=alt.X("at:Q", scale=scale),
            color=alt.Color("colour:N", scale=None, legend=None),
            tooltip=[
                alt.Tooltip("name:N", title=" "),
                alt.Tooltip("at:Q", format="+.2f", title=t("chart.day_pct")),
            ],
        )
    )
    return alt.layer(ground, bar, ticks).properties(height=44)


def session_axis(**options: Any) -> alt.X:
    axis = alt.Axis(format="%y-%m-%d", labelOverlap=True, tickCount=8, grid=False)
    return alt.X("session:T", title=None, axis=axis, **options)


def grown(days: pd.DataFrame, benchmark: pd.DataFrame | None = None) -> Drawing:
    """The compounded return over sessions in percent, beside a benchmark's where there is one."""
    x = session_axis()
    y = alt.Y("grown_pct:Q", title=t("chart.return_pct"), axis=alt.Axis(format="+.2~f"))
    line = (
        alt.Chart(days)
        .mark_area(
            line={"color": BLUE, "strokeWidth": 2}, color=BLUE, opacity=0.16, interpolate="linear"
        )
        .encode(
            x=x,
            y=y,
            tooltip=[
                alt.Tooltip("session:T", format="%Y-%m-%d", title=t("chart.session")),
                alt.Tooltip("grown_pct:Q", format="+.2f", title=t("chart.return_pct")),
            ],
        )
    )
    layers: list[Any] = [line]
    if benchmark is not None and len(benchmark) > 1:
        layers.append(
            alt.Chart(benchmark)
            .mark_line(strokeDash=[5, 3], strokeWidth=1.6)
            .encode(
                x=x,
                y="grown_pct:Q",
                color=alt.Color(
                    "name:N",
                    title=None,
                    scale=alt.Scale(range=[ORANGE, PURPLE, TEAL]),
                    legend=alt.Legend(orient="top"),
                ),
                tooltip=[
                    alt.Tooltip("name:N", title=" "),
                    alt.Tooltip("session:T", format="%Y-%m-%d", title=t("chart.session")),
                    alt.Tooltip("grown_pct:Q", format="+.2f", title=t("chart.return_pct")),
                ],
            )
        )
    return alt.layer(*layers).properties(height=280)


def drawdown(days: pd.DataFrame) -> Drawing:
    """How far below its highest point the account was after each session, in percent."""
    return (
        alt.Chart(days)
        .mark_area(color=RED, opacity=0.3, line={"color": RED, "strokeWidth": 1.4})
        .encode(
            x=session_axis(),
            y=alt.Y("drawdown_pct:Q", title=t("chart.drawdown_pct"), axis=alt.Axis(format=".2~f")),
            tooltip=[
                alt.Tooltip("session:T", format="%Y-%m-%d", title=t("chart.session")),
                alt.Tooltip("drawdown_pct:Q", format=".2f", title=t("chart.drawdown_pct")),
            ],
        )
        .properties(height=130)
    )


def net_bars(
    rows: Sequence[tuple[str, Decimal]], currency: str, *, title: str | None = None, angle: int = 0
) -> Drawing:
    """Profit after costs by a name, in the colours of gain and loss and in the order given.

    Args:
        rows: Name and profit.
        currency: Of the profit.
        title: Of the axis with the names.
        angle: Of the names, in degrees.
    """
    frame = pd.DataFrame([{"name": name, "net": float(net)} for name, net in rows])
    x = alt.X("name:N", title=title, sort=None, axis=alt.Axis(labelAngle=angle, labelOverlap=True))
    return _signed(frame, x, currency, alt.Tooltip("name:N", title=title or " "))


def daily(days: pd.DataFrame, currency: str) -> Drawing:
    """The profit of every session after costs."""
    tip = alt.Tooltip("session:T", format="%Y-%m-%d", title=t("chart.session"))
    return _signed(days, session_axis(), currency, tip)


def _signed(frame: pd.DataFrame, x: alt.X, currency: str, tip: alt.Tooltip) -> Drawing:
    form, title = money_axis(currency), t("chart.net", currency=currency)
    return (
        alt.Chart(frame)
        .mark_bar(opacity=0.9)
        .encode(
            x=x,
            y=alt.Y("net:Q", title=title, axis=alt.Axis(format=form, labelLimit=110)),
            color=alt.condition("datum.net >= 0", alt.value(gain()), alt.value(loss())),
            tooltip=[tip, alt.Tooltip("net:Q", format=form, title=title)],
        )
        .properties(height=220)
    )


def distribution(nets: Sequence[Decimal], currency: str) -> Drawing:
    """How many closed trades made how much, after costs."""
    frame = pd.DataFrame({"net": [float(net) for net in nets]})
    frame["sign"] = frame["net"].map(lambda net: gain() if net >= 0 else loss())
    form = money_axis(currency)
    bars = (
        alt.Chart(frame)
        .mark_bar(opacity=0.9)
        .encode(
            x=alt.X(
                "net:Q",
                bin=alt.Bin(maxbins=41),
                title=t("chart.trade_net", currency=currency),
                axis=alt.Axis(format="~s", labelOverlap=True),
            ),
            y=alt.Y("count():Q", title=t("chart.trades")),
            color=alt.Color("sign:N", scale=None, legend=None),
            tooltip=[
                alt.Tooltip("net:Q", bin=alt.Bin(maxbins=41), format=form, title=" "),
                alt.Tooltip("count():Q", title=t("chart.trades")),
            ],
        )
    )
    zero = alt.Chart(pd.DataFrame([{"net": 0.0}])).mark_rule(color=GRAY).encode(x="net:Q")
    return alt.layer(bars, zero).properties(height=220)


def exposure(days: pd.DataFrame) -> Drawing:
    """The part of the account that was in shares at the end of each session, in percent."""
    return (
        alt.Chart(days)
        .mark_area(
            color=TEAL,
            opacity=0.3,
            line={"color": TEAL, "strokeWidth": 1.4},
            interpolate="step-after",
        )
        .encode(
            x=session_axis(),
            y=alt.Y(
                "exposure_pct:Q",
                title=t("chart.exposure_pct"),
                scale=alt.Scale(domain=[0, 100]),
            ),
            tooltip=[
                alt.Tooltip("session:T", format="%Y-%m-%d", title=t("chart.session")),
                alt.Tooltip("exposure_pct:Q", format=".1f", title=t("chart.exposure_pct")),
            ],
        )
        .properties(height=180)
    )


def calibration(bins: Sequence[Json]) -> Drawing:
    """Stated confidence against how often it came true; on the line it kept its word."""
    frame = pd.DataFrame(bins)
    domain = alt.Scale(domain=[0, 100])
    line = (
        alt.Chart(pd.DataFrame({"x": [0, 100], "y": [0, 100]}))
        .mark_line(color=GRAY, strokeDash=[4, 4])
        .encode(x=alt.X("x:Q", scale=domain), y=alt.Y("y:Q", scale=domain))
    )
    points = (
        alt.Chart(frame)
        .mark_circle(color=BLUE, opacity=0.9)
        .encode(
            x=alt.X("stated_pct:Q", scale=domain, title=t("chart.stated_pct")),
            y=alt.Y("realized_pct:Q", scale=domain, title=t("chart.realized_pct")),
            size=alt.Size("trades:Q", legend=None, scale=alt.Scale(range=[60, 500], zero=False)),
            tooltip=[
                alt.Tooltip("confidence:N", title=t("chart.confidence")),
                alt.Tooltip("trades:Q", title=t("chart.trades")),
                alt.Tooltip("stated_pct:Q", format=".1f", title=t("chart.stated_pct")),
                alt.Tooltip("realized_pct:Q", format=".1f", title=t("chart.realized_pct")),
            ],
        )
    )
    return alt.layer(line, points).properties(height=280)


def share(rows: Sequence[tuple[str, int]], title: str) -> Drawing:
    """Horizontal bars with a name and a number each, in the order given."""
    frame = pd.DataFrame(rows, columns=["name", "count"])
    return (
        alt.Chart(frame)
        .mark_bar(color=BLUE, opacity=0.85)
        .encode(
            y=alt.Y(
                "name:N",
                title=None,
                sort=None,
                axis=alt.Axis(labelLimit=220, labelOverlap=False),
            ),
            x=alt.X("count:Q", title=title, axis=alt.Axis(tickMinStep=1, format="~s")),
            tooltip=[alt.Tooltip("name:N", title=" "), alt.Tooltip("count:Q", title=title)],
        )
        .properties(height=30 * len(frame) + 60)
    )
