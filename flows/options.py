"""What the commands share: their options, how texts become values, how an answer is printed."""

from __future__ import annotations

import json
import sys
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from trading_core.errors import ConfigError

LARGEST_SPEED = 100_000

MarketArgument = Annotated[
    str, typer.Argument(help="KR, US, JP, HK, CN or VN (or one exchange, such as US_NASDAQ).")
]
MarketOption = Annotated[
    str, typer.Option("--market", "-m", help="KR, US, JP, HK, CN or VN.", show_default=True)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object for a machine.")]
DataOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--data",
        help="Parquet file of real bars (minute, daily or both; repeatable). Columns: market, "
        "symbol, ts or date, open, high, low, close, volume. Without it a synthetic market plays.",
    ),
]
DateOption = Annotated[
    str | None, typer.Option("--date", help="Session to play, YYYY-MM-DD (needed with --data).")
]
CapitalOption = Annotated[
    str | None, typer.Option("--capital", help="Cash to start with, in the market's currency.")
]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of everything that is drawn.")]


def speed_of(text: str | None) -> float:
    """Exchange seconds a second; ``real`` is 1. Raises ``ConfigError``."""
    if text in (None, "real"):
        return 1.0
    try:
        speed = float(text)
    except ValueError:
        raise ConfigError(f"--speed {text}: not a number; write real, or such as 60") from None
    if not 0.001 <= speed <= LARGEST_SPEED:
        raise ConfigError(f"--speed {text}: is from 0.001 to {LARGEST_SPEED:,}; or say --stepped")
    return speed


def date_of(text: str | None, option: str = "--date") -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{option} {text}: not a date; write it as YYYY-MM-DD") from None


def amount_of(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        amount = Decimal(text.replace(",", "").replace("_", ""))
    except ArithmeticError:
        raise ConfigError(f"--capital {text}: not a number") from None
    if not amount.is_finite() or amount <= 0:
        raise ConfigError(f"--capital {text}: must be above 0")
    return amount


def print_answer(answer: dict[str, Any], as_json: bool, show: Any) -> None:
    if as_json:
        sys.stdout.write(json.dumps(answer, ensure_ascii=False, default=_text) + "\n")
        sys.stdout.flush()
    else:
        show(answer)


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
