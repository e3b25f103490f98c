"""pykis against the twin: its domain takes any URL.

With a URL of one's own its domain has no kind, so the paper host is asked for by kind and the
address replaced afterwards.
"""

from __future__ import annotations

from checklist import APP_KEY, APP_SECRET, Checklist, Setting, Twin, error_of, increment, same
from pykis import Api, DomainInfo

setting = Setting()
checks = Checklist()
twin = Twin(setting.url)


def domain():
    if not setting.paper:
        return DomainInfo(url=setting.url)
    chosen = DomainInfo(kind="virtual")
    chosen.base_url = setting.url
    return chosen


code, product = setting.account.split("-")
api = Api(
    {"appkey": APP_KEY, "appsecret": APP_SECRET},
    domain(),
    {"account_code": code, "product_code": product},
)

with checks.check("token"):
    api.create_token()
    assert api.token.is_valid()
with checks.check("quote"):
    last = api.get_kr_current_price(setting.kr)
    low, high = api.get_kr_min_price(setting.kr), api.get_kr_max_price(setting.kr)
    assert low < last < high, (low, last, high)
with checks.check("daily bars"):
    bars = api.get_kr_ohlcv(setting.kr)
    same(len(bars), 30, "bars, all this call gives")
    same(bars.index[0].strftime("%Y%m%d"), setting.compact_session, "the newest bar is today's")
checks.not_offered("100 daily bars", "the client asks for the newest 30 only")
with checks.check("balance"):
    same(api.get_kr_deposit(), 50_000_000, "deposit")
    assert api.get_kr_stock_balance().empty
checks.own_fault(
    "buying power",
    "the client sends the TR of inquire-psbl-order to the path of inquire-daily-ccld",
    "없는 서비스 코드",
    api.get_kr_buyable_cash,
)
with checks.check("limit buy that fills"):
    order = api.buy_kr_stock(setting.kr, 10, high)
    twin.advance(60)
    same(twin.order(order["ODNO"])["filled_quantity"], 10, "filled")
    held = api.get_kr_stock_balance()
    same(int(held.loc[setting.kr]["보유수량"]), 10, "held")
with checks.check("limit buy that rests"):
    resting = api.buy_kr_stock(setting.kr, 5, low)["ODNO"]
    twin.advance(60)
    same(twin.order(resting)["remaining_quantity"], 5, "remaining")
if setting.paper:
    checks.own_fault(
        "open orders",
        "the client asks the paper host for a list that only the real one has",
        "없는 서비스 코드",
        api.get_kr_orders,
    )
else:
    with checks.check("open orders"):
        orders = api.get_kr_orders()
        same([int(number) for number in orders.index], [int(resting)], "numbers")
with checks.check("modify"):
    changed = api.revise_kr_order(resting, low + increment(low))["output"]["ODNO"]
    same(twin.order(changed)["remaining_quantity"], 5, "remaining")
with checks.check("cancel"):
    api.cancel_kr_order(changed)
    same(twin.order(changed)["remaining_quantity"], 0, "remaining")
with checks.check("sell"):
    order = api.sell_kr_stock(setting.kr, 10, low)
    twin.advance(60)
    same(twin.order(order["ODNO"])["filled_quantity"], 10, "filled")
with checks.check("market order"):
    order = api.buy_kr_stock(setting.kr, 1, 0)
    twin.advance(60)
    same(twin.order(order["ODNO"])["filled_quantity"], 1, "filled")
with checks.check("a price between two increments is refused"):
    said = error_of(lambda: api.buy_kr_stock(setting.kr, 1, low + 1))
    assert "호가단위" in said, said
with checks.check("an order beyond the cash is refused"):
    said = error_of(lambda: api.buy_kr_stock(setting.kr, 100_000, last))
    assert "주문가능금액" in said, said
checks.not_offered("WebSocket trade stream", "the client has no WebSocket")
checks.not_offered("WebSocket fill notice", "the client has no WebSocket")
checks.not_offered("overseas quote", "the client knows Korea only")
checks.not_offered("overseas order", "the client knows Korea only")
checks.finish()
