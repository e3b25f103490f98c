import json
import logging
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from trading_core.adapters import session_cache
from trading_core.adapters.session_cache import SessionCache
from trading_core.model.market import MarketGroup
from trading_core.rules import calendar
from trading_core.rules.sessions import SessionTable

VN, KR = MarketGroup.VN, MarketGroup.KR


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[MarketGroup]:
    """The groups that had to be built, in order."""
    groups: list[MarketGroup] = []
    original = calendar.build_sessions

    def build(group: MarketGroup) -> SessionTable:
        groups.append(group)
        return original(group)

    monkeypatch.setattr(calendar, "build_sessions", build)
    monkeypatch.setattr(calendar, "_tables", {})
    monkeypatch.setattr(session_cache, "SHIPPED", Path("/nowhere"))
    return groups


@pytest.mark.parametrize("group", MarketGroup)
def test_the_tables_that_come_with_the_program_are_those_a_build_gives(
    tmp_path: Path, group: MarketGroup
) -> None:
    shipped = SessionCache(tmp_path / "cache").load(group)

    assert not (tmp_path / "cache").exists(), "run: make calendars"
    assert shipped == calendar.build_sessions(group)


def test_a_table_comes_back_from_disk_as_it_was_built(
    tmp_path: Path, built: list[MarketGroup]
) -> None:
    cache = SessionCache(tmp_path / "cache")
    first = cache.load(VN)
    assert SessionCache(tmp_path / "cache").load(VN) == first
    assert built == [VN]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["sessions-VN.json"]


def test_a_file_is_named_after_the_calendar(tmp_path: Path) -> None:
    cache = SessionCache(tmp_path)
    assert cache.path(KR) == tmp_path / "sessions-XKRX.json"
    assert cache.path(MarketGroup.US) == tmp_path / "sessions-XNYS.json"


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"version": 1}', "\xff"])
def test_a_broken_file_is_built_again_and_replaced(
    tmp_path: Path, built: list[MarketGroup], damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache = SessionCache(tmp_path)
    good = cache.load(VN)
    cache.path(VN).write_text(damage, encoding="latin-1")
    with caplog.at_level(logging.WARNING):
        assert cache.load(VN) == good
    assert cache.load(VN) == good
    assert built == [VN, VN]


def test_a_changed_row_is_noticed(tmp_path: Path, built: list[MarketGroup]) -> None:
    cache = SessionCache(tmp_path)
    good = cache.load(VN)
    stored = json.loads(cache.path(VN).read_text())
    stored["sessions"][0][1] += 3600
    cache.path(VN).write_text(json.dumps(stored))
    assert cache.load(VN) == good
    assert built == [VN, VN]


def test_a_file_of_another_version_is_built_again(
    tmp_path: Path, built: list[MarketGroup], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = SessionCache(tmp_path)
    cache.load(VN)
    monkeypatch.setattr(session_cache, "_table_version", lambda: "another")
    cache.load(VN)
    cache.load(VN)
    assert built == [VN, VN]


def test_a_file_of_another_group_is_not_believed(tmp_path: Path, built: list[MarketGroup]) -> None:
    cache = SessionCache(tmp_path)
    cache.load(VN)
    cache.path(VN).rename(cache.path(KR))
    assert cache.load(KR).group is KR
    assert built == [VN, KR]


def test_a_directory_that_cannot_be_written_still_gives_a_table(
    tmp_path: Path, built: list[MarketGroup], caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with caplog.at_level(logging.WARNING):
        table = SessionCache(blocked / "cache").load(VN)
    assert table.on(date(2026, 3, 4)) is not None
    assert "was not written" in caplog.text


def test_a_warm_process_knows_the_hours_without_pandas(tmp_path: Path) -> None:
    SessionCache(tmp_path).warm([KR])
    code = f"""
import sys
from datetime import UTC, datetime
from pathlib import Path
from trading_core.adapters.session_cache import SessionCache
from trading_core.model.market import MarketGroup
from trading_core.rules.calendar import is_market_open
SessionCache(Path({str(tmp_path)!r})).warm([MarketGroup.KR])
assert is_market_open(MarketGroup.KR, datetime(2026, 3, 4, 1, tzinfo=UTC))
assert not is_market_open(MarketGroup.KR, datetime(2026, 6, 3, 1, tzinfo=UTC))
assert "pandas" not in sys.modules and "exchange_calendars" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
