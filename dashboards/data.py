"""Cached reads for the pages.

A read holds the store for as long as its queries take and copies out what it found. Its answer is
kept, for all browsers together, until the store has changed; and whether it has is looked at now
and then. So ten open pages cost the store as much as one, and an idle store costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import streamlit as st

from trading_core.clock import Clock
from trading_core.wiring import board

LOOK_SECONDS = 15.0
"""How old what a page shows may be."""
FRESH_SECONDS = 4.0
"""How old it may be where the money of this moment is shown."""


def as_of() -> datetime | None:
    """The moment this browser looks back to (aware UTC); None for the present."""
    return st.session_state.get("as_of")


def set_as_of(at: datetime | None) -> None:
    """Let every read of this browser answer as it would have answered then."""
    st.session_state["as_of"] = at


def read(query: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What a reading function of the wiring answers, at most :data:`LOOK_SECONDS` old.

    The function is called with ``as_of=`` besides what is given here, by one browser at a time.
    What it answers is a copy; arguments must be hashable.

    Raises:
        TradingError: as the function does; an error is not kept.
    """
    return _read_at(_stamp, query, arguments, options)


def read_fresh(query: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """The same, at most :data:`FRESH_SECONDS` old."""
    return _read_at(_fresh_stamp, query, arguments, options)


def _read_at(
    stamp: Callable[[], str],
    query: Callable[..., Any],
    arguments: tuple[Any, ...],
    options: dict[str, Any],
) -> Any:
    at = as_of()
    name = f"{query.__module__}.{query.__qualname__}"
    known = stamp() if at is None else ""
    return _read(query, name, arguments, tuple(sorted(options.items())), at, known)


@st.cache_data(ttl=600, max_entries=256, show_spinner=False)
def _read(
    _query: Callable[..., Any],
    name: str,
    arguments: tuple[Any, ...],
    options: tuple[tuple[str, Any], ...],
    at: datetime | None,
    stamp: str,
) -> Any:
    return _query(*arguments, as_of=at, **dict(options))


def ask(query: Callable[..., Any], *arguments: Any) -> Any:
    """The same for what is no part of the store and has no past: settings, logs, the orchestrator.
    It is called without ``as_of``."""
    return _ask(query, f"{query.__module__}.{query.__qualname__}", arguments)


@st.cache_data(ttl=FRESH_SECONDS, max_entries=64, show_spinner=False)
def _ask(_query: Callable[..., Any], name: str, arguments: tuple[Any, ...]) -> Any:
    return _query(*arguments)


@st.cache_data(ttl=LOOK_SECONDS, show_spinner=False)
def _stamp() -> str:
    return board.stamp()


@st.cache_data(ttl=FRESH_SECONDS, show_spinner=False)
def _fresh_stamp() -> str:
    return board.stamp()


@st.cache_data(ttl=60, show_spinner=False)
def frame() -> dict[str, Any]:
    """What stands around every page; see ``board.frame``."""
    return board.frame()


def now() -> datetime:
    """The present at the exchange (aware UTC), or the moment this browser looks back to."""
    at = as_of()
    return at if at is not None else _clock().now()


@st.cache_resource(ttl=15, show_spinner=False)
def _clock() -> Clock:
    return board.clock()
