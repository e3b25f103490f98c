"""Rows as files to take away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import pandas as pd

CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv(rows: Sequence[Mapping[str, Any]], numbers: Sequence[str] = ()) -> bytes:
    """UTF-8 with a byte order mark, without which spreadsheets misread Korean.

    A spreadsheet takes a text that begins like a formula for one; a quote in front stops it.
    """
    frame = _frame(rows, numbers)
    texts = {str(name): frame[name].map(_harmless) for name in frame if name not in numbers}
    return frame.assign(**texts).to_csv(index=False).encode("utf-8-sig")


def parquet(rows: Sequence[Mapping[str, Any]], numbers: Sequence[str] = ()) -> bytes:
    """The same values as they are."""
    made = BytesIO()
    _frame(rows, numbers).to_parquet(made, index=False)
    return made.getvalue()


def _frame(rows: Sequence[Mapping[str, Any]], numbers: Sequence[str]) -> pd.DataFrame:
    """The columns named in ``numbers`` hold decimals, and become floats."""
    frame = pd.DataFrame(rows)
    return frame.assign(**{name: pd.to_numeric(frame[name]) for name in numbers if name in frame})


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
