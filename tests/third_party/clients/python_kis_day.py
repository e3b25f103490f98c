"""The day of python-kis and of its fork vm-stock-kis, whose calls have the same names."""

from __future__ import annotations

import time
from datetime import date, timedelta
from decimal import Decimal

from checklist import Checklist, Setting, Twin, error_of, increment, same, until

setting = Setting()
checks = Checklist()
SESSION = date.fromisoformat(setting.session)


def trade(kis):
    """The account's side; quotes come from the real host whatever the account's is."""
    twin = Twin(setting.url)
    with checks.check("token"):
        token = kis.primary_token
        assert token.token, token
    with checks.check("quote"):
        stock = kis.stock(setting.kr)
        same((stock.symbol, stock.market), (setting.kr, "KRX"), "the stock")
        quote = stock.quote()
        assert quote.low_limit < quote.price < quote.high_limit, quote
        low, high, last = int(quote.low_limit), int(quote.high_limit), int(quote.price)
    with checks.check("balance"):
        balance = kis.account().balance("KR")
        same(list(balance.stocks), [], "holdings at first")
        same(balance.deposits["KRW"].amount, Decimal(50_000_000), "deposit")
    with checks.check("buying power"):
        amount = stock.orderable_amount(price=last)
        assert 0 < amount.qty <= 50_000_000 // last, amount
    with checks.check("limit buy that fills"):
        order = stock.buy(price=high, qty=10)
        twin.advance(60)
        same(twin.order(order.number)["filled_quantity"], 10, "filled")
        held = kis.account().balance("KR").stock(setting.kr)
        same(held.qty, 10, "held")
        assert low < held.purchase_price < high, held
    with checks.check("orders of the day"):
        orders = kis.account().daily_orders(start=SESSION, end=SESSION, country="KR").orders
        same([(o.symbol, o.executed_quantity) for o in orders], [(setting.kr, 10)], "orders")
    with checks.check("limit buy that rests"):
        resting = stock.buy(price=low, qty=5)
        twin.advance(60)
        same(twin.order(resting.number)["remaining_quantity"], 5, "remaining")
        if not setting.paper:
            pending = kis.account().pending_orders("KR").orders
            same([(o.symbol, o.pending_quantity) for o in pending], [(setting.kr, 5)], "pending")
    if setting.paper:
        checks.not_offered("modify", "the client refuses to modify paper orders")
    else:
        with checks.check("modify"):
            changed = resting.modify(price=low + increment(low))
            assert changed.number != resting.number
            same(twin.order(changed.number)["limit_price"], str(low + increment(low)), "price")
            resting = changed
    with checks.check("cancel"):
        resting.cancel()
        same(twin.order(resting.number)["remaining_quantity"], 0, "remaining")
    with checks.check("sell"):
        order = stock.sell(price=low, qty=10)
        twin.advance(60)
        same(twin.order(order.number)["filled_quantity"], 10, "filled")
    with checks.check("market order"):
        order = stock.buy(qty=1)
        twin.advance(60)
        same(twin.order(order.number)["filled_quantity"], 1, "filled")
    with checks.check("a price between two increments is refused"):
        said = error_of(lambda: stock.buy(price=low + 1, qty=1))
        assert "호가단위" in said, said
    with checks.check("an order beyond the cash is refused"):
        said = error_of(lambda: stock.buy(price=last, qty=100_000))
        assert "주문가능금액" in said, said


def read_prices(kis):
    with checks.check("100 daily bars"):
        stock = kis.stock(setting.kr)
        start = SESSION - timedelta(days=160)
        bars = stock.chart(start=start, end=SESSION, period="day").bars
        assert len(bars) > 100, len(bars)
        days = [bar.time.date() for bar in bars]
        same(days, sorted(set(days)), "each day once, oldest first")
        same(days[-1], SESSION, "the newest bar is today's")
    with checks.check("minute bars"):
        bars = stock.chart("1d", period=1).bars
        assert len(bars) >= 30, len(bars)
    with checks.check("order book"):
        book = stock.orderbook()
        assert book.bid_price.price < book.ask_price.price, book


def registered(client):
    """What either of the client's sockets was told is registered."""
    second = client._primary_client
    return client._registered_subscriptions | (
        second._registered_subscriptions if second else set()
    )


def stream(kis):
    """Prices come over the real host's socket, notices over the account's."""
    twin, client = Twin(setting.url), kis.websocket
    notices, kept = [], []
    with checks.check("WebSocket connects"):
        kept.append(kis.account().on("execution", lambda _, args: notices.append(args.response)))
        until(lambda: any("H0STCNI" in tr.id for tr in registered(client)), "an acknowledgement")
    with checks.check("WebSocket fill notice"):
        stock = kis.stock(setting.kr)
        order = stock.buy(price=int(stock.quote().high_limit), qty=3)
        twin.advance(60)
        until(lambda: sum(n.executed_quantity for n in notices) == 3, "the fill")
        same({int(n.order_number.number) for n in notices}, {int(order.number)}, "orders")
        same({str(n.account_number) for n in notices}, {setting.account}, "account")
        assert any(n.receipt for n in notices), "the acceptance was not told"
    if setting.paper:
        why = "the client asks the paper host for the real socket's key; twins do not share keys"

        def price_registered():
            kept.append(stock.on("price", lambda *_: None))
            time.sleep(2)
            return [tr for tr in registered(client) if tr.id == "H0STCNT0"]

        checks.limit("WebSocket trade stream", why, "[]", price_registered)
        checks.not_offered("WebSocket order book", why)
    else:
        stream_prices(client, stock, kept)
    for ticket in kept:
        ticket.unsubscribe()
    client.disconnect()


def stream_prices(client, stock, kept):
    twin, ticks, books = Twin(setting.urls["real"]), [], []
    with checks.check("WebSocket trade stream"):
        kept.append(stock.on("price", lambda _, args: ticks.append(args.response)))
        kept.append(stock.on("orderbook", lambda _, args: books.append(args.response)))
        until(lambda: registered(client) == client.subscriptions, "all acknowledgements")
        twin.advance(120)
        until(lambda: ticks, "a trade")
        same(ticks[-1].symbol, setting.kr, "symbol")
        price = stock.quote().price
        until(lambda: ticks[-1].price == price, "the price of the quote")
    with checks.check("WebSocket order book"):
        until(lambda: books, "an order book")
        assert books[-1].bid_price.price < books[-1].ask_price.price, books[-1]


def trade_abroad(kis):
    twins = [Twin(url) for url in setting.urls.values()]
    for twin in twins:
        twin.advance_to(setting.us_open_at + timedelta(hours=1))
    twin = Twin(setting.url)
    market = setting.us_market.removeprefix("US_")
    with checks.check("overseas quote"):
        stock = kis.stock(setting.us, market="US")
        same((stock.symbol, stock.market), (setting.us, market), "the stock")
        quote = stock.quote()
        assert quote.price > 0, quote
    with checks.check("overseas daily bars"):
        start = SESSION - timedelta(days=160)
        bars = stock.chart(start=start, end=SESSION, period="day").bars
        assert len(bars) > 100, len(bars)
    with checks.check("overseas order"):
        price = (quote.price * Decimal("1.05")).quantize(Decimal("0.01"))
        order = stock.buy(price=price, qty=3)
        for each in twins:
            each.advance(60)
        same(twin.order(order.number)["filled_quantity"], 3, "filled")
    with checks.check("overseas balance"):
        held = kis.account().balance("US").stock(setting.us)
        assert held is not None and held.qty == 3, held
    with checks.check("overseas modify and cancel"):
        price = (quote.price * Decimal("0.8")).quantize(Decimal("0.01"))
        resting = stock.buy(price=price, qty=2)
        changed = resting.modify(price=price + Decimal("0.01"))
        same(twin.order(changed.number)["remaining_quantity"], 2, "remaining")
        changed.cancel()
        same(twin.order(changed.number)["remaining_quantity"], 0, "remaining")


def play(kis):
    """Everything; ``kis`` is the client, made and pointed at the twin."""
    read_prices(kis)
    trade(kis)
    stream(kis)
    trade_abroad(kis)
    checks.finish()
