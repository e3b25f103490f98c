"""What a person is told of a tick, and the record that they were."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from trading_core.model.journal import Halt, Notification, Scorecard
from trading_core.model.market import MarketGroup
from trading_core.model.order import Fill, OrderState, RefusalCode
from trading_core.model.playbook import Playbook
from trading_core.ports import Notifier, Store
from trading_core.steps.execute import Sent
from trading_core.steps.guard import AlertKind
from trading_core.steps.reconcile import Books
from trading_core.steps.tick import TickPlan

AGAIN_WITHIN = timedelta(days=1)
AGAIN_AT_ONCE = 20

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
    """Fills, adopted shares and halts that reconciliation found."""
    notes = [_fill(fill, books.at) for fill in books.new_fills]
    notes += [_halt(halt) for halt in books.new_halts]
    for lot in books.adopted:
        text = f"{lot.quantity:+} {lot.instrument.symbol} {lot.note}; kept apart from the strategy"
        notes.append(_note(f"adopted-{lot.lot_id}", books.at, "reconciliation", "warning", text))
    return notes


def of_halts(halts: Iterable[Halt]) -> list[Notification]:
    """Halts raised outside of a tick."""
    return [_halt(halt) for halt in halts]


def of_plan(plan: TickPlan, group: MarketGroup) -> list[Notification]:
    """Halts, stops that are near, breached or blind, and orders the fat-finger limit refused."""
    notes = [_halt(halt) for halt in plan.halts]
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
    for alert in plan.alerts:
        kind = f"stop_{alert.kind}"
        level = "critical" if alert.kind is AlertKind.BLIND else "warning"
        name = f"{kind}-{group}-{alert.symbol}-{alert.since:%Y%m%dT%H%M%S.%f}"
        notes.append(_note(name, plan.at, kind, level, f"{alert.symbol}: {alert.detail}"))
    return notes


def of_sent(sent: Iterable[Sent], at: datetime) -> list[Notification]:
    """Orders the broker accepted, refused, or whose fate is unknown."""
    notes = []
    for item in sent:
        intent = item.order.intent
        price = intent.limit_price or "market"
        what = f"{intent.side} {intent.quantity} {intent.instrument.symbol} at {price}"
        match item.state:
            case OrderState.ACCEPTED:
                level, text = "info", f"accepted: {what} ({intent.reason.value})"
            case OrderState.UNKNOWN:
                level, text = "critical", f"fate unknown: {what}; nothing else is sent until it is"
            case _:
                level, text = "warning", f"{item.state.value}: {what}: {item.detail}"
        name = f"{item.state.value}-{intent.intent_id}"
        notes.append(_note(name, at, f"order_{item.state.value}", level, text))
    return notes


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


def of_scorecard(card: Scorecard, at: datetime) -> Notification:
    """The day's summary."""
    net = ", ".join(f"{amount:+,} {code}" for code, amount in card.net_pnl.items()) or "no P&L"
    rate = (
        "no closed trades" if card.win_rate_pct is None else f"win rate {card.win_rate_pct:.0f} %"
    )
    text = f"{card.market} {card.session}: {net} after costs, {card.orders} orders, {rate}"
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
