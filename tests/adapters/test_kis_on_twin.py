"""The client against the twin over real HTTP, with things going wrong on the way."""

import asyncio
import contextlib
import logging
from datetime import date, timedelta
from decimal import Decimal
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from trading_core.adapters.kis import open_kis
from trading_core.errors import (
    BrokerUnavailable,
    OrderOutcomeUnknown,
    OrderRejected,
    RateLimited,
    TokenExpired,
)
from trading_core.model.market import Currency, MarketGroup
from trading_core.model.order import ApprovedOrder, IntentReason, OrderIntent, OrderType, Side
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.faults import FaultAction, FaultPlan, FaultRule
from trading_core.twin.server import serve
from trading_core.twin.synthetic import synthetic_tape
from trading_core.twin.venue import AccountSpec

ACCOUNT = "12345678-01"
SESSION = date(2026, 11, 20)


@pytest.fixture(scope="module")
def tape():
    return synthetic_tape(MarketGroup.KR, SESSION, symbols=30, seed=3)


class VenueClock:
    def __init__(self, venue):
        self._venue = venue

    def now(self):
        return self._venue.now

    async def sleep_until(self, at):
        self._venue.advance_to(at)


@pytest.fixture
async def stage(tape, tmp_path):
    accounts = [AccountSpec(ACCOUNT, {Currency.KRW: Decimal(100_000_000)})]
    venue = SimulatedExchange(tape, accounts, at=tape.hours.open_at + timedelta(minutes=30))
    faults = FaultPlan()
    twin = await serve(venue, faults=faults)

    def connect(**changes):
        options = {
            "base_url": twin.base_url,
            "app_key": "k" * 36,
            "app_secret": "s" * 180,
            "account_no": ACCOUNT,
            "personality": "real",
            "home": tmp_path,
            "clock": VenueClock(venue),
            "rate_limit_rps": None,
            "retry_base_seconds": 0.0,
            "timeout_seconds": 5.0,
        }
        return open_kis(**(options | changes))

    def spoil(action, **where):
        faults.install([FaultRule(FaultAction(action), **where)], replace=True)

    yield SimpleNamespace(venue=venue, twin=twin, connect=connect, spoil=spoil)
    await twin.stop()


def buy(venue):
    item = next(i for i in venue.instruments() if venue.quote(i.symbol).usable)
    price = venue.quote(item.symbol).lower_limit
    intent = OrderIntent(
        "i", "d", item, SESSION, Side.BUY, 1, OrderType.LIMIT, price, price, Currency.KRW,
        IntentReason.ENTRY, venue.now,
    )  # fmt: skip
    return ApprovedOrder(intent, venue.now)


@pytest.mark.parametrize(
    ("action", "error", "arrived"),
    [
        ("drop_after", OrderOutcomeUnknown, 1),
        ("http_500_after", OrderOutcomeUnknown, 1),
        ("garbage", OrderOutcomeUnknown, 1),
        ("drop_before", OrderOutcomeUnknown, 0),
        ("http_500", OrderOutcomeUnknown, 0),
        ("rate_limit", RateLimited, 0),
        ("expire_token", TokenExpired, 0),
    ],
)
async def test_a_spoiled_order_is_told_as_it_is_and_reaches_the_book_once_at_most(
    stage, action, error, arrived
):
    async with stage.connect() as kis:
        assert not await kis.broker.orders(MarketGroup.KR, SESSION)
        stage.spoil(action, path="order-cash")
        with pytest.raises(error):
            await kis.broker.submit(buy(stage.venue))
        assert len(await kis.broker.orders(MarketGroup.KR, SESSION)) == arrived


async def test_a_reply_that_comes_too_late_leaves_the_outcome_unknown(stage):
    async with stage.connect(timeout_seconds=0.2) as kis:
        await kis.broker.orders(MarketGroup.KR, SESSION)
        stage.spoil("delay_ms", path="order-cash", delay_ms=600)
        with pytest.raises(OrderOutcomeUnknown):
            await kis.broker.submit(buy(stage.venue))
        assert len(await kis.broker.orders(MarketGroup.KR, SESSION)) == 1


class CountingFront:
    """Passes everything on to the twin byte by byte, and counts the orders on their way."""

    def __init__(self, port):
        self._port = port
        self.orders = 0

    async def __call__(self, reader, writer):
        upstream, out = await asyncio.open_connection("127.0.0.1", self._port)

        async def pump(source, target, count):
            with contextlib.suppress(ConnectionError):
                while data := await source.read(65536):
                    if count:
                        self.orders += data.count(b"POST /uapi/domestic-stock/v1/trading/order")
                    target.write(data)
                    await target.drain()
            with contextlib.suppress(ConnectionError):
                target.close()

        await asyncio.gather(pump(reader, out, True), pump(upstream, writer, False))


@pytest.mark.parametrize(
    ("action", "error"),
    [
        ("drop_after", OrderOutcomeUnknown),
        ("drop_before", OrderOutcomeUnknown),
        ("http_500_after", OrderOutcomeUnknown),
        ("http_500", OrderOutcomeUnknown),
        ("garbage", OrderOutcomeUnknown),
        ("delay_ms", OrderOutcomeUnknown),
        ("rate_limit", RateLimited),
        ("expire_token", TokenExpired),
        ("reject", OrderRejected),
    ],
)
@pytest.mark.parametrize("what", ["submit", "cancel", "modify"])
async def test_whatever_goes_wrong_an_order_is_on_the_wire_exactly_once(stage, action, error, what):
    front = CountingFront(urlsplit(stage.twin.base_url).port)
    server = await asyncio.start_server(front, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    more = {"delay_ms": 900} if action == "delay_ms" else {}
    async with server, stage.connect(base_url=url, timeout_seconds=0.6) as kis:
        await kis.broker.submit(buy(stage.venue))
        [order] = await kis.broker.orders(MarketGroup.KR, SESSION)
        front.orders = 0
        stage.spoil(action, path="/trading/order", **more)
        price = stage.venue.quote(order.instrument.symbol).lower_limit
        send = {
            "submit": lambda: kis.broker.submit(buy(stage.venue)),
            "cancel": lambda: kis.broker.cancel(order),
            "modify": lambda: kis.broker.modify(order, limit_price=str(price)),
        }[what]
        with pytest.raises(error):
            await send()
        await asyncio.sleep(0)
        assert front.orders == 1


@pytest.mark.parametrize("action", ["drop_before", "drop_after", "http_500", "rate_limit"])
async def test_reads_survive_every_third_one_failing(stage, action):
    async with stage.connect() as kis:
        stage.spoil(action, path="/uapi/", every=3)
        account = await kis.broker.account(MarketGroup.KR)
        quotes = await kis.market_data.quotes(stage.venue.instruments())
    assert account.cash == 100_000_000
    assert len(quotes) == 30


async def test_a_read_renews_a_token_that_died(stage):
    async with stage.connect() as kis:
        await kis.broker.account(MarketGroup.KR)
        stage.spoil("expire_token", path="inquire-balance", nth=1)
        assert (await kis.broker.account(MarketGroup.KR)).cash == 100_000_000


async def test_a_twin_that_is_gone_is_unavailable_and_an_order_was_not_sent(stage):
    async with stage.connect() as kis:
        item = stage.venue.instruments()[0]
        await kis.market_data.quote(item)
        await stage.twin.stop()
        with pytest.raises(BrokerUnavailable):
            await kis.market_data.quote(item)
        with pytest.raises(BrokerUnavailable, match="not sent"):
            await kis.broker.submit(buy(stage.venue))


async def test_our_own_limiter_keeps_the_twin_s_limit_content(tape, tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    venue = SimulatedExchange(tape, [AccountSpec(ACCOUNT, {Currency.KRW: Decimal(1)})])
    twin = await serve(venue, rate_limit_rps=20)
    try:
        async with open_kis(
            base_url=twin.base_url, app_key="k", app_secret="s", account_no=ACCOUNT,
            personality="real", home=tmp_path, clock=VenueClock(venue), rate_limit_rps=19,
        ) as kis:  # fmt: skip
            quotes = await kis.market_data.quotes(venue.instruments())
    finally:
        await twin.stop()
    assert len(quotes) == 30
    assert not caplog.records


async def test_the_optional_hash_key_is_taken(stage):
    async with stage.connect(hashkey=True) as kis:
        ack = await kis.broker.submit(buy(stage.venue))
        [order] = await kis.broker.orders(MarketGroup.KR, SESSION)
    assert order.order_no == ack.order_no
