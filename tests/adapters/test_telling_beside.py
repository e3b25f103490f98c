"""A process that has something to say: it writes a row and goes on; a thread beside it sends."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.record_factories import SESSION, make_equity
from tests.telegram_stand_in import CHAT, TOKEN, Fault, telegram_stand_in
from trading_core.adapters.duck.store import DuckStore
from trading_core.errors import ConfigError
from trading_core.model.journal import Notification
from trading_core.steps.tell import tell
from trading_core.wiring import channel_names, configure, sending, tell_people
from trading_core.wiring.alerts import draw, telling

AT = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)


@pytest.fixture
async def api():
    async with telegram_stand_in() as stand_in:
        yield stand_in


@pytest.fixture
def settings(api, tmp_path):
    return settings_of(tmp_path, telegram_base_url=api.base_url)


def settings_of(home, **changes):
    keys = {"telegram_bot_token": TOKEN, "telegram_chat_id": str(CHAT)}
    return configure(**({"ouroboros_home": home, "notify_interval_seconds": 0.1} | keys | changes))


def note(name="a", level="warning", **more):
    return Notification(name, AT, f"kind {name}", level, f"text {name}", **more)


def waiting(settings):
    with DuckStore(settings.store_path).read() as db:
        return [each.notification_id for each in db.unsent("telegram")]


async def test_what_is_told_in_a_block_has_arrived_at_its_end(api, settings):
    await tell_people([note("a", "critical"), *map(note, "bcdefg")], settings)
    assert [text.rpartition("\n")[2] for text in api.texts] == [f"text {n}" for n in "abcdefg"]
    assert waiting(settings) == []


async def test_telling_does_not_wait_for_a_channel_that_is_slow(api, settings):
    api.fail("sendMessage", Fault(delay_seconds=4.0))
    store = DuckStore(settings.store_path)
    async with telling(settings, store) as notifier:
        await tell(notifier, store, [note("a")])
        await api.wait_for("sendMessage")
        for n in range(10):
            await tell(notifier, store, [note(f"{n}")])
        assert len(api.messages) == 1, "ten rows are written while the first has no answer yet"
        assert len(waiting(settings)) == 11


async def test_somebody_who_sends_for_all_sends_what_others_wrote(api, settings):
    store = DuckStore(settings.store_path)
    with store.write() as tx:
        tx.append([note("a", channels=("telegram",))])
    async with sending(settings, store):
        await api.wait_for("sendMessage", having="text a")
        with store.write() as tx:
            tx.append([note("b", channels=("telegram",))])
        await api.wait_for("sendMessage", having="text b")
    assert waiting(settings) == []


async def test_without_credentials_there_is_no_channel_and_nothing_waits(tmp_path, caplog):
    settings = settings_of(tmp_path, telegram_chat_id=None)
    assert channel_names(settings) == ()
    assert channel_names(settings_of(tmp_path, telegram_enabled=False)) == ()
    await tell_people([note("a", "critical")], settings)
    with DuckStore(settings.store_path).read() as db:
        (row,) = db.notifications()
    assert (row.channels, row.delivered) == ((), True)
    assert "text a" in caplog.text


def test_each_address_is_a_channel_of_its_own(tmp_path):
    settings = settings_of(tmp_path, notify_urls="ntfy://topic  json://localhost/x\nntfy://topic")
    telegram, *others = channel_names(settings)
    assert telegram == "telegram"
    assert [name.partition("-")[0] for name in others] == ["ntfy", "json"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("notify_urls", "my-topic"),
        ("notify_zone", "Moon/Base"),
        ("notify_quiet_hours", "at night"),
        ("notify_interval_seconds", 0),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_its_name(tmp_path, name, value):
    with pytest.raises(ConfigError, match=name.upper()):
        settings_of(tmp_path, **{name: value})


def test_the_picture_of_a_day_is_its_equity(tmp_path):
    store = DuckStore(":memory:")
    assert draw(store, f"equity KR {SESSION}") is None
    with store.write() as tx:
        tx.append([make_equity()])
    picture = draw(store, f"equity KR {SESSION}")
    assert picture is not None
    assert picture.startswith(b"\x89PNG")
