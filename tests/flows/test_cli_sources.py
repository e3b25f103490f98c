"""``ouroboros sources``, and what the settings make of sources in a runtime."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from flows import sources_view
from tests.sources_stand_in import Said, article, sources_stand_in
from trading_core.model.market import Currency, MarketGroup
from trading_core.rules.headlines import headline_lines
from trading_core.steps.sources import collect
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.server import serve
from trading_core.twin.synthetic import synthetic_tape
from trading_core.twin.venue import AccountSpec
from trading_core.wiring import open_runtime, open_store

Run = Callable[..., tuple[int, str, str]]
SESSION = date(2026, 11, 20)
KEY = "k3y-nobody-may-see"


def test_without_any_source_it_says_where_to_name_one(run_cli: Run) -> None:
    code, out, _ = run_cli("sources")
    assert code == 0
    assert "NEWS_API_PROVIDER" in out
    assert json.loads(run_cli("sources", "--json")[1]) == {
        "sources": [],
        "asked": False,
        "reasons": [],
    }


def test_each_source_is_listed_without_being_asked(
    run_cli: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NEWS_API_PROVIDER", "finnhub, KIS")
    monkeypatch.setenv("NEWS_API_KEY", KEY)
    monkeypatch.setenv("NEWS_RSS_FEEDS", "https://a.test/x KR=https://b.test/y?token=hidden")
    monkeypatch.setenv("MARKET_DATA_PROVIDER", "fred")
    monkeypatch.setenv("ECONOMIC_CALENDAR_FILE", str(tmp_path / "none.csv"))
    code, out, _ = run_cli("sources", "--json")
    assert code == 0
    named = [(row["kind"], row["source"], row["asked"]) for row in json.loads(out)["sources"]]
    assert named == [
        ("news", "finnhub", 0),
        ("news", "kis", 0),
        ("news", "rss", 0),
        ("market", "fred", 0),
        ("calendar", "file", 0),
    ]
    code, out, _ = run_cli("sources")
    assert "never" in out
    assert KEY not in out
    assert "hidden" not in out


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("NEWS_API_PROVIDER", "bloomberg", "NEWS_API_PROVIDER=bloomberg: not known"),
        ("NEWS_API_PROVIDER", "newsapi", "NEWS_API_KEY: the key of newsapi is not set"),
        ("NEWS_API_KEY", KEY, "not whose it is"),
        ("SOURCES_BASE_URLS", "finnhub", "SOURCES_BASE_URLS=finnhub: name=address"),
        ("SOURCES_TIMEOUT_SECONDS", "0", "SOURCES_TIMEOUT_SECONDS=0"),
    ],
)
def test_a_setting_that_cannot_work_is_one_line_on_the_error_output(
    run_cli: Run, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    code, out, err = run_cli("sources", "--json")
    assert (code, out) == (2, "")
    assert said in err
    assert KEY not in err
    assert err.count("\n") == 1


async def test_a_runtime_asks_its_broker_and_its_providers_and_keeps_the_rest_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tape = synthetic_tape(MarketGroup.KR, SESSION, symbols=12, seed=3)
    accounts = [AccountSpec("00000000-01", {Currency.KRW: Decimal(1_000_000)})]
    before_open = tape.hours.open_at - timedelta(minutes=30)
    twin = await serve(SimulatedExchange(tape, accounts, at=before_open))
    async with sources_stand_in() as server:
        row = article("Chips rise", datetime=int(before_open.timestamp()) - 3600)
        server.on("/api/v1/news", Said([row]))
        for name, value in {
            "TWIN_URL": twin.base_url,
            "ENABLED_MARKETS": "KR",
            "NEWS_API_PROVIDER": "kis,finnhub",
            "NEWS_API_KEY": KEY,
            "SOURCES_BASE_URLS": f"finnhub={server.base_url}",
        }.items():
            monkeypatch.setenv(name, value)
        try:
            assert await sources_view._ask() == []
            async with open_runtime() as runtime:
                listed = next(iter(tape.instruments))
                told = await collect(
                    runtime.store,
                    runtime.sources,
                    group=MarketGroup.KR,
                    session=SESSION,
                    at=runtime.clock.now(),
                    instruments=[listed],
                )
        finally:
            await twin.stop()
    assert {h.source for h in told.headlines} == {"kis", "finnhub"}
    about = [h for h in told.headlines if h.symbol == listed.symbol]
    assert about
    assert all("전 거래일" in h.title for h in about)
    lines = headline_lines(told, before_open, [listed.symbol])
    assert any(line.startswith(f"{listed.symbol} | ") and "no score" in line for line in lines)
    with open_store().read() as db:
        asks = db.source_asks(since=before_open - timedelta(days=1))
    assert {(a.source, a.problem) for a in asks} == {("kis", ""), ("finnhub", "")}
