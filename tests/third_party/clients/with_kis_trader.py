"""kis-trader against the twin: its hosts are two tables of one module."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import kis_trader._internal._endpoints as endpoints
from checklist import (
    APP_KEY,
    APP_SECRET,
    HTS_ID,
    Checklist,
    Setting,
    Twin,
    error_of,
    increment,
    same,
    until,
)
from kis_trader import KISClient

setting = Setting()
checks = Checklist()
twin = Twin(setting.url)
SESSION = date.fromisoformat(setting.session)
endpoints._BASE_URL_BY_ENVIRONMENT.update(setting.urls)
endpoints._WEBSOCKET_URL_BY_ENVIRONMENT.update(
    {name: url.replace("http", "ws") for name, url in setting.urls.items()}
)
client = KISClient(
    app_key=APP_KEY,
    app_secret=APP_SECRET,
    account=setting.account,
    environment=setting.personality,
    hts_id=HTS_ID,
    # The client's own brake is one call a second on the paper host.
    requests_per_second=20,
)
stock = client.domestic.stock(setting.kr)

with checks.check("token"):
    assert client.transport._token_manager.access_token()
with checks.check("quote"):
    quote = stock.quote()
    same((quote.symbol, quote.currency), (setting.kr, "KRW"), "the quote")
    low, high = (int(quote._raw[key]) for key in ("stck_llam", "stck_mxpr"))
    last = int(quote.current_price)
    assert low < last < high, quote
with checks.check("100 daily bars"):
    bars = stock.bars("1d", start=SESSION - timedelta(days=160), end=SESSION)
    assert len(bars) > 100, len(bars)
    days = [bar.timestamp.date() for bar in bars]
    same(days, sorted(set(days)), "each day once, oldest first")
    same(days[-1], SESSION, "the newest bar is today's")
with checks.check("order book"):
    book = stock.order_book()
    assert book.bids[0].price < book.asks[0].price, book
with checks.check("balance"):
    same(client.account.domestic.balance().deposit, Decimal(50_000_000), "deposit")
    same(client.account.domestic.positions(), [], "holdings at first")
with checks.check("limit buy that fills"):
    report = stock.buy(quantity=10, limit_price=high)
    twin.advance(60)
    same(twin.order(report.order_id)["filled_quantity"], 10, "filled")
    (held,) = client.account.domestic.positions()
    same((held.symbol, held.quantity), (setting.kr, 10), "held")
with checks.check("orders of the day"):
    history = client.account.domestic.order_history(
        start=setting.compact_session, end=setting.compact_session
    )
    same([order.filled_quantity for order in history.orders], [Decimal(10)], "filled")
with checks.check("limit buy that rests"):
    resting = stock.buy(quantity=5, limit_price=low)
    twin.advance(60)
    same(twin.order(resting.order_id)["remaining_quantity"], 5, "remaining")
if setting.paper:
    checks.not_offered("open orders", "the client knows that the paper host has no such list")
else:
    with checks.check("open orders"):
        same([o.symbol for o in client.account.domestic.open_orders()], [setting.kr], "open")
with checks.check("modify"):
    changed = client.orders.modify(resting.client_order_id, limit_price=low + increment(low))
    same(twin.order(changed.order_id)["remaining_quantity"], 5, "remaining")
with checks.check("cancel"):
    client.orders.cancel(resting.client_order_id)
    same(twin.order(changed.order_id)["remaining_quantity"], 0, "remaining")
with checks.check("sell"):
    report = stock.sell(quantity=10, limit_price=low)
    twin.advance(60)
    same(twin.order(report.order_id)["filled_quantity"], 10, "filled")
with checks.check("market order"):
    report = stock.buy(quantity=1)
    twin.advance(60)
    same(twin.order(report.order_id)["filled_quantity"], 1, "filled")
with checks.check("a price between two increments is refused"):
    said = error_of(lambda: stock.buy(quantity=1, limit_price=low + 1))
    assert "호가단위" in said, said
with checks.check("an order beyond the cash is refused"):
    said = error_of(lambda: stock.buy(quantity=100_000, limit_price=last))
    assert "주문가능금액" in said, said

ticks, books, notices = [], [], []
with checks.check("WebSocket connects"):
    live = client.realtime()
    live.domestic.stock(setting.kr).trades(on=ticks.append)
    live.domestic.stock(setting.kr).order_book(on=books.append)
    live.domestic.execution_notices.stock(HTS_ID, on=notices.append)
    live.start()
with checks.check("WebSocket trade stream"):

    def moved():
        # What was asked for has no acknowledgement the client shows, so the clock keeps going.
        twin.advance(30)
        return ticks

    until(moved, "a trade")
    same(ticks[-1].symbol, setting.kr, "symbol")
    assert low < ticks[-1].current_price < high, ticks[-1]
with checks.check("WebSocket order book"):
    until(lambda: books, "an order book")
    assert books[-1].best_bid < books[-1].best_ask, books[-1]
with checks.check("WebSocket fill notice"):
    report = stock.buy(quantity=3, limit_price=high)
    twin.advance(60)

    def filled():
        return sum(n.filled_quantity for n in notices if n.fill_status == "2")

    until(lambda: filled() == 3, f"the fill; got {notices}")
    assert any(n.fill_status == "1" for n in notices), "the acceptance was told too"
    same({int(n.order_id) for n in notices}, {int(report.order_id)}, "orders")
with checks.check("WebSocket closes"):
    live.stop()

twin.advance_to(setting.us_open_at)
twin.advance(3600)
exchange = {"US_NASDAQ": "NAS", "US_NYSE": "NYS", "US_AMEX": "AMS"}[setting.us_market]
foreign = client.overseas.stock(setting.us, exchange=exchange)
with checks.check("overseas quote"):
    price = (
        foreign.current_price().current_price if setting.paper else foreign.quote().current_price
    )
    assert price > 0
with checks.check("overseas daily bars"):
    bars = foreign.bars("1d", start=SESSION - timedelta(days=160), end=SESSION)
    assert len(bars) > 100, len(bars)
with checks.check("overseas order"):
    report = foreign.buy(
        quantity=3, limit_price=(price * Decimal("1.05")).quantize(Decimal("0.01"))
    )
    twin.advance(60)
    same(twin.order(report.order_id)["filled_quantity"], 3, "filled")
with checks.check("overseas balance"):
    held = client.account.overseas.positions(market="US")
    same([(h.symbol, h.quantity) for h in held], [(setting.us, Decimal(3))], "held")
client.close()
checks.finish()
