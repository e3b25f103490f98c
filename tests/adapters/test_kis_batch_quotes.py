"""Quotes of many symbols in one request, and what is asked one by one all the same."""

from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest

from tests.kis_stand_in import NOW, StandIn, connect, ok, refused
from trading_core.adapters.kis.rate_limit import Priority, RateLimiter
from trading_core.clock import FixedClock
from trading_core.errors import BrokerUnavailable
from trading_core.model.market import Instrument, Market

TOGETHER, ALONE = "/intstock-multprice", "/inquire-price"
US_TOGETHER, US_ALONE = "/multprice", "/price-detail"
D = Decimal


def kr(n):
    return Instrument(f"{n:06d}", Market.KR)


def kr_row(symbol, **changes):
    return {
        "inter_shrn_iscd": symbol, "inter2_prpr": "70000", "inter2_oprc": "69000",
        "inter2_hgpr": "70500", "inter2_lwpr": "68800", "inter2_sdpr": "69100",
        "inter2_prdy_clpr": "69100", "acml_vol": "1234567", "acml_tr_pbmn": "86000000000",
        "inter2_mxpr": "89800", "inter2_llam": "48400", "inter2_askp": "70000",
        "inter2_bidp": "69900", "mrkt_trtm_cls_name": "",
    } | changes  # fmt: skip


def kr_alone(request):
    """The same prices as :func:`kr_row`, from the single query."""
    return ok(
        output={
            "stck_shrn_iscd": request.url.params["FID_INPUT_ISCD"], "stck_prpr": "70000",
            "stck_oprc": "69000", "stck_hgpr": "70500", "stck_lwpr": "68800",
            "stck_sdpr": "69100", "acml_vol": "1234567", "acml_tr_pbmn": "86000000000",
            "stck_mxpr": "89800", "stck_llam": "48400", "temp_stop_yn": "N",
        }
    )  # fmt: skip


def asked_together(request):
    params = request.url.params
    return [params[f"FID_INPUT_ISCD_{n}"] for n in range(1, 31) if f"FID_INPUT_ISCD_{n}" in params]


def kr_together(*left_out, **changes):
    def answer(request):
        symbols = [symbol for symbol in asked_together(request) if symbol not in left_out]
        return ok(output=[kr_row(symbol, **changes) for symbol in symbols])

    return answer


@pytest.fixture
def host():
    return StandIn().on(TOGETHER, kr_together()).on(ALONE, kr_alone)


async def test_korean_symbols_are_asked_for_thirty_at_a_time(host, tmp_path):
    wanted = [kr(n) for n in range(1, 66)]
    async with connect(host, tmp_path) as kis:
        quotes = await kis.market_data.quotes(wanted)
    assert list(quotes) == [item.symbol for item in wanted]
    assert [len(asked_together(request)) for request in host.sent(TOGETHER)] == [30, 30, 5]
    first = host.sent(TOGETHER)[0]
    assert first.headers["tr_id"] == "FHKST11300006"
    assert first.url.params["FID_COND_MRKT_DIV_CODE_30"] == "J"
    assert not host.sent(ALONE)


async def test_a_quote_of_many_is_the_quote_of_one(host, tmp_path):
    async with connect(host, tmp_path) as kis:
        together = await kis.market_data.quotes([kr(1), kr(2)])
        alone = await kis.market_data.quote(kr(1))
    assert together["000001"] == alone
    assert len(host.sent(ALONE)) == 1


@pytest.mark.parametrize(
    "row",
    [
        kr_row("000002", inter2_prpr="0"),
        kr_row("000002", inter2_prpr=""),
        kr_row("000002", inter2_prpr="abc"),
        kr_row("000002", acml_vol="-1"),
        kr_row("000002", inter2_hgpr=70000),
        kr_row("000002", mrkt_trtm_cls_name="단기과열"),
        kr_row("000009"),
        kr_row(None),
    ],
)
async def test_a_row_that_is_not_good_enough_is_asked_for_alone(host, tmp_path, row):
    host.on(TOGETHER, ok(output=[kr_row("000001"), row, {}]))
    async with connect(host, tmp_path) as kis:
        quotes = await kis.market_data.quotes([kr(1), kr(2)])
    assert [quote.last for quote in quotes.values()] == [70000, 70000]
    assert [r.url.params["FID_INPUT_ISCD"] for r in host.sent(ALONE)] == ["000002"]


async def test_a_halt_is_told_by_the_market_measure(host, tmp_path):
    host.on(TOGETHER, kr_together(mrkt_trtm_cls_name="거래정지"))
    async with connect(host, tmp_path) as kis:
        quotes = await kis.market_data.quotes([kr(1), kr(2)])
    assert all(quote.halted and not quote.usable for quote in quotes.values())


@pytest.mark.parametrize(
    "failure",
    [refused("OPSQ2001"), httpx.ConnectError("down"), httpx.Response(200, text="garbage")],
)
async def test_when_the_one_request_fails_each_is_asked_for_alone(host, tmp_path, failure, caplog):
    host.on(TOGETHER, failure)
    async with connect(host, tmp_path) as kis:
        assert len(await kis.market_data.quotes([kr(1), kr(2), kr(3)])) == 3
    assert len(host.sent(ALONE)) == 3
    assert "no quotes of 3 together" in caplog.text


async def test_a_key_without_the_right_is_told_so_once(host, tmp_path):
    host.on(TOGETHER, refused("EGW00206"))
    async with connect(host, tmp_path) as kis:
        for _ in range(3):
            assert len(await kis.market_data.quotes([kr(1), kr(2)])) == 2
    assert len(host.sent(TOGETHER)) == 1


async def test_one_symbol_is_asked_for_alone_because_that_tells_more(host, tmp_path):
    async with connect(host, tmp_path) as kis:
        await kis.market_data.quotes([kr(1)])
    assert not host.sent(TOGETHER)


async def test_paper_has_no_such_request(host, tmp_path):
    async with connect(host, tmp_path, personality="paper") as kis:
        assert len(await kis.market_data.quotes([kr(1), kr(2)])) == 2
    assert not host.sent(TOGETHER)


async def test_all_failing_raises(host, tmp_path):
    host.on(TOGETHER, refused("OPSQ2001")).on(ALONE, refused("OPSQ2001"))
    async with connect(host, tmp_path) as kis:
        with pytest.raises(BrokerUnavailable):
            await kis.market_data.quotes([kr(1), kr(2)])


@pytest.mark.parametrize(
    ("changes", "is_fund"),
    [
        ({}, False),
        ({"inter2_mxpr": "45505", "inter2_llam": "24495"}, True),
        # Trades at the middle of the book leave the grid of shares too.
        ({"inter2_prpr": "69950", "inter2_hgpr": "70050"}, False),
        ({"inter2_bidp": "69995"}, True),
    ],
)
async def test_a_fund_is_known_by_a_price_no_share_can_have(host, tmp_path, changes, is_fund):
    host.on(TOGETHER, kr_together(**changes))
    async with connect(host, tmp_path) as kis:
        quotes = await kis.market_data.quotes([kr(1), kr(2)])
    assert quotes["000001"].instrument.is_fund is is_fund


async def test_what_the_single_quote_said_of_a_fund_is_remembered(host, tmp_path):
    host.on(ALONE, ok(output={"stck_prpr": "70000", "rprs_mrkt_kor_name": "ETF"}))
    async with connect(host, tmp_path) as kis:
        await kis.market_data.quote(kr(1))
        quotes = await kis.market_data.quotes([kr(1), kr(2)])
    assert [quote.instrument.is_fund for quote in quotes.values()] == [True, False]


US = [Instrument(f"US{n}", (Market.US_NASDAQ, Market.US_NYSE)[n % 2]) for n in range(12)]
US_PRICES = {
    "last": "231.5000", "open": "230.1000", "high": "232.0000", "low": "229.9000",
    "base": "230.0000", "tvol": "5000000", "tamt": "1157500000", "uplp": "0", "dnlp": "0",
    "e_ordyn": "매매 가능",
}  # fmt: skip


def us_together(request):
    params = request.url.params
    named = [(params[f"EXCD_{n:02}"], params[f"SYMB_{n:02}"]) for n in range(1, 11)]
    rows = [
        {"excd": excd, "symb": symb, "rsym": f"D{excd}{symb}", **US_PRICES}
        for excd, symb in named
        if symb
    ]
    return ok(output1={"nrec": str(len(rows))}, output2=rows)


async def test_foreign_securities_are_asked_for_ten_at_a_time_by_quote_code(tmp_path):
    host = StandIn().on(US_TOGETHER, us_together).on(US_ALONE, ok(output=US_PRICES))
    clock = FixedClock(datetime(2026, 11, 19, 16, tzinfo=UTC))
    async with connect(host, tmp_path, clock=clock) as kis:
        quotes = await kis.market_data.quotes(US)
        assert quotes["US3"] == await kis.market_data.quote(US[3])
    assert len(quotes) == 12
    first, second = (request.url.params for request in host.sent(US_TOGETHER))
    assert (first["NREC"], first["EXCD_01"], first["SYMB_10"]) == ("10", "NAS", "US9")
    assert (second["NREC"], second["EXCD_02"], second["SYMB_03"]) == ("2", "NYS", "")
    assert {f"EXCD_{n:02}" for n in range(1, 11)} <= set(second)


@pytest.mark.parametrize(
    "changes", [{"last": ""}, {"last": "x"}, {"symb": "OTHER"}, {"excd": "NYS"}, {"rsym": "DNASX"}]
)
async def test_a_foreign_row_that_is_not_good_enough_is_asked_for_alone(tmp_path, changes):
    pair = [US[0], US[2]]
    rows = [{"excd": "NAS", "symb": item.symbol, **US_PRICES} for item in pair]
    rows[1] |= changes
    host = StandIn().on(US_TOGETHER, ok(output2=rows)).on(US_ALONE, ok(output=US_PRICES))
    async with connect(host, tmp_path) as kis:
        assert len(await kis.market_data.quotes(pair)) == 2
    assert [request.url.params["SYMB"] for request in host.sent(US_ALONE)] == ["US2"]


async def test_what_is_held_is_asked_for_first_and_with_priority(host, tmp_path, monkeypatch):
    taken = []
    original = RateLimiter.acquire

    async def acquire(self, priority=Priority.CANDIDATE):
        taken.append(priority)
        await original(self, priority)

    monkeypatch.setattr(RateLimiter, "acquire", acquire)
    held = {"000038", "000040"}
    async with connect(host, tmp_path) as kis:
        quotes = await kis.market_data.quotes([kr(n) for n in range(1, 41)], held=held)
        taken_together = [p for p in taken if p is not Priority.ORDER]
        host.on(TOGETHER, refused("EGW00206"))
        await kis.market_data.quotes([kr(1), kr(2), kr(3), kr(38)], held=held)
    assert list(quotes) == [f"{n:06d}" for n in range(1, 41)]
    assert asked_together(host.sent(TOGETHER)[0]) == ["000038", "000040"]
    assert taken_together == [Priority.HOLDING, Priority.CANDIDATE, Priority.CANDIDATE]
    assert host.sent(ALONE)[0].url.params["FID_INPUT_ISCD"] == "000038"
    assert taken.count(Priority.HOLDING) == 2


async def test_the_account_and_the_key_of_the_stream_go_before_candidates(tmp_path, monkeypatch):
    taken = []

    async def acquire(self, priority=Priority.CANDIDATE):
        taken.append(priority)

    monkeypatch.setattr(RateLimiter, "acquire", acquire)
    host = StandIn().on("/inquire-daily-ccld", ok("D", output1=[]))
    host.on("/oauth2/Approval", httpx.Response(200, json={"approval_key": "key"}))
    async with connect(host, tmp_path) as kis:
        await kis.transport.approval_key()
        await kis.broker.orders(Market.KR.group, NOW.date())
    assert taken == [Priority.HOLDING, Priority.ORDER, Priority.HOLDING]
