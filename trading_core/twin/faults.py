"""Faults on demand: which request goes wrong, and how."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

LONGEST_DELAY_MS = 600_000


class FaultAction(StrEnum):
    """What happens to a request.

    ``drop_after``, ``http_500_after`` and ``garbage`` let it take effect and spoil the reply;
    ``drop_before``, ``http_500``, ``rate_limit`` and ``expire_token`` let nothing happen;
    ``duplicate`` lets it take effect twice; ``delay_ms`` holds the reply back after the effect.
    """

    DROP_AFTER = "drop_after"
    DROP_BEFORE = "drop_before"
    DELAY = "delay_ms"
    HTTP_500 = "http_500"
    HTTP_500_AFTER = "http_500_after"
    GARBAGE = "garbage"
    EXPIRE_TOKEN = "expire_token"
    RATE_LIMIT = "rate_limit"
    DUPLICATE = "duplicate"


@dataclass(slots=True)
class FaultRule:
    """One kind of fault.

    Args:
        action: What happens.
        path: Part of the path; empty for any.
        tr_id: The TR; empty for any.
        nth: Only the n-th matching request, from 1.
        every: Each n-th matching request.
        probability: Chance from 0 to 1, drawn from ``seed``. Without any of the three, always.
        seed: Makes the draws repeatable.
        delay_ms: Milliseconds, for the action of that name.

    Raises:
        ValueError: a number is out of its range or more than one of the three is set.
    """

    action: FaultAction
    path: str = ""
    tr_id: str = ""
    nth: int | None = None
    every: int | None = None
    probability: float | None = None
    seed: int = 0
    delay_ms: int = 0
    seen: int = 0
    fired: int = 0
    _random: random.Random = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if sum(value is not None for value in (self.nth, self.every, self.probability)) > 1:
            raise ValueError("only one of nth, every and probability can be set")
        if any(value is not None and value < 1 for value in (self.nth, self.every)):
            raise ValueError("nth and every count from 1")
        if self.probability is not None and not 0 <= self.probability <= 1:
            raise ValueError("probability is from 0 to 1")
        if not 0 <= self.delay_ms <= LONGEST_DELAY_MS:
            raise ValueError(f"delay_ms is from 0 to {LONGEST_DELAY_MS}")
        if self.action is FaultAction.DELAY and not self.delay_ms:
            raise ValueError("delay_ms must say how many milliseconds")
        self._random = random.Random(self.seed)

    def strikes(self, path: str, tr_id: str) -> bool:
        """Whether this request goes wrong; counts it when it matches."""
        if self.path not in path or self.tr_id not in ("", tr_id):
            return False
        self.seen += 1
        hit = True
        if self.nth is not None:
            hit = self.seen == self.nth
        elif self.every is not None:
            hit = self.seen % self.every == 0
        elif self.probability is not None:
            hit = self._random.random() < self.probability
        self.fired += hit
        return hit

    def as_json(self) -> dict[str, Any]:
        """The rule with its counters, as ``parse_rule`` reads it."""
        return {
            "action": self.action.value,
            "path": self.path,
            "tr_id": self.tr_id,
            "nth": self.nth,
            "every": self.every,
            "probability": self.probability,
            "seed": self.seed,
            "delay_ms": self.delay_ms,
            "seen": self.seen,
            "fired": self.fired,
        }


class FaultPlan:
    """Rules in force. Of several that strike one request all apply."""

    def __init__(self, rules: Iterable[FaultRule] = ()) -> None:
        self.rules = list(rules)

    def strike(self, path: str, tr_id: str) -> list[FaultRule]:
        """The rules that spoil this request; every matching rule counts it."""
        return [rule for rule in self.rules if rule.strikes(path, tr_id)]

    def install(self, rules: Iterable[FaultRule], *, replace: bool) -> None:
        """Put rules in force, in place of the old ones or besides them."""
        new = list(rules)
        self.rules = new if replace else [*self.rules, *new]


_FIELDS = {
    "path": str,
    "tr_id": str,
    "nth": int,
    "every": int,
    "probability": float,
    "seed": int,
    "delay_ms": int,
}


def parse_rule(data: object) -> FaultRule:
    """A rule from JSON: ``{"action", "match": {"path", "tr_id"}, "nth" | "every" | ...}``.

    ``path`` and ``tr_id`` may stand at the top as well. Unknown keys are an error.

    Raises:
        ValueError: with what is wrong.
    """
    if not isinstance(data, Mapping):
        raise ValueError("a rule is an object")
    fields = dict(data)
    match = fields.pop("match", {})
    if not isinstance(match, Mapping):
        raise ValueError('match is an object with "path" and "tr_id"')
    fields.update(match)
    try:
        action = FaultAction(fields.pop("action", ""))
    except ValueError:
        known = ", ".join(FaultAction)
        raise ValueError(f"action must be one of {known}") from None
    chosen: dict[str, Any] = {}
    for name, value in fields.items():
        kind = _FIELDS.get(name)
        if kind is None:
            raise ValueError(f"unknown key {name!r}")
        if value is None:
            continue
        allowed = (int, float) if kind is float else (kind,)
        if isinstance(value, bool) or not isinstance(value, allowed):
            raise ValueError(f"{name} must be of type {kind.__name__}")
        chosen[name] = value
    return FaultRule(action, **chosen)


def parse_plan(data: object) -> tuple[list[FaultRule], bool]:
    """Rules and whether they replace the old ones: ``{"rules": [...], "replace": true}``.

    A list alone, or a single rule, replaces what was there.

    Raises:
        ValueError: with what is wrong.
    """
    replace = True
    rules: object = data
    if isinstance(data, Mapping):
        if "rules" in data:
            rules, replace = data["rules"], data.get("replace", True) is not False
        else:
            rules = [data]
    if not isinstance(rules, list):
        raise ValueError('send {"rules": [...]}')
    return [parse_rule(rule) for rule in rules], replace
