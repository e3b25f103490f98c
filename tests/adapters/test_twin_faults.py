"""Faults on demand: the effect on the book, and what the client sees."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientTimeout
from hypothesis import given
from hypothesis import strategies as st

from tests.twin_client import DOMESTIC, TwinClient, twin_of
from tests.venue_double import KR_NOW, korea
from trading_core.errors import ConfigError
from trading_core.model.market import Currency, MarketGroup
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.faults import (
    FaultAction,
    FaultPlan,
    FaultRule,
    fate_of,
    load_faults,
    parse_plan,
    parse_rule,
)
from trading_core.twin.synthetic import synthetic_tape
from trading_core.twin.venue import AccountSpec, OrderFate
from trading_core.twin.wire.desk import Personality

PRICE = f"{DOMESTIC}/quotations/inquire-price"
SAMSUNG = {"FID_COND_MRKT_DIV_CODE": "J", "FID_INPUT_ISCD": "005930"}


def simulated() -> SimulatedExchange:
    """A real exchange an hour after the open, with three liquid symbols."""
    tape = synthetic_tape(MarketGroup.KR, date(2026, 11, 20), symbols=3, seed=3)
    account = AccountSpec("12345678-01", {Currency.KRW: Decimal(100_000_000)})
    venue = SimulatedExchange(tape, [account])
    venue.advance_to(venue.now + timedelta(hours=1))
    return venue


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
            {"action": "partial_fill"},
            {"action": "partial_fill", "quantity": -1},
            {"action": "http_500", "quantity": 0},
            {"action": "http_500", "skew_seconds": 5},
            {"action": "clock_skew"},
            {"action": "clock_skew", "skew_seconds": 90_000},
            {"action": "reject", "code": "APBK0952"},
            {"action": "reject", "text": "no"},
            {"action": "drop_after", "delay_ms": 5},
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


async def test_an_order_fills_in_part_and_the_rest_stays_open() -> None:
    venue = simulated()
    symbol = venue.instruments()[0].symbol
    async with twin_of(venue) as client:
        await install(client, {"action": "partial_fill", "quantity": 2, "nth": 1})
        await client.get(PRICE, "FHKST01010100", **SAMSUNG)
        for _ in range(2):
            placed = await client.buy("0", "5", PDNO=symbol, ORD_DVSN="01")
            assert placed.code == "APBK0013"
        venue.advance_to(venue.now + timedelta(hours=1))
        rows = (await client.send("GET", "/twin/book")).body["orders"]
    assert [(row["filled_quantity"], row["remaining_quantity"]) for row in rows] == [(2, 3), (5, 0)]


async def test_an_order_that_was_taken_is_rejected_when_the_clock_moves() -> None:
    venue = simulated()
    symbol = venue.instruments()[0].symbol
    async with twin_of(venue) as client:
        await install(client, {"action": "reject_later", "tr_id": "TTTC0012U"})
        cash = (await client.send("GET", "/twin/book")).body["accounts"][0]["orderable"]
        assert (await client.buy("0", "5", PDNO=symbol, ORD_DVSN="01")).code == "APBK0013"
        (before,) = (await client.send("GET", "/twin/book")).body["orders"]
        assert (before["rejected_quantity"], before["filled_quantity"]) == (0, 0)
        venue.advance_to(venue.now + timedelta(seconds=1))
        book = (await client.send("GET", "/twin/book")).body
    (after,) = book["orders"]
    assert (after["rejected_quantity"], after["remaining_quantity"]) == (5, 0)
    assert book["accounts"][0]["orderable"] == cash


@pytest.mark.parametrize(
    ("personality", "more", "said"),
    [
        ("real", {}, ("7", "APBK3026")),
        ("paper", {}, ("1", "40070000")),
        ("real", {"code": "APBK0952", "text": "주문가능금액을 초과 했습니다"}, ("7", "APBK0952")),
    ],
)
async def test_a_rejected_order_has_the_brokers_refusal(
    personality: Personality, more: dict[str, str], said: tuple[str, str]
) -> None:
    venue = korea()
    async with twin_of(venue, personality=personality) as client:
        await install(client, {"action": "reject", "nth": 1} | more)
        # What is no order is neither refused nor counted.
        assert (await client.get(PRICE, "FHKST01010100", **SAMSUNG)).code == "MCA00000"
        refused = await client.buy()
    assert refused.status == 200
    assert (refused.body["rt_cd"], refused.code) == said
    assert len(refused.body["msg1"]) == 80
    assert refused.body["msg1"].strip() == more.get("text", refused.body["msg1"].strip())
    assert venue.rows == []


async def test_a_skewed_clock_is_told_wrong_and_goes_right() -> None:
    venue = korea()
    async with twin_of(venue) as client:
        true = await client.buy()
        await install(client, {"action": "clock_skew", "skew_seconds": -90})
        skewed = await client.buy()
        token = (await client.log_in()).body
        state = (await client.send("GET", "/twin/state")).body
        await client.send("DELETE", "/twin/faults")
        after = (await client.send("GET", "/twin/state")).body
    assert true.body["output"]["ORD_TMD"] == "103000"
    assert true.headers["Date"] == "Fri, 20 Nov 2026 01:30:00 GMT"
    assert skewed.body["output"]["ORD_TMD"] == "102830"
    assert skewed.headers["Date"] == "Fri, 20 Nov 2026 01:28:30 GMT"
    assert token["access_token_token_expired"] == "2026-11-21 10:28:30"
    assert datetime.fromisoformat(state["now"]) == KR_NOW - timedelta(seconds=90)
    assert datetime.fromisoformat(state["venues"][0]["now"]) == KR_NOW
    assert datetime.fromisoformat(after["now"]) == KR_NOW
    assert [row.ordered_at for row in venue.rows] == [KR_NOW, KR_NOW]


async def test_the_rules_tell_how_often_they_struck_and_can_be_cleared() -> None:
    async with twin_of(korea()) as client:
        await install(client, {"action": "http_500", "path": "inquire-price", "every": 2})
        for _ in range(5):
            await client.get(PRICE, "FHKST01010100", **SAMSUNG)
        (rule,) = (await client.send("GET", "/twin/faults")).body["rules"]
        assert (rule["seen"], rule["fired"]) == (5, 2)
        assert (await client.send("DELETE", "/twin/faults")).body == {"rules": []}
        await install(client, {"action": "http_500"})
        assert (await install(client)).body == {"rules": []}
        assert (await client.get(PRICE, "FHKST01010100", **SAMSUNG)).code == "MCA00000"
        counters = (await client.send("GET", "/twin/state")).body["counters"]
    # A log-in, five that were watched and one after.
    assert (counters["requests"], counters["spoiled"]) == (7, 2)


def test_faults_of_the_stream_and_of_requests_do_not_count_each_other() -> None:
    plan = FaultPlan(
        [
            FaultRule(FaultAction.SOCKET_CUT, tr_id="H0STCNT0", nth=2),
            FaultRule(FaultAction.STALL_FEED, path="/stream"),
            FaultRule(FaultAction.HTTP_500),
        ]
    )
    assert [rule.action for rule in plan.strike("/uapi/x", "H0STCNT0")] == [FaultAction.HTTP_500]
    assert plan.strike_stream("/stream", "H0STCNT0") == {FaultAction.STALL_FEED}
    assert plan.strike_stream("/stream", "H0STCNT0") == {
        FaultAction.STALL_FEED,
        FaultAction.SOCKET_CUT,
    }
    assert [(rule.seen, rule.fired) for rule in plan.rules] == [(2, 1), (2, 2), (1, 1)]


def test_a_fate_concerns_orders_that_are_placed_and_no_changes() -> None:
    plan = FaultPlan([FaultRule(FaultAction.PARTIAL_FILL, quantity=0)])
    paths = [
        "/uapi/domestic-stock/v1/trading/order-cash",
        "/uapi/overseas-stock/v1/trading/order",
        "/uapi/overseas-stock/v1/trading/daytime-order",
        "/uapi/domestic-stock/v1/trading/order-rvsecncl",
        "/uapi/domestic-stock/v1/trading/inquire-daily-ccld",
    ]
    assert [len(plan.strike(path, "")) for path in paths] == [1, 1, 1, 0, 0]
    assert fate_of(plan.rules) == OrderFate(fill_at_most=0)


def test_of_several_fates_the_worst_counts() -> None:
    rules = [FaultRule(FaultAction.PARTIAL_FILL, quantity=q) for q in (7, 3, 5)]
    rules.append(FaultRule(FaultAction.REJECT_LATER))
    assert fate_of(rules) == OrderFate(reject_later=True, fill_at_most=3)
    assert fate_of([]) == OrderFate()


GOOD = {"action": "drop_after", "path": "order-cash", "nth": 2}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "line 1 is not JSON"),
        ("7", 'send {"rules": [...]}'),
        (json.dumps({"rules": [GOOD, {"action": "explode"}]}), "rule 2: action: 'explode'"),
        (json.dumps([GOOD, GOOD | {"nth": "2"}]), "rule 2: nth: must be a whole number"),
        (json.dumps([GOOD | {"nht": 2}]), "rule 1: nht: is no key"),
        (json.dumps([GOOD, 5]), "rule 2: a rule is an object"),
        (json.dumps([{"action": "delay_ms"}]), "rule 1: delay_ms: is needed"),
        ("[" * 100_000, "faults.json: "),
        (b"\xff\xfe", "faults.json: "),
    ],
)
def test_a_wrong_file_of_faults_names_rule_and_key(
    tmp_path: Path, content: str | bytes, said: str
) -> None:
    path = tmp_path / "faults.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as caught:
        load_faults(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_of_faults_reads_as_the_endpoint_does(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_text(json.dumps({"rules": [GOOD]}))
    assert load_faults(path).rules == [parse_rule(GOOD)]
    with pytest.raises(ConfigError, match="cannot be read"):
        load_faults(tmp_path / "missing.json")


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
    for rule in (
        FaultRule(FaultAction.DELAY, path="p", tr_id="t", every=2, delay_ms=5),
        FaultRule(FaultAction.PARTIAL_FILL, quantity=0, probability=0.5, seed=3),
        FaultRule(FaultAction.REJECT, code="APBK0952", text="no"),
        FaultRule(FaultAction.CLOCK_SKEW, skew_seconds=-1.5),
    ):
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
