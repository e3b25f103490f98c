"""While a session is on: draft its playbook once more, at most once for each cause.

Only a language model's draft takes the place of the old playbook; whatever else comes of it, the
old one stays. A refresh is claimed in the store before it begins, so a session that is started
again does not pay for it twice.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from trading_core.model.limits import Policy
from trading_core.model.market import MarketGroup
from trading_core.model.order import IntentReason
from trading_core.model.playbook import Playbook, RefreshCause
from trading_core.ports import Broker, History, MarketData, Planner, Store, StoreReader
from trading_core.ports.sources import Sources
from trading_core.rules.calendar import Session
from trading_core.rules.markets import currency_of, zone_of
from trading_core.rules.trading_state import planning_stopped_by
from trading_core.steps.gather import Universe, gather, recall
from trading_core.steps.plan import NO_SOURCES, draft_playbook, with_outside

FROM_SHARE, TO_SHARE = 0.5, 0.9
"""Midday is this part of the trading minutes; later than that a new plan has no time to work."""
CLAIMED_FOR = timedelta(days=7)

_WHY = {
    RefreshCause.MIDDAY: "half of the session is over",
    RefreshCause.STOP: "a position of today was stopped out",
}


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The new playbook, or why there is none."""

    playbook: Playbook | None
    reason: str = ""


def claim(
    store: Store,
    causes: Collection[RefreshCause],
    *,
    group: MarketGroup,
    session: Session,
    at: datetime,
) -> RefreshCause | None:
    """The cause to refresh for now, taken so that nobody else does; None when nothing is due.

    Nothing is due while a halt stops planning.
    """
    if not session.contains(at) or session.elapsed_fraction(at) >= TO_SHARE:
        return None
    names = {cause: f"refresh-{cause}-{group}-{session.date.isoformat()}" for cause in causes}
    with store.read() as db:
        halts = db.open_halts()
        if planning_stopped_by(halts, group=group, currency=currency_of(group)):
            return None
        due = [
            cause
            for cause, name in names.items()
            if db.lease_holder(name, at=at) is None and _is_due(db, cause, group, session, at)
        ]
    if not due:
        return None
    with store.write() as tx:
        for cause in due:
            # One draft answers all that is due by now.
            claimed = tx.acquire_lease(names[cause], secrets.token_hex(8), at, CLAIMED_FOR)
            if not claimed:
                return None
    return due[0]


def _is_due(
    db: StoreReader, cause: RefreshCause, group: MarketGroup, session: Session, at: datetime
) -> bool:
    if cause is RefreshCause.MIDDAY:
        return session.elapsed_fraction(at) >= FROM_SHARE
    stopped = (r for r in db.orders(group, session.date) if r.filled_quantity > 0)
    return any(record.intent.reason is IntentReason.HARD_STOP for record in stopped)


async def refresh_session(
    store: Store,
    market_data: MarketData,
    broker: Broker,
    planner: Planner,
    *,
    group: MarketGroup,
    session: Session,
    at: datetime,
    policy: Policy,
    universe: Universe,
    history: History,
    cause: RefreshCause,
    sources: Sources = NO_SOURCES,
) -> Refreshed:
    """Ask the model again with the holdings and rankings of now; store what it says.

    Raises:
        BrokerUnavailable: the account could not be read; nothing was written.
    """
    recalled = recall(store, group, session.date)
    inputs = await gather(
        market_data,
        broker,
        recalled,
        group=group,
        session=session.date,
        at=at,
        policy=policy,
        universe=universe,
    )
    local = at.astimezone(ZoneInfo(zone_of(group)))
    remark = (
        f"now: {local:%H:%M}, the session is on and {_WHY[cause]}; this playbook takes the place "
        "of the one from before the open, for the rest of the session"
    )
    inputs = replace(inputs, facts=replace(inputs.facts, remark=remark))
    inputs = await with_outside(inputs, store, sources)
    draft, calls = await draft_playbook(
        inputs, planner, None, policy=policy, purpose=f"refresh_{cause}"
    )
    is_better = draft.source.is_model and bool(draft.stocks)
    fresh = draft.model_copy(update={"refreshed_for": cause})
    with store.write() as tx:
        tx.append([*calls, *inputs.screened, fresh] if is_better else calls)
    if not is_better:
        return Refreshed(None, draft.fallback_reason or "the model planned nothing")
    history.save(group, session.date, inputs.bars)
    return Refreshed(fresh)
