"""What the broker's message codes mean, and what may be done about each.

Sources: the error tables of the KIS developer portal and refusals seen on live and paper accounts.
"""

from __future__ import annotations

import re

from trading_core.errors import BrokerUnavailable

TOKEN_DEAD = frozenset({"EGW00121", "EGW00122", "EGW00123"})
TOO_MANY_CALLS = frozenset({"EGW00201", "EGW00215"})
TOO_MANY_TOKENS = "EGW00133"
NOT_OFFERED = frozenset({"EGW00206", "EGW00213", "EGW02004", "EGW02006"})
NOTHING_FOUND = frozenset({"KIOK0560", "70070000"})
MORE_TO_COME = "KIOK0500"

# The gateway or a relay failed on the way: the order may have reached the ledger before that.
ORDER_MAY_BE_IN = frozenset(
    {
        "EGW00001",
        "EGW00002",
        "EGW00202",
        "EGW00203",
        "EGW00300",
        "EGW00301",
        "EGW00302",
        "IGW00007",
        "IGW00009",
        "OPSQ0003",
        "OPSQ0008",
        "OPSQ0009",
        "90020000",
    }
)

# The same failures pass, so a read, which changes nothing, is asked again.
TRANSIENT_READ = TOO_MANY_CALLS | ORDER_MAY_BE_IN

ACCEPTED = frozenset({"APBK0013", "40590000", "40600000", "40620000", "40630000"})

# The ledger's own words about an order: it looked at it and did not take it. A code of the gateway
# says so only if it is a known one.
_LEDGER_CODE = re.compile(r"(APBK|APAC|APTR|KIOK)[0-9]{4}|4[0-9]{7}", re.ASCII)
_CODE = re.compile(r"[A-Za-z0-9]{1,16}", re.ASCII)
_LONGEST_TEXT = 200
_JSON_ERROR = re.compile(r"OPSP999[0-9]", re.ASCII)
_NOTHING_TAKEN = frozenset(
    {
        *("EGW00003", "EGW00004", "EGW00101", "EGW00102", "EGW00103", "EGW00104", "EGW00105"),
        *("EGW00115", "EGW00116", "EGW00131", "EGW00132", "EGW00205", "EGW00207", "EGW00208"),
        *("EGW00304", "OPSQ0002", "OPSQ2000", "OPSQ2001", "OPSQ2002", "MCA05918"),
    }
)

_ENGLISH = {
    "MCA00000": "done",
    "KIOK0460": "the last page",
    "KIOK0500": "more pages follow",
    "KIOK0510": "complete",
    "KIOK0530": "found",
    "KIOK0560": "nothing to show",
    "20310000": "complete",
    "70070000": "nothing to show",
    "APBK0013": "the order was received",
    "40590000": "the sell order was received",
    "40600000": "the buy order was received",
    "40620000": "the modify was received",
    "40630000": "the cancel was received",
    "EGW00001": "a passing failure of the gateway",
    "EGW00002": "a failure of the server",
    "EGW00003": "access denied",
    "EGW00004": "no authority",
    "EGW00101": "a bad request",
    "EGW00102": "the app key is missing",
    "EGW00103": "bad app key",
    "EGW00104": "the app secret is missing",
    "EGW00105": "bad app secret",
    "EGW00115": "bad grant type",
    "EGW00116": "bad grant type",
    "EGW00121": "the access token is not valid",
    "EGW00122": "the access token is missing",
    "EGW00123": "the access token has expired",
    "EGW00131": "bad hash key",
    "EGW00132": "bad content type",
    "EGW00133": "a token may be issued once a minute",
    "EGW00201": "more calls a second than this app key is allowed",
    "EGW00202": "the gateway could not route the request",
    "EGW00203": "the gateway could not route the request",
    "EGW00205": "the authorization is not a bearer token",
    "EGW00206": "the app key has no right to this request",
    "EGW00207": "this network address is not allowed",
    "EGW00208": "bad customer type",
    "EGW00213": "not offered to paper accounts",
    "EGW00215": "the broker's ledger is busy",
    "EGW00300": "the gateway could not route the request",
    "EGW00301": "the broker's gateway could not connect in time",
    "EGW00302": "the broker's gateway waited too long",
    "EGW00304": "bad customer key",
    "EGW02004": "not a request of the real host",
    "EGW02006": "not a request of the paper host",
    "IGW00007": "the broker failed to build a message",
    "IGW00009": "the broker failed to build a message",
    "OPSQ0002": "unknown service",
    "OPSQ0003": "a relay of the broker failed",
    "OPSQ0008": "a relay of the broker failed",
    "OPSQ0009": "a relay of the broker failed",
    "OPSQ2000": "the account does not belong to this app key",
    "OPSQ2001": "an input field is missing or wrong",
    "OPSQ2002": "an input field has a wrong length",
    "MCA05918": "bad symbol",
    "APAC0081": "bad account number",
    "APBK0344": "the original order was not found",
    "APBK0400": "more shares than can be sold",
    "APBK0506": "the price is not on the price increment",
    "APBK0634": "the security is halted",
    "APBK0656": "no such security",
    "APBK0918": "refused for the reason given",
    "APBK0919": "the market is shut today",
    "APBK0927": "nothing is left to modify or cancel",
    "APBK0952": "not enough orderable cash",
    "APBK1058": "not an hour for orders",
    "APBK1359": "more than the order's remaining quantity",
    "APBK1664": "the overseas market is shut",
    "APBK1744": "this kind of account may not order",
    "APBK3026": "not tradable on that exchange",
    "APTR0057": "too many decimals in the price",
    "KIOK0320": "outside trading hours",
    "40030000": "the price is not on the price increment",
    "40070000": "not tradable on paper",
    "40100000": "not a business day",
    "40240000": "nothing is held to sell",
    "40250000": "not enough orderable cash",
    "40270000": "outside the daily price limits",
    "40330000": "nothing is left to modify or cancel",
    "40570000": "the market has not opened yet",
    "40580000": "the market has closed",
    "40910000": "this paper account may not order",
    "90020000": "a passing failure",
    "OPSP0000": "subscribed",
    "OPSP0001": "unsubscribed",
    "OPSP0002": "subscribed already",
    "OPSP0003": "was not subscribed",
    "OPSP0007": "a failure inside the broker",
    "OPSP0008": "no more subscriptions are allowed",
    "OPSP0009": "a relay of the broker failed",
    "OPSP0010": "bad app key",
    "OPSP0011": "bad approval key",
    "OPSP8991": "bad stream id",
    "OPSP8992": "bad stream key",
    "OPSP8993": "bad stream key",
    "OPSP8996": "another session uses this app key",
    "OPSP8997": "bad request type",
}


def is_refusal(code: str) -> bool:
    """Whether ``code`` says for certain that an order was not taken."""
    if code in ORDER_MAY_BE_IN or code in ACCEPTED:
        return False
    return code in _NOTHING_TAKEN or _LEDGER_CODE.fullmatch(code) is not None


def code_of(value: object) -> str:
    """A message code as a reply names it; "" for anything that cannot be one."""
    code = value.strip() if isinstance(value, str) else ""
    return code if _CODE.fullmatch(code) else ""


def explain(code: str, text: object) -> str:
    """The broker's own words, on one printable line, with their English meaning where known."""
    english = _ENGLISH.get(code, "")
    if not english and _JSON_ERROR.fullmatch(code):
        english = "the request is not the JSON that was expected"
    said = text if isinstance(text, str) else ""
    own = " ".join("".join(c if c.isprintable() else " " for c in said).split())[:_LONGEST_TEXT]
    if own and english:
        return f"{own} ({english})"
    return own or english or "no reason given"


class Unreachable(BrokerUnavailable):
    """No answer at all, after the retries: the next symbol would not get one either."""
