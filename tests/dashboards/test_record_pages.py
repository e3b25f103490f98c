"""Decisions, Why, Orders, Memory, Costs and Operations on an empty store, a small one, a broken one
and at moments of the past."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboards import files
from dashboards.texts import TABLES
from tests.record_factories import (
    make_backup,
    make_context,
    make_difference,
    make_halt,
    make_llm_call,
    make_llm_reservation,
    make_lot,
    make_notification,
    make_outcome,
    make_screened,
)
from tests.trading_fakes import KR, MakeFloor, busy, playbook, when
from tests.unit.twin.handmade_tape import SESSION, minute
from trading_core.adapters.duck.store import DuckStore
from trading_core.steps.memory import remember

VIEWS = Path(__file__).resolve().parents[2] / "dashboards" / "views"
PAGES = ("decisions", "why", "orders", "memory", "costs", "operations")
Open = Callable[..., AppTest]


@pytest.fixture(scope="module")
def a_day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which A was bought, B was nearly bought and C was refused."""
    home = tmp_path_factory.mktemp("home")
    desk = MakeFloor(home)(
        {"A": busy(*[10_000] * 9), "B": busy(*[20_000] * 9), "C": busy(*[30_000] * 9)},
        playbook(
            {
                "A": [when("price <= 10000")],
                "B": [when("price < 19900")],
                "C": [when("price > 1", confidence=10)],
            }
        ),
    )
    desk.store = DuckStore(home / "trades.db")
    with desk.store.write() as tx:
        tx.append([desk.book, make_screened(session=SESSION, symbol="A", at=minute(0))])

    async def ticks() -> None:
        for n in range(1, 7):
            await desk.tick(minute(n))

    asyncio.run(ticks())
    remember(desk.store, [KR], at=minute(7))
    with desk.store.write() as tx:
        [bought] = [d for d in tx.decisions("KR", SESSION) if d.instrument.symbol == "A"][:1]
        tx.append(
            [
                make_outcome(decision_id=bought.decision_id, at=minute(8)),
                make_difference(session=SESSION, at=minute(5)),
                make_lot(session=SESSION, adopted_at=minute(5)),
                make_halt(raised_at=minute(6)),
                make_llm_reservation(at=minute(0), session=SESSION),
                make_llm_call(at=minute(0), session=SESSION),
                make_backup(at=minute(8)),
                make_notification(at=minute(4), text="BUY <b>A</b> & `B`"),
                make_context(at=minute(8), key="lessons_KR", value={"lesson": "wait *longer*"}),
            ]
        )
    return home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("OUROBOROS_HOME", str(tmp_path))
    monkeypatch.setenv("ENABLED_MARKETS", "KR")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("GEMINI_API_KEY", "s3cret-of-mine")
    st.cache_data.clear()
    yield tmp_path
    st.cache_data.clear()


@pytest.fixture
def small(home: Path, a_day: Path) -> Path:
    shutil.copy(a_day / "trades.db", home / "trades.db")
    return home


def opened(page: str, language: str = "en", as_of: datetime | None = None) -> AppTest:
    app = AppTest.from_file(str(VIEWS / f"{page}.py"), default_timeout=60)
    app.session_state["language"] = language
    app.session_state["as_of"] = as_of
    app.run()
    assert not app.exception
    return app


def words(app: AppTest) -> str:
    """Everything a page says outside of its tables."""
    kinds = (app.title, app.header, app.subheader, app.markdown, app.caption, app.text)
    boxes = (app.info, app.success, app.warning, app.error)
    found = [str(item.value) for kind in (*kinds, *boxes) for item in kind]
    return "\n".join([*found, *(f"{metric.label} {metric.value}" for metric in app.metric)])


def tables(app: AppTest) -> str:
    return "\n".join(table.value.to_string() for table in app.dataframe)


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_store_is_told_in_a_sentence(home: Path, page: str) -> None:
    app = opened(page)
    assert app.title[0].value == TABLES["en"][f"page.{page}"]
    assert not app.error
    assert app.info or page == "memory" or page == "operations"


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("page", PAGES)
def test_a_day_is_shown_in_both_languages(small: Path, page: str, language: str) -> None:
    app = opened(page, language)
    assert app.title[0].value == TABLES[language][f"page.{page}"]
    broken = {TABLES[language][f"frame.{name}"].split("{")[0] for name in ("broken", "failed")}
    assert not [e for e in app.error if any(str(e.value).startswith(text) for text in broken)]
    assert app.dataframe
    # A key without a text would have been an error, a text without its values shows braces.
    assert "{" not in words(app)


@pytest.mark.parametrize("page", ["why", "operations"])
def test_a_store_that_cannot_be_read_is_a_sentence(home: Path, page: str) -> None:
    (home / "trades.db").write_text("not a database")
    assert "trades.db" in opened(page).error[0].value


@pytest.mark.parametrize(
    ("page", "table", "change"),
    [
        ("decisions", "decisions", "exchange = 'MARS'"),
        ("why", "playbook_versions", "playbook_json = '{}'"),
        ("orders", "order_events", "state = 'vanished'"),
    ],
)
def test_a_row_that_cannot_be_read_is_a_sentence_and_the_rest_stands(
    small: Path, page: str, table: str, change: str
) -> None:
    with duckdb.connect(str(small / "trades.db")) as connection:
        connection.execute(f"UPDATE {table} SET {change}")
    app = opened(page)
    assert "cannot be read" in app.error[0].value
    assert app.title


def test_decisions_are_searched_and_one_of_them_is_told_in_full(small: Path) -> None:
    app = opened("decisions")
    rows = app.dataframe[0].value
    assert {"A", "C"} <= set(rows["symbol"])
    assert -1234.5 in rows[rows["symbol"] == "A"]["outcome"].tolist()
    app.text_input(key="decisions-words").set_value("nowhere to be found").run()
    assert "No decision of Korea fits" in app.info[0].value
    app.text_input(key="decisions-words").set_value("A#0").run()
    assert set(app.dataframe[0].value["symbol"]) == {"A"}
    place = rows.index[rows["outcome"] == -1234.5][0]
    app = opened("decisions")
    app.session_state["decisions-table-KR"] = {"selection": {"rows": [int(place)]}}
    app.run()
    text = words(app)
    assert "It traded: BUY" in text.replace("\\", "")
    assert "**Risk gate**" in text
    assert 10_010 in app.dataframe[-1].value["price"].tolist()
    assert "Lost" in text


def test_why_tells_the_smallest_change_and_draws_how_close_it_came(small: Path) -> None:
    app = opened("why")
    app.selectbox[1].set_value("B").run()
    text = words(app)
    assert "The smallest change that would have traded" in text
    assert "19900" in text
    assert {"<", "19,900"} <= set(" ".join(app.dataframe[0].value["needed"]).split())
    assert app.get("vega_lite_chart")


def test_orders_tell_accepted_and_filled_apart(small: Path) -> None:
    app = opened("orders")
    counted = {metric.label: metric.value for metric in app.metric}
    assert counted["Filled"] == "1"
    assert counted["Accepted by the broker"] == "1"
    assert counted["Wanted"] == "1"
    text = tables(app)
    assert "Cash moved" in text
    assert "bought by hand" in text


def test_memory_is_searched_over_all_layers(small: Path) -> None:
    app = opened("memory")
    app.text_input(key="memory-words").set_value("LONGER wait").run()
    assert "lessons_KR" in app.dataframe[0].value["key"].tolist()
    app.text_input(key="memory-words").set_value("of which nobody knows").run()
    assert "No entry has these words" in words(app)


def test_costs_are_those_of_fills_and_calls(small: Path) -> None:
    app = opened("costs")
    text = words(app)
    assert "Fees · KRW ₩" in text
    app.segmented_control(key="costs-days").set_value(365).run()
    assert "KR" not in [metric.value for metric in app.metric]


def test_operations_show_halts_backups_and_settings_without_secrets(small: Path) -> None:
    (small / "logs").mkdir()
    (small / "logs" / "worker.log").write_text("GET /?secret=s3cret-of-mine done\n")
    app = opened("operations")
    text = words(app)
    assert "Halted (KRW)" in text
    assert "ouroboros resume" in text
    assert "does not answer" in text
    assert "backups/2026-11-20.duckdb" in tables(app)
    settings = app.dataframe[-1].value.set_index("name")["value"]
    assert settings["GEMINI_API_KEY"] == "***"
    logs = "\n".join(str(code.value) for code in app.code)
    assert "secret=*** done" in logs
    assert "s3cret" not in text + tables(app) + logs


def test_the_past_shows_only_what_was_known(small: Path) -> None:
    before = minute(0) + timedelta(seconds=30)
    assert "No decision of Korea fits" in opened("decisions", as_of=before).info[0].value
    assert "No order was wanted" in words(opened("orders", as_of=before))
    later = opened("orders", as_of=minute(3))
    assert "Cash moved" not in tables(later)
    assert "Halted" not in words(opened("operations", as_of=minute(5)))
    open_then = opened("decisions", as_of=minute(7)).dataframe[0].value
    assert set(open_then["result"]) == {"Open"}
    assert Decimal(str(opened("decisions").dataframe[0].value["outcome"].dropna().iloc[0])) < 0


def test_a_formula_in_a_text_is_no_formula_in_a_spreadsheet() -> None:
    rows: list[dict[str, Any]] = [
        {"rationale": "=1+1", "outcome": Decimal("-1.5")},
        {"rationale": "삼성", "outcome": None},
    ]
    text = files.csv(rows, ["outcome"]).decode("utf-8-sig")
    assert text.split() == ["rationale,outcome", "'=1+1,-1.5", "삼성,"]
    frame = pd.read_parquet(BytesIO(files.parquet(rows, ["outcome"])))
    assert frame["rationale"].tolist() == ["=1+1", "삼성"]
    assert frame["outcome"].iloc[0] == -1.5
