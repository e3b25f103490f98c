"""Quotes, books, bars, rankings and market days from canned replies."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.kis_stand_in import NOW, StandIn, connect, ok, refused
from trading_core.clock import FixedClock
from trading_core.errors import BrokerUnavailable, NotOffered
from trading_core.model.market import Instrument, Market, MarketGroup
from trading_core.model.price import BookLevel, Ranking

SAMSUNG = Instrument("005930", Market.KR, "Samsung")
APPLE = Instrument("AAPL", Market.US_NASDAQ, "Apple")
# Thursday 11:00 in New York.
US_NOW = datetime(2026, 11, 19, 16, 0, tzinfo=UTC)
D = Decimal


def parsed(text, pattern):
    return datetime.strptime(text, pattern).replace(tzinfo=UTC)


KR_ROW = {
    "stck_shrn_iscd": "005930", "stck_prpr": "70000", "stck_oprc": "69000", "stck_hgpr": "70500",
    "stck_lwpr": "68800", "stck_sdpr": "69100", "prdy_vrss": "900", "prdy_vrss_sign": "2",
    "acml_vol": "1234567", "acml_tr_pbmn": "86000000000", "stck_mxpr": "89800",
    "stck_llam": "48400", "iscd_stat_cls_code": "55", "temp_stop_yn": "N",
}  # fmt: skip
US_ROW = {
    "rsym": "DNASAAPL", "last": "231.5000", "open": "230.1000", "high": "232.0000",
    "low": "229.9000", "base": "230.0000", "tvol": "5000000", "tamt": "1157500000", "zdiv": "4",
    "uplp": "0.0000", "dnlp": "0.0000", "e_ordyn": "매매 가능",
}  # fmt: skip


@pytest.fixture
def host():
    return StandIn()


async def test_a_korean_quote_has_every_field(host, tmp_path):
    host.on("/inquire-price", ok(output=KR_ROW))
    async with connect(host, tmp_path) as kis:
        quote = await kis.market_data.quote(SAMSUNG)
    assert (quote.last, quote.open, quote.high, quote.low) == (70000, 69000, 70500, 68800)
    assert (quote.previous_close, quote.volume, quote.turnover) == (69100, 1234567, 86 * 10**9)
    assert (quote.upper_limit, quote.lower_limit, quote.at) == (89800, 48400, NOW)
    assert quote.usable
    sent = dict(host.sent("/inquire-price")[0].url.params)
    assert sent == {"FID_COND_MRKT_DIV_CODE": "J", "FID_INPUT_ISCD": "005930"}


@pytest.mark.parametrize("change", [{"iscd_stat_cls_code": "58"}, {"temp_stop_yn": "Y"}])
async def test_a_halted_security_is_not_usable(host, tmp_path, change):
    host.on("/inquire-price", ok(output=KR_ROW | change))
    async with connect(host, tmp_path) as kis:
        quote = await kis.market_data.quote(SAMSUNG)
    assert quote.halted
    assert not quote.usable


@pytest.mark.parametrize("sign", ["4", "5"])
@pytest.mark.parametrize("change", ["900", "-900"])
async def test_without_a_base_price_the_previous_close_follows_from_the_change(
    host, tmp_path, sign, change
):
    row = KR_ROW | {"stck_sdpr": "", "prdy_vrss": change, "prdy_vrss_sign": sign}
    host.on("/inquire-price", ok(output=row))
    async with connect(host, tmp_path) as kis:
        assert (await kis.market_data.quote(SAMSUNG)).previous_close == 70900


@pytest.mark.parametrize(
    "output",
    [{**KR_ROW, "stck_prpr": "0"}, {**KR_ROW, "stck_prpr": " "}, {"acml_vol": "1"}, {}, [], None],
)
async def test_no_price_is_no_data_and_no_error(host, tmp_path, output):
    host.on("/inquire-price", ok(output=output))
    async with connect(host, tmp_path) as kis:
        quote = await kis.market_data.quote(SAMSUNG)
    assert quote.last == 0
    assert not quote.usable


@pytest.mark.parametrize(
    "bad",
    [
        {"stck_prpr": "abc"}, {"stck_prpr": "-70000"}, {"stck_prpr": "NaN"},
        {"stck_prpr": "Infinity"}, {"stck_prpr": "7e4"}, {"stck_prpr": 70000},
        {"stck_prpr": True}, {"stck_prpr": ["70000"]}, {"stck_prpr": "７００"},
        {"stck_prpr": "70,000"}, {"stck_hgpr": "x"}, {"acml_vol": "1.5"}, {"acml_vol": "-1"},
        {"stck_shrn_iscd": "000660"}, {"temp_stop_yn": 1},
    ],
)  # fmt: skip
async def test_garbage_is_an_unusable_answer_and_never_a_price(host, tmp_path, bad):
    host.on("/inquire-price", ok(output=KR_ROW | bad))
    async with connect(host, tmp_path) as kis:
        with pytest.raises(BrokerUnavailable, match="unusable answer"):
            await kis.market_data.quote(SAMSUNG)


@pytest.mark.parametrize("output", ["text", 7, [1], [KR_ROW, "x"], True])
async def test_an_output_of_the_wrong_shape_is_unusable(host, tmp_path, output):
    host.on("/inquire-price", ok(output=output))
    async with connect(host, tmp_path) as kis:
        with pytest.raises(BrokerUnavailable, match="unusable answer"):
            await kis.market_data.quote(SAMSUNG)


async def test_a_foreign_quote_asks_by_quote_code(host, tmp_path):
    host.on("/price-detail", ok(output=US_ROW))
    async with connect(host, tmp_path, clock=FixedClock(US_NOW)) as kis:
        quote = await kis.market_data.quote(APPLE)
    assert (quote.last, quote.open, quote.high, quote.low) == (
        D("231.5"), D("230.1"), D("232"), D("229.9"),
    )  # fmt: skip
    assert (quote.previous_close, quote.upper_limit) == (230, None)
    params = host.sent("/price-detail")[0].url.params
    assert (params["EXCD"], params["SYMB"]) == ("NAS", "AAPL")


@pytest.mark.parametrize(
    ("market", "code"),
    [
        ("US_NYSE", "NYS"), ("US_AMEX", "AMS"), ("JP", "TSE"), ("HK", "HKS"), ("CN_SHA", "SHS"),
        ("CN_SZA", "SZS"), ("VN_HNX", "HNX"), ("VN_HSX", "HSX"),
    ],
)  # fmt: skip
async def test_every_market_is_quoted_under_its_quote_code(host, tmp_path, market, code):
    host.on("/price-detail", ok(output={"last": "10"}))
    async with connect(host, tmp_path) as kis:
        await kis.market_data.quote(Instrument("X1", Market(market)))
    assert host.sent("/price-detail")[0].url.params["EXCD"] == code


@pytest.mark.parametrize("output", [dict.fromkeys(US_ROW, ""), {**US_ROW, "last": ""}])
async def test_an_unknown_foreign_symbol_has_no_price(host, tmp_path, output):
    host.on("/price-detail", ok(output=output))
    async with connect(host, tmp_path) as kis:
        assert (await kis.market_data.quote(APPLE)).last == 0


def us_bar(on, close="231.5"):
    return {
        "xymd": on, "clos": close, "open": "230.1", "high": "232", "low": "229.9", "tvol": "10",
    }  # fmt: skip


async def test_on_paper_the_range_comes_from_today_s_daily_bar(host, tmp_path):
    host.on("/quotations/price", ok(output={"rsym": "DNASAAPL", "last": "231.5", "base": "230"}))
    host.on("/dailyprice", ok(output1={}, output2=[us_bar("20261119"), us_bar("20261118")]))
    async with connect(host, tmp_path, personality="paper", clock=FixedClock(US_NOW)) as kis:
        quote = await kis.market_data.quote(APPLE)
    assert (quote.last, quote.high, quote.low) == (D("231.5"), 232, D("229.9"))
    assert not host.sent("/price-detail")


async def test_on_paper_yesterday_s_bar_is_not_today_s_range(host, tmp_path, caplog):
    caplog.set_level("INFO")
    host.on("/quotations/price", ok(output={"last": "231.5", "base": "230"}))
    host.on("/dailyprice", ok(output1={}, output2=[us_bar("20261118")]))
    async with connect(host, tmp_path, personality="paper", clock=FixedClock(US_NOW)) as kis:
        quote = await kis.market_data.quote(APPLE)
    assert (quote.last, quote.open, quote.high, quote.low) == (D("231.5"), 0, 0, 0)
    assert "no open, high and low of AAPL" in caplog.text


async def test_a_book_leaves_out_empty_levels(host, tmp_path):
    row = {f"{side}{n}": "0" for side in ("askp", "bidp", "askp_rsqn", "bidp_rsqn") for n in (3, 4)}
    row |= {"askp1": "70100", "askp_rsqn1": "5", "askp2": "70200", "askp_rsqn2": "0"}
    row |= {"bidp1": "70000", "bidp_rsqn1": "7", "bidp2": "69900", "bidp_rsqn2": "8"}
    host.on("/inquire-asking-price-exp-ccn", ok(output1=row, output2={}))
    async with connect(host, tmp_path) as kis:
        book = await kis.market_data.order_book(SAMSUNG)
    assert book.asks == (BookLevel(D(70100), 5),)
    assert book.bids == (BookLevel(D(70000), 7), BookLevel(D(69900), 8))


async def test_a_foreign_book_may_come_as_an_array_of_one(host, tmp_path):
    row = {"pbid1": "231.4", "vbid1": "100", "pask1": "231.5", "vask1": "200"}
    host.on("/inquire-asking-price", ok(output1={}, output2=[row]))
    async with connect(host, tmp_path) as kis:
        book = await kis.market_data.order_book(APPLE)
    assert (book.asks[0].price, book.bids[0].quantity) == (D("231.5"), 100)


@pytest.mark.parametrize("what", ["book", "minutes", "ranking", "kr_ranking", "day", "us_day"])
async def test_what_paper_lacks_is_not_offered(host, tmp_path, what):
    async with connect(host, tmp_path, personality="paper") as kis:
        data = kis.market_data
        calls = {
            "book": lambda: data.order_book(APPLE),
            "minutes": lambda: data.minute_bars(APPLE, until=NOW, count=1),
            "ranking": lambda: data.ranking(MarketGroup.US, Ranking.VOLUME),
            "kr_ranking": lambda: data.ranking(MarketGroup.KR, Ranking.FLUCTUATION),
            "day": lambda: data.is_trading_day(MarketGroup.KR, date(2026, 11, 20)),
            "us_day": lambda: data.is_trading_day(MarketGroup.US, date(2026, 11, 20)),
        }
        with pytest.raises(NotOffered, match="paper"):
            await calls[what]()
    assert not host.requests


def kr_bars(first, last):
    """What the broker has between two dates: weekdays, newest first, padded with {}."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    rows = [
        {
            "stck_bsop_date": day.strftime("%Y%m%d"), "stck_clpr": "100", "stck_oprc": "99",
            "stck_hgpr": "101", "stck_lwpr": "98", "acml_vol": str(day.toordinal()),
        }
        for day in reversed(days)
        if day.weekday() < 5
    ]  # fmt: skip
    return [*rows[:100], {}, {}]


def kr_history(request):
    start, end = (
        parsed(request.url.params[f"FID_INPUT_DATE_{n}"], "%Y%m%d").date() for n in (1, 2)
    )
    return ok(output1={}, output2=kr_bars(max(start, date(2024, 1, 1)), end))


@pytest.mark.parametrize("count", [1, 5, 60, 100, 101, 250, 400])
async def test_daily_bars_are_the_newest_oldest_first(host, tmp_path, count):
    host.on("/inquire-daily-itemchartprice", kr_history)
    until = date(2026, 11, 20)
    async with connect(host, tmp_path, clock=FixedClock(NOW + timedelta(days=1))) as kis:
        bars = await kis.market_data.daily_bars(SAMSUNG, until=until, count=count)
    assert len(bars) == count
    days = [bar.session for bar in bars]
    assert days == sorted(set(days))
    assert days[-1] == until
    # No weekday is missing on the way back: paging left no hole.
    weekdays = [days[0] + timedelta(days=n) for n in range((days[-1] - days[0]).days + 1)]
    assert days == [day for day in weekdays if day.weekday() < 5]
    assert len(host.sent("/inquire-daily-itemchartprice")) == (count + 99) // 100
    sent = host.sent("/inquire-daily-itemchartprice")[0].url.params
    assert sent["FID_ORG_ADJ_PRC"] == "0"


@pytest.mark.parametrize(("adjusted", "long", "short"), [(True, "0", "1"), (False, "1", "0")])
async def test_the_two_queries_of_daily_bars_mean_the_opposite_by_the_same_flag(
    host, tmp_path, adjusted, long, short
):
    rows = kr_bars(date(2026, 11, 1), date(2026, 11, 20))
    host.on("/inquire-daily-itemchartprice", ok(output2=rows))
    host.on("/inquire-daily-price", ok(output=rows))
    async with connect(host, tmp_path) as kis:
        data, until = kis.market_data, date(2026, 11, 20)
        few = await data.daily_bars(SAMSUNG, until=until, count=10, adjusted=adjusted)
        await data.daily_bars(SAMSUNG, until=until, count=31, adjusted=adjusted)
        earlier = until - timedelta(days=1)
        await data.daily_bars(SAMSUNG, until=earlier, count=2, adjusted=adjusted)
    assert [bar.session.day for bar in few] == [9, 10, 11, 12, 13, 16, 17, 18, 19, 20]
    [recent] = host.sent("/inquire-daily-price")
    assert recent.url.params["FID_ORG_ADJ_PRC"] == short
    flags = {r.url.params["FID_ORG_ADJ_PRC"] for r in host.sent("/inquire-daily-itemchartprice")}
    assert flags == {long}


@pytest.mark.parametrize(("adjusted", "flag"), [(True, "1"), (False, "0")])
async def test_foreign_bars_come_adjusted_or_raw(host, tmp_path, adjusted, flag):
    host.on("/dailyprice", ok(output2=[us_bar("20261119")]))
    async with connect(host, tmp_path) as kis:
        until = date(2026, 11, 19)
        await kis.market_data.daily_bars(APPLE, until=until, count=1, adjusted=adjusted)
    assert host.sent("/dailyprice")[0].url.params["MODP"] == flag


async def test_a_young_listing_has_fewer_bars(host, tmp_path):
    rows = [*kr_bars(date(2026, 11, 16), date(2026, 11, 20))]
    host.on("/inquire-daily-itemchartprice", ok(output2=rows), ok(output2=[{}]))
    async with connect(host, tmp_path) as kis:
        bars = await kis.market_data.daily_bars(SAMSUNG, until=date(2026, 11, 20), count=60)
    assert len(bars) == 5


async def test_a_server_that_ignores_the_range_does_not_loop(host, tmp_path):
    same = ok(output2=kr_bars(date(2026, 11, 16), date(2026, 11, 20)))
    host.on("/inquire-daily-itemchartprice", same)
    async with connect(host, tmp_path) as kis:
        bars = await kis.market_data.daily_bars(SAMSUNG, until=date(2026, 11, 18), count=60)
    assert [bar.session.day for bar in bars] == [16, 17, 18]
    assert len(host.sent("/inquire-daily-itemchartprice")) == 2


async def test_foreign_daily_bars_are_adjusted_and_paged_by_date(host, tmp_path):
    def history(request):
        end = parsed(request.url.params["BYMD"], "%Y%m%d").date()
        days = (end - timedelta(days=n) for n in range(100))
        return ok(output1={}, output2=[us_bar(day.strftime("%Y%m%d")) for day in days])

    host.on("/dailyprice", history)
    async with connect(host, tmp_path) as kis:
        bars = await kis.market_data.daily_bars(APPLE, until=date(2026, 11, 19), count=250)
    days = [bar.session for bar in bars]
    assert len(days) == 250
    assert days == [date(2026, 11, 19) - timedelta(days=249 - n) for n in range(250)]
    assert host.sent("/dailyprice")[0].url.params["MODP"] == "1"


def kr_minutes(request):
    at = parsed(request.url.params["FID_INPUT_HOUR_1"], "%H%M%S")
    rows = []
    for n in range(30):
        minute = at.replace(second=0) - timedelta(minutes=n)
        if minute.hour < 9:
            break
        rows.append(
            {
                "stck_bsop_date": "20261120", "stck_cntg_hour": minute.strftime("%H%M%S"),
                "stck_prpr": "100", "stck_oprc": "99", "stck_hgpr": "101", "stck_lwpr": "98",
                "cntg_vol": "3",
            }
        )  # fmt: skip
    return ok(output1={}, output2=rows)


async def test_minute_bars_are_paged_back_to_the_open(host, tmp_path):
    host.on("/inquire-time-itemchartprice", kr_minutes)
    async with connect(host, tmp_path) as kis:
        bars = await kis.market_data.minute_bars(SAMSUNG, until=NOW, count=500)
    open_at = datetime(2026, 11, 20, 9, 0, tzinfo=ZoneInfo("Asia/Seoul"))
    assert [bar.start_at for bar in bars] == [open_at + timedelta(minutes=n) for n in range(91)]
    assert all(bar.start_at.tzinfo is UTC for bar in bars)


async def test_an_hour_to_come_is_not_asked_for(host, tmp_path):
    host.on("/inquire-time-itemchartprice", kr_minutes)
    async with connect(host, tmp_path) as kis:
        late = NOW + timedelta(hours=3)
        bars = await kis.market_data.minute_bars(SAMSUNG, until=late, count=2)
    assert bars[-1].start_at == NOW
    asked = host.sent("/inquire-time-itemchartprice")[0].url.params["FID_INPUT_HOUR_1"]
    assert asked == "103000"


async def test_minutes_of_a_past_day_come_from_the_other_query(host, tmp_path):
    row = {
        "stck_bsop_date": "20261119", "stck_cntg_hour": "100000", "stck_prpr": "5",
        "stck_oprc": "5", "stck_hgpr": "5", "stck_lwpr": "5", "cntg_vol": "1",
    }  # fmt: skip
    other_day = row | {"stck_bsop_date": "20261118"}
    host.on("/inquire-time-dailychartprice", ok(output2=[row, other_day, {}]))
    async with connect(host, tmp_path) as kis:
        until = NOW - timedelta(days=1)
        bars = await kis.market_data.minute_bars(SAMSUNG, until=until, count=5)
    assert [bar.close for bar in bars] == [5]
    params = host.sent("/inquire-time-dailychartprice")[0].url.params
    assert params["FID_INPUT_DATE_1"] == "20261119"
    assert "FID_FAKE_TICK_INCU_YN" in params


async def test_foreign_minutes_are_in_the_exchange_s_own_time(host, tmp_path):
    def minutes(request):
        key = request.url.params["KEYB"] or "20261119110000"
        last = parsed(key, "%Y%m%d%H%M%S")
        days = (last - timedelta(minutes=n) for n in range(120))
        return ok(
            output1={},
            output2=[
                {
                    "xymd": at.strftime("%Y%m%d"), "xhms": at.strftime("%H%M%S"), "last": "2",
                    "open": "2", "high": "2", "low": "2", "evol": "1",
                }
                for at in days
            ],
        )  # fmt: skip

    host.on("/inquire-time-itemchartprice", minutes)
    async with connect(host, tmp_path, clock=FixedClock(US_NOW)) as kis:
        bars = await kis.market_data.minute_bars(APPLE, until=US_NOW, count=200)
    expected = [US_NOW - timedelta(minutes=199 - n) for n in range(200)]
    assert [bar.start_at for bar in bars] == expected
    first, second = (r.url.params for r in host.sent("/inquire-time-itemchartprice"))
    assert (first["KEYB"], first["NEXT"], second["NEXT"]) == ("", "", "1")


@pytest.mark.parametrize(
    ("ranking", "path", "field", "screen"),
    [
        (Ranking.FLUCTUATION, "/ranking/fluctuation", "stck_shrn_iscd", "20170"),
        (Ranking.VOLUME, "/quotations/volume-rank", "mksc_shrn_iscd", "20171"),
    ],
)
async def test_korean_rankings_name_their_symbol_differently(
    host, tmp_path, ranking, path, field, screen
):
    def row(code, price="100", sign="2"):
        return {
            field: code, "hts_kor_isnm": "n", "stck_prpr": price, "prdy_ctrt": "3.10",
            "prdy_vrss_sign": sign, "acml_vol": "5",
        }  # fmt: skip

    rows = [row("000660"), row("005930", sign="5"), {}, row(""), row("000001", "0"), row("000660")]
    host.on(path, ok(output=rows))
    async with connect(host, tmp_path) as kis:
        found = await kis.market_data.ranking(MarketGroup.KR, ranking)
    assert [(r.rank, r.instrument.symbol, r.change_pct) for r in found] == [
        (1, "000660", 3.1),
        (2, "005930", -3.1),
    ]
    assert host.sent(path)[0].url.params["FID_COND_SCR_DIV_CODE"] == screen


@pytest.mark.parametrize("ranking", list(Ranking))
async def test_the_exchanges_of_a_group_are_merged_into_one_ranking(host, tmp_path, ranking):
    table = {
        "NAS": [("AAPL", "+1.50", "300"), ("NVDA", " 0.10", "900")],
        "NYS": [("F", "+9.00", "800"), ("T", "-2.00", "10")],
        "AMS": [("SPY", "", "950")],
    }

    def answer(request):
        rows = [
            {"symb": s, "name": s, "rate": rate, "tvol": volume, "last": "10.5"}
            for s, rate, volume in table[request.url.params["EXCD"]]
        ]
        return ok(output1={}, output2=[*rows, {"symb": "", "last": ""}])

    path = "/trade-vol" if ranking is Ranking.VOLUME else "/updown-rate"
    host.on(path, answer)
    known = {"AAPL": APPLE}
    async with connect(host, tmp_path, instruments=known) as kis:
        found = await kis.market_data.ranking(MarketGroup.US, ranking)
    by_rate, by_volume = ["F", "AAPL", "NVDA", "T", "SPY"], ["SPY", "NVDA", "F", "AAPL", "T"]
    expected = by_volume if ranking is Ranking.VOLUME else by_rate
    assert [row.instrument.symbol for row in found] == expected
    assert [row.rank for row in found] == [1, 2, 3, 4, 5]
    assert next(r for r in found if r.instrument.symbol == "AAPL").instrument is APPLE
    markets = {row.instrument.symbol: row.instrument.market for row in found}
    assert (markets["F"], markets["SPY"]) == (Market.US_NYSE, Market.US_AMEX)


async def test_a_saturday_is_no_market_day_although_it_is_a_trading_day_of_the_list(host, tmp_path):
    days = [("20261120", "Y", "Y"), ("20261121", "Y", "N"), ("20261122", "N", "N")]
    rows = [{"bass_dt": d, "tr_day_yn": t, "opnd_yn": o, "bzdy_yn": t} for d, t, o in days]
    host.on("/chk-holiday", ok(output=rows))
    async with connect(host, tmp_path) as kis:
        asked = [
            await kis.market_data.is_trading_day(MarketGroup.KR, date(2026, 11, day))
            for day in (20, 21, 22)
        ]
    assert asked == [True, False, False]
    assert len(host.sent("/chk-holiday")) == 1


async def test_a_day_that_the_holiday_list_does_not_name_is_unknown(host, tmp_path):
    host.on("/chk-holiday", ok(output=[{"bass_dt": "20261121", "opnd_yn": "N"}]))
    async with connect(host, tmp_path) as kis:
        with pytest.raises(BrokerUnavailable):
            await kis.market_data.is_trading_day(MarketGroup.KR, date(2026, 11, 20))


def settlements(**dates):
    """Answers the settlement list: ``d20261126="20261130"`` for the US, absent days are shut."""

    def answer(request):
        settles = dates.get(f"d{request.url.params['TRAD_DT']}")
        row = {"tr_natn_cd": "840", "natn_eng_abrv_cd": "US", "acpl_sttl_dt": settles}
        other = {"tr_natn_cd": "392", "natn_eng_abrv_cd": "JP", "acpl_sttl_dt": "20261120"}
        return ok("D", output=[other, *([row] if settles else [])])

    return answer


async def is_us_day(host, tmp_path, day):
    async with connect(host, tmp_path) as kis:
        return await kis.market_data.is_trading_day(MarketGroup.US, day)


async def test_a_foreign_market_that_is_not_listed_is_shut(host, tmp_path):
    host.on("/countries-holiday", settlements(d20261125="20261127"))
    assert not await is_us_day(host, tmp_path, date(2026, 11, 26))
    assert await is_us_day(host, tmp_path, date(2026, 11, 25))
    assert not await is_us_day(host, tmp_path, date(2026, 11, 28))


async def test_a_foreign_market_listed_with_the_dates_of_the_next_session_is_shut(host, tmp_path):
    days = {"d20261124": "20261125", "d20261125": "20261127", "d20261126": "20261130"}
    host.on("/countries-holiday", settlements(**days, d20261127="20261130"))
    assert not await is_us_day(host, tmp_path, date(2026, 11, 26))
    for day in (24, 25, 27):
        assert await is_us_day(host, tmp_path, date(2026, 11, day)), day


async def test_a_day_on_which_only_the_banks_rest_is_a_trading_day(host, tmp_path):
    # Columbus Day: trades of the Friday before and of the Monday itself settle on the Tuesday.
    days = {"d20261008": "20261009", "d20261009": "20261013", "d20261012": "20261013"}
    host.on("/countries-holiday", settlements(**days, d20261013="20261014"))
    for day in (8, 9, 12, 13):
        assert await is_us_day(host, tmp_path, date(2026, 10, day)), day


async def test_a_listed_market_without_a_date_is_no_answer(host, tmp_path):
    row = {"tr_natn_cd": "840", "acpl_sttl_dt": ""}
    host.on("/countries-holiday", ok("D", output=[row]))
    with pytest.raises(BrokerUnavailable, match="settlement date"):
        await is_us_day(host, tmp_path, date(2026, 11, 25))


async def test_quotes_leave_out_and_log_what_fails(host, tmp_path, caplog):
    def answer(request):
        code = request.url.params["FID_INPUT_ISCD"]
        return refused("OPSQ2001") if code == "000002" else ok(output={"stck_prpr": code})

    host.on("/inquire-price", answer)
    wanted = [Instrument(f"{n:06d}", Market.KR) for n in range(1, 8)]
    async with connect(host, tmp_path) as kis:
        quotes = await kis.market_data.quotes(wanted)
    assert {symbol: quote.last for symbol, quote in quotes.items()} == {
        f"{n:06d}": n for n in (1, 3, 4, 5, 6, 7)
    }
    assert "no quote of 000002" in caplog.text


async def test_quotes_raise_when_every_symbol_fails(host, tmp_path):
    host.on("/inquire-price", refused("OPSQ2001"))
    async with connect(host, tmp_path) as kis:
        with pytest.raises(BrokerUnavailable):
            await kis.market_data.quotes([SAMSUNG, Instrument("000660", Market.KR)])


async def test_an_outage_ends_the_asking_for_quotes(host, tmp_path):
    host.on("/inquire-price", httpx.ConnectError("down"))
    wanted = [Instrument(f"{n:06d}", Market.KR) for n in range(200)]
    async with connect(host, tmp_path) as kis:
        with pytest.raises(BrokerUnavailable):
            await kis.market_data.quotes(wanted)
    assert len(host.sent("/inquire-price")) <= 6 * 4


async def test_no_instruments_give_no_quotes(host, tmp_path):
    async with connect(host, tmp_path) as kis:
        assert await kis.market_data.quotes([]) == {}
    assert not host.requests
