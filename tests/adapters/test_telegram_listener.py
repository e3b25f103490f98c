"""The listener over real HTTP: what it obeys, what it survives, and that nothing is done twice."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.chat_office import NOW, WICKED, Chat, open_chat
from tests.record_factories import make_fill, make_intent, make_order_life
from tests.telegram_stand_in import (
    CHAT,
    STRANGER,
    TOKEN,
    TelegramStandIn,
    conflict,
    hangs,
    malformed,
    refused,
    server_error,
    telegram_stand_in,
    too_many,
)
from trading_core.adapters.duck.store import DuckStore
from trading_core.adapters.telegram.listener import Listener, Manner, Meaning
from trading_core.errors import ConfigError
from trading_core.model.chat import Answer, Asked
from trading_core.model.order import OrderState
from trading_core.steps.commands import answering
from trading_core.wiring.telegram import only_listener

QUICK = Manner(
    interval_seconds=0.01,
    poll_seconds=5,
    patience_seconds=1.0,
    pause_seconds=0.01,
    longest_seconds=0.05,
    pace_seconds=0.0,
)


@pytest.fixture
async def api() -> AsyncIterator[TelegramStandIn]:
    async with telegram_stand_in() as stand_in:
        stand_in.clock = NOW.timestamp
        yield stand_in


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("chat") / "trades.db"
    open_chat(DuckStore(path))
    return path


@pytest.fixture
def chat(filled: Path, tmp_path: Path) -> Chat:
    path = tmp_path / "trades.db"
    path.write_bytes(filled.read_bytes())
    return open_chat(DuckStore(path), filled=False)


def listener_of(api: TelegramStandIn, chat: Chat, manner: Manner = QUICK) -> Listener:
    async def answer(asked: Asked) -> Answer:
        return await answering.answer(chat.office, asked)

    meaning = Meaning(
        answer,
        answering.is_urgent,
        answering.changes,
        answering.repeats,
        answering.overruled,
        answering.menu(),
    )
    made = Listener(TOKEN, api.base_url, CHAT, meaning, chat.clock, manner)
    chat.office = replace(chat.office, listener_lines=made.lines)
    return made


@asynccontextmanager
async def listening(
    api: TelegramStandIn, chat: Chat, manner: Manner = QUICK
) -> AsyncIterator[Listener]:
    made = listener_of(api, chat, manner)
    task = asyncio.create_task(made.run())
    try:
        yield made
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def open_halts(chat: Chat) -> list[str]:
    with chat.store.read() as reader:
        return [halt.scope for halt in reader.open_halts()]


async def test_the_menu_is_handed_in_and_a_command_is_answered_as_html(api, chat):
    async with listening(api, chat):
        menu = await api.wait_for("setMyCommands")
        await api.say("/status")
        call = await api.wait_for("sendMessage")
    assert '"stop"' in menu.fields["commands"]
    assert "close!" not in menu.fields["commands"]
    assert (call.fields["chat_id"], call.fields["parse_mode"]) == (str(CHAT), "HTML")
    assert "KR</b> open" in call.text


async def test_every_command_is_taken_by_telegram_as_it_is(api, chat):
    with chat.store.write() as tx:
        tx.append([make_fill(fill_id="f-2", intent_id="intent-2", instrument=WICKED)])
    lines = [f"/{name}" for name, _ in answering.menu()]
    lines += ["/why 000660", "/close 000660", "/pnl month", "/playbook KR", "/notify review"]
    async with listening(api, chat):
        for line in lines:
            await api.say(line)
        await api.say("/chart 005930")
        await api.wait_for("sendPhoto")
        await api.wait_for("sendMessage", len(lines))
    assert len(api.messages) == len(lines)
    assert all(call.fields.get("parse_mode") == "HTML" for call in api.messages)
    assert any("&lt;b&gt;&amp; Söhne&lt;/b&gt;" in text for text in api.texts)
    assert api.of("sendPhoto")[0].files["photo"].startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "text", ["/STATUS", "/status@a_bot", "/status@A_Bot  x", "hello", "/start"]
)
async def test_spellings_of_a_command(api, chat, text):
    async with listening(api, chat):
        await api.say(text)
        call = await api.wait_for("sendMessage")
    assert ("Status" in call.text) is ("tatus" in text.lower())


async def test_a_command_to_another_bot_is_not_ours(api, chat):
    async with listening(api, chat):
        await api.say("/stop@other_bot")
        await api.say("/help")
        await api.wait_for("sendMessage")
    assert open_halts(chat) == []
    assert len(api.messages) == 1


async def test_other_chats_are_ignored_and_counted(api, chat):
    async with listening(api, chat):
        for _ in range(3):
            await api.say("/stop", chat=STRANGER)
        await api.tap("halt ALL#0", chat=STRANGER)
        await api.say("/health")
        call = await api.wait_for("sendMessage")
    assert open_halts(chat) == []
    assert "ignored from other chats: 4" in call.text
    assert {call.fields["chat_id"] for call in api.messages} == {str(CHAT)}


async def test_a_member_of_our_group_is_named(api, chat):
    async with listening(api, chat):
        await api.say("/stop", user=777)
        await api.wait_for("sendMessage")
    with chat.store.read() as reader:
        assert reader.operator_commands()[0].actor == "telegram:42/777"


async def test_a_button_edits_the_message_it_stands_below(api, chat):
    async with listening(api, chat):
        await api.say("/pnl")
        first = await api.wait_for("sendMessage")
        await api.tap(first.button("week"), message_id=2)
        edit = await api.wait_for("editMessageText")
        await api.wait_for("answerCallbackQuery")
        await api.tap(first.button("week"), message_id=2)
        await api.wait_for("editMessageText", 2)
        await api.say("/help")
        await api.wait_for("sendMessage", having="Commands")
    assert "week" in edit.text
    assert len(api.messages) == 2, "an edit that changes nothing is no new message"


async def test_an_edit_of_a_message_that_is_gone_is_a_new_message(api, chat):
    async with listening(api, chat):
        await api.tap("status#0", message_id=999)
        await api.wait_for("sendMessage", having="Status")


async def test_a_picture_is_refreshed_in_its_place(api, chat):
    async with listening(api, chat):
        await api.say("/chart 005930")
        photo = await api.wait_for("sendPhoto")
        await api.tap(photo.button("🔄"), message_id=2, photo=True)
        edit = await api.wait_for("editMessageMedia")
        await api.tap(photo.button("Why"), message_id=2, photo=True)
        await api.wait_for("sendMessage", having="Why 005930")
    assert edit.fields["message_id"] == "2"


async def test_a_long_answer_is_turned_by_buttons(api, chat):
    with chat.store.write() as tx:
        for n in range(60):
            name = f"many-{n}"
            at = NOW - timedelta(minutes=n)
            tx.append([make_intent(intent_id=name, created_at=at)])
            tx.append(make_order_life(OrderState.INTENDED, intent_id=name, at=at))
    async with listening(api, chat):
        await api.say("/orders")
        first = await api.wait_for("sendMessage")
        await api.tap(first.button("▶"), message_id=2)
        second = await api.wait_for("editMessageText")
    assert len(first.text.splitlines()) <= 27
    assert "1 / 3" in str(first.buttons)
    assert "2 / 3" in str(second.buttons)
    assert not {*first.text.splitlines()[2:]} & {*second.text.splitlines()[1:]}


# --- what goes wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "faults",
    [
        [conflict(), conflict()],
        [too_many(1)],
        [server_error(), server_error(502), server_error(503)],
        [malformed(), malformed()],
        [refused(400, "Bad Request: who knows")],
    ],
    ids=["409", "429", "5xx", "no json", "400"],
)
async def test_polling_goes_on_after(api, chat, faults):
    api.fail("getUpdates", *faults)
    async with listening(api, chat) as listener:
        await api.say("/status")
        await api.wait_for("sendMessage")
    assert api.faults["getUpdates"] == []
    assert listener.tally.trouble


async def test_a_second_poller_is_named(api, chat, caplog):
    api.fail("getUpdates", conflict())
    with caplog.at_level(logging.WARNING):
        async with listening(api, chat):
            await api.say("/health")
            call = await api.wait_for("sendMessage")
    assert "another program listens to this bot (409)" in call.text
    assert "another program listens" in caplog.text


async def test_a_poll_that_is_never_answered_is_given_up(api, chat):
    api.fail("getUpdates", hangs(30))
    manner = replace(QUICK, patience_seconds=0.2, poll_seconds=0)
    async with listening(api, chat, manner):
        await api.say("/status")
        await api.wait_for("sendMessage")


async def test_it_begins_once_telegram_is_there(api, chat):
    api.fail("getMe", server_error(), refused(500, "x"))
    api.fail("setMyCommands", too_many(1))
    async with listening(api, chat):
        await api.say("/status")
        await api.wait_for("sendMessage")


async def test_a_token_that_telegram_does_not_know_ends_it_with_words_without_it(api, chat, caplog):
    api.fail("getMe", refused(401, "Unauthorized"))
    with pytest.raises(ConfigError, match="TELEGRAM_BOT_TOKEN") as raised:
        await listener_of(api, chat).run()
    assert TOKEN not in str(raised.value) + caplog.text


async def test_updates_that_make_no_sense_are_passed_over_and_counted(api, chat):
    senseless = [
        {"message": {"chat": 5}},
        {"message": "text"},
        {"callback_query": {"id": 1}},
        {"callback_query": {"id": "1", "from": {}, "data": None}},
        {"nothing": "of use"},
        "no object",
        17,
        None,
        {"update_id": "no number", "message": {}},
    ]
    async with listening(api, chat) as listener:
        for update in senseless:
            await api.push(update)
        await api.say("/status")
        await api.wait_for("sendMessage")
        await api.say("/help")
        await api.wait_for("sendMessage", 2)
    assert len(api.messages) == 2
    assert listener.tally.unread >= 7


@pytest.mark.parametrize(
    "faults",
    [[too_many(1)], [server_error()], [malformed()], [refused(400, "can't parse entities: x")]],
    ids=["429", "5xx", "no json", "400"],
)
async def test_an_answer_is_sent_again_after(api, chat, faults):
    api.fail("sendMessage", *faults)
    async with listening(api, chat):
        await api.say("/status")
        call = await api.wait_for("sendMessage", 2)
    assert "KR" in call.text


async def test_an_answer_that_waits_holds_up_no_stop(api, chat):
    api.fail("sendMessage", too_many(30))
    async with listening(api, chat):
        await api.say("/status")
        await api.wait_for("sendMessage")
        update = await api.say("/stop")
        await _confirmed(api, update)
    assert open_halts(chat) == ["ALL"]


async def _confirmed(api: TelegramStandIn, update: int) -> None:
    while not any(offset > update for offset in api.offsets):
        await api.wait_for_polls(1)


async def test_a_flood_of_one_question_is_answered_a_few_times_and_a_stop_goes_before(api, chat):
    for _ in range(500):
        await api.say("/status")
    await api.say("/stop")
    async with listening(api, chat) as listener:
        await api.wait_for("sendMessage", having="Stopped")
        await api.say("/help")
        await api.wait_for("sendMessage", having="Commands")
    assert open_halts(chat) == ["ALL"]
    assert len(api.messages) < 60
    assert listener.tally.left_out > 400


async def test_a_store_that_is_not_there_yet_is_made(api, tmp_path):
    fresh = open_chat(DuckStore(tmp_path / "new" / "trades.db"), filled=False)
    async with listening(api, fresh):
        await api.say("/status")
        assert "Nothing yet" in (await api.wait_for("sendMessage")).text


async def test_a_store_that_is_no_store_is_a_sentence(api, tmp_path):
    path = tmp_path / "trades.db"
    path.write_bytes(b"this is no database" * 500)
    async with listening(api, open_chat(DuckStore(path), filled=False)):
        await api.say("/positions")
        text = (await api.wait_for("sendMessage")).text
        await api.say("/stop")
        stop = (await api.wait_for("sendMessage", 2)).text
    assert "restore a backup" in text
    assert "NOTHING was stopped" in stop


# --- once and only once --------------------------------------------------------------------------


async def test_what_was_confirmed_before_a_crash_and_comes_again_is_not_done_again(api, chat):
    async with listening(api, chat):
        stop = await api.say("/stop")
        await api.wait_for("sendMessage")
        resume = await api.say("/resume")
        await api.wait_for("sendMessage", 2)
    async with listening(api, chat):
        await api.push_again(stop)
        await api.push_again(resume)
        await api.wait_for("sendMessage", having="done before")
    assert open_halts(chat) == []


async def test_a_close_is_confirmed_to_telegram_only_once_it_is_done(api, chat):
    gate = asyncio.Event()
    inner = chat.office.close

    async def slow(symbols, because):
        await gate.wait()
        return await inner(symbols, because)

    async with listening(api, chat) as listener:
        chat.office = replace(chat.office, close=slow, listener_lines=listener.lines)
        await api.say("/close 005930")
        question = await api.wait_for("sendMessage")
        tap = await api.tap(question.button("Sell"), message_id=2)
        await api.wait_for_polls(3)
        held_back = max(api.offsets)
        # A stop is heard meanwhile, and a second press does nothing more.
        await api.say("/stop")
        await api.wait_for("sendMessage", having="Stopped")
        again = await api.tap(question.button("Sell"), message_id=2)
        gate.set()
        await api.wait_for("editMessageText", 2)
        await _confirmed(api, again)
    assert held_back == tap
    assert len(chat.closes) == 1


async def test_a_listener_that_ends_confirms_what_it_did(api, chat):
    async with listening(api, chat):
        update = await api.say("/help")
        await api.wait_for("sendMessage")
    assert api.offsets[-1] == update + 1


async def test_a_stop_that_overtakes_a_resume_stands(api, chat):
    await api.say("/stop")
    await api.say("/resume")
    await api.say("/stop")
    async with listening(api, chat):
        await api.wait_for("sendMessage", having="came after it; nothing was lifted")
        await api.say("/help")
        await api.wait_for("sendMessage", having="Commands")
    assert open_halts(chat) == ["ALL"]


async def test_update_numbers_that_begin_anew_are_heard(api, chat):
    async with listening(api, chat):
        await api.say("/help")
        await api.wait_for("sendMessage")
        api.begin_numbers_anew(at=7)
        await api.say("/status")
        await api.wait_for("sendMessage", having="Status")


async def test_a_listener_that_was_away_answers_what_waited(api, chat):
    await api.say("/stop")
    async with listening(api, chat):
        await api.wait_for("sendMessage", having="Stopped")
    assert open_halts(chat) == ["ALL"]


def test_there_is_one_listener_of_a_bot(tmp_path):
    again = only_listener(tmp_path, TOKEN)
    other = only_listener(tmp_path, TOKEN[::-1])
    taken = pytest.raises(ConfigError, match="listens to this Telegram bot already")
    with only_listener(tmp_path, TOKEN), other, taken:
        again.__enter__()
    with only_listener(tmp_path, TOKEN):
        assert TOKEN not in str(list(tmp_path.iterdir()))


async def test_the_token_is_in_no_log_line(api, chat, caplog):
    api.fail("getUpdates", server_error(), refused(409, "Conflict"))
    api.fail("sendMessage", server_error())
    with caplog.at_level(logging.DEBUG):
        async with listening(api, chat):
            await api.say("/status")
            await api.wait_for("sendMessage", 2)
    assert "getUpdates" in caplog.text
    assert TOKEN not in caplog.text
    assert TOKEN not in repr(listener_of(api, chat))
