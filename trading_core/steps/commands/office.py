"""What commands work with, and what all of them read of a session."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from trading_core.clock import Clock
from trading_core.errors import ConfigError, UnknownMarket
from trading_core.model.chat import Answer, Asked, Button
from trading_core.model.journal import EquityPoint, Scorecard
from trading_core.model.limits import Policy
from trading_core.model.market import Currency, MarketGroup
from trading_core.model.order import Fill, OrderRecord
from trading_core.model.playbook import Playbook
from trading_core.model.portfolio import Position, Protection
from trading_core.ports import Store, StoreReader
from trading_core.rules import risk
from trading_core.rules.markets import currency_of
from trading_core.rules.position_book import PositionBook
from trading_core.rules.positions import fold_positions
from trading_core.steps.close import Closed


@dataclass(frozen=True, slots=True)
class Machine:
    """How the machine does: bytes of the store and bytes left on its disk; None: not known."""

    store_bytes: int | None = None
    free_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Office:
    """What commands work with.

    Args:
        clock: Real time: confirmations expire by it, halts are raised at it.
        market_now: The time at the exchange, which may be a simulated one.
        close: Sells these symbols, or everything with None; the text is why.
        halts_changed: Is told once halts were raised or lifted.
        dashboard_answers: Whether somebody listens at ``dashboard_url``.
        listener_lines: How the listener does, as HTML lines.
    """

    store: Store
    groups: tuple[MarketGroup, ...]
    policy: Policy
    clock: Clock
    market_now: Callable[[], Awaitable[datetime]]
    close: Callable[[Collection[str] | None, str], Awaitable[Closed]]
    halts_changed: Callable[[datetime], Awaitable[None]]
    mode: str = "paper"
    account: str = ""
    dashboard_url: str = ""
    dashboard_answers: Callable[[], Awaitable[bool]] | None = None
    machine: Callable[[], Machine] = Machine
    listener_lines: Callable[[datetime], Sequence[str]] = field(default=lambda at: ())


@dataclass(frozen=True, slots=True)
class Call:
    """One command with what it works with; ``now`` is the time at the exchange."""

    office: Office
    asked: Asked
    now: datetime

    def group(self, position: int = 0) -> MarketGroup | None:
        """The market that was named; None when none was.

        Raises:
            ConfigError: no such market, or one that is not enabled.
        """
        if len(self.asked.arguments) <= position:
            return None
        try:
            found = MarketGroup.parse(self.asked.arguments[position])
        except UnknownMarket as error:
            raise ConfigError(str(error)) from None
        if found not in self.office.groups:
            enabled = ", ".join(self.office.groups)
            raise ConfigError(f"{found} is not enabled; the markets are {enabled}")
        return found


@dataclass(frozen=True, slots=True)
class Day:
    """What is stored of one session."""

    group: MarketGroup
    date: date
    curve: Sequence[EquityPoint]
    fills: Sequence[Fill]
    orders: Sequence[OrderRecord]
    playbook: Playbook | None
    card: Scorecard | None

    @property
    def currency(self) -> Currency:
        return currency_of(self.group)

    @property
    def pnl_pct(self) -> Decimal | None:
        """The breaker's measure: equity against that at the session's start."""
        if not self.curve:
            return None
        return risk.day_pnl_pct(self.curve[0].equity, self.curve[-1].equity)

    @property
    def change(self) -> Decimal | None:
        """Equity now less equity at the session's start: after costs."""
        return self.curve[-1].equity - self.curve[0].equity if self.curve else None


def read_day(reader: StoreReader, group: MarketGroup, day: date | None = None) -> Day | None:
    """A session, the newest one by default; None when nothing is stored of any."""
    day = day or reader.newest_session(group)
    if day is None:
        return None
    return Day(
        group,
        day,
        reader.equity_curve(group, day),
        reader.fills(group, day),
        reader.orders(group, day),
        reader.playbook(group, day),
        reader.scorecard(group, day),
    )


def book_of(reader: StoreReader, group: MarketGroup) -> PositionBook:
    return fold_positions(reader.fills(group), reader.adopted_lots(group), reader.splits(group))


@dataclass(frozen=True, slots=True)
class Held:
    """One position with its last observed price (None: no data) and its guard."""

    group: MarketGroup
    position: Position
    last: Decimal | None
    guard: Protection | None

    @property
    def gain(self) -> Decimal | None:
        """Unrealized, before costs."""
        if self.last is None:
            return None
        return (self.last - self.position.average_price) * self.position.quantity

    @property
    def gain_pct(self) -> Decimal | None:
        return _against(self.last, self.position.average_price)

    @property
    def stop(self) -> Decimal | None:
        """The hard stop as a price; what trails it may sell earlier."""
        if self.guard is None:
            return None
        return self.position.average_price * (1 + Decimal(str(self.guard.stop_loss_pct)) / 100)

    @property
    def target(self) -> Decimal | None:
        if self.guard is None or self.guard.take_profit_pct is None:
            return None
        return self.position.average_price * (1 + Decimal(str(self.guard.take_profit_pct)) / 100)

    @property
    def to_stop_pct(self) -> Decimal | None:
        """How far the price may fall until the stop, as a percentage below zero."""
        return None if self.last is None or self.stop is None else _against(self.stop, self.last)


def _against(value: Decimal | None, base: Decimal) -> Decimal | None:
    return None if value is None or base <= 0 else (value - base) / base * 100


def held_of(reader: StoreReader, group: MarketGroup) -> list[Held]:
    """What is held, as the store knows it."""
    positions = book_of(reader, group).open_positions
    if not positions:
        return []
    day = reader.newest_session(group)
    seen = reader.last_prices(group, day) if day is not None else {}
    guards = reader.protections(group, [p.instrument.symbol for p in positions])
    return [
        Held(group, position, _decimal(seen, symbol), guards.get(symbol))
        for position in positions
        for symbol in [position.instrument.symbol]
    ]


def _decimal(prices: Mapping[str, float], symbol: str) -> Decimal | None:
    found = prices.get(symbol)
    return None if found is None else Decimal(str(found))


def choose(
    title: str,
    command: str,
    choices: Collection[str],
    *,
    per_row: int = 3,
    also: Sequence[Button] = (),
) -> Answer:
    """Buttons for an argument that was left out."""
    buttons = [*(Button(choice, f"{command} {choice}") for choice in choices), *also]
    rows = [buttons[i : i + per_row] for i in range(0, len(buttons), per_row)]
    return Answer(title, buttons=rows)


def known_symbols(
    reader: StoreReader, groups: Sequence[MarketGroup], at_most: int = 12
) -> list[str]:
    """What somebody may ask about: held first, then planned."""
    found: dict[str, None] = {}
    for group in groups:
        found |= dict.fromkeys(p.instrument.symbol for p in book_of(reader, group).open_positions)
    for group in groups:
        day = reader.newest_session(group)
        playbook = reader.playbook(group, day) if day is not None else None
        found |= dict.fromkeys(playbook.symbols if playbook else ())
    return list(found)[:at_most]
