"""The side door of the twin, for tests and people: its clock, its book and its state.

Nothing here is part of the broker's protocol.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from trading_core.errors import DataError
from trading_core.rules.markets import currency_of
from trading_core.twin.venue import Venue, VenueFill
from trading_core.twin.wire.desk import Desk


class AdminError(Exception):
    """A request through the side door that cannot be met; answered with HTTP 400."""


def as_json(value: Any) -> Any:
    """Dataclasses as objects, decimals as strings, times in ISO 8601."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: as_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(as_json(key)): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return value


def state(desk: Desk) -> dict[str, Any]:
    """Where each venue stands."""
    return {
        "now": desk.now.isoformat(),
        "personality": desk.personality,
        "venues": [as_json(venue.state()) for venue in desk.venues],
    }


def instruments(desk: Desk) -> dict[str, Any]:
    return {"instruments": [as_json(item) for venue in desk.venues for item in venue.instruments()]}


def book(desk: Desk) -> dict[str, Any]:
    """The truth: every order row, every fill, and every account with cash and holdings."""
    orders, fills, accounts = [], [], []
    for venue in desk.venues:
        for spec in venue.accounts():
            orders += _order_rows(venue, spec.account_no)
            fills += [as_json(fill) for fill in venue.fills(spec.account_no)]
            view = venue.account(spec.account_no, currency_of(venue.group))
            row = as_json(view)
            accounts.append(
                row | {"group": venue.group.value, "orderable": as_json(view.orderable)}
            )
    return {"now": desk.now.isoformat(), "orders": orders, "fills": fills, "accounts": accounts}


def _order_rows(venue: Venue, account_no: str) -> list[dict[str, Any]]:
    rows = []
    for row in venue.orders(account_no, start=date.min, end=date.max):
        rest = {"group": venue.group.value, "remaining_quantity": row.remaining_quantity}
        rows.append(as_json(row) | rest)
    return rows


def advance(desk: Desk, body: Any) -> dict[str, Any]:
    """Move all venues to ``body["advance_to"]`` (ISO 8601 with an offset)."""
    text = body.get("advance_to") if isinstance(body, dict) else None
    if not isinstance(text, str):
        raise AdminError('send {"advance_to": "<ISO time with an offset>"}')
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise AdminError(f"{text[:40]!r} is not an ISO time") from None
    if at.tzinfo is None:
        raise AdminError(f"{text!r} has no offset from UTC")
    if at < desk.now:
        raise AdminError(f"the clock stands at {desk.now.isoformat()} and never goes back")
    try:
        fills: list[VenueFill] = desk.advance_to(at)
    except (DataError, ValueError, OverflowError) as error:
        raise AdminError(str(error)) from None
    return {"now": desk.now.isoformat(), "fills": as_json(fills)}
