"""The stream against the twin: the same prices as over REST, and the whole life of orders."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from trading_core.adapters.kis.connection import open_kis
from trading_core.adapters.kis.stream import KisStream
from trading_core.adapters.kis.stream_health import StreamTiming
from trading_core.model.market import Instrument, MarketGroup
from trading_core.model.order import (
    ApprovedOrder,
    IntentReason,
    NoticeKind,
    OrderIntent,
    OrderNotice,
    OrderRecord,
    OrderState,
    OrderType,
    Side,
)
from trading_core.model.price import Quote
from trading_core.ports import StreamEvent, StreamGap
from trading_core.rules.markets import currency_of
from trading_core.rules.order_life import event, fill_of_notice, settle
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.faults import FaultAction, FaultPlan, FaultRule
from trading_core.twin.server import serve
from trading_core.twin.synthetic import synthetic_tape
from trading_core.twin.venue import AccountSpec

ACCOUNT = "12345678-01"
SESSIONS = {MarketGroup.KR: date(2026, 11, 20), MarketGroup.US: date(2026, 11, 19)}
PATIENCE = 20.0
FAST = StreamTiming(pace=0.0, backoff=0.01, longest_backoff=0.05, answer=PATIENCE)


class VenueClock:
    def __init__(self, venue: SimulatedExchange) -> None:
        self._venue = venue

    def now(self) -> datetime:
        return self._venue.now

    async def sleep_until(self, at: datetime) -> None:
        raise AssertionError("nothing waits for the venue here")


class Stage:
    """A twin, a connection to it, and its clock."""

    def __init__(self, venue: SimulatedExchange, url: str, faults: FaultPlan) -> None:
        self.venue = venue
        self.url = url
        self.faults = faults

    def connect(self, home: Path, **changes: Any) -> Any:
        options: dict[str, Any] = {
            "base_url": self.url,
            "app_key": "k" * 36,
            "app_secret": "s" * 180,
            "account_no": ACCOUNT,
            "personality": "real",
            "home": home,
            "clock": VenueClock(self.venue),
            "rate_limit_rps": None,
            "retry_base_seconds": 0.0,
            "hts_id": "trader",
        }
        return open_kis(**(options | changes))

    async def advance(self, at: datetime) -> None:
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as client:
            reply = await client.post("/twin/clock", json={"advance_to": at.isoformat()})
            assert reply.status_code == 200, reply.text

    def spoil(self, action: FaultAction, **where: Any) -> None:
        self.faults.install([FaultRule(action, **where)], replace=True)


@asynccontextmanager
async def staged(group: MarketGroup, **options: Any) -> AsyncIterator[Stage]:
    tape = synthetic_tape(group, SESSIONS[group], symbols=45, seed=5)
    cash = {currency_of(group): Decimal(1_000_000_000)}
    venue = SimulatedExchange(tape, [AccountSpec(ACCOUNT, cash)], at=tape.hours.open_at)
    faults = FaultPlan()
    twin = await serve(venue, faults=faults, **options)
    try:
        yield Stage(venue, twin.base_url, faults)
    finally:
        await twin.stop()


class Reader:
    """Collects everything a stream tells."""

    def __init__(self, stream: KisStream) -> None:
        self.stream = stream
        self._events = stream.events()

    async def next(self) -> StreamEvent:
        async with asyncio.timeout(PATIENCE):
            return await anext(self._events)

    async def arrived(
        self, following: Sequence[Instrument], other: Instrument
    ) -> list[StreamEvent]:
        """All that was sent before now: the answers to two requests come behind it."""
        await self.stream.follow([*following, other])
        await self.stream.follow(following)
        return [await self.next() for _ in range(self.stream.health.waiting)]

    async def settled(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.stream.health.registrations != count:  # noqa: ASYNC110
                await asyncio.sleep(0.005)


@pytest.mark.parametrize("layout", ["2026-09", "legacy"])
@pytest.mark.parametrize("group", [MarketGroup.KR, MarketGroup.US])
async def test_streamed_quotes_equal_those_asked_for_all_day_long(
    group: MarketGroup, layout: str, tmp_path: Path
) -> None:
    async with staged(group, layout=layout) as stage:
        venue = stage.venue
        followed, other = venue.instruments()[:10], venue.instruments()[40]
        hours = venue._tape.hours
        compared = 0
        async with stage.connect(tmp_path) as kis, kis.open_stream(timing=FAST) as stream:
            reader = Reader(stream)
            stream.prime((await kis.market_data.quotes(followed)).values())
            assert await stream.follow(followed) == ()
            await reader.settled(12)
            newest: dict[str, Quote] = {}
            at = hours.open_at
            while at < hours.close_at + timedelta(minutes=15):
                at += timedelta(minutes=37, seconds=13)
                await stage.advance(at)
                for told in await reader.arrived(followed, other):
                    assert isinstance(told, Quote)
                    newest[told.instrument.symbol] = told
                asked = await kis.market_data.quotes(followed)
                for symbol, quote in newest.items():
                    assert quote.at <= venue.now
                    assert replace(quote, at=asked[symbol].at) == asked[symbol]
                    compared += 1
            health = stream.health
        assert compared > 80
        assert (health.lost_records, health.late_records, health.garbled) == (0, 0, {})
        assert health.reconnects == 0


async def place(
    kis: Any, stage: Stage, item: Instrument, side: Side, quantity: int, price: Decimal
) -> tuple[OrderIntent, OrderRecord]:
    group = item.market.group
    intent = OrderIntent(
        f"{side}-{quantity}", "d", item, SESSIONS[group], side, quantity, OrderType.LIMIT, price,
        price, currency_of(group), IntentReason.ENTRY, stage.venue.now,
    )  # fmt: skip
    ack = await kis.broker.submit(ApprovedOrder(intent, stage.venue.now))
    record = OrderRecord(intent, OrderState.INTENDED, ())
    accepted = event(record, OrderState.ACCEPTED, stage.venue.now, order_no=ack.order_no)
    return intent, OrderRecord(intent, OrderState.ACCEPTED, (accepted,))


@pytest.mark.parametrize("layout", ["2026-09", "legacy"])
@pytest.mark.parametrize("group", [MarketGroup.KR, MarketGroup.US])
async def test_notices_tell_the_whole_life_of_orders_and_make_the_fills_of_the_book(
    group: MarketGroup, layout: str, tmp_path: Path
) -> None:
    async with staged(group, layout=layout) as stage:
        venue = stage.venue
        await stage.advance(venue._tape.hours.open_at + timedelta(minutes=30))
        async with stage.connect(tmp_path) as kis, kis.open_stream(timing=FAST) as stream:
            reader = Reader(stream)
            await reader.settled(2)
            item = next(it for it in venue.instruments() if venue.quote(it.symbol).usable)
            quote = await kis.market_data.quote(item)
            _, record = await place(kis, stage, item, Side.BUY, 5, quote.high * 1)
            accepted = await reader.next()
            assert isinstance(accepted, OrderNotice)
            assert accepted.kind is NoticeKind.ACCEPTED
            assert (accepted.order_no, accepted.quantity) == (record.order_no, 5)
            filled = 0
            while filled < 5:
                if not stream.health.waiting:
                    await stage.advance(venue.now + timedelta(minutes=5))
                told = await reader.next()
                assert isinstance(told, OrderNotice)
                assert told.kind is NoticeKind.FILLED
                assert told.instrument == item
                filled += told.quantity
                fill = fill_of_notice(record, told)
                assert fill is not None
                row = next(
                    row
                    for row in await kis.broker.orders(group, SESSIONS[group])
                    if row.order_no == record.order_no
                )
                if row.filled_quantity == filled:
                    looked = settle(record, [row], claimed=(), at=told.at, session_over=False)
                    assert looked.fill == fill
                record = replace(
                    record,
                    state=OrderState.PARTIALLY_FILLED,
                    filled_quantity=filled,
                    filled_amount=record.filled_amount + fill.amount,
                )

            low = min(quote.low, quote.last) * Decimal("0.9")
            step = Decimal("0.01") if group is MarketGroup.US else Decimal(1000)
            cheap = (low // step) * step
            _, resting = await place(kis, stage, item, Side.BUY, 3, cheap)
            assert (await reader.next()).kind is NoticeKind.ACCEPTED
            book = await kis.broker.orders(group, SESSIONS[group])
            row = next(row for row in book if row.order_no == resting.order_no)
            cancelled = await kis.broker.cancel(row)
            told = await reader.next()
            if told.kind is NoticeKind.ACCEPTED:
                told = await reader.next()
            assert told.kind is NoticeKind.CONFIRMED
            assert int(told.order_no) == int(cancelled.order_no)
            assert int(told.original_no) == int(resting.order_no)
            assert stream.health.garbled == {}


async def test_a_socket_that_is_cut_comes_back_with_its_registrations_and_a_gap(
    tmp_path: Path,
) -> None:
    async with staged(MarketGroup.KR) as stage:
        followed = stage.venue.instruments()[:10]
        async with stage.connect(tmp_path) as kis, kis.open_stream(timing=FAST) as stream:
            reader = Reader(stream)
            await stream.follow(followed)
            await reader.settled(12)
            stage.spoil(FaultAction.SOCKET_CUT, nth=1)
            before = stage.venue.now
            await stage.advance(before + timedelta(minutes=20))
            quotes: dict[str, Quote] = {}
            while not isinstance(told := await reader.next(), StreamGap):
                assert isinstance(told, Quote)
                quotes[told.instrument.symbol] = told
            assert told.since <= told.until == stage.venue.now
            asked = await kis.market_data.quotes(followed)
            assert quotes == asked
            await reader.settled(12)
            assert stream.health.reconnects == 1
            stage.faults.install([], replace=True)
            await stage.advance(stage.venue.now + timedelta(minutes=5))
            assert isinstance(await reader.next(), Quote)


async def test_the_twin_takes_forty_one_registrations_and_a_second_session_is_kept_out(
    tmp_path: Path,
) -> None:
    async with staged(MarketGroup.KR) as stage:
        everything = stage.venue.instruments()
        async with stage.connect(tmp_path) as kis, kis.open_stream(timing=FAST) as stream:
            left = await stream.follow(everything)
            await Reader(stream).settled(41)
            assert list(left) == list(everything[39:])
            quick = replace(FAST, in_use=0.01)
            # Another home is another lock: only the twin itself can keep this one out.
            other_home = tmp_path / "elsewhere"
            async with stage.connect(other_home) as again:
                other = again.open_stream(timing=quick)
                async with other:
                    async with asyncio.timeout(PATIENCE):
                        while other.health.reconnects < 2:  # noqa: ASYNC110
                            await asyncio.sleep(0.005)
                    assert other.health.registrations == 0
                    assert stream.health.registrations == 41
                    await stream.aclose()
                    await Reader(other).settled(2)


async def test_garbage_on_the_line_is_survived(tmp_path: Path) -> None:
    async with staged(MarketGroup.KR) as stage:
        followed = stage.venue.instruments()[:10]
        async with stage.connect(tmp_path) as kis, kis.open_stream(timing=FAST) as stream:
            reader = Reader(stream)
            await stream.follow(followed)
            await reader.settled(12)
            stage.spoil(FaultAction.GARBAGE, path="/stream", every=2)
            await stage.advance(stage.venue.now + timedelta(minutes=20))
            told = await reader.arrived(followed, stage.venue.instruments()[20])
            assert told
            assert stream.health.connected
            assert sum(stream.health.garbled.values()) > 0
            asked = await kis.market_data.quotes(followed)
            for quote in {it.instrument: it for it in told if isinstance(it, Quote)}.values():
                assert quote.volume <= asked[quote.instrument.symbol].volume
