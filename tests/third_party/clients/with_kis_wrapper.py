"""kis-wrapper against the twin: its hosts are a module's table, its socket's a property."""

from __future__ import annotations

import asyncio

import kis.auth
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
)
from kis import KIS, domestic, overseas
from kis.ws import WSClient

setting = Setting()
checks = Checklist()
twin = Twin(setting.url)
kis.auth._URLS.update(prod=setting.urls["real"], paper=setting.urls["paper"])
WSClient._ws_url = setting.url.replace("http", "ws")
client = KIS(APP_KEY, APP_SECRET, setting.account, env="paper" if setting.paper else "prod")

with checks.check("token"):
    assert kis.auth.get_token(APP_KEY, APP_SECRET, client.env)
with checks.check("quote"):
    quote = domestic.price(client, setting.kr)
    low, high, last = (int(quote[key]) for key in ("stck_llam", "stck_mxpr", "stck_prpr"))
    assert low < last < high, quote
with checks.check("daily bars"):
    same(len(domestic.daily(client, setting.kr)), 30, "bars, all this call gives")
checks.not_offered("100 daily bars", "the client asks for the newest 30 only")
with checks.check("balance"):
    answer = domestic.balance(client)
    same(answer["output1"], [], "holdings at first")
    same(int(answer["output2"][0]["dnca_tot_amt"]), 50_000_000, "deposit")
with checks.check("limit buy that fills"):
    order = domestic.buy(client, setting.kr, 10, high)
    twin.advance(60)
    same(twin.order(order["ODNO"])["filled_quantity"], 10, "filled")
    same(domestic.position(client, setting.kr)["qty"], 10, "held")
with checks.check("limit buy that rests"):
    resting = domestic.buy(client, setting.kr, 5, low)["ODNO"]
    twin.advance(60)
    same(twin.order(resting)["remaining_quantity"], 5, "remaining")
if setting.paper:
    checks.own_fault(
        "open orders",
        "the client asks the paper host for a list that only the real one has",
        "OPSQ0002",
        lambda: domestic.pending_orders(client),
    )
else:
    with checks.check("open orders"):
        rows = domestic.pending_orders(client)
        same([(row["pdno"], row["psbl_qty"]) for row in rows], [(setting.kr, "5")], "open")
with checks.check("modify"):
    changed = domestic.modify(client, resting, 5, low + increment(low))["ODNO"]
    same(twin.order(changed)["remaining_quantity"], 5, "remaining")
with checks.check("cancel"):
    domestic.cancel(client, changed, 5)
    same(twin.order(changed)["remaining_quantity"], 0, "remaining")
with checks.check("sell"):
    order = domestic.sell(client, setting.kr, 10, low)
    twin.advance(60)
    same(twin.order(order["ODNO"])["filled_quantity"], 10, "filled")
with checks.check("market order"):
    order = domestic.buy(client, setting.kr, 1)
    twin.advance(60)
    same(twin.order(order["ODNO"])["filled_quantity"], 1, "filled")
with checks.check("a price between two increments is refused"):
    said = error_of(lambda: domestic.buy(client, setting.kr, 1, low + 1))
    assert "호가단위" in said, said
with checks.check("an order beyond the cash is refused"):
    said = error_of(lambda: domestic.buy(client, setting.kr, 100_000, last))
    assert "주문가능금액" in said, said


async def stream(tr_id, key, cause):
    """What the client's callback gets from one subscription within a few seconds."""
    got, socket = [], WSClient(client, max_retries=0)
    await socket.connect()
    await socket.subscribe(tr_id, [key], got.append)
    running = asyncio.create_task(socket.run())
    await asyncio.sleep(0.5)
    await asyncio.to_thread(cause)
    for _ in range(40):
        if got:
            break
        await asyncio.sleep(0.05)
    await socket.close()
    running.cancel()
    return got


checks.own_fault(
    "WebSocket trade stream",
    "the client subscribes without an approval key",
    "[]",
    lambda: asyncio.run(stream("H0STCNT0", setting.kr, lambda: twin.advance(60))),
)
checks.own_fault(
    "WebSocket fill notice",
    "the client subscribes without an approval key",
    "[]",
    lambda: asyncio.run(stream("H0STCNI0", HTS_ID, lambda: twin.advance(60))),
)

twin.advance_to(setting.us_open_at)
twin.advance(3600)
exchange = {"US_NASDAQ": "NAS", "US_NYSE": "NYS", "US_AMEX": "AMS"}[setting.us_market]
with checks.check("overseas quote"):
    last = float(overseas.price(client, setting.us, exchange)["last"])
    assert last > 0
checks.own_fault(
    "overseas order book",
    "the client sends the TR of price-detail to the path of the order book",
    "OPSQ0002",
    lambda: overseas.orderbook(client, setting.us, exchange),
)
checks.own_fault(
    "overseas order",
    "the client sends the TR of the real host to the paper host"
    if setting.paper
    else "the client names the exchange by its quote code",
    # Of a refusal by HTTP status the client tells the status alone.
    "500 Internal Server Error" if setting.paper else "INVALID_CHECK_OVRS_EXCG_CD",
    lambda: overseas.buy(client, setting.us, exchange, 3, round(last * 1.05, 2)),
)
checks.finish()
