"""The tasks after the close."""

from __future__ import annotations

from datetime import datetime

from tasks.artifacts import publish_review
from tasks.bells import tell_missed
from tasks.policy import step_task
from tasks.shadowing import compare_planners
from trading_core.model.journal import Scorecard
from trading_core.model.market import MarketGroup
from trading_core.rules.calendar import Session
from trading_core.rules.order_life import GRACE, LOOKS
from trading_core.steps import lessons, review, tell
from trading_core.wiring import Runtime


@step_task("settle the day", retries=2)
async def settle_day(runtime: Runtime, group: MarketGroup, session: Session, at: datetime) -> None:
    """Last fills, expired orders and the closing equity.

    An order of unknown fate would hold up every market of the account until this one opens again,
    so it is looked for as often as it takes to be sure that it never arrived.
    """
    await tell_missed(runtime, session, at)
    for _ in range(LOOKS + 1):
        books = await review.settle_day(
            runtime.broker, runtime.store, group=group, session=session, at=at
        )
        await tell.try_to_tell(runtime.notifier, runtime.store, tell.of_books(books))
        if not any(record.state.is_unsure for record in books.orders):
            return
        at += GRACE
        await runtime.clock.sleep_until(at)


@step_task("score the day", timeout_seconds=300)
async def score_day(
    runtime: Runtime, group: MarketGroup, session: Session, at: datetime
) -> Scorecard:
    """Scorecard, outcomes of decisions and memory; then what a model makes of it; told and shown.

    The score is stored and told before any model is asked.
    """
    ranked = None
    if review.can_settle(session, at):
        ranked = await review.ranking_after_close(runtime.market_data, group)
    card = review.score_day(runtime.store, group=group, session=session, at=at, ranked=ranked)
    await tell.try_to_tell(runtime.notifier, runtime.store, [tell.of_scorecard(card, at)])
    limit = runtime.policy.plan.timeout_seconds
    made = await lessons.lessons_by_model(runtime.language_model, card, timeout_seconds=limit)
    lessons.remember_lessons(runtime.store, card, made, at)
    await publish_review(card, made, await compare_planners(runtime, session, at))
    return card
