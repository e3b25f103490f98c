"""``ouroboros doctor``: what it looks at, and what it calls a failure."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from flows import doctor
from tests.record_factories import AT, one_of_each
from trading_core.adapters.duck import DuckStore
from trading_core.adapters.server_time import seconds_behind
from trading_core.clock import FixedClock
from trading_core.errors import BrokerUnavailable
from trading_core.wiring import configure, confirm_live, look_at_store

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
KEYS: dict[str, Any] = {
    "kis_app_key": "app-key-000",
    "kis_app_secret": "app-secret-000",
    "kis_account_no": "12345678-01",
}


def test_the_tested_versions_are_those_of_the_lock_file() -> None:
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    locked = {item["name"]: item.get("version", "") for item in packages}

    for name, tested in doctor.TESTED.items():
        assert f"{locked[name]}.".startswith(f"{tested}."), name
    assert doctor._versions()["result"] == "ok"


@pytest.mark.parametrize("installed", ["3.9.0", "3.8.7", "3.8.80"])
def test_another_release_than_the_tested_one_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, installed: str
) -> None:
    real = doctor.version
    monkeypatch.setattr(
        doctor, "version", lambda name: installed if name == "prefect" else real(name)
    )

    found = doctor._versions()

    assert found["result"] == "warning"
    assert f"prefect {installed} (tested: 3.8.8)" in found["detail"]


@pytest.mark.parametrize(
    ("behind", "result", "said"),
    [
        (0.4, "ok", "the same as the broker's"),
        (2.0, "ok", "2.0 s behind"),
        (-5.0, "warning", "5.0 s ahead of the broker's; set it by NTP"),
        (61.0, "failed", "61.0 s behind the broker's; set it by NTP"),
    ],
)
async def test_the_clock_is_compared_with_the_broker_s(
    monkeypatch: pytest.MonkeyPatch, behind: float, result: str, said: str
) -> None:
    async def answer(*_: object) -> float:
        return behind

    monkeypatch.setattr(doctor, "clock_seconds_behind", answer)
    found = await doctor._clock(configure(), SimpleNamespace(clock=None))

    assert found["result"] == result
    assert said in found["detail"]


def transport_of(*headers: tuple[str, str], status: int = 404) -> httpx.MockTransport:
    return httpx.MockTransport(lambda _: httpx.Response(status, headers=list(headers)))


async def test_any_answer_of_the_broker_tells_its_time() -> None:
    date = ("Date", format_datetime(NOW + timedelta(seconds=30), usegmt=True))

    behind = await seconds_behind("http://x", FixedClock(NOW), transport=transport_of(date))

    assert 30 <= behind < 31


@pytest.mark.parametrize("headers", [(), (("Date", "yesterday"),)])
async def test_an_answer_without_a_date_tells_none(headers: Any) -> None:
    with pytest.raises(BrokerUnavailable, match="does not tell the time"):
        await seconds_behind("http://x", FixedClock(NOW), transport=transport_of(*headers))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with DuckStore(tmp_path / "trades.db").write() as tx:
        tx.append(one_of_each())
    return tmp_path


def test_a_store_is_opened_and_its_rows_are_audited(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    settings = configure(ouroboros_home=home)
    facts = look_at_store(settings)
    store, backup = doctor._store(settings)

    assert facts.orders >= 1
    assert facts.backup_at is not None
    assert store["name"], backup["name"] == ("store", "backup")
    wrong = replace(facts, problems=("order 1: was rejected, then filled",))
    monkeypatch.setattr(doctor, "look_at_store", lambda _: wrong)
    assert doctor._store(settings)[0] == {
        "name": "store",
        "result": "failed",
        "detail": "1 rows cannot be: order 1: was rejected, then filled",
    }


def test_a_store_that_is_none_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "trades.db").write_bytes(b"not a database" * 400)

    [found] = doctor._store(configure(ouroboros_home=tmp_path))

    assert (found["name"], found["result"]) == ("store", "failed")


@pytest.mark.parametrize(
    ("at", "verified", "orders", "result"),
    [
        (None, False, 0, "ok"),
        (None, False, 3, "warning"),
        (AT, True, 3, "ok"),
        (AT - timedelta(hours=26), True, 3, "warning"),
        (AT, False, 3, "failed"),
    ],
)
def test_the_age_of_the_newest_backup(
    at: datetime | None, verified: bool, orders: int, result: str
) -> None:
    facts = SimpleNamespace(orders=orders, backup_verified=verified)

    assert doctor._backup(at, facts, AT + timedelta(minutes=1))["result"] == result


def test_a_home_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    found = doctor._disk(tmp_path / "file" / "home")

    assert found["result"] == "failed"
    assert "cannot be written" in found["detail"]


def test_the_limits_it_would_trade_with_are_shown() -> None:
    found = doctor._limits(configure(max_loss_pct=2))

    assert "MAX_LOSS_PCT=2, MAX_ORDER_PCT=30" in found["detail"]


async def test_real_money_that_nobody_confirmed_is_a_failure(tmp_path: Path) -> None:
    settings = configure(ouroboros_home=tmp_path, mode="live", **KEYS)

    async def finding() -> dict[str, str]:
        return await doctor._guarded("go-live", lambda: doctor._confirmed(settings))

    assert (await finding())["result"] == "failed"
    confirm_live(settings, AT)
    assert await finding() == {
        "name": "go-live",
        "result": "ok",
        "detail": "real money was confirmed: the live account ****78-01",
    }
