"""Malformed replies over the real wire: always a playbook, and no entry that the model did not say.

``OUROBOROS_FUZZ_REPLIES=1000`` asks for more of them, ``OUROBOROS_FUZZ_SEED`` for others. What came
of them is printed (``-s``).
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest

from tests.gemini_stand_in import GOOD_DRAFT, Scripted, gemini_stand_in
from tests.planning_fakes import AT, SESSION, FakeBroker, FakeMarketData, FakeStore, small_calendar
from tests.planning_fakes import bars as daily_bars
from trading_core.adapters.gemini import GeminiModel
from trading_core.model.limits import PlanLimits, Policy, RiskLimits, ScanLimits, SizingPolicy
from trading_core.model.market import MarketGroup
from trading_core.model.playbook import Action, Playbook, PlaybookSource, Scenario
from trading_core.ports import Planner
from trading_core.rules import calendar
from trading_core.rules.lint import (
    DEFAULT_STOP_LOSS_PCT,
    LEAST_TAKE_PROFIT_PCT,
    LOOSEST_STOP_LOSS_PCT,
)
from trading_core.steps.gather import Universe
from trading_core.steps.model_planner import ModelPlanner
from trading_core.steps.plan import plan_session

REPLIES = int(os.environ.get("OUROBOROS_FUZZ_REPLIES", "100"))
SEED = int(os.environ.get("OUROBOROS_FUZZ_SEED", "20260303"))
SYMBOLS = ("005930", "000660", "035420")
CAP = 10.0
NAMED = (
    "ReplyInvalid: ",
    "PlannerUnavailable: ",
    "PlannerTimeout: ",
    "nothing of the model's draft was left",
)

Json = dict[str, Any]


def good_text(rng: random.Random) -> str:
    draft = deepcopy(GOOD_DRAFT)
    plan = draft["stocks"][0]
    draft["stocks"] = [deepcopy(plan) | {"symbol": name} for name in SYMBOLS]
    for stock in draft["stocks"]:
        for scenario in stock["scenarios"]:
            scenario["confidence"] = rng.randint(80, 99)
    return json.dumps(draft, indent=rng.choice([None, 2]))


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) in a JSON value."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        yield node, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _changed(change: Callable[[random.Random, Any], Any], count: int = 2) -> Any:
    def mutate(rng: random.Random) -> Scripted:
        draft = json.loads(good_text(rng))
        for _ in range(rng.randint(1, count)):
            container, key = rng.choice(list(_places(draft)))
            container[key] = change(rng, container[key])
        return Scripted(json.dumps(draft))

    return mutate


def _numbers(values: list[str]) -> Any:
    """Numbers written as no JSON library writes them, in the place of good ones."""

    def mutate(rng: random.Random) -> Scripted:
        draft = json.loads(good_text(rng))
        found = [(c, k) for c, k in _places(draft) if isinstance(c[k], int | float)]
        container, key = rng.choice(found)
        container[key] = "@@"
        return Scripted(json.dumps(draft).replace('"@@"', rng.choice(values)))

    return mutate


def _other_type(rng: random.Random, value: Any) -> Any:
    others = [None, True, False, [], {}, [value], {"value": value}, 0, -1, 3.5, "x", str(value)]
    return rng.choice(others)


def _deep(rng: random.Random, value: Any) -> Any:
    for _ in range(rng.choice([1, 3, 50, 200])):
        value = [value] if rng.random() < 0.5 else {"value": value}
    return value


def _strange_text(rng: random.Random, value: Any) -> Any:
    signs = [
        "\u0000",
        "\u202e",
        "\u200b",
        "\ud800",
        "005930\u0660",
        "ＢＵＹ",
        "B\u0055Y ",
        "🚀" * 99,
    ]
    return rng.choice(signs) + (value if isinstance(value, str) else "")


def _keys(rng: random.Random) -> Scripted:
    """A key lost, added, or named otherwise."""
    draft = json.loads(good_text(rng))
    container, key = rng.choice([(c, k) for c, k in _places(draft) if isinstance(c, dict)])
    how = rng.randrange(3)
    if how == 0:
        del container[key]
    elif how == 1:
        container[f"{key}_x"] = container.pop(key)
    else:
        container[rng.choice(["leverage", "quantity", "order", "__class__"])] = "BUY everything"
    return Scripted(json.dumps(draft))


def _twice(rng: random.Random) -> Scripted:
    """A key that is there twice, with two meanings."""
    text = good_text(rng)
    key, value = rng.choice(
        [
            ('"action": "SELL"', '"action": "BUY"'),
            ('"action": "BUY"', '"action": "SELL"'),
            ('"confidence": 9', '"confidence": 1, "confidence": 9'),
            ('"stop_loss_pct": -3.0', '"stop_loss_pct": 3.0'),
            ('"symbol": "005930"', '"symbol": "999999"'),
        ]
    )
    return Scripted(text.replace(key, f"{key}, {value}" if "confid" not in key else value))


def _cut(rng: random.Random) -> Scripted:
    text = good_text(rng)
    finish = rng.choice(["STOP", "MAX_TOKENS"])
    return Scripted(text[: rng.randrange(1, len(text))], finish=finish)


def _flipped(rng: random.Random) -> Scripted:
    text = list(good_text(rng))
    for _ in range(rng.randint(1, 4)):
        text[rng.randrange(len(text))] = rng.choice('{}[]",:09-eBUY \\')
    return Scripted("".join(text))


def _wrapped(rng: random.Random) -> Scripted:
    text = good_text(rng)
    shapes = [
        f"```json\n{text}\n```",
        f"```\n{text}",
        f"Certainly! {text}",
        f"{text}\nGood luck!",
        f"[{text}]",
        f"{text}{text}",
        f"<html><body>{text}</body></html>",
        f'{{"playbook": {text}}}',
        json.dumps(text),
    ]
    return Scripted(rng.choice(shapes))


def _no_reply(rng: random.Random) -> Scripted:
    texts = ["", " \n", "{}", "[]", "null", "0", '"BUY 005930"', "HOLD", "<html>502</html>"]
    texts += ["[" * 100_000, '{"stocks":' * 20_000, '{"stocks": []}', '{"stocks": [[]]}']
    return Scripted(rng.choice(texts))


def _server(rng: random.Random) -> Scripted:
    page = "<html><h1>Sign in</h1></html>"
    return rng.choice(
        [
            Scripted(status=rng.choice([400, 401, 403, 404, 429, 500, 503]), message="no"),
            Scripted(raw_body=page),
            Scripted(raw_body=""),
            Scripted(raw_body='{"candidates": 7}'),
            Scripted(raw_body='{"candidates": [{"content": {"parts": "BUY"}}]}'),
            Scripted(raw_body='{"candidates": [null]}'),
            Scripted(status=502, raw_body=page),
            Scripted(drop=True),
            Scripted(block_reason="SAFETY"),
            Scripted(None),
            Scripted(good_text(rng), finish="SAFETY"),
        ]
    )


HUGE = ["1e308", "1e999", "-1e999", "9" * 400, "9" * 5_000, "-0.0", "1e-320", "007", "+5", "0x1F"]
KINDS: dict[str, Callable[[random.Random], Scripted]] = {
    "cut off": _cut,
    "types swapped": _changed(_other_type),
    "nested": _changed(_deep),
    "huge numbers": _numbers(HUGE),
    "not a number": _numbers(["NaN", "Infinity", "-Infinity", "nan", "null", "undefined"]),
    "unicode": _changed(_strange_text),
    "duplicate keys": _twice,
    "wrong keys": _keys,
    "characters flipped": _flipped,
    "wrapped": _wrapped,
    "no reply in it": _no_reply,
    "server": _server,
}


async def plan(planner: Planner | None, store: FakeStore) -> Playbook:
    starts = dict(zip(SYMBOLS, (100.0, 250.0, 700.0), strict=True))
    playbook, is_new = await plan_session(
        store,  # type: ignore[arg-type]
        FakeMarketData({s: daily_bars(start=p) for s, p in starts.items()}, SYMBOLS),  # type: ignore[arg-type]
        FakeBroker(),  # type: ignore[arg-type]
        planner,
        group=MarketGroup.KR,
        session=SESSION,
        at=AT,
        policy=Policy(
            RiskLimits(), SizingPolicy(), ScanLimits(top_n=3), PlanLimits(max_allocation_pct=CAP)
        ),
        universe=Universe(),
    )
    assert is_new
    return playbook


def buys(playbook: Playbook) -> list[tuple[str, Scenario]]:
    plans = ((stock.symbol, plan) for stock in playbook.stocks for plan in stock.scenarios)
    return [(symbol, plan) for symbol, plan in plans if plan.action is Action.BUY]


def said(text: str) -> list[tuple[str, Json]]:
    """(symbol, scenario) of every complete JSON object in a reply, read by other means than the
    planner's: plain ``json`` from the first brace on. One that says a thing twice says nothing."""
    try:
        decoder = json.JSONDecoder(object_pairs_hook=_once)
        reply, _ = decoder.raw_decode(text[max(text.find("{"), 0) :])
    except (ValueError, RecursionError):
        return []
    stocks = reply.get("stocks") if isinstance(reply, dict) else None
    return [
        (str(stock.get("symbol")).strip().upper(), plan)
        for stock in (stocks if isinstance(stocks, list) else [])
        if isinstance(stock, dict) and isinstance(stock.get("scenarios"), list)
        for plan in stock["scenarios"]
        if isinstance(plan, dict)
    ]


def _once(pairs: list[tuple[str, Any]]) -> Json:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("said twice")
    return dict(pairs)


def says(raw: Json, plan: Scenario) -> bool:
    """Whether a scenario of a reply is this one, condition by condition. What lint may change: a
    stop that is missing or too wide, and a target that would not pay its costs."""
    try:
        tests = [(c["field"], c["op"], _number(c["value"])) for c in raw["conditions"]]
        stop, target = raw.get("stop_loss_pct"), raw.get("take_profit_pct")
        kept = DEFAULT_STOP_LOSS_PCT if stop is None else _number(stop)
        pays = target is not None and _number(target) > LEAST_TAKE_PROFIT_PCT
        return (
            str(raw["action"]).strip().upper() == plan.action
            and tests == [(c.field, c.op, c.value) for c in plan.conditions]
            and _number(raw["confidence"]) == plan.confidence
            and plan.stop_loss_pct == max(kept, LOOSEST_STOP_LOSS_PCT)
            and plan.take_profit_pct == (_number(target) if pays else None)
        )
    except (KeyError, TypeError, ValueError):
        return False


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError("true is not a number")
    return float(value)


def outcome_of(playbook: Playbook, replies: list[str], by_rules: Playbook) -> str:
    """What became of a case; fails where an entry came from anywhere but a reply or the rules."""
    if playbook.source is PlaybookSource.GEMINI:
        spoken = [each for text in replies for each in said(text)]
        for symbol, plan in buys(playbook):
            assert symbol in SYMBOLS
            assert any(name == symbol and says(raw, plan) for name, raw in spoken), plan
            assert 0 < plan.allocation_pct <= CAP
            assert plan.stop_loss_pct is not None
        used = "used after a repair" if len(replies) > 1 else "used"
        return f"{used}, {'with' if buys(playbook) else 'without'} entries"
    assert playbook.source is PlaybookSource.RULES
    assert playbook.stocks == by_rules.stocks
    assert playbook.fallback_reason.startswith(NAMED), playbook.fallback_reason
    assert len(playbook.fallback_reason) < 1_000
    return f"rules: {playbook.fallback_reason.split(':')[0]}"


@pytest.mark.slow
async def test_no_malformed_reply_stops_a_plan_or_buys_what_nobody_said(
    monkeypatch: pytest.MonkeyPatch, subtests: Any
) -> None:
    monkeypatch.setitem(calendar._tables, MarketGroup.KR, small_calendar(MarketGroup.KR))
    rng = random.Random(SEED)
    by_rules = await plan(None, FakeStore())
    counts: Counter[tuple[str, str]] = Counter()
    async with gemini_stand_in() as server:
        model = GeminiModel(api_key="a-key", base_url=server.base_url)
        planner = ModelPlanner(model, timeout_seconds=20.0, max_output_tokens=8192)
        for number in range(REPLIES):
            kind = list(KINDS)[number % len(KINDS)]
            answers: list[Scripted] = []

            def respond(_: Json, kind: str = kind, answers: list[Scripted] = answers) -> Scripted:
                answers.append(KINDS[kind](rng))
                return answers[-1]

            server.respond = respond
            store = FakeStore()
            with subtests.test(seed=SEED, number=number, kind=kind):
                playbook = await plan(planner, store)
                texts = [answer.text or "" for answer in answers]
                assert playbook.stocks or '{"stocks": []}' in texts
                assert store.playbooks == [playbook]
                counts[kind, outcome_of(playbook, texts, by_rules)] += 1
    sys.stdout.write(f"\n{REPLIES} replies with seed {SEED}:\n")
    sys.stdout.writelines(f"{n:5d}  {kind}: {what}\n" for (kind, what), n in sorted(counts.items()))
    assert sum(counts.values()) == REPLIES
