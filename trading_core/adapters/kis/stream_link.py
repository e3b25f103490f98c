"""One open WebSocket to the broker: heartbeats, registrations and the frames that come in."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Literal, TypeAlias

import aiohttp

from trading_core.adapters.kis.redaction import Redactor
from trading_core.adapters.kis.stream_frames import (
    PINGPONG,
    Cipher,
    Control,
    Garbled,
    read_control,
    read_frame,
)
from trading_core.adapters.kis.stream_layouts import Stream
from trading_core.adapters.kis.wire import Row
from trading_core.model.market import Instrument

_log = logging.getLogger(__name__)

# The portal's table of control codes.
SUBSCRIBED, UNSUBSCRIBED = "OPSP0000", "OPSP0001"
ALREADY_SUBSCRIBED, NOT_SUBSCRIBED = "OPSP0002", "OPSP0003"
KEY_REFUSED = frozenset({"OPSP0010", "OPSP0011"})
IN_USE = "OPSP8996"
_TRANSIENT = frozenset({"OPSP0007", "OPSP0009"})
_DONE = {True: (SUBSCRIBED, ALREADY_SUBSCRIBED), False: (UNSUBSCRIBED, NOT_SUBSCRIBED)}
_CLOSE_SECONDS = 1.0
_TEXT = (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)

# Texts are decoded here: one wrong byte must not end the connection.
Socket: TypeAlias = "aiohttp.ClientWebSocketResponse[Literal[False]]"


@dataclass(frozen=True, slots=True)
class Registration:
    """One thing to be told of. The key of the order notices is the owner's login, never shown."""

    tr_id: str
    tr_key: str = field(repr=False)
    instrument: Instrument | None = None


class Answer(Enum):
    """What became of a registration; ``LATER`` is a failure of the broker's that may pass."""

    DONE = auto()
    REFUSED = auto()
    LATER = auto()


class Cut(Exception):
    """The connection is of no more use; ``code`` is the broker's, empty when it gave none."""

    def __init__(self, reason: str, code: str = "") -> None:
        super().__init__(reason)
        self.code = code


class StreamLink:
    """Speaks over an open socket. :meth:`receive` must run for :meth:`register` to be answered.

    Args:
        approval_key: Opens the session; sent with every registration.
        on_records: Given the records of every good data frame.
        on_garbled: Told of every frame that could not be read.
        on_anything: Called for every message, heartbeats included.
        silent_seconds: Without any message for so long the connection is dead.
        answer_seconds: The same for an answer to a registration.
    """

    def __init__(
        self,
        socket: Socket,
        *,
        approval_key: str,
        redactor: Redactor,
        on_records: Callable[[str, Stream, Sequence[Row]], None],
        on_garbled: Callable[[Garbled], None],
        on_anything: Callable[[], None],
        silent_seconds: float,
        answer_seconds: float,
    ) -> None:
        self._socket = socket
        self._approval_key = approval_key
        self._redactor = redactor
        self._on_records = on_records
        self._on_garbled = on_garbled
        self._on_anything = on_anything
        self._silent_seconds = silent_seconds
        self._answer_seconds = answer_seconds
        self._ciphers: dict[str, Cipher] = {}
        self._asked: tuple[Registration, asyncio.Future[Control]] | None = None

    async def receive(self) -> None:
        """Read until the connection ends, which raises :class:`Cut`."""
        while True:
            try:
                message = await self._socket.receive(self._silent_seconds)
            except TimeoutError:
                raise Cut(f"nothing was heard for {self._silent_seconds:g} s") from None
            if message.type not in _TEXT:
                raise Cut("the broker closed the connection")
            self._on_anything()
            text = bytes(message.data).decode("utf-8", "replace")
            try:
                if text.startswith("{"):
                    await self._control(text)
                else:
                    self._on_records(*read_frame(text, self._ciphers))
            except Garbled as garbled:
                self._on_garbled(garbled)

    async def _control(self, text: str) -> None:
        control = read_control(text)
        if control.tr_id == PINGPONG:
            await self._send(text)
            return
        if control.code == IN_USE:
            raise Cut("another session uses this app key", control.code)
        if control.code in KEY_REFUSED:
            raise Cut("the broker refused the approval key", control.code)
        if control.cipher is not None:
            self._ciphers[control.tr_id] = control.cipher
        if self._asked is None:
            return
        registration, answer = self._asked
        # A refusal may come without the name of what it is about, and a login may be masked.
        keys = ("", registration.tr_key) if registration.instrument else (control.tr_key,)
        mine = control.tr_id == registration.tr_id and control.tr_key in keys
        if (mine or not control.ok) and not answer.done():
            answer.set_result(control)

    async def register(self, registration: Registration, *, on: bool) -> Answer:
        """Ask to be told of something, or no more.

        Raises:
            Cut: nothing could be sent, or no answer came in time.
        """
        answer: asyncio.Future[Control] = asyncio.get_running_loop().create_future()
        self._asked = (registration, answer)
        try:
            await self._send(json.dumps(self._request(registration, on)))
            async with asyncio.timeout(self._answer_seconds):
                control = await answer
        except TimeoutError:
            raise Cut("a registration was not answered") from None
        finally:
            self._asked = None
        if control.code in _DONE[on]:
            return Answer.DONE
        said = self._redactor.clean(f"{control.message} [{control.code}]")
        _log.warning("%s of %s refused: %s", _verb(on), registration.tr_id, said)
        return Answer.LATER if control.code in _TRANSIENT else Answer.REFUSED

    async def _send(self, text: str) -> None:
        try:
            await self._socket.send_str(text)
        except (aiohttp.ClientError, OSError) as error:
            raise Cut(f"nothing can be sent: {type(error).__name__}") from None

    def _request(self, registration: Registration, on: bool) -> dict[str, object]:
        return {
            "header": {
                "approval_key": self._approval_key,
                "custtype": "P",
                "tr_type": "1" if on else "2",
                "content-type": "utf-8",
            },
            "body": {"input": {"tr_id": registration.tr_id, "tr_key": registration.tr_key}},
        }

    async def close(self) -> None:
        """Say goodbye and close the socket."""
        await self._socket.close()


def _verb(on: bool) -> str:
    return "registration" if on else "release"


async def connect(http: aiohttp.ClientSession, url: str, *, seconds: float) -> Socket:
    """Open a socket.

    The library's own heartbeat stays off: the broker does not answer protocol pings reliably and
    sends heartbeats of its own.

    Raises:
        Cut: it could not be opened.
    """
    try:
        async with asyncio.timeout(seconds):
            return await http.ws_connect(
                url,
                heartbeat=None,
                decode_text=False,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_SECONDS),
            )
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        # The library's texts quote addresses, so only the kind is passed on.
        raise Cut(f"no connection: {type(error).__name__}") from None
