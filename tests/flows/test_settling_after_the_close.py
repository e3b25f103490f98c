"""After the close an order of unknown fate is looked for until its fate is certain."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace

from tasks.closing import settle_day
from tests.trading_fakes import MakeFloor, busy, when
from tests.unit.twin.handmade_tape import minute
from trading_core.model.market import MarketGroup
from trading_core.model.order import OrderState


class Waiter:
    """A clock that notes until when it was asked to wait."""

    def __init__(self) -> None:
        self.waits: list[datetime] = []

    async def sleep_until(self, at: datetime) -> None:
        self.waits.append(at)


async def test_an_order_that_never_arrived_holds_nothing_up_overnight(tmp_path):
    floor = MakeFloor(tmp_path)({"A": busy(*[10_000] * 60)}, {"A": [when("price <= 10000")]})
    floor.broker.script = ["lost request"]
    await floor.tick(minute(2))
    assert floor.order().state is OrderState.UNKNOWN
    close = floor.session.close_at + timedelta(minutes=20)
    floor.venue.advance_to(close)
    clock = Waiter()
    runtime = SimpleNamespace(
        broker=floor.broker, store=floor.store, notifier=floor.notifier, clock=clock
    )

    await settle_day(runtime, MarketGroup.KR, floor.session, close)

    assert floor.order().state is OrderState.NOT_SENT
    assert clock.waits == sorted(clock.waits)


async def test_a_day_without_doubts_is_settled_at_once(tmp_path):
    floor = MakeFloor(tmp_path)({"A": busy(*[10_000] * 60)}, {"A": [when("price <= 10000")]})
    await floor.tick(minute(2))
    clock = Waiter()
    runtime = SimpleNamespace(
        broker=floor.broker, store=floor.store, notifier=floor.notifier, clock=clock
    )
    close = floor.session.close_at
    floor.venue.advance_to(close)

    await settle_day(runtime, MarketGroup.KR, floor.session, close)

    assert floor.order().state.is_final
    assert clock.waits == []
