"""kis-agent against the twin: it takes its base URL, and its socket's URL, as arguments.

It knows a paper account by the host's name alone, and sends the real host's TRs all the same.
"""

from __future__ import annotations

import asyncio
import logging

import kis_agent.websocket.ws_agent as ws_agent
from checklist import APP_KEY, APP_SECRET, HTS_ID, Checklist, Setting, Twin, increment, same
from kis_agent import Agent
from kis_agent.websocket.ws_types import SubscriptionType

setting = Setting()
checks = Checklist()
twin = Twin(setting.url)
logging.disable(logging.CRITICAL)
code, product = setting.account.split("-")
agent = None


def accepted(reply):
    assert reply and reply["rt_cd"] == "0", reply
    return reply["output"]


def refused(reply):
    assert reply and reply["rt_cd"] != "0", reply
    return reply["msg1"]


with checks.check("token"):
    agent = Agent(APP_KEY, APP_SECRET, code, product, base_url=setting.url)
    assert agent.client.token
with checks.check("quote"):
    quote = accepted(agent.stock_api.get_stock_price(setting.kr))
    low, high, last = (int(quote[key]) for key in ("stck_llam", "stck_mxpr", "stck_prpr"))
    assert low < last < high, quote
with checks.check("100 daily bars"):
    reply = agent.stock_api.inquire_daily_itemchartprice(
        setting.kr, setting.days_before(300), setting.compact_session
    )
    same(len(reply["output2"]), 100, "bars")
with checks.check("balance"):
    balance = agent.account_api.get_account_balance()
    same(int(balance["output2"][0]["dnca_tot_amt"]), 50_000_000, "deposit")
with checks.check("limit buy that fills"):
    order = accepted(agent.order_stock_cash("buy", setting.kr, "00", "10", str(high)))
    twin.advance(60)
    same(twin.order(order["ODNO"])["filled_quantity"], 10, "filled")
with checks.check("limit buy that rests"):
    resting = accepted(agent.order_stock_cash("buy", setting.kr, "00", "5", str(low)))["ODNO"]
    twin.advance(60)
    same(twin.order(resting)["remaining_quantity"], 5, "remaining")
with checks.check("open orders"):
    rows = accepted(agent.account_api.inquire_psbl_rvsecncl())
    same([(row["pdno"], row["psbl_qty"]) for row in rows], [(setting.kr, "5")], "open")
with checks.check("modify"):
    price = low + increment(low)
    changed = accepted(agent.account_api.order_rvsecncl(resting, 5, price, "00", "01"))["ODNO"]
    same(twin.order(changed)["remaining_quantity"], 5, "remaining")
with checks.check("cancel"):
    accepted(agent.account_api.order_rvsecncl(changed, 5, 0, "00", "02"))
    same(twin.order(changed)["remaining_quantity"], 0, "remaining")
with checks.check("sell"):
    order = accepted(agent.order_stock_cash("sell", setting.kr, "00", "10", str(low)))
    twin.advance(60)
    same(twin.order(order["ODNO"])["filled_quantity"], 10, "filled")
with checks.check("market order"):
    order = accepted(agent.order_stock_cash("buy", setting.kr, "01", "1", "0"))
    twin.advance(60)
    same(twin.order(order["ODNO"])["filled_quantity"], 1, "filled")
with checks.check("a price between two increments is refused"):
    said = refused(agent.order_stock_cash("buy", setting.kr, "00", "1", str(low + 1)))
    assert "호가단위" in said, said
with checks.check("an order beyond the cash is refused"):
    said = refused(agent.order_stock_cash("buy", setting.kr, "00", "100000", str(last)))
    assert "주문가능금액" in said, said


async def stream():
    """What the client's handlers got for trades and for notices."""
    got = {SubscriptionType.STOCK_TRADE: [], SubscriptionType.STOCK_NOTICE: []}
    # It asks the wall clock whether Korea trades, and connects only then.
    ws_agent._is_after_market_close = lambda **_: False
    socket = ws_agent.WSAgent(
        agent.client.get_ws_approval_key(), url=setting.url.replace("http", "ws")
    )
    for kind, key in zip(got, (setting.kr, HTS_ID), strict=True):
        socket.register_handler(kind, lambda data, _, kind=kind: got[kind].append(data))
        socket.subscribe(kind, key)
    running = asyncio.create_task(socket.connect())

    async def until(condition):
        for _ in range(100):
            if condition():
                return
            await asyncio.sleep(0.05)

    await until(lambda: len(socket.active_subscriptions) == 2)
    subscribed = len(socket.active_subscriptions)
    await asyncio.to_thread(twin.advance, 60)
    await asyncio.to_thread(
        lambda: accepted(agent.order_stock_cash("buy", setting.kr, "00", "3", str(high)))
    )
    await asyncio.to_thread(twin.advance, 60)
    await until(lambda: all(got.values()))
    socket.auto_reconnect = False
    await socket.ws.close()
    running.cancel()
    return subscribed, *got.values()


with checks.check("WebSocket connects"):
    subscribed, trades, notices = asyncio.run(stream())
    same(subscribed, 2, "acknowledged subscriptions")
with checks.check("WebSocket trade stream"):
    assert setting.kr in str(trades[-1]), trades
checks.own_fault(
    "WebSocket fill notice",
    "the client looks for the mark of an encrypted frame in the wrong field and decrypts nothing",
    "still encrypted",
    lambda: "read" if setting.kr in str(notices) else f"still encrypted: {notices[-1]}",
)

twin.advance_to(setting.us_open_at)
twin.advance(3600)
with checks.check("overseas quote"):
    last = float(accepted(agent.overseas.get_price(excd="NAS", symb=setting.us))["last"])
    assert last > 0
with checks.check("overseas order"):
    order = accepted(agent.overseas.buy_order("NASD", setting.us, 3, round(last * 1.05, 2)))
    twin.advance(60)
    same(twin.order(order["ODNO"])["filled_quantity"], 3, "filled")
with checks.check("overseas balance"):
    rows = agent.overseas.get_balance()["output1"]
    assert any(row["ovrs_pdno"] == setting.us for row in rows), rows
checks.finish()
