"""The TRs of the stream: what each is about, which host has it, and its fields in order.

Field counts grow at the broker from time to time. Two layouts are played: that of September 2026
(47 fields of a domestic trade) and the one before it (46), which older clients insist on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from trading_core.twin.wire.desk import Personality

Layout = Literal["2026-09", "legacy"]
Names = tuple[str, ...]


class Content(StrEnum):
    """What the records of a TR are about."""

    TRADE = "trade"
    BOOK = "book"
    EXPECTED = "expected"
    MARKET_STATE = "market state"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class Stream:
    """One TR. ``domestic``: its key is a symbol and its prices are in won.

    ``levels`` is the depth of a foreign order book: ten in the US, one in Asia.
    """

    tr_id: str
    content: Content
    domestic: bool
    hosts: tuple[Personality, ...]
    fields: Mapping[Layout, Names]
    levels: int = 0


def _names(text: str) -> Names:
    return tuple(text.split())


def _levels(*names: str, count: int = 10) -> str:
    return " ".join(f"{name}{n}" for name in names for n in range(1, count + 1))


EXPECTED = _names(
    "MKSC_SHRN_ISCD STCK_CNTG_HOUR STCK_PRPR PRDY_VRSS_SIGN PRDY_VRSS PRDY_CTRT "
    "WGHN_AVRG_STCK_PRC STCK_OPRC STCK_HGPR STCK_LWPR ASKP1 BIDP1 CNTG_VOL ACML_VOL ACML_TR_PBMN "
    "SELN_CNTG_CSNU SHNU_CNTG_CSNU NTBY_CNTG_CSNU CTTR SELN_CNTG_SMTN SHNU_CNTG_SMTN CCLD_DVSN "
    "SHNU_RATE PRDY_VOL_VRSS_ACML_VOL_RATE OPRC_HOUR OPRC_VRSS_PRPR_SIGN OPRC_VRSS_PRPR HGPR_HOUR "
    "HGPR_VRSS_PRPR_SIGN HGPR_VRSS_PRPR LWPR_HOUR LWPR_VRSS_PRPR_SIGN LWPR_VRSS_PRPR BSOP_DATE "
    "NEW_MKOP_CLS_CODE TRHT_YN ASKP_RSQN1 BIDP_RSQN1 TOTAL_ASKP_RSQN TOTAL_BIDP_RSQN VOL_TNRT "
    "PRDY_SMNS_HOUR_ACML_VOL PRDY_SMNS_HOUR_ACML_VOL_RATE HOUR_CLS_CODE MRKT_TRTM_CLS_CODE"
)
_TRADE_OLD = (*EXPECTED, "VI_STND_PRC")
TRADE: Mapping[Layout, Names] = {
    "2026-09": (*_TRADE_OLD, "MARKET_CLS_CODE"),
    "legacy": _TRADE_OLD,
}

_BOOK_OLD = _names(
    f"MKSC_SHRN_ISCD BSOP_HOUR HOUR_CLS_CODE {_levels('ASKP', 'BIDP', 'ASKP_RSQN', 'BIDP_RSQN')} "
    "TOTAL_ASKP_RSQN TOTAL_BIDP_RSQN OVTM_TOTAL_ASKP_RSQN OVTM_TOTAL_BIDP_RSQN ANTC_CNPR "
    "ANTC_CNQN ANTC_VOL ANTC_CNTG_VRSS ANTC_CNTG_VRSS_SIGN ANTC_CNTG_PRDY_CTRT ACML_VOL "
    "TOTAL_ASKP_RSQN_ICDC TOTAL_BIDP_RSQN_ICDC OVTM_TOTAL_ASKP_ICDC OVTM_TOTAL_BIDP_ICDC "
    "STCK_DEAL_CLS_CODE"
)
_KRX_MIDDLE = _names("KMID_PRC KMID_TOTAL_RSQN KMID_CLS_CODE")
_NXT_MIDDLE = _names("NMID_PRC NMID_TOTAL_RSQN NMID_CLS_CODE")
BOOK: Mapping[Layout, Names] = {
    "2026-09": (
        *_BOOK_OLD,
        *_names("MID_PRC MIDP_TOTAL_RSQN MIDP_CLS_CODE MARKET_CLS_CODE"),
    ),
    "legacy": _BOOK_OLD,
}
# The second exchange always told the middle price.
NXT_BOOK: Mapping[Layout, Names] = dict.fromkeys(("2026-09", "legacy"), (*_BOOK_OLD, *_NXT_MIDDLE))
COMBINED_BOOK: Mapping[Layout, Names] = {
    "2026-09": (*_BOOK_OLD, *_KRX_MIDDLE, *_NXT_MIDDLE, "ANTC_EXCH_CLS_CODE"),
    "legacy": (*_BOOK_OLD, *_KRX_MIDDLE, *_NXT_MIDDLE),
}

_STATE_OLD = _names(
    "MKSC_SHRN_ISCD TRHT_YN TR_SUSP_REAS_CNTT MKOP_CLS_CODE ANTC_MKOP_CLS_CODE "
    "MRKT_TRTM_CLS_CODE DIVI_APP_CLS_CODE ISCD_STAT_CLS_CODE VI_CLS_CODE OVTM_VI_CLS_CODE"
)
MARKET_STATE: Mapping[Layout, Names] = {
    "2026-09": (*_STATE_OLD, "EXCH_CLS_CODE"),
    "legacy": _STATE_OLD,
}

_NOTICE_HEAD = (
    "CUST_ID ACNT_NO ODER_NO OODER_NO SELN_BYOV_CLS RCTF_CLS ODER_KIND ODER_COND STCK_SHRN_ISCD "
    "CNTG_QTY CNTG_UNPR STCK_CNTG_HOUR RFUS_YN CNTG_YN ACPT_YN BRNC_NO ODER_QTY ACNT_NAME"
)
DOMESTIC_NOTICE: Mapping[Layout, Names] = {
    "2026-09": _names(
        f"{_NOTICE_HEAD} ORD_COND_PRC ORD_EXG_GB POPUP_YN FILLER CRDT_CLS CRDT_LOAN_DATE "
        "CNTG_ISNM40 ODER_PRC"
    ),
    "legacy": _names(f"{_NOTICE_HEAD} CNTG_ISNM CRDT_CLS CRDT_LOAN_DATE CNTG_ISNM40 ODER_PRC"),
}
_FOREIGN_NOTICE_OLD = _names(
    "CUST_ID ACNT_NO ODER_NO OODER_NO SELN_BYOV_CLS RCTF_CLS ODER_KIND2 STCK_SHRN_ISCD CNTG_QTY "
    "CNTG_UNPR STCK_CNTG_HOUR RFUS_YN CNTG_YN ACPT_YN BRNC_NO ODER_QTY ACNT_NAME CNTG_ISNM "
    "ODER_COND DEBT_GB DEBT_DATE"
)
FOREIGN_NOTICE: Mapping[Layout, Names] = {
    "2026-09": (*_FOREIGN_NOTICE_OLD, *_names("START_TM END_TM TM_DIV_TP CNTG_UNPR12")),
    "legacy": _FOREIGN_NOTICE_OLD,
}

FOREIGN_TRADE = _names(
    "RSYM SYMB ZDIV TYMD XYMD XHMS KYMD KHMS OPEN HIGH LOW LAST SIGN DIFF RATE PBID PASK VBID VASK "
    "EVOL TVOL TAMT BIVL ASVL STRN MTYP"
)


def _foreign_book(levels: int) -> Names:
    sides = ("PBID", "PASK", "VBID", "VASK", "DBID", "DASK")
    head = _names("RSYM SYMB ZDIV XYMD XHMS KYMD KHMS BVOL AVOL BDVL ADVL")
    return (*head, *(f"{side}{n}" for n in range(1, levels + 1) for side in sides))


def _same(names: Names) -> Mapping[Layout, Names]:
    return {"2026-09": names, "legacy": names}


_BOTH: tuple[Personality, ...] = ("real", "paper")
_REAL: tuple[Personality, ...] = ("real",)
_PAPER: tuple[Personality, ...] = ("paper",)

STREAMS: Mapping[str, Stream] = {
    stream.tr_id: stream
    for stream in (
        Stream("H0STCNT0", Content.TRADE, True, _BOTH, TRADE),
        Stream("H0NXCNT0", Content.TRADE, True, _REAL, TRADE),
        Stream("H0UNCNT0", Content.TRADE, True, _REAL, TRADE),
        Stream("H0STASP0", Content.BOOK, True, _BOTH, BOOK),
        Stream("H0NXASP0", Content.BOOK, True, _REAL, NXT_BOOK),
        Stream("H0UNASP0", Content.BOOK, True, _REAL, COMBINED_BOOK),
        Stream("H0STANC0", Content.EXPECTED, True, _REAL, _same(EXPECTED)),
        Stream("H0STMKO0", Content.MARKET_STATE, True, _REAL, MARKET_STATE),
        Stream("H0STCNI0", Content.NOTICE, True, _REAL, DOMESTIC_NOTICE),
        Stream("H0STCNI9", Content.NOTICE, True, _PAPER, DOMESTIC_NOTICE),
        Stream("HDFSCNT0", Content.TRADE, False, _REAL, _same(FOREIGN_TRADE)),
        Stream("HDFSASP0", Content.BOOK, False, _REAL, _same(_foreign_book(10)), levels=10),
        Stream("HDFSASP1", Content.BOOK, False, _REAL, _same(_foreign_book(1)), levels=1),
        Stream("H0GSCNI0", Content.NOTICE, False, _REAL, FOREIGN_NOTICE),
        Stream("H0GSCNI9", Content.NOTICE, False, _PAPER, FOREIGN_NOTICE),
    )
}
