"""After the close: settle the day, score it, remember it."""

from __future__ import annotations

from datetime import datetime

from trading_core.model.journal import Scorecard
from trading_core.model.market import MarketGroup
from trading_core.ports import Broker, Store
from trading_core.rules.calendar import Session
from trading_core.rules.context import roll_up, session_entries
from trading_core.rules.positions import fold_positions
from trading_core.rules.scorecard import outcomes, score, session_pnl
from trading_core.steps.reconcile import Books, reconcile


async def settle_day(
    broker: Broker, store: Store, *, group: MarketGroup, session: Session, at: datetime
) -> Books:
    """Bring the books up to the close: last fills, orders that expired, the closing equity."""
    return await reconcile(
        broker,
        store,
        group=group,
        session=session.date,
        at=at,
        session_over=at >= session.close_at,
    )


def score_day(store: Store, *, group: MarketGroup, session: Session, at: datetime) -> Scorecard:
    """Score the session from what the store holds and write scorecard, outcomes and memory.

    Running it again after more fills came in replaces the memory entries and adds a newer
    scorecard; readers take the newest.
    """
    day = session.date
    with store.write() as tx:
        book = fold_positions(tx.fills(group), tx.adopted_lots(group))
        closed = [trade for trade in book.closed if trade.session == day]
        orders, curve = tx.orders(group, day), tx.equity_curve(group, day)
        counts = tx.counts(group, day)
        playbook = tx.playbook(group, day)
        card = score(
            group=group,
            session=day,
            at=at,
            decisions=tx.decisions(group, day),
            orders=orders,
            closed=closed,
            pnl=session_pnl(curve, tx.fills(group, day)),
            match_rate_pct=_rate(counts.get("first_matches", 0), counts["observations"]),
            source=playbook.source.value if playbook else "none",
        )
        history = [c for c in tx.scorecards(group, limit=400) if c.session != day]
        tx.append(
            [
                card,
                *outcomes(closed, tx.orders(group), at),
                *session_entries(card, curve, at),
                *roll_up([card, *history], session=day, at=at),
            ]
        )
    return card


def _rate(part: int, whole: int) -> float | None:
    return part / whole * 100 if whole else None
