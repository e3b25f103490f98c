"""What stands around every page: the language, the password, the sidebar, the navigation."""

from __future__ import annotations

import streamlit as st

from dashboards import data, formats, frames, gate
from dashboards.pages import SECTIONS
from dashboards.texts import LANGUAGES, t
from trading_core.errors import TradingError


def run() -> None:
    """Draw the frame and, in it, the page that was asked for."""
    try:
        around = data.frame()
    except TradingError as error:
        st.error(str(error), icon=":material/error:")
        return
    st.session_state.setdefault("language", _asked_language() or around["language"])
    if around["has_password"] and not gate.is_open():
        return
    page = st.navigation(
        {
            t(f"section.{section}"): [
                st.Page(
                    f"views/{name}.py",
                    title=t(f"page.{name}"),
                    icon=icon,
                    url_path=name,
                    default=name == "today",
                )
                for name, icon in pages
            ]
            for section, pages in SECTIONS.items()
            if pages
        }
    )
    market = st.session_state.get("chosen-market") or around["markets"][0]
    frames.travel(market)
    _sidebar(around, market)
    page.run()


def _asked_language() -> str | None:
    wanted = st.query_params.get("lang")
    return wanted if wanted in LANGUAGES else None


def _sidebar(around: dict[str, str], market: str) -> None:
    with st.sidebar:
        st.selectbox(
            t("frame.language"),
            list(LANGUAGES),
            format_func=lambda code: LANGUAGES[code],
            key="language",
        )
        kind = around["account"]
        st.caption(f"{t(f'frame.mode.{kind}')} · {formats.moment(data.now(), market)}")
