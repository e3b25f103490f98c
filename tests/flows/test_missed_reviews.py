"""A session that nobody reviewed is reviewed by the next run, once, and holds nothing up."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from flows.review import _review_missed
from tasks.closing import score_day
from tests.trading_fakes import KR, POLICY, Floor, MakeFloor, busy, when
from tests.unit.twin.handmade_tape import CLOSE, SESSION, minute
from trading_core.errors import StoreBusy
from trading_core.model.journal import ContextLayer

MORNING = CLOSE + timedelta(hours=16)
"""Before the next session opens: the account still shows the close."""
NEXT_DAY = CLOSE + timedelta(hours=20)


class Stands:
    """A clock nobody waits for."""

    async def sleep_until(self, at: Any) -> None:
        return


def runtime_of(desk: Floor) -> Any:
    return SimpleNamespace(
        broker=desk.broker,
        market_data=desk.broker,
        store=desk.store,
        notifier=desk.notifier,
        policy=POLICY,
        language_model=None,
        clock=Stands(),
        shadows=(),
    )


@pytest.fixture
async def desk(tmp_path: Any) -> Floor:
    """A was bought and the process died before the review; its last order still rests."""
    rows = {"A": busy(*[10_000] * 6)}
    desk = MakeFloor(tmp_path)(rows, {"A": [when("price <= 10000")]})
    for n in (2, 3):
        await desk.tick(minute(n))
    return desk


async def test_a_missed_session_is_settled_scored_and_told_before_the_next_one_opens(desk):
    desk.venue.advance_to(MORNING)
    said = await _review_missed(runtime_of(desk), KR, MORNING)
    assert said == f"; reviewed late: {SESSION}"
    with desk.store.read() as reader:
        card = reader.scorecard(KR, SESSION)
        kept = {entry.key for entry in reader.context(ContextLayer.L6)}
        assert reader.equity_curve(KR, SESSION)[-1].at == MORNING
    assert card is not None and card.details["reviewed_late_on"] == "2025-09-04"
    assert {"scorecard_KR", "calibration_KR", "coverage_KR", "lessons_KR"} <= kept
    assert desk.notifier.kinds().count("review") == 1
    assert await _review_missed(runtime_of(desk), KR, MORNING) == ""


async def test_after_the_next_open_it_is_scored_from_the_store_alone(desk):
    desk.venue.advance_to(NEXT_DAY)
    with desk.store.read() as reader:
        before = reader.equity_curve(KR, SESSION)
    assert str(SESSION) in await _review_missed(runtime_of(desk), KR, NEXT_DAY)
    with desk.store.read() as reader:
        assert reader.equity_curve(KR, SESSION) == before
        card = reader.scorecard(KR, SESSION)
    assert card is not None and card.details["movers"] is None


async def test_one_that_fails_is_left_for_the_next_run(desk, monkeypatch):
    async def busy_store(*_: Any) -> None:
        raise StoreBusy("somebody else")

    desk.venue.advance_to(NEXT_DAY)
    monkeypatch.setattr("flows.review.score_day", busy_store)
    assert await _review_missed(runtime_of(desk), KR, NEXT_DAY) == ""
    monkeypatch.setattr("flows.review.score_day", score_day)
    assert str(SESSION) in await _review_missed(runtime_of(desk), KR, NEXT_DAY)
