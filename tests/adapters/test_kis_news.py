"""The broker's news titles: against canned replies, and over HTTP against the twin."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.kis_stand_in import NOW, StandIn, connect, ok
from tests.twin_client import DOMESTIC, OVERSEAS_PRICE, all_strings, twin_of
from tests.venue_double import america, korea
from trading_core.adapters.kis.news import KisNews
from trading_core.errors import BrokerUnavailable, NotOffered
from trading_core.model.market import Instrument, Market, MarketGroup
from trading_core.model.sources import Headline

SAMSUNG = Instrument("005930", Market.KR, "삼성전자")
HYNIX = Instrument("000660", Market.KR, "SK하이닉스")
AAPL = Instrument("AAPL", Market.US_NASDAQ, "APPLE")
SINCE = NOW - timedelta(hours=48)


async def told(
    host: StandIn, home: Path, group: MarketGroup, *wanted: Instrument
) -> list[Headline]:
    async with connect(host, home) as connection:
        answer = KisNews(connection.transport).headlines(group, wanted, since=SINCE, at=NOW)
        return [headline async for batch in answer for headline in batch]


def row(title: str = "삼성전자, 신제품 공개", **fields: Any) -> dict[str, Any]:
    base = {
        "cntt_usiq_srno": "2026112009000001",
        "data_dt": "20261120",
        "data_tm": "090000",
        "hts_pbnt_titl_cntt": title,
        "dorg": "연합뉴스",
        **{f"iscd{n}": "" for n in range(1, 6)},
    }
    return base | fields


async def test_titles_of_the_market_and_of_each_security(tmp_path: Path) -> None:
    first = ok(output=[row(), row("시황", iscd3="000660"), row("", iscd1="005930")])
    host = StandIn().on("news-title", first, ok(output=[row("하이닉스")]))
    found = await told(host, tmp_path, MarketGroup.KR, HYNIX)
    assert [(h.symbol, h.title) for h in found] == [
        (None, "삼성전자, 신제품 공개"),
        ("000660", "시황"),
        ("000660", "하이닉스"),
    ]
    assert found[0].published_at == datetime(2026, 11, 20, 0, 0, tzinfo=UTC)
    assert (found[0].source, found[0].publisher, found[0].sentiment) == ("kis", "연합뉴스", None)
    market, security = host.sent("news-title")
    assert market.headers["tr_id"] == "FHKST01011800"
    assert market.url.params["FID_INPUT_ISCD"] == ""
    assert security.url.params["FID_INPUT_ISCD"] == "000660"


async def test_abroad_a_security_is_asked_for_with_its_country_and_exchange(tmp_path: Path) -> None:
    def title(text: str, symbol: str) -> dict[str, str]:
        return {
            "data_dt": "20261120",
            "data_tm": "083000",
            "source": "Wire",
            "symb": symbol,
            "title": text,
        }

    rows = [title("Apple rises", "AAPL"), title("Other", "MSFT"), title("All", "")]
    host = StandIn().on("news-title", ok(outblock1=[]), ok(outblock1=rows))
    found = await told(host, tmp_path, MarketGroup.US, AAPL)
    assert [(h.symbol, h.title) for h in found] == [("AAPL", "Apple rises"), ("AAPL", "All")]
    asked = host.sent("news-title")[1]
    params = {name: asked.url.params[name] for name in ("NATION_CD", "EXCHANGE_CD", "SYMB")}
    assert params == {"NATION_CD": "US", "EXCHANGE_CD": "NAS", "SYMB": "AAPL"}
    assert asked.headers["tr_id"] == "HHPSTH60100C1"


async def test_rows_without_a_usable_time_or_title_are_left_out(tmp_path: Path) -> None:
    rows = [
        row(data_dt="today"),
        row(data_tm=""),
        row(data_dt=20261120),
        row("\u0000\u202e"),
        row("good"),
    ]
    host = StandIn().on("news-title", ok(output=rows))
    assert [h.title for h in await told(host, tmp_path, MarketGroup.KR)] == ["good"]


async def test_an_answer_of_another_shape_is_no_news(tmp_path: Path) -> None:
    host = StandIn().on("news-title", ok(output="rubbish"))
    with pytest.raises(BrokerUnavailable):
        await told(host, tmp_path, MarketGroup.KR)


async def test_the_paper_host_has_no_news_and_is_not_asked(tmp_path: Path) -> None:
    host = StandIn()
    async with connect(host, tmp_path, personality="paper") as connection:
        answer = KisNews(connection.transport).headlines(MarketGroup.KR, (), since=SINCE, at=NOW)
        with pytest.raises(NotOffered, match="news-title"):
            await anext(answer)
    assert not host.sent("news-title")


def domestic(symbol: str = "") -> dict[str, str]:
    names = ("NEWS_OFER_ENTP_CODE", "COND_MRKT_CLS_CODE", "TITL_CNTT", "INPUT_DATE_1")
    more = ("INPUT_HOUR_1", "RANK_SORT_CLS_CODE", "INPUT_SRNO")
    return {f"FID_{name}": "" for name in (*names, *more)} | {"FID_INPUT_ISCD": symbol}


def abroad(**fields: str) -> dict[str, str]:
    names = ("INFO_GB", "CLASS_CD", "NATION_CD", "EXCHANGE_CD", "SYMB", "DATA_DT", "DATA_TM", "CTS")
    return dict.fromkeys(names, "") | fields


class TestTwin:
    async def test_titles_tell_of_the_session_before_and_are_the_same_each_time(self) -> None:
        path = f"{DOMESTIC}/quotations/news-title"
        async with twin_of(korea()) as client:
            first = await client.get(path, "FHKST01011800", **domestic("005930"))
            again = await client.get(path, "FHKST01011800", **domestic("005930"))
            everything = await client.get(path, "FHKST01011800", **domestic())
        assert first.body == again.body
        [title] = first.body["output"]
        assert title["iscd1"] == "005930"
        assert "전 거래일" in title["hts_pbnt_titl_cntt"]
        assert all_strings(first.body)
        assert title in [
            row | {"cntt_usiq_srno": title["cntt_usiq_srno"]} for row in everything.body["output"]
        ]

    async def test_nothing_is_told_before_it_happened(self) -> None:
        venue = korea()
        async with twin_of(venue) as client:
            answer = await client.get(
                f"{DOMESTIC}/quotations/news-title", "FHKST01011800", **domestic()
            )
            venue.now -= timedelta(days=1)
            too_early = await client.get(
                f"{DOMESTIC}/quotations/news-title", "FHKST01011800", **domestic()
            )
        titles = answer.body["output"]
        assert titles
        told_at = [f"{title['data_dt']}{title['data_tm']}+0900" for title in titles]
        now = venue.now + timedelta(days=1)
        assert all(datetime.strptime(at, "%Y%m%d%H%M%S%z") <= now for at in told_at)
        assert too_early.body["output"] == []

    async def test_abroad_a_symbol_needs_its_exchange(self) -> None:
        path = f"{OVERSEAS_PRICE}/news-title"
        async with twin_of(america()) as client:

            async def rows(**fields: str) -> list[dict[str, str]]:
                answer = await client.get(path, "HHPSTH60100C1", **abroad(**fields))
                return answer.body["outblock1"]

            assert await rows(NATION_CD="US", SYMB="AAPL") == []
            assert await rows(NATION_CD="XX") == []
            [title] = await rows(NATION_CD="US", EXCHANGE_CD="NAS", SYMB="AAPL")
            assert (title["symb"], title["nation_cd"]) == ("AAPL", "US")
            assert "percent" in title["title"]

    async def test_the_paper_personality_refuses(self) -> None:
        async with twin_of(korea(), personality="paper") as client:
            answer = await client.get(
                f"{DOMESTIC}/quotations/news-title", "FHKST01011800", **domestic()
            )
        assert answer.code == "EGW02006"
