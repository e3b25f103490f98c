"""The two Korean rankings that the scanner reads. Prices in KRW."""

from __future__ import annotations

from collections.abc import Sequence

from trading_core.adapters.kis import wire
from trading_core.adapters.kis.tr_table import Query
from trading_core.adapters.kis.transport import KisTransport
from trading_core.model.market import Instrument, Market
from trading_core.model.price import Ranking, RankRow

_FLUCTUATION = {
    "FID_COND_MRKT_DIV_CODE": "J",
    "FID_COND_SCR_DIV_CODE": "20170",
    "FID_INPUT_ISCD": "0000",
    "FID_RANK_SORT_CLS_CODE": "0",
    "FID_INPUT_CNT_1": "0",
    "FID_PRC_CLS_CODE": "0",
    "FID_INPUT_PRICE_1": "",
    "FID_INPUT_PRICE_2": "",
    "FID_VOL_CNT": "",
    "FID_TRGT_CLS_CODE": "0",
    "FID_TRGT_EXLS_CLS_CODE": "0",
    "FID_DIV_CLS_CODE": "0",
    "FID_RSFL_RATE1": "",
    "FID_RSFL_RATE2": "",
}
_VOLUME_RANK = {
    "FID_COND_MRKT_DIV_CODE": "J",
    "FID_COND_SCR_DIV_CODE": "20171",
    "FID_INPUT_ISCD": "0000",
    "FID_DIV_CLS_CODE": "0",
    "FID_BLNG_CLS_CODE": "0",
    "FID_TRGT_CLS_CODE": "111111111",
    "FID_TRGT_EXLS_CLS_CODE": "0000000000",
    "FID_INPUT_PRICE_1": "",
    "FID_INPUT_PRICE_2": "",
    "FID_VOL_CNT": "",
    "FID_INPUT_DATE_1": "",
}


async def domestic_ranking(transport: KisTransport, ranking: Ranking) -> Sequence[RankRow]:
    """The first page of a Korean ranking, best first; rows without a price are left out."""
    volume = ranking is Ranking.VOLUME
    query = Query.KR_VOLUME_RANK if volume else Query.KR_FLUCTUATION
    body = await transport.read(query, _VOLUME_RANK if volume else _FLUCTUATION)
    code_field = "mksc_shrn_iscd" if volume else "stck_shrn_iscd"
    found: dict[str, RankRow] = {}
    for row in wire.rows(body.get("output")):
        code, last = wire.symbol(row, code_field), wire.price(row, "stck_prpr")
        if not code or code in found or last <= 0:
            continue
        found[code] = RankRow(
            instrument=Instrument(code, Market.KR, wire.text(row, "hts_kor_isnm")),
            rank=len(found) + 1,
            last=last,
            change_pct=_signed_pct(row),
            volume=wire.quantity(row, "acml_vol"),
        )
    return list(found.values())


def _signed_pct(row: wire.Row) -> float:
    rate = wire.number(row, "prdy_ctrt")
    if rate is None:
        return float("nan")
    return float(-abs(rate) if wire.text(row, "prdy_vrss_sign") in ("4", "5") else rate)
