"""The Today page on an empty store and on one with a session in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.record_factories import one_of_each
from trading_core.adapters.duck.store import DuckStore

APP = Path(__file__).resolve().parents[2] / "dashboards" / "app.py"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OUROBOROS_HOME", str(tmp_path))
    monkeypatch.setenv("ENABLED_MARKETS", "KR")
    return tmp_path


def run() -> AppTest:
    import streamlit as st

    st.cache_data.clear()
    page = AppTest.from_file(str(APP), default_timeout=60).run()
    assert not page.exception
    return page


def test_an_empty_store_gives_a_sentence_not_a_traceback(home: Path) -> None:
    page = run()

    assert "KR: nothing yet" in page.info[0].value


def test_a_session_in_the_store_is_shown_with_its_halt(home: Path) -> None:
    with DuckStore(home / "trades.db").write() as tx:
        tx.append(one_of_each())

    page = run()

    assert page.title[0].value == "Today"
    assert page.subheader[0].value.startswith("KR ")
    assert page.error[0].value.startswith("Halted (")


def test_a_store_that_cannot_be_read_is_one_sentence(home: Path) -> None:
    (home / "trades.db").write_text("not a database")

    page = run()

    assert "trades.db" in page.error[0].value
