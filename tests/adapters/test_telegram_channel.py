"""Messages over HTTP to a Bot API: they arrive, or it is known what became of them."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from tests.telegram_stand_in import (
    CHAT,
    TOKEN,
    Fault,
    hangs,
    malformed,
    refused,
    server_error,
    telegram_stand_in,
    too_many,
)
from tests.unit.steps.test_outbox import FakeLock
from trading_core.adapters.duck.store import DuckStore
from trading_core.adapters.notifiers import LogNotifier
from trading_core.adapters.telegram_channel import TelegramChannel
from trading_core.clock import FixedClock
from trading_core.model.difference import Severity
from trading_core.model.journal import Notification
from trading_core.model.notice import Message, NotTaken, Taken, TryLater
from trading_core.steps.outbox import Sender

AT = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
PICTURE = b"\x89PNG and so on"


@pytest.fixture
async def api():
    async with telegram_stand_in() as stand_in:
        yield stand_in


@pytest.fixture
async def channel(api):
    made = channel_at(api.base_url)
    yield made
    await made.aclose()


def channel_at(base_url, token=TOKEN):
    return TelegramChannel(token, str(CHAT), base_url, timeout_seconds=0.5)


def message(body="filled: BUY 3 A", severity=Severity.INFO, *, silent=False, **more):
    return Message("Filled 09:31 KST", body, severity, silent, **more)


async def test_a_message_goes_to_the_one_chat(api, channel):
    assert await channel.deliver(message()) == Taken()
    (call,) = api.calls
    assert (call.method, call.fields["chat_id"]) == ("sendMessage", str(CHAT))
    assert call.text == "<b>Filled 09:31 KST</b>\nfilled: BUY 3 A"


@pytest.mark.parametrize(
    "body", ["<b>&", "A & B <script>", "</b>", "&amp;", "a < b > c", "\"quoted\" & 'so'", "_*[`~"]
)
async def test_no_text_breaks_the_message_and_all_of_it_is_read(api, channel, body):
    assert await channel.deliver(message(body)) == Taken()
    (call,) = api.calls
    import html

    assert html.unescape(call.text.partition("\n")[2]) == body


@pytest.mark.parametrize("silent", [True, False])
async def test_a_sound_is_made_as_asked(api, channel, silent):
    await channel.deliver(message(silent=silent))
    assert api.calls[0].fields["disable_notification"] == ("true" if silent else "false")


async def test_what_is_critical_is_seen_as_such(api, channel):
    await channel.deliver(message(severity=Severity.CRITICAL))
    assert api.texts[0].startswith("<b>🔴 Filled")


@pytest.mark.parametrize("text", ["x" * 5000, "&" * 5000, "한" * 5000, "🔴" * 5000, "🔴" * 2100])
@pytest.mark.parametrize("picture", [None, PICTURE])
async def test_a_text_too_long_for_one_message_is_cut_and_not_refused(api, channel, text, picture):
    assert await channel.deliver(message(text, picture=picture)) == Taken()
    (call,) = api.calls
    assert call.text.endswith("…")


async def test_a_picture_goes_with_its_text(api, channel):
    assert await channel.deliver(message(picture=PICTURE)) == Taken()
    (call,) = api.calls
    assert (call.method, call.files["photo"]) == ("sendPhoto", PICTURE)
    assert call.text.endswith("filled: BUY 3 A")


async def test_a_message_refused_for_its_mark_up_goes_again_as_plain_text(api, channel):
    api.fail("sendMessage", refused(400, "Bad Request: can't parse entities"))
    assert await channel.deliver(message("a < b")) == Taken()
    assert api.calls[1].text == "Filled 09:31 KST\na < b"
    assert "parse_mode" not in api.calls[1].fields


async def test_a_message_that_is_refused_either_way_is_not_taken(api, channel):
    bad = refused(400, "Bad Request: message is odd")
    api.fail("sendMessage", bad, bad)
    assert isinstance(await channel.deliver(message()), NotTaken)


@pytest.mark.parametrize(
    ("fault", "maybe_taken", "after"),
    [
        (too_many(9), False, 9.0),
        (refused(401, "Unauthorized"), False, 600.0),
        (refused(403, "Forbidden: bot was blocked by the user"), False, 600.0),
        (refused(404, "Not Found"), False, 600.0),
        (refused(400, "Bad Request: chat not found"), False, 600.0),
        (refused(400, "Bad Request: x", migrate_to_chat_id=-7), False, 600.0),
        (server_error(500), False, None),
        (server_error(502), False, None),
        (malformed(), True, None),
        (Fault(200, {"ok": True, "result": {"nothing": "of use"}}), True, None),
        (Fault(200, {"unexpected": True}), True, None),
        (Fault(drop=True), True, None),
        (hangs(5.0), True, None),
    ],
)
async def test_whatever_is_answered_it_is_known_whether_it_may_have_arrived(
    api, channel, fault, maybe_taken, after, caplog
):
    api.fail("sendMessage", fault)
    with caplog.at_level(logging.DEBUG):
        answer = await channel.deliver(message())
    assert isinstance(answer, TryLater)
    assert (answer.maybe_taken, answer.after_seconds) == (maybe_taken, after)
    assert TOKEN not in caplog.text
    assert TOKEN not in answer.reason


async def test_a_server_that_is_not_there_has_taken_nothing():
    answer = await channel_at("http://127.0.0.1:9/bot").deliver(message())
    assert isinstance(answer, TryLater)
    assert not answer.maybe_taken


@pytest.mark.parametrize("token", ["", "no token", "a\nb", "123:\x00", "http://x", "1:" + "ä" * 9])
async def test_a_token_that_is_none_raises_nothing(api, token):
    api.fail("sendMessage", refused(401, "Unauthorized"))
    assert isinstance(await channel_at(api.base_url, token).deliver(message()), TryLater)


async def test_the_token_is_in_no_log_line_whatever_the_level(channel, caplog):
    with caplog.at_level(logging.DEBUG):
        for name in ("httpx", "httpcore", "telegram"):
            logging.getLogger(name).setLevel(logging.DEBUG)
        try:
            assert await channel.deliver(message()) == Taken()
        finally:
            for name in ("httpx", "httpcore", "telegram"):
                logging.getLogger(name).setLevel(logging.NOTSET)
    assert "sendMessage" in caplog.text, "the client does log its requests"
    assert TOKEN not in caplog.text
    assert TOKEN.split(":")[1] not in caplog.text


async def test_the_token_is_in_no_representation(channel):
    assert TOKEN not in repr(channel)


async def test_a_flood_arrives_whole_through_a_server_that_misbehaves(api, channel, tmp_path):
    clock, store = FixedClock(AT), DuckStore(tmp_path / "trades.db")
    api.fail("sendMessage", too_many(30), server_error(502), too_many(2))
    names = [f"{level}-{n}" for level in ("info", "warning") for n in range(230)]
    notes = [
        Notification(
            name, AT, f"kind {n % 7}", name.partition("-")[0], name, channels=("telegram",)
        )
        for n, name in enumerate(names)
    ]
    notes += [
        Notification(f"c-{n}", AT, "stop_blind", "critical", f"blind <{n}>", channels=("telegram",))
        for n in range(40)
    ]
    with store.write() as tx:
        tx.append(notes)
    for _ in range(5):
        await Sender(store, [channel], clock, FakeLock()).flush(timedelta(minutes=10))
        clock.advance(timedelta(seconds=30))
    with store.read() as db:
        assert db.unsent("telegram") == []
        ends = [row.outcome.value for row in db.sends([note.notification_id for note in notes])]
    assert (ends.count("sent"), ends.count("counted")) == (40 + 7 * 10, 460 - 70)
    text = "\n".join(api.texts)
    assert all(f"blind &lt;{n}&gt;" in text for n in range(40))
    assert len(api.messages) == 3 + 1 + 7


def note(text="filled: BUY 3 A", level="info"):
    return Notification("id", AT, "order_filled", level, text)


@pytest.mark.parametrize(
    ("level", "wanted"),
    [("info", "INFO"), ("warning", "WARNING"), ("critical", "CRITICAL"), ("odd", "INFO")],
)
async def test_the_log_takes_every_message_at_its_level(caplog, level, wanted):
    with caplog.at_level(logging.INFO):
        assert await LogNotifier().send(note("a 100 % certain text", level))
    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == (wanted, "order_filled: a 100 % certain text")
