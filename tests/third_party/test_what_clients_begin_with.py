"""A request that clients make first and that no document explains."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from tests.twin_client import DOMESTIC, twin_of
from trading_core.model.market import Currency, MarketGroup
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.synthetic import synthetic_tape
from trading_core.twin.venue import AccountSpec

SESSION = date(2026, 11, 20)


async def test_an_hour_of_zeros_asks_for_the_newest_minutes() -> None:
    tape = synthetic_tape(MarketGroup.KR, SESSION, symbols=5, seed=3)
    account = AccountSpec("12345678-01", {Currency.KRW: Decimal(0)})
    venue = SimulatedExchange(tape, [account], at=tape.hours.open_at + timedelta(minutes=50))
    symbol = venue.instruments()[0].symbol
    async with twin_of(venue) as client:
        rows = {}
        for hour in ("000000", "095000"):
            answer = await client.get(
                f"{DOMESTIC}/quotations/inquire-time-itemchartprice",
                "FHKST03010200",
                FID_ETC_CLS_CODE="",
                FID_COND_MRKT_DIV_CODE="J",
                FID_INPUT_ISCD=symbol,
                FID_INPUT_HOUR_1=hour,
                FID_PW_DATA_INCU_YN="N",
            )
            rows[hour] = answer.body["output2"]
    assert len(rows["000000"]) == 30
    assert rows["000000"] == rows["095000"]
