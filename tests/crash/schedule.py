"""What goes wrong in one schedule, drawn from its seed: kills, faults, second runs."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

POINTS = {
    "write.before": (1, 60),
    "write.inside": (1, 60),
    "write.after": (1, 60),
    "read.before": (1, 40),
    "read.after": (1, 40),
    "quotes.after": (1, 12),
    "lock.held": (1, 24),
    "lock.released": (1, 24),
    "submit.before": (1, 20),
    "submit.during": (1, 20),
    "submit.after": (1, 20),
    "cancel.before": (1, 3),
    "cancel.after": (1, 3),
}
"""Where a trader may be killed, and which of its visits there may be the last."""

ORDERS = {"path": "order-cash"}
FAULTS: tuple[tuple[dict[str, Any], int], ...] = (
    ({"action": "drop_after", "match": ORDERS}, 12),
    ({"action": "drop_before", "match": ORDERS}, 12),
    ({"action": "http_500", "match": ORDERS}, 12),
    ({"action": "http_500_after", "match": ORDERS}, 12),
    ({"action": "garbage", "match": ORDERS}, 12),
    ({"action": "duplicate", "match": ORDERS}, 12),
    ({"action": "delay_ms", "delay_ms": 700, "match": ORDERS}, 12),
    ({"action": "rate_limit", "match": ORDERS}, 12),
    ({"action": "reject", "match": ORDERS}, 12),
    ({"action": "reject_later", "match": ORDERS}, 12),
    ({"action": "partial_fill", "quantity": 1, "match": ORDERS}, 12),
    ({"action": "drop_after", "match": {"path": "order-rvsecncl"}}, 2),
    ({"action": "duplicate", "match": {"path": "order-rvsecncl"}}, 2),
    ({"action": "drop_before", "match": {"path": "inquire-daily-ccld"}}, 30),
    ({"action": "garbage", "match": {"path": "inquire-daily-ccld"}}, 30),
    ({"action": "http_500", "match": {"path": "inquire-balance"}}, 30),
    ({"action": "garbage", "match": {"path": "inquire-balance"}}, 30),
    ({"action": "expire_token", "match": {"path": "inquire-balance"}}, 30),
    ({"action": "expire_token", "match": ORDERS}, 12),
    ({"action": "garbage", "match": {"path": "price"}}, 60),
)
"""Rules for the twin, and up to which matching request each may strike."""


@dataclass(frozen=True)
class Kill:
    """The visit of a point that is the last, or a time after which the trader is killed."""

    point: str = ""
    nth: int = 0
    after_seconds: float = 0.0
    delay_seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.point}#{self.nth}" if self.point else f"after {self.after_seconds:.2f} s"


@dataclass(frozen=True)
class Life:
    """One process of the trader: what is broken meanwhile and how it ends."""

    faults: tuple[dict[str, Any], ...] = ()
    kill: Kill | None = None
    second_tick_after: float | None = None
    broker_restart_after: float | None = None


@dataclass(frozen=True)
class Schedule:
    """Several lives of one trader in one session; the last one is left alone to its end."""

    seed: int
    lives: tuple[Life, ...] = field(default_factory=tuple)


def draw(seed: int) -> Schedule:
    """The schedule of a seed, the same whenever it is drawn."""
    dice = random.Random(seed)
    lives = [
        Life(_faults(dice), _kill(dice), _sometimes(dice, 0.3), _sometimes(dice, 0.1))
        for _ in range(dice.randint(2, 5))
    ]
    return Schedule(seed, (*lives, Life(_faults(dice), None, _sometimes(dice, 0.3))))


def _faults(dice: random.Random) -> tuple[dict[str, Any], ...]:
    chosen = dice.sample(FAULTS, dice.randint(0, 4))
    return tuple(rule | {"nth": dice.randint(1, until)} for rule, until in chosen)


def _kill(dice: random.Random) -> Kill:
    if dice.random() < 0.2:
        return Kill(after_seconds=dice.uniform(0.05, 3.0))
    point = dice.choice(list(POINTS))
    return Kill(point, dice.randint(*POINTS[point]), delay_seconds=dice.uniform(0.0, 0.01))


def _sometimes(dice: random.Random, chance: float) -> float | None:
    return dice.uniform(0.05, 1.5) if dice.random() < chance else None
