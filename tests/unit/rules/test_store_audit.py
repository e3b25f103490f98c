"""Rows of a store that cannot be, found without the broker."""

from __future__ import annotations

from dataclasses import replace

from tests.record_factories import make_fill, make_intent, make_order_life
from trading_core.model.order import OrderRecord, OrderState, Side
from trading_core.rules.store_audit import audit

_S = OrderState
LIFE = (_S.INTENDED, _S.SENDING, _S.ACCEPTED, _S.FILLED)


def order(*states: OrderState, **changes: object) -> OrderRecord:
    events = tuple(make_order_life(*states))
    return OrderRecord(make_intent(**changes), events[-1].state, events)


def test_a_store_whose_rows_agree_has_nothing_to_say() -> None:
    lost = order(_S.INTENDED, _S.SENDING, _S.UNKNOWN, _S.UNKNOWN, _S.ACCEPTED, _S.CANCELLED)

    assert audit([order(*LIFE)], [make_fill()]) == []
    assert audit([lost], []) == audit([], []) == []


def test_a_life_that_no_order_lives_is_found() -> None:
    [said] = audit([order(_S.INTENDED, _S.SENDING, _S.REJECTED, _S.FILLED)], [])

    assert "was rejected, then filled" in said


def test_an_event_that_is_missing_is_found() -> None:
    whole = order(*LIFE)
    gap = replace(whole, events=(*whole.events[:1], *whole.events[2:]))

    assert any("event 1 has the number 2" in line for line in audit([gap], []))


def test_fills_that_belong_to_nothing_or_to_too_much_are_found() -> None:
    known = order(*LIFE)

    assert "nobody wrote down" in audit([known], [make_fill(intent_id="other")])[0]
    assert "instrument and side" in audit([known], [make_fill(side=Side.SELL)])[0]
    assert "0 shares" in audit([known], [make_fill(quantity=0)])[0]
    twice = [make_fill(), make_fill(fill_id="fill-2", quantity=1)]
    assert audit([known], twice) == ["order intent-1: 11 of 10 shares filled"]
