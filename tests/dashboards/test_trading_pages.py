"""Today, Playbook, Scorecard and Performance on an empty store, a day that was traded, many
sessions, broken rows, and at moments of the past."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from streamlit.testing.v1 import AppTest

from dashboards import data
from dashboards.texts import TABLES
from tests.board_day import make_day
from tests.board_store import LAST, make_year
from tests.unit.twin.handmade_tape import minute
from trading_core.model.playbook import PlaybookSource

VIEWS = Path(__file__).resolve().parents[2] / "dashboards" / "views"
SESSIONS, CLOSED = 8, 6 * 4
PAGES = ("today", "playbook", "scorecard", "performance")


@pytest.fixture(scope="module")
def a_day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    make_day(home)
    return home


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("many")
    make_year(home / "trades.db", sessions=SESSIONS, symbols=10)
    return home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("OUROBOROS_HOME", str(tmp_path))
    monkeypatch.setenv("ENABLED_MARKETS", "KR")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    """What was read of another test's store; charts are kept by what they show."""
    for kept in (data._read, data._ask, data._stamp, data._fresh_stamp, data.frame):
        kept.clear()


@pytest.fixture
def small(home: Path, a_day: Path) -> Path:
    shutil.copy(a_day / "trades.db", home / "trades.db")
    return home


@pytest.fixture
def large(home: Path, many: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DB_PATH", str(many / "trades.db"))
    return many


def opened(page: str, language: str = "en", as_of: datetime | None = None) -> AppTest:
    app = AppTest.from_file(str(VIEWS / f"{page}.py"), default_timeout=60)
    app.session_state["language"] = language
    app.session_state["as_of"] = as_of
    app.run()
    assert not app.exception
    return app


def words(app: AppTest) -> str:
    """Everything a page says outside of its tables."""
    kinds = (app.title, app.header, app.subheader, app.markdown, app.caption)
    boxes = (app.info, app.success, app.warning, app.error)
    found = [str(item.value) for kind in (*kinds, *boxes) for item in kind]
    return "\n".join([*found, *(f"{metric.label} {metric.value}" for metric in app.metric)])


def problems(app: AppTest, language: str = "en") -> list[str]:
    said = [TABLES[language][f"frame.{name}"].split("{")[0] for name in ("broken", "failed")]
    return [str(e.value) for e in app.error if any(str(e.value).startswith(s) for s in said)]


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_store_is_told_in_a_sentence(home: Path, page: str) -> None:
    app = opened(page)
    assert app.title[0].value == TABLES["en"][f"page.{page}"]
    assert app.info
    assert not app.error


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("page", PAGES)
def test_a_day_is_shown_in_both_languages(small: Path, page: str, language: str) -> None:
    app = opened(page, language)
    assert not problems(app, language)
    assert app.dataframe
    assert app.get("vega_lite_chart")
    # A text whose values were not filled in shows its braces.
    assert "{" not in words(app)


@pytest.mark.parametrize("page", PAGES)
def test_many_sessions_are_shown(large: Path, page: str) -> None:
    app = opened(page)
    assert not problems(app)
    assert app.dataframe
    assert app.get("vega_lite_chart")


def test_a_store_that_cannot_be_read_is_a_sentence(home: Path) -> None:
    (home / "trades.db").write_text("not a database")
    assert "trades.db" in opened("today").error[0].value


@pytest.mark.parametrize(
    ("page", "table", "change"),
    [
        ("today", "equity", "currency = 'XXX'"),
        ("playbook", "playbook_versions", "playbook_json = '{}'"),
        ("scorecard", "scorecards", "lessons = '3'"),
        ("performance", "fills", "currency = 'XXX'"),
    ],
)
def test_a_row_that_cannot_be_read_is_a_sentence(
    small: Path, page: str, table: str, change: str
) -> None:
    with duckdb.connect(str(small / "trades.db")) as connection:
        connection.execute(f"UPDATE {table} SET {change}")
    app = opened(page)
    assert problems(app)
    assert app.title


def test_a_session_nobody_planned_or_reviewed_is_a_sentence(small: Path) -> None:
    with duckdb.connect(str(small / "trades.db")) as connection:
        connection.execute("DELETE FROM playbook_versions")
        connection.execute("DELETE FROM scorecards")
    assert "There is no playbook for 2025-09-03" in opened("playbook").info[0].value
    assert "was not reviewed yet" in opened("scorecard").info[0].value
    assert "This session has no playbook yet" in words(opened("today"))


def test_today_tells_money_positions_orders_halts_and_decisions(small: Path) -> None:
    app = opened("today")
    text = words(app)
    assert "Loss limit" in text and "ouroboros resume KRW" in text
    assert "Nothing is held" not in text
    shown = {metric.label: metric.value for metric in app.metric}
    assert shown["Day P&L after costs"].startswith("−₩")
    positions, working, decisions = (table.value for table in app.dataframe[:3])
    assert positions["instrument"].tolist() == ["C"]
    assert positions["to_stop_pct"].iloc[0] == pytest.approx(3.0, abs=0.2)
    assert working["state"].tolist() == ["Accepted"]
    assert working["filled"].tolist() == [0]
    assert {"A", "C"} <= set(decisions["instrument"])
    assert "Backup" in text


def test_accepted_orders_are_counted_apart_from_filled_ones(small: Path) -> None:
    text = words(opened("today"))
    assert "**4** accepted, **3** filled" in text


def test_a_playbook_shows_what_was_taken_out_and_how_far_each_threshold_is(small: Path) -> None:
    app = opened("playbook")
    text = words(app)
    assert "the model did not answer in time" in text
    tables = [table.value for table in app.dataframe]
    scenarios = next(table for table in tables if "closeness" in table)
    by_symbol = scenarios.set_index("symbol")
    assert by_symbol.loc["A", "fate"] == "Matched"
    assert by_symbol.loc["B", "fate"] == "Came close"
    assert by_symbol.loc["B", "closeness"] == pytest.approx(100 - 100 / 199, abs=0.01)
    assert "19,900" in by_symbol.loc["B", "open"] and "20,000" in by_symbol.loc["B", "open"]
    reasons = {reason for table in tables if "reason" in table for reason in table["reason"]}
    assert {"stop <b>missing</b>", "too many losses"} <= reasons
    assert any("Day P&L % < −2" in str(table) for table in tables)


def test_a_stock_of_a_playbook_shows_its_price_with_what_was_done(small: Path) -> None:
    app = opened("playbook")
    [choice] = [box for box in app.selectbox if box.label.startswith("Stock")]
    choice.set_value(next(label for label in choice.options if label.endswith("A"))).run()
    assert {metric.label: metric.value for metric in app.metric}["Fills"] == "2"
    assert "✓" in words(app)


def test_a_scorecard_shows_lessons_as_they_were_written(small: Path) -> None:
    app = opened("scorecard")
    text = words(app)
    assert r"wait \*longer\* for \$5" in text
    assert {metric.label: metric.value for metric in app.metric}["Win rate"] == "0.0 %"
    planners = next(t.value for t in app.dataframe if "planner" in t.value)
    assert planners["planner"].tolist() == ["The one that trades", "rules"]
    assert planners["net"].tolist() == [-1200.0, 3400.5]


def test_performance_adds_up_and_keeps_the_sessions_apart(large: Path) -> None:
    app = opened("performance")
    shown = {metric.label: metric.value for metric in app.metric}
    daily, monthly = app.dataframe[0].value, app.dataframe[1].value
    assert len(daily) == SESSIONS
    assert f"₩{abs(daily['net'].sum()):,.0f}" in shown["Net P&L"]
    assert monthly["net"].sum() == pytest.approx(daily["net"].sum())
    assert monthly["trades"].sum() == daily["trades"].sum() == CLOSED
    sources = next(
        t.value for t in app.dataframe if "key" in t.value and "Gemini" in set(t.value["key"])
    )
    assert sources["trades"].sum() == CLOSED
    assert "KOSPI" in words(app)


def test_the_span_cuts_off_what_is_older(large: Path) -> None:
    # The last session is of the twentieth.
    app = opened("performance", as_of=datetime(2026, 12, 18, 12, tzinfo=UTC))
    app.segmented_control(key="performance-span").set_value("1m").run()
    days = app.dataframe[0].value
    assert len(days) == 3
    assert days["day"].iloc[-1].startswith("2026-11-18")


def test_the_past_shows_only_what_was_known(small: Path) -> None:
    early = minute(2)
    app = opened("today", as_of=early)
    assert "ouroboros resume" not in words(app)
    assert not problems(app)
    assert "was not reviewed yet" in opened("scorecard", as_of=minute(8)).info[0].value
    before = opened("playbook", as_of=minute(0) - timedelta(hours=3))
    assert "nothing is stored yet" in before.info[0].value


def test_an_older_session_is_chosen_by_its_date(large: Path) -> None:
    app = opened("playbook")
    [choice] = [box for box in app.selectbox if box.label == "Session"]
    assert choice.value == LAST
    choice.set_value(date(2026, 11, 13)).run()
    assert not problems(app)
    assert "2026-11-13" in words(app)


def test_who_wrote_a_playbook_is_told(small: Path) -> None:
    assert TABLES["en"][f"source.{PlaybookSource.GEMINI}"] in words(opened("playbook"))
