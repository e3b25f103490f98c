"""Faults on demand: the effect on the book, and what the client sees."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import ClientError, ClientTimeout
from hypothesis import given
from hypothesis import strategies as st

from tests.twin_client import DOMESTIC, TwinClient, twin_of
from tests.venue_double import korea
from trading_core.twin.faults import FaultAction, FaultPlan, FaultRule, parse_plan, parse_rule

PRICE = f"{DOMESTIC}/quotations/inquire-price"
SAMSUNG = {"FID_COND_MRKT_DIV_CODE": "J", "FID_INPUT_ISCD": "005930"}


async def install(client: TwinClient, *rules: dict[str, Any], replace: bool = True) -> Any:
    return await client.send(
        "POST", "/twin/faults", data={"rules": list(rules), "replace": replace}
    )


@pytest.mark.parametrize(
    ("action", "rows"), [("drop_before", 0), ("drop_after", 1), ("garbage", 1)]
)
async def test_a_spoiled_reply_leaves_the_book_as_the_action_says(action: str, rows: int) -> None:
    venue = korea()
    async with twin_of(venue) as client:
        await install(client, {"match": {"path": "order-cash"}, "nth": 1, "action": action})
        with pytest.raises((ClientError, json.JSONDecodeError, UnicodeDecodeError)):
            _ = (await client.buy()).body
        assert len(venue.rows) == rows
        assert (await client.buy()).code == "APBK0013"
        assert len(venue.rows) == rows + 1


@pytest.mark.parametrize(
    ("action", "status", "code", "rows"),
    [
        ("http_500", 500, "EGW00300", 0),
        ("http_500_after", 500, "EGW00302", 1),
        ("rate_limit", 500, "EGW00201", 0),
        ("expire_token", 500, "EGW00123", 0),
        ("duplicate", 200, "APBK0013", 2),
    ],
)
async def test_an_answered_fault_has_its_code_and_its_effect(
    action: str, status: int, code: str, rows: int
) -> None:
    venue = korea()
    async with twin_of(venue) as client:
        await install(client, {"tr_id": "TTTC0012U", "nth": 1, "action": action})
        answer = await client.buy()
        assert (answer.status, answer.code, len(venue.rows)) == (status, code, rows)


async def test_an_expired_token_stays_dead_and_a_new_one_is_issued() -> None:
    async with twin_of(korea()) as client:
        old = client.token
        await install(client, {"action": "expire_token", "nth": 1, "path": "inquire-price"})
        codes = [(await client.get(PRICE, "FHKST01010100", **SAMSUNG)).code for _ in range(2)]
        assert codes == ["EGW00123", "EGW00123"]
        await client.log_in()
        assert client.token != old
        assert (await client.get(PRICE, "FHKST01010100", **SAMSUNG)).code == "MCA00000"


async def test_a_delayed_reply_comes_after_its_effect() -> None:
    venue = korea()
    async with twin_of(venue) as client:
        await install(client, {"action": "delay_ms", "delay_ms": 60_000, "path": "order-cash"})
        with pytest.raises(TimeoutError):
            async with client.session.post(
                f"{client.twin.base_url}{DOMESTIC}/trading/order-cash",
                headers=client.headers("TTTC0012U"),
                json={
                    "CANO": "12345678", "ACNT_PRDT_CD": "01", "PDNO": "005930",
                    "ORD_DVSN": "00", "ORD_QTY": "1", "ORD_UNPR": "70000",
                },
                timeout=ClientTimeout(total=0.3),
            ):  # fmt: skip
                pass
        assert len(venue.rows) == 1


async def test_a_malformed_rule_is_refused_and_the_old_rules_stay() -> None:
    async with twin_of(korea()) as client:
        good = await install(client, {"action": "http_500", "path": "order-cash", "every": 2})
        assert good.status == 200
        for bad in (
            {"action": "explode"},
            {"action": "http_500", "nth": 0},
            {"action": "http_500", "nth": 1, "every": 1},
            {"action": "http_500", "nth": "1"},
            {"action": "http_500", "nth": True},
            {"action": "http_500", "probability": 2},
            {"action": "delay_ms"},
            {"action": "http_500", "surprise": 1},
            {"action": "http_500", "match": []},
        ):
            assert (await install(client, bad)).status == 400
        state = (await client.send("GET", "/twin/state")).body
        added = await install(client, {"action": "garbage"}, replace=False)
    assert [rule["action"] for rule in state["faults"]] == ["http_500"]
    assert [rule["action"] for rule in added.body["rules"]] == ["http_500", "garbage"]


async def test_faults_spare_the_side_door() -> None:
    async with twin_of(korea(), faults=FaultPlan([FaultRule(FaultAction.HTTP_500)])) as client:
        assert (await client.send("GET", "/twin/state")).status == 200
        assert (await client.get(PRICE, "FHKST01010100", **SAMSUNG)).status == 500


def test_nth_strikes_once_and_every_again_and_again() -> None:
    nth = FaultRule(FaultAction.HTTP_500, nth=3)
    every = FaultRule(FaultAction.HTTP_500, every=3)
    assert [nth.strikes("/x", "") for _ in range(7)] == [False] * 2 + [True] + [False] * 4
    assert [every.strikes("/x", "") for _ in range(7)] == [
        False, False, True, False, False, True, False,
    ]  # fmt: skip


def test_a_rule_counts_only_what_it_matches() -> None:
    rule = FaultRule(FaultAction.HTTP_500, path="order", tr_id="A", nth=2)
    calls = [("/order", "A"), ("/order", "B"), ("/price", "A"), ("/order", "A")]
    assert [rule.strikes(*call) for call in calls] == [False, False, False, True]
    assert (rule.seen, rule.fired) == (2, 1)


@given(seed=st.integers(0, 2**31), probability=st.floats(0, 1))
def test_draws_repeat_with_their_seed(seed: int, probability: float) -> None:
    rule = {"action": "drop_after", "probability": probability, "seed": seed}
    one, two = parse_rule(rule), parse_rule(rule)
    draws = [one.strikes("/", "") for _ in range(50)]
    assert draws == [two.strikes("/", "") for _ in range(50)]
    assert one.fired == sum(draws)


def test_a_rule_survives_its_own_json() -> None:
    rule = FaultRule(FaultAction.DELAY, path="p", tr_id="t", every=2, delay_ms=5)
    data = {k: v for k, v in rule.as_json().items() if k not in ("seen", "fired")}
    assert parse_rule(json.loads(json.dumps(data))) == rule


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_any_other_json_is_refused_with_a_reason(data: object) -> None:
    try:
        rules, _ = parse_plan(data)
    except ValueError as error:
        assert str(error)
    else:
        assert rules == []
