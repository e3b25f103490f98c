"""A conversation with a person: what was asked, and an answer that any chat can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from trading_core.model.market import Currency

LONGEST_COMMAND = 56
"""Bytes of the command of a button; the chat needs some for itself."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One command as it came in.

    ``message_id`` names what asked for it and is the same when it is delivered again. ``at`` is
    when it was received, ``typed_at`` when it was written; both aware UTC. ``page`` counts from 0.
    ``tapped`` is set for a button.
    """

    name: str
    arguments: tuple[str, ...]
    message_id: str
    actor: str
    at: datetime
    typed_at: datetime
    page: int = 0
    tapped: bool = False

    @property
    def argument(self) -> str:
        """The arguments as one text, as they were typed."""
        return " ".join(self.arguments)

    @property
    def line(self) -> str:
        """The command as it would be typed."""
        return " ".join((f"/{self.name}", *self.arguments))


@dataclass(frozen=True, slots=True)
class Button:
    """``command`` is what pressing it asks for, at most :data:`LONGEST_COMMAND` bytes."""

    label: str
    command: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened to a symbol at a price: an entry or an exit that filled."""

    at: datetime
    price: Decimal
    is_buy: bool
    quantity: int


@dataclass(frozen=True, slots=True)
class PriceChart:
    """A symbol's session in a picture.

    Args:
        prices: Times (aware UTC, rising) and prices, as they were observed.
        marks: Fills.
        stop: The price at which the position is sold; None while nothing is held.
        target: The price at which its profit is taken.
        average: What the shares cost on average.
        thresholds: Prices at which scenarios match, with the words beside them.
        zone: The exchange's time zone.
    """

    title: str
    currency: Currency
    zone: str
    prices: Sequence[tuple[datetime, float]]
    marks: Sequence[Mark] = ()
    stop: Decimal | None = None
    target: Decimal | None = None
    average: Decimal | None = None
    thresholds: Sequence[tuple[str, float]] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said.

    Args:
        title: The first line of every page, HTML.
        lines: The rest, each a whole piece of HTML, so that pages may end after any of them.
        buttons: Rows of buttons.
        again: The command that gives this answer anew: pages and a refresh button stand on it.
            Empty for an answer that stands for itself.
        picture: Shown above the text.
    """

    title: str
    lines: Sequence[str] = ()
    buttons: Sequence[Sequence[Button]] = ()
    again: str = ""
    picture: PriceChart | None = None
