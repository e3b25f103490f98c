"""Whether cash moved as the trades of a session say; what is left over is somebody's move."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from trading_core.model.journal import EquityPoint
from trading_core.model.order import BrokerOrder, Fill, Side
from trading_core.rules.costs import trade_costs

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class CashMove:
    """Amounts of one currency: the cash our trades explain, the cash there is, and how far the
    two may be apart because the costs of a trade are estimates."""

    expected: Decimal
    found: Decimal
    tolerance: Decimal

    @property
    def unexplained(self) -> Decimal:
        """Above zero for what came in: a deposit, a dividend, costs that were lower."""
        return self.found - self.expected


def cash_moves(
    curve: Sequence[EquityPoint],
    fills: Iterable[Fill],
    foreign: Iterable[BrokerOrder],
    *,
    at: datetime,
    explained: Decimal = _ZERO,
) -> CashMove | None:
    """A move of cash that no trade explains; None while there is none.

    Cash at the session's first equity point plus sales less purchases, fees and taxes since must
    be the cash of now. All that our trades are estimated to cost is the tolerance, with the
    smallest unit for every one of them, because the broker rounds and has rates of its own. The
    difference must have been there at the point before this one already: account and book are
    two questions, and what trades between them is seen by one alone.

    Args:
        curve: Equity points of the session and one currency, oldest first.
        fills: Of the session.
        foreign: The broker's rows of the session that are not ours; they move cash too, those
            from before the first point excepted, which is assumed to know of them.
        at: Now, aware UTC.
        explained: What was reported as moved before, in the session.
    """
    before = [point for point in curve if point.at < at]
    now = next((point for point in reversed(curve) if point.at == at), None)
    if now is None or len(before) < 2:
        return None
    first, last = before[0], before[-1]
    # Brokers tell the second of an order, looks the microsecond.
    opened = first.at.replace(microsecond=0)
    rows = [row for row in foreign if row.ordered_at >= opened and row.filled_quantity]
    if any(row.is_open for row in rows):
        return None
    since = [fill for fill in fills if fill.filled_at > first.at]
    costs = sum((fill.fee + fill.tax for fill in since), _ZERO)
    unit = Decimal(1).scaleb(-now.currency.exponent)
    theirs = [_of_row(row) for row in rows]
    costs += sum((cost for _, cost in theirs), _ZERO)
    tolerance = costs + unit * (1 + len(since) + len(rows))
    base = first.cash + explained + sum((moved for moved, _ in theirs), _ZERO)
    found = CashMove(base + _moved(since), now.cash, tolerance)
    if abs(found.unexplained) <= tolerance:
        return None
    earlier = base + _moved(fill for fill in since if fill.filled_at <= last.at)
    stood = last.cash - earlier
    return found if abs(stood - found.unexplained) <= tolerance else None


def _moved(fills: Iterable[Fill]) -> Decimal:
    total = _ZERO
    for fill in fills:
        total += fill.amount if fill.side is Side.SELL else -fill.amount
        total -= fill.fee + fill.tax
    return total


def _of_row(row: BrokerOrder) -> tuple[Decimal, Decimal]:
    """What an order of the broker's book moved, its estimated costs included, and those costs."""
    costs = trade_costs(
        row.instrument.market,
        row.side,
        row.filled_amount,
        row.session,
        quantity=row.filled_quantity,
        etf=row.instrument.is_fund,
    ).total
    amount = row.filled_amount if row.side is Side.SELL else -row.filled_amount
    return amount - costs, costs
