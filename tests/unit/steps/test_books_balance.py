"""Whole sessions on made-up markets: the books agree with the broker to the last unit."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import pytest

from tests.trading_fakes import KR, POLICY, Died, Floor, ScriptedBroker, playbook, rule, when
from trading_core.adapters.duck.store import DuckStore
from trading_core.model.difference import DifferenceKind
from trading_core.model.market import MarketGroup
from trading_core.model.order import OrderState, Side
from trading_core.rules.markets import currency_of
from trading_core.rules.positions import fold_positions
from trading_core.steps.opening import tick_times
from trading_core.steps.review import score_day, settle_day
from trading_core.steps.summary import summarize
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.synthetic import synthetic_tape
from trading_core.twin.venue import AccountSpec

SESSION = date(2026, 11, 20)
CASH = {KR: Decimal(300_000_000), MarketGroup.US: Decimal(300_000)}
MISHAPS = ["lost reply", "lost request", "reject", "rate limit", "down", "die", "die before"]


@dataclass
class Run:
    desk: Floor
    group: MarketGroup
    by_hand: bool

    @property
    def fills(self):
        with self.desk.store.read() as reader:
            return list(reader.fills(self.group))


def scenarios(dice: random.Random, price: float):
    """An exit above, an entry near the price, and a sale below; which match is chance."""
    near = round(price * dice.uniform(0.97, 1.03), 2)
    entry = when(
        f"price <= {near}",
        confidence=dice.choice([70, 85, 95]),
        allocation=dice.uniform(1, 10),
        stop_loss_pct=-dice.uniform(0.3, 3),
        take_profit_pct=dice.uniform(0.3, 3),
    )
    leave = when(
        f"unrealized_pnl_pct > {dice.uniform(0.1, 1.0):.2f}", dice.choice(["SELL", "REDUCE"])
    )
    return dice.sample([entry, leave], 2) if dice.random() < 0.5 else [leave, entry]


async def play(group: MarketGroup, seed: int, home, *, by_hand: bool = False) -> Run:
    """A session of ticks every half an hour, with a mishap in a third of the orders."""
    dice = random.Random(seed)
    tape = synthetic_tape(group, SESSION, symbols=6, seed=seed)
    venue = SimulatedExchange(tape, [AccountSpec("1", {currency_of(group): CASH[group]})])
    prices = {
        i.symbol: float(p) for i, p in zip(tape.instruments, tape.previous_close, strict=True)
    }
    plan = {s: scenarios(dice, p) for s, p in prices.items()}
    rules = [rule("day_pnl_pct < -1.5", "REDUCE_ALL")] if dice.random() < 0.5 else []
    book = playbook(plan, *rules, session=SESSION, group=group)
    desk = Floor(venue, ScriptedBroker(venue), DuckStore(":memory:"), home, book, policy=POLICY)
    for at in tick_times(desk.session, timedelta(minutes=30)):
        desk.broker.script = [
            dice.choice(MISHAPS) if dice.random() < 0.35 else "" for _ in range(9)
        ]
        desk.broker.cancel_script = [dice.choice(["", "reject", "lost request"])]
        with suppress(Died):
            await desk.tick(at)
        if by_hand and dice.random() < 0.3:
            held = venue.account("1", currency_of(group)).holdings
            if held:
                some = dice.choice(held)
                with suppress(Exception):
                    desk.by_hand(Side.SELL, 1, None, some.instrument.symbol)
    after = desk.session.close_at + timedelta(minutes=20)
    for minutes in (0, 1, 2, 3):
        venue.advance_to(at := after + timedelta(minutes=minutes))
        await settle_day(desk.broker, desk.store, group=group, session=desk.session, at=at)
    score_day(desk.store, group=group, session=desk.session, at=at)
    return Run(desk, group, by_hand)


CASES = [(KR, 1), (KR, 3), (MarketGroup.US, 7)]
_played: dict[tuple[MarketGroup, int], Run] = {}


async def played(group: MarketGroup, seed: int, home) -> Run:
    """One run of each case for all the tests that only look at it."""
    if (group, seed) not in _played:
        _played[group, seed] = await play(group, seed, home)
    return _played[group, seed]


@pytest.mark.parametrize(("group", "seed"), CASES)
async def test_our_books_and_the_brokers_agree_to_the_last_unit(group, seed, tmp_path):
    run = await played(group, seed, tmp_path)
    desk, fills = run.desk, run.fills
    account = await desk.broker.account(group)
    assert len({fill.intent_id for fill in fills}) >= 3, "the session must have traded"

    moved = sum((f.amount if f.side is Side.SELL else -f.amount for f in fills), Decimal(0))
    costs = sum((f.fee + f.tax for f in fills), Decimal(0))
    held = sum((h.value for h in account.holdings), Decimal(0))
    assert account.equity - CASH[group] == moved + held - costs
    assert account.cash == CASH[group] + moved - costs
    assert desk.venue.balance("1").is_even

    with desk.store.read() as reader:
        assert reader.adopted_lots(group) == []
        differing = {item.kind for item in reader.differences(group, SESSION)}
        book = fold_positions(fills)
        curve = reader.equity_curve(group, SESSION)
        card = reader.scorecard(group, SESSION)
    ours = {p.instrument.symbol: p.quantity for p in book.open_positions}
    assert ours == {h.instrument.symbol: h.quantity for h in account.holdings}
    assert book.uncovered == ()
    # Half an hour between two looks is long for an order whose answer was lost.
    assert differing <= {DifferenceKind.ANSWER_LOST, DifferenceKind.NO_STATE}
    assert curve[-1].equity == account.equity
    assert card.net_pnl == {currency_of(group).value: account.equity - CASH[group]}


@pytest.mark.parametrize(("group", "seed"), CASES)
async def test_every_order_at_the_exchange_is_one_of_ours_and_every_one_of_ours_is_settled(
    group, seed, tmp_path
):
    desk = (await played(group, seed, tmp_path)).desk
    records = desk.orders()
    assert all(record.state.is_final for record in records)
    numbers = [record.order_no for record in records if record.order_no]
    at_exchange = [row for row in await desk.broker.orders(group, SESSION) if not row.original_no]
    assert sorted(numbers) == sorted(row.order_no for row in at_exchange)
    by_number = {row.order_no: row for row in at_exchange}
    for record in records:
        if record.order_no:
            row = by_number[record.order_no]
            assert record.filled_quantity == row.filled_quantity
            assert record.filled_amount == row.filled_amount
        else:
            assert record.state in (OrderState.NOT_SENT, OrderState.REFUSED, OrderState.REJECTED)
    sent = [order.intent.intent_id for order in desk.broker.submitted]
    assert len(sent) == len(set(sent)), "no order is ever sent twice"


async def test_two_identical_sessions_decide_and_trade_identically(tmp_path):
    runs = await played(KR, 3, tmp_path / "one"), await play(KR, 3, tmp_path / "two")
    answers = [summarize(run.desk.store, group=KR, session=SESSION, account=None) for run in runs]
    assert answers[0]["decisions_digest"] == answers[1]["decisions_digest"]
    assert answers[0] == answers[1]


async def test_a_hand_in_the_account_never_makes_the_quantities_differ(tmp_path):
    desk = (await play(KR, 2, tmp_path, by_hand=True)).desk
    account = await desk.broker.account(KR)
    with desk.store.read() as reader:
        lots = reader.adopted_lots(KR)
        book = fold_positions(reader.fills(KR), lots)
    assert any(lot.quantity < 0 for lot in lots)
    held = {h.instrument.symbol: h.quantity for h in account.holdings}
    ours = {p.instrument.symbol: book.quantity(p.instrument.symbol) for p in book.open_positions}
    assert ours == held
