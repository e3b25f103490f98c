"""What stands around every page: words, numbers, the password, the sidebar, shared reads."""

from __future__ import annotations

import ast
import re
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboards import data, formats
from dashboards.gate import MOST_WRONG, PAUSE_SECONDS, Attempts
from dashboards.pages import SECTIONS
from dashboards.texts import LANGUAGES, TABLES
from tests.record_factories import AT, make_equity, make_playbook
from trading_core.adapters.duck.store import DuckStore
from trading_core.errors import StoreBusy
from trading_core.model.journal import HaltKind
from trading_core.model.order import IntentReason, OrderState
from trading_core.model.playbook import Action, GlobalAction, Outlook, PlaybookSource
from trading_core.model.portfolio import ExitState, PositionOrigin
from trading_core.rules.calendar import Phase
from trading_core.rules.coverage import Fate
from trading_core.rules.trading_state import TradingState
from trading_core.wiring import board

ROOT = Path(__file__).resolve().parents[2] / "dashboards"
WORDS: dict[str, Any] = {
    "state": OrderState,
    "reason": IntentReason,
    "outlook": Outlook,
    "source": PlaybookSource,
    "action": [*Action, *GlobalAction],
    "halt": HaltKind,
    "guard": ExitState,
    "origin": PositionOrigin,
    "phase": Phase,
    "trading": TradingState,
    "coverage": Fate,
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("OUROBOROS_HOME", str(tmp_path))
    monkeypatch.setenv("ENABLED_MARKETS", "KR,US")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    st.cache_data.clear()
    st.cache_resource.clear()
    yield tmp_path
    st.cache_data.clear()
    st.cache_resource.clear()


# --- Words ---------------------------------------------------------------------------------------


def test_both_languages_say_the_same_things() -> None:
    assert set(TABLES) == set(LANGUAGES)
    assert TABLES["en"].keys() == TABLES["ko"].keys()
    for key, text in TABLES["en"].items():
        names = re.findall(r"{(\w+)", text)
        assert sorted(names) == sorted(re.findall(r"{(\w+)", TABLES["ko"][key])), key


def test_every_text_that_is_asked_for_is_there() -> None:
    asked = set()
    for file in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "t" and node.args:
                key = node.args[0]
                if isinstance(key, ast.Constant):
                    asked.add(str(key.value))
    assert len(asked) > 100
    assert asked <= TABLES["en"].keys()


@pytest.mark.parametrize("kind", WORDS)
def test_every_stored_value_has_a_word(kind: str) -> None:
    missing = [value for value in WORDS[kind] if f"{kind}.{value}" not in TABLES["ko"]]
    assert not missing


# --- Numbers and times ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (formats.money(Decimal("1234567.89"), "KRW"), "₩1,234,568"),
        (formats.money(Decimal("-1234.5"), "USD"), "−$1,234.50"),
        (formats.money(12, "USD", signed=True), "+$12.00"),
        (formats.money(Decimal("-0.4"), "KRW", signed=True), "₩0"),
        (formats.money(None, "KRW"), "—"),
        (formats.price(Decimal("189.3"), "USD"), "189.30"),
        (formats.pct(-1.254), "−1.25 %"),
        (formats.pct(-0.001), "0.00 %"),
        (formats.pct(float("nan")), "—"),
        (formats.delta(-1.254), "-1.25 %"),
        (formats.value_of("price", 71_000.0), "71,000"),
        (formats.value_of("rsi", None), "—"),
        (formats.clock(datetime(2026, 3, 2, 0, 30, tzinfo=UTC), "KR"), "09:30"),
        (formats.moment(datetime(2026, 3, 9, 14, 0, tzinfo=UTC), "US"), "2026-03-09 10:00 EDT"),
        (formats.day(date(2026, 3, 2)), "2026-03-02 (Mon)"),
        (formats.duration(timedelta(days=3, hours=4, minutes=5)), "3 d 4 h"),
        (formats.duration(timedelta(minutes=2, seconds=5)), "2 min 5 s"),
        (formats.duration(timedelta(0)), "0 s"),
        (formats.ago(AT, AT + timedelta(minutes=4)), "4 min ago"),
        (formats.ago(AT + timedelta(hours=1), AT), "in 1 h"),
    ],
)
def test_numbers_and_times_are_written_as_the_market_does(shown: str, expected: str) -> None:
    assert shown == expected


# --- The password --------------------------------------------------------------------------------


def test_too_many_wrong_passwords_are_not_looked_at_for_a_while() -> None:
    attempts = Attempts()
    for n in range(MOST_WRONG):
        assert attempts.may_try(float(n))
        attempts.count_wrong(float(n))
    assert not attempts.may_try(float(MOST_WRONG))
    assert attempts.may_try(PAUSE_SECONDS + 1)


def app() -> AppTest:
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    assert not page.exception
    return page


def test_nothing_is_shown_before_the_password_was_given(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASHBOARD_PASSWORD", "let me in")
    page = app()
    assert [title.value for title in page.title] == ["Sign in"]
    assert not page.sidebar.toggle
    page.text_input[0].set_value("open sesame")
    page.button[0].click().run()
    assert page.error[0].value == TABLES["en"]["login.wrong"]
    page.text_input[0].set_value("let me in")
    page.button[0].click().run()
    assert [title.value for title in page.title] == ["Today"]


# --- The sidebar ---------------------------------------------------------------------------------


def test_language_and_moment_are_chosen_in_the_sidebar(home: Path) -> None:
    store = DuckStore(home / "trades.db")
    with store.write() as tx:
        tx.append([make_playbook(), make_equity()])
    page = app()
    page.sidebar.selectbox[0].set_value("ko").run()
    assert page.title[0].value == "오늘"
    page.sidebar.toggle[0].set_value(True).run()
    assert page.session_state["as_of"] is not None
    page.sidebar.date_input[0].set_value(date(2026, 11, 19)).run()
    at = page.session_state["as_of"]
    assert at.astimezone(UTC) < AT
    assert "기준으로 알려져 있던" in page.info[0].value
    assert any("아직 저장된 것이 없습니다" in box.value for box in page.info)
    page.sidebar.toggle[0].set_value(False).run()
    assert page.session_state["as_of"] is None
    assert not page.exception


def test_a_wrong_setting_is_one_sentence(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_LOSS_PCT", "9")
    assert "MAX_LOSS_PCT" in app().error[0].value


def test_every_page_that_is_named_is_there() -> None:
    named = {name for pages in SECTIONS.values() for name, _ in pages}
    files = {file.stem for file in (ROOT / "views").glob("*.py")} - {"__init__"}
    assert named == files
    assert {f"page.{name}" for name in named} <= TABLES["en"].keys()


# --- Reads ---------------------------------------------------------------------------------------


class CountedStore:
    """Counts how often the store of a home was opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reads = 0
        before = DuckStore.read

        def read(store: DuckStore, **options: Any) -> Any:
            self.reads += 1
            return before(store, **options)

        monkeypatch.setattr(DuckStore, "read", read)


def test_ten_browsers_read_the_store_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with DuckStore(home / "trades.db").write() as tx:
        tx.append([make_playbook()])
    counted = CountedStore(monkeypatch)
    browsers = [
        threading.Thread(target=data.read_fresh, args=(board.today, "KR")) for _ in range(10)
    ]
    for browser in browsers:
        browser.start()
    for browser in browsers:
        browser.join()
    assert counted.reads == 1


def test_an_idle_store_is_not_read_again_and_a_changed_one_is(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DuckStore(home / "trades.db")
    with store.write() as tx:
        tx.append([make_playbook()])
    counted = CountedStore(monkeypatch)
    data.read_fresh(board.today, "KR")
    data._fresh_stamp.clear()
    assert data.read_fresh(board.today, "KR")["ticks"] == 0
    assert counted.reads == 1
    with store.write() as tx:
        tx.append([make_equity()])
    assert data.read_fresh(board.today, "KR")["seen_at"] is None, "looked at too often"
    data._fresh_stamp.clear()
    assert data.read_fresh(board.today, "KR")["seen_at"] == AT
    assert counted.reads == 2


def test_an_error_is_not_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with DuckStore(home / "trades.db").write() as tx:
        tx.append([make_playbook()])
    with monkeypatch.context() as patch:

        def busy(store: DuckStore, **options: Any) -> Any:
            raise StoreBusy("held")

        patch.setattr(DuckStore, "read", busy)
        with pytest.raises(StoreBusy):
            data.read_fresh(board.today, "KR")
    assert data.read_fresh(board.today, "KR")["market"] == "KR"


def test_a_busy_store_is_a_sentence_and_not_an_error(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(store: DuckStore, **options: Any) -> Any:
        raise StoreBusy("held")

    monkeypatch.setattr(DuckStore, "read", busy)
    page = app()
    assert page.warning[0].value == TABLES["en"]["frame.busy"]
    assert not page.error
