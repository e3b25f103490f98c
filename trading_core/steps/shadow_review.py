"""What each planner earned after costs, the real one too: for the review and for whoever asks."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from trading_core.errors import BrokerError
from trading_core.model.journal import ContextEntry, ContextLayer, Json
from trading_core.model.market import MarketGroup
from trading_core.model.order import Fill
from trading_core.model.portfolio import Account, AdoptedLot, Split
from trading_core.model.shadow import ShadowMark, ShadowTrade
from trading_core.ports import MarketData, Store, StoreReader
from trading_core.rules.calendar import Session
from trading_core.rules.markets import currency_of
from trading_core.rules.positions import fold_positions
from trading_core.rules.shadow import REAL, PlannerScore, score_shadow
from trading_core.rules.trading_days import TradingDay, trading_days
from trading_core.steps.plan import NO_MODEL
from trading_core.steps.review import can_settle
from trading_core.steps.shadow_books import ShadowState, account_of, mark_of, read_states

_ZERO = Decimal(0)
_ADDED = ("trades", "won", "lost")
_MONEY = ("net", "costs", "cost_usd")

logger = logging.getLogger(__name__)


async def review_shadows(
    store: Store,
    market_data: MarketData,
    planners: Sequence[str],
    *,
    session: Session,
    at: datetime,
) -> Json:
    """Value what shadows hold at the close, compare all planners, and remember it as L6.

    Raises:
        StoreBusy: the store could not be opened in time.
    """
    group, day = session.group, session.date
    with store.read() as reader:
        states = read_states(reader, planners, group, day, {})
    marks = await _closing_marks(market_data, states, session, at)
    with store.write() as tx:
        tx.append(marks)
        compared = compare(tx, group, day)
        tx.append([ContextEntry(ContextLayer.L6, day.isoformat(), f"shadow_{group}", compared, at)])
    return compared


async def _closing_marks(
    market_data: MarketData, states: Sequence[ShadowState], session: Session, at: datetime
) -> list[ShadowMark]:
    """What was held through the close, at the prices of the close, while they are still shown."""
    wanted = {s: i for state in states if state.marks for s, i in state.held.items()}
    if not wanted or not can_settle(session, at):
        return []
    try:
        quotes = await market_data.quotes(list(wanted.values()))
    except BrokerError as error:
        logger.info("shadow planners stay valued as at their last tick: %s", error)
        return []
    found = []
    for state in states:
        if state.last is None or not state.positions or not state.marks:
            continue
        point = state.last.point
        last = Account(point.currency, point.cash, point.cash, (), at, point.krw_rate)
        account = account_of(state, last, quotes, at)
        mark = mark_of(state.planner, account, session.group, session.date)
        found += [mark] if mark else []
    return found


def compare(reader: StoreReader, group: MarketGroup, session: date) -> Json:
    """All planners of a session, the real one first, in plain JSON values."""
    scores = [
        _Real.read(reader, group).score(reader, group, session),
        *_shadows(reader, group, session, reader.shadow_trades(group)),
    ]
    return _as_json(group, session, scores)


def comparison_report(
    store: Store, groups: Iterable[MarketGroup], *, at: datetime, days: int
) -> list[Json]:
    """The sessions of the last ``days`` days in which shadows planned, and their sums, by market.

    Args:
        store: Where all of it is.
        groups: Which markets.
        at: Now, aware UTC.
        days: Today and so many days before, less one.
    """
    until = at.date() + timedelta(days=1)
    since = at.date() - timedelta(days=days - 1)
    found = []
    with store.read() as reader:
        for group in groups:
            plans = reader.shadow_plans(group, since=since, until=until)
            sessions = sorted({plan.session for plan in plans})
            if not sessions:
                continue
            trades, real = reader.shadow_trades(group), _Real.read(reader, group)
            rows = []
            for day in sessions:
                shadows = _shadows(reader, group, day, trades)
                rows.append(_as_json(group, day, [real.score(reader, group, day), *shadows]))
            found.append(
                {
                    "market": group.value,
                    "currency": currency_of(group).value,
                    "first": sessions[0].isoformat(),
                    "last": sessions[-1].isoformat(),
                    "planners": _sums(rows),
                    "sessions": rows,
                }
            )
    return found


def _as_json(group: MarketGroup, session: date, scores: Iterable[PlannerScore]) -> Json:
    return {
        "session": session.isoformat(),
        "currency": currency_of(group).value,
        "planners": {score.planner: score.as_json() for score in scores},
    }


def _shadows(
    reader: StoreReader, group: MarketGroup, session: date, trades: Sequence[ShadowTrade]
) -> list[PlannerScore]:
    plans = {p.planner: p for p in reader.shadow_plans(group, since=session, until=session)}
    marks = reader.shadow_marks(group, session)
    before = reader.last_shadow_marks(group, before=session)
    splits = reader.splits(group)
    scores = []
    for name in dict.fromkeys([*plans, *(mark.planner for mark in marks)]):
        theirs = [t for t in trades if t.planner == name and t.session <= session]
        scores.append(
            score_shadow(
                name,
                session,
                plan=plans.get(name),
                trades=theirs,
                book=fold_positions([trade.fill for trade in theirs], (), splits),
                marks=[mark for mark in marks if mark.planner == name],
                before=before.get(name),
            )
        )
    return scores


@dataclass(frozen=True, slots=True)
class _Real:
    """What the real planner traded, and its sessions as memory counts them."""

    fills: Sequence[Fill]
    lots: Sequence[AdoptedLot]
    splits: Sequence[Split]
    days: Mapping[date, TradingDay]

    @classmethod
    def read(cls, reader: StoreReader, group: MarketGroup) -> _Real:
        fills, lots, splits = (
            reader.fills(group),
            reader.adopted_lots(group),
            reader.splits(group),
        )
        closed = fold_positions(fills, lots, splits).closed
        known = reader.memory_facts(group)
        days = trading_days(group, fills=fills, lots=lots, closed=closed, known=known)
        own = currency_of(group)
        return cls(fills, lots, splits, {d.session: d for d in days if d.currency is own})

    def score(self, reader: StoreReader, group: MarketGroup, session: date) -> PlannerScore:
        playbook, counts = reader.playbook(group, session), reader.counts(group, session)
        day, seen = self.days.get(session), counts["observations"]
        trades = day.trades if day else ()
        reason = playbook.fallback_reason if playbook else ""
        held = fold_positions(
            [fill for fill in self.fills if fill.session <= session],
            [lot for lot in self.lots if lot.session <= session],
            [split for split in self.splits if split.session <= session],
        ).open_positions
        return PlannerScore(
            planner=REAL,
            source=playbook.source.value if playbook else "none",
            net=day.net if day else None,
            costs=day.fees + day.taxes if day else _ZERO,
            trades=sum(record.filled_quantity > 0 for record in reader.orders(group, session)),
            won=sum(trade.net > 0 for trade in trades),
            lost=sum(trade.net < 0 for trade in trades),
            match_rate_pct=counts["first_matches"] / seen * 100 if seen else None,
            equity=day.equity.close if day and day.equity else None,
            positions=len(held),
            problem="" if reason == NO_MODEL else reason,
        )


def _sums(sessions: Sequence[Json]) -> dict[str, Json]:
    """By planner over sessions; rates from the sums, the mean of the sessions' match rates."""
    rows: dict[str, list[Json]] = {}
    for session in sessions:
        for name, score in session["planners"].items():
            rows.setdefault(name, []).append(score)
    return {name: _sum(each) for name, each in rows.items()}


def _sum(rows: Sequence[Json]) -> Json:
    total: Json = {"sessions": len(rows)}
    total |= {name: sum(row[name] for row in rows) for name in _ADDED}
    for name in _MONEY:
        known = [Decimal(row[name]) for row in rows if row[name] is not None]
        total[name] = f"{sum(known, _ZERO):f}" if known else None
    closed = total["won"] + total["lost"]
    rates = [row["match_rate_pct"] for row in rows if row["match_rate_pct"] is not None]
    return total | {
        "win_rate_pct": total["won"] / closed * 100 if closed else None,
        "match_rate_pct": sum(rates) / len(rates) if rates else None,
        **{name: rows[-1][name] for name in ("source", "equity", "positions", "problem")},
        "failed": sum(bool(row["problem"]) for row in rows),
    }
