"""The stream's own texts: answers, heartbeats, encryption, and keys of foreign securities."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher as Aes
from cryptography.hazmat.primitives.ciphers import algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from trading_core.model.market import Market
from trading_core.twin.stream.cipher import Cipher
from trading_core.twin.stream.messages import TEXTS, Refused, answer, heartbeat, read
from trading_core.twin.stream.notices import NOTICE_MARKETS, concerns, implied
from trading_core.twin.stream.overseas import read_key

KNOWN = Cipher("0123456789abcdef0123456789abcdef", "fedcba9876543210")


def test_a_success_carries_the_cipher_and_an_error_does_not() -> None:
    good = json.loads(answer("OPSP0000", "H0STCNI0", "me", KNOWN, secret=True))
    assert good == {
        "header": {"tr_id": "H0STCNI0", "tr_key": "me", "encrypt": "Y"},
        "body": {
            "rt_cd": "0", "msg_cd": "OPSP0000", "msg1": "SUBSCRIBE SUCCESS",
            "output": {"iv": KNOWN.iv, "key": KNOWN.key},
        },
    }  # fmt: skip
    bad = json.loads(answer("OPSP0008", "H0STCNT0", "005930", None, secret=False))
    assert bad["body"] == {"rt_cd": "1", "msg_cd": "OPSP0008", "msg1": "MAX SUBSCRIBE OVER"}


def test_a_heartbeat_tells_the_time_of_seoul() -> None:
    told = json.loads(heartbeat(datetime(2026, 11, 20, 15, 30, 1, tzinfo=UTC)))
    assert told == {"header": {"tr_id": "PINGPONG", "datetime": "20261121003001"}}
    assert read(json.dumps(told)) is None


def test_ciphers_are_never_the_same_and_never_shown() -> None:
    one, two = Cipher.fresh(), Cipher.fresh()
    assert one != two
    assert one.key not in repr(one)


def test_a_text_is_encrypted_as_the_standard_says() -> None:
    # Two blocks: the second is padding alone, sixteen bytes of sixteen.
    sealed = base64.b64decode(KNOWN.encrypt("0123456789ABCDEF"))
    opener = Aes(algorithms.AES256(KNOWN.key.encode()), modes.CBC(KNOWN.iv.encode())).decryptor()
    assert opener.update(sealed) + opener.finalize() == b"0123456789ABCDEF" + b"\x10" * 16


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_any_text_keeps_its_bytes_and_fills_whole_blocks(text: str) -> None:
    sealed = base64.b64decode(KNOWN.encrypt(text))
    opener = Aes(algorithms.AES256(KNOWN.key.encode()), modes.CBC(KNOWN.iv.encode())).decryptor()
    padded = opener.update(sealed) + opener.finalize()
    assert len(padded) % 16 == 0
    assert padded[: -padded[-1]].decode() == text


@given(st.text() | st.binary())
def test_whatever_is_no_request_is_refused_with_a_known_code(data: str | bytes) -> None:
    with pytest.raises(Refused) as refused:
        read(data)
    assert refused.value.code in TEXTS


@pytest.mark.parametrize(
    ("market", "price", "told"),
    [
        (Market.US_NASDAQ, "148.01", "001480100"),
        (Market.US_NYSE, "0.1234", "000001234"),
        (Market.HK, "512.5", "000512500"),
        (Market.CN_SHA, "12.345", "000012345"),
        (Market.JP, "3021.5", "000030215"),
        (Market.VN_HSX, "25150", "000025150"),
    ],
)
def test_a_foreign_price_is_written_with_the_decimals_of_its_market(
    market: Market, price: str, told: str
) -> None:
    assert implied(Decimal(price), NOTICE_MARKETS[market][1]) == told
    assert implied(None, 4, 12) == "0" * 12


def test_an_id_is_an_account_s_number_only_when_it_is_one_of_them() -> None:
    accounts = ["12345678-01", "12345678-22", "87654321"]
    heard = {
        key: [no for no in accounts if concerns(key, no, accounts)]
        for key in ("12345678", "1234567822", "8765432101", "87654321", "99999999", "me")
    }
    assert heard == {
        "12345678": accounts[:2],
        "1234567822": accounts[1:2],
        "8765432101": accounts[2:],
        "87654321": accounts[2:],
        "99999999": accounts,
        "me": accounts,
    }


@pytest.mark.parametrize(
    ("key", "market", "symbol"),
    [
        ("DNASAAPL", Market.US_NASDAQ, "AAPL"),
        ("RBAQAAPL", Market.US_NASDAQ, "AAPL"),
        ("DNYSBRK/B", Market.US_NYSE, "BRK/B"),
        ("DHKS00700", Market.HK, "00700"),
    ],
)
def test_a_real_time_symbol_names_its_exchange(key: str, market: Market, symbol: str) -> None:
    found = read_key(key)
    assert found is not None
    assert (found[0].market, found[1]) == (market, symbol)


@pytest.mark.parametrize("key", ["", "D", "DNAS", "XNASAAPL", "AAPL", "DZZZAAPL", "dnasaapl"])
def test_anything_else_names_nothing(key: str) -> None:
    assert read_key(key) is None
