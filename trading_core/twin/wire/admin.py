"""The side door of the twin, for tests and people: its clock, its book, its state and its faults.

Nothing here is part of the broker's protocol.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

from trading_core.errors import DataError
from trading_core.rules.calendar import session_on
from trading_core.rules.markets import currency_of
from trading_core.twin.faults import FaultPlan, parse_plan
from trading_core.twin.venue import Venue, VenueFill, VenueState
from trading_core.twin.wire.desk import Desk
from trading_core.twin.wire.envelope import Reply


class AdminError(Exception):
    """A request through the side door that cannot be met; answered with HTTP 400."""


class SideDoor:
    """Answers every request under ``/twin``.

    Args:
        about: What the server says of itself in ``GET /twin/state``.
        go_on: Begins the session of a date, or the next one.
    """

    def __init__(
        self,
        desk: Desk,
        faults: FaultPlan,
        about: Callable[[], Mapping[str, Any]],
        go_on: Callable[[date | None], None],
    ) -> None:
        self._desk = desk
        self._faults = faults
        self._about = about
        self._go_on = go_on

    def answer(self, method: str, path: str, body: Any) -> dict[str, Any]:
        """The JSON answer; ``body`` is the parsed body of a POST.

        Raises:
            AdminError, ValueError, TradingError: with what is wrong.
        """
        match method, path:
            case "GET", "/twin/state":
                return self._state()
            case "GET", "/twin/book":
                return book(self._desk)
            case "GET", "/twin/instruments":
                return instruments(self._desk)
            case "POST", "/twin/clock":
                return self._move(body)
            case "GET", "/twin/faults":
                return self._rules()
            case "POST", "/twin/faults":
                rules, replace = parse_plan(body)
                self._faults.install(rules, replace=replace)
                return self._rules()
            case "DELETE", "/twin/faults":
                self._faults.install([], replace=True)
                return self._rules()
        raise AdminError(f"{method} {path} is not offered")

    def _rules(self) -> dict[str, Any]:
        return {"rules": [rule.as_json() for rule in self._faults.rules]}

    def _state(self) -> dict[str, Any]:
        desk, about = self._desk, dict(self._about())
        now = desk.now + timedelta(seconds=self._faults.skew_of_state())
        states = [venue.state() for venue in desk.venues]
        counters = {
            "requests": about.pop("requests"),
            "spoiled": about.pop("spoiled"),
            "orders": sum(state.orders for state in states),
            "fills": sum(state.fills for state in states),
        }
        return {
            "now": now.isoformat(),
            "mode": desk.personality,
            "personality": desk.personality,
            **about,
            "sessions": [_session(state) for state in states],
            "accounts": _accounts(desk),
            "counters": counters,
            "venues": as_json(states),
            "faults": self._rules()["rules"],
        }

    def _move(self, body: Any) -> dict[str, Any]:
        """Move the clock to a time, or begin another session."""
        if isinstance(body, dict) and "session" in body:
            before = sum(venue.state().fills for venue in self._desk.venues)
            self._go_on(_day(body["session"]))
            states = [venue.state() for venue in self._desk.venues]
            return {
                "now": self._desk.now.isoformat(),
                "sessions": [_session(state) for state in states],
                "fills_on_the_way": sum(state.fills for state in states) - before,
            }
        if self._about()["clock"] == "running":
            raise AdminError("the clock of this twin runs by itself")
        return advance(self._desk, body)


def _day(text: object) -> date | None:
    if text == "next":
        return None
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        raise AdminError('send {"session": "next"} or a date, such as "2026-09-11"') from None


def _session(state: VenueState) -> dict[str, Any]:
    row: dict[str, Any] = {
        "group": state.group.value,
        "session": state.session.isoformat(),
        "is_open": state.is_open,
    }
    hours = session_on(state.group, state.session)
    if hours is not None:
        row |= {"open_at": hours.open_at.isoformat(), "close_at": hours.close_at.isoformat()}
    return row


def _accounts(desk: Desk) -> list[dict[str, Any]]:
    """Each account with what it was opened with."""
    found: dict[str, dict[str, Any]] = {}
    for venue in desk.venues:
        for spec in venue.accounts():
            cash = as_json(spec.cash)
            found.setdefault(spec.account_no, {}).update(cash)
    return [{"account_no": number, "opened_with": cash} for number, cash in found.items()]


def skewed(reply: Reply, seconds: float) -> Reply:
    """A reply whose times are off by ``seconds``: those of orders and the end of a token."""
    if not seconds or not isinstance(reply.body, Mapping):
        return reply
    return Reply(_shifted(reply.body, timedelta(seconds=seconds)), reply.status, reply.tr_cont)


def _shifted(value: Any, by: timedelta) -> Any:
    if isinstance(value, list):
        return [_shifted(item, by) for item in value]
    if not isinstance(value, Mapping):
        return value
    told = {key: _shifted(item, by) for key, item in value.items()}
    for key, form in _TIMES.items():
        if told.get(key):
            at = datetime.strptime(f"{told[key]}+0900", f"{form}%z") + by
            told[key] = at.strftime(form)
    return told


_TIMES = {
    "ORD_TMD": "%H%M%S",
    "ord_tmd": "%H%M%S",
    "access_token_token_expired": "%Y-%m-%d %H:%M:%S",
}


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
