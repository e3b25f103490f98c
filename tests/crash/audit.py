"""After a schedule: what the exchange knows to be true against what the store believes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from trading_core.adapters.duck.store import DuckStore
from trading_core.model.journal import HaltKind
from trading_core.model.market import MarketGroup
from trading_core.model.order import Fill, OrderRecord, OrderState, Side
from trading_core.rules.positions import fold_positions

KR = MarketGroup.KR
Truth = Mapping[str, Any]


@dataclass
class Findings:
    """The counts of one schedule; ``violations`` are sentences a person can follow."""

    intents: int = 0
    orders: int = 0
    fills: int = 0
    ticks: int = 0
    duplicates: int = 0
    lost_fills: int = 0
    unknown_left: int = 0
    unprotected_ticks: int = 0
    halts: int = 0
    violations: list[str] = field(default_factory=list)


def audit(
    home: Path, truth: Truth, *, day: date, delivered_twice: int, capital: Decimal
) -> Findings:
    """Compare the twin's book with the store.

    Args:
        truth: ``GET /twin/book``.
        delivered_twice: How many orders the network handed over twice, on the twin's purpose;
            the second copies are orders nobody sent.
        capital: The account's cash when the schedule began, in won.
    """
    with DuckStore(home / "trades.db").read() as reader:
        records = list(reader.orders(KR, day))
        fills = list(reader.fills(KR, day))
        lots = list(reader.adopted_lots(KR))
        curve = list(reader.equity_curve(KR, day))
        halts = list(reader.halts())
    guards = _guards(home)
    found = Findings(intents=len(records), fills=len(fills), ticks=len(curve), halts=len(halts))
    sent = {row["order_no"]: row for row in truth["orders"] if row["kind"] == "new"}
    found.orders = len(sent)
    _orders(found, records, sent, delivered_twice)
    _fills(found, records, fills, sent)
    _positions(found, fold_positions(fills, lots).open_positions, truth["accounts"][0])
    if not lots:
        _cash(found, fills, truth["accounts"][0], capital)
    # Where nobody can tell two orders apart everything stands still until a person has answered.
    asked = {
        record.intent.instrument.symbol: halt.raised_at
        for halt in halts
        for record in records
        if halt.kind is HaltKind.UNKNOWN_ORDER and record.intent.intent_id in halt.reason
    }
    _protection(found, truth["fills"], guards, [point.at for point in curve], asked)
    return found


def _orders(
    found: Findings,
    records: Iterable[OrderRecord],
    sent: Mapping[int, Mapping[str, Any]],
    delivered_twice: int,
) -> None:
    claims = Counter(int(record.order_no) for record in records if record.order_no)
    for number, count in claims.items():
        if count > 1:
            found.violations.append(f"order {number} is claimed by {count} intents")
        if number not in sent:
            found.violations.append(f"order {number} is not in the exchange's book")
    nobodys = sorted(set(sent) - set(claims))
    found.duplicates = max(0, len(nobodys) - delivered_twice)
    if found.duplicates:
        what = ", ".join(
            f"{n} {sent[n]['side']} {sent[n]['instrument']['symbol']}" for n in nobodys
        )
        found.violations.append(f"orders that no intent knows of: {what}")
    for record in records:
        if record.state in (OrderState.SENDING, OrderState.UNKNOWN):
            found.unknown_left += 1
            found.violations.append(f"{record.intent.intent_id} is still {record.state}")
        elif not record.state.is_final:
            found.violations.append(f"{record.intent.intent_id} is {record.state} after the close")
        states = [event.state for event in record.events]
        if states.count(OrderState.SENDING) > 1:
            found.violations.append(f"{record.intent.intent_id} was sent more than once")
        row = sent.get(int(record.order_no or 0))
        intent = record.intent
        if row is not None and (
            (row["instrument"]["symbol"], row["side"], row["quantity"])
            != (intent.instrument.symbol, intent.side.value, intent.quantity)
        ):
            found.violations.append(f"order {record.order_no} is not what {intent.intent_id} wants")


def _fills(
    found: Findings,
    records: Iterable[OrderRecord],
    fills: Iterable[Fill],
    sent: Mapping[int, Mapping[str, Any]],
) -> None:
    booked: defaultdict[str, tuple[int, Decimal]] = defaultdict(lambda: (0, Decimal(0)))
    for fill in fills:
        quantity, amount = booked[fill.intent_id]
        booked[fill.intent_id] = quantity + fill.quantity, amount + fill.amount
    owners = {record.intent.intent_id for record in records}
    for stray in set(booked) - owners:
        found.violations.append(f"a fill belongs to the unknown intent {stray}")
    for record in records:
        row = sent.get(int(record.order_no or 0))
        true = (row["filled_quantity"], Decimal(row["filled_amount"])) if row else (0, Decimal(0))
        ours = booked[record.intent.intent_id]
        if true != ours:
            found.lost_fills += abs(true[0] - ours[0])
            found.violations.append(
                f"{record.intent.instrument.symbol} {record.intent.side} {record.order_no}: filled "
                f"{true[0]} for {true[1]}, booked {ours[0]} for {ours[1]}"
            )


def _positions(found: Findings, positions: Iterable[Any], account: Mapping[str, Any]) -> None:
    ours: Counter[str] = Counter()
    for position in positions:
        ours[position.instrument.symbol] += position.quantity
    true = {
        row["instrument"]["symbol"]: row["quantity"]
        for row in account["holdings"]
        if row["quantity"]
    }
    if dict(+ours) != true:
        found.violations.append(f"positions differ: held {true}, booked {dict(ours)}")


def _cash(
    found: Findings, fills: Iterable[Fill], account: Mapping[str, Any], capital: Decimal
) -> None:
    cash = capital
    for fill in fills:
        cash += fill.amount if fill.side is Side.SELL else -fill.amount
        cash -= fill.fee + fill.tax
    if cash != Decimal(account["settled"]):
        found.violations.append(f"cash differs: {account['settled']} there, {cash} by our fills")


def _protection(
    found: Findings,
    true_fills: Iterable[Mapping[str, Any]],
    guards: Mapping[str, list[datetime]],
    looks: Iterable[datetime],
    asked: Mapping[str, datetime],
) -> None:
    """Every look at the account must leave all that was held by then guarded.

    ``asked`` are symbols a person was asked about, and since when.
    """
    for look in looks:
        held: Counter[str] = Counter()
        for row in true_fills:
            # What fills in the moment of a look is seen by the next one.
            if datetime.fromisoformat(row["at"]) < look:
                sign = 1 if row["side"] == Side.BUY.value else -1
                held[row["instrument"]["symbol"]] += sign * row["quantity"]
        for symbol in (s for s, quantity in held.items() if quantity > 0):
            if symbol in asked and asked[symbol] <= look:
                continue
            if not any(since <= look for since in guards.get(symbol, ())):
                found.unprotected_ticks += 1
                found.violations.append(f"{symbol} was held without a guard at {look}")


def _guards(home: Path) -> dict[str, list[datetime]]:
    import duckdb

    with duckdb.connect(str(home / "trades.db"), read_only=True) as db:
        rows = db.execute("SELECT symbol, updated_at FROM protections").fetchall()
    found: defaultdict[str, list[datetime]] = defaultdict(list)
    for symbol, at in rows:
        found[symbol].append(at)
    return found
