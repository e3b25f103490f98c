"""The records of the broker's WebSocket: TR ids, field names by position, market codes.

Source: the portal's real-time sheets (September 2026) and the layouts before them. Layouts grow at
their tail, so a record may be longer than the longest layout known here, never shorter than the
shortest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from trading_core.adapters.kis.routes import DomesticVenue
from trading_core.adapters.kis.tr_table import Personality
from trading_core.model.market import Instrument, Market, MarketGroup
from trading_core.rules.markets import market_info


class Content(StrEnum):
    """What a record is about."""

    TRADE = "trade"
    BOOK = "book"
    KR_NOTICE = "domestic notice"
    NOTICE = "overseas notice"


@dataclass(frozen=True, slots=True)
class Layout:
    """Field names in the order they are sent."""

    names: tuple[str, ...]

    @property
    def width(self) -> int:
        return len(self.names)


@dataclass(frozen=True, slots=True)
class Stream:
    """One TR: its content and its layouts, the longest first. ``domestic`` prices are in won."""

    content: Content
    domestic: bool
    layouts: tuple[Layout, ...]

    def layout(self, width: int) -> Layout | None:
        """The layout of a record of ``width`` fields; None for a width that cannot be one.

        As many fields again would be a second record that the count did not tell of.
        """
        for layout in self.layouts:
            if width >= layout.width:
                return layout if width < 2 * layout.width else None
        return None


def _fields(text: str) -> Layout:
    return Layout(tuple(text.split()))


def _numbered(*names: str, count: int = 10) -> str:
    return " ".join(f"{name}{number}" for name in names for number in range(1, count + 1))


_KR_TRADE = _fields(
    "MKSC_SHRN_ISCD STCK_CNTG_HOUR STCK_PRPR PRDY_VRSS_SIGN PRDY_VRSS PRDY_CTRT "
    "WGHN_AVRG_STCK_PRC STCK_OPRC STCK_HGPR STCK_LWPR ASKP1 BIDP1 CNTG_VOL ACML_VOL "
    "ACML_TR_PBMN SELN_CNTG_CSNU SHNU_CNTG_CSNU NTBY_CNTG_CSNU CTTR SELN_CNTG_SMTN "
    "SHNU_CNTG_SMTN CCLD_DVSN SHNU_RATE PRDY_VOL_VRSS_ACML_VOL_RATE OPRC_HOUR "
    "OPRC_VRSS_PRPR_SIGN OPRC_VRSS_PRPR HGPR_HOUR HGPR_VRSS_PRPR_SIGN HGPR_VRSS_PRPR LWPR_HOUR "
    "LWPR_VRSS_PRPR_SIGN LWPR_VRSS_PRPR BSOP_DATE NEW_MKOP_CLS_CODE TRHT_YN ASKP_RSQN1 "
    "BIDP_RSQN1 TOTAL_ASKP_RSQN TOTAL_BIDP_RSQN VOL_TNRT PRDY_SMNS_HOUR_ACML_VOL "
    "PRDY_SMNS_HOUR_ACML_VOL_RATE HOUR_CLS_CODE MRKT_TRTM_CLS_CODE VI_STND_PRC"
)
_KR_BOOK = _fields(
    "MKSC_SHRN_ISCD BSOP_HOUR HOUR_CLS_CODE "
    + _numbered("ASKP", "BIDP", "ASKP_RSQN", "BIDP_RSQN")
    + " TOTAL_ASKP_RSQN TOTAL_BIDP_RSQN OVTM_TOTAL_ASKP_RSQN OVTM_TOTAL_BIDP_RSQN ANTC_CNPR "
    "ANTC_CNQN ANTC_VOL ANTC_CNTG_VRSS ANTC_CNTG_VRSS_SIGN ANTC_CNTG_PRDY_CTRT ACML_VOL "
    "TOTAL_ASKP_RSQN_ICDC TOTAL_BIDP_RSQN_ICDC OVTM_TOTAL_ASKP_ICDC OVTM_TOTAL_BIDP_ICDC "
    "STCK_DEAL_CLS_CODE"
)
_KR_NOTICE_HEAD = (
    "CUST_ID ACNT_NO ODER_NO OODER_NO SELN_BYOV_CLS RCTF_CLS ODER_KIND ODER_COND "
    "STCK_SHRN_ISCD CNTG_QTY CNTG_UNPR STCK_CNTG_HOUR RFUS_YN CNTG_YN ACPT_YN BRNC_NO ODER_QTY "
    "ACNT_NAME "
)
_KR_NOTICE = _fields(
    _KR_NOTICE_HEAD + "ORD_COND_PRC ORD_EXG_GB POPUP_YN FILLER CRDT_CLS CRDT_LOAN_DATE "
    "CNTG_ISNM40 ODER_PRC"
)
_KR_NOTICE_OLD = _fields(_KR_NOTICE_HEAD + "CNTG_ISNM CRDT_CLS CRDT_LOAN_DATE CNTG_ISNM40 ODER_PRC")
_TRADE = _fields(
    "RSYM SYMB ZDIV TYMD XYMD XHMS KYMD KHMS OPEN HIGH LOW LAST SIGN DIFF RATE PBID PASK VBID "
    "VASK EVOL TVOL TAMT BIVL ASVL STRN MTYP"
)
# As the broker's own sample reads it: without the first field.
_TRADE_NO_RSYM = Layout(_TRADE.names[1:])
_BOOK_HEAD = "RSYM SYMB ZDIV XYMD XHMS KYMD KHMS BVOL AVOL BDVL ADVL "


def _book(levels: int) -> Layout:
    sides = ("PBID", "PASK", "VBID", "VASK", "DBID", "DASK")
    return _fields(
        _BOOK_HEAD + " ".join(f"{side}{level}" for level in range(1, levels + 1) for side in sides)
    )


_NOTICE = _fields(
    "CUST_ID ACNT_NO ODER_NO OODER_NO SELN_BYOV_CLS RCTF_CLS ODER_KIND2 STCK_SHRN_ISCD CNTG_QTY "
    "CNTG_UNPR STCK_CNTG_HOUR RFUS_YN CNTG_YN ACPT_YN BRNC_NO ODER_QTY ACNT_NAME CNTG_ISNM "
    "ODER_COND DEBT_GB DEBT_DATE START_TM END_TM TM_DIV_TP CNTG_UNPR12"
)
_NOTICE_OLD = Layout(_NOTICE.names[:21])

_KR_TRADES = Stream(Content.TRADE, True, (_KR_TRADE,))
_KR_BOOKS = Stream(Content.BOOK, True, (_KR_BOOK,))
_KR_NOTICES = Stream(Content.KR_NOTICE, True, (_KR_NOTICE, _KR_NOTICE_OLD))
_NOTICES = Stream(Content.NOTICE, False, (_NOTICE, _NOTICE_OLD))

STREAMS: Mapping[str, Stream] = {
    "H0STCNT0": _KR_TRADES,
    "H0NXCNT0": _KR_TRADES,
    "H0UNCNT0": _KR_TRADES,
    "H0STASP0": _KR_BOOKS,
    "H0NXASP0": _KR_BOOKS,
    "H0UNASP0": _KR_BOOKS,
    "H0STCNI0": _KR_NOTICES,
    "H0STCNI9": _KR_NOTICES,
    "H0GSCNI0": _NOTICES,
    "H0GSCNI9": _NOTICES,
    "HDFSCNT0": Stream(Content.TRADE, False, (_TRADE, _TRADE_NO_RSYM)),
    "HDFSASP0": Stream(Content.BOOK, False, (_book(10), _book(1))),
    "HDFSASP1": Stream(Content.BOOK, False, (_book(1),)),
}

NOTICE_TRS: Mapping[Personality, tuple[str, ...]] = {
    "real": ("H0STCNI0", "H0GSCNI0"),
    "paper": ("H0STCNI9", "H0GSCNI9"),
}

_ROUTES: Mapping[DomesticVenue, str] = {"KRX": "ST", "NXT": "NX", "SOR": "UN"}

# The market code and the implied decimals of the price in overseas notices. ``C`` (Hong Kong in
# yuan) and ``5`` (Shanghai in dollars) are left out: their prices are not in the market's currency.
NOTICE_MARKETS: Mapping[str, tuple[Market, int]] = {
    "6": (Market.US_NASDAQ, 4),
    "7": (Market.US_NYSE, 4),
    "8": (Market.US_AMEX, 4),
    "4": (Market.HK, 3),
    "A": (Market.CN_SHA, 3),
    "B": (Market.CN_SZA, 3),
    "D": (Market.JP, 1),
    "E": (Market.VN_HNX, 0),
    "F": (Market.VN_HSX, 0),
}


def offered(instrument: Instrument, personality: Personality) -> bool:
    """Whether the host streams this instrument at all; paper has Korean prices alone."""
    return instrument.market is Market.KR or personality == "real"


def trade_key(instrument: Instrument, route: DomesticVenue) -> tuple[str, str]:
    """TR id and key of an instrument's trades."""
    if instrument.market is Market.KR:
        return f"H0{_ROUTES[route]}CNT0", instrument.symbol
    return "HDFSCNT0", _real_time_symbol(instrument)


def book_key(instrument: Instrument, route: DomesticVenue) -> tuple[str, str]:
    """TR id and key of an instrument's order book."""
    if instrument.market is Market.KR:
        return f"H0{_ROUTES[route]}ASP0", instrument.symbol
    american = instrument.market.group is MarketGroup.US
    return ("HDFSASP0" if american else "HDFSASP1"), _real_time_symbol(instrument)


def _real_time_symbol(instrument: Instrument) -> str:
    return f"D{market_info(instrument.market).quote_code}{instrument.symbol}"
