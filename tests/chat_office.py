"""A store with a day of two markets in it, and an office whose commands can be asked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.record_factories import (
    APPLE,
    AT,
    MINUTE,
    make_backup,
    make_decision,
    make_equity,
    make_fill,
    make_intent,
    make_match,
    make_observation,
    make_order_life,
    make_playbook,
    make_protection,
    make_scorecard,
)
from tests.trading_fakes import POLICY
from trading_core.adapters.duck.store import DuckStore
from trading_core.clock import FixedClock
from trading_core.model.chat import Answer, Asked
from trading_core.model.market import Currency, Instrument, Market, MarketGroup
from trading_core.model.order import OrderState, Side
from trading_core.ports import Store
from trading_core.steps.close import Closed
from trading_core.steps.commands import answering
from trading_core.steps.commands.office import Machine, Office

S = OrderState
NOW = AT + timedelta(hours=1)  # 11:00 in Seoul, an open session; New York is shut
WICKED = Instrument("000660", Market.KR, "<b>& Söhne</b> `*_[")
"""A name that would break a message that does not escape it."""


def fill_store(store: Store) -> None:
    """KR: 10 of 005930 bought, 5 of 000660 accepted, one refused; US: a day that lost."""
    bought = (S.INTENDED, S.SENDING, S.ACCEPTED, S.FILLED)
    records: list[Any] = [
        make_playbook(),
        make_decision(),
        make_intent(),
        *make_order_life(*bought),
        make_fill(),
        make_decision(decision_id="decision-2", instrument=WICKED),
        make_intent(
            intent_id="intent-2",
            decision_id="decision-2",
            instrument=WICKED,
            quantity=5,
            created_at=AT + 20 * MINUTE,
        ),
        *make_order_life(
            S.INTENDED,
            S.SENDING,
            S.ACCEPTED,
            intent_id="intent-2",
            order_no="0000117058",
            at=AT + 20 * MINUTE,
        ),
        make_match(kind="first", at=AT),
        make_match(symbol="000660", scenario_id="000660#0", distance=0.016),
        make_equity(),
        make_equity(at=AT + 59 * MINUTE, equity=Decimal(10_042_000), cash=Decimal(9_295_000)),
        make_protection(stop_loss_pct=-3.0, take_profit_pct=6.0),
        make_backup(at=AT - timedelta(hours=3)),
        make_scorecard(),
        make_equity(market="US", currency=Currency.USD, equity=Decimal("1000.00"), cash=Decimal(9)),
        make_equity(
            market="US",
            currency=Currency.USD,
            equity=Decimal("987.66"),
            cash=Decimal(9),
            at=AT + MINUTE,
        ),
        make_playbook(market="US", stocks=()),
        make_decision(decision_id="decision-3", market="US", instrument=APPLE),
        make_intent(
            intent_id="intent-3",
            decision_id="decision-3",
            instrument=APPLE,
            side=Side.BUY,
            currency=Currency.USD,
            limit_price=Decimal("190.5"),
            quantity=2,
        ),
    ]
    records += [
        make_observation(at=AT + n * MINUTE, values={"price": 70_000.0 + 25 * n})
        for n in range(0, 60, 5)
    ]
    with store.write() as tx:
        tx.append(records)


@dataclass
class Chat:
    """An office, and everything that was asked of what lies outside of it."""

    store: Store
    clock: FixedClock
    office: Office = field(init=False)
    closes: list[tuple[Collection[str] | None, str]] = field(default_factory=list)
    closed: Closed = field(default_factory=Closed)
    told: list[datetime] = field(default_factory=list)
    next_id: int = 100

    def __post_init__(self) -> None:
        async def now() -> datetime:
            return self.clock.now()

        async def close(symbols: Collection[str] | None, because: str) -> Closed:
            self.closes.append((symbols, because))
            return self.closed

        async def halts_changed(at: datetime) -> None:
            self.told.append(at)

        async def dashboard() -> bool:
            return False

        self.office = Office(
            store=self.store,
            groups=(MarketGroup.KR, MarketGroup.US),
            policy=POLICY,
            clock=self.clock,
            market_now=now,
            close=close,
            halts_changed=halts_changed,
            account="twin account ****00-01",
            dashboard_url="http://127.0.0.1:8080",
            dashboard_answers=dashboard,
            machine=lambda: Machine(3_000_000, 50 * 1024**3),
        )

    def asked(self, line: str, *, tapped: bool = False, message: int = 0, **more: Any) -> Asked:
        words = line.removeprefix("/").split()
        self.next_id += 1
        values: dict[str, Any] = {
            "name": words[0],
            "arguments": tuple(words[1:]),
            "message_id": f"telegram-{message or self.next_id}",
            "actor": "telegram:42",
            "at": self.clock.now(),
            "typed_at": self.clock.now(),
            "tapped": tapped,
        }
        return Asked(**(values | more))

    async def ask(self, line: str, **more: Any) -> Answer:
        return await answering.answer(self.office, self.asked(line, **more))

    async def tap(self, answer: Answer, label: str, **more: Any) -> Answer:
        """Press the first button whose label holds ``label``."""
        buttons = [button for row in answer.buttons for button in row]
        command = next(b.command for b in buttons if label in b.label)
        return await self.ask(command, tapped=True, **more)


def open_chat(store: Store | None = None, *, filled: bool = True) -> Chat:
    store = store or DuckStore(":memory:")
    if filled:
        fill_store(store)
    return Chat(store, FixedClock(NOW))


def text_of(answer: Answer) -> str:
    return "\n".join([answer.title, *answer.lines])
