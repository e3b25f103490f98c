"""A small HTTP server on loopback that speaks the Bot API of Telegram.

It keeps every call, hands out updates by long polling as Telegram does, refuses what Telegram
refuses (a message that is too long or not its HTML, an edit that changes nothing, button data that
is too long), and fails as scripted. Run by hand it is a chat in the terminal:

    python -m tests.telegram_stand_in --port 8700
    TELEGRAM_BASE_URL=http://127.0.0.1:8700/bot TELEGRAM_BOT_TOKEN=... ouroboros telegram
"""

from __future__ import annotations

import argparse
import asyncio
import html.parser
import json
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from trading_core.clock import SystemClock

TOKEN = "123456789:AAE-not-a-real-token-of-anyone_0123456"
CHAT = 42
STRANGER = 666

_LONGEST_TEXT, _LONGEST_CAPTION, _LONGEST_DATA, _LONGEST_ANSWER = 4096, 1024, 64, 200
_ME = {"id": 1, "is_bot": True, "first_name": "Bot", "username": "a_bot"}
_TAGS = {"b", "i", "u", "s", "code", "pre", "a", "blockquote", "tg-spoiler"}


@dataclass(frozen=True)
class Fault:
    """How a call fails: a status with a body, after a delay, or the connection cut.

    ``taken`` first does what was asked, so that the answer alone is lost.
    """

    status: int = 200
    body: Any = None
    delay_seconds: float = 0.0
    drop: bool = False
    taken: bool = False


def refused(status: int, description: str, **parameters: Any) -> Fault:
    body: dict[str, Any] = {"ok": False, "error_code": status, "description": description}
    return Fault(status, body | ({"parameters": parameters} if parameters else {}))


def conflict() -> Fault:
    return refused(409, "Conflict: terminated by other getUpdates request; make sure that only one")


def too_many(retry_after: int = 1) -> Fault:
    return refused(429, f"Too Many Requests: retry after {retry_after}", retry_after=retry_after)


def server_error(status: int = 500) -> Fault:
    return Fault(status, "<html>bad gateway</html>")


def hangs(seconds: float = 60.0) -> Fault:
    return Fault(delay_seconds=seconds, drop=True)


def malformed() -> Fault:
    return Fault(200, "no json at all")


@dataclass(frozen=True)
class Call:
    """One request: the method, its fields as text, the bytes of its files by field."""

    method: str
    fields: dict[str, str]
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.fields.get("text", self.fields.get("caption", ""))

    @property
    def buttons(self) -> list[tuple[str, str]]:
        """Label and data of each inline button, row by row."""
        markup = json.loads(self.fields.get("reply_markup") or "{}")
        rows = markup.get("inline_keyboard", [])
        return [(b["text"], b.get("callback_data", b.get("url", ""))) for row in rows for b in row]

    def button(self, label: str) -> str:
        """The data of the first button whose label holds ``label``."""
        return next(data for text, data in self.buttons if label in text)


class TelegramStandIn:
    """The running server: where it is, what it was asked, what it hands out.

    ``faults`` holds what the next calls of a method meet; ``"*"`` meets any method.
    """

    def __init__(self) -> None:
        self.base_url = ""
        self.calls: list[Call] = []
        self.faults: dict[str, list[Fault]] = {}
        self.now = 1_700_000_000
        self.clock: Callable[[], float] | None = None
        self._updates: list[Any] = []
        self._all: list[Any] = []
        self._next_update = 100
        self._next_message = 1
        self._messages: dict[int, dict[str, str]] = {}
        self._changed = asyncio.Condition()
        self._begun_anew = False
        self.polls = 0
        self.offsets: list[int] = []

    # --- What a test does ------------------------------------------------------------------------

    def fail(self, method: str, *faults: Fault) -> None:
        self.faults.setdefault(method, []).extend(faults)

    async def say(
        self, text: str, *, chat: int = CHAT, user: int | None = None, **more: Any
    ) -> int:
        """Somebody writes ``text``; answers the id of the update."""
        message = self._message(chat, {"text": text}) | more
        message["from"] = _person(user if user is not None else chat)
        if text.startswith("/"):
            length = len(text.split(maxsplit=1)[0])
            message["entities"] = [{"type": "bot_command", "offset": 0, "length": length}]
        return await self.push({"message": message})

    async def tap(
        self, data: str, *, message_id: int | None = None, chat: int = CHAT, photo: bool = False
    ) -> int:
        """Somebody presses a button; the newest message carries it by default."""
        size = {"file_id": "f", "file_unique_id": "u", "width": 1, "height": 1}
        message = self._message(chat, {"photo": [size]} if photo else {"text": "x"})
        message["message_id"] = message_id or max(self._messages, default=1)
        query = {
            "id": f"query-{self._next_update}",
            "from": _person(chat),
            "chat_instance": "1",
            "message": message,
            "data": data,
        }
        return await self.push({"callback_query": query})

    async def push(self, update: Any) -> int:
        """Any update, well formed or not; one that is an object gets the next id."""
        async with self._changed:
            number = self._next_update
            self._next_update += 1
            whole = {"update_id": number} | update if isinstance(update, dict) else update
            self._updates.append(whole)
            self._all.append(whole)
            self._changed.notify_all()
        return number

    def begin_numbers_anew(self, at: int) -> None:
        """As Telegram does after a week without any update."""
        self._next_update, self._begun_anew = at, True

    async def push_again(self, update_id: int) -> None:
        """Hand out an update that was confirmed before, as after a crash of the listener."""
        async with self._changed:
            self._updates.extend(u for u in self._all if _id_of(u) == update_id)
            self._updates.sort(key=_id_of)
            self._changed.notify_all()

    async def wait_for(
        self, method: str, count: int = 1, *, having: str = "", seconds: float = 60.0
    ) -> Call:
        """The ``count``-th call of ``method`` (any when empty) whose text holds ``having``, once
        it is there."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: len(self.of(method, having)) >= count)
        return self.of(method, having)[count - 1]

    async def wait_for_polls(self, more: int = 1, *, seconds: float = 60.0) -> None:
        """Return once ``more`` polls were begun from now on."""
        wanted = self.polls + more
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: self.polls >= wanted)

    def of(self, method: str, having: str = "") -> list[Call]:
        return [c for c in self.calls if method in ("", c.method) and having in c.text]

    @property
    def messages(self) -> list[Call]:
        return self.of("sendMessage")

    @property
    def texts(self) -> list[str]:
        return [call.text for call in self.messages]

    # --- What Telegram does ----------------------------------------------------------------------

    async def answer(self, request: web.Request) -> web.StreamResponse:
        method = request.path.rsplit("/", 1)[-1]
        call = await _call_of(method, request)
        async with self._changed:
            self.calls.append(call)
            if method == "getUpdates":
                self.polls += 1
                self.offsets.append(int(call.fields.get("offset", 0) or 0))
            self._changed.notify_all()
        queue = self.faults.get(method) or self.faults.get("*")
        fault = queue.pop(0) if queue else None
        if fault is not None and not fault.taken:
            return await _failed(request, fault)
        do = getattr(self, f"_on_{method}", None)
        result, problem = await do(call) if do else (True, "")
        if fault is not None:
            return await _failed(request, fault)
        if problem:
            body = {"ok": False, "error_code": 400, "description": f"Bad Request: {problem}"}
            return web.json_response(body, status=400)
        return web.json_response({"ok": True, "result": result})

    async def _on_getMe(self, call: Call) -> tuple[Any, str]:
        return _ME, ""

    async def _on_getUpdates(self, call: Call) -> tuple[Any, str]:
        offset = int(call.fields.get("offset", 0) or 0)
        limit = int(call.fields.get("limit", 100) or 100)
        seconds = float(call.fields.get("timeout", 0) or 0)
        async with self._changed:
            if not self._begun_anew or offset <= self._next_update:
                self._updates = [u for u in self._updates if _id_of(u) >= offset]
            try:
                async with asyncio.timeout(seconds):
                    await self._changed.wait_for(lambda: bool(self._updates))
            except TimeoutError:
                return [], ""
            return self._updates[:limit], ""

    async def _on_sendMessage(self, call: Call) -> tuple[Any, str]:
        problem = _problem_of(call, call.fields.get("text", ""), _LONGEST_TEXT)
        return (None, problem) if problem else (self._sent(call), "")

    async def _on_sendPhoto(self, call: Call) -> tuple[Any, str]:
        picture = call.files.get("photo", b"")
        if not picture.startswith((b"\x89PNG", b"\xff\xd8")):
            return None, "IMAGE_PROCESS_FAILED"
        caption = call.fields.get("caption", "")
        problem = _problem_of(call, caption or " .", _LONGEST_CAPTION)
        if problem:
            return None, problem
        size = {"file_id": "f", "file_unique_id": "u", "width": 1, "height": 1}
        return self._sent(call) | {"photo": [size]}, ""

    async def _on_editMessageText(self, call: Call) -> tuple[Any, str]:
        number = int(call.fields["message_id"])
        if number not in self._messages:
            return None, "message to edit not found"
        problem = _problem_of(call, call.fields.get("text", ""), _LONGEST_TEXT)
        if problem:
            return None, problem
        shown = {k: call.fields.get(k, "") for k in ("text", "reply_markup")}
        if self._messages[number] == shown:
            return None, "message is not modified: specified new message content is the same"
        self._messages[number] = shown
        message = self._message(int(call.fields["chat_id"]), {"text": "x"})
        return message | {"message_id": number}, ""

    async def _on_answerCallbackQuery(self, call: Call) -> tuple[Any, str]:
        long = len(call.fields.get("text", "")) > _LONGEST_ANSWER
        return (None, "MESSAGE_TOO_LONG") if long else (True, "")

    async def _on_setMyCommands(self, call: Call) -> tuple[Any, str]:
        for item in json.loads(call.fields["commands"]):
            if not item["command"].isascii() or item["command"] != item["command"].lower():
                return None, "BOT_COMMAND_INVALID"
        return True, ""

    def _sent(self, call: Call) -> dict[str, Any]:
        chat = int(call.fields["chat_id"])
        message = self._message(chat, {"text": "x"})
        shown = {k: call.fields.get(k, "") for k in ("text", "reply_markup")}
        self._messages[message["message_id"]] = shown
        return message

    def _message(self, chat: int, content: dict[str, Any]) -> dict[str, Any]:
        number = self._next_message
        self._next_message += 1
        date = int(self.clock() if self.clock else self.now)
        kind = "private" if chat > 0 else "group"
        return {"message_id": number, "date": date, "chat": {"id": chat, "type": kind}} | content


def _person(number: int) -> dict[str, Any]:
    return {"id": number, "is_bot": False, "first_name": f"Person {number}"}


def _id_of(update: Any) -> int:
    """The id of an update; one without any stays until everything else was confirmed."""
    number = update.get("update_id") if isinstance(update, dict) else None
    return number if isinstance(number, int) else 10**9


def _problem_of(call: Call, text: str, longest: int) -> str:
    """Why Telegram would refuse this message; empty when it takes it."""
    if call.fields.get("parse_mode") == "HTML":
        parser = _Html()
        parser.feed(text)
        parser.close()
        if re.search(r"<(?!/?[a-z])|&(?!(lt|gt|amp|quot|#x?[0-9a-f]+);)", text):
            return "can't parse entities: a bare < or &"
        if parser.problem or parser.open:
            return f"can't parse entities: {parser.problem or f'{parser.open[-1]} is not closed'}"
        text = parser.text
    if not text.strip():
        return "message text is empty"
    if len(text.encode("utf-16-le")) // 2 > longest:
        return "message is too long"
    too_long = [data for _, data in call.buttons if len(data.encode()) > _LONGEST_DATA]
    return "BUTTON_DATA_INVALID" if too_long and not too_long[0].startswith("http") else ""


class _Html(html.parser.HTMLParser):
    """Telegram's HTML: a few tags, all closed in order; anything else is an error."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.problem = "", ""
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in _TAGS:
            self.problem = f'unsupported start tag "{tag}"'
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.problem = f'unexpected end tag "{tag}"'

    def handle_data(self, data: str) -> None:
        self.text += data


async def _call_of(method: str, request: web.Request) -> Call:
    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}
    for name, value in (await request.post()).items():
        if isinstance(value, web.FileField):
            files[name] = value.file.read()
        else:
            fields[name] = str(value)
    # The library sends a picture under a name of its own and refers to it.
    for name, value in list(fields.items()):
        if value.startswith("attach://") and value[9:] in files:
            files[name] = files.pop(value[9:])
    return Call(method, fields, files)


async def _failed(request: web.Request, fault: Fault) -> web.StreamResponse:
    await asyncio.sleep(fault.delay_seconds)
    if fault.drop:
        assert request.transport is not None
        request.transport.close()
    text = fault.body if isinstance(fault.body, str) else json.dumps(fault.body)
    return web.Response(status=fault.status, text=text, content_type="application/json")


@asynccontextmanager
async def telegram_stand_in(*, port: int = 0) -> AsyncIterator[TelegramStandIn]:
    """The server on a port of 127.0.0.1, any free one by default."""
    stand_in = TelegramStandIn()
    app = web.Application(client_max_size=20 * 1024 * 1024)
    app.router.add_route("*", "/{tail:.*}", stand_in.answer)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    stand_in.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/bot"
    try:
        yield stand_in
    finally:
        await runner.cleanup()


async def _chat(port: int) -> None:
    """Every line is said to the bot, ``!data`` presses a button; what it does is shown."""
    async with telegram_stand_in(port=port) as chat:
        chat.clock = lambda: SystemClock().now().timestamp()
        sys.stdout.write(f"{chat.base_url}\n")
        asyncio.create_task(_show(chat))  # noqa: RUF006
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := (await reader.readline()).decode().strip():
            await (chat.tap(line[1:]) if line.startswith("!") else chat.say(line))


async def _show(chat: TelegramStandIn) -> None:
    heard = 0
    while True:
        await chat.wait_for("", heard + 1, seconds=10**9)
        for call in chat.calls[heard:]:
            heard += 1
            if call.method != "getUpdates":
                sys.stdout.write(f"--- {call.method}\n{call.text}\n{call.buttons}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A Telegram of one chat on loopback.")
    parser.add_argument("--port", type=int, default=8700)
    asyncio.run(_chat(parser.parse_args().port))
