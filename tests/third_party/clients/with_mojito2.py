"""mojito2 against the twin: its base URL is an attribute that one method sets.

The address of its socket is written into a function, so the name of that host is sent elsewhere.
"""

from __future__ import annotations

from checklist import (
    APP_KEY,
    APP_SECRET,
    HTS_ID,
    Checklist,
    Setting,
    Twin,
    increment,
    same,
    send_elsewhere,
    until,
)
from mojito import koreainvestment

setting = Setting()
checks = Checklist()


def redirect(self, mock=True):
    self.base_url = setting.urls["paper" if mock else "real"]


koreainvestment.KoreaInvestment.set_base_url = redirect


def broker_of(exchange="서울"):
    return koreainvestment.KoreaInvestment(
        APP_KEY, APP_SECRET, setting.account, exchange=exchange, mock=setting.paper
    )


def accepted(reply):
    assert reply["rt_cd"] == "0", reply
    return reply["output"]


def trade():
    twin = Twin(setting.url)
    broker = None
    with checks.check("token"):
        broker = broker_of()
        assert broker.access_token.startswith("Bearer ")
    with checks.check("quote"):
        quote = accepted(broker.fetch_price(setting.kr))
        assert int(quote["stck_llam"]) < int(quote["stck_prpr"]) < int(quote["stck_mxpr"])
        low, high, last = (int(quote[key]) for key in ("stck_llam", "stck_mxpr", "stck_prpr"))
    with checks.check("100 daily bars"):
        bars = broker.fetch_ohlcv(
            setting.kr, "D", setting.days_before(300), setting.compact_session
        )["output2"]
        same(len(bars), 100, "bars")
        days = [bar["stck_bsop_date"] for bar in bars]
        same(days, sorted(days, reverse=True), "newest first")
        same(days[0], setting.compact_session, "the newest bar is today's")
    with checks.check("balance"):
        balance = broker.fetch_balance()
        same(balance["output1"], [], "holdings at first")
        same(int(balance["output2"][0]["dnca_tot_amt"]), 50_000_000, "deposit")
    with checks.check("buying power"):
        power = accepted(broker.check_buy_order(setting.kr, last, "00"))
        assert 0 < int(power["ord_psbl_cash"]) <= 50_000_000, power
    with checks.check("limit buy that fills"):
        order = accepted(broker.create_limit_buy_order(setting.kr, high, 10))
        twin.advance(60)
        same(twin.order(order["ODNO"])["filled_quantity"], 10, "filled")
        held = broker.fetch_balance()["output1"]
        same([(row["pdno"], row["hldg_qty"]) for row in held], [(setting.kr, "10")], "holdings")
    with checks.check("limit buy that rests"):
        resting = accepted(broker.create_limit_buy_order(setting.kr, low, 5))
        twin.advance(60)
        same(twin.order(resting["ODNO"])["remaining_quantity"], 5, "remaining")
    with checks.check("modify"):
        changed = accepted(
            broker.modify_order(
                resting["KRX_FWDG_ORD_ORGNO"],
                resting["ODNO"],
                "00",
                low + increment(low),
                5,
                True,
            )
        )
        assert changed["ODNO"] != resting["ODNO"]
        same(twin.order(resting["ODNO"])["remaining_quantity"], 0, "the old order")
        same(twin.order(changed["ODNO"])["remaining_quantity"], 5, "the new order")
    with checks.check("cancel"):
        accepted(broker.cancel_order(changed["KRX_FWDG_ORD_ORGNO"], changed["ODNO"], 5, True))
        same(twin.order(changed["ODNO"])["remaining_quantity"], 0, "remaining")
    with checks.check("sell"):
        order = accepted(broker.create_limit_sell_order(setting.kr, low, 10))
        twin.advance(60)
        same(twin.order(order["ODNO"])["filled_quantity"], 10, "filled")
    with checks.check("market order"):
        order = accepted(broker.create_market_buy_order(setting.kr, 1))
        twin.advance(60)
        same(twin.order(order["ODNO"])["filled_quantity"], 1, "filled")
    with checks.check("a price between two increments is refused"):
        reply = broker.create_limit_buy_order(setting.kr, low + 1, 1)
        assert reply["rt_cd"] != "0" and "호가단위" in reply["msg1"], reply
    with checks.check("an order beyond the cash is refused"):
        reply = broker.create_limit_buy_order(setting.kr, last, 100_000)
        assert reply["rt_cd"] != "0" and "주문가능금액" in reply["msg1"], reply


def trade_abroad():
    twin = Twin(setting.url)
    exchange = {"US_NASDAQ": "나스닥", "US_NYSE": "뉴욕", "US_AMEX": "아멕스"}[setting.us_market]
    twin.advance_to(setting.us_open_at)
    twin.advance(3600)
    broker = broker_of(exchange)
    with checks.check("overseas quote"):
        quote = accepted(broker.fetch_price(setting.us))
        last = float(quote["last"])
        assert last > 0, quote
    with checks.check("overseas daily bars"):
        bars = broker.fetch_ohlcv(setting.us, "D", end_day=setting.compact_session)["output2"]
        same(len(bars), 100, "bars")
    with checks.check("overseas order"):
        order = accepted(broker.create_limit_buy_order(setting.us, round(last * 1.05, 2), 3))
        twin.advance(60)
        same(twin.order(order["ODNO"])["filled_quantity"], 3, "filled")
    if setting.paper:
        checks.own_fault(
            "overseas sell",
            "the client sends the TR of a purchase",
            "BUY",
            lambda: twin.order(
                accepted(broker.create_limit_sell_order(setting.us, last, 1))["ODNO"]
            )["side"],
        )
    else:
        with checks.check("overseas sell"):
            order = accepted(broker.create_limit_sell_order(setting.us, round(last * 0.95, 2), 1))
            twin.advance(60)
            same(twin.order(order["ODNO"])["filled_quantity"], 1, "filled")
    with checks.check("overseas balance"):
        present = broker.fetch_present_balance()
        assert float(present["output3"]["frcr_evlu_tota"]) > 0, present
        if not setting.paper:
            held = {row["pdno"]: row["ccld_qty_smtl1"] for row in present["output1"]}
            same(float(held[setting.us]), 2, "held")


def stream():
    """Its socket is a process of its own, started as a copy of this one."""
    twin, broker = Twin(setting.url), broker_of()
    high = int(accepted(broker.fetch_price(setting.kr))["stck_mxpr"])
    send_elsewhere("ops.koreainvestment.com", twin.host)
    socket = koreainvestment.KoreaInvestmentWS(
        APP_KEY, APP_SECRET, ["H0STCNT0", "H0STASP0"], [setting.kr], user_id=HTS_ID
    )
    socket.base_url = setting.url
    got = {"체결": [], "호가": [], "체잔": []}

    def heard(kind):
        while not socket.queue.empty():
            name, fields = socket.get()
            got[name].append(fields)
        return got[kind]

    def moved():
        twin.advance(20)
        return heard("체결")

    with checks.check("WebSocket trade stream"):
        socket.start()
        until(moved, "a trade")
        same(got["체결"][-1]["유가증권단축종목코드"], setting.kr, "symbol")
        assert 0 < int(got["체결"][-1]["주식현재가"]) < high, got["체결"][-1]
    with checks.check("WebSocket order book"):
        until(lambda: heard("호가"), "an order book")
        book = got["호가"][-1]
        assert int(book["매수호가01"]) < int(book["매도호가01"]), book
    with checks.check("WebSocket fill notice"):
        order = accepted(broker.create_limit_buy_order(setting.kr, high, 3))
        twin.advance(60)

        def filled():
            fills = [row for row in heard("체잔") if row["체결여부"] == "2"]
            return sum(int(row["체결수량"]) for row in fills)

        until(lambda: filled() == 3, "the fill")
        same({int(row["주문번호"]) for row in got["체잔"]}, {int(order["ODNO"])}, "orders")
    socket.terminate()


trade()
if setting.paper:
    checks.not_offered("WebSocket trade stream", "the client opens the real host's socket only")
    checks.not_offered("WebSocket order book", "the client opens the real host's socket only")
    checks.not_offered("WebSocket fill notice", "the client opens the real host's socket only")
else:
    stream()
trade_abroad()
checks.finish()
