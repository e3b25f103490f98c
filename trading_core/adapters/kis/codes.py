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

_BUSINESS_CODE = re.compile(r"[A-Z0-9]{6,8}", re.ASCII)

_ENGLISH = {
    "EGW00103": "bad app key",
    "EGW00105": "bad app secret",
    "EGW00121": "the access token is not valid",
    "EGW00122": "the access token is missing",
    "EGW00123": "the access token has expired",
    "EGW00133": "a token may be issued once a minute",
    "EGW00201": "more calls a second than this app key is allowed",
    "EGW00206": "the app key has no right to this request",
    "EGW00207": "this network address is not allowed",
    "EGW00208": "bad customer type",
    "EGW00213": "not offered to paper accounts",
    "EGW00215": "the broker's ledger is busy",
    "EGW00301": "the broker's gateway could not connect in time",
    "EGW00302": "the broker's gateway waited too long",
    "EGW02004": "not a request of the real host",
    "EGW02006": "not a request of the paper host",
    "OPSQ0002": "unknown service",
    "OPSQ2000": "the account does not belong to this app key",
    "OPSQ2001": "an input field is missing or wrong",
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
}


def is_refusal(code: str) -> bool:
    """Whether ``code`` says for certain that an order was not taken."""
    return _BUSINESS_CODE.fullmatch(code) is not None and code not in ORDER_MAY_BE_IN


def explain(code: str, text: str) -> str:
    """The broker's own words with their English meaning, where it is known."""
    english = _ENGLISH.get(code, "")
    own = " ".join(text.split())
    if own and english:
        return f"{own} ({english})"
    return own or english or "no reason given"


class Unreachable(BrokerUnavailable):
    """No answer at all, after the retries: the next symbol would not get one either."""
