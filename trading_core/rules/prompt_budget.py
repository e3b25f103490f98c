"""Sections of a prompt as values, and how they are fitted into a budget of tokens.

A required line is a fact the plan cannot do without; it is never cut. The rest is cut from the end
of the section that matters least.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from trading_core.model.sources import plain_text

_MARKS = {ord(mark): f"\\u{ord(mark):04x}" for mark in "<>\ufe64\ufe65\uff1c\uff1e"}


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a prompt; lines with what matters most first.

    ``priority`` says what is cut first (the lowest). ``budget`` bounds the tokens of the whole
    section as long as optional lines are left to cut. With a ``fence`` the lines stand between
    data marks, because they carry words from outside.
    """

    title: str
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    priority: int = 0
    fence: str = ""
    budget: int | None = None

    def text(self, optional: int | None = None) -> str:
        """The section with its first ``optional`` optional lines; empty when none is left."""
        lines = [*self.required, *self.optional[:optional]]
        if not lines:
            return ""
        heading = f"# {self.title}\n" if self.title else ""
        return heading + (fenced(self.fence, lines) if self.fence else "\n".join(lines))


@dataclass(frozen=True, slots=True)
class SectionShare:
    """What one section takes of a prompt: estimated tokens, lines shown and lines cut."""

    title: str
    tokens: int
    shown: int
    cut: int


@dataclass(frozen=True, slots=True)
class Composed:
    """A prompt with its share of tokens by section; ``budget`` 0 means that there was none.

    ``standing`` is how many characters at its start are the same for every session.
    """

    text: str
    shares: tuple[SectionShare, ...]
    budget: int
    standing: int = 0

    @property
    def tokens(self) -> int:
        return estimate_tokens(self.text)

    @property
    def is_over(self) -> bool:
        """Whether the required facts alone are more than the budget."""
        return 0 < self.budget < self.tokens

    @property
    def cut(self) -> int:
        return sum(share.cut for share in self.shares)


def compose(standing: str, sections: Sequence[Section], *, budget: int = 0) -> Composed:
    """``standing`` and after it the sections in their order, within the budget where possible.

    Args:
        standing: Text that is the same for every session; first, so that a provider's cache of
            prefixes applies.
        budget: Tokens as :func:`estimate_tokens` counts them; 0 is no limit. Required lines are
            shown even where they alone are more.
    """
    kept = [_within_own_budget(section) for section in sections]
    if budget:
        # Each section's estimate is rounded up, so the sum is never below that of the whole.
        sizes = [_size(section, count) for section, count in zip(sections, kept, strict=True)]
        left = budget - _size_of(standing) - sum(sizes)
        places = range(len(sections))
        for place in sorted(places, key=lambda at: (sections[at].priority, -at)):
            while left < 0 and kept[place]:
                kept[place] -= 1
                smaller = _size(sections[place], kept[place])
                left += sizes[place] - smaller
                sizes[place] = smaller
    texts = [section.text(count) for section, count in zip(sections, kept, strict=True)]
    shares = [
        SectionShare(
            section.title,
            estimate_tokens(text),
            len(section.required) + count,
            len(section.optional) - count,
        )
        for section, count, text in zip(sections, kept, texts, strict=True)
        if section.required or section.optional
    ]
    first = SectionShare("Task, fields, rules", estimate_tokens(standing), 1, 0)
    text = "\n\n".join([standing, *filter(None, texts)]) + "\n"
    return Composed(text, (first, *shares), budget, len(standing))


def _within_own_budget(section: Section) -> int:
    kept = len(section.optional)
    if section.budget is not None:
        while kept and estimate_tokens(section.text(kept)) > section.budget:
            kept -= 1
    return kept


def _size(section: Section, optional: int) -> int:
    return _size_of(section.text(optional))


def _size_of(text: str) -> int:
    return estimate_tokens(f"{text}\n\n") if text else 0


def fenced(label: str, lines: Sequence[str]) -> str:
    """Lines between data marks; each must have been through :func:`quoted` where it is strange."""
    return "\n".join([f"<data {label}>", *lines, "</data>"])


def quoted(text: str, longest: int) -> str:
    """Words from outside as one JSON string that cannot hold a data mark, cut to ``longest``."""
    # Look-alikes of the marks are escaped too: a model may read them as the real ones.
    line = json.dumps(plain_text(text, longest), ensure_ascii=False)
    return line.translate(_MARKS)


def prompt_hash(prompt: str) -> str:
    """The first 16 hex digits of the SHA-256 of the text."""
    return hashlib.sha256(prompt.encode()).hexdigest()[:16]


def estimate_tokens(text: str) -> int:
    """About how many tokens a Gemini model counts for ``text``; meant for budgets, not for bills.

    Four characters a token for Latin text (Google's own rule of thumb), but one a digit, because
    its tokenizer splits numbers into digits (Gemma technical report, 2024), and one a character
    for anything that is not ASCII.
    """
    digits = sum(c.isdigit() and c.isascii() for c in text)
    wide = sum(not c.isascii() for c in text)
    return math.ceil((len(text) - digits - wide) / 4) + digits + wide
