"""One suite for every broker: the KIS client on the twin over real HTTP, and the simulated one."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from trading_core.adapters.kis import KisConnection, open_kis
from trading_core.adapters.simulated import SimulatedBroker
from trading_core.errors import BrokerError, NotOffered, OrderRejected
from trading_core.model.market import Instrument, MarketGroup
from trading_core.model.order import (
    ApprovedOrder,
    BrokerOrder,
    IntentReason,
    OrderIntent,
    OrderType,
    Side,
)
from trading_core.model.price import Quote, Ranking
from trading_core.ports import Broker, MarketData
from trading_core.rules.markets import currency_of, price_increment
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.exchange_rates import rates_at
from trading_core.twin.server import serve
from trading_core.twin.synthetic import synthetic_tape
from trading_core.twin.tape import Tape
from trading_core.twin.venue import AccountSpec

ACCOUNT = "12345678-01"
SESSION = date(2026, 11, 20)
CASH = {
    MarketGroup.KR: Decimal(500_000_000),
    MarketGroup.US: Decimal(500_000),
    MarketGroup.JP: Decimal(100_000_000),
    MarketGroup.HK: Decimal(10_000_000),
    MarketGroup.CN: Decimal(10_000_000),
    MarketGroup.VN: Decimal(20_000_000_000),
}
FACES = ("kis-real", "kis-paper", "simulated")
_TAPES: dict[MarketGroup, Tape] = {}


@dataclass(frozen=True)
class Face:
    """A broker under test and the exchange behind it, an hour into the session."""

    broker: Broker
    market_data: MarketData
    venue: SimulatedExchange
    paper: bool
    kis: KisConnection | None = None

    @property
    def group(self) -> MarketGroup:
        return self.venue.group

    @property
    def instrument(self) -> Instrument:
        """One that trades, and of which an order for some shares fills at once."""
        return next(
            item
            for item in self.venue.instruments()
            if self.quote(item).usable
            and (book := self.venue.order_book(item.symbol))
            and book.asks
            and book.asks[0].quantity >= 10
        )

    def quote(self, instrument: Instrument) -> Quote:
        quote = self.venue.quote(instrument.symbol)
        assert quote is not None
        return quote

    def order(self, side: Side, quantity: int, limit_price: Decimal) -> ApprovedOrder:
        instrument = self.instrument
        intent = OrderIntent(
            "intent", "decision", instrument, SESSION, side, quantity, OrderType.LIMIT,
            limit_price, limit_price, currency_of(self.group), IntentReason.ENTRY, self.venue.now,
        )  # fmt: skip
        return ApprovedOrder(intent, self.venue.now)

    def marketable(self, side: Side, quantity: int) -> ApprovedOrder:
        """An order at the best opposite price."""
        book = self.venue.order_book(self.instrument.symbol)
        assert book is not None
        level = (book.asks if side is Side.BUY else book.bids)[0]
        return self.order(side, quantity, level.price)

    def resting(self, quantity: int) -> ApprovedOrder:
        """A buy well below the market that does not fill at once."""
        quote = self.quote(self.instrument)
        factor = Decimal("0.9")
        if quote.lower_limit is not None:
            factor = max(factor, (quote.lower_limit / quote.last + 1) / 2)
        return self.order(Side.BUY, quantity, self.below(quote.last, factor))

    def below(self, price: Decimal, factor: Decimal) -> Decimal:
        target = price * factor
        step = price_increment(self.instrument.market, target, SESSION)
        return target // step * step

    async def find(self, order_no: str) -> BrokerOrder:
        orders = await self.broker.orders(self.group, SESSION)
        return next(order for order in orders if order.order_no == order_no)


class VenueClock:
    def __init__(self, venue: SimulatedExchange) -> None:
        self._venue = venue

    def now(self) -> datetime:
        return self._venue.now

    async def sleep_until(self, at: datetime) -> None:
        raise AssertionError("nothing here should wait")


def venue_of(group: MarketGroup) -> SimulatedExchange:
    if group not in _TAPES:
        _TAPES[group] = synthetic_tape(group, SESSION, symbols=24, seed=7)
    tape = _TAPES[group]
    account = AccountSpec(ACCOUNT, {currency_of(group): CASH[group]})
    return SimulatedExchange(tape, [account], at=tape.hours.open_at + timedelta(minutes=60))


def on(*groups: MarketGroup):
    """Runs a test on these groups' exchanges instead of Korea's and America's."""
    params = [(face, group) for group in groups for face in FACES]
    return pytest.mark.parametrize("face", params, ids="-".join, indirect=True)


@pytest.fixture(
    params=[(face, group) for group in (MarketGroup.KR, MarketGroup.US) for face in FACES],
    ids="-".join,
)
async def face(request, tmp_path):
    kind, group = request.param
    venue = venue_of(group)
    if kind == "simulated":
        simulated = SimulatedBroker(venue, ACCOUNT)
        yield Face(simulated, simulated, venue, paper=False)
        return
    personality = kind.removeprefix("kis-")
    twin = await serve(venue, personality=personality)
    try:
        async with open_kis(
            base_url=twin.base_url,
            app_key="k" * 36,
            app_secret="s" * 180,
            account_no=ACCOUNT,
            personality=personality,
            home=tmp_path,
            clock=VenueClock(venue),
            rate_limit_rps=None,
            instruments={item.symbol: item for item in venue.instruments()},
            retry_base_seconds=0.0,
        ) as kis:
            yield Face(kis.broker, kis.market_data, venue, paper=personality == "paper", kis=kis)
    finally:
        await twin.stop()


async def offered(face: Face, call: Callable[[], Awaitable[object]]) -> bool:
    """Whether the face answers; the paper host may lack it, the others may not."""
    try:
        await call()
    except NotOffered:
        assert face.paper
        return False
    return True


def _figures(quote: Quote) -> tuple[object, ...]:
    return (
        quote.last, quote.open, quote.high, quote.low, quote.previous_close, quote.volume,
        quote.halted, quote.at,
    )  # fmt: skip


async def test_a_quote_tells_what_the_exchange_shows(face):
    shown = face.quote(face.instrument)
    quote = await face.market_data.quote(face.instrument)
    assert _figures(quote) == _figures(shown)
    assert quote.instrument == face.instrument
    assert quote.usable


async def test_quotes_are_the_quotes_of_each(face):
    wanted = face.venue.instruments()
    quotes = await face.market_data.quotes(wanted)
    assert list(quotes) == [item.symbol for item in wanted]
    for item in wanted:
        assert quotes[item.symbol] == await face.market_data.quote(item)


@on(*MarketGroup)
async def test_an_account_knows_the_won_of_one_unit_of_its_currency(face):
    account = await face.broker.account(face.group)
    rate = rates_at(face.venue.now)[currency_of(face.group)]
    assert account.krw_rate == rate
    assert (rate == 1) == (face.group is MarketGroup.KR)


@on(*MarketGroup)
async def test_quotes_asked_for_together_are_those_asked_for_one_by_one(face):
    wanted = face.venue.instruments()
    together = await face.market_data.quotes(wanted, held=[wanted[3].symbol])
    assert list(together) == [item.symbol for item in wanted]
    for item in wanted:
        alone = await face.market_data.quote(item)
        assert together[item.symbol] == alone
        assert together[item.symbol].halted == face.quote(item).halted
        if alone.last > 0:
            assert _figures(alone) == _figures(face.quote(item))


async def test_a_halted_instrument_is_not_usable(face):
    halted = next(item for item in face.venue.instruments() if face.quote(item).halted)
    assert not (await face.market_data.quote(halted)).usable


async def test_an_unlisted_symbol_never_has_a_usable_price(face):
    nobody = replace(face.instrument, symbol="999999", name="")
    try:
        quote = await face.market_data.quote(nobody)
    except BrokerError:
        return
    assert not quote.usable


async def test_an_order_book_tells_what_the_exchange_shows(face):
    shown = face.venue.order_book(face.instrument.symbol)

    async def ask():
        book = await face.market_data.order_book(face.instrument)
        assert (book.asks, book.bids) == (shown.asks, shown.bids)
        assert book.spread_pct > 0

    assert await offered(face, ask) or face.group is MarketGroup.US


@pytest.mark.parametrize("count", [1, 30, 110])
async def test_daily_bars_are_the_newest_ones_oldest_first(face, count):
    shown = face.venue.daily_bars(face.instrument.symbol, start=None, end=SESSION)
    bars = await face.market_data.daily_bars(face.instrument, until=SESSION, count=count)
    assert list(bars) == shown[-count:]
    assert bars[-1].session == SESSION


async def test_daily_bars_end_where_they_are_told_to(face):
    until = date(2026, 11, 13)
    bars = await face.market_data.daily_bars(face.instrument, until=until, count=5)
    assert [bar.session.day for bar in bars] == [9, 10, 11, 12, 13]


@pytest.mark.parametrize("count", [1, 20, 45])
async def test_minute_bars_are_the_newest_ones_oldest_first(face, count):
    shown = face.venue.minute_bars(face.instrument.symbol, session=SESSION, until=face.venue.now)

    async def ask():
        bars = await face.market_data.minute_bars(
            face.instrument, until=face.venue.now, count=count
        )
        assert list(bars) == shown[-count:]
        assert all(bar.start_at.tzinfo == UTC for bar in bars)

    assert await offered(face, ask) or face.group is MarketGroup.US


@pytest.mark.parametrize("ranking", list(Ranking))
async def test_a_ranking_has_the_best_first(face, ranking):
    async def ask():
        rows = await face.market_data.ranking(face.group, ranking)
        assert [row.rank for row in rows] == list(range(1, len(rows) + 1))
        assert len(rows) >= 20
        figures = [row.volume if ranking is Ranking.VOLUME else row.change_pct for row in rows]
        assert figures == sorted(figures, reverse=True)
        assert {row.instrument for row in rows} <= set(face.venue.instruments())

    await offered(face, ask)


@pytest.mark.parametrize(("day", "opens"), [(20, True), (21, False), (22, False), (26, None)])
async def test_market_days_are_told(face, day, opens):
    # The 26th is Thanksgiving, a holiday in the US alone.
    expected = face.group is MarketGroup.KR if opens is None else opens

    async def ask():
        asked = await face.market_data.is_trading_day(face.group, date(2026, 11, day))
        assert asked is expected

    await offered(face, ask)


async def test_a_fresh_account_has_its_cash_and_nothing_else(face):
    account = await face.broker.account(face.group)
    cash = CASH[face.group]
    assert (account.cash, account.orderable, account.equity) == (cash, cash, cash)
    assert account.currency is currency_of(face.group)
    assert (account.holdings, account.at) == ((), face.venue.now)
    assert not await face.broker.orders(face.group, SESSION)


async def test_a_marketable_buy_is_accepted_then_filled_then_held(face):
    order = face.marketable(Side.BUY, 10)
    ack = await face.broker.submit(order)
    seen = await face.find(ack.order_no)
    price = order.intent.limit_price
    assert (seen.side, seen.quantity, seen.filled_quantity) == (Side.BUY, 10, 10)
    assert 0 < seen.filled_amount <= 10 * price
    assert (seen.remaining_quantity, seen.limit_price, seen.session) == (0, price, SESSION)
    assert seen.instrument == face.instrument
    assert seen.ordered_at == face.venue.now.replace(microsecond=0)
    account = await face.broker.account(face.group)
    held = account.holding(face.instrument.symbol)
    assert (held.quantity, held.sellable) == (10, 10)
    assert held.average_price == seen.filled_amount / 10
    assert held.last_price == face.quote(face.instrument).last
    paid = CASH[face.group] - account.cash
    assert seen.filled_amount <= paid < seen.filled_amount * Decimal("1.01")


async def test_what_was_bought_can_be_sold(face):
    await face.broker.submit(face.marketable(Side.BUY, 10))
    ack = await face.broker.submit(face.marketable(Side.SELL, 4))
    assert (await face.find(ack.order_no)).filled_quantity == 4
    held = (await face.broker.account(face.group)).holding(face.instrument.symbol)
    assert (held.quantity, held.sellable) == (6, 6)
    await face.broker.submit(face.marketable(Side.SELL, 6))
    assert (await face.broker.account(face.group)).holding(face.instrument.symbol) is None


async def test_an_open_buy_holds_cash_back_until_it_is_cancelled(face):
    before = await face.broker.account(face.group)
    ack = await face.broker.submit(face.resting(7))
    open_order = await face.find(ack.order_no)
    assert (open_order.remaining_quantity, open_order.filled_quantity) == (7, 0)
    during = await face.broker.account(face.group)
    assert before.orderable - during.orderable >= 7 * open_order.limit_price
    assert abs(during.cash - before.cash) < before.cash / 100

    cancel = await face.broker.cancel(open_order)
    assert cancel.order_no != ack.order_no
    gone, row = await face.find(ack.order_no), await face.find(cancel.order_no)
    assert (gone.remaining_quantity, gone.cancelled_quantity) == (0, 7)
    assert (row.original_no, row.remaining_quantity) == (ack.order_no, 0)
    after = await face.broker.account(face.group)
    assert (after.cash, after.orderable) == (before.cash, before.orderable)


async def test_a_modified_order_answers_to_its_new_number(face):
    ack = await face.broker.submit(face.resting(7))
    original = await face.find(ack.order_no)
    price = face.below(original.limit_price, Decimal("0.999"))
    changed = await face.broker.modify(original, limit_price=str(price))
    old, new = await face.find(ack.order_no), await face.find(changed.order_no)
    assert old.remaining_quantity == 0
    assert (new.remaining_quantity, new.limit_price) == (7, price)
    assert new.original_no == ack.order_no
    await face.broker.cancel(new)
    assert not any(o.is_open for o in await face.broker.orders(face.group, SESSION))


ABROAD = (MarketGroup.JP, MarketGroup.HK, MarketGroup.CN, MarketGroup.VN)


@on(*ABROAD)
async def test_an_order_abroad_is_accepted_listed_and_cancelled(face):
    before = await face.broker.account(face.group)
    ack = await face.broker.submit(face.resting(100))
    order = await face.find(ack.order_no)
    assert (order.remaining_quantity, order.instrument) == (100, face.instrument)
    assert order.currency is currency_of(face.group)
    assert (await face.broker.account(face.group)).orderable < before.orderable
    cancel = await face.broker.cancel(order)
    gone = await face.find(ack.order_no)
    assert (gone.remaining_quantity, gone.cancelled_quantity) == (0, 100)
    assert (await face.find(cancel.order_no)).original_no == ack.order_no
    assert (await face.broker.account(face.group)).orderable == before.orderable


@on(*ABROAD)
async def test_an_order_abroad_fills_and_is_held(face):
    order = face.marketable(Side.BUY, 100)
    ack = await face.broker.submit(order)
    seen = await face.find(ack.order_no)
    assert 0 < seen.filled_quantity <= 100
    held = (await face.broker.account(face.group)).holding(face.instrument.symbol)
    assert held.quantity == seen.filled_quantity
    assert abs(held.average_price - seen.filled_amount / seen.filled_quantity) < Decimal("0.001")


@on(MarketGroup.JP, MarketGroup.HK)
async def test_an_order_in_tokyo_and_hong_kong_can_be_modified(face):
    ack = await face.broker.submit(face.resting(100))
    original = await face.find(ack.order_no)
    price = face.below(original.limit_price, Decimal("0.99"))
    changed = await face.broker.modify(original, limit_price=str(price))
    new = await face.find(changed.order_no)
    assert (new.remaining_quantity, new.limit_price) == (100, price)
    assert new.original_no == ack.order_no


@on(MarketGroup.CN, MarketGroup.VN)
async def test_an_order_in_china_and_vietnam_can_only_be_cancelled(face):
    if face.kis is None:
        pytest.skip("the exchange itself takes modifies; it is the broker that does not")
    ack = await face.broker.submit(face.resting(100))
    order = await face.find(ack.order_no)
    with pytest.raises(NotOffered, match="cancel instead"):
        await face.broker.modify(order, limit_price=str(order.limit_price))
    assert (await face.find(ack.order_no)).remaining_quantity == 100


@on(*MarketGroup)
async def test_what_is_open_buyable_and_sellable_is_what_the_exchange_says(face):
    if face.kis is None:
        pytest.skip("asked of the broker's own queries")
    broker, item = face.kis.broker, face.instrument
    await broker.submit(face.marketable(Side.BUY, 100))
    resting = await broker.submit(face.resting(100))
    [order] = [o for o in await broker.open_orders(face.group) if o.order_no == resting.order_no]
    assert order == await face.find(resting.order_no)
    account = await broker.account(face.group)
    assert await broker.sellable(item) == account.holding(item.symbol).sellable
    price = face.quote(item).last
    buyable = await broker.buyable(item, price)
    assert 0 < buyable * price <= account.orderable
    if not face.paper:
        deposits = await broker.deposits()
        assert face.group is MarketGroup.KR or deposits[account.currency] == CASH[face.group]


async def test_an_order_fills_later_when_the_market_comes_to_it(face):
    symbol = face.instrument.symbol
    book = face.venue.order_book(symbol)
    ack = await face.broker.submit(face.order(Side.BUY, 3, book.bids[0].price))
    face.venue.advance_to(face.venue.now + timedelta(hours=4))
    seen = await face.find(ack.order_no)
    assert seen.filled_quantity + seen.remaining_quantity == 3
    held = (await face.broker.account(face.group)).holding(symbol)
    assert (held.quantity if held else 0) == seen.filled_quantity


@pytest.mark.parametrize("what", ["cash", "shares", "grid"])
async def test_a_refused_order_leaves_no_trace(face, what):
    price = face.quote(face.instrument).last
    order = {
        "cash": lambda: face.marketable(Side.BUY, 10**7),
        "shares": lambda: face.marketable(Side.SELL, 1),
        "grid": lambda: face.order(Side.BUY, 1, price * 100 + (1 if price > 5000 else 0)),
    }[what]()
    if what == "grid" and face.group is MarketGroup.US:
        pytest.skip("no daily price limit in the US, and every cent is on the grid")
    with pytest.raises((OrderRejected, NotOffered)) as caught:
        await face.broker.submit(order)
    # The client does not even send a price that is off the grid.
    assert caught.value.code or what == "grid"
    assert not await face.broker.orders(face.group, SESSION)
    assert (await face.broker.account(face.group)).orderable == CASH[face.group]


async def test_an_order_that_is_done_cannot_be_cancelled_or_modified(face):
    ack = await face.broker.submit(face.marketable(Side.BUY, 2))
    done = await face.find(ack.order_no)
    stale = replace(done, remaining_quantity=2, filled_quantity=0)
    for order in (done, stale):
        with pytest.raises(OrderRejected):
            await face.broker.cancel(order)
        with pytest.raises(OrderRejected):
            await face.broker.modify(order, limit_price=str(done.limit_price))
    assert len(await face.broker.orders(face.group, SESSION)) == 1


async def test_only_an_approved_order_can_be_submitted(face):
    with pytest.raises(TypeError):
        await face.broker.submit(face.resting(1).intent)
    assert not await face.broker.orders(face.group, SESSION)


async def test_orders_of_another_session_are_not_listed(face):
    await face.broker.submit(face.resting(1))
    assert not await face.broker.orders(face.group, SESSION - timedelta(days=1))


async def test_every_order_of_a_long_day_is_listed_oldest_first(face):
    sent = [(await face.broker.submit(face.resting(1))).order_no for _ in range(105)]
    listed = [order.order_no for order in await face.broker.orders(face.group, SESSION)]
    assert listed == sent
    assert len(set(sent)) == 105
