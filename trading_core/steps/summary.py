"""A session in one object: what ``demo --json`` and ``status`` print."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from trading_core.model.decision import DecisionCycle
from trading_core.model.language import REUSED
from trading_core.model.market import MarketGroup
from trading_core.model.order import OrderRecord, OrderState
from trading_core.model.playbook import LintNote
from trading_core.model.portfolio import Account
from trading_core.ports import Store, StoreReader
from trading_core.rules.markets import currency_of
from trading_core.rules.position_book import KrwPnl, won_rate
from trading_core.rules.positions import fold_positions
from trading_core.rules.scorecard import session_krw, session_pnl
from trading_core.rules.trading_state import paused_deployments, strictest, trading_state
from trading_core.steps import operate

Json = dict[str, Any]

# A cancelled or expired order that had fills before counts under what was filled of it too.
_COUNTED = {
    OrderState.PARTIALLY_FILLED: "partially_filled",
    OrderState.CANCELLED: "cancelled",
    OrderState.EXPIRED: "cancelled",
    OrderState.REJECTED: "rejected",
    OrderState.REFUSED: "refused",
    OrderState.UNKNOWN: "unknown",
    OrderState.SENDING: "unknown",
    OrderState.NOT_SENT: "not_sent",
    OrderState.FILLED: "filled",
}


NEWEST = 10
"""Differences of a session that a summary names."""


def overview(store: Store, groups: Sequence[MarketGroup]) -> Json:
    """Whether each market may trade, every standing halt and what lifts it, and the newest
    session of each, in plain JSON values."""
    with store.read() as reader:
        halts = reader.open_halts()
        paused = paused_deployments(reader.deployment_switches())
        newest = {group: reader.newest_session(group) for group in groups}
    states = {
        group: trading_state(halts, group=group, currency=currency_of(group)) for group in groups
    }
    return {
        "state": strictest(states.values()).value,
        "states": {group.value: state.value for group, state in states.items()},
        "halts": [
            plain(asdict(halt)) | {"lift_with": operate.resume_command(halt)} for halt in halts
        ],
        "paused_deployments": [switch.name for switch in paused],
        "markets": [
            summarize(store, group=group, session=day, account=None)
            for group, day in newest.items()
            if day is not None
        ],
        "nothing_yet": [group.value for group, day in newest.items() if day is None],
    }


def summarize(store: Store, *, group: MarketGroup, session: date, account: Account | None) -> Json:
    """Everything of one session, in plain JSON values; money as decimal strings.

    Args:
        account: The broker's view now, for the prices of open positions; without it the last
            observed prices are used.
    """
    with store.read() as reader:
        return _summarize(reader, group, session, account)


def _summarize(
    reader: StoreReader, group: MarketGroup, session: date, account: Account | None
) -> Json:
    playbook = reader.playbook(group, session)
    orders = reader.orders(group, session)
    fills = reader.fills(group, session)
    curve = reader.equity_curve(group, session)
    won = session_krw(curve)
    rates = {point.currency: won_rate(point.currency, point.krw_rate) for point in curve}
    counts = reader.counts(group, session)
    calls = reader.llm_calls(group, session)
    cycles = reader.decision_cycles(group, session)
    card = reader.scorecard(group, session)
    backups = reader.backups()
    return {
        "market": group.value,
        "session": session.isoformat(),
        "playbook": {
            "source": playbook.source.value if playbook else None,
            "outlook": playbook.outlook.value if playbook else None,
            "stocks": len(playbook.stocks) if playbook else 0,
            "scenarios": playbook.scenario_count if playbook else 0,
            "dropped": _noted(playbook.notes, "dropped") if playbook else 0,
            "reviewed": _noted(playbook.notes, "reviewed") if playbook else 0,
            "fallback_reason": playbook.fallback_reason if playbook else "",
        },
        "realtime": _cycles(cycles),
        "ticks": counts["ticks"],
        "observations": counts["observations"],
        "matches": counts["matches"],
        "orders": count_orders(orders),
        "refusals": dict(
            Counter(r.events[-1].code for r in orders if r.state is OrderState.REFUSED)
        ),
        "fills": len(fills),
        "pnl": {
            currency.value: {
                "gross": _text(pnl.gross),
                "fees": _text(pnl.fees),
                "tax": _text(pnl.taxes),
                "net": _text(pnl.net),
                "krw_rate": _known(rates.get(currency)),
                **_in_won(won.get(currency)),
            }
            for currency, pnl in session_pnl(curve, fills).items()
        },
        "positions": _positions(reader, group, session, account),
        "equity": {
            point.currency.value: {"start": _text(curve[0].equity), "end": _text(point.equity)}
            for point in curve[-1:]
        },
        "halts": standing(reader),
        "differences": [
            plain(asdict(item)) for item in reader.differences(group, session)[-NEWEST:]
        ],
        "llm": {
            "calls": sum(call.outcome != REUSED for call in calls),
            "tokens": sum(call.input_tokens + call.output_tokens for call in calls),
            "cost": _text(sum((call.cost_usd for call in calls), Decimal(0))),
        },
        "scorecard": plain(asdict(card)) if card else None,
        "backup": {"path": backups[0].path, "verified": backups[0].verified} if backups else None,
        "decisions_digest": digest(reader, group, session),
    }


def _cycles(cycles: Sequence[DecisionCycle]) -> Json | None:
    """The rounds of asking a model during the session; None where there was none."""
    if not cycles:
        return None
    last = cycles[-1]
    return {
        "cycles": len(cycles),
        "asked": sum(cycle.asked for cycle in cycles),
        "reused": sum(cycle.reused for cycle in cycles),
        "failed": sum(cycle.failed for cycle in cycles),
        "decided_by": last.decided_by.value,
        "reason": last.reason,
        "at": last.at.isoformat(),
    }


def standing(reader: StoreReader) -> list[Json]:
    """The halts that stand now."""
    return [plain(asdict(halt)) for halt in reader.open_halts()]


def count_orders(orders: Sequence[OrderRecord]) -> dict[str, int]:
    """Orders by what became of them. ``intended`` are all that were wanted, ``accepted`` all that
    the broker took; the rest says where each stands in the end."""
    counted = dict.fromkeys(("intended", "accepted", *dict.fromkeys(_COUNTED.values())), 0)
    for record in orders:
        counted["intended"] += 1
        counted["accepted"] += any(item.state is OrderState.ACCEPTED for item in record.events)
        if record.state in _COUNTED:
            counted[_COUNTED[record.state]] += 1
    return counted


def digest(reader: StoreReader, group: MarketGroup, session: date) -> str:
    """A hash over every decision, order event and fill of a session, in a fixed order."""
    rows: list[Any] = [plain(asdict(d)) for d in reader.decisions(group, session)]
    rows += [plain(asdict(record)) for record in reader.orders(group, session)]
    rows += [plain(asdict(fill)) for fill in reader.fills(group, session)]
    lines = sorted(json.dumps(row, sort_keys=True, ensure_ascii=False) for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def plain(value: Any) -> Any:
    """Dates, decimals, enums and tuples as JSON values; money as strings, never as floats."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Decimal):
        return _text(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, str):
        return str(value)
    return value


def _text(value: Decimal) -> str:
    return f"{value.normalize():f}" if value else "0"


def _noted(notes: tuple[LintNote, ...], kind: str) -> int:
    return sum(note.kind == kind for note in notes)


def _positions(
    reader: StoreReader, group: MarketGroup, session: date, account: Account | None
) -> list[Json]:
    rows = []
    book = fold_positions(reader.fills(group), reader.adopted_lots(group), reader.splits(group))
    if account is not None:
        prices = {h.instrument.symbol: h.last_price for h in account.holdings}
        told = account.krw_rate
    else:
        seen = reader.last_prices(group, session)
        prices = {symbol: Decimal(str(price)) for symbol, price in seen.items()}
        told = next((p.krw_rate for p in reversed(reader.equity_curve(group, session))), None)
    for line in book.open_lines:
        position = line.position
        last = prices.get(position.instrument.symbol)
        rate = won_rate(position.currency, told)
        gain = None if last is None else (last - position.average_price) * position.quantity
        rows.append(
            {
                "symbol": position.instrument.symbol,
                "quantity": position.quantity,
                "average_price": _text(position.average_price),
                "last_price": _known(last),
                "unrealized": _known(gain),
                "origin": position.origin.value,
                "currency": position.currency.value,
                "realized": _text(position.realized),
                "fees": _text(position.fees),
                "taxes": _text(position.taxes),
                "krw_rate": _known(rate),
                "entry_krw_rate": _known(line.entry_rate),
                **_in_won(line.realized_krw, "realized_"),
                **_in_won(None if last is None else line.unrealized_krw(last, rate), "unrealized_"),
                "lots": [plain(asdict(lot)) for lot in line.lots],
            }
        )
    return rows


def _known(value: Decimal | None) -> str | None:
    return None if value is None else _text(value)


def _in_won(profit: KrwPnl | None, prefix: str = "") -> Json:
    """Profit in won after costs, by its source; ``total`` is the sum of the two."""
    return {
        f"{prefix}strategy_krw": None if profit is None else _text(profit.strategy),
        f"{prefix}fx_krw": None if profit is None else _text(profit.fx),
        f"{prefix}total_krw": None if profit is None else _text(profit.total),
    }
