"""One traded day in a store on disk, for the pages of the dashboard: every part of it made by the
real steps on the simulated exchange, with what only other parts write put beside it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from tests.record_factories import make_backup, make_halt, make_intent, make_order_life
from tests.trading_fakes import KR, MakeFloor, busy, playbook, when
from tests.unit.twin.handmade_tape import SESSION, minute
from trading_core.adapters.duck.store import DuckStore
from trading_core.model.journal import ContextEntry, ContextLayer
from trading_core.model.order import OrderState
from trading_core.model.playbook import GlobalAction, GlobalRule, LintNote, MarketCondition
from trading_core.rules.calendar import require_session
from trading_core.steps.review import score_day

SHADOWS = {
    "session": SESSION.isoformat(),
    "currency": "KRW",
    "planners": {
        "real": {"net": "-1200", "trades": 2, "won": 0, "lost": 1, "problem": ""},
        "rules": {"net": "3400.5", "trades": 1, "won": 1, "lost": 0, "problem": ""},
    },
}


def make_day(home: Path) -> DuckStore:
    """``home/trades.db``: A was bought and stopped out, B was nearly bought, C is held, and a halt
    stands."""
    falling = [10_000, 10_000, 10_000, 9_900, 9_500, 9_000, 9_000, 9_000, 9_000]
    rule = GlobalRule(
        condition=MarketCondition(field="day_pnl_pct", op="<", value=-2.0),
        action=GlobalAction.NO_ENTRIES,
        rationale="step back",
    )
    book = playbook(
        {
            "A": [when("price <= 10000", confidence=92)],
            "B": [when("price < 19900", confidence=88)],
            "C": [when("price > 1", confidence=95)],
        },
        rule,
    ).model_copy(
        update={
            "notes": (
                LintNote(symbol="B", scenario=1, kind="dropped", reason="stop <b>missing</b>"),
                LintNote(symbol="D", scenario=None, kind="reviewed", reason="too many losses"),
            ),
            "fallback_reason": "the model did not answer in time",
        }
    )
    desk = MakeFloor(home)(
        {"A": busy(*falling), "B": busy(*[20_000] * 9), "C": busy(*[10_100] * 9)}, book
    )
    desk.store = DuckStore(home / "trades.db")
    with desk.store.write() as tx:
        tx.append([desk.book])

    async def ticks() -> None:
        for n in range(1, 9):
            await desk.tick(minute(n))

    asyncio.run(ticks())
    session = require_session(KR, SESSION)
    after = session.close_at + timedelta(minutes=20)
    score_day(desk.store, group=KR, session=session, at=after)
    lessons = {
        "by_rules": [],
        "by_model": [{"quote": "wait *longer* for $5", "model": "a-model"}],
        "no_model_because": "",
    }
    day = SESSION.isoformat()
    with desk.store.write() as tx:
        working = make_intent(session=SESSION, intent_id="w", created_at=minute(8))
        states = (OrderState.INTENDED, OrderState.SENDING, OrderState.ACCEPTED)
        tx.append([working, *make_order_life(*states, intent_id="w", at=minute(8))])
        tx.append(
            [
                ContextEntry(ContextLayer.L6, day, "lessons_KR", lessons, after),
                ContextEntry(ContextLayer.L6, day, "shadow_KR", SHADOWS, after),
                make_halt(raised_at=minute(8)),
                make_backup(at=after),
            ]
        )
    return desk.store
