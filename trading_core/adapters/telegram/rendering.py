"""An answer as Telegram shows it: pages that fit a phone, and the buttons below them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from trading_core.model.chat import Answer, Button

PAGE_LINES, PAGE_CHARACTERS = 26, 1800
"""Of one page; Telegram itself takes 4096 characters of a message."""

CAPTION_CHARACTERS = 900
"""Of what stands below a picture; Telegram takes 1024."""

DATA_BYTES = 64
"""Of what a button says when it is pressed."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of an answer: its HTML and its buttons; ``number`` counts from 0."""

    text: str
    keyboard: InlineKeyboardMarkup | None
    number: int


def page_of(answer: Answer, wanted: int = 0) -> Page:
    """The page of that number, or the last one when there are fewer."""
    longest = CAPTION_CHARACTERS if answer.picture else PAGE_CHARACTERS
    pages = _split(answer, longest)
    if answer.picture:
        pages = pages[:1]
    number = max(0, min(wanted, len(pages) - 1))
    rows = [list(map(_button, row)) for row in answer.buttons if row]
    rows += _turning(answer.again, number, len(pages))
    keyboard = InlineKeyboardMarkup(rows) if rows else None
    return Page(pages[number], keyboard, number)


def _split(answer: Answer, longest: int) -> list[str]:
    """Every line is whole HTML, so a page may end after any; the title heads each."""
    pages: list[list[str]] = [[]]
    used = 0
    for line in _trimmed(answer.lines):
        room = longest - len(answer.title)
        if pages[-1] and (len(pages[-1]) >= PAGE_LINES or used + len(line) > room):
            pages.append([])
            used = 0
            if not line:
                continue
        pages[-1].append(line)
        used += len(line) + 1
    return ["\n".join([answer.title, *_trimmed(lines)]) for lines in pages]


def _trimmed(lines: Sequence[str]) -> list[str]:
    """Without empty lines at the end."""
    kept = list(lines)
    while kept and not kept[-1].strip():
        kept.pop()
    return kept


def _turning(again: str, number: int, count: int) -> list[list[InlineKeyboardButton]]:
    """Back, where we are, forward; and the same anew."""
    if not again:
        return []
    row = []
    if count > 1:
        if number > 0:
            row.append(_at(again, number - 1, "◀"))
        row.append(_at(again, number, f"{number + 1} / {count}"))
        if number < count - 1:
            row.append(_at(again, number + 1, "▶"))
    row.append(_at(again, number, "🔄"))
    return [[button for button in row if len(str(button.callback_data).encode()) <= DATA_BYTES]]


def _at(again: str, number: int, label: str) -> InlineKeyboardButton:
    return InlineKeyboardButton(label, callback_data=f"{again}#{number}")


def _button(button: Button) -> InlineKeyboardButton:
    return InlineKeyboardButton(button.label, callback_data=f"{button.command}#0")


def pressed(data: str) -> tuple[list[str], int]:
    """The words and the page of what a button said."""
    command, _, page = data.rpartition("#")
    return (command or data).split(), int(page) if page.isdigit() else 0
