"""Telling people: it works, or it is answered with False; it never raises and never leaks."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

import pytest
from aiohttp import web

from trading_core.adapters.notifiers import LogNotifier, Notifiers, TelegramNotifier
from trading_core.model.journal import Notification

TOKEN = "123456789:AAE-not-a-real-token-of-anyone_0123456"
ME = {"id": 1, "is_bot": True, "first_name": "Bot", "username": "a_bot"}
SENT = {"message_id": 1, "date": 1, "chat": {"id": 42, "type": "private"}, "text": "x"}


def note(text: str = "filled: BUY 3 A", level: str = "info") -> Notification:
    at = datetime(2025, 9, 3, tzinfo=UTC)
    return Notification("id", at, "order_filled", level, text, delivered=False)


class BotApi:
    """A Bot API on loopback; ``answer`` is (status, body) of ``sendMessage``."""

    def __init__(self) -> None:
        self.answer: tuple[int, object] = (200, {"ok": True, "result": SENT})
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def handle(self, request: web.Request) -> web.Response:
        method = request.path.rsplit("/", 1)[-1]
        self.asked.append((request.path, dict(await request.post())))
        status, body = 200, {"ok": True, "result": ME}
        if method == "sendMessage":
            status, body = self.answer
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(status=status, text=text, content_type="application/json")

    @property
    def messages(self) -> list[dict[str, str]]:
        return [fields for path, fields in self.asked if path.endswith("/sendMessage")]


@pytest.fixture
async def api():
    api = BotApi()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", api.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    api.url = f"http://127.0.0.1:{runner.addresses[0][1]}/bot"
    yield api
    await runner.cleanup()


def telegram(api, token=TOKEN):
    return TelegramNotifier(token, "42", base_url=api.url)


async def test_a_message_goes_to_the_one_chat_as_plain_text(api):
    assert await telegram(api).send(note("filled: BUY <b>3</b> A & B"))
    (message,) = api.messages
    assert (message["chat_id"], message["text"]) == ("42", "filled: BUY <b>3</b> A & B")
    assert "parse_mode" not in message


@pytest.mark.parametrize(("level", "silent"), [("info", True), ("critical", False)])
async def test_only_what_matters_makes_a_sound(api, level, silent):
    await telegram(api).send(note(level=level))
    assert (api.messages[0].get("disable_notification") == "true") is silent


async def test_a_text_too_long_for_one_message_is_cut_and_not_lost(api):
    assert await telegram(api).send(note("x" * 5000))
    assert len(api.messages[0]["text"]) == 4096


@pytest.mark.parametrize(
    "answer",
    [
        (401, {"ok": False, "error_code": 401, "description": "Unauthorized"}),
        (400, {"ok": False, "error_code": 400, "description": "chat not found"}),
        (
            429,
            {"ok": False, "error_code": 429, "description": "x", "parameters": {"retry_after": 9}},
        ),
        (500, {"ok": False, "error_code": 500, "description": "oops"}),
        (502, "<html>bad gateway"),
        (200, "no json at all"),
        (200, {"ok": True, "result": {"nothing": "of use"}}),
        (200, {"unexpected": True}),
    ],
)
async def test_whatever_is_answered_nothing_is_raised_and_it_is_not_delivered(api, answer, caplog):
    api.answer = answer
    with caplog.at_level(logging.DEBUG):
        assert await telegram(api).send(note()) is False
    assert "not delivered" in caplog.text
    assert TOKEN not in caplog.text


async def test_a_server_that_is_not_there_is_not_delivered(api):
    api.url = "http://127.0.0.1:9/bot"
    assert await telegram(api).send(note()) is False


@pytest.mark.parametrize("token", ["", "no token", "a\nb", "123:\x00", "http://x", "1:" + "ä" * 9])
async def test_a_token_that_is_none_is_not_delivered(api, token):
    api.answer = (401, {"ok": False, "error_code": 401, "description": "Unauthorized"})
    assert await telegram(api, token).send(note()) is False


async def test_the_token_is_in_no_log_line_whatever_the_level(api, caplog):
    with caplog.at_level(logging.DEBUG):
        for name in ("httpx", "httpcore", "telegram"):
            logging.getLogger(name).setLevel(logging.DEBUG)
        try:
            assert await telegram(api).send(note())
        finally:
            for name in ("httpx", "httpcore", "telegram"):
                logging.getLogger(name).setLevel(logging.NOTSET)
    assert "sendMessage" in caplog.text, "the client does log its requests"
    assert TOKEN not in caplog.text
    assert TOKEN.split(":")[1] not in caplog.text


async def test_the_token_is_in_no_representation():
    assert TOKEN not in repr(TelegramNotifier(TOKEN, "42"))


@pytest.mark.parametrize(
    ("level", "wanted"),
    [("info", "INFO"), ("warning", "WARNING"), ("critical", "CRITICAL"), ("odd", "INFO")],
)
async def test_the_log_takes_every_message_at_its_level(caplog, level, wanted):
    with caplog.at_level(logging.INFO):
        assert await LogNotifier().send(note("a 100 % certain text", level))
    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == (wanted, "order_filled: a 100 % certain text")


class Member:
    def __init__(self, takes: bool) -> None:
        self.takes, self.told = takes, 0

    async def send(self, notification: Notification) -> bool:
        self.told += 1
        return self.takes


@pytest.mark.parametrize("takes", [(True, True), (True, False), (False, True), (False, False)])
async def test_every_member_is_asked_and_delivered_means_all_took_it(takes):
    members = [Member(each) for each in takes]
    assert await Notifiers(members).send(note()) is all(takes)
    assert [member.told for member in members] == [1, 1]
