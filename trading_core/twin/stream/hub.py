"""The stream's switchboard: who registered what, and what everybody is told.

Rules of the session: one connection an app key, and the first keeps it; a second one is answered
OPSP8996 and closed. At most 41 registrations. Nothing is told of the past: a registration hears of
what happens after it. A notice leaves after the reply to the order that caused it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from datetime import datetime

from aiohttp import WSMsgType, web

from trading_core.model.market import Instrument, Market, MarketGroup
from trading_core.twin.faults import FaultAction, FaultPlan
from trading_core.twin.stream import notices, overseas
from trading_core.twin.stream.domestic import Record
from trading_core.twin.stream.feed import Feed
from trading_core.twin.stream.layouts import STREAMS, Content, Layout, Names, Stream
from trading_core.twin.stream.messages import (
    REGISTERED,
    RELEASED,
    Refused,
    Request,
    answer,
    read,
)
from trading_core.twin.stream.session import MOST_REGISTRATIONS, Registration, Session
from trading_core.twin.venue import VenueNotice
from trading_core.twin.wire.auth import Approval
from trading_core.twin.wire.desk import Desk
from trading_core.twin.wire.gateway import tidy_path

HEARTBEAT_SECONDS = 10.0
# Characters that may wait for a slow reader; a day of all trades of 41 symbols is about half of it.
MOST_WAITING = 32 * 1024 * 1024
MOST_RECORDS = 200
LARGEST_MESSAGE = 64 * 1024
CLOSING_SECONDS = 0.5
PATH = "/stream"
_DATA_FAULTS = frozenset({FaultAction.DUPLICATE, FaultAction.GARBAGE, FaultAction.DELAY})
_log = logging.getLogger(__name__)


def wants_stream(request: web.Request) -> bool:
    """Whether a request opens a WebSocket where the broker has one."""
    if request.method != "GET" or request.headers.get("Upgrade", "").lower() != "websocket":
        return False
    parts = tidy_path(request.path).split("/")[1:]
    return not parts or (parts[0] == "tryitout" and len(parts) <= 2)


class StreamHub:
    """All sessions of one server.

    Args:
        desk: The venues; each is listened to from now on.
        approvals: The keys that open a session, as they are issued.
        faults: Consulted for every frame of data.
        layout: Which fields the records have.
        heartbeat_seconds: Wall seconds between two PINGPONGs.
    """

    def __init__(
        self,
        desk: Desk,
        approvals: Mapping[str, Approval],
        faults: FaultPlan,
        *,
        layout: Layout = "2026-09",
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._desk = desk
        self._approvals = approvals
        self._faults = faults
        self._layout: Layout = layout
        self._heartbeat = heartbeat_seconds
        self._sessions: dict[Session, web.WebSocketResponse] = {}
        self._owners: dict[str, Session] = {}
        self._feeds: dict[Instrument, Feed] = {}
        self._followers: dict[Instrument, dict[tuple[str, str], dict[Session, Registration]]] = {}
        self._held: deque[VenueNotice] = deque()
        for venue in desk.venues:
            venue.listen(self._held.append)

    # --- connections ------------------------------------------------------------------------

    async def attend(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one connection until it ends."""
        socket = web.WebSocketResponse(
            timeout=CLOSING_SECONDS, autoping=False, compress=False, max_msg_size=LARGEST_MESSAGE
        )
        await socket.prepare(request)

        def cut() -> None:
            if request.transport is not None:
                request.transport.abort()

        session = Session(socket, cut, MOST_WAITING)
        self._sessions[session] = socket
        tasks = [
            asyncio.create_task(session.write()),
            asyncio.create_task(session.beat(self._heartbeat, self._now)),
        ]
        try:
            await self._listen(session, socket)
        finally:
            self._forget(session)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return socket

    @property
    def connected(self) -> int:
        """How many sessions are open."""
        return len(self._sessions)

    async def close(self, _app: web.Application | None = None) -> None:
        """Part from every client."""
        parting = [socket.close(code=1001) for socket in self._sessions.values()]
        await asyncio.gather(*parting, return_exceptions=True)

    def _now(self) -> datetime:
        return self._desk.now

    async def _listen(self, session: Session, socket: web.WebSocketResponse) -> None:
        while True:
            message = await socket.receive()
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                self._hear(session, message.data)
            elif message.type is WSMsgType.PONG:
                session.answered()
            elif message.type is WSMsgType.PING:
                try:
                    await socket.pong(message.data)
                except ConnectionError:
                    return
            else:
                return

    def _forget(self, session: Session) -> None:
        self._sessions.pop(session, None)
        if self._owners.get(session.owner) is session:
            del self._owners[session.owner]
        for registration in list(session.registrations.values()):
            self._unfollow(session, registration)
        session.over()

    # --- requests ---------------------------------------------------------------------------

    def _hear(self, session: Session, data: str | bytes) -> None:
        try:
            request = read(data)
            if request is None:
                session.answered()
                return
            tr_id, tr_key = request.tr_id, request.tr_key
            self._admit(session, request)
            code = (
                self._release(session, request) if request.release else self._add(session, request)
            )
        except Refused as refused:
            code, tr_id, tr_key = refused.code, refused.tr_id, refused.tr_key
        except Exception:
            # The client must get an answer whatever goes wrong here; the log has the cause.
            _log.exception("a request on the stream failed")
            code, tr_id, tr_key = "OPSP0007", "", ""
        cipher = session.cipher(tr_id) if code == REGISTERED else None
        secret = cipher is not None and STREAMS[tr_id].content is Content.NOTICE
        session.offer(answer(code, tr_id, tr_key, cipher, secret=secret))
        if code == "OPSP8996":
            session.close()

    def _admit(self, session: Session, request: Request) -> None:
        """The session belongs to the owner of the first good key it shows.

        A key counts for opening a session only; a live one survives its end.
        """
        approval = self._approvals.get(request.approval_key)
        opening = not session.owner
        if approval is None or (opening and self._desk.now >= approval.until):
            raise Refused("OPSP0011", request.tr_id, request.tr_key)
        if opening:
            if approval.owner in self._owners:
                raise Refused("OPSP8996", request.tr_id, request.tr_key)
            session.owner = approval.owner
            self._owners[approval.owner] = session
        elif session.owner != approval.owner:
            raise Refused("OPSP0010", request.tr_id, request.tr_key)

    def _stream(self, request: Request) -> Stream:
        stream = STREAMS.get(request.tr_id)
        if stream is None or not self._desk.serves(stream.hosts):
            raise Refused("OPSP8991", request.tr_id, request.tr_key)
        return stream

    def _add(self, session: Session, request: Request) -> str:
        stream = self._stream(request)
        if (request.tr_id, request.tr_key) in session.registrations:
            return "OPSP0002"
        instrument = None
        if stream.content is not Content.NOTICE:
            instrument = self._instrument(stream, request.tr_key)
            if instrument is None:
                return "OPSP8992"
        if len(session.registrations) >= MOST_REGISTRATIONS:
            return "OPSP0008"
        registration = Registration(stream, request.tr_key, instrument)
        session.registrations[registration.key] = registration
        if instrument is not None:
            self._follow(session, registration, instrument)
        return REGISTERED

    def _release(self, session: Session, request: Request) -> str:
        self._stream(request)
        registration = session.registrations.get((request.tr_id, request.tr_key))
        if registration is None:
            return "OPSP0003"
        self._unfollow(session, registration)
        return RELEASED

    def _instrument(self, stream: Stream, tr_key: str) -> Instrument | None:
        """The security a key names; None when nobody here lists it or the TR is not for it."""
        if stream.domestic:
            venue = self._desk.venue(MarketGroup.KR)
            return venue.instrument(tr_key) if venue is not None else None
        named = overseas.read_key(tr_key)
        if named is None:
            return None
        code, symbol = named
        group = code.market.group
        if stream.levels and (stream.levels == 1) == (group is MarketGroup.US):
            return None
        venue = self._desk.venue(group)
        found = venue.instrument(symbol) if venue is not None else None
        return found if found is not None and found.market is code.market else None

    def _follow(self, session: Session, registration: Registration, instrument: Instrument) -> None:
        venue = self._desk.venue(instrument.market.group)
        if venue is not None and instrument not in self._feeds:
            self._feeds[instrument] = Feed(self._desk, venue, instrument)
        followers = self._followers.setdefault(instrument, {})
        followers.setdefault(registration.key, {})[session] = registration

    def _unfollow(self, session: Session, registration: Registration) -> None:
        del session.registrations[registration.key]
        instrument = registration.instrument
        if instrument is None:
            return
        followers = self._followers[instrument]
        followers[registration.key].pop(session)
        if not followers[registration.key]:
            del followers[registration.key]
        if not followers:
            # A symbol nobody follows costs nothing; it is read up again when somebody does.
            del self._followers[instrument], self._feeds[instrument]

    # --- telling ----------------------------------------------------------------------------

    @property
    def holding(self) -> bool:
        """Whether notices wait for :meth:`release`."""
        return bool(self._held)

    def release(self) -> None:
        """Send the notices of what happened at the venues since the last call."""
        while self._held:
            self._tell(self._held.popleft())

    def publish(self, *, repeat: bool = True) -> None:
        """Tell what a move of the clock brought: notices, then trades, books and market states.

        ``repeat``: order books go out although they did not change.
        """
        self.release()
        for instrument, followers in self._followers.items():
            feed = self._feeds[instrument]
            if feed.look(repeat=repeat):
                for (tr_id, tr_key), sessions in followers.items():
                    stream = STREAMS[tr_id]
                    for text in self._frames(stream, tr_key, feed.records(stream)):
                        for session in sessions:
                            self._send(session, tr_id, text)

    def _frames(self, stream: Stream, tr_key: str, records: list[Record]) -> list[str]:
        if not stream.domestic:
            for record in records:
                record["RSYM"] = tr_key
        names = stream.fields[self._layout]
        blocks = [records[n : n + MOST_RECORDS] for n in range(0, len(records), MOST_RECORDS)]
        return [f"0|{stream.tr_id}|{len(block):03d}|{_payload(block, names)}" for block in blocks]

    def _tell(self, notice: VenueNotice) -> None:
        domestic = notice.order.instrument.market is Market.KR
        accounts = [spec.account_no for venue in self._desk.venues for spec in venue.accounts()]
        for session in list(self._sessions):
            for registration in session.registrations.values():
                stream = registration.stream
                mine = stream.content is Content.NOTICE and stream.domestic is domestic
                if not mine or not notices.concerns(
                    registration.tr_key, notice.order.account_no, accounts
                ):
                    continue
                record = notices.record(notice, self._desk, registration.tr_key)
                plain = _payload([record], stream.fields[self._layout])
                sealed = session.cipher(stream.tr_id).encrypt(plain)
                self._send(session, stream.tr_id, f"1|{stream.tr_id}|001|{sealed}")

    def _send(self, session: Session, tr_id: str, text: str) -> None:
        if session.stalled:
            return
        if not self._faults.rules:
            session.offer(text)
            return
        befallen = self._faults.strike_stream(PATH, tr_id)
        # Without a path or a TR of the stream these are about requests.
        rules = [
            rule
            for rule in self._faults.rules
            if rule.action in _DATA_FAULTS
            and (rule.path or rule.tr_id)
            and rule.strikes(PATH, tr_id)
        ]
        befallen |= {rule.action for rule in rules}
        if FaultAction.SOCKET_CUT in befallen:
            session.cut()
            return
        if FaultAction.STALL_FEED in befallen:
            session.stalled = True
            return
        if FaultAction.GARBAGE in befallen:
            text = f"0|{tr_id}|?|{text[len(text) // 2 :]}"
        session.offer(text, delay=sum(rule.delay_ms for rule in rules) / 1000)
        if FaultAction.DUPLICATE in befallen:
            session.offer(text)


def _payload(records: list[Record], names: Names) -> str:
    return "^".join([record[name] for record in records for name in names])
