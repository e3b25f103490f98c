"""Mutated frames: no exception but the one for garbage, and no price that was not sent."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kis_stream_stand_in import (
    ACCOUNT,
    IV,
    KEY,
    frame,
    kr_notice,
    kr_trade,
    record,
    sealed,
    us_notice,
    us_trade,
)
from trading_core.adapters.kis.stream_frames import Cipher, Garbled, read_control, read_frame
from trading_core.adapters.kis.stream_link import Registration
from trading_core.adapters.kis.stream_reader import StreamReader
from trading_core.clock import FixedClock
from trading_core.model.market import Instrument, Market
from trading_core.model.order import NoticeKind, OrderNotice
from trading_core.model.price import OrderBook, Quote
from trading_core.ports import StreamEvent

NOW = datetime(2026, 11, 20, 0, 30, 10, tzinfo=UTC)
SAMSUNG = Instrument("005930", Market.KR)
APPLE = Instrument("AAPL", Market.US_NASDAQ)
CIPHER = Cipher(KEY.encode(), IV.encode())
CIPHERS = dict.fromkeys(("H0STCNI0", "H0GSCNI0"), CIPHER)
BOOK = record(63, {1: "005930", 2: "093005", 4: "71900", 14: "71800", 24: "7", 34: "9"})
US_BOOK = record(71, {1: "DNASAAPL", 6: "20261120", 7: "093005", 12: "148", 13: "149"})

PLAIN = [
    frame("H0STCNT0", kr_trade()),
    frame("H0STCNT0", kr_trade(width=47), kr_trade(width=47, price=72_000, sign="3", diff="0")),
    frame("HDFSCNT0", us_trade(), us_trade(price="149.0000", diff="2.0000")),
    frame("HDFSCNT0", us_trade(width=25)),
    frame("H0STASP0", BOOK),
    frame("HDFSASP0", US_BOOK),
    frame("H0STCNI0", kr_notice()),
    frame("H0STCNI0", kr_notice(23, filled="1", step="1")),
    frame("H0GSCNI0", us_notice()),
]
SEALED = [sealed("H0STCNI0", kr_notice()), sealed("H0GSCNI0", us_notice(21))]
ODD = st.sampled_from("^|0123456789-+.eE,ANY \x00\ufffd가٣")


@st.composite
def mutated(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(PLAIN + SEALED))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(text)))
        kind = draw(st.sampled_from(["put", "drop", "cut", "swap", "shift", "double"]))
        if kind == "put":
            text = text[:at] + draw(ODD) + text[at:]
        elif kind == "drop":
            text = text[:at] + text[at + draw(st.integers(1, 8)) :]
        elif kind == "cut":
            text = text[:at]
        elif kind == "swap":
            text = text[:at] + draw(ODD) + text[at + 1 :]
        elif kind == "shift":
            fields = text.split("^")
            here = draw(st.integers(0, len(fields) - 1))
            text = "^".join([*fields[:here], *fields[here + 1 :], fields[here]])
        else:
            text = text[:at] + text[at:] + text[at:]
    return text


def fresh_reader() -> StreamReader:
    reader = StreamReader(FixedClock(NOW), ACCOUNT)
    reader.follow(
        [
            Registration("H0STCNT0", "005930", SAMSUNG),
            Registration("HDFSCNT0", "DNASAAPL", APPLE),
        ]
    )
    return reader


def events_of(text: str, reader: StreamReader | None = None) -> list[StreamEvent]:
    return (reader or fresh_reader()).read(*read_frame(text, CIPHERS))


def numbers_in(text: str) -> set[Decimal]:
    found = {Decimal(0)}
    for part in text.replace("|", "^").split("^"):
        try:
            found.add(Decimal(part.strip()))
        except InvalidOperation:
            continue
    return {number for number in found if number.is_finite()}


def test_the_frames_themselves_are_good() -> None:
    kinds = {type(event) for text in PLAIN + SEALED for event in events_of(text)}
    assert kinds == {Quote, OrderBook, OrderNotice}


@settings(max_examples=3_000, deadline=None)
@given(mutated())
def test_a_mutated_frame_gives_prices_that_it_carries_or_none(text: str) -> None:
    try:
        events = events_of(text)
    except Garbled as garbled:
        assert garbled.kind
        return
    numbers = numbers_in(text)
    for event in events:
        if isinstance(event, Quote):
            assert event.last > 0
            assert {event.last, event.open, event.high, event.low} <= numbers
            assert event.previous_close >= 0
            assert event.instrument in (SAMSUNG, APPLE)
        elif isinstance(event, OrderBook):
            prices = {level.price for level in (*event.asks, *event.bids)}
            assert prices <= numbers
            assert min(prices, default=1) > 0
        elif isinstance(event, OrderNotice):
            assert event.order_no.isdigit()
            if event.kind is NoticeKind.FILLED:
                assert event.quantity > 0
                assert event.price is not None
                assert event.price > 0


@settings(max_examples=500, deadline=None)
@given(st.lists(mutated(), max_size=8))
def test_a_good_frame_after_any_garbage_is_still_read(texts: list[str]) -> None:
    reader = fresh_reader()
    for text in texts:
        try:
            events_of(text, reader)
        except Garbled:
            continue
    told = events_of(frame("H0GSCNI0", us_notice()), reader)
    assert [type(event) for event in told] == [OrderNotice]


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.text(), mutated(), st.text().map(lambda text: "{" + text)))
def test_any_text_is_a_frame_a_control_message_or_garbage(text: str) -> None:
    for read in (lambda: read_frame(text, CIPHERS), lambda: read_control(text)):
        try:
            read()
        except Garbled:
            continue


@pytest.mark.parametrize("text", ["[" * 100_000, '{"header":' * 50_000, "1" * 10_000])
def test_deep_and_long_messages_are_garbage(text: str) -> None:
    with pytest.raises(Garbled):
        read_control(text)
    with pytest.raises(Garbled):
        read_frame(f"0|H0STCNT0|{text}|x", CIPHERS)


@pytest.mark.parametrize(
    "output",
    [None, [], {}, {"key": KEY}, {"key": KEY, "iv": 5}, {"key": KEY[:-1], "iv": IV}],
)
def test_an_acknowledgement_without_a_usable_pair_gives_no_cipher(output: object) -> None:
    assert Cipher.of(output) is None
    assert KEY not in repr(CIPHER)
