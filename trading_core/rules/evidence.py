"""Store and broker of one market group side by side, as the invariants look at them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from trading_core.model.difference import UNREPAIRED, Difference, DifferenceKind, Severity
from trading_core.model.journal import EquityPoint
from trading_core.model.market import MarketGroup
from trading_core.model.order import BrokerOrder, Fill, OrderRecord, OrderState, Side
from trading_core.model.portfolio import Account, AdoptedLot, Split
from trading_core.rules.chase import NO_BALANCE_CODES
from trading_core.rules.position_book import Uncovered


@dataclass(frozen=True, slots=True)
class Evidence:
    """Store and broker of one market group side by side, after all that could be was repaired.

    Args:
        at: Of this look, aware UTC.
        account: As the broker shows it.
        book: The broker's rows, of the session and of those that were left over.
        orders: All of the session, and those of any other that are not final.
        fills: Of the session, in the order they were observed.
        uncovered: Sales of any session that found no shares in our books.
        curve: The session's equity points, oldest first.
        held_then: By decision, the shares held and sellable that a sale stood on.
        lots: Adopted in this look.
        splits: Found in this look.
        late_fills: Booked in this look, of orders that were final.
        settled: Orders whose answer was lost, and that this look found or gave up.
        reported: What was written down of this session before.
    """

    group: MarketGroup
    session: date
    at: datetime
    account: Account
    book: Collection[BrokerOrder]
    orders: Collection[OrderRecord]
    fills: Sequence[Fill]
    uncovered: Sequence[Uncovered] = ()
    curve: Sequence[EquityPoint] = ()
    held_then: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    lots: Sequence[AdoptedLot] = ()
    splits: Sequence[Split] = ()
    late_fills: Sequence[Fill] = ()
    settled: Sequence[OrderRecord] = ()
    reported: Sequence[Difference] = ()

    @property
    def foreign(self) -> list[BrokerOrder]:
        """Rows of the session that no order of ours claims, nor one of unknown fate may be."""
        claimed = {r.order_no for r in self.orders if r.intent.session == self.session}
        maybe_ours = {
            (record.intent.instrument.symbol, record.intent.side)
            for record in self.orders
            if record.state.is_unsure
        }
        return [
            row
            for row in self.book
            if row.session == self.session
            and not row.original_no
            and row.order_no not in claimed
            and (row.instrument.symbol, row.side) not in maybe_ours
        ]

    def difference(
        self,
        kind: DifferenceKind,
        about: str,
        *,
        subject: str = "",
        expected: str,
        found: str,
        severity: Severity = Severity.WARNING,
        repaired_by: str = UNREPAIRED,
        amount: Decimal | None = None,
    ) -> Difference:
        """One of this look. ``about`` makes the id, and is the subject where none is named."""
        return Difference(
            difference_id=Difference.make_id(kind, self.group, self.session, about),
            kind=kind,
            market=self.group.value,
            session=self.session,
            at=self.at,
            subject=subject or about,
            expected=expected,
            found=found,
            severity=severity,
            repaired_by=repaired_by,
            amount=amount,
        )


def is_ghost(symbol: str, orders: Iterable[OrderRecord], session: date) -> bool:
    """Whether the broker answered a sale of this symbol in the session that it has no shares."""
    return any(
        record.state is OrderState.REJECTED
        and record.intent.side is Side.SELL
        and record.intent.instrument.symbol == symbol
        and record.intent.session == session
        and record.events[-1].code in NO_BALANCE_CODES
        for record in orders
    )
