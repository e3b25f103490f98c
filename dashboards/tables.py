"""Columns of tables. Values stay numbers, so that a click on a header sorts them as numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import streamlit as st

from trading_core.model.market import Currency


def show(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Any], *, height: int | None = None
) -> None:
    """A sortable table of the named columns in their order; decimals are shown as numbers.

    Args:
        rows: One mapping per row; what is missing stays empty.
        columns: A label, or one of the columns below, by key.
        height: In pixels; as high as its rows up to ten when left out.
    """
    shown = [{key: _plain(row.get(key)) for key in columns} for row in rows]
    st.dataframe(
        shown,
        hide_index=True,
        width="stretch",
        height=height or "auto",
        column_order=list(columns),
        column_config=dict(columns),
        placeholder="—",
    )


def money(label: str, currency: str, **options: Any) -> Any:
    """An amount in a currency, with its digits and thousands."""
    digits = Currency(currency).exponent
    return st.column_config.NumberColumn(label, format=f"%,.{digits}f", **options)


def percent(label: str, digits: int = 2, **options: Any) -> Any:
    return st.column_config.NumberColumn(label, format=f"%.{digits}f %%", **options)


def number(label: str, digits: int = 0, **options: Any) -> Any:
    return st.column_config.NumberColumn(label, format=f"%,.{digits}f", **options)


def text(label: str, **options: Any) -> Any:
    return st.column_config.TextColumn(label, **options)


def bar(label: str, values: Iterable[float | None], *, most: float, **options: Any) -> Any:
    """A percentage as a bar from 0 to ``most``."""
    largest = max([most, *(value for value in values if value is not None)])
    return st.column_config.ProgressColumn(
        label, format="%.2f %%", min_value=0.0, max_value=largest, **options
    )


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value
