"""The password in front of the pages, where one is set (``DASHBOARD_PASSWORD``)."""

from __future__ import annotations

import time

import streamlit as st

from dashboards.texts import t
from trading_core.wiring import board

MOST_WRONG = 5
PAUSE_SECONDS = 60.0


class Attempts:
    """Wrong passwords of everybody together; after too many nobody may try for a while."""

    def __init__(self) -> None:
        self._wrong: list[float] = []

    def may_try(self, now: float) -> bool:
        """Whether a password is looked at; ``now`` in seconds of a clock that never goes back."""
        self._wrong = [at for at in self._wrong if now - at < PAUSE_SECONDS]
        return len(self._wrong) < MOST_WRONG

    def count_wrong(self, now: float) -> None:
        self._wrong.append(now)


@st.cache_resource(show_spinner=False)
def _attempts() -> Attempts:
    return Attempts()


def is_open() -> bool:
    """Whether this browser gave the password; else the form to give it is drawn."""
    if st.session_state.get("is-admitted"):
        return True
    st.title(t("login.title"), anchor=False)
    with st.form("login", width=400):
        given = st.text_input(t("login.password"), type="password")
        entered = st.form_submit_button(t("login.enter"), type="primary")
    if not entered:
        return False
    attempts = _attempts()
    if not attempts.may_try(time.monotonic()):
        st.error(t("login.wait"))
        return False
    if board.is_password(given):
        st.session_state["is-admitted"] = True
        st.rerun()
    attempts.count_wrong(time.monotonic())
    st.error(t("login.wrong"))
    return False
