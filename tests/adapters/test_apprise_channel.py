"""Messages through Apprise to a web hook of one's own, over HTTP."""

from __future__ import annotations

import base64
import logging

import pytest
from aiohttp import web

from trading_core.adapters.apprise_channel import AppriseChannel, channel_name
from trading_core.model.difference import Severity
from trading_core.model.notice import Message, Taken, TryLater

SECRET = "s3cret-of-nobody"


class Hook:
    def __init__(self) -> None:
        self.status, self.url = 200, ""
        self.bodies: list[dict[str, object]] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        return web.Response(status=self.status)


@pytest.fixture
async def hook():
    hook, app = Hook(), web.Application()
    app.router.add_post("/{tail:.*}", hook.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    hook.url = f"json://user:{SECRET}@127.0.0.1:{runner.addresses[0][1]}/{SECRET}/told"
    yield hook
    await runner.cleanup()


def message(severity=Severity.INFO, **more):
    return Message("Filled 09:31 KST", "filled: BUY <b>3</b> & A\nsecond", severity, False, **more)


@pytest.mark.parametrize(
    ("severity", "kind"),
    [
        (Severity.INFO, "info"),
        (Severity.WARNING, "warning"),
        (Severity.CRITICAL, "failure"),
    ],
)
async def test_a_message_arrives_as_it_was_written(hook, severity, kind):
    assert await AppriseChannel(hook.url).deliver(message(severity)) == Taken()
    (body,) = hook.bodies
    assert body["title"] == "Filled 09:31 KST"
    assert body["message"] == "filled: BUY <b>3</b> & A\nsecond"
    assert body["type"] == kind


async def test_a_picture_goes_with_it(hook):
    assert await AppriseChannel(hook.url).deliver(message(picture=b"\x89PNG")) == Taken()
    (attached,) = hook.bodies[0]["attachments"]
    assert base64.b64decode(attached["base64"]) == b"\x89PNG"
    assert attached["mimetype"] == "image/png"


async def test_a_service_that_refuses_is_tried_again_and_nothing_leaks(hook, caplog):
    hook.status = 500
    with caplog.at_level(logging.DEBUG):
        for name in ("apprise", "urllib3", "requests"):
            logging.getLogger(name).setLevel(logging.DEBUG)
        answer = await AppriseChannel(hook.url).deliver(message())
    assert isinstance(answer, TryLater)
    assert SECRET not in caplog.text + answer.reason


async def test_a_service_that_is_not_there_is_tried_again():
    assert isinstance(await AppriseChannel("json://127.0.0.1:9/x").deliver(message()), TryLater)


async def test_an_address_that_apprise_cannot_read_rests(caplog):
    with caplog.at_level(logging.DEBUG):
        answer = await AppriseChannel(f"nothing-of-apprise://{SECRET}").deliver(message())
    assert isinstance(answer, TryLater)
    assert answer.after_seconds
    assert "NOTIFY_URLS" in answer.reason
    assert SECRET not in caplog.text


def test_a_name_says_the_service_and_hides_the_address():
    url = f"ntfys://user:{SECRET}@example.com/topic"
    assert channel_name(url) == channel_name(url)
    assert channel_name(url).startswith("ntfys-")
    assert channel_name(url) != channel_name(f"{url}2")
    assert SECRET not in channel_name(url)
    assert "," not in channel_name("a,b://x")
