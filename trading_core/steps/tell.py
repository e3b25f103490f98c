"""What a person is told, and the row that says so.

To tell is to write a row and go on: the log shows it at once, and a sender (``steps.outbox``)
carries it to whatever channels there are. A note's id says what it is about, so a tick that runs
twice does not tell twice. What a run that died did not tell of follows from the facts it stored
(:func:`of_session`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from trading_core.model.decision import DecidedBy, DecisionCycle
from trading_core.model.difference import UNREPAIRED, Difference, DifferenceKind, Severity
from trading_core.model.journal import EquityPoint, Halt, HaltKind, Notification, Scorecard
from trading_core.model.market import MarketGroup
from trading_core.model.notice import NotifyKind
from trading_core.model.order import OrderRecord, OrderState, RefusalCode
from trading_core.model.playbook import Playbook, RefreshCause
from trading_core.ports import Notifier, Store, StoreReader
from trading_core.rules.calendar import Session
from trading_core.rules.invariants import halting_kinds
from trading_core.rules.markets import zone_of
from trading_core.steps.execute import Sent
from trading_core.steps.guard import AlertKind
from trading_core.steps.order_notes import (
    note,
    of_accepted,
    of_fills,
    of_given_up,
    of_order,
    of_sent,
    of_unfilled,
    what,
)
from trading_core.steps.reconcile import Books
from trading_core.steps.refresh import Refreshed
from trading_core.steps.tick import TickPlan

LESSONS_TOLD = 2

LISTED = 10
"""Differences named in one message; the others are counted."""

logger = logging.getLogger(__name__)

_BY_HAND = frozenset({HaltKind.OPERATOR, HaltKind.KILL})
"""Whoever raises these halts knows of them; the kill switch says itself how it went."""


async def tell(notifier: Notifier, store: Store, notes: Iterable[Notification]) -> None:
    """Show what was not told before in this process, and write it down for the channels."""
    fresh = {each.notification_id: each for each in notes}
    if not fresh:
        return
    with store.read() as reader:
        told = reader.notified(list(fresh))
    shown = [
        replace(each, delivered=await notifier.send(each), channels=notifier.channels)
        for name, each in fresh.items()
        if name not in told
    ]
    if shown:
        with store.write() as tx:
            tx.append(shown)


async def try_to_tell(notifier: Notifier, store: Store, notes: Iterable[Notification]) -> bool:
    """:func:`tell` for whoever has more to do; whether it is written down. A failure is logged."""
    try:
        await tell(notifier, store, notes)
    except Exception:
        logger.exception("people were not told yet")
        return False
    return True


def of_session(
    reader: StoreReader, group: MarketGroup, session: date, at: datetime
) -> list[Notification]:
    """Everything people should know of a session by now: of orders, fills, differences and the
    halts that stand. For what a run that died in between could not tell of."""
    orders = reader.orders(group, session)
    decided = {each.decision_id: each for each in reader.decisions(group, session)}
    looks: dict[datetime, list[Difference]] = {}
    for item in reader.differences(group, session):
        looks.setdefault(item.at, []).append(item)
    return [
        *of_accepted(orders, at, decided),
        *(
            of_order(record.intent, OrderState.UNKNOWN, "", at, decided)
            for record in orders
            if record.state is OrderState.UNKNOWN
        ),
        *of_fills(reader.fills(group, session), orders, decided),
        *(each for seen, items in looks.items() for each in _differences(items, group, seen)),
        *of_halts(halt for halt in reader.open_halts() if halt.kind not in _BY_HAND),
    ]


def of_pass(books: Books, plan: TickPlan, sent: Iterable[Sent]) -> list[Notification]:
    """Everything of one tick or protective pass, in the order it happened."""
    fresh = {verdict.decision.decision_id: verdict.decision for verdict in plan.verdicts}
    decided = {**books.decided, **fresh}
    return [*of_books(books), *of_plan(plan, books.group), *of_sent(sent, plan.at, decided)]


def of_books(books: Books) -> list[Notification]:
    """What reconciliation found: orders whose answer was lost, fills, halts, and in one message
    everything else that store and broker did not agree on."""
    decided = books.decided
    notes = [of_order(r.intent, *_answer(r), books.at, decided) for r in books.answered]
    notes += of_fills(books.new_fills, books.orders, decided)
    notes += of_halts(books.new_halts)
    return notes + _differences(books.differences, books.group, books.at)


def of_halts(halts: Iterable[Halt]) -> list[Notification]:
    """Halts, each once."""
    return [_halt(halt) for halt in halts]


def of_plan(plan: TickPlan, group: MarketGroup) -> list[Notification]:
    """Halts, stops that are near, breached or blind, orders the fat-finger limit refused, exits
    that a blackout puts off, and entries that did not fill and are not followed any further."""
    notes = [*of_halts(plan.halts), *of_given_up(plan), *of_unfilled(plan)]
    for refusal in plan.refused:
        intent = refusal.intent
        if refusal.code is RefusalCode.FAT_FINGER:
            text = f"refused {intent.side} {intent.quantity} {intent.instrument.symbol}: "
            text += refusal.detail
            name = f"fat-finger-{intent.intent_id}"
            notes.append(note(name, plan.at, NotifyKind.FAT_FINGER, Severity.WARNING, text))
        if refusal.code is RefusalCode.BLACKOUT and not intent.reason.is_entry:
            text = f"not sent: {what(intent)}: {refusal.detail}; decided again then"
            name = f"blackout-{intent.intent_id}"
            notes.append(note(name, plan.at, NotifyKind.BLACKOUT, Severity.WARNING, text))
    for alert in plan.alerts:
        kind = NotifyKind(f"stop_{alert.kind}")
        severity = Severity.CRITICAL if alert.kind is AlertKind.BLIND else Severity.WARNING
        name = f"{kind}-{group}-{alert.symbol}-{alert.since:%Y%m%dT%H%M%S.%f}"
        notes.append(note(name, plan.at, kind, severity, f"{alert.symbol}: {alert.detail}"))
    return notes


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


def _differences(
    found: Iterable[Difference], group: MarketGroup, at: datetime
) -> list[Notification]:
    """One message about all that one look found and that is not told otherwise."""
    told = {DifferenceKind.ANSWER_LOST, *halting_kinds()}
    rest = [item for item in found if item.kind not in told]
    if not rest:
        return []
    worst = max((item.severity for item in rest), key=lambda severity: severity.rank)
    more = f"; and {len(rest) - LISTED} more" if len(rest) > LISTED else ""
    text = f"{group}: {'; '.join(map(_difference, rest[:LISTED]))}{more}"
    name = f"differences-{rest[0].difference_id}-{len(rest)}"
    return [note(name, at, NotifyKind.RECONCILIATION, worst, text)]


def of_playbook(playbook: Playbook, at: datetime) -> Notification:
    """A playbook is there: who wrote it and how large it is."""
    text = (
        f"playbook {playbook.market} {playbook.session} by {playbook.source.value}: "
        f"{len(playbook.stocks)} stocks, {playbook.scenario_count} scenarios, "
        f"outlook {playbook.outlook.value}"
    )
    if playbook.fallback_reason:
        text += f" ({playbook.fallback_reason})"
    return note(f"playbook-{playbook.playbook_id}", at, NotifyKind.PLAYBOOK, Severity.INFO, text)


def of_refresh(made: Refreshed, kept: Playbook, cause: RefreshCause, at: datetime) -> Notification:
    """A playbook was drafted again during its session, or was to be and the old one stays."""
    if made.playbook is not None:
        fresh = of_playbook(made.playbook, at)
        return replace(fresh, text=f"{fresh.text}; refreshed: {cause}")
    text = f"playbook {kept.market} {kept.session}: the old one stays ({cause}): {made.reason}"
    name = f"refresh-{kept.market}-{kept.session}-{cause}"
    return note(name, at, NotifyKind.PLAYBOOK, Severity.WARNING, text)


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
    return [note(name, row.at, NotifyKind.REALTIME, Severity.WARNING, text)]


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
    name, picture = f"review-{card.market}-{card.session}", f"equity {card.market} {card.session}"
    return note(name, at, NotifyKind.REVIEW, Severity.INFO, text, picture)


def of_watchdog(halt: Halt) -> Notification:
    """Nothing moves any more; the halt goes by itself once everything does again."""
    text = f"no entries ({halt.scope}): {halt.reason}. Stops are watched as far as possible"
    return note(
        f"halt-{halt.halt_id}", halt.raised_at, NotifyKind.WATCHDOG, Severity.CRITICAL, text
    )


def of_recovery(halt: Halt, at: datetime) -> Notification:
    """A halt of the watchdog was lifted."""
    text = f"entries again ({halt.scope}): the session moves again after: {halt.reason}"
    return note(f"recovered-{halt.halt_id}", at, NotifyKind.RECOVERED, Severity.WARNING, text)


def of_open(session: Session, playbook: Playbook, at: datetime) -> Notification:
    """A session begins."""
    closes = session.close_at.astimezone(ZoneInfo(zone_of(session.group)))
    text = (
        f"{session.group} {session.date} is open until {closes:%H:%M %Z}: "
        f"{len(playbook.stocks)} stocks planned by {playbook.source.value}"
    )
    name = f"open-{session.group}-{session.date}"
    return note(name, at, NotifyKind.MARKET_OPEN, Severity.INFO, text)


def of_close(
    session: Session, at: datetime, *, ticks: int, failed: int, curve: Iterable[EquityPoint]
) -> Notification:
    """A session ended; ``curve`` is its equity in the market's currency, oldest first."""
    text = f"{session.group} {session.date} closed: {ticks} ticks, {failed} failed"
    points = list(curve)
    if points:
        first, last = points[0], points[-1]
        text += f"; equity {first.equity:,f} -> {last.equity:,f} {last.currency}"
    name = f"close-{session.group}-{session.date}"
    return note(name, at, NotifyKind.MARKET_CLOSE, Severity.INFO, text)


def of_no_playbook(group: MarketGroup, session: date, why: str, at: datetime) -> Notification:
    """A session could not be planned at all."""
    text = f"no playbook for {group} {session}: {why}"
    name = f"no-playbook-{group}-{session}-{at:%Y%m%dT%H%M}"
    return note(name, at, NotifyKind.PLAYBOOK, Severity.WARNING, text)


def of_start(at: datetime, words: str) -> Notification:
    """The system was started; ``words`` say what of it."""
    name = f"start-{at:%Y%m%dT%H%M%S.%f}"
    return note(name, at, NotifyKind.SYSTEM_START, Severity.INFO, words)


def of_stop(at: datetime, words: str) -> Notification:
    """The system was stopped; ``words`` say why."""
    name = f"stop-{at:%Y%m%dT%H%M%S.%f}"
    return note(name, at, NotifyKind.SYSTEM_STOP, Severity.INFO, words)


def _halt(halt: Halt) -> Notification:
    if halt.kind is HaltKind.WATCHDOG:
        return of_watchdog(halt)
    kind = NotifyKind.BREAKER if halt.kind is HaltKind.BREAKER else NotifyKind.HALT
    text = f"trading halted ({halt.scope}): {halt.reason}. Lift it with: ouroboros resume"
    return note(f"halt-{halt.halt_id}", halt.raised_at, kind, Severity.CRITICAL, text)
