"""Where orders go: the table of routes against the portal's sheets, and the hours of each."""

import re
from datetime import datetime
from itertools import product
from zoneinfo import ZoneInfo

import pytest

from trading_core.adapters.kis.routes import (
    DOMESTIC_VENUES,
    ROUTES,
    change_route,
    order_route,
)
from trading_core.adapters.kis.windows import Window, window_at
from trading_core.errors import NotOffered
from trading_core.model.market import Market, MarketGroup
from trading_core.model.order import OrderType, Side
from trading_core.rules.markets import market_info

W = Window
LIMIT, MARKET = OrderType.LIMIT, OrderType.MARKET
_SHEET = """
KR        TTTC0012U VTTC0012U TTTC0011U VTTC0011U TTTC0013U VTTC0013U modify
US_NASDAQ TTTT1002U VTTT1002U TTTT1006U VTTT1001U TTTT1004U VTTT1004U modify
US_NYSE   TTTT1002U VTTT1002U TTTT1006U VTTT1001U TTTT1004U VTTT1004U modify
US_AMEX   TTTT1002U VTTT1002U TTTT1006U VTTT1001U TTTT1004U VTTT1004U modify
HK        TTTS1002U VTTS1002U TTTS1001U VTTS1001U TTTS1003U VTTS1003U modify
CN_SHA    TTTS0202U VTTS0202U TTTS1005U VTTS1005U TTTS0302U VTTS0302U cancel-only
CN_SZA    TTTS0305U VTTS0305U TTTS0304U VTTS0304U TTTS0306U VTTS0306U cancel-only
JP        TTTS0308U VTTS0308U TTTS0307U VTTS0307U TTTS0309U VTTS0309U modify
VN_HNX    TTTS0311U VTTS0311U TTTS0310U VTTS0310U TTTS0312U VTTS0312U cancel-only
VN_HSX    TTTS0311U VTTS0311U TTTS0310U VTTS0310U TTTS0312U VTTS0312U cancel-only
"""
_ROWS = [line.split() for line in _SHEET.strip().splitlines()]
_HOME, _ABROAD = "/uapi/domestic-stock/v1/trading", "/uapi/overseas-stock/v1/trading"


def find(mode, market, side=Side.BUY, kind=LIMIT, window=W.CONTINUOUS, venue=""):
    return order_route(mode, market, side, kind, window, venue or market_info(market).order_code)


@pytest.mark.parametrize("row", _ROWS, ids=[row[0] for row in _ROWS])
def test_every_order_in_the_session_has_the_id_of_the_sheet(row):
    market = Market(row[0])
    routes = [
        find(mode, market, side) for side, mode in product((Side.BUY, Side.SELL), ("real", "paper"))
    ]
    cancels = [change_route(mode, market, cancel=True) for mode in ("real", "paper")]
    assert [route.tr_id for route in routes] + [tr_id for _, tr_id in cancels] == row[1:7]
    home = market is Market.KR
    assert {r.path for r in routes} == {f"{_HOME}/order-cash" if home else f"{_ABROAD}/order"}
    assert {path for path, _ in cancels} == {f"{_HOME if home else _ABROAD}/order-rvsecncl"}
    assert {route.venue for route in routes} == {market_info(market).order_code}


@pytest.mark.parametrize("row", _ROWS, ids=[row[0] for row in _ROWS])
@pytest.mark.parametrize("mode", ["real", "paper"])
def test_shanghai_shenzhen_and_vietnam_can_only_cancel(row, mode):
    market = Market(row[0])
    if row[7] == "modify":
        change = change_route(mode, market, cancel=False)
        assert change == change_route(mode, market, cancel=True)
    else:
        with pytest.raises(NotOffered, match=f"modifying.*{market}.*{mode}"):
            change_route(mode, market, cancel=False)


# Which windows take a limit order, and its code; "M" where a market order is taken too.
_HOURS = {
    ("real", "KRX"): {
        W.OPENING_AUCTION: "00M", W.CONTINUOUS: "00M", W.CLOSING_AUCTION: "00M",
        W.AFTER_MARKET: "41",
    },
    ("real", "NXT"): {W.PRE_MARKET: "27", W.CONTINUOUS: "00", W.AFTER_MARKET: "00"},
    ("real", "SOR"): {W.OPENING_AUCTION: "00M", W.CONTINUOUS: "00M", W.CLOSING_AUCTION: "00M"},
    ("paper", "KRX"): {W.CONTINUOUS: "00M", W.CLOSING_AUCTION: "00M"},
    ("paper", "NXT"): {},
    ("paper", "SOR"): {},
}  # fmt: skip


@pytest.mark.parametrize(("mode", "venue"), list(_HOURS))
@pytest.mark.parametrize("window", list(Window))
@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("kind", list(OrderType))
def test_a_korean_order_has_the_code_of_its_hour_or_is_refused(mode, venue, window, side, kind):
    wanted = _HOURS[mode, venue].get(window, "")
    if wanted and (kind is LIMIT or wanted.endswith("M")):
        route = find(mode, Market.KR, side, kind, window, venue)
        assert route.kinds[kind] == ("01" if kind is MARKET else wanted[:2])
        assert route.venue == venue
    else:
        with pytest.raises(NotOffered, match=venue if venue != "KRX" else "KR"):
            find(mode, Market.KR, side, kind, window, venue)


_SESSION = {W.CONTINUOUS, W.CLOSING_AUCTION}
_WINDOWS_ABROAD = {
    ("real", MarketGroup.US): _SESSION - {W.CLOSING_AUCTION}
    | {W.PRE_MARKET, W.AFTER_MARKET, W.DAY_SESSION},
    ("paper", MarketGroup.US): {W.CONTINUOUS},
    ("real", MarketGroup.JP): _SESSION | {W.OPENING_AUCTION, W.LUNCH},
    ("paper", MarketGroup.JP): _SESSION | {W.LUNCH},
    **{
        (mode, group): _SESSION | ({W.OPENING_AUCTION} if mode == "real" else set())
        for mode in ("real", "paper")
        for group in (MarketGroup.HK, MarketGroup.CN, MarketGroup.VN)
    },
}


@pytest.mark.parametrize(("mode", "group"), list(_WINDOWS_ABROAD))
@pytest.mark.parametrize("window", list(Window))
def test_abroad_only_limit_orders_are_taken_and_only_in_their_hours(mode, group, window):
    for market, side in product(group.markets, Side):
        with pytest.raises(NotOffered, match=f"market orders in {market}.*{mode}"):
            find(mode, market, side, MARKET, window)
        if window in _WINDOWS_ABROAD[mode, group]:
            assert find(mode, market, side, LIMIT, window).kinds == {LIMIT: "00"}
        else:
            with pytest.raises(NotOffered, match=re.escape(window.when)):
                find(mode, market, side, LIMIT, window)


def test_the_us_day_session_has_a_path_and_ids_of_its_own_and_no_paper():
    for side, tr_id in ((Side.BUY, "TTTS6036U"), (Side.SELL, "TTTS6037U")):
        route = find("real", Market.US_NYSE, side, LIMIT, W.DAY_SESSION)
        assert (route.path, route.tr_id) == (f"{_ABROAD}/daytime-order", tr_id)
        assert route.venue == "NYSE"
    for cancel in (True, False):
        change = change_route("real", Market.US_NYSE, cancel=cancel, day_session=True)
        assert change == (f"{_ABROAD}/daytime-order-rvsecncl", "TTTS6038U")


def test_every_refusal_is_a_sentence_that_says_what_to_change():
    for args, words in (
        (("real", Market.US_NASDAQ, Side.BUY, MARKET), "use a limit order"),
        (("paper", Market.KR, Side.BUY, LIMIT, W.PRE_OPEN), "before the market opens"),
        (("paper", Market.KR, Side.BUY, LIMIT, W.CONTINUOUS, "NXT"), "paper host.*to NXT"),
        (("real", Market.HK, Side.SELL, LIMIT, W.LUNCH), "lunch break"),
        (("real", Market.KR, Side.BUY, MARKET, W.AFTER_MARKET), "after-market.*limit order"),
        (("real", Market.KR, Side.BUY, LIMIT, W.AFTER_CLOSE), "after the close"),
    ):
        with pytest.raises(NotOffered, match=words):
            find(*args)


def test_no_old_id_is_used():
    used = {route.tr_id for route in ROUTES.values()}
    used |= {
        change_route(m, market, cancel=True)[1] for m, market in product(("real", "paper"), Market)
    }
    assert not [tr_id for tr_id in used if re.fullmatch(r"[TV]TTC08\d\dU|J\w+", tr_id)]
    for (mode, *_), route in ROUTES.items():
        assert route.tr_id.startswith("T" if mode == "real" else "V")


def at(zone, text):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


_SEOUL = [
    ("07:59:59", W.PRE_OPEN, W.PRE_OPEN), ("08:00:00", W.PRE_OPEN, W.PRE_MARKET),
    ("08:30:00", W.OPENING_AUCTION, W.PRE_MARKET), ("08:50:00", W.OPENING_AUCTION, None),
    ("09:00:00", W.CONTINUOUS, None), ("09:00:30", W.CONTINUOUS, W.CONTINUOUS),
    ("15:19:59", W.CONTINUOUS, W.CONTINUOUS), ("15:20:00", W.CLOSING_AUCTION, None),
    ("15:30:00", W.AFTER_CLOSE, None), ("15:40:00", W.AFTER_CLOSE, W.AFTER_MARKET),
    ("15:59:59", W.AFTER_CLOSE, W.AFTER_MARKET), ("16:00:00", W.AFTER_MARKET, W.AFTER_MARKET),
    ("19:59:59", W.AFTER_MARKET, W.AFTER_MARKET), ("20:00:00", W.AFTER_CLOSE, None),
]  # fmt: skip


@pytest.mark.parametrize(("time", "krx", "nxt"), _SEOUL)
def test_the_hours_of_the_two_korean_exchanges(time, krx, nxt):
    moment = at("Asia/Seoul", f"2026-11-20T{time}")
    assert window_at(MarketGroup.KR, "KRX", moment) is krx
    found = window_at(MarketGroup.KR, "NXT", moment)
    # Nothing of the NXT's own: whatever it is called, the NXT takes no orders in it.
    taken = {key[3] for key in ROUTES if key[4] == "NXT"}
    assert found is nxt if nxt is not None else found not in taken


def test_the_day_of_the_exam_moves_everything_before_the_evening_by_an_hour():
    day = "2026-11-19"
    assert window_at(MarketGroup.KR, "NXT", at("Asia/Seoul", f"{day}T09:00")) is W.PRE_MARKET
    assert window_at(MarketGroup.KR, "KRX", at("Asia/Seoul", f"{day}T09:40")) is W.OPENING_AUCTION
    assert window_at(MarketGroup.KR, "KRX", at("Asia/Seoul", f"{day}T16:10")) is W.CONTINUOUS
    assert window_at(MarketGroup.KR, "KRX", at("Asia/Seoul", f"{day}T17:00")) is W.AFTER_MARKET


@pytest.mark.parametrize("venue", DOMESTIC_VENUES)
@pytest.mark.parametrize("day", ["2026-09-11T16:30", "2026-11-21T10:00", "2026-11-20T23:00"])
def test_outside_all_sessions_nothing_is_taken_in_korea(venue, day):
    window = window_at(MarketGroup.KR, venue, at("Asia/Seoul", day))
    with pytest.raises(NotOffered):
        find("real", Market.KR, window=window, venue=venue)


_NEW_YORK = [
    ("2026-11-19T03:59", W.DAY_SESSION), ("2026-11-19T04:00", W.PRE_MARKET),
    ("2026-11-19T09:29", W.PRE_MARKET), ("2026-11-19T09:30", W.CONTINUOUS),
    ("2026-11-19T15:59", W.CONTINUOUS), ("2026-11-19T16:00", W.AFTER_MARKET),
    ("2026-11-19T17:00", W.AFTER_CLOSE), ("2026-11-19T19:59", W.AFTER_CLOSE),
    ("2026-11-19T20:00", W.DAY_SESSION), ("2026-11-20T02:00", W.DAY_SESSION),
    ("2026-11-20T21:00", W.AFTER_CLOSE), ("2026-11-21T12:00", W.CLOSED),
    ("2026-11-22T19:59", W.CLOSED), ("2026-11-22T20:00", W.DAY_SESSION),
    ("2026-11-25T21:00", W.AFTER_CLOSE), ("2026-11-26T12:00", W.CLOSED),
    ("2026-11-26T20:30", W.DAY_SESSION), ("2026-11-27T13:00", W.AFTER_MARKET),
    # Summer time: Seoul's ten o'clock is an hour later in New York.
    ("2026-07-07T20:30", W.AFTER_CLOSE), ("2026-07-07T21:00", W.DAY_SESSION),
]  # fmt: skip


@pytest.mark.parametrize(("time", "window"), _NEW_YORK)
def test_the_hours_around_the_us_session(time, window):
    assert window_at(MarketGroup.US, "NASD", at("America/New_York", time)) is window


def test_the_lunch_break_is_a_window_of_its_own():
    assert window_at(MarketGroup.JP, "TKSE", at("Asia/Tokyo", "2026-11-20T12:00")) is W.LUNCH


def test_without_a_calendar_for_the_date_there_is_no_order():
    with pytest.raises(NotOffered, match="calendar"):
        window_at(MarketGroup.KR, "KRX", at("Asia/Seoul", "2039-01-03T10:00"))
