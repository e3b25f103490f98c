"""A twin that plays every session on its own day, in real time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from trading_core.errors import ConfigError
from trading_core.model.market import Currency, MarketGroup
from trading_core.model.order import OrderType, Side
from trading_core.rules.calendar import session_on
from trading_core.twin import launch, present
from trading_core.twin.launch import TwinPlan
from trading_core.twin.present import Present
from trading_core.twin.state import StateFile
from trading_core.twin.state_replay import replay
from trading_core.twin.synthetic import synthetic_tape
from trading_core.twin.venue import AccountSpec, NewOrder

ACCOUNT = "50000000-01"
BOTH = (MarketGroup.KR, MarketGroup.US)
SUNDAY = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def small_markets(monkeypatch: pytest.MonkeyPatch) -> None:
    def small(plan, group, session, *, after=None):
        if after is None:
            return synthetic_tape(group, session, symbols=4, seed=plan.seed)
        made.append((group, session))
        return synthetic_tape(group, session, symbols=4, seed=plan.seed, after=after)

    made.clear()
    monkeypatch.setattr(launch, "make_tape", small)


made: list[tuple[MarketGroup, date]] = []


def plan_of(groups=BOTH, state: Path | None = None) -> TwinPlan:
    cash = {Currency.KRW: Decimal(50_000_000), Currency.USD: Decimal(50_000)}
    return TwinPlan(groups, date(2000, 1, 3), (AccountSpec(ACCOUNT, cash),), state=state)


class Days:
    """A present that is moved by hand, and the twin in it."""

    def __init__(self, at: datetime, plan: TwinPlan) -> None:
        self.at = at
        self.present = Present(plan, lambda: self.at)

    def go(self, at: datetime) -> list[str]:
        """The session of every market once it is ``at``."""
        self.at = at
        moment = self.present.moment()
        for exchange in self.present.stage.exchanges:
            exchange.advance_to(moment)
        assert self.present.stage.now == at
        return [e.tape.session.isoformat() for e in self.present.stage.exchanges]


def test_between_two_sessions_the_last_one_is_over() -> None:
    days = Days(SUNDAY, plan_of())

    assert days.go(SUNDAY) == ["2026-11-20", "2026-11-20"]
    assert not any(e.state().is_open for e in days.present.stage.exchanges)


def test_each_session_begins_on_its_own_day_with_its_lead() -> None:
    days = Days(SUNDAY, plan_of())
    begins = session_on(MarketGroup.KR, date(2026, 11, 23)).open_at - launch.LEAD

    assert days.go(begins - timedelta(seconds=1))[0] == "2026-11-20"
    assert days.go(begins) == ["2026-11-23", "2026-11-23"]
    days.go(datetime(2026, 11, 23, 1, tzinfo=UTC))
    assert [e.state().is_open for e in days.present.stage.exchanges] == [True, False]
    days.go(datetime(2026, 11, 23, 15, tzinfo=UTC))
    assert [e.state().is_open for e in days.present.stage.exchanges] == [False, True]


def test_a_market_that_is_shut_stays_where_it_is() -> None:
    days = Days(datetime(2026, 11, 25, 22, tzinfo=UTC), plan_of())

    # Thanksgiving.
    assert days.go(datetime(2026, 11, 26, 15, tzinfo=UTC)) == ["2026-11-26", "2026-11-25"]
    # The last day of the year, without Korea.
    assert days.go(datetime(2026, 12, 31, 16, tzinfo=UTC)) == ["2026-12-30", "2026-12-31"]


def test_a_twin_that_is_started_on_such_a_day_knows_the_session_before() -> None:
    days = Days(datetime(2026, 12, 31, 16, tzinfo=UTC), plan_of())

    assert days.go(days.at) == ["2026-12-30", "2026-12-31"]


def test_however_long_nobody_served_it_arrives_in_the_present(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(present, "FURTHEST_SESSIONS", 5)
    days = Days(SUNDAY, plan_of((MarketGroup.KR,)))
    begun = []
    begin = launch.Stage.begin_session
    monkeypatch.setattr(
        launch.Stage, "begin_session", lambda self, day: (begun.append(day), begin(self, day))
    )

    assert days.go(datetime(2026, 12, 9, 2, tzinfo=UTC)) == ["2026-12-09"]
    assert begun == [date(2026, 11, 27), date(2026, 12, 4), date(2026, 12, 9)]


def test_holdings_and_cash_are_there_after_a_restart_days_later(tmp_path: Path) -> None:
    state = tmp_path / "KR.state"
    days = Days(SUNDAY, plan_of((MarketGroup.KR,), state))
    stage = days.present.stage
    journal = StateFile(state, stage.identity())
    replay(journal, stage.exchanges, stage.replay_session)
    days.go(datetime(2026, 11, 23, 1, tzinfo=UTC))
    [exchange] = stage.exchanges
    symbol = exchange.tape.instruments[0].symbol
    exchange.place(NewOrder(ACCOUNT, symbol, Side.BUY, OrderType.MARKET, 3, None))
    days.go(datetime(2026, 11, 23, 7, tzinfo=UTC))
    held = exchange.account(ACCOUNT, Currency.KRW)
    journal.close()

    again = Days(datetime(2026, 11, 25, 1, tzinfo=UTC), plan_of((MarketGroup.KR,), state))
    restored = again.present.stage
    journal = StateFile(state, restored.identity())
    count, _ = replay(journal, restored.exchanges, restored.replay_session)
    assert count >= 2
    assert restored.exchanges[0].tape.session == date(2026, 11, 23)
    assert again.go(again.at) == ["2026-11-25"]
    after = restored.exchanges[0].account(ACCOUNT, Currency.KRW)
    assert [(p.instrument.symbol, p.quantity) for p in after.holdings] == [(symbol, 3)]
    assert len(held.holdings) == 1
    journal.close()


def test_a_file_that_is_no_state_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "x.state"
    state.write_text("hello\n")

    with pytest.raises(ConfigError, match="not a twin's state file"):
        Present(plan_of(state=state), lambda: SUNDAY)
