"""The broker's code tables: exchanges, TR ids of orders, and the codes of refusals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from trading_core.model.market import Currency, Market, MarketGroup
from trading_core.model.order import Side
from trading_core.rules.markets import market_info
from trading_core.twin.venue import RefusalKind
from trading_core.twin.wire.envelope import WireError


@dataclass(frozen=True, slots=True)
class ExchangeCode:
    """One foreign exchange as the broker names it.

    ``quote_code`` is EXCD, ``order_code`` is OVRS_EXCG_CD, ``decimals`` those of a quoted price,
    ``opens`` and ``closes`` the regular hours on the exchange's own wall clock (HHMMSS).
    """

    market: Market
    quote_code: str
    order_code: str
    currency: Currency
    nation: str
    product_type: str
    market_code: str
    name: str
    nation_name: str
    decimals: int
    opens: str
    closes: str
    zone: ZoneInfo

    @property
    def currency_name(self) -> str:
        return CURRENCY_NAMES[self.currency]


def _exchanges(
    nation: str,
    nation_name: str,
    decimals: int,
    hours: tuple[str, str],
    *listings: tuple[Market, str, str],
) -> tuple[ExchangeCode, ...]:
    """The exchanges of one country: (market, number within the country, name)."""
    return tuple(
        ExchangeCode(
            market=market,
            quote_code=info.quote_code,
            order_code=info.order_code,
            currency=info.currency,
            nation=nation,
            product_type=info.product_type,
            market_code=number,
            name=name,
            nation_name=nation_name,
            decimals=decimals,
            opens=hours[0],
            closes=hours[1],
            zone=ZoneInfo(info.zone),
        )
        for market, number, name in listings
        for info in (market_info(market),)
    )


EXCHANGES: tuple[ExchangeCode, ...] = (
    *_exchanges(
        "840",
        "미국",
        4,
        ("093000", "160000"),
        (Market.US_NASDAQ, "01", "나스닥"),
        (Market.US_NYSE, "02", "뉴욕거래소"),
        (Market.US_AMEX, "05", "아멕스"),
    ),
    *_exchanges("344", "홍콩", 3, ("093000", "160000"), (Market.HK, "01", "홍콩거래소")),
    *_exchanges(
        "156",
        "중국",
        3,
        ("093000", "150000"),
        (Market.CN_SHA, "03", "상해A"),
        (Market.CN_SZA, "04", "심천A"),
    ),
    *_exchanges("392", "일본", 1, ("090000", "153000"), (Market.JP, "01", "도쿄거래소")),
    *_exchanges(
        "704",
        "베트남",
        0,
        ("090000", "150000"),
        (Market.VN_HNX, "01", "하노이거래소"),
        (Market.VN_HSX, "02", "호치민거래소"),
    ),
)

BY_MARKET: Mapping[Market, ExchangeCode] = {code.market: code for code in EXCHANGES}
BY_ORDER_CODE: Mapping[str, ExchangeCode] = {code.order_code: code for code in EXCHANGES}
# The day session of the US exchanges has quote codes of its own for the same securities.
BY_QUOTE_CODE: Mapping[str, ExchangeCode] = {code.quote_code: code for code in EXCHANGES} | {
    "BAQ": BY_MARKET[Market.US_NASDAQ],
    "BAY": BY_MARKET[Market.US_NYSE],
    "BAA": BY_MARKET[Market.US_AMEX],
}

CURRENCY_NAMES: Mapping[Currency, str] = {
    Currency.USD: "미국 달러",
    Currency.HKD: "홍콩 달러",
    Currency.CNY: "중국 위안화",
    Currency.JPY: "일본 엔화",
    Currency.VND: "베트남 동",
}
SETTLEMENT_SESSIONS: Mapping[MarketGroup, int] = {
    MarketGroup.US: 1,
    MarketGroup.HK: 2,
    MarketGroup.CN: 1,
    MarketGroup.JP: 2,
    MarketGroup.VN: 2,
}

SIDE_CODES: Mapping[Side, str] = {Side.SELL: "01", Side.BUY: "02"}

# (what follows the first letter, side, markets); the paper id has V in place of the first letter.
OVERSEAS_ORDER_IDS: tuple[tuple[str, Side, MarketGroup, str], ...] = (
    ("TTT1002U", Side.BUY, MarketGroup.US, ""),
    ("TTT1006U", Side.SELL, MarketGroup.US, ""),
    ("TTS1002U", Side.BUY, MarketGroup.HK, ""),
    ("TTS1001U", Side.SELL, MarketGroup.HK, ""),
    ("TTS0202U", Side.BUY, MarketGroup.CN, "SHAA"),
    ("TTS1005U", Side.SELL, MarketGroup.CN, "SHAA"),
    ("TTS0305U", Side.BUY, MarketGroup.CN, "SZAA"),
    ("TTS0304U", Side.SELL, MarketGroup.CN, "SZAA"),
    ("TTS0308U", Side.BUY, MarketGroup.JP, ""),
    ("TTS0307U", Side.SELL, MarketGroup.JP, ""),
    ("TTS0311U", Side.BUY, MarketGroup.VN, ""),
    ("TTS0310U", Side.SELL, MarketGroup.VN, ""),
)
OVERSEAS_CHANGE_IDS: tuple[tuple[str, MarketGroup, str], ...] = (
    ("TTT1004U", MarketGroup.US, ""),
    ("TTS1003U", MarketGroup.HK, ""),
    ("TTS0309U", MarketGroup.JP, ""),
    ("TTS0302U", MarketGroup.CN, "SHAA"),
    ("TTS0306U", MarketGroup.CN, "SZAA"),
    ("TTS0312U", MarketGroup.VN, ""),
)
# Product code of a retirement account, which may be looked at only.
PENSION_PRODUCT = "29"
CANCEL_ONLY: frozenset[MarketGroup] = frozenset({MarketGroup.CN, MarketGroup.VN})

_REAL: Mapping[RefusalKind, tuple[str, str]] = {
    RefusalKind.PRICE_INCREMENT: ("APBK0506", "주식주문호가단위 오류입니다."),
    RefusalKind.PRICE_LIMIT: ("APBK0918", "주문단가가 상/하한가를 벗어났습니다."),
    RefusalKind.CASH: ("APBK0952", "주문가능금액을 초과 했습니다"),
    RefusalKind.QUANTITY: ("APBK0400", "주문 가능한 수량을 초과했습니다."),
    RefusalKind.NO_POSITION: ("APBK0400", "주문 가능한 수량을 초과했습니다."),
    RefusalKind.BEFORE_OPEN: ("APBK0918", "장운영시간이 아닙니다.(장시작전)"),
    RefusalKind.AFTER_CLOSE: ("APBK0918", "장운영시간이 아닙니다.(장종료)"),
    RefusalKind.NOT_A_SESSION: ("APBK0919", "장운영일자가 주문일과 상이합니다"),
    RefusalKind.UNKNOWN_SYMBOL: ("APBK0656", "해당종목정보가 없습니다."),
    RefusalKind.HALTED: ("APBK0634", "거래정지 종목은 주문할 수 없습니다."),
    RefusalKind.ORIGINAL_NOT_FOUND: ("APBK0344", "원주문정보가 존재하지 않습니다."),
    RefusalKind.NOTHING_LEFT: ("APBK0927", "정정/취소 가능수량이 없습니다."),
    RefusalKind.QUANTITY_TOO_LARGE: ("APBK1359", "정정/취소수량이 주문잔량보다 많습니다."),
    RefusalKind.NOT_SUPPORTED: ("APBK3026", "해당 거래소에서 처리할 수 없는 주문입니다."),
}
_OVERSEAS_CLOSED = ("APBK1664", "해당 해외시장의 주문가능시간이 아닙니다.")
_CLOSED = (RefusalKind.BEFORE_OPEN, RefusalKind.AFTER_CLOSE, RefusalKind.NOT_A_SESSION)

_FAILED = "모의투자 주문처리가 안되었습니다"
_PAPER: Mapping[RefusalKind, tuple[str, str]] = {
    RefusalKind.PRICE_INCREMENT: ("40030000", f"{_FAILED}(호가단위 오류)"),
    RefusalKind.PRICE_LIMIT: ("40270000", "모의투자 상/하한가 오류"),
    RefusalKind.CASH: ("40250000", "모의투자 주문가능금액이 부족합니다."),
    RefusalKind.QUANTITY: ("40240000", "모의투자 잔고내역이 없습니다."),
    RefusalKind.NO_POSITION: ("40240000", "모의투자 잔고내역이 없습니다."),
    RefusalKind.BEFORE_OPEN: ("40570000", "모의투자 장시작전 입니다."),
    RefusalKind.AFTER_CLOSE: ("40580000", "모의투자 장종료 입니다."),
    RefusalKind.NOT_A_SESSION: ("40100000", "모의투자 영업일이 아닙니다."),
    RefusalKind.UNKNOWN_SYMBOL: ("40070000", f"{_FAILED}(매매불가 종목)"),
    RefusalKind.HALTED: ("40070000", f"{_FAILED}(매매불가 종목)"),
    RefusalKind.ORIGINAL_NOT_FOUND: ("40330000", "모의투자 정정/취소할 수량이 없습니다."),
    RefusalKind.NOTHING_LEFT: ("40330000", "모의투자 정정/취소할 수량이 없습니다."),
    RefusalKind.QUANTITY_TOO_LARGE: ("40330000", "모의투자 정정/취소할 수량이 없습니다."),
    RefusalKind.NOT_SUPPORTED: ("40070000", f"{_FAILED}(매매불가 종목)"),
}


def account_error() -> WireError:
    """An account that the caller does not own."""
    return WireError("OPSQ2000", "ERROR : INPUT INVALID_CHECK_ACNO", rt_cd="2", status=200)


def account_number_error() -> WireError:
    """A number that cannot be an account, named in an order."""
    return WireError("APAC0081", "계좌번호 오류입니다.", rt_cd="7", status=200)


def account_kind_error() -> WireError:
    """An account of a kind that may look but not order."""
    return WireError("APBK1744", "주문이 불가한 계좌입니다.", rt_cd="7", status=200)


def decimals_error() -> WireError:
    """An overseas price with more decimals than its market has."""
    return WireError("APTR0057", "주문단가의 소수점 자리수를 확인하세요.", rt_cd="7", status=200)


def refusal_error(kind: RefusalKind, *, paper: bool, overseas: bool) -> WireError:
    """The broker's own code for a refusal by the exchange."""
    if kind is RefusalKind.UNKNOWN_ACCOUNT:
        return account_error()
    if paper:
        return WireError(*_PAPER[kind], rt_cd="1", status=200)
    if overseas and kind in _CLOSED:
        return WireError(*_OVERSEAS_CLOSED, rt_cd="7", status=200)
    return WireError(*_REAL[kind], rt_cd="7", status=200)


def accepted_text(what: str, *, paper: bool) -> tuple[str, str]:
    """Code and text of an accepted request; ``what`` is buy, sell, modify or cancel."""
    if not paper:
        return "APBK0013", "주문 전송 완료 되었습니다."
    return {
        "buy": ("40600000", "모의투자 매수주문이 완료 되었습니다."),
        "sell": ("40590000", "모의투자 매도주문이 완료 되었습니다."),
        "modify": ("40620000", "모의투자 정정주문이 완료 되었습니다."),
        "cancel": ("40630000", "모의투자 취소주문이 완료 되었습니다."),
    }[what]
