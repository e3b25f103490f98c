"""Start a twin: tapes, accounts with cash on them, and the server in front."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from trading_core.errors import ConfigError
from trading_core.model.market import Currency, Instrument, MarketGroup
from trading_core.rules.calendar import (
    next_session,
    require_session,
    session_on,
    sessions_between,
)
from trading_core.rules.markets import currency_of
from trading_core.twin.server import TwinOptions, run_forever
from trading_core.twin.state import Event, StateFile
from trading_core.twin.state_replay import RecordedExchange, fingerprint, replay
from trading_core.twin.tape import Tape, load_tape
from trading_core.twin.venue import AccountSpec

DEFAULT_CAPITAL = {
    Currency.KRW: Decimal(50_000_000),
    Currency.USD: Decimal(50_000),
    Currency.JPY: Decimal(5_000_000),
    Currency.HKD: Decimal(400_000),
    Currency.CNY: Decimal(350_000),
    Currency.VND: Decimal(1_000_000_000),
}
LEAD = timedelta(minutes=45)
FURTHEST_SESSIONS = 60
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class TwinPlan:
    """What a twin plays and for whom.

    Args:
        groups: The markets on stage, each with an exchange of its own behind one server.
        session: Its date, the same for all of them.
        accounts: With their cash; each is known at every market.
        data: Parquet files of real bars; without any the seeded synthetic market is played.
        lead: How long before the open the clock starts.
        state: File that keeps everything across restarts.
    """

    groups: tuple[MarketGroup, ...]
    session: date
    accounts: tuple[AccountSpec, ...]
    data: tuple[Path, ...] = ()
    seed: int = 0
    lead: timedelta = LEAD
    state: Path | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """A twin that listens: its address and what it plays now, which a state file may have moved on.

    ``restored`` counts the effects the state file brought back.
    """

    url: str
    tapes: tuple[Tape, ...]
    now: datetime
    restored: int = 0


def default_cash(groups: Sequence[MarketGroup]) -> dict[Currency, Decimal]:
    """What an account starts with when nobody says otherwise, in each market's currency."""
    return {currency_of(group): DEFAULT_CAPITAL[currency_of(group)] for group in groups}


def make_tape(
    plan: TwinPlan, group: MarketGroup, session: date, *, after: Tape | None = None
) -> Tape:
    """The prices of one market's session; a synthetic one goes on where ``after`` closed.

    Raises:
        NotASession, DataError: as ``load_tape``.
        ConfigError: the synthetic market is asked to go on too far ahead.
    """
    if plan.data:
        return load_tape(plan.data, group=group, session=session, seed=plan.seed)
    from trading_core.twin.synthetic import synthetic_tape

    if after is None:
        return synthetic_tape(group, session, seed=plan.seed)
    require_session(group, session)
    # The sessions in between are made as well, so that the history has no gap.
    days = sessions_between(group, after.session + timedelta(days=1), session)
    if len(days) > FURTHEST_SESSIONS:
        raise ConfigError(
            f"{session} is {len(days)} sessions ahead; go on by {FURTHEST_SESSIONS} at most"
        )
    count = len(after.instruments)
    for day in days:
        after = synthetic_tape(group, day.date, symbols=count, seed=plan.seed, after=after)
    return after


@dataclass(slots=True)
class Stage:
    """The exchanges of a plan, on one clock."""

    plan: TwinPlan
    exchanges: list[RecordedExchange] = field(default_factory=list)

    @classmethod
    def build(cls, plan: TwinPlan, sessions: Mapping[MarketGroup, date] | None = None) -> Stage:
        """Every market on the plan's session, the clock before the first open.

        ``sessions`` names the past one of a market that is shut on the plan's day.

        Raises:
            NotASession, DataError: there is no such session, or no prices of it.
        """
        days = sessions or dict.fromkeys(plan.groups, plan.session)
        tapes = [make_tape(plan, group, days[group]) for group in plan.groups]
        opens = [tape.hours.open_at for tape in tapes if tape.session == plan.session]
        begin = min(opens) - plan.lead
        accounts = list(plan.accounts)
        return cls(plan, [RecordedExchange(tape, accounts, at=begin) for tape in tapes])

    @property
    def now(self) -> datetime:
        return max(exchange.now for exchange in self.exchanges)

    def begin_session(self, day: date | None) -> None:
        """Go on with the session of a date, or with the next one of any market.

        The present sessions are played to their close first. A market that is shut that day stays
        where it is. The clock stands as long before the first open as it did on the first day.

        Raises:
            ConfigError: the date is not later than the session played last.
            NotASession, DataError: no market is open then, or there are no prices of it.
        """
        played = max(exchange.tape.session for exchange in self.exchanges)
        if day is None:
            day = min(next_session(exchange.group, played).date for exchange in self.exchanges)
        if day <= played:
            raise ConfigError(f"{day} is not later than the session of {played}")
        going = [e for e in self.exchanges if session_on(e.group, day) is not None]
        if not going:
            require_session(self.exchanges[0].group, day)
        tapes = [make_tape(self.plan, e.group, day, after=e.tape) for e in going]
        closed = max(self.now, *(exchange.tape.hours.close_at for exchange in self.exchanges))
        begin = min(tape.hours.open_at for tape in tapes) - self.plan.lead
        # Later than anything that was, so that nothing known of a moment belongs to two sessions.
        begin = max(begin, closed + _TICK)
        if begin >= min(tape.hours.close_at for tape in tapes):
            raise ConfigError(f"the clock stands at {closed.isoformat()}, after that session")
        for exchange in self.exchanges:
            exchange.advance_to(closed)
        for exchange, tape in zip(going, tapes, strict=True):
            exchange.start_session(tape, at=begin)
        for exchange in self.exchanges:
            exchange.advance_to(begin)

    def replay_session(self, group: str, day: date, at: datetime) -> None:
        """Put one market on the tape of a date, as it was before."""
        exchange = next(e for e in self.exchanges if e.group == group)
        tape = make_tape(self.plan, exchange.group, day, after=exchange.tape)
        exchange.start_session(tape, at=at)

    def identity(self) -> dict[str, Any]:
        """What a state file of this stage belongs to."""
        return {
            "market": ",".join(self.plan.groups),
            "session": self.plan.session.isoformat(),
            "seed": self.plan.seed,
            "prices": "files" if self.plan.data else "synthetic",
            "price data": [fingerprint(exchange.tape) for exchange in self.exchanges],
            "first clock": self.now.isoformat(),
            "accounts": {
                spec.account_no: {unit.value: str(cash) for unit, cash in spec.cash.items()}
                for spec in self.plan.accounts
            },
        }


def run_twin(
    plan: TwinPlan,
    *,
    on_listening: Callable[[Opening], None],
    host: str = "127.0.0.1",
    port: int = 0,
    allow_remote: bool = False,
    options: TwinOptions | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        on_listening: Called once, when requests are answered.
        port: 0 takes any free one.
        options: How the server behaves; its clock stands still when not given.

    Raises:
        NotASession, DataError, ConfigError: the plan or the state file is not usable.
        OSError: the port is taken.
    """
    serve_stage(
        Stage.build(plan),
        on_listening=on_listening,
        host=host,
        port=port,
        allow_remote=allow_remote,
        options=options,
    )


def serve_stage(
    stage: Stage,
    *,
    on_listening: Callable[[Opening], None],
    host: str = "127.0.0.1",
    port: int = 0,
    allow_remote: bool = False,
    options: TwinOptions | None = None,
) -> None:
    """As :func:`run_twin`, with exchanges that are built already and have done nothing yet."""
    journal, restored, others = None, 0, list[Event]()
    if stage.plan.state is not None:
        journal = StateFile(stage.plan.state, stage.identity())
        restored, others = replay(journal, stage.exchanges, stage.replay_session)

    def ready(url: str) -> None:
        tapes = tuple(exchange.tape for exchange in stage.exchanges)
        on_listening(Opening(url, tapes, stage.now, restored))

    chosen: TwinOptions = {**(options or {}), "begin_session": stage.begin_session}
    if journal is not None:
        chosen |= {"record": journal.append, "recorded": others, "on_close": journal.close}
    run_forever(
        stage.exchanges,
        on_listening=ready,
        host=host,
        port=port,
        allow_remote=allow_remote,
        **chosen,
    )


def data_notes(tapes: Sequence[Tape]) -> Mapping[str, int]:
    """What was dropped or repaired in the price files of all tapes, by reason."""
    notes: Counter[str] = Counter()
    for tape in tapes:
        notes.update(tape.report)
    return dict(notes)


def busiest(tapes: Sequence[Tape], count: int) -> list[Instrument]:
    """The symbols with the largest turnover in their last closed session, largest first.

    The markets take turns. Of the session that is played nothing is looked at.
    """
    ranked = [_by_turnover(tape) for tape in tapes]
    longest = max(len(one) for one in ranked)
    turns = [one[place] for place in range(longest) for one in ranked if place < len(one)]
    return turns[:count]


def _by_turnover(tape: Tape) -> list[Instrument]:
    turnover = []
    for row, instrument in enumerate(tape.instruments):
        first, end = int(tape.history.offsets[row]), int(tape.history.offsets[row + 1])
        last = end - 1
        value = tape.history.close[last] * tape.history.volume[last] if end > first else 0.0
        turnover.append((-float(value), instrument.symbol, instrument))
    return [instrument for _, _, instrument in sorted(turnover)]
