"""Start a twin: a tape, an account with cash on it, and the server in front."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from trading_core.model.market import Currency, Instrument, MarketGroup
from trading_core.rules.markets import currency_of
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.server import run_forever
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


@dataclass(frozen=True, slots=True)
class TwinPlan:
    """What a twin plays and for whom.

    ``data`` are parquet files of real bars; without any the seeded synthetic market is played.
    ``capital`` is in the group's currency. ``lead`` is how long before the open its clock starts.
    """

    group: MarketGroup
    session: date
    account_no: str
    data: tuple[Path, ...] = ()
    capital: Decimal | None = None
    seed: int = 0
    lead: timedelta = timedelta(minutes=45)

    @property
    def cash(self) -> Decimal:
        return self.capital or DEFAULT_CAPITAL[currency_of(self.group)]


def make_tape(plan: TwinPlan) -> Tape:
    """The prices of the plan's session.

    Raises:
        NotASession, DataError: as ``load_tape``.
    """
    if plan.data:
        return load_tape(plan.data, group=plan.group, session=plan.session, seed=plan.seed)
    from trading_core.twin.synthetic import synthetic_tape

    return synthetic_tape(plan.group, plan.session, seed=plan.seed)


def make_exchange(plan: TwinPlan, tape: Tape) -> SimulatedExchange:
    """An exchange that plays the tape, with one account."""
    account = AccountSpec(plan.account_no, {currency_of(plan.group): plan.cash})
    return SimulatedExchange(tape, [account], at=tape.hours.open_at - plan.lead)


def run_twin(
    plan: TwinPlan,
    *,
    on_listening: Callable[[str, Tape, datetime], None],
    port: int = 0,
    speed: float | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        on_listening: Called once with the address, the tape and the clock's first reading.
        port: 0 takes any free one.
        speed: Venue seconds per second; None stands still until ``POST /twin/clock``.
    """
    tape = make_tape(plan)
    exchange = make_exchange(plan, tape)

    def ready(url: str) -> None:
        on_listening(url, tape, exchange.now)

    if speed is None:
        run_forever(exchange, on_listening=ready, port=port, clock="stepped")
    else:
        run_forever(exchange, on_listening=ready, port=port, clock="running", speed=speed)


def busiest(tape: Tape, count: int) -> list[Instrument]:
    """The symbols with the largest turnover in their last closed session, largest first.

    Of the session that is played nothing is looked at.
    """
    turnover = []
    for row, instrument in enumerate(tape.instruments):
        first, end = int(tape.history.offsets[row]), int(tape.history.offsets[row + 1])
        last = end - 1
        value = tape.history.close[last] * tape.history.volume[last] if end > first else 0.0
        turnover.append((-float(value), instrument.symbol, instrument))
    return [instrument for _, _, instrument in sorted(turnover)[:count]]
