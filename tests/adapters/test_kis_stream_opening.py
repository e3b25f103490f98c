"""Who may open the price stream, where it listens, and what it costs those who do not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from trading_core.adapters.kis.connection import open_kis
from trading_core.adapters.kis.stream_lock import StreamLock
from trading_core.adapters.kis.stream_queue import EventQueue
from trading_core.clock import FixedClock
from trading_core.errors import ConfigError, NotOffered
from trading_core.model.market import Currency, Instrument, Market, MarketGroup
from trading_core.model.price import OrderBook, Quote
from trading_core.ports import StreamGap
from trading_core.settings import load_settings
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.server import serve
from trading_core.twin.synthetic import synthetic_tape
from trading_core.twin.venue import AccountSpec
from trading_core.wiring import no_stream, open_runtime

ROOT = Path(__file__).parents[2]
AT = datetime(2026, 11, 20, 0, 30, tzinfo=UTC)


def connect(base_url: str, home: Path, **changes: Any) -> Any:
    options: dict[str, Any] = {
        "base_url": base_url,
        "app_key": "the-app-key",
        "app_secret": "the-app-secret",
        "account_no": "12345678-01",
        "personality": "real",
        "home": home,
        "clock": FixedClock(AT),
        "rate_limit_rps": None,
        "hts_id": "the-login",
    }
    return open_kis(**(options | changes))


@pytest.mark.parametrize(
    ("base_url", "personality", "url"),
    [
        (
            "https://openapi.koreainvestment.com:9443",
            "real",
            "ws://ops.koreainvestment.com:21000",
        ),
        (
            "https://openapivts.koreainvestment.com:29443",
            "paper",
            "ws://ops.koreainvestment.com:31000",
        ),
        ("http://127.0.0.1:8123", "real", "ws://127.0.0.1:8123/"),
        ("http://[::1]:8123", "real", "ws://[::1]:8123/"),
    ],
)
async def test_the_stream_is_where_the_broker_has_it_or_on_this_machine(
    base_url: str, personality: str, url: str, tmp_path: Path
) -> None:
    async with connect(base_url, tmp_path, personality=personality) as kis:
        assert url in repr(kis.open_stream())
        shown = repr(kis.open_stream()) + repr(kis._stream_place)
        assert "the-login" not in shown
        assert "the-app-key" not in shown


async def test_no_keys_are_sent_in_the_clear_to_any_other_host(tmp_path: Path) -> None:
    async with connect("https://broker.example", tmp_path) as kis:
        with pytest.raises(NotOffered, match=r"broker\.example"):
            kis.open_stream()


def test_where_nothing_is_streamed_the_caller_is_told_to_poll() -> None:
    with pytest.raises(NotOffered, match="poll"):
        no_stream()


async def test_the_runtime_of_a_twin_streams_prices_and_notices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUROBOROS_HOME", str(tmp_path))
    tape = synthetic_tape(MarketGroup.KR, date(2026, 11, 20), symbols=5, seed=2)
    account = AccountSpec("50000000-01", {Currency.KRW: Decimal(10_000_000)})
    venue = SimulatedExchange(tape, [account], at=tape.hours.open_at)
    twin = await serve(venue)
    try:
        settings = load_settings(twin_url=twin.base_url, enabled_markets="KR")
        async with open_runtime(settings) as runtime, runtime.open_stream() as stream:
            followed = venue.instruments()[:2]
            assert await stream.follow(followed) == ()
            events = stream.events()
            assert stream.health.notices
            assert stream.health.registrations == 4
            await runtime.clock.sleep_until(venue.now + timedelta(minutes=10))
            quote = await anext(events)
            assert isinstance(quote, Quote)
            with pytest.raises(NotOffered, match="poll"):
                async with runtime.open_stream():
                    raise AssertionError("opened twice")
    finally:
        await twin.stop()


def test_a_process_that_listens_to_nothing_loads_nothing_of_it() -> None:
    code = (
        "import json, sys, trading_core.wiring, trading_core.adapters.kis.connection;"
        "import trading_core.steps.tick; print(json.dumps(list(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    loaded = json.loads(done.stdout)
    assert "trading_core.adapters.kis.connection" in loaded
    assert [name for name in loaded if "kis.stream" in name] == []


@pytest.mark.parametrize("login", ["with blank", "a^b", "a|b", "x" * 41])
def test_a_login_that_cannot_be_one_is_refused_without_being_shown(login: str) -> None:
    with pytest.raises(ConfigError, match="KIS_HTS_ID") as caught:
        load_settings(kis_hts_id=login)
    assert login not in str(caught.value)


def test_the_lock_of_a_process_that_was_killed_is_free(tmp_path: Path) -> None:
    path = tmp_path / "stream.lock"
    code = (
        "import sys, time; from datetime import datetime, UTC; from pathlib import Path;"
        "from trading_core.adapters.kis.stream_lock import StreamLock;"
        f"lock = StreamLock(Path({str(path)!r}));"
        "lock.acquire(datetime(2026, 11, 20, tzinfo=UTC));"
        "sys.stdout.write('held\\n'); sys.stdout.flush(); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(NotOffered, match=f"in process {holder.pid} since 2026-11-20"):
            StreamLock(path).acquire(AT)
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    lock = StreamLock(path)
    lock.acquire(AT)
    lock.release()


# --- the queue ------------------------------------------------------------------------------


def quote(symbol: str, volume: int) -> Quote:
    one = Decimal(1)
    return Quote(Instrument(symbol, Market.KR), one, one, one, one, one, volume, AT)


async def taken(queue: EventQueue) -> list[Any]:
    queue.close()
    found = []
    while (event := await queue.get()) is not None:
        found.append(event)
    return found


async def test_with_room_every_quote_is_kept_and_without_it_the_newest_of_each() -> None:
    queue = EventQueue(3)
    for volume in (1, 2):
        queue.put(quote("A", volume))
    book = OrderBook(Instrument("A", Market.KR), (), (), AT)
    queue.put(book)
    queue.put(quote("A", 3))
    queue.put(quote("B", 1))
    queue.put(quote("B", 2))
    queue.put(book)
    events = await taken(queue)
    assert events == [quote("A", 1), quote("A", 3), book, quote("B", 2)]
    assert [it.volume for it in events if isinstance(it, Quote)] == [1, 3, 2]
    assert queue.conflated == 3


async def test_gaps_of_one_reason_become_one_behind_what_came_between() -> None:
    queue = EventQueue(1)
    minute = timedelta(minutes=1)
    queue.put(StreamGap(AT, AT + minute, "cut"))
    queue.put(quote("A", 1))
    queue.put(StreamGap(AT + 2 * minute, AT + 3 * minute, "cut"))
    queue.put(StreamGap(AT, AT, "silence"))
    assert await taken(queue) == [
        quote("A", 1),
        StreamGap(AT, AT + 3 * minute, "cut"),
        StreamGap(AT, AT, "silence"),
    ]
