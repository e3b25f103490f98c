"""What a request and a reply are, and how their texts are written and read.

Every business value on the wire is a JSON string. ``rt_cd`` is ``0`` for success, ``1`` for the
gateway and the paper ledger, ``2`` for a wrong input and ``7`` for a refusal by the real ledger.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from trading_core.twin.venue import OrderFate

KST = ZoneInfo("Asia/Seoul")
MESSAGE_WIDTH = 80
UNTROUBLED = OrderFate()

_PRICE = re.compile(r"[0-9]{1,12}(\.[0-9]{1,8})?")
_QUANTITY = re.compile(r"[0-9]{1,10}")
_DATE = re.compile(r"[0-9]{8}")
_TIME = re.compile(r"[0-9]{6}")


class WireError(Exception):
    """A request that is answered with an error envelope instead of an output."""

    def __init__(self, code: str, text: str, *, rt_cd: str = "1", status: int = 500) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text
        self.rt_cd = rt_cd
        self.status = status


def input_error(text: str, code: str = "OPSQ2001") -> WireError:
    """A wrong or missing input field (HTTP 200, rt_cd 2)."""
    return WireError(code, text, rt_cd="2", status=200)


@dataclass(frozen=True, slots=True)
class Reply:
    """A response before it is written: ``body`` is serialised as JSON by the server."""

    body: Mapping[str, Any]
    status: int = 200
    tr_cont: str = ""


@dataclass(frozen=True, slots=True)
class WireRequest:
    """A request as it came in. ``headers`` and ``query`` have lower- and upper-case keys."""

    method: str
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """A checked request: its TR is offered here and its declared fields are there.

    ``variant`` tells apart the TRs that share a path, such as buy and sell. ``fate`` is what is to
    go wrong with an order placed by this call.
    """

    tr_id: str
    variant: str
    params: Mapping[str, str]
    continued: bool = False
    paper: bool = False
    size: int = field(default=0)
    fate: OrderFate = UNTROUBLED

    def text(self, key: str, default: str = "") -> str:
        """A field without surrounding blanks; ``default`` when it is not there."""
        return self.params.get(key, default).strip()

    def integer(self, key: str, default: int = 0) -> int:
        """A field as a number; ``default`` when it is empty or not one."""
        text = self.text(key)
        return int(text) if _QUANTITY.fullmatch(text) else default

    def quantity(self, key: str) -> int:
        """A count of shares. Raises :class:`WireError` for anything but up to ten digits."""
        text = self.text(key)
        if not _QUANTITY.fullmatch(text):
            raise input_error(f"ERROR : INPUT INVALID_CHECK_{key}")
        return int(text)

    def price(self, key: str) -> Decimal:
        """A price, zero when empty. Raises :class:`WireError` for anything but a plain number."""
        text = self.text(key) or "0"
        if not _PRICE.fullmatch(text):
            raise input_error(f"ERROR : INPUT INVALID_CHECK_{key}")
        return Decimal(text)

    def day(self, key: str) -> date:
        """A ``YYYYMMDD`` date. Raises :class:`WireError` for anything else."""
        text = self.text(key)
        if _DATE.fullmatch(text):
            try:
                return date(int(text[:4]), int(text[4:6]), int(text[6:]))
            except ValueError:
                pass
        raise input_error(f"ERROR : INPUT INVALID_CHECK_{key}")

    def clock_time(self, key: str) -> time:
        """An ``HHMMSS`` time. Raises :class:`WireError` for anything else."""
        text = self.text(key)
        if _TIME.fullmatch(text):
            try:
                return time(int(text[:2]), int(text[2:4]), int(text[4:]))
            except ValueError:
                pass
        raise input_error(f"ERROR : INPUT INVALID_CHECK_{key}")


def failure(error: WireError, *, padded: bool = False) -> Reply:
    """The error envelope; ledger requests pad the text with blanks.

    Token requests have an envelope of their own, marked by an empty ``rt_cd``.
    """
    if not error.rt_cd:
        body = {"error_code": error.code, "error_description": error.text}
        return Reply(body, error.status)
    text = error.text.ljust(MESSAGE_WIDTH) if padded else error.text
    return Reply({"rt_cd": error.rt_cd, "msg_cd": error.code, "msg1": text}, error.status)


def quoted(**outputs: Any) -> Reply:
    """Success of a quote or ranking request."""
    head = {"rt_cd": "0", "msg_cd": "MCA00000", "msg1": "정상처리 되었습니다."}
    return Reply(head | outputs)


def alike(names: str, value: str) -> dict[str, str]:
    """Fields that all hold the same text; ``names`` are parted by blanks."""
    return dict.fromkeys(names.split(), value)


def whole(value: Decimal | int | float) -> str:
    """A number without decimals; "no number" is written as 0."""
    return fixed(value, 0)


def fixed(value: Decimal | int | float, places: int) -> str:
    """A number with exactly ``places`` decimals, never ``-0`` and never ``nan``."""
    if value != value:
        value = 0
    text = f"{value:.{places}f}"
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text


def plain(value: Decimal, places: int = 4) -> str:
    """A number with up to ``places`` decimals and no trailing zeros."""
    text = fixed(value, places)
    return text.rstrip("0").rstrip(".") if "." in text else text


def against(value: Decimal, base: Decimal) -> Decimal:
    """How far a value is from its base, in percent; 0 without a base."""
    return ratio_pct(value - base, base) if base > 0 else Decimal(0)


def ratio_pct(part: Decimal, base: Decimal) -> Decimal:
    """``part`` over ``base`` in percent; 0 without a base."""
    return part / base * 100 if base else Decimal(0)


def day_text(day: date) -> str:
    return f"{day.year:04}{day.month:02}{day.day:02}"


def time_text(at: datetime, zone: ZoneInfo = KST) -> str:
    """``HHMMSS`` on the wall of ``zone``."""
    return at.astimezone(zone).strftime("%H%M%S")
