"""The stream against a scripted WebSocket server on loopback."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.kis_stream_stand_in import (
    ACCOUNT,
    PATIENCE,
    StreamStandIn,
    frame,
    kr_notice,
    kr_trade,
    sealed,
    us_notice,
    us_trade,
)
from trading_core.adapters.kis.redaction import Redactor
from trading_core.adapters.kis.stream import KisStream
from trading_core.adapters.kis.stream_health import StreamTiming
from trading_core.adapters.kis.stream_lock import StreamLock
from trading_core.clock import FixedClock
from trading_core.errors import BrokerUnavailable, NotOffered
from trading_core.model.market import Instrument, Market
from trading_core.model.order import NoticeKind, OrderNotice, Side
from trading_core.model.price import OrderBook, Quote
from trading_core.ports import StreamEvent, StreamGap

NOW = datetime(2026, 11, 20, 0, 30, 10, tzinfo=UTC)
SAMSUNG = Instrument("005930", Market.KR)
HYNIX = Instrument("000660", Market.KR)
APPLE = Instrument("AAPL", Market.US_NASDAQ)
LOGIN = "hts-login"
FAST = StreamTiming(
    silent=PATIENCE, answer=PATIENCE, pace=0.0, backoff=0.01, longest_backoff=0.04, in_use=0.02
)


def many(count: int) -> list[Instrument]:
    return [Instrument(f"{number:06d}", Market.KR) for number in range(1, count + 1)]


class Keys:
    """Hands out approval keys, a new one after each was dropped; or fails ``failures`` times."""

    def __init__(self) -> None:
        self.given = 1
        self.asked = 0
        self.failures = 0

    async def approval_key(self) -> str:
        self.asked += 1
        if self.failures:
            self.failures -= 1
            raise BrokerUnavailable("no approval key: closed for the night")
        return f"approval-{self.given}"

    def drop_approval_key(self, key: str) -> None:
        assert key == f"approval-{self.given}"
        self.given += 1


class Prices:
    """The REST side: answers with the quotes it was given."""

    def __init__(self) -> None:
        self.known: dict[str, Quote] = {}
        self.asked: list[list[str]] = []
        self.error: Exception | None = None

    async def quotes(self, instruments: Sequence[Instrument]) -> dict[str, Quote]:
        self.asked.append([it.symbol for it in instruments])
        if self.error is not None:
            raise self.error
        return {it.symbol: self.known[it.symbol] for it in instruments if it.symbol in self.known}


class Stage:
    """A server, the doubles around a stream, and the streams that were opened."""

    def __init__(self, server: StreamStandIn, folder: Any, stack: AsyncExitStack) -> None:
        self.server = server
        self.keys = Keys()
        self.prices = Prices()
        self.clock = FixedClock(NOW)
        self.lock = folder / "stream.lock"
        self._stack = stack

    def make(self, **changes: Any) -> KisStream:
        options: dict[str, Any] = {
            "personality": "real",
            "keys": self.keys,
            "market_data": self.prices,
            "clock": self.clock,
            "account": ACCOUNT,
            "hts_id": LOGIN,
            "lock": StreamLock(self.lock),
            "redactor": Redactor(),
            "timing": FAST,
            "jitter": random.Random(7),
        }
        return KisStream(self.server.url, **(options | changes))

    async def open(self, *instruments: Instrument, **changes: Any) -> Listener:
        stream = await self._stack.enter_async_context(self.make(**changes))
        listener = Listener(stream)
        if instruments:
            await stream.follow(instruments)
            expected = len(instruments) + (2 if changes.get("hts_id", LOGIN) else 0)
            await self.server.until(lambda: len(self.server.registered) >= expected)
        return listener


class Listener:
    """Takes events one by one, with a limit on the wait."""

    def __init__(self, stream: KisStream) -> None:
        self.stream = stream
        self._events = stream.events()

    async def next(self) -> StreamEvent:
        async with asyncio.timeout(PATIENCE):
            return await anext(self._events)

    async def take(self, count: int) -> list[StreamEvent]:
        return [await self.next() for _ in range(count)]


@pytest.fixture
async def stage(tmp_path: Any) -> AsyncIterator[Stage]:
    before = asyncio.all_tasks()
    async with StreamStandIn() as server, AsyncExitStack() as stack:
        yield Stage(server, tmp_path, stack)
    left = {it.get_name() for it in asyncio.all_tasks() - before}
    assert not {name for name in left if "kis-stream" in name}


# --- registrations --------------------------------------------------------------------------


async def test_notices_are_registered_first_then_the_instruments_in_their_order(
    stage: Stage,
) -> None:
    await stage.open(HYNIX, SAMSUNG, APPLE)
    assert stage.server.registered == [
        ("H0STCNI0", LOGIN),
        ("H0GSCNI0", LOGIN),
        ("H0STCNT0", "000660"),
        ("H0STCNT0", "005930"),
        ("HDFSCNT0", "DNASAAPL"),
    ]
    assert set(stage.server.keys) == {"approval-1"}


async def test_without_a_login_there_are_no_notices_and_nothing_is_opened_before_it_is_needed(
    stage: Stage,
) -> None:
    listener = await stage.open(hts_id="")
    await asyncio.sleep(0)
    assert stage.server.sessions == 0
    await listener.stream.follow([SAMSUNG])
    await stage.server.until(lambda: stage.server.registered == [("H0STCNT0", "005930")])
    assert not listener.stream.health.notices


async def test_the_paper_host_has_its_own_notices_and_no_prices_from_abroad(stage: Stage) -> None:
    listener = await stage.open(personality="paper")
    left = await listener.stream.follow([APPLE, SAMSUNG])
    assert left == (APPLE,)
    await stage.server.until(lambda: len(stage.server.registered) == 3)
    assert [tr for tr, _ in stage.server.registered] == ["H0STCNI9", "H0GSCNI9", "H0STCNT0"]


async def test_forty_one_registrations_are_all_a_session_may_have(stage: Stage) -> None:
    listener = await stage.open(SAMSUNG)
    wanted = many(60)
    left = await listener.stream.follow(wanted)
    assert list(left) == wanted[39:]
    assert (len(stage.server.registered), stage.server.most) == (41, 41)
    assert listener.stream.health.registrations == 41
    assert listener.stream.health.notices


async def test_following_others_releases_and_registers_the_difference_alone(stage: Stage) -> None:
    listener = await stage.open(*many(39))
    asked = len(stage.server.requests)
    await listener.stream.follow(many(41)[2:])
    assert stage.server.requests[asked:] == [
        ("2", "H0STCNT0", "000001"),
        ("2", "H0STCNT0", "000002"),
        ("1", "H0STCNT0", "000040"),
        ("1", "H0STCNT0", "000041"),
    ]
    assert stage.server.most == 41
    assert await listener.stream.follow(many(41)[2:]) == ()
    assert len(stage.server.requests) == asked + 4


async def test_books_take_only_the_room_that_trades_leave(stage: Stage) -> None:
    listener = await stage.open(*many(30), books=True)
    await stage.server.until(lambda: len(stage.server.registered) == 41)
    trs = [tr for tr, _ in stage.server.registered]
    assert (trs.count("H0STCNT0"), trs.count("H0STASP0")) == (30, 9)
    assert await listener.stream.follow(many(30)) == ()


async def test_what_the_broker_refuses_is_left_out_and_not_asked_for_again(stage: Stage) -> None:
    stage.server.refuse["000660"] = "OPSP8992"
    listener = await stage.open()
    await stage.server.until(lambda: len(stage.server.registered) == 2)
    assert await listener.stream.follow([HYNIX, SAMSUNG]) == (HYNIX,)
    assert await listener.stream.follow([HYNIX, SAMSUNG]) == (HYNIX,)
    assert stage.server.requests.count(("1", "H0STCNT0", "000660")) == 1


async def test_a_failure_of_the_broker_is_tried_again_a_few_times(stage: Stage) -> None:
    stage.server.refuse_once["000660"] = "OPSP0007"
    stage.server.refuse["005930"] = "OPSP0009"
    listener = await stage.open()
    await stage.server.until(lambda: len(stage.server.registered) == 2)
    assert await listener.stream.follow([HYNIX, SAMSUNG]) == (SAMSUNG,)
    assert stage.server.requests.count(("1", "H0STCNT0", "000660")) == 2
    assert stage.server.requests.count(("1", "H0STCNT0", "005930")) == 3


# --- values ---------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [46, 47])
async def test_a_korean_trade_becomes_the_quote_that_a_query_would_give(
    stage: Stage, width: int
) -> None:
    listener = await stage.open(SAMSUNG)
    await stage.server.send(frame("H0STCNT0", kr_trade(width=width)))
    assert await listener.next() == Quote(
        instrument=SAMSUNG,
        last=Decimal(71_900),
        open=Decimal(72_100),
        high=Decimal(72_300),
        low=Decimal(71_500),
        previous_close=Decimal(72_000),
        volume=1_000,
        at=datetime(2026, 11, 20, 0, 30, 5, tzinfo=UTC),
        turnover=Decimal(71_900_000),
    )


@pytest.mark.parametrize(
    ("sign", "diff", "previous"),
    [
        ("5", "-100", 72_000), ("5", "100", 72_000), ("4", "100", 72_000),
        ("2", "100", 71_800), ("1", "+100", 71_800), ("3", "0", 71_900),
    ],
)  # fmt: skip
async def test_the_sign_of_a_change_is_in_its_code_whether_the_number_has_one_or_not(
    stage: Stage, sign: str, diff: str, previous: int
) -> None:
    listener = await stage.open(SAMSUNG)
    await stage.server.send(frame("H0STCNT0", kr_trade(sign=sign, diff=diff)))
    quote = await listener.next()
    assert isinstance(quote, Quote)
    assert quote.previous_close == previous


@pytest.mark.parametrize("width", [25, 26])
async def test_a_trade_abroad_becomes_a_quote_in_its_own_currency(stage: Stage, width: int) -> None:
    listener = await stage.open(APPLE)
    await stage.server.send(frame("HDFSCNT0", us_trade(width=width)))
    quote = await listener.next()
    assert isinstance(quote, Quote)
    assert (quote.last, quote.previous_close) == (Decimal("148.01"), Decimal(147))
    assert (quote.open, quote.high, quote.low) == (147, Decimal("149.5"), Decimal("146.5"))
    assert (quote.volume, quote.turnover) == (500, 74_005)
    assert quote.at == datetime(2026, 11, 20, 0, 30, 5, tzinfo=UTC)


async def test_every_record_of_a_frame_is_read_in_its_order(stage: Stage) -> None:
    listener = await stage.open(SAMSUNG, HYNIX)
    await stage.server.send(
        frame(
            "H0STCNT0",
            kr_trade(price=71_900, volume="1000", width=47),
            kr_trade("000660", price=71_800, diff="-200", width=47),
            kr_trade(price=72_000, diff="0", sign="3", volume="1010", width=47),
        )
    )
    quotes = await listener.take(3)
    assert [(q.instrument, int(q.last)) for q in quotes if isinstance(q, Quote)] == [
        (SAMSUNG, 71_900),
        (HYNIX, 71_800),
        (SAMSUNG, 72_000),
    ]


async def test_limits_and_names_are_those_of_the_last_quote_of_that_session(stage: Stage) -> None:
    listener = await stage.open(SAMSUNG)
    named = replace(SAMSUNG, name="삼성전자", is_fund=True)
    base = Quote(
        named, Decimal(1), Decimal(1), Decimal(1), Decimal(1), Decimal(72_000), 10, NOW,
        upper_limit=Decimal(93_600), lower_limit=Decimal(50_400),
    )  # fmt: skip
    listener.stream.prime([base])
    await stage.server.send(frame("H0STCNT0", kr_trade(at="093011")))
    quote = await listener.next()
    assert isinstance(quote, Quote)
    assert (quote.upper_limit, quote.lower_limit) == (93_600, 50_400)
    assert quote.instrument.is_fund
    await stage.server.send(frame("H0STCNT0", kr_trade(at="000005", day="20261121", volume="5")))
    stage.clock.advance(datetime(2026, 11, 20, 15, 0, 10, tzinfo=UTC) - NOW)
    tomorrow = await listener.next()
    assert isinstance(tomorrow, Quote)
    assert tomorrow.upper_limit is None


async def test_an_expected_price_of_an_auction_is_no_quote(stage: Stage) -> None:
    listener = await stage.open(SAMSUNG)
    await stage.server.send(
        *(frame("H0STCNT0", kr_trade(price=1, diff="0", sign="3", hour_class=c)) for c in "ABCD"),
        frame("H0STCNT0", kr_trade()),
    )
    quote = await listener.next()
    assert isinstance(quote, Quote)
    assert quote.last == 71_900
    assert listener.stream.health.garbled == {}


async def test_a_halted_security_is_told_as_halted(stage: Stage) -> None:
    listener = await stage.open(SAMSUNG)
    await stage.server.send(frame("H0STCNT0", kr_trade(halted="Y")))
    quote = await listener.next()
    assert isinstance(quote, Quote)
    assert not quote.usable


async def test_a_record_that_is_older_than_what_was_told_is_left_out(stage: Stage) -> None:
    listener = await stage.open(SAMSUNG)
    await stage.server.send(
        frame("H0STCNT0", kr_trade(at="093005", volume="1000")),
        frame("H0STCNT0", kr_trade(at="093004", volume="990", price=71_500, diff="-500")),
        frame("H0STCNT0", kr_trade(at="093006", volume="995", price=72_000, sign="3", diff="0")),
    )
    first, second = await listener.take(2)
    assert isinstance(first, Quote)
    assert isinstance(second, Quote)
    assert (first.volume, second.volume) == (1000, 995)
    assert listener.stream.health.late_records == 1


async def test_a_jump_of_the_volume_tells_of_lost_records_and_the_quote_is_right_all_the_same(
    stage: Stage,
) -> None:
    listener = await stage.open(SAMSUNG)
    await stage.server.send(
        frame("H0STCNT0", kr_trade(volume="1000", size="10")),
        frame("H0STCNT0", kr_trade(volume="1010", size="10")),
    )
    await listener.take(2)
    assert listener.stream.health.lost_records == 0
    await stage.server.send(frame("H0STCNT0", kr_trade(volume="1031", size="10")))
    quote = await listener.next()
    assert isinstance(quote, Quote)
    assert quote.volume == 1031
    assert listener.stream.health.lost_records == 1


@pytest.mark.parametrize("width", [59, 63, 66])
async def test_a_korean_order_book_keeps_its_levels_best_first(stage: Stage, width: int) -> None:
    listener = await stage.open(SAMSUNG, books=True)
    fields = {1: "005930", 2: "093005", 4: "71900", 5: "72000", 14: "71800", 24: "7", 25: "8"}
    fields |= {34: "9"}
    text = "^".join(fields.get(n, "0") for n in range(1, width + 1))
    await stage.server.until(lambda: ("H0STASP0", "005930") in stage.server.registered)
    await stage.server.send(frame("H0STASP0", text))
    book = await listener.next()
    assert isinstance(book, OrderBook)
    assert [(int(level.price), level.quantity) for level in book.asks] == [(71_900, 7), (72_000, 8)]
    assert [(int(level.price), level.quantity) for level in book.bids] == [(71_800, 9)]
    assert book.at == datetime(2026, 11, 20, 0, 30, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("market", "tr_id", "code", "levels"),
    [(Market.US_NASDAQ, "HDFSASP0", "NAS", 10), (Market.HK, "HDFSASP1", "HKS", 1)],
)
async def test_an_order_book_abroad_has_ten_levels_in_the_us_and_one_in_asia(
    stage: Stage, market: Market, tr_id: str, code: str, levels: int
) -> None:
    item = Instrument("00700", market)
    listener = await stage.open(item, books=True)
    fields = {1: f"D{code}00700", 6: "20261120", 7: "093005", 12: "9.5", 13: "9.6", 14: "3"}
    fields |= {15: "4", 18: "9.4", 19: "9.7", 20: "5", 21: "6"}
    text = "^".join(fields.get(n, "0") for n in range(1, 11 + 6 * levels + 1))
    await stage.server.until(lambda: (tr_id, f"D{code}00700") in stage.server.registered)
    await stage.server.send(frame(tr_id, text))
    book = await listener.next()
    assert isinstance(book, OrderBook)
    assert (book.bids[0].price, book.bids[0].quantity) == (Decimal("9.5"), 3)
    assert (book.asks[0].price, book.asks[0].quantity) == (Decimal("9.6"), 4)
    assert len(book.asks) == min(levels, 2)


# --- notices --------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [23, 26])
async def test_an_execution_in_korea_is_told_with_its_shares_and_price(
    stage: Stage, width: int
) -> None:
    listener = await stage.open(SAMSUNG)
    await stage.server.send(sealed("H0STCNI0", kr_notice(width)))
    assert await listener.next() == OrderNotice(
        kind=NoticeKind.FILLED,
        order_no="0000117057",
        instrument=SAMSUNG,
        side=Side.BUY,
        quantity=7,
        price=Decimal(71_900),
        at=datetime(2026, 11, 20, 0, 30, 5, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"filled": "1", "step": "1"}, NoticeKind.ACCEPTED),
        ({"filled": "1", "step": "2", "change": "2"}, NoticeKind.CONFIRMED),
        ({"filled": "1", "step": "3"}, NoticeKind.EXPIRED),
        ({"filled": "1", "step": "1", "refused": "1"}, NoticeKind.REJECTED),
    ],
)
async def test_the_steps_of_an_order_are_told_apart(
    stage: Stage, fields: dict[str, str], kind: NoticeKind
) -> None:
    listener = await stage.open(SAMSUNG)
    told = kr_notice(**fields, original="0000117050", price="000000000")
    await stage.server.send(sealed("H0STCNI0", told))
    notice = await listener.next()
    assert isinstance(notice, OrderNotice)
    assert (notice.kind, notice.original_no, notice.price) == (kind, "0000117050", None)


@pytest.mark.parametrize("width", [21, 25])
@pytest.mark.parametrize(
    ("letter", "market", "price"),
    [
        ("6", Market.US_NASDAQ, "148.01"),
        ("7", Market.US_NYSE, "148.01"),
        ("8", Market.US_AMEX, "148.01"),
        ("4", Market.HK, "1480.1"),
        ("A", Market.CN_SHA, "1480.1"),
        ("B", Market.CN_SZA, "1480.1"),
        ("D", Market.JP, "148010"),
        ("E", Market.VN_HNX, "1480100"),
        ("F", Market.VN_HSX, "1480100"),
    ],
)
async def test_a_price_abroad_has_as_many_decimals_as_its_market(
    stage: Stage, letter: str, market: Market, price: str, width: int
) -> None:
    listener = await stage.open(SAMSUNG)
    await stage.server.send(sealed("H0GSCNI0", us_notice(width, market=letter)))
    notice = await listener.next()
    assert isinstance(notice, OrderNotice)
    assert (notice.instrument, notice.price) == (Instrument("AAPL", market), Decimal(price))
    assert (notice.side, notice.quantity) == (Side.SELL, 7)


@pytest.mark.parametrize("letter", ["C", "5", "", "Z"])
async def test_a_market_nobody_knows_is_not_guessed_but_told_as_a_gap(
    stage: Stage, letter: str
) -> None:
    listener = await stage.open(SAMSUNG)
    await stage.server.send(sealed("H0GSCNI0", us_notice(market=letter)))
    gap = await listener.next()
    assert isinstance(gap, StreamGap)
    assert "market" in gap.reason
    assert listener.stream.health.garbled == {"market": 1}


async def test_a_time_without_a_date_belongs_to_the_day_that_is_closest(stage: Stage) -> None:
    stage.clock.advance(datetime(2026, 11, 20, 15, 0, 3, tzinfo=UTC) - NOW)  # 00:00:03 in Seoul
    listener = await stage.open(SAMSUNG)
    await stage.server.send(
        sealed("H0GSCNI0", us_notice(at="235959")),
        sealed("H0GSCNI0", us_notice(at="000004")),
        sealed("H0GSCNI0", us_notice(at="")),
    )
    times = [it.at for it in await listener.take(3) if isinstance(it, OrderNotice)]
    assert times == [
        datetime(2026, 11, 20, 14, 59, 59, tzinfo=UTC),
        datetime(2026, 11, 20, 15, 0, 4, tzinfo=UTC),
        datetime(2026, 11, 20, 15, 0, 3, tzinfo=UTC),
    ]


async def test_notices_of_another_account_of_the_same_login_are_not_ours(stage: Stage) -> None:
    listener = await stage.open(SAMSUNG)
    await stage.server.send(
        sealed("H0STCNI0", kr_notice(account="9999999901")),
        sealed("H0STCNI0", kr_notice(quantity="0000000003")),
    )
    notice = await listener.next()
    assert isinstance(notice, OrderNotice)
    assert notice.quantity == 3
    assert listener.stream.health.strangers == 1


async def test_the_latest_keys_open_what_is_encrypted(stage: Stage) -> None:
    listener = await stage.open(SAMSUNG)
    stage.server.cipher = ("K" * 32, "V" * 16)
    stage.server.cut()
    assert isinstance(await listener.next(), StreamGap)
    await stage.server.send(sealed("H0STCNI0", kr_notice(), key="K" * 32, iv="V" * 16))
    assert isinstance(await listener.next(), OrderNotice)


async def test_what_cannot_be_decrypted_is_counted_and_told_as_a_gap(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    listener = await stage.open(SAMSUNG)
    wrong = sealed("H0STCNI0", kr_notice(), key="x" * 32)
    for text in (wrong, "1|H0STCNI0|001|not base64!", "1|H0STCNI0|001|QUJD"):
        await stage.server.send(text)
        gap = await listener.next()
        assert isinstance(gap, StreamGap)
        assert "order notice" in gap.reason
    assert listener.stream.health.garbled == {"cipher": 3}
    assert sum("could not be read" in it.message for it in caplog.records) == 1


# --- garbage --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("hello", "frame"),
        ("2|H0STCNT0|001|x", "frame"),
        ("0|H0STCNT0|001", "frame"),
        ("0|NOSUCHTR|001|x", "unknown TR"),
        ("0|H0STCNT0|000|x", "count"),
        ("0|H0STCNT0|x|x", "count"),
        ("0|H0STCNT0|003|" + kr_trade(), "width"),
        ("0|H0STCNT0|001|" + kr_trade().rsplit("^", 1)[0], "width"),
        ("0|H0STCNT0|001|" + kr_trade() + "^" + kr_trade(), "width"),
        (frame("H0STCNT0", kr_trade(price=0)), "number"),
        (frame("H0STCNT0", kr_trade(price=-5)), "number"),
        (frame("H0STCNT0", kr_trade(high="abc")), "number"),
        (frame("H0STCNT0", kr_trade(volume="1.5")), "number"),
        (frame("H0STCNT0", kr_trade(sign="2")), "sign"),
        (frame("H0STCNT0", kr_trade(sign="3")), "sign"),
        (frame("H0STCNT0", kr_trade(low="71901")), "range"),
        (frame("H0STCNT0", kr_trade(day="20261199")), "number"),
        (frame("H0STCNT0", kr_trade(day="20270101")), "time"),
        (frame("H0STCNT0", kr_trade(day="00010101", at="000000")), "time"),
        (b"\xff\xfe\x00", "frame"),
        ('{"header": 5}', "control"),
        ("{", "control"),
    ],
)
async def test_garbage_is_counted_and_never_a_price(
    stage: Stage, text: str | bytes, kind: str
) -> None:
    listener = await stage.open(SAMSUNG)
    good = kr_trade(price=72_000, sign="3", diff="0")
    await stage.server.send(text, text, frame("H0STCNT0", good))
    quote = await listener.next()
    assert isinstance(quote, Quote)
    assert quote.last == 72_000
    assert listener.stream.health.garbled == {kind: 2}
    assert listener.stream.health.connected


async def test_one_bad_record_spoils_its_frame_and_leaves_nothing_behind(stage: Stage) -> None:
    listener = await stage.open(SAMSUNG)
    await stage.server.send(
        frame("H0STCNT0", kr_trade(volume="99999"), kr_trade(price=0)),
        frame("H0STCNT0", kr_trade(at="093001", volume="1000")),
    )
    quote = await listener.next()
    assert isinstance(quote, Quote)
    assert quote.volume == 1000
    assert listener.stream.health.late_records == 0


async def test_what_nobody_follows_is_left_out(stage: Stage) -> None:
    listener = await stage.open(SAMSUNG)
    await stage.server.send(frame("H0STCNT0", kr_trade("000660")), frame("H0STCNT0", kr_trade()))
    quote = await listener.next()
    assert isinstance(quote, Quote)
    assert quote.instrument == SAMSUNG
    assert listener.stream.health.strangers == 1


# --- the connection -------------------------------------------------------------------------


async def test_a_heartbeat_is_echoed_as_it_came(stage: Stage) -> None:
    listener = await stage.open(SAMSUNG)
    text = await stage.server.heartbeat()
    await stage.server.until(lambda: stage.server.echoes == [text])
    assert listener.stream.health.last_frame_at == NOW


async def test_a_cut_is_followed_by_the_same_registrations_the_present_quotes_and_a_gap(
    stage: Stage,
) -> None:
    listener = await stage.open(SAMSUNG, HYNIX)
    await stage.server.send(frame("H0STCNT0", kr_trade()))
    await listener.next()
    before = list(stage.server.registered)
    present = Quote(
        SAMSUNG, Decimal(72_200), Decimal(72_100), Decimal(72_300), Decimal(71_500),
        Decimal(72_000), 2_000, datetime(2026, 11, 20, 0, 31, tzinfo=UTC),
        upper_limit=Decimal(93_600),
    )  # fmt: skip
    stage.prices.known["005930"] = present
    stage.clock.advance(datetime(2026, 11, 20, 0, 31, tzinfo=UTC) - NOW)
    stage.server.cut()
    quote, gap = await listener.take(2)
    assert quote == present
    assert isinstance(gap, StreamGap)
    assert (gap.since, gap.until) == (NOW, stage.clock.now())
    assert stage.server.registered == before
    assert stage.prices.asked == [["005930", "000660"]]
    health = listener.stream.health
    assert (health.reconnects, health.connected, health.registrations) == (1, True, 4)
    await stage.server.send(frame("H0STCNT0", kr_trade(at="093100", volume="2010")))
    later = await listener.next()
    assert isinstance(later, Quote)
    assert later.upper_limit == 93_600
    assert listener.stream.health.lost_records == 0


async def test_a_present_quote_does_not_replace_a_newer_one(stage: Stage) -> None:
    listener = await stage.open(SAMSUNG)
    old = Quote(
        SAMSUNG, Decimal(71_000), Decimal(72_100), Decimal(72_300), Decimal(71_000),
        Decimal(72_000), 900, NOW, upper_limit=Decimal(93_600),
    )  # fmt: skip
    stage.prices.known["005930"] = old
    await stage.server.send(frame("H0STCNT0", kr_trade(volume="1000")))
    await listener.next()
    stage.server.cut()
    assert isinstance(await listener.next(), StreamGap)
    await stage.server.send(frame("H0STCNT0", kr_trade(volume="1010", at="093012")))
    quote = await listener.next()
    assert isinstance(quote, Quote)
    assert (quote.volume, quote.upper_limit) == (1010, 93_600)


async def test_a_gap_is_told_even_when_the_quotes_cannot_be_had(stage: Stage) -> None:
    stage.prices.error = BrokerUnavailable("no answer")
    listener = await stage.open(SAMSUNG)
    await stage.server.send(frame("H0STCNT0", kr_trade(volume="1000")))
    await listener.next()
    stage.server.cut()
    assert isinstance(await listener.next(), StreamGap)
    await stage.server.send(frame("H0STCNT0", kr_trade(volume="5000")))
    await listener.next()
    assert listener.stream.health.lost_records == 0


async def test_a_silent_connection_is_made_again(stage: Stage) -> None:
    listener = await stage.open(SAMSUNG, timing=replace(FAST, silent=0.2))
    gap = await listener.next()
    assert isinstance(gap, StreamGap)
    assert "nothing was heard for 0.2 s" in gap.reason
    assert stage.server.sessions >= 2


async def test_heartbeats_alone_keep_a_connection_alive(stage: Stage) -> None:
    listener = await stage.open(SAMSUNG, timing=replace(FAST, silent=1.5))
    for beats in range(1, 8):
        await stage.server.heartbeat()
        await stage.server.until(lambda beats=beats: len(stage.server.echoes) == beats)
        await asyncio.sleep(0.25)
    assert stage.server.sessions == 1
    assert listener.stream.health.reconnects == 0


async def test_an_unanswered_registration_ends_the_connection(stage: Stage) -> None:
    stage.server.mute = True
    listener = await stage.open(timing=replace(FAST, answer=0.1))
    await stage.server.until(lambda: stage.server.sessions == 2)
    stage.server.mute = False
    gap = await listener.next()
    assert isinstance(gap, StreamGap)
    assert "not answered" in gap.reason


@pytest.mark.parametrize("code", ["OPSP0011", "OPSP0010"])
async def test_a_refused_approval_key_is_replaced(stage: Stage, code: str) -> None:
    stage.server.refuse_once["H0STCNI0"] = code
    listener = await stage.open()
    assert isinstance(await listener.next(), StreamGap)
    assert stage.server.keys[0] == "approval-1"
    assert stage.server.keys[-1] == "approval-2"
    assert len(stage.server.registered) == 2


async def test_a_session_that_is_in_use_elsewhere_is_tried_again_with_the_same_key(
    stage: Stage,
) -> None:
    stage.server.refuse_once["H0STCNI0"] = "OPSP8996"
    listener = await stage.open()
    gap = await listener.next()
    assert isinstance(gap, StreamGap)
    assert "another session" in gap.reason
    assert set(stage.server.keys) == {"approval-1"}


async def test_no_approval_key_is_waited_out(stage: Stage) -> None:
    stage.keys.failures = 3
    listener = await stage.open()
    assert isinstance(await listener.next(), StreamGap)
    assert stage.keys.asked == 4
    assert listener.stream.health.reconnects == 3


async def test_waits_double_up_to_a_limit_and_start_over_after_a_success(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    timing = replace(FAST, backoff=1.0, longest_backoff=60.0, in_use=5.0)
    stream = stage.make(timing=timing, jitter=random.Random(3))
    drawn = random.Random(3)
    pauses = [stream._pause("") for _ in range(10)]
    assert pauses == [min(60.0, 2.0**n) * drawn.uniform(0.5, 1.0) for n in range(10)]
    assert max(pauses) <= 60.0
    stream._failures = 0
    assert stream._pause("OPSP8996") == 5.0
    waits: list[float] = []
    monkeypatch.setattr(stream, "_pause", lambda code: waits.append(stream._failures) or 0.0)
    stream._failures = 4
    async with stream:
        await stream.follow([SAMSUNG])
        await stage.server.until(lambda: len(stage.server.registered) == 3)
        stage.server.cut()
        await stage.server.until(lambda: stage.server.sessions == 2)
    assert waits == [0]


async def test_a_second_stream_of_the_same_key_is_told_who_holds_it(stage: Stage) -> None:
    await stage.open(SAMSUNG)
    second = stage.make()
    with pytest.raises(NotOffered, match=r"in process \d+ since 2026-11-20.*poll"):
        second.start()
    assert stage.server.sessions == 1


async def test_a_stream_can_be_opened_again_after_it_was_closed(stage: Stage) -> None:
    first = stage.make()
    async with first:
        await first.follow([SAMSUNG])
        await stage.server.until(lambda: len(stage.server.registered) == 3)
    await first.aclose()
    async with stage.make() as second:
        await second.follow([SAMSUNG])
        await stage.server.until(lambda: stage.server.sessions == 2)


async def test_closing_ends_the_events_after_what_waited(stage: Stage) -> None:
    listener = await stage.open(SAMSUNG)
    await stage.server.send(sealed("H0STCNI0", kr_notice()))
    await stage.server.heartbeat()
    await stage.server.until(lambda: stage.server.echoes)
    await listener.stream.aclose()
    assert isinstance(await listener.next(), OrderNotice)
    with pytest.raises(StopAsyncIteration):
        await listener.next()


async def test_a_slow_reader_gets_the_latest_quote_and_every_notice(stage: Stage) -> None:
    listener = await stage.open(SAMSUNG, HYNIX, capacity=2)
    for number in range(1, 51):
        await stage.server.send(
            frame("H0STCNT0", kr_trade(volume=str(1000 + 10 * number))),
            frame("H0STCNT0", kr_trade("000660", volume=str(2000 + 10 * number))),
            sealed("H0STCNI0", kr_notice(quantity=f"{number:010d}")),
        )
    await stage.server.heartbeat()
    await stage.server.until(lambda: stage.server.echoes)
    waiting = listener.stream.health.waiting
    assert waiting <= 50 + 2 + 2
    events = await listener.take(waiting)
    assert [it.quantity for it in events if isinstance(it, OrderNotice)] == list(range(1, 51))
    last = {it.instrument: it.volume for it in events if isinstance(it, Quote)}
    assert last == {SAMSUNG: 1500, HYNIX: 2500}
    assert listener.stream.health.conflated == 100 - (waiting - 50)


async def test_a_fault_of_our_own_ends_the_events_with_it(stage: Stage) -> None:
    listener = await stage.open(SAMSUNG)

    class Broken(FixedClock):
        def now(self) -> datetime:
            raise ZeroDivisionError

    listener.stream._clock = Broken(NOW)
    await stage.server.heartbeat()
    with pytest.raises(ZeroDivisionError):
        await listener.next()
    assert not listener.stream.health.connected


async def test_no_secret_is_shown(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    listener = await stage.open(SAMSUNG)
    stage.server.refuse["000660"] = "OPSP8992"
    await listener.stream.follow([SAMSUNG, HYNIX])
    await stage.server.send(sealed("H0STCNI0", kr_notice(side="99")), "0|x|y|z")
    await listener.next()
    stage.server.cut()
    gap = await listener.next()
    shown = caplog.text + repr(listener.stream) + repr(listener.stream.health) + repr(gap)
    shown += repr(listener.stream._plan.wanted)
    assert [it for it in (LOGIN, "approval-1", ACCOUNT) if it in shown] == []


def test_requests_have_the_shape_of_the_portal_s_example() -> None:
    from trading_core.adapters.kis.stream_link import Registration, StreamLink

    link = StreamLink(
        None, approval_key="key", redactor=Redactor(), on_records=print, on_garbled=print,
        on_anything=print, silent_seconds=1, answer_seconds=1,
    )  # fmt: skip
    assert json.loads(json.dumps(link._request(Registration("H0STCNT0", "005930"), False))) == {
        "header": {
            "approval_key": "key",
            "custtype": "P",
            "tr_type": "2",
            "content-type": "utf-8",
        },
        "body": {"input": {"tr_id": "H0STCNT0", "tr_key": "005930"}},
    }
