"""A layer of memory as short plain text for a prompt, within a budget of tokens.

One line an entry, the newest timeframe first, and in every line what says most first. A line is
made of whole clauses, so that no number is ever cut in two. What is not known is left out.
Values come from the store and may carry words of other people: they are cut to one line and bounded
here, and whoever builds the prompt puts them between its data marks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from trading_core.model.journal import ContextEntry
from trading_core.rules.prompt_budget import estimate_tokens

SHORT = 4
"""As many clauses every entry gets before any entry gets more."""
MAX_WORDS = 160

_FIRST = (
    *("pnl net", "net_pnl", "return_pct", "trades", "win_rate_pct", "expectancy", "lessons"),
    *("max_drawdown_pct", "sharpe", "profit_factor", "wins", "losses", "equity_close"),
)
_KEY_FIRST = ("total", "rolling60", "rolling20", "sources", "scorecard", "calibration", "year")
_LEFT_OUT = frozenset({"facts"})
_LONG_AMOUNT = re.compile(r"-?\d{1,20}\.\d{5,}")
_NOT_PRINTED = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


@dataclass(frozen=True, slots=True)
class Summary:
    """The text, its estimated tokens, and how many entries are in it and did not fit."""

    text: str
    tokens: int
    shown: int
    left_out: int


def summarise(entries: Sequence[ContextEntry], *, budget: int) -> Summary:
    """The entries as text of at most ``budget`` tokens, as :func:`estimate_tokens` counts them.

    The same entries give the same text, in whatever order they come.
    """
    lines = [_Line.of(entry) for entry in sorted(entries, key=_rank)]
    taken: list[int] = []
    for line in lines:
        wanted = _fitting(lines, taken, min(SHORT, len(line.clauses)), budget)
        if wanted == 0:
            break
        taken.append(wanted)
    for index in range(len(taken)):
        most = len(lines[index].clauses)
        while taken[index] < most:
            more = [*taken[:index], taken[index] + 1, *taken[index + 1 :]]
            if estimate_tokens(_text(lines, more)) > budget:
                break
            taken = more
    text = _text(lines, taken)
    return Summary(text, estimate_tokens(text), len(taken), len(lines) - len(taken))


@dataclass(frozen=True, slots=True)
class _Line:
    head: str
    clauses: tuple[str, ...]

    @classmethod
    def of(cls, entry: ContextEntry) -> _Line:
        said = sorted(clauses(entry.value), key=lambda clause: _place(clause[0]))
        texts = tuple(f"{name} {value}".strip() for name, value in said) or ("no data",)
        return cls(_words(f"{entry.layer} {entry.timeframe} {entry.key}"), texts)

    def text(self, clauses: int) -> str:
        return f"{self.head}: {'; '.join(self.clauses[:clauses])}"


def _fitting(lines: Sequence[_Line], taken: Sequence[int], most: int, budget: int) -> int:
    """How many clauses of the next line fit besides what is taken; 0 when not even one does."""
    for count in range(most, 0, -1):
        if estimate_tokens(_text(lines, [*taken, count])) <= budget:
            return count
    return 0


def _text(lines: Sequence[_Line], taken: Sequence[int]) -> str:
    return "\n".join(line.text(count) for line, count in zip(lines, taken, strict=False))


def _rank(entry: ContextEntry) -> tuple[Any, ...]:
    """Higher layers and newer timeframes first, then the keys that say most."""
    name = entry.key.partition("_")[0]
    place = _KEY_FIRST.index(name) if name in _KEY_FIRST else len(_KEY_FIRST)
    newness = tuple(-ord(letter) for letter in entry.timeframe)
    return -int(entry.layer.value[1:]), newness, place, entry.key


def _place(name: str) -> int:
    return _FIRST.index(name) if name in _FIRST else len(_FIRST)


def clauses(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """The parts of a JSON value that say something, each with the path that names it."""
    if value is None or name in _LEFT_OUT:
        return
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from clauses(part, f"{name} {_words(str(key))}".strip())
    elif isinstance(value, list | tuple):
        parts = ["; ".join(f"{n} {v}".strip() for n, v in clauses(part)) for part in value]
        if any(parts):
            yield name, " | ".join(_words(part) for part in parts if part)
    elif isinstance(value, float):
        yield name, f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
    elif _LONG_AMOUNT.fullmatch(text := str(value)):
        yield name, f"{Decimal(text):.2f}"
    elif words := _words(text):
        yield name, words


def _words(text: str) -> str:
    """One line of at most :data:`MAX_WORDS` characters, cut between two words."""
    line = " ".join(_NOT_PRINTED.sub(" ", text).split())
    if len(line) <= MAX_WORDS:
        return line
    cut = line[: MAX_WORDS + 1].rpartition(" ")[0]
    return cut or line[:MAX_WORDS].rstrip("+-.,0123456789")
