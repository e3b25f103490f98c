"""Pictures for a chat: a symbol's session, and how the account went.

Drawn with matplotlib's object API, which needs no screen and no global state.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

from matplotlib import dates
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from trading_core.model.chat import PriceChart
from trading_core.model.journal import EquityPoint

# The library has no types for these.
_Locator: Any = dates.AutoDateLocator
_Formatter: Any = dates.ConciseDateFormatter
_number: Any = dates.date2num

_SIZE = (7.2, 5.0)
_DPI = 110
_INK, _PALE, _PAPER = "#1b2530", "#8a95a1", "#ffffff"
_LINE, _UP, _DOWN, _AMBER = "#1f6feb", "#1a7f37", "#cf222e", "#b07500"
_SHOWN_THRESHOLDS = 6


def price_picture(chart: PriceChart) -> bytes:
    """A PNG of a session: observed prices, fills, stop, target, scenario thresholds."""
    zone = ZoneInfo(chart.zone)
    figure, axes = _paper(chart.title)
    moments = [at for at, _ in chart.prices]
    prices = [price for _, price in chart.prices]
    axes.plot(_dates(moments), prices, color=_LINE, linewidth=1.6, zorder=3)
    if len(prices) == 1:
        axes.plot(_dates(moments), prices, "o", color=_LINE, zorder=3)
    for is_buy, marker, color in ((True, "^", _UP), (False, "v", _DOWN)):
        marks = [mark for mark in chart.marks if mark.is_buy is is_buy]
        if marks:
            axes.scatter(
                _dates([mark.at for mark in marks]),
                [float(mark.price) for mark in marks],
                marker=marker,
                s=110,
                color=color,
                edgecolor=_PAPER,
                zorder=5,
                label="bought" if is_buy else "sold",
            )
    levels = [("stop", chart.stop, _DOWN), ("target", chart.target, _UP)]
    levels.append(("average", chart.average, _PALE))
    for name, level, color in levels:
        if level is not None:
            _level(axes, float(level), f"{name} {float(level):,.10g}", color, "--")
    low, high = min(prices), max(prices)
    reach = max(high - low, high * 0.01) * 3
    # One that is far off would flatten everything else.
    near = [item for item in chart.thresholds if low - reach <= item[1] <= high + reach]
    for label, value in near[:_SHOWN_THRESHOLDS]:
        _level(axes, value, label, _AMBER, ":")
    _time_axis(axes, zone)
    axes.set_ylabel(chart.currency, color=_PALE)
    if any(chart.marks):
        axes.legend(loc="best", framealpha=0.8, fontsize=9)
    return _png(figure)


def equity_picture(points: Sequence[EquityPoint], *, zone: str = "UTC", title: str = "") -> bytes:
    """A PNG of equity over time, one panel a currency, against its first point.

    Raises:
        ValueError: there is no point.
    """
    if not points:
        raise ValueError("a picture of no equity point says nothing")
    by_currency: dict[str, list[EquityPoint]] = {}
    for point in points:
        by_currency.setdefault(point.currency.value, []).append(point)
    figure = Figure(figsize=_SIZE, dpi=_DPI, facecolor=_PAPER, layout="constrained")
    panels = figure.subplots(len(by_currency), 1, squeeze=False)
    for (axes,), (currency, series) in zip(panels, by_currency.items(), strict=True):
        moments = _dates([point.at for point in series])
        values = [float(point.equity) for point in series]
        _dress(axes, title if axes is panels[0][0] else "")
        color = _UP if values[-1] >= values[0] else _DOWN
        axes.plot(moments, values, color=color, linewidth=1.8)
        axes.fill_between(moments, values, values[0], color=color, alpha=0.12)
        _level(axes, values[0], "start", _PALE, ":")
        change = (values[-1] - values[0]) / values[0] * 100 if values[0] else 0.0
        axes.set_ylabel(f"{currency}  {change:+.2f} %", color=_INK)
        _time_axis(axes, ZoneInfo(zone))
    return _png(figure)


def _dates(moments: Sequence[datetime]) -> list[float]:
    return [float(_number(moment)) for moment in moments]


def _paper(title: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=_SIZE, dpi=_DPI, facecolor=_PAPER, layout="constrained")
    axes = figure.subplots()
    _dress(axes, title)
    return figure, axes


def _dress(axes: Any, title: str) -> None:
    # Otherwise a dollar sign in a name would begin a formula.
    axes.set_title(title, loc="left", color=_INK, fontsize=12, fontweight="bold", parse_math=False)
    axes.set_facecolor(_PAPER)
    axes.grid(color="#e6e9ed", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#c7ced6")
    axes.tick_params(colors=_PALE, labelsize=9)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.margins(x=0.02, y=0.12)


def _level(axes: Any, value: float, label: str, color: str, style: str) -> None:
    axes.axhline(value, color=color, linestyle=style, linewidth=1.2, zorder=2)
    axes.annotate(
        label,
        xy=(1.0, value),
        xycoords=("axes fraction", "data"),
        xytext=(-4, 3),
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color=color,
        parse_math=False,
    )


def _time_axis(axes: Any, zone: ZoneInfo) -> None:
    locator: Any = _Locator(tz=zone, maxticks=7)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(_Formatter(locator, tz=zone))


def _png(figure: Figure) -> bytes:
    out = BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()
