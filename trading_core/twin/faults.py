"""Faults on demand: which request or frame goes wrong, and how."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from trading_core.errors import ConfigError
from trading_core.twin.venue import OrderFate

LONGEST_DELAY_MS = 600_000
LARGEST_SKEW_SECONDS = 86_400.0
_ORDER_PATH = re.compile(r"/trading/(daytime-)?order")
_CHANGE_MARK = "rvsecncl"


class FaultAction(StrEnum):
    """What happens.

    To any request: ``drop_after``, ``http_500_after`` and ``garbage`` let it take effect and spoil
    the reply; ``drop_before``, ``http_500``, ``rate_limit`` and ``expire_token`` let nothing
    happen; ``duplicate`` lets it take effect twice; ``delay_ms`` holds the reply back after the
    effect.

    To an order: ``partial_fill`` lets at most ``quantity`` of its shares fill, the rest stays
    open; ``reject_later`` takes it, and the exchange refuses it when the clock moves next;
    ``reject`` refuses it (or a modify or cancel) at once, with ``code`` and ``text`` when given.

    To the stream, when a frame is due: ``socket_cut`` breaks the connection off instead;
    ``stall_feed`` lets that session hear nothing but heartbeats and answers from then on. With a
    path or a TR of the stream ``duplicate`` sends the frame twice, ``garbage`` breaks it and
    ``delay_ms`` holds back it and all after it.

    ``clock_skew``: the clock as it is told is off by ``skew_seconds``, ahead when positive: the
    ``Date`` header, an order's time (``ORD_TMD``, ``ord_tmd``; seconds of a day, the date does not
    change), the end of a token and ``now`` of ``GET /twin/state``. What happens keeps to the real
    one.
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
    PARTIAL_FILL = "partial_fill"
    REJECT = "reject"
    REJECT_LATER = "reject_later"
    SOCKET_CUT = "socket_cut"
    STALL_FEED = "stall_feed"
    CLOCK_SKEW = "clock_skew"


STREAM_ACTIONS = frozenset({FaultAction.SOCKET_CUT, FaultAction.STALL_FEED})
_FATES = frozenset({FaultAction.PARTIAL_FILL, FaultAction.REJECT_LATER})
_NEEDED = {
    FaultAction.DELAY: "delay_ms",
    FaultAction.PARTIAL_FILL: "quantity",
    FaultAction.CLOCK_SKEW: "skew_seconds",
}
_BELONGS = {name: action for action, name in _NEEDED.items()} | {
    "code": FaultAction.REJECT,
    "text": FaultAction.REJECT,
}


@dataclass(slots=True)
class FaultRule:
    """One kind of fault.

    Args:
        action: What happens.
        path: Part of the path; empty for any. Frames of the stream have the path ``/stream``.
        tr_id: The TR; empty for any.
        nth: Only the n-th matching request, from 1.
        every: Each n-th matching request.
        probability: Chance from 0 to 1, drawn from ``seed``. Without any of the three, always.
        seed: Makes the draws repeatable.
        delay_ms: Milliseconds, for the action of that name.
        quantity: Shares an order may fill in all, for ``partial_fill``.
        skew_seconds: For ``clock_skew``; at most a day either way.
        code: Message code of a ``reject``; that of an order the exchange does not take when empty.
        text: Its text.

    Raises:
        ValueError: a number is out of its range, is missing or belongs to another action; or more
            than one of nth, every and probability is set.
    """

    action: FaultAction
    path: str = ""
    tr_id: str = ""
    nth: int | None = None
    every: int | None = None
    probability: float | None = None
    seed: int = 0
    delay_ms: int = 0
    quantity: int | None = None
    skew_seconds: float = 0.0
    code: str = ""
    text: str = ""
    seen: int = 0
    fired: int = 0
    _random: random.Random = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if sum(value is not None for value in (self.nth, self.every, self.probability)) > 1:
            raise ValueError("only one of nth, every and probability can be set")
        for name in ("nth", "every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}: counts from 1")
        if self.probability is not None and not 0 <= self.probability <= 1:
            raise ValueError("probability: is from 0 to 1")
        if not 0 <= self.delay_ms <= LONGEST_DELAY_MS:
            raise ValueError(f"delay_ms: is from 0 to {LONGEST_DELAY_MS}")
        if self.quantity is not None and self.quantity < 0:
            raise ValueError("quantity: is 0 or more")
        if not -LARGEST_SKEW_SECONDS <= self.skew_seconds <= LARGEST_SKEW_SECONDS:
            raise ValueError(f"skew_seconds: is at most {LARGEST_SKEW_SECONDS:.0f} either way")
        for name, action in _BELONGS.items():
            given = getattr(self, name) is not None and getattr(self, name) not in (0, "")
            given = given or (name == "quantity" and self.quantity == 0)
            if given and action is not self.action:
                raise ValueError(f"{name}: belongs to the action {action.value}")
            if not given and _NEEDED.get(self.action) == name:
                raise ValueError(f"{name}: is needed by the action {action.value}")
        if bool(self.code) != bool(self.text):
            raise ValueError("code: needs a text beside it, and the text a code")
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
        data: dict[str, Any] = {"action": self.action.value}
        data |= {name: getattr(self, name) for name in _FIELDS}
        return data | {"seen": self.seen, "fired": self.fired}

    def _concerns(self, path: str) -> bool:
        """Whether requests to this path are of the kind the action is about."""
        if self.action in STREAM_ACTIONS:
            return False
        if self.action is FaultAction.REJECT:
            return _ORDER_PATH.search(path) is not None
        if self.action in _FATES:
            return _CHANGE_MARK not in path and _ORDER_PATH.search(path) is not None
        return True


class FaultPlan:
    """Rules in force. Of several that strike one request all apply."""

    def __init__(self, rules: Iterable[FaultRule] = ()) -> None:
        self.rules = list(rules)

    def strike(self, path: str, tr_id: str) -> list[FaultRule]:
        """The rules that spoil this request; every matching rule counts it.

        A rule about orders looks at orders only, so its ``nth`` counts orders.
        """
        if not self.rules:
            return []
        return [r for r in self.rules if r._concerns(path) and r.strikes(path, tr_id)]

    def strike_stream(self, path: str, tr_id: str) -> set[FaultAction]:
        """What befalls a frame that is about to be sent; every matching rule counts it.

        Args:
            path: ``/stream`` and, if wanted, the frame's kind after a further slash.
            tr_id: The TR of the frame.
        """
        if not self.rules:
            return set()
        return {
            r.action for r in self.rules if r.action in STREAM_ACTIONS and r.strikes(path, tr_id)
        }

    def skew_of_state(self) -> float:
        """Seconds by which ``GET /twin/state`` tells its clock wrong; counts like any request."""
        skews = [r for r in self.rules if r.action is FaultAction.CLOCK_SKEW]
        return skew_of([r for r in skews if r.strikes("/twin/state", "")])

    def install(self, rules: Iterable[FaultRule], *, replace: bool) -> None:
        """Put rules in force, in place of the old ones or besides them."""
        new = list(rules)
        self.rules = new if replace else [*self.rules, *new]


def fate_of(rules: Sequence[FaultRule]) -> OrderFate:
    """What these rules do to an order that is placed; the smallest ``quantity`` counts."""
    shares = [r.quantity for r in rules if r.quantity is not None]
    later = any(r.action is FaultAction.REJECT_LATER for r in rules)
    return OrderFate(reject_later=later, fill_at_most=min(shares, default=None))


def skew_of(rules: Sequence[FaultRule]) -> float:
    """Seconds by which these rules tell the clock wrong."""
    return sum(r.skew_seconds for r in rules)


_FIELDS: Mapping[str, type] = {
    "path": str,
    "tr_id": str,
    "nth": int,
    "every": int,
    "probability": float,
    "seed": int,
    "delay_ms": int,
    "quantity": int,
    "skew_seconds": float,
    "code": str,
    "text": str,
}
_KINDS = {str: "a text", int: "a whole number", float: "a number"}


def parse_rule(data: object) -> FaultRule:
    """A rule from JSON: ``{"action", "match": {"path", "tr_id"}, "nth" | "every" | ...}``.

    ``path`` and ``tr_id`` may stand at the top as well. Unknown keys are an error.

    Raises:
        ValueError: which key is wrong, and what is wrong with it.
    """
    if not isinstance(data, Mapping):
        raise ValueError("a rule is an object")
    fields = dict(data)
    match = fields.pop("match", {})
    if not isinstance(match, Mapping):
        raise ValueError('match: is an object with "path" and "tr_id"')
    fields.update(match)
    named = fields.pop("action", "")
    try:
        action = FaultAction(named)
    except ValueError:
        known = ", ".join(FaultAction)
        raise ValueError(f"action: {str(named)[:40]!r} is not one of {known}") from None
    chosen: dict[str, Any] = {}
    for name, value in fields.items():
        kind = _FIELDS.get(name)
        if kind is None:
            raise ValueError(f"{name[:40]}: is no key of a rule")
        if value is None:
            continue
        allowed = (int, float) if kind is float else (kind,)
        if isinstance(value, bool) or not isinstance(value, allowed):
            raise ValueError(f"{name}: must be {_KINDS[kind]}")
        chosen[name] = value
    return FaultRule(action, **chosen)


def parse_plan(data: object) -> tuple[list[FaultRule], bool]:
    """Rules and whether they replace the old ones: ``{"rules": [...], "replace": true}``.

    A list alone, or a single rule, replaces what was there; an empty list clears.

    Raises:
        ValueError: the number of the rule, from 1, its key and what is wrong.
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
    parsed = []
    for number, rule in enumerate(rules, 1):
        try:
            parsed.append(parse_rule(rule))
        except ValueError as error:
            raise ValueError(f"rule {number}: {error}") from None
    return parsed, replace


def load_faults(path: Path) -> FaultPlan:
    """The rules of a JSON file of the same shape as ``POST /twin/faults`` takes.

    Raises:
        ConfigError: the file cannot be read or a rule is wrong; names the rule and its key.
    """
    try:
        rules, _ = parse_plan(json.loads(path.read_bytes()))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}: line {error.lineno} is not JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: {error}") from None
    return FaultPlan(rules)
