"""What a person is told of a tick, and the record that they were."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from trading_core.model.decision import DecidedBy, DecisionCycle
from trading_core.model.difference import UNREPAIRED, Difference, DifferenceKind
from trading_core.model.journal import Halt, Notification, Scorecard
from trading_core.model.market import MarketGroup
from trading_core.model.order import (
    Fill,
    OrderIntent,
    OrderRecord,
    OrderState,
    RefusalCode,
    Side,
)
from trading_core.model.playbook import Playbook, RefreshCause
from trading_core.ports import Notifier, Store
from trading_core.rules.chase import CancelCode
from trading_core.rules.invariants import halting_kinds
from trading_core.steps.execute import Sent
from trading_core.steps.guard import AlertKind
from trading_core.steps.reconcile import Books
from trading_core.steps.refresh import Refreshed
from trading_core.steps.tick import TickPlan

AGAIN_WITHIN = timedelta(days=1)
AGAIN_AT_ONCE = 20
LESSONS_TOLD = 2

LISTED = 10
"""Differences named in one message; the others are counted."""

# The average of several executions may be a fraction without end.
_SHOWN = Decimal("0.0001")


async def tell(notifier: Notifier, store: Store, notes: Iterable[Notification]) -> bool:
    """Send what was not sent before and write down whether it was delivered.

    A note's id says what it is about, so a tick that runs twice does not tell twice.

    Returns:
        Whether all of it was delivered; what was not is for :func:`tell_again`.
    """
    fresh = {note.notification_id: note for note in notes}
    if not fresh:
        return True
    with store.read() as reader:
        told = reader.notified(list(fresh))
    sent = [
        replace(note, delivered=await notifier.send(note))
        for name, note in fresh.items()
        if name not in told
    ]
    if sent:
        with store.write() as tx:
            tx.append(sent)
    return all(note.delivered for note in sent)


async def tell_again(notifier: Notifier, store: Store, at: datetime) -> bool:
    """Send once more what was not delivered within the last day, oldest first.

    It ends at the first that is not delivered again: the others would not be either.

    Returns:
        Whether nothing is left.
    """
    with store.read() as reader:
        missed = reader.undelivered(since=at - AGAIN_WITHIN)
    for note in missed[:AGAIN_AT_ONCE]:
        if not await notifier.send(note):
            return False
        name = f"{note.notification_id}+again"
        with store.write() as tx:
            tx.append([replace(note, notification_id=name, at=at, delivered=True)])
    return len(missed) <= AGAIN_AT_ONCE


def of_books(books: Books) -> list[Notification]:
    """What reconciliation found: orders whose answer was lost, fills, halts, and in one message
    everything else that store and broker did not agree on."""
    notes = [_order(r.intent, *_answer(r), books.at) for r in books.answered]
    notes += [_fill(fill, books.at) for fill in books.new_fills]
    notes += [_halt(halt) for halt in books.new_halts]
    told = {DifferenceKind.ANSWER_LOST, *halting_kinds()}
    rest = [item for item in books.differences if item.kind not in told]
    if rest:
        worst = max((item.severity for item in rest), key=lambda severity: severity.rank)
        more = f"; and {len(rest) - LISTED} more" if len(rest) > LISTED else ""
        text = f"{books.group}: {'; '.join(map(_difference, rest[:LISTED]))}{more}"
        name = f"differences-{rest[0].difference_id}-{len(rest)}"
        notes.append(_note(name, books.at, "reconciliation", worst.value, text))
    return notes


def of_accepted(orders: Iterable[OrderRecord], at: datetime) -> list[Notification]:
    """Orders the broker accepted, of a session; for those a stopped run could not tell of."""
    return [
        _order(record.intent, OrderState.ACCEPTED, "", at)
        for record in orders
        if any(event.state is OrderState.ACCEPTED for event in record.events)
    ]


def of_halts(halts: Iterable[Halt]) -> list[Notification]:
    """Halts raised outside of a tick."""
    return [_halt(halt) for halt in halts]


def of_plan(plan: TickPlan, group: MarketGroup) -> list[Notification]:
    """Halts, stops that are near, breached or blind, orders the fat-finger limit refused, exits
    that a blackout puts off, and entries that did not fill and are not followed any further."""
    notes = [_halt(halt) for halt in plan.halts]
    notes += _given_up(plan)
    for refusal in plan.refused:
        if refusal.code is RefusalCode.FAT_FINGER:
            intent = refusal.intent
            text = f"refused {intent.side} {intent.quantity} {intent.instrument.symbol}: "
            notes.append(
                _note(
                    f"fat-finger-{intent.intent_id}",
                    plan.at,
                    "fat_finger",
                    "warning",
                    text + refusal.detail,
                )
            )
        if refusal.code is RefusalCode.BLACKOUT and not refusal.intent.reason.is_entry:
            text = f"not sent: {_what(refusal.intent)}: {refusal.detail}; decided again then"
            name = f"blackout-{refusal.intent.intent_id}"
            notes.append(_note(name, plan.at, "blackout", "warning", text))
    for alert in plan.alerts:
        kind = f"stop_{alert.kind}"
        level = "critical" if alert.kind is AlertKind.BLIND else "warning"
        name = f"{kind}-{group}-{alert.symbol}-{alert.since:%Y%m%dT%H%M%S.%f}"
        notes.append(_note(name, plan.at, kind, level, f"{alert.symbol}: {alert.detail}"))
    return notes


def of_sent(sent: Iterable[Sent], at: datetime) -> list[Notification]:
    """Orders the broker accepted, refused, or whose fate is unknown."""
    return [_order(item.order.intent, item.state, item.detail, at) for item in sent]


def _order(intent: OrderIntent, state: OrderState, detail: str, at: datetime) -> Notification:
    match state:
        case OrderState.ACCEPTED:
            found = f", {detail}" if detail else ""
            level, text = "info", f"accepted: {_what(intent)} ({intent.reason.value}{found})"
        case OrderState.UNKNOWN:
            level = "critical"
            text = f"fate unknown: {_what(intent)}; nothing else is sent until it is"
        case _:
            level, text = "warning", f"{state.value}: {_what(intent)}: {detail}"
    name = f"{state.value}-{intent.intent_id}"
    return _note(name, at, f"order_{state.value}", level, text)


def _what(intent: OrderIntent) -> str:
    price = intent.limit_price or "market"
    return f"{intent.side} {intent.quantity} {intent.instrument.symbol} at {price}"


def _answer(record: OrderRecord) -> tuple[OrderState, str]:
    """What the broker would have answered to an order that was looked for."""
    if record.order_no:
        return OrderState.ACCEPTED, "found in the broker's book"
    return OrderState.NOT_SENT, "not in the broker's book, so it was never taken"


def _difference(item: Difference) -> str:
    repaired = "" if item.repaired_by == UNREPAIRED else ", repaired"
    return (
        f"{item.kind.replace('_', ' ')} {item.subject}: {item.found}, "
        f"expected {item.expected}{repaired}"
    )


def _given_up(plan: TickPlan) -> list[Notification]:
    """Entries that end here: a chase that did not fill, or that may not go out."""
    ends = {
        cancel.record.intent.chases: f"{_what(cancel.record.intent)} did not fill either"
        for cancel in plan.cancels
        if cancel.code is CancelCode.UNFILLED and cancel.record.intent.side is Side.BUY
    }
    ends |= {
        refusal.intent.chases: f"{_what(refusal.intent)}: {refusal.detail}"
        for refusal in plan.refused
        if refusal.intent.side is Side.BUY and refusal.code is not RefusalCode.BLACKOUT
    }
    return [
        _note(f"given-up-{chased}", plan.at, "given_up", "warning", f"given up: {why}")
        for chased, why in ends.items()
        if chased
    ]


def of_playbook(playbook: Playbook, at: datetime) -> Notification:
    """A playbook is there: who wrote it and how large it is."""
    text = (
        f"playbook {playbook.market} {playbook.session} by {playbook.source.value}: "
        f"{len(playbook.stocks)} stocks, {playbook.scenario_count} scenarios, "
        f"outlook {playbook.outlook.value}"
    )
    if playbook.fallback_reason:
        text += f" ({playbook.fallback_reason})"
    return _note(f"playbook-{playbook.playbook_id}", at, "playbook", "info", text)


def of_refresh(made: Refreshed, kept: Playbook, cause: RefreshCause, at: datetime) -> Notification:
    """A playbook was drafted again during its session, or was to be and the old one stays."""
    if made.playbook is not None:
        note = of_playbook(made.playbook, at)
        return replace(note, text=f"{note.text}; refreshed: {cause}")
    text = f"playbook {kept.market} {kept.session}: the old one stays ({cause}): {made.reason}"
    name = f"refresh-{kept.market}-{kept.session}-{cause}"
    return _note(name, at, "playbook", "warning", text)


def of_cycle(row: DecisionCycle) -> list[Notification]:
    """Entries went over to the playbook; told once for each kind of reason in a session. Of a
    halt people know already."""
    if row.decided_by is not DecidedBy.PLAYBOOK or not row.reason:
        return []
    kind = row.reason.partition(":")[0]
    if kind == "halted":
        return []
    text = f"{row.market} {row.session}: the playbook decides, not the model: {row.reason}"
    name = f"realtime-{row.market}-{row.session}-{kind}"
    return [_note(name, row.at, "realtime", "warning", text)]


def of_scorecard(card: Scorecard, at: datetime) -> Notification:
    """The day's summary: profit per currency after and before costs, win rate, two lessons."""
    net = ", ".join(
        f"{amount:+,} {code} after costs (gross {card.gross_pnl[code]:+,})"
        for code, amount in card.net_pnl.items()
    )
    closed = card.wins + card.losses
    rate = "no closed trades"
    if card.win_rate_pct is not None:
        rate = f"win rate {card.win_rate_pct:.0f} % ({card.wins} of {closed})"
    text = f"{card.market} {card.session}: {net or 'no P&L'}, {card.orders} orders, {rate}"
    text += "".join(f"\nlesson: {lesson}" for lesson in card.lessons[:LESSONS_TOLD])
    return _note(f"review-{card.market}-{card.session}", at, "review", "info", text)


def of_watchdog(halt: Halt) -> Notification:
    """Nothing moves any more; the halt goes by itself once everything does again."""
    text = f"no entries ({halt.scope}): {halt.reason}. Stops are watched as far as possible"
    return _note(f"halt-{halt.halt_id}", halt.raised_at, "halt", "critical", text)


def of_recovery(halt: Halt, at: datetime) -> Notification:
    """A halt of the watchdog was lifted."""
    text = f"entries again ({halt.scope}): the session moves again after: {halt.reason}"
    return _note(f"recovered-{halt.halt_id}", at, "recovered", "warning", text)


def _fill(fill: Fill, at: datetime) -> Notification:
    text = (
        f"filled: {fill.side} {fill.quantity} {fill.instrument.symbol} at "
        f"{fill.price.quantize(_SHOWN).normalize():,f} {fill.currency}"
    )
    return _note(f"fill-{fill.fill_id}", at, "order_filled", "info", text)


def _halt(halt: Halt) -> Notification:
    text = f"trading halted ({halt.scope}): {halt.reason}. Lift it with: ouroboros resume"
    return _note(f"halt-{halt.halt_id}", halt.raised_at, "halt", "critical", text)


def _note(name: str, at: datetime, kind: str, level: str, text: str) -> Notification:
    return Notification(name, at, kind, level, text, delivered=False)
