"""What must hold between store and broker after every reconciliation, each a named sentence.

Every invariant is a pure function of one :class:`Evidence`. It answers the differences it sees,
repaired ones too, each with an id made from what it is about. Nothing is asked that takes longer
than a pass over one session's orders and fills, because every tick asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from trading_core.model.difference import Difference, DifferenceKind, Severity
from trading_core.model.journal import Halt, HaltKind
from trading_core.rules import order_invariants
from trading_core.rules.cash_moves import cash_moves
from trading_core.rules.chase import has_no_balance
from trading_core.rules.evidence import Evidence, is_ghost

_K = DifferenceKind


@dataclass(frozen=True, slots=True)
class Invariant:
    """One sentence that holds, and how to see where it does not.

    One that ``halts`` cannot be explained or repaired where it is broken: entries stop until a
    person has looked.
    """

    kind: DifferenceKind
    says: str
    broken: Callable[[Evidence], Iterable[Difference]]
    halts: bool = False


def violations(evidence: Evidence) -> tuple[Difference, ...]:
    """Everything that does not hold, less what was reported before."""
    known = {difference.difference_id for difference in evidence.reported}
    return tuple(
        difference
        for invariant in INVARIANTS
        for difference in invariant.broken(evidence)
        if difference.difference_id not in known
    )


def halting_kinds() -> dict[DifferenceKind, str]:
    """The kinds of difference over which entries stop, and the sentence each is against."""
    return {invariant.kind: invariant.says for invariant in INVARIANTS if invariant.halts}


def halts_over(differences: Iterable[Difference]) -> list[Halt]:
    """A halt of the market for each difference that only a person can explain."""
    says = halting_kinds()
    return [
        Halt(
            halt_id=f"{HaltKind.INVARIANT}-{item.difference_id}",
            kind=HaltKind.INVARIANT,
            scope=item.market,
            reason=f"{item.subject}: {item.found}, expected {item.expected}; {says[item.kind]}",
            raised_at=item.at,
        )
        for item in differences
        if item.kind in says
    ]


def _shares_differ(evidence: Evidence) -> Iterator[Difference]:
    return _lots(evidence, _K.SHARES_DIFFER)


def _ghosts(evidence: Evidence) -> Iterator[Difference]:
    return _lots(evidence, _K.GHOST)


def _lots(evidence: Evidence, kind: DifferenceKind) -> Iterator[Difference]:
    for lot in evidence.lots:
        symbol = lot.instrument.symbol
        ghost = lot.quantity < 0 and is_ghost(symbol, evidence.orders, evidence.session)
        if ghost is not (kind is _K.GHOST):
            continue
        holding = evidence.account.holding(symbol)
        there = holding.quantity if holding else 0
        yield evidence.difference(
            kind,
            lot.lot_id,
            subject=symbol,
            expected=f"{there - lot.quantity} shares",
            found=f"{there} ({lot.note})",
            repaired_by=lot.lot_id,
            amount=Decimal(lot.quantity),
        )


def _split(evidence: Evidence) -> Iterator[Difference]:
    for split in evidence.splits:
        by = f"{split.numerator} for {split.denominator}"
        yield evidence.difference(
            _K.SPLIT,
            split.split_id,
            subject=split.instrument.symbol,
            expected="shares as before",
            found=f"{split.added:+d} shares by a split of {by} that cost nothing",
            severity=Severity.INFO,
            repaired_by=split.split_id,
            amount=Decimal(split.added),
        )


def _uncovered(evidence: Evidence) -> Iterator[Difference]:
    if not evidence.uncovered:
        return
    mine = {fill.fill_id for fill in evidence.fills}
    for sale in evidence.uncovered:
        if sale.closing_id in mine:
            yield evidence.difference(
                _K.UNCOVERED_SALE,
                sale.closing_id,
                subject=sale.instrument.symbol,
                expected="shares in our books",
                found=f"{sale.quantity} more sold than they held",
                amount=Decimal(sale.quantity),
            )


def _cash_moved(evidence: Evidence) -> Iterator[Difference]:
    if any(record.state.is_working for record in evidence.orders):
        # What fills between the two questions to the broker is in the cash before it is a fill.
        return
    reported = [item for item in evidence.reported if item.kind is _K.CASH_MOVED]
    moves = cash_moves(
        evidence.curve,
        evidence.fills,
        evidence.foreign,
        at=evidence.at,
        explained=sum((item.amount or Decimal(0) for item in reported), Decimal(0)),
    )
    if moves is None:
        return
    currency = evidence.account.currency
    yield evidence.difference(
        _K.CASH_MOVED,
        f"{currency} {len(reported)}",
        subject=currency.value,
        expected=f"{moves.expected:f}, within {moves.tolerance:f}",
        found=f"{moves.found:f}, by no trade",
        amount=moves.unexplained,
    )


def _nothing_to_sell(evidence: Evidence) -> Iterator[Difference]:
    for holding in evidence.account.holdings:
        symbol = holding.instrument.symbol
        if not is_ghost(symbol, evidence.orders, evidence.session):
            continue
        mine = [r for r in evidence.orders if r.intent.session == evidence.session]
        if has_no_balance(holding, mine, evidence.held_then):
            yield evidence.difference(
                _K.NOTHING_TO_SELL,
                f"{symbol} {holding.quantity} {holding.sellable}",
                subject=symbol,
                expected=f"{holding.sellable} of {holding.quantity} shares to sell",
                found="the broker refused the sale, it has none",
            )


INVARIANTS: tuple[Invariant, ...] = (
    Invariant(
        _K.STRAY_FILL,
        "every fill belongs to an order of ours, of the same instrument and side",
        order_invariants.stray_fills,
        halts=True,
    ),
    Invariant(
        _K.OVERFILLED,
        "no order has more filled than it was for",
        order_invariants.overfilled,
        halts=True,
    ),
    Invariant(
        _K.SHARED_NUMBER,
        "no two orders claim one number of the broker in a session",
        order_invariants.shared_numbers,
        halts=True,
    ),
    Invariant(
        _K.FILLS_DIFFER,
        "the fills of an order that is over add up to what the broker says was filled of it",
        order_invariants.fills_differ,
    ),
    Invariant(
        _K.SHARES_DIFFER,
        "the shares at the broker are those of our fills and adopted lots",
        _shares_differ,
    ),
    Invariant(
        _K.GHOST, "what the broker has nothing of to sell is not in our books either", _ghosts
    ),
    Invariant(_K.UNCOVERED_SALE, "no sale takes more shares than our books held", _uncovered),
    Invariant(
        _K.CASH_MOVED,
        "cash moves by what is bought and sold and by what that costs, and by nothing else",
        _cash_moved,
    ),
    Invariant(_K.NO_STATE, "no order is without a known state for long", order_invariants.no_state),
    Invariant(
        _K.ANSWER_LOST, "every order that was sent has an answer", order_invariants.answers_lost
    ),
    Invariant(
        _K.NOT_IN_BOOK,
        "every order that works is in the broker's book",
        order_invariants.not_in_book,
    ),
    Invariant(
        _K.FOREIGN_ORDER,
        "every order in the broker's book is one of ours",
        order_invariants.foreign_orders,
    ),
    Invariant(_K.SPLIT, "a share of today is the share that was bought", _split),
    Invariant(_K.NOTHING_TO_SELL, "what the broker shows as sellable it sells", _nothing_to_sell),
)
"""In the order they are looked at; those that halt come first."""
