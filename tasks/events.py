"""What happened, as events of Prefect: something for a user's own automations to hang on.

Nothing here is waited for. In a run, Prefect's own thread carries events to the server and drops
them when there is none; people are told otherwise (``steps.tell``). An event's id follows from what
it is about, so a fact that is stated twice within minutes is one event to the server. Payloads hold
neither keys nor the account. ``occurred`` is real time; ``at`` in the payload is the market's.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from trading_core.model.journal import BackupRecord, Halt
from trading_core.model.order import Fill, OrderIntent, OrderState
from trading_core.model.playbook import Playbook
from trading_core.steps.execute import Sent
from trading_core.steps.reconcile import Books
from trading_core.steps.tick import TickPlan

logger = logging.getLogger(__name__)

Json = dict[str, Any]

_NAMESPACE = UUID("0b8ea2f4-0d5c-5d5c-9d5f-0e2f3f6a8b11")
_STATES = {OrderState.ACCEPTED: "order.accepted", OrderState.REJECTED: "order.rejected"}


@dataclass(frozen=True, slots=True)
class Fact:
    """One event: ``ouroboros.<name>`` about the resource ``ouroboros.<subject>``.

    ``labels`` are of the resource, for automations to match on; ``key`` tells this fact from
    others of its name.
    """

    name: str
    subject: str
    key: str
    labels: dict[str, str]
    payload: Json

    def as_event(self) -> Json:
        """As Prefect's API takes it."""
        labels = {f"ouroboros.{name}": value for name, value in self.labels.items() if value}
        return {
            "event": f"ouroboros.{self.name}",
            "resource": {"prefect.resource.id": f"ouroboros.{self.subject}", **labels},
            "payload": self.payload,
            "id": uuid5(_NAMESPACE, f"{self.name} {self.key}"),
        }


def emit(facts: Iterable[Fact]) -> None:
    """Hand them to Prefect's thread and go on; nothing where no API is configured."""
    try:
        from prefect.events import emit_event
        from prefect.settings import PREFECT_API_URL

        # Without an address Prefect would start a server of its own for this.
        if PREFECT_API_URL.value():
            for fact in facts:
                emit_event(**fact.as_event())
    except Exception as error:
        logger.warning("events are not sent: %s", type(error).__name__)


async def post(client: Any, facts: Iterable[Fact]) -> None:
    """Send them on a connection that is open, and return once the server has them. A failure is
    logged only."""
    from prefect.events import Event

    try:
        body = [Event(**fact.as_event()).model_dump(mode="json") for fact in facts]
        await client.request("POST", "/events", json=body)
    except Exception as error:
        logger.warning("events are not sent: %s", type(error).__name__)


def of_pass(books: Books, plan: TickPlan, sent: Iterable[Sent]) -> list[Fact]:
    """Orders of one tick or protective pass: accepted or rejected by the broker, and filled.

    An order whose answer was lost is accepted once it was found in the broker's book.
    """
    found = [
        _order("order.accepted", record.intent, books.at, order_no=record.order_no)
        for record in books.answered
        if record.order_no
    ]
    found += [
        _order(
            _STATES[item.state],
            item.order.intent,
            plan.at,
            order_no=item.order_no,
            code=item.code,
            detail=item.detail,
        )
        for item in sent
        if item.state in _STATES
    ]
    return found + [_fill(fill) for fill in books.new_fills]


def of_halts(halts: Iterable[Halt]) -> list[Fact]:
    """Halts that were raised, or that were lifted meanwhile."""
    return [_halt(halt) for halt in halts]


def of_playbook(playbook: Playbook) -> Fact:
    """A playbook was stored."""
    return Fact(
        "playbook.made",
        f"playbook.{playbook.playbook_id}",
        playbook.playbook_id,
        {"market": playbook.market, "session": playbook.session.isoformat()},
        {
            "source": playbook.source.value,
            "outlook": playbook.outlook.value,
            "stocks": [stock.symbol for stock in playbook.stocks],
            "scenarios": playbook.scenario_count,
            "fallback_reason": playbook.fallback_reason,
        },
    )


def of_backup(record: BackupRecord, problems: Iterable[str]) -> Fact:
    """A verified copy was made; degraded where something around it went wrong."""
    said = list(problems)
    return Fact(
        "backup.degraded" if said else "backup.done",
        "backup",
        record.backup_id,
        {},
        {"backup_id": record.backup_id, "rows": record.rows, "bytes": record.bytes, "why": said},
    )


def of_failed_backup(error: Exception, at: datetime) -> Fact:
    """No copy was made."""
    why = f"{type(error).__name__}: {error}"
    return Fact("backup.failed", "backup", at.isoformat(), {}, {"at": at.isoformat(), "why": why})


def _order(name: str, intent: OrderIntent, at: datetime, **more: str) -> Fact:
    asked = {
        "at": at.isoformat(),
        "order_type": intent.order_type.value,
        "limit_price": None if intent.limit_price is None else str(intent.limit_price),
        "reason": intent.reason.value,
    }
    payload = {**_trade(intent), **asked, **{key: text for key, text in more.items() if text}}
    return Fact(name, f"order.{intent.intent_id}", intent.intent_id, _labels(intent), payload)


def _fill(fill: Fill) -> Fact:
    paid = {"at": fill.filled_at.isoformat(), "order_no": fill.order_no, "price": str(fill.price)}
    costs = {"amount": str(fill.amount), "fee": str(fill.fee), "tax": str(fill.tax)}
    payload = {**_trade(fill), **paid, **costs}
    return Fact("order.filled", f"order.{fill.intent_id}", fill.fill_id, _labels(fill), payload)


def _trade(item: OrderIntent | Fill) -> Json:
    return {
        "symbol": item.instrument.symbol,
        "side": item.side.value,
        "quantity": item.quantity,
        "currency": item.currency.value,
    }


def _labels(item: OrderIntent | Fill) -> dict[str, str]:
    return {
        "market": item.instrument.market.group.value,
        "symbol": item.instrument.symbol,
        "session": item.session.isoformat(),
        "side": item.side.value,
    }


def _halt(halt: Halt) -> Fact:
    name, by = ("halt.lifted", halt.lifted_by) if halt.lifted_at else ("halt.raised", "")
    at = halt.lifted_at or halt.raised_at
    payload = {"at": at.isoformat(), "reason": halt.reason, "level": halt.level.value, "by": by}
    labels = {"scope": halt.scope, "kind": halt.kind.value}
    return Fact(name, f"halt.{halt.halt_id}", halt.halt_id, labels, {**labels, **payload})
