"""What every screen shares: a console, text shown as it is, and amounts with their separators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import wraps
from typing import Any

from rich.console import Console
from rich.markup import escape

Json = dict[str, Any]


def screen(show: Callable[[Json], None]) -> Callable[[Json], None]:
    """Text in an answer is shown as it is; a reason such as ``[/]`` is no markup."""

    @wraps(show)
    def call(answer: Json) -> None:
        show(_escaped(answer))

    return call


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, Mapping):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(item) for item in value]
    return value


def out() -> Console:
    return Console(highlight=False)


def money(text: str | None, *, signed: bool = False) -> str:
    if text is None:
        return "no data"
    return f"{Decimal(text):+,}" if signed else f"{Decimal(text):,}"
