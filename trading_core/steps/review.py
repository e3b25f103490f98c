"""After the close: settle the day, score it, remember it. A day that was missed is scored later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from trading_core.errors import BrokerError
from trading_core.model.audit import DecisionFilter, LoggedDecision
from trading_core.model.journal import DecisionOutcome, Scorecard
from trading_core.model.market import MarketGroup
from trading_core.model.order import OrderRecord
from trading_core.model.price import Ranking, RankRow
from trading_core.model.shadow import is_shadow_call
from trading_core.ports import Broker, MarketData, Store, StoreReader
from trading_core.rules.calendar import Session, local_date, next_session, session_on
from trading_core.rules.day_review import DayFacts, examine, review_entries
from trading_core.rules.positions import ClosedTrade, PositionBook, fold_positions
from trading_core.rules.scorecard import entry_of, outcomes, score, session_pnl
from trading_core.steps.reconcile import Books, reconcile

CALIBRATED_OVER = timedelta(days=30)
"""Stated confidence is held against the entries of about the last twenty sessions."""
MISSED_WITHIN = timedelta(days=14)
MOST_LESSONS = 6


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


async def ranking_after_close(
    market_data: MarketData, group: MarketGroup
) -> tuple[RankRow, ...] | None:
    """What moved most today, as the broker ranks it; None when it would not say."""
    try:
        return tuple(await market_data.ranking(group, Ranking.FLUCTUATION))
    except BrokerError:
        return None


def missed_sessions(store: Store, *, group: MarketGroup, at: datetime) -> list[Session]:
    """Sessions of the last two weeks, before today's, that nobody reviewed; oldest first."""
    today = local_date(group, at)
    return [s for s in unreviewed_sessions(store, group=group, at=at) if s.date < today]


def unreviewed_sessions(store: Store, *, group: MarketGroup, at: datetime) -> list[Session]:
    """The same with today's, whether or not it has ended."""
    today = local_date(group, at)
    with store.read() as reader:
        days = reader.unreviewed_sessions(
            group, since=today - MISSED_WITHIN, before=today + timedelta(days=1)
        )
    found = (session_on(group, day) for day in days)
    return [session for session in found if session is not None]


def can_settle(session: Session, at: datetime) -> bool:
    """Whether the account still shows this session's close: no later one has opened.

    After that its equity is another day's, and reconciliation of that day settles what was left.
    """
    return session.close_at <= at < next_session(session.group, session.date).open_at


def score_day(
    store: Store,
    *,
    group: MarketGroup,
    session: Session,
    at: datetime,
    ranked: Sequence[RankRow] | None = None,
) -> Scorecard:
    """Score the session from what the store holds and write scorecard, outcomes and L6.

    Running it again after more fills came in replaces the memory entries and adds a newer
    scorecard; readers take the newest. The other layers are ``steps.memory``'s.

    Args:
        ranked: The broker's ranking after this close, for what moved without a scenario.
    """
    day = session.date
    with store.write() as tx:
        book = fold_positions(tx.fills(group), tx.adopted_lots(group), tx.splits(group))
        closed = [trade for trade in book.closed if trade.session == day]
        every_order = tx.orders(group)
        tx.append(_outcomes(book, closed, every_order, at))
    # Looked at outside of any transaction, because it takes longer than a tick may wait.
    with store.read() as reader:
        facts = _facts(reader, session, closed, every_order, ranked)
        curve, counts = reader.equity_curve(group, day), reader.counts(group, day)
        decisions = reader.decisions(group, day)
    details, lessons = examine(facts)
    if local_date(group, at) != day:
        details["reviewed_late_on"] = local_date(group, at).isoformat()
    card = score(
        group=group,
        session=day,
        at=at,
        decisions=decisions,
        orders=facts.orders,
        closed=closed,
        pnl=session_pnl(curve, facts.fills),
        match_rate_pct=_rate(counts.get("first_matches", 0), counts["observations"]),
        source=facts.playbook.source.value if facts.playbook else "none",
    )
    lessons = [*card.lessons, *lessons][:MOST_LESSONS]
    card = replace(card, details=details, lessons=lessons)
    with store.write() as tx:
        tx.append([card, *review_entries(card)])
    return card


def _outcomes(
    book: PositionBook,
    closed: Sequence[ClosedTrade],
    orders: Sequence[OrderRecord],
    at: datetime,
) -> list[DecisionOutcome]:
    """Outcomes of the decisions that ``closed`` settles, over all that they ever closed.

    An entry that was sold in parts, on several days, is judged by all of its parts.
    """
    settled = {outcome.decision_id for outcome in outcomes(closed, orders, at)}
    return [o for o in outcomes(book.closed, orders, at) if o.decision_id in settled]


def _facts(
    tx: StoreReader,
    session: Session,
    closed: Sequence[ClosedTrade],
    every_order: Sequence[OrderRecord],
    ranked: Sequence[RankRow] | None,
) -> DayFacts:
    group, day = session.group, session.date
    opened = tuple({entry_of(trade, every_order) for trade in closed} - {""})
    return DayFacts(
        group=group,
        opened_at=session.open_at,
        playbook=tx.playbook(group, day),
        observations=tx.observations(group, day),
        closed=closed,
        orders=tx.orders(group, day),
        fills=tx.fills(group, day),
        all_orders=every_order,
        all_fills=tx.fills(group),
        guards=tx.protections(group),
        calls=[c for c in tx.llm_calls(group, day) if not is_shadow_call(c.purpose)],
        screened=tx.screened(group, day),
        entries=_settled_entries(tx, group, day),
        opened=tx.decision_log(DecisionFilter(ids=opened)),
        ranked=ranked,
    )


def _settled_entries(tx: StoreReader, group: MarketGroup, day: date) -> Sequence[LoggedDecision]:
    return tx.decision_log(
        DecisionFilter(
            market=group.value,
            since=day - CALIBRATED_OVER,
            until=day,
            action="BUY",
            settled=True,
        )
    )


def _rate(part: int, whole: int) -> float | None:
    return part / whole * 100 if whole else None
