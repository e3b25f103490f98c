"""What every page is drawn in: parts that refresh by themselves and say in one sentence what they
cannot show, the choice of market and session, and the slider of what was known when."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import streamlit as st

from dashboards import data, formats
from dashboards.texts import t, word
from trading_core.errors import StoreBusy, TradingError

Colour = Literal["green", "blue", "orange", "red", "gray", "violet"]
"""Of a badge."""
REFRESH_SECONDS = 5.0
SLOW_SECONDS = 30.0

_log = logging.getLogger(__name__)


def show(title: str, draw: Callable[[], None], *, every: float | None = None) -> None:
    """Draw a whole page: its title, then ``draw`` as one :func:`part`.

    Args:
        title: Key of the title's text.
        draw: Draws everything below the title.
        every: Seconds after which it is drawn again by itself; None only when the page is opened
            or something is chosen on it.
    """
    st.title(t(title), anchor=False)
    part(draw, every=every)


def part(draw: Callable[[], None], *, every: float | None = None) -> None:
    """Draw a part of a page; a failure is a sentence in its place and leaves the rest standing.

    With ``every`` it is drawn again by itself, alone; looking back in time nothing moves, so
    nothing is drawn again.
    """
    if every is None:
        _guarded(draw)
        return
    refresh = None if data.as_of() else every
    st.fragment(_guarded, run_every=refresh)(draw)


def _guarded(draw: Callable[[], None]) -> None:
    try:
        draw()
    except StoreBusy:
        st.warning(t("frame.busy"), icon=":material/hourglass_empty:")
    except TradingError as error:
        st.error(t("frame.failed", problem=error), icon=":material/error:")
    except Exception as error:
        # A page that cannot be drawn is a sentence for whoever looks and a traceback in the log.
        _log.exception("a part of a page could not be drawn")
        problem = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        st.error(t("frame.broken", problem=problem), icon=":material/error:")


def pick_market(choices: Sequence[str] | None = None) -> str:
    """The market group this browser looks at, the same on every page; drawn as a row of buttons
    when there is more than one."""
    markets = list(choices if choices is not None else data.frame()["markets"])
    chosen = _remembered("market", markets, markets[0])
    if len(markets) > 1:
        picked = st.segmented_control(
            t("frame.market"),
            markets,
            default=chosen,
            format_func=lambda market: word("market", market),
            key=f"pick-market-{'-'.join(markets)}",
            label_visibility="collapsed",
            required=True,
        )
        chosen = str(picked or chosen)
    _remember("market", chosen)
    return chosen


def pick_session(market: str, sessions: Sequence[date]) -> date | None:
    """The session this browser looks at, of those given (newest first); None without any."""
    if not sessions:
        return None
    days = [day.isoformat() for day in sessions]
    wanted = _remembered("session", days, days[0])
    picked = st.selectbox(
        t("frame.session"),
        list(sessions),
        index=days.index(wanted),
        format_func=formats.day,
        key=f"pick-session-{market}",
    )
    if picked == sessions[0]:
        st.query_params.pop("session", None)
        st.session_state.pop("chosen-session", None)
    else:
        _remember("session", picked.isoformat())
    return picked


def _remembered(name: str, choices: Sequence[str], otherwise: str) -> str:
    wanted = st.session_state.get(f"chosen-{name}") or st.query_params.get(name)
    return str(wanted) if wanted in choices else otherwise


def _remember(name: str, value: str) -> None:
    st.session_state[f"chosen-{name}"] = value
    if st.query_params.get(name) != value:
        st.query_params[name] = value


# --- What was known when -------------------------------------------------------------------------


def travel(market: str) -> None:
    """The slider in the sidebar; it sets :func:`dashboards.data.as_of` for every page.

    Args:
        market: Whose clock the slider shows.
    """
    wanted = _from_address()
    st.session_state.setdefault("travels", wanted is not None)
    st.sidebar.toggle(t("frame.travel"), key="travels", help=t("frame.travel.help"))
    if not st.session_state["travels"]:
        data.set_as_of(None)
        st.query_params.pop("at", None)
        return
    here = ZoneInfo(formats.zone(market))
    now = data.now().astimezone(here)
    start = (wanted or data.as_of() or now).astimezone(here)
    with st.sidebar:
        day = st.date_input(
            t("frame.travel.day"), value=start.date(), max_value=now.date(), key=f"at-day-{market}"
        )
        at_time = st.slider(
            t("frame.travel.time", zone=f"{start:%Z}"),
            min_value=time(0, 0),
            max_value=time(23, 59),
            value=start.time().replace(second=0, microsecond=0),
            step=timedelta(minutes=1),
            format="HH:mm",
            key=f"at-time-{market}",
        )
    chosen = datetime.combine(day, at_time, here).astimezone(UTC)
    data.set_as_of(chosen)
    st.query_params["at"] = f"{chosen:%Y-%m-%dT%H:%MZ}"
    st.info(t("frame.as_of", at=formats.moment(chosen, market)), icon=":material/history:")


def _from_address() -> datetime | None:
    """The moment in the page's address, so that a link shows what its sender saw."""
    text = st.query_params.get("at", "")
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None
