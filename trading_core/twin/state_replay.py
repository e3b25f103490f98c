"""An exchange whose every effect is written to a state file, and how it is brought back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np

from trading_core.errors import ConfigError, DataError
from trading_core.model.order import OrderType, Side
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.state import Event, StateFile
from trading_core.twin.tape import Tape
from trading_core.twin.venue import (
    AccountSpec,
    NewOrder,
    OrderFate,
    Pricing,
    TimeInForce,
    VenueFill,
    VenueOrder,
    VenueRefusal,
)

BeginSession = Callable[[str, date, datetime], None]
"""Puts the exchange of a group on the tape of a date, its clock at a time."""


def fingerprint(tape: Tape) -> str:
    """The same for tapes with the same instruments and prices."""
    digest = hashlib.blake2b(digest_size=12)
    names = "|".join(f"{i.market}:{i.symbol}" for i in tape.instruments)
    digest.update(f"{tape.group}|{tape.session}|{names}".encode())
    arrays = [tape.starts, tape.ends, tape.previous_close, tape.halted, tape.bid, tape.ask]
    for block in (tape.bars, tape.history):
        arrays += [getattr(block, item.name) for item in fields(block)]
    for array in arrays:
        if array is not None:
            digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()


class RecordedExchange(SimulatedExchange):
    """A simulated exchange that writes down what changes it, once it has a state file."""

    def __init__(
        self, tape: Tape, accounts: Sequence[AccountSpec], *, at: datetime | None = None
    ) -> None:
        self._journal: StateFile | None = None
        super().__init__(tape, accounts, at=at)

    def record_in(self, journal: StateFile) -> None:
        """Write every effect from now on."""
        self._journal = journal

    def place(self, order: NewOrder) -> VenueOrder:
        self._require_writable()
        row = super().place(order)
        self._note("place", row, {"order": order_as_json(order)})
        return row

    def modify(
        self, account_no: str, order_no: int, *, limit_price: Decimal | None, quantity: int | None
    ) -> VenueOrder:
        self._require_writable()
        row = super().modify(account_no, order_no, limit_price=limit_price, quantity=quantity)
        limit = None if limit_price is None else str(limit_price)
        change = {"account": account_no, "of": order_no, "limit": limit, "quantity": quantity}
        self._note("modify", row, change)
        return row

    def cancel(self, account_no: str, order_no: int, *, quantity: int | None) -> VenueOrder:
        self._require_writable()
        row = super().cancel(account_no, order_no, quantity=quantity)
        change = {"account": account_no, "of": order_no, "quantity": quantity}
        self._note("cancel", row, change)
        return row

    def advance_to(self, at: datetime) -> list[VenueFill]:
        self._require_writable()
        fills = super().advance_to(at)
        if self._journal is not None:
            self._journal.clock(self.now)
        return fills

    def start_session(self, tape: Tape, *, at: datetime | None = None) -> None:
        self._require_writable()
        super().start_session(tape, at=at)
        if self._journal is not None:
            self._journal.append(
                {
                    "do": "session",
                    "group": self.group.value,
                    "session": tape.session.isoformat(),
                    "at": self.now.isoformat(),
                    "tape": fingerprint(tape),
                }
            )

    def _require_writable(self) -> None:
        if self._journal is not None:
            self._journal.require_writable()

    def _note(self, what: str, row: VenueOrder, more: Mapping[str, Any]) -> None:
        if self._journal is not None:
            head = {"do": what, "group": self.group.value, "no": row.order_no}
            self._journal.append({**head, **more})


def replay(
    journal: StateFile,
    exchanges: Sequence[RecordedExchange],
    begin_session: BeginSession,
) -> tuple[int, list[Event]]:
    """Do again what the file tells, then have the exchanges write to it.

    Returns:
        How many effects there were, and those that are not the exchanges' own.

    Raises:
        ConfigError: the file tells of something that cannot be done again.
    """
    by_group = {exchange.group.value: exchange for exchange in exchanges}
    others: list[Event] = []
    count = 0
    for number, event in journal.events():
        count += 1
        try:
            if not _again(event, by_group, begin_session):
                others.append(event)
        except (LookupError, TypeError, ValueError, ArithmeticError, DataError) as error:
            raise _unplayable(journal, number, str(error)) from None
        except VenueRefusal as refusal:
            raise _unplayable(journal, number, f"refused: {refusal}") from None
    for exchange in exchanges:
        exchange.record_in(journal)
    return count, others


def _unplayable(journal: StateFile, number: int, why: str) -> ConfigError:
    return ConfigError(
        f"{journal.path}: line {number} cannot be played again ({why}); the file is damaged or "
        "of another version"
    )


def _again(
    event: Event, by_group: Mapping[str, RecordedExchange], begin_session: BeginSession
) -> bool:
    what = event["do"]
    if what == "clock":
        at = datetime.fromisoformat(event["at"])
        for exchange in by_group.values():
            if at > exchange.now:
                exchange.advance_to(at)
        return True
    if what not in ("place", "modify", "cancel", "session"):
        return False
    exchange = by_group[event["group"]]
    if what == "session":
        day = date.fromisoformat(event["session"])
        begin_session(event["group"], day, datetime.fromisoformat(event["at"]))
        if fingerprint(exchange.tape) != event["tape"]:
            raise ValueError(f"the prices of {day} are not those it was written with")
        return True
    if what == "place":
        row = exchange.place(order_from_json(event["order"]))
    elif what == "modify":
        limit = None if event["limit"] is None else Decimal(event["limit"])
        row = exchange.modify(
            event["account"], event["of"], limit_price=limit, quantity=event["quantity"]
        )
    else:
        row = exchange.cancel(event["account"], event["of"], quantity=event["quantity"])
    if row.order_no != event["no"]:
        raise ValueError(f"order {event['no']} became {row.order_no}")
    return True


def order_as_json(order: NewOrder) -> dict[str, Any]:
    """The order without what is as usual."""
    data: dict[str, Any] = {
        "account": order.account_no,
        "symbol": order.symbol,
        "side": order.side.value,
        "type": order.order_type.value,
        "quantity": order.quantity,
    }
    if order.limit_price is not None:
        data["limit"] = str(order.limit_price)
    if order.pricing is not Pricing.STATED:
        data["pricing"] = order.pricing.value
    if order.time_in_force is not TimeInForce.DAY:
        data["in_force"] = order.time_in_force.value
    if order.trigger_price is not None:
        data["trigger"] = str(order.trigger_price)
    if order.fate.reject_later:
        data["reject_later"] = True
    if order.fate.fill_at_most is not None:
        data["fill_at_most"] = order.fate.fill_at_most
    return data


def order_from_json(data: Mapping[str, Any]) -> NewOrder:
    """The order that :func:`order_as_json` wrote."""
    return NewOrder(
        account_no=data["account"],
        symbol=data["symbol"],
        side=Side(data["side"]),
        order_type=OrderType(data["type"]),
        quantity=data["quantity"],
        limit_price=Decimal(data["limit"]) if "limit" in data else None,
        pricing=Pricing(data.get("pricing", Pricing.STATED)),
        time_in_force=TimeInForce(data.get("in_force", TimeInForce.DAY)),
        trigger_price=Decimal(data["trigger"]) if "trigger" in data else None,
        fate=OrderFate(
            reject_later=data.get("reject_later", False), fill_at_most=data.get("fill_at_most")
        ),
    )
