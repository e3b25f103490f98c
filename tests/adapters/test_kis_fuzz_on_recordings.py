"""Good replies of the twin, spoiled one place at a time: every read and every order reply."""

import asyncio
import copy
import json
from datetime import date, timedelta
from decimal import Decimal

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trading_core.adapters.kis import codes, open_kis
from trading_core.clock import FixedClock
from trading_core.errors import BrokerError, OrderOutcomeUnknown
from trading_core.model.market import MarketGroup
from trading_core.model.order import ApprovedOrder, IntentReason, OrderIntent, OrderType, Side
from trading_core.model.price import Ranking
from trading_core.rules.markets import currency_of
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.server import serve
from trading_core.twin.synthetic import synthetic_tape
from trading_core.twin.venue import AccountSpec

SESSION = date(2026, 11, 20)
CASES = 40
GROUPS = (MarketGroup.KR, MarketGroup.US)
CASH = {MarketGroup.KR: Decimal(100_000_000), MarketGroup.US: Decimal(100_000)}
READS = (
    "quote", "quotes", "order_book", "daily_bars", "many_bars", "minute_bars", "past_minutes",
    "fluctuation", "volume", "is_trading_day", "account", "orders", "open_orders", "sellable",
    "buyable", "deposits",
)  # fmt: skip
CHANGES = ("submit", "cancel", "modify")


def read(kis, name, item, other, at):
    data, broker, group = kis.market_data, kis.broker, item.market.group
    return {
        "quote": lambda: data.quote(item),
        "quotes": lambda: data.quotes([item, other]),
        "order_book": lambda: data.order_book(item),
        "daily_bars": lambda: data.daily_bars(item, until=SESSION, count=5),
        "many_bars": lambda: data.daily_bars(item, until=SESSION, count=60),
        "minute_bars": lambda: data.minute_bars(item, until=at, count=10),
        "past_minutes": lambda: data.minute_bars(item, until=at - timedelta(days=1), count=10),
        "fluctuation": lambda: data.ranking(group, Ranking.FLUCTUATION),
        "volume": lambda: data.ranking(group, Ranking.VOLUME),
        "is_trading_day": lambda: data.is_trading_day(group, SESSION),
        "account": lambda: broker.account(group),
        "orders": lambda: broker.orders(group, SESSION),
        "open_orders": lambda: broker.open_orders(group),
        "sellable": lambda: broker.sellable(item),
        "buyable": lambda: broker.buyable(item, Decimal(100)),
        "deposits": lambda: broker.deposits(),
    }[name]()


class Recorder(httpx.AsyncBaseTransport):
    """Lets replies through and keeps the first of each request's path and TR."""

    def __init__(self):
        self.kept = {}
        self._inner = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request):
        response = await self._inner.handle_async_request(request)
        await response.aread()
        key = (request.url.path, request.headers.get("tr_id", ""))
        headers = {"tr_cont": response.headers.get("tr_cont", "")}
        self.kept.setdefault(key, (response.status_code, headers, response.content))
        return response


class Player(httpx.AsyncBaseTransport):
    """Answers from the recording, spoiled by ``spoil`` unless it is about a token."""

    def __init__(self, kept):
        self._kept = kept
        self.spoil = lambda status, headers, content: (status, headers, content)
        self.spoiled = self.orders = 0

    async def handle_async_request(self, request):
        path = request.url.path
        status, headers, content = self._kept[path, request.headers.get("tr_id", "")]
        self.orders += request.method == "POST" and "/trading/" in path
        if "/oauth2/" not in path:
            self.spoiled += 1
            status, headers, content = self.spoil(status, headers, content)
        return httpx.Response(status, headers=headers, content=content)


class Stage:
    def __init__(self, group, home, loop):
        self.loop, self.group = loop, group
        tape = synthetic_tape(group, SESSION, symbols=12, seed=5)
        accounts = [AccountSpec("12345678-01", {currency_of(group): CASH[group]})]
        self.venue = SimulatedExchange(tape, accounts, at=tape.hours.open_at + timedelta(hours=1))
        self.at = self.venue.now
        usable = [i for i in self.venue.instruments() if self.venue.quote(i.symbol).usable]
        self.item, self.other = usable[:2]
        self.recorder = Recorder()
        self.order = loop.run_until_complete(self._record(home / "recording"))
        self.player = Player(self.recorder.kept)
        self.kis = self._open("http://127.0.0.1:1", home / "playing", self.player)

    def _open(self, url, home, transport):
        return open_kis(
            base_url=url, app_key="k" * 36, app_secret="s" * 180, account_no="12345678-01",
            personality="real", home=home, clock=FixedClock(self.at), rate_limit_rps=None,
            transport=transport, retry_base_seconds=0.0,
        )  # fmt: skip

    def buy(self, price):
        intent = OrderIntent(
            "i", "d", self.item, SESSION, Side.BUY, 2, OrderType.LIMIT, price, price,
            currency_of(self.group), IntentReason.ENTRY, self.at,
        )  # fmt: skip
        return ApprovedOrder(intent, self.at)

    async def _record(self, home):
        twin = await serve(self.venue)
        book = self.venue.order_book(self.item.symbol)
        self.low = book.bids[-1].price
        async with self._open(twin.base_url, home, self.recorder) as kis:
            await kis.broker.submit(self.buy(book.asks[0].price))
            ack = await kis.broker.submit(self.buy(self.low))
            listed = await kis.broker.orders(self.group, SESSION)
            order = next(o for o in listed if o.order_no == ack.order_no)
            await kis.broker.modify(order, limit_price=str(self.low))
            self.recorder.kept = {
                key: value for key, value in self.recorder.kept.items() if "inquire" not in key[0]
            }
            for name in READS:
                if (self.group, name) != (MarketGroup.KR, "deposits"):
                    await read(kis, name, self.item, self.other, self.at)
        await twin.stop()
        return order

    def call(self, name):
        """Run one read or change against the spoiled recording."""
        changes = {
            "submit": lambda: self.kis.broker.submit(self.buy(self.low)),
            "cancel": lambda: self.kis.broker.cancel(self.order),
            "modify": lambda: self.kis.broker.modify(self.order, limit_price=str(self.low)),
        }
        self.player.orders = self.player.spoiled = 0
        make = changes.get(name) or (lambda: read(self.kis, name, self.item, self.other, self.at))

        async def run():
            return await make()

        return self.loop.run_until_complete(run())


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    loop = asyncio.new_event_loop()
    found = {group: Stage(group, tmp_path_factory.mktemp(group), loop) for group in GROUPS}
    yield found
    for stage in found.values():
        loop.run_until_complete(stage.kis.aclose())
    loop.close()


WRONG = st.one_of(
    st.sampled_from(
        [
            "", " ", "0", "-1", "1.5", "NaN", "Infinity", "-Infinity", "1e9", "0x10", "1_000", "٣",
            "1,000", "+", ".", "９", "20261332", "256199", "9" * 25, "x" * 300, "null", "\x00",
            "00000000", "<b>", "'; drop", "KRX",
        ]
    ),
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.none(), max_size=2),
)  # fmt: skip
PLACE = st.lists(st.integers(0, 10_000), min_size=1, max_size=4)
ONE_PLACE = st.tuples(PLACE, st.sampled_from(["set", "set", "set", "drop", "double", "cut"]), WRONG)
BYTES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"", b"null", b"[]", b'"0"', b"{}", b"[" * 50_000, b'{"rt_cd":"0"}']),
)
MANGLED = st.one_of(
    st.tuples(st.just("places"), st.lists(ONE_PLACE, min_size=1, max_size=3)),
    st.tuples(st.just("places"), st.lists(ONE_PLACE, min_size=1, max_size=1)),
    st.tuples(st.just("bytes"), BYTES),
    st.tuples(st.just("cut"), st.floats(0, 1)),
    st.tuples(st.just("status"), st.sampled_from([200, 204, 301, 400, 401, 403, 404, 500, 504])),
    st.tuples(st.just("mark"), st.sampled_from(["F", "M", "N", "?", "DD"])),
)  # fmt: skip


def change(node, steps, action, wrong):
    """Walk down by ``steps`` and spoil where they end."""
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key = keys[steps[0] % len(keys)]
        steps = steps[1:]
        if not steps or not isinstance(node[key], dict | list) or not node[key]:
            break
        node = node[key]
    if action == "drop":
        del node[key]
    elif action == "double" and isinstance(node, list):
        node.append(copy.deepcopy(node[key]))
    elif action == "cut" and isinstance(node[key], str):
        node[key] = node[key][: len(node[key]) // 2]
    else:
        node[key] = wrong


def spoiler(kind, how):
    def spoil(status, headers, content):
        if kind == "bytes":
            return status, headers, how
        if kind == "cut":
            return status, headers, content[: int(len(content) * how)]
        if kind == "status":
            return how, headers, content
        if kind == "mark":
            return status, {"tr_cont": how}, content
        body = json.loads(content)
        for place in how:
            change(body, *place)
        return status, headers, json.dumps(body).encode()

    return spoil


def check(result):
    """Nothing negative, infinite or of a wrong type may come out of any answer."""
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, list | tuple):
        for item in result:
            check(item)
        return
    if isinstance(result, int):
        assert result >= 0
        return
    if isinstance(result, Decimal):
        assert result.is_finite()
        return
    for name in getattr(type(result), "__slots__", ()):
        value = getattr(result, name)
        if isinstance(value, Decimal):
            assert value.is_finite()
            assert value >= 0 or name in ("cash", "orderable"), (name, value)
        if isinstance(value, int):
            assert value >= 0, (name, value)
        if isinstance(value, tuple):
            check(value)
    if hasattr(result, "remaining_quantity"):
        assert result.order_no.isascii()
        assert result.order_no.isdigit()
        assert result.filled_quantity + result.remaining_quantity <= result.quantity


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("name", READS)
def test_the_recording_itself_is_good(stages, group, name):
    if (group, name) == (MarketGroup.KR, "deposits"):
        pytest.skip("deposits are about foreign currencies")
    stage = stages[group]
    stage.player.spoil = lambda *reply: reply
    result = stage.call(name)
    check(result)
    assert result is not None
    assert stage.player.spoiled


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("name", READS)
@given(mangled=MANGLED)
@settings(
    max_examples=CASES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_no_spoiled_reply_to_a_read_becomes_garbage(stages, group, name, mangled):
    if (group, name) == (MarketGroup.KR, "deposits"):
        return
    stage = stages[group]
    stage.player.spoil = spoiler(*mangled)
    try:
        check(stage.call(name))
    except BrokerError as error:
        assert str(error).isprintable()


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("name", CHANGES)
@given(mangled=MANGLED)
@settings(
    max_examples=4 * CASES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_spoiled_acceptance_is_an_order_number_or_unknown(stages, group, name, mangled):
    stage, replies = stages[group], []

    def spoil(*reply):
        replies.append(spoiler(*mangled)(*reply))
        return replies[-1]

    stage.player.spoil = spoil
    try:
        ack = stage.call(name)
    except BrokerError as error:
        if not isinstance(error, OrderOutcomeUnknown):
            body = json.loads(replies[0][2])
            assert isinstance(body["rt_cd"], str)
            assert body["rt_cd"] != "0"
            assert codes.is_refusal(error.code)
    else:
        assert ack.order_no.isascii()
        assert ack.order_no.isdigit()
        assert ack.order_no.strip("0")
        assert json.loads(replies[0][2])["rt_cd"] == "0"
    assert stage.player.orders == 1
