"""What each step of the kill switch does, and the record of how it ended.

Nothing here remembers more than the store does: an order goes through the risk gate, the journal
and the order lock as any other, so that no run of the switch doubles one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from trading_core.clock import Clock
from trading_core.errors import TradingError
from trading_core.model.journal import Halt, HaltLevel, KillRow, KillStep, Notification, StepOutcome
from trading_core.model.limits import Policy
from trading_core.model.market import MarketGroup
from trading_core.ports import Archive, Broker, MarketData, Notifier, OrderLock, Store
from trading_core.rules.blackout import blackout_until, blackout_words
from trading_core.rules.calendar import Session, local_date, previous_session, session_on
from trading_core.rules.trading_state import stops_everything
from trading_core.steps import backup, operate
from trading_core.steps.cancel_entries import cancel_each, open_in_book, working_entries
from trading_core.steps.reconcile import Books, reconcile
from trading_core.steps.reduce import sell_held

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KillPorts:
    """What the switch works with."""

    store: Store
    broker: Broker
    market_data: MarketData
    lock: OrderLock
    archive: Archive
    notifier: Notifier
    clock: Clock
    policy: Policy
    groups: tuple[MarketGroup, ...]


@dataclass(frozen=True, slots=True)
class KillReport:
    """How a run ended: ``rows`` are its steps in order, those done by an earlier run included.

    ``again_at`` (aware UTC) is the end of the blackout that kept a step from being done.
    """

    kill_id: str
    scope: str
    reduce: bool
    rows: tuple[KillRow, ...]
    again_at: datetime | None = None

    @property
    def failed(self) -> tuple[KillRow, ...]:
        return tuple(row for row in self.rows if row.outcome is StepOutcome.FAILED)

    def line(self) -> str:
        """One line for a person: what was done, or what failed and why."""
        what = f"kill {self.scope}" + (" --reduce" if self.reduce else "")
        if not self.failed:
            return f"{what}: every step is done"
        why = "; ".join(f"{row.label} failed: {row.detail}" for row in self.failed)
        return f"{what}: {why}"


class StepFailed(TradingError):
    """A step could not do all of what it is for."""


@dataclass(slots=True)
class KillRun:
    """One run of the switch; ``before`` is what earlier runs of it wrote down."""

    ports: KillPorts
    halt: Halt
    pauses: Sequence[float]
    before: tuple[KillRow, ...] = ()
    rows: list[KillRow] = field(default_factory=list)
    again_at: datetime | None = None

    def report(self) -> KillReport:
        return KillReport(
            kill_id=self.halt.halt_id,
            scope=self.halt.scope,
            reduce=self.halt.level is HaltLevel.REDUCING,
            rows=tuple(self.rows),
            again_at=self.again_at,
        )

    async def step(
        self, step: KillStep, work: Callable[[], Awaitable[str]], market: str = ""
    ) -> None:
        """Do it unless it is done, and write down how it ended; nothing but a crash stops this."""
        mine = [row for row in self.before if (row.step, row.market) == (step, market)]
        # What is told depends on the other steps, so it is told again.
        if step is not KillStep.NOTIFY and mine and mine[-1].outcome is StepOutcome.DONE:
            self.rows.append(mine[-1])
            return
        outcome = StepOutcome.DONE
        try:
            detail = await work()
        except Exception as error:
            outcome, detail = StepOutcome.FAILED, str(error) or type(error).__name__
            if not isinstance(error, TradingError):
                logger.exception("the kill switch's step %s failed", step)
        at = self.ports.clock.now()
        attempt = mine[-1].attempt + 1 if mine else 1
        row = KillRow(self.halt.halt_id, step, market, attempt, outcome, detail, at)
        self.rows.append(row)
        try:
            with self.ports.store.write() as tx:
                tx.append([row])
        except TradingError as error:
            logger.critical("not written down: %s %s: %s", row.label, outcome, error)

    async def block(self) -> str:
        """Raise the halt; from here on every gate refuses entries."""
        with self.ports.store.write() as tx:
            tx.append([self.halt])
        return blocked_line(self.halt)

    async def cancel(self, group: MarketGroup) -> str:
        """Cancel our entries that the broker's book shows open."""
        ports = self.ports
        session = newest_session(group, ports.clock.now())
        with ports.store.read() as reader:
            orders = reader.live_orders(group, session.date)
        working = await open_in_book(ports.broker, group, working_entries(orders))
        if working:
            self._check_blackout()
        failed = await cancel_each(
            ports.broker, ports.store, ports.lock, working, clock=ports.clock
        )
        if failed:
            raise StepFailed(f"{len(failed)} of {len(working)} cancels: {_listed(failed)}")
        return f"{len(working)} cancels asked for"

    async def refresh(self, group: MarketGroup) -> str:
        """Make the books agree with the broker; entries that only now come to light go too."""
        failure = ""
        for pause in (0.0, *self.pauses):
            await asyncio.sleep(pause)
            try:
                books = await self._books(group)
                failure = _still_open(books)
                if not failure:
                    return f"{len(books.account.holdings)} holdings"
                await self.cancel(group)
            except TradingError as error:
                failure = str(error)
        raise StepFailed(failure)

    async def reduce(self, group: MarketGroup) -> str:
        """Sell everything held, in as many rounds as there are tries."""
        accepted = 0
        stuck: dict[str, str] = {}
        for pause in (0.0, *self.pauses):
            await asyncio.sleep(pause)
            try:
                sold, stuck = await self._sell_all(group)
                accepted += sold
            except TradingError as error:
                stuck = {group.value: str(error)}
            if not stuck:
                return f"{accepted} sales accepted"
        raise StepFailed(f"{accepted} sales accepted; not sold: {_listed(stuck)}")

    async def _sell_all(self, group: MarketGroup) -> tuple[int, dict[str, str]]:
        """One round: how many sales the broker accepted, and what could not be sold."""
        ports = self.ports
        if not newest_session(group, ports.clock.now()).contains(ports.clock.now()):
            raise StepFailed("the exchange is shut; run it again when it is open")
        self._check_blackout()
        books = await self._books(group)
        blocked = stops_everything(books.halts)
        if blocked is not None:
            raise StepFailed(f"{blocked.halt_id} forbids sales too; lift it first")
        if books.unknown:
            raise StepFailed("the fate of an order is unknown; nothing else is sent until it is")
        sold = await sell_held(
            books,
            ports.broker,
            ports.market_data,
            ports.store,
            ports.lock,
            ports.policy,
            because=f"kill switch: {self.halt.reason}",
            at=ports.clock.now(),
        )
        return sold.accepted, dict(sold.stuck)

    def _check_blackout(self) -> None:
        windows, at = self.ports.policy.blackouts, self.ports.clock.now()
        until = blackout_until(windows, at)
        if until is not None:
            self.again_at = until
            raise StepFailed(f"{blackout_words(windows, at)}; tried again then")

    async def snapshot(self) -> str:
        """A verified copy of the state."""
        at = self.ports.clock.now()
        return backup.back_up(self.ports.store, self.ports.archive, at=at).path

    async def notify(self) -> str:
        """Tell a person how it went."""
        attempt = sum(row.step is KillStep.NOTIFY for row in self.before) + 1
        note = Notification(
            notification_id=f"{self.halt.halt_id}-{attempt}",
            at=self.ports.clock.now(),
            kind="kill",
            level="critical",
            text=f"{self.report().line()}. Why: {self.halt.reason}. "
            f"Lift it with: {operate.resume_command(self.halt)}",
            delivered=False,
        )
        notifier = self.ports.notifier
        delivered = await notifier.send(note)
        with self.ports.store.write() as tx:
            tx.append([replace(note, delivered=delivered, channels=notifier.channels)])
        if not delivered:
            raise StepFailed("the message was not delivered")
        return "told"

    async def _books(self, group: MarketGroup) -> Books:
        now = self.ports.clock.now()
        session = newest_session(group, now)
        return await reconcile(
            self.ports.broker,
            self.ports.store,
            group=group,
            session=session.date,
            at=now,
            session_over=now >= session.close_at,
        )


def blocked_line(halt: Halt) -> str:
    """What the first step has done, in words."""
    return f"{halt.scope} is {halt.level}"


def _still_open(books: Books) -> str:
    """What keeps the books from being settled; empty when nothing does."""
    if books.unknown:
        return "the fate of an order is unknown"
    working = [record.intent.instrument.symbol for record in working_entries(books.orders)]
    return f"entries still work: {', '.join(working)}" if working else ""


def _listed(reasons: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({why})" for name, why in sorted(reasons.items()))


def newest_session(group: MarketGroup, at: datetime) -> Session:
    """Today's session in the exchange's zone, or the last one before a day without."""
    today = local_date(group, at)
    return session_on(group, today) or previous_session(group, today)
