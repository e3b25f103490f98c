"""A holding that was split overnight: booked as what it is, and its guard moved along with it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal

from trading_core.model.journal import ProtectionRow
from trading_core.model.market import Instrument, MarketGroup
from trading_core.model.portfolio import Account, Split
from trading_core.ports import StoreWriter
from trading_core.rules.position_book import PositionBook
from trading_core.rules.splits import rebased, split_ratio

AFTERWARDS = timedelta(microseconds=1)
"""So much later than a split is booked what is left to be adopted, which is in new shares."""
PART_PAID_OUT = "a part of a share that a split left, paid out in cash"


def book_splits(
    tx: StoreWriter,
    shares: PositionBook,
    account: Account,
    differing: Iterable[Instrument],
    *,
    group: MarketGroup,
    session: date,
    at: datetime,
) -> list[Split]:
    """Write down the splits that explain what the broker shows of ``differing``, and the guards
    they move, in the transaction of ``tx``.

    What a split leaves over (a part of a share that was paid in cash) is still to be adopted.
    """
    splits = [
        split
        for instrument in differing
        if (split := _split_of(instrument, shares, account, session, at)) is not None
    ]
    if not splits:
        return []
    guards = tx.protections(group)
    opened = {p.instrument.symbol: p.opened_at for p in shares.open_positions}
    moved = []
    for split in splits:
        symbol = split.instrument.symbol
        guard = guards.get(symbol)
        # A guard from before the position was opened is another position's.
        if guard is not None and (guard.opened_at or guard.updated_at) >= opened[symbol]:
            moved.append(ProtectionRow(group.value, session, rebased(guard, split)))
    tx.append([*splits, *moved])
    return splits


def _split_of(
    instrument: Instrument, shares: PositionBook, account: Account, session: date, at: datetime
) -> Split | None:
    symbol = instrument.symbol
    holding = account.holding(symbol)
    lines = [line for line in shares.open_lines if line.position.instrument.symbol == symbol]
    held = sum(line.position.quantity for line in lines)
    if holding is None or not held:
        return None
    cost = sum((line.cost for line in lines), Decimal(0))
    ratio = split_ratio(
        held=held,
        average_price=cost / held,
        broker_held=holding.quantity,
        broker_average_price=holding.average_price,
    )
    if ratio is None:
        return None
    split = Split(
        split_id=f"{instrument.market.group}-{symbol}-split-{at:%Y%m%dT%H%M%SZ}",
        instrument=instrument,
        session=session,
        numerator=ratio.numerator,
        denominator=ratio.denominator,
        added=0,
        at=at,
    )
    return split.adding(line.position.quantity for line in lines)
