"""A small account whose cash, shares and equity add up, for tests and the benchmark of memory.

Each session of a :class:`Ledger` leaves the records that a day of trading leaves in the store.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from tests.record_factories import make_decision, make_equity, make_fill, make_intent
from trading_core.model.journal import EquityPoint
from trading_core.model.market import Currency, Instrument, MarketGroup
from trading_core.model.order import Fill, Side
from trading_core.ports import Record
from trading_core.rules.markets import currency_of

OPEN = time(1, 0)


def weekdays(first: date, count: int) -> list[date]:
    """So many weekdays from a date on."""
    days = (first + timedelta(days=n) for n in range(count * 2 + 3))
    return [day for day in days if day.weekday() < 5][:count]


@dataclass
class Ledger:
    """One market group trading in its own currency; ``records`` are what it wrote so far."""

    group: MarketGroup = MarketGroup.KR
    cash: Decimal = Decimal(10_000_000)
    prices: dict[str, Decimal] = field(default_factory=dict)
    shares: dict[str, int] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    orders: int = 0

    @property
    def currency(self) -> Currency:
        return currency_of(self.group)

    @property
    def equity(self) -> Decimal:
        held = (count * self.prices[symbol] for symbol, count in self.shares.items())
        return self.cash + sum(held, Decimal(0))

    @property
    def points(self) -> list[EquityPoint]:
        return [record for record in self.records if isinstance(record, EquityPoint)]

    @property
    def fills(self) -> list[Fill]:
        return [record for record in self.records if isinstance(record, Fill)]

    def at(self, session: date, minute: float) -> datetime:
        return datetime.combine(session, OPEN, UTC) + timedelta(minutes=minute)

    def look(self, session: date, minute: float) -> None:
        """Write down what the account is worth."""
        self.records.append(
            make_equity(
                market=self.group.value,
                session=session,
                at=self.at(session, minute),
                currency=self.currency,
                cash=self.cash,
                holdings_value=self.equity - self.cash,
                equity=self.equity,
            )
        )

    def trade(
        self,
        session: date,
        minute: float,
        side: Side,
        symbol: str,
        quantity: int,
        price: Decimal | int,
        *,
        fee: Decimal | int = 10,
        tax: Decimal | int = 0,
        confidence: int = 85,
    ) -> Fill:
        """Fill an order of a decision of its own."""
        price, at = Decimal(price), self.at(session, minute)
        self.orders += 1
        name = f"{self.group}-{self.orders}"
        instrument = Instrument(symbol, self.group.markets[0])
        fill = make_fill(
            fill_id=f"{name}-fill",
            intent_id=name,
            instrument=instrument,
            session=session,
            side=side,
            quantity=quantity,
            price=price,
            amount=price * quantity,
            fee=Decimal(fee),
            tax=Decimal(tax),
            currency=self.currency,
            filled_at=at,
        )
        decision = make_decision(
            decision_id=name,
            at=at,
            market=self.group.value,
            session=session,
            instrument=instrument,
            action=side.value,
            confidence=confidence,
            scenario_id=f"{symbol}#0",
        )
        intent = make_intent(
            intent_id=name,
            decision_id=name,
            instrument=instrument,
            session=session,
            side=side,
            quantity=quantity,
            currency=self.currency,
            created_at=at,
        )
        self.records += [decision, intent, fill]
        signed = quantity if side is Side.BUY else -quantity
        self.prices[symbol] = price
        self.shares[symbol] = self.shares.get(symbol, 0) + signed
        self.cash -= signed * price + fill.fee + fill.tax
        return fill

    def round_trip(
        self, session: date, gain: Decimal | int, *, symbol: str = "A", confidence: int = 85
    ) -> None:
        """A session that buys 10 shares at 1,000 and sells them at ``gain`` more a share."""
        self.look(session, 0)
        self.trade(session, 10, Side.BUY, symbol, 10, 1_000, confidence=confidence)
        self.look(session, 11)
        self.trade(session, 40, Side.SELL, symbol, 10, 1_000 + Decimal(gain), tax=20)
        self.look(session, 41)


def busy_ledger(
    group: MarketGroup,
    sessions: list[date],
    *,
    trades: int,
    looks: int,
    seed: int = 0,
    orders: int = 0,
) -> Ledger:
    """Sessions of random buys and sells in a few symbols whose prices wander.

    ``orders`` counts those there were before: their numbers are part of the ids.
    """
    draw = random.Random(f"{seed}{group}")
    ledger = Ledger(group, orders=orders)
    symbols = [f"{group}{n}" for n in range(8)]
    ledger.prices = {symbol: Decimal(1_000) for symbol in symbols}
    for session in sessions:
        steps = sorted([*((n * 5.0, None) for n in range(looks)), *_moments(draw, trades, looks)])
        for minute, symbol in steps:
            for name in symbols:
                moved = ledger.prices[name] * Decimal(draw.randint(-30, 31)) / 10_000
                ledger.prices[name] = max(Decimal(10), round(ledger.prices[name] + moved))
            if symbol is None:
                ledger.look(session, minute)
                continue
            held = ledger.shares.get(symbols[symbol], 0)
            side = Side.SELL if held and draw.random() < 0.5 else Side.BUY
            quantity = draw.randint(1, held) if side is Side.SELL else draw.randint(1, 20)
            ledger.trade(
                session,
                minute,
                side,
                symbols[symbol],
                quantity,
                ledger.prices[symbols[symbol]],
                tax=5 if side is Side.SELL else 0,
                confidence=draw.choice((75, 85, 95)),
            )
    return ledger


def _moments(draw: random.Random, trades: int, looks: int) -> Iterator[tuple[float, int | None]]:
    # Between two looks, the last of which sees the session's end.
    for _ in range(trades):
        yield draw.randrange(looks - 1) * 5 + 2.5, draw.randrange(8)
