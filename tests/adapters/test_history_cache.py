"""Daily bars on disk between the plan and the ticks."""

from __future__ import annotations

import logging
from datetime import date
from decimal import Decimal

import pytest

from trading_core.adapters.history_cache import HistoryCache
from trading_core.model.market import Instrument, Market, MarketGroup
from trading_core.model.price import DailyBar

KR, US = MarketGroup.KR, MarketGroup.US
DAY, NEXT = date(2025, 9, 3), date(2025, 9, 4)
BARS = [
    DailyBar(date(2025, 9, 1), Decimal("10.10"), Decimal("11"), Decimal("9.5"), Decimal("10"), 7),
    DailyBar(date(2025, 9, 2), *[Decimal(0)] * 3, Decimal("10"), 0),
]
FUND = Instrument("069500", Market.KR, "KODEX 200", is_fund=True)
STOCK = Instrument("005930", Market.KR, "삼성전자")


@pytest.fixture
def cache(tmp_path):
    return HistoryCache(tmp_path / "cache")


def files(cache):
    return sorted(path.name for path in cache._directory.iterdir())


def test_what_was_saved_is_loaded_to_the_last_digit(cache):
    cache.save(KR, DAY, {FUND: BARS, STOCK: []})
    loaded = cache.load(KR, DAY)
    assert loaded == {FUND: BARS, STOCK: []}
    assert str(loaded[FUND][0].open) == "10.10"
    assert {(i.symbol, i.name, i.is_fund) for i in loaded} == {
        ("069500", "KODEX 200", True),
        ("005930", "삼성전자", False),
    }


def test_another_process_loads_it_too(cache, tmp_path):
    cache.save(KR, DAY, {STOCK: BARS})
    assert HistoryCache(tmp_path / "cache").load(KR, DAY) == {STOCK: BARS}


def test_nothing_kept_is_empty(cache):
    assert cache.load(KR, DAY) == {}
    cache.save(KR, DAY, {STOCK: BARS})
    assert cache.load(KR, NEXT) == {}
    assert cache.load(US, DAY) == {}


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"null",
        b"[1]",
        b'["ab"]',
        b"\xff\xfe",
        b'[{"symbol": "A"}]',
        b'[{"symbol": "A", "market": "MARS", "name": "", "is_fund": false, "bars": []}]',
        b'[{"symbol": "A", "market": "KR", "name": "", "is_fund": false, "bars": [[1]]}]',
        b'[{"symbol": "A", "market": "KR", "name": "", "is_fund": false,'
        b' "bars": [["2025-09-01", "x", "1", "1", "1", 1]]}]',
    ],
)
def test_a_damaged_file_is_ignored_and_said_so(cache, damage, caplog):
    cache.save(KR, DAY, {STOCK: BARS})
    cache._path(KR, DAY).write_bytes(damage)
    assert cache.load(KR, DAY) == {}
    assert "ignoring" in caplog.text
    cache.save(KR, DAY, {STOCK: BARS})
    assert cache.load(KR, DAY) == {STOCK: BARS}


def test_a_newer_session_replaces_the_older_one_of_its_group_only(cache):
    cache.save(KR, DAY, {STOCK: BARS})
    cache.save(US, DAY, {})
    cache.save(KR, NEXT, {STOCK: BARS})
    assert files(cache) == ["bars-KR-2025-09-04.json", "bars-US-2025-09-03.json"]


def test_an_older_session_that_is_kept_late_does_not_take_the_newer_one_away(cache):
    cache.save(KR, NEXT, {STOCK: BARS})
    cache.save(KR, DAY, {FUND: BARS})
    assert cache.load(KR, NEXT) == {STOCK: BARS}


def test_saving_again_replaces_what_was_there(cache):
    cache.save(KR, DAY, {STOCK: BARS})
    cache.save(KR, DAY, {FUND: BARS[:1]})
    assert cache.load(KR, DAY) == {FUND: BARS[:1]}
    assert len(files(cache)) == 1


def test_a_folder_that_cannot_be_written_costs_time_and_nothing_else(tmp_path, caplog):
    (tmp_path / "cache").write_text("a file, not a folder")
    cache = HistoryCache(tmp_path / "cache")
    with caplog.at_level(logging.WARNING):
        cache.save(KR, DAY, {STOCK: BARS})
        assert cache.load(KR, DAY) == {}
    assert "cannot keep daily bars" in caplog.text
