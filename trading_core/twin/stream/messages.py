"""The JSON of the stream: what a client asks for, and how it is answered.

A registration is ``{"header": {approval_key, custtype, tr_type, content-type}, "body": {"input":
{tr_id, tr_key}}}``; ``tr_type`` 1 registers and 2 releases. Every request gets one answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from trading_core.twin.stream.cipher import Cipher
from trading_core.twin.wire.envelope import KST

PINGPONG = "PINGPONG"
REGISTERED, RELEASED = "OPSP0000", "OPSP0001"
TEXTS: Mapping[str, str] = {
    REGISTERED: "SUBSCRIBE SUCCESS",
    RELEASED: "UNSUBSCRIBE SUCCESS",
    "OPSP0002": "ALREADY IN SUBSCRIBE",
    "OPSP0003": "UNSUBSCRIBE ERROR(not found!)",
    "OPSP0007": "SUBSCRIBE INTERNAL ERROR",
    "OPSP0008": "MAX SUBSCRIBE OVER",
    "OPSP0010": "SUBSCRIBE WARNING : invalid appkey",
    "OPSP0011": "invalid approval : NOT FOUND",
    "OPSP8991": "SUBSCRIBE ERROR : invalid tr_id",
    "OPSP8992": "SUBSCRIBE ERROR : invalid tr_key",
    "OPSP8993": "JSON PARSING ERROR : invalid tr_key",
    "OPSP8996": "ALREADY IN USE appkey",
    "OPSP8997": "JSON PARSING ERROR : invalid tr_type",
    "OPSP8998": "JSON PARSING ERROR : invalid custtype",
    "OPSP9990": "JSON PARSING ERROR : tr_key not found",
    "OPSP9991": "JSON PARSING ERROR : input not found",
    "OPSP9992": "JSON PARSING ERROR : body not found",
    "OPSP9996": "JSON PARSING ERROR : appkey not found",
    "OPSP9997": "JSON PARSING ERROR : custtype not found",
    "OPSP9998": "JSON PARSING ERROR : header not found",
    "OPSP9999": "JSON PARSING ERROR : invalid json format",
}
# What is echoed of a nonsensical request.
LONGEST_ECHO = 64


@dataclass(frozen=True, slots=True)
class Request:
    """A well-formed wish to register or to release."""

    approval_key: str
    release: bool
    tr_id: str
    tr_key: str


class Refused(Exception):
    """A request that is answered with an error; ``tr_id`` and ``tr_key`` as far as they came."""

    def __init__(self, code: str, tr_id: str = "", tr_key: str = "") -> None:
        super().__init__(f"{code} {TEXTS[code]}")
        self.code = code
        self.tr_id = tr_id
        self.tr_key = tr_key


def read(data: str | bytes) -> Request | None:
    """A client's message; None for the echo of a heartbeat.

    Raises:
        Refused: it is neither.
    """
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        raise Refused("OPSP9999") from None
    if not isinstance(content, dict):
        raise Refused("OPSP9999")
    header = content.get("header")
    if not isinstance(header, dict):
        raise Refused("OPSP9998")
    if header.get("tr_id") == PINGPONG:
        return None
    body = content.get("body")
    if not isinstance(body, dict):
        raise Refused("OPSP9992")
    wanted = body.get("input")
    if not isinstance(wanted, dict):
        raise Refused("OPSP9991")
    return _request(header, wanted)


def _request(header: Mapping[str, Any], wanted: Mapping[str, Any]) -> Request:
    tr_id, tr_key = _text(wanted.get("tr_id")), _text(wanted.get("tr_key"))
    approval_key = _text(header.get("approval_key"))
    custtype = _text(header.get("custtype"))
    if not approval_key:
        raise Refused("OPSP9996", tr_id, tr_key)
    if not custtype:
        raise Refused("OPSP9997", tr_id, tr_key)
    if custtype not in ("P", "B"):
        raise Refused("OPSP8998", tr_id, tr_key)
    tr_type = header.get("tr_type")
    if tr_type not in ("1", "2"):
        raise Refused("OPSP8997", tr_id, tr_key)
    if "tr_key" not in wanted:
        raise Refused("OPSP9990", tr_id, tr_key)
    if not tr_key or not tr_key.isprintable() or "^" in tr_key or "|" in tr_key:
        raise Refused("OPSP8993", tr_id, tr_key)
    return Request(approval_key, tr_type == "2", tr_id, tr_key)


def _text(value: object) -> str:
    return value.strip()[:LONGEST_ECHO] if isinstance(value, str) else ""


def answer(code: str, tr_id: str, tr_key: str, cipher: Cipher | None, *, secret: bool) -> str:
    """The reply to a request; ``cipher`` goes with a success, ``secret`` if it is used."""
    body: dict[str, Any] = {
        "rt_cd": "0" if code in (REGISTERED, RELEASED) else "1",
        "msg_cd": code,
        "msg1": TEXTS[code],
    }
    if cipher is not None:
        body["output"] = {"iv": cipher.iv, "key": cipher.key}
    head = {"tr_id": tr_id, "tr_key": tr_key, "encrypt": "Y" if secret else "N"}
    return json.dumps({"header": head, "body": body})


def heartbeat(at: datetime) -> str:
    """The message a client has to echo; ``at`` is told as wall time in Seoul."""
    told = at.astimezone(KST).strftime("%Y%m%d%H%M%S")
    return json.dumps({"header": {"tr_id": PINGPONG, "datetime": told}})
