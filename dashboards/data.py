"""Cached reads for the pages; never holds the store open."""

from __future__ import annotations

from typing import Any

import streamlit as st

from trading_core.wiring import read_status


@st.cache_data(ttl=5, max_entries=4, show_spinner=False)
def status() -> dict[str, Any]:
    """What ``ouroboros status --json`` answers, at most five seconds old."""
    return read_status()
