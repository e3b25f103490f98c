"""Opening days at home and settlement days abroad."""

from __future__ import annotations

from datetime import date, timedelta

from trading_core.model.market import MarketGroup
from trading_core.twin.venue import Venue
from trading_core.twin.wire.codes import EXCHANGES, SETTLEMENT_SESSIONS
from trading_core.twin.wire.desk import SATURDAY, Desk, opens_on
from trading_core.twin.wire.envelope import Call, Reply, day_text
from trading_core.twin.wire.paging import continuation, ledger_head

DAYS = 24
CURSOR_WIDTH = 20


def check_holiday(desk: Desk, call: Call) -> Reply:
    """CTCA0903R: consecutive days from a date on; ``opnd_yn`` is the one that tells.

    ``tr_day_yn`` is Y on Saturdays and holidays too.
    """
    first = call.day("BASS_DT")
    cursor = call.text("CTX_AREA_NK") if call.continued else ""
    if cursor:
        first = Call("", "", {"CTX_AREA_NK": cursor}).day("CTX_AREA_NK")
    venue = desk.venue(MarketGroup.KR)
    rows = []
    day = first
    for _ in range(DAYS):
        opened = opens_on(venue, day)
        if opened is None or day >= date.max - timedelta(days=1):
            break
        rows.append(_day_row(day, opened=opened))
        day += timedelta(days=1)
    more = len(rows) == DAYS
    return Reply(
        {
            **ledger_head(call, rows=len(rows), more=more),
            "ctx_area_nk": (day_text(day) if more else "").ljust(CURSOR_WIDTH),
            "ctx_area_fk": day_text(first).ljust(CURSOR_WIDTH),
            "output": rows,
        },
        tr_cont=continuation(call, more=more),
    )


def _day_row(day: date, *, opened: bool) -> dict[str, str]:
    flag = "Y" if opened else "N"
    return {
        "bass_dt": day_text(day),
        "wday_dvsn_cd": f"{day.isoweekday() % 7 + 1:02}",
        "bzdy_yn": flag,
        "tr_day_yn": "N" if day.isoweekday() == 7 else "Y",
        "opnd_yn": flag,
        "sttl_day_yn": flag,
    }


def countries_holiday(desk: Desk, call: Call) -> Reply:
    """CTOS5011R: settlement days of trades made on TRAD_DT.

    An exchange that is shut that day, or that no venue plays, is not listed.
    """
    day = call.day("TRAD_DT")
    rows = []
    for code in EXCHANGES:
        group = code.market.group
        venue = desk.venue(group)
        if venue is None or not opens_on(venue, day):
            continue
        settled = _sessions_after(venue, day, SETTLEMENT_SESSIONS[group])
        at_home = _sessions_after(desk.venue(MarketGroup.KR), settled, 1)
        rows.append(
            {
                "prdt_type_cd": code.product_type,
                "tr_natn_cd": code.nation,
                "tr_natn_name": code.nation_name,
                "natn_eng_abrv_cd": group.value,
                "tr_mket_cd": code.market_code,
                "tr_mket_name": code.name,
                "acpl_sttl_dt": day_text(settled),
                "dmst_sttl_dt": day_text(at_home),
            }
        )
    blank = "".ljust(CURSOR_WIDTH)
    return Reply(
        {
            **ledger_head(call, rows=len(rows)),
            "ctx_area_nk": blank,
            "ctx_area_fk": day_text(day).ljust(CURSOR_WIDTH),
            "output": rows,
        },
        tr_cont="D",
    )


def _sessions_after(venue: Venue | None, day: date, count: int) -> date:
    while count and day < date.max:
        day += timedelta(days=1)
        opened = opens_on(venue, day)
        if opened is None:
            opened = day.weekday() < SATURDAY
        count -= opened
    return day
