"""The parameters of deployments: what the form in the Prefect UI offers, and what is accepted.

Their descriptions are taken from the docstrings of the flows.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from trading_core.model.market import MarketGroup


def _group_code(value: Any) -> Any:
    return MarketGroup.parse(value).value if isinstance(value, str) else value


def _upper(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


MarketCode = Annotated[
    Literal["KR", "US", "JP", "HK", "CN", "VN"],
    BeforeValidator(_group_code),
]
"""A market; one of its exchanges, such as US_NASDAQ, is taken for it."""

ScopeCode = Annotated[
    Literal["ALL", "KR", "US", "JP", "HK", "CN", "VN"],
    BeforeValidator(_upper),
]

Reason = Annotated[str, Field(min_length=1)]
