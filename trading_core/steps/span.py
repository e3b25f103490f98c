"""Several sessions in one object: what ``demo --until`` prints after the last of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import Any

from trading_core.model.audit import DecisionFilter
from trading_core.model.journal import ContextLayer
from trading_core.model.market import MarketGroup
from trading_core.model.portfolio import PositionOrigin
from trading_core.ports import Store, StoreReader
from trading_core.rules.day_review import calibration_of
from trading_core.rules.positions import fold_positions
from trading_core.steps.summary import Json, plain, standing

SHOWN_LAYERS = (ContextLayer.L3, ContextLayer.L4, ContextLayer.L5)
_MONEY = ("gross", "fees", "tax", "net")


def summarize_span(store: Store, *, group: MarketGroup, sessions: Sequence[Json]) -> Json:
    """Sums over sessions, with closed trades, memory and calibration, in plain JSON values.

    A session's P&L begins with its first reading of the equity, so what prices did to holdings
    between a close and the next open belongs to none: ``overnight`` is the equity's whole change
    less the sessions' net P&L.

    Args:
        sessions: What ``summarize`` said of each, oldest first; at least one.
    """
    first, last = (date.fromisoformat(sessions[at]["session"]) for at in (0, -1))
    with store.read() as reader:
        return {
            "market": group.value,
            "first": first.isoformat(),
            "last": last.isoformat(),
            "sessions": len(sessions),
            "playbooks": dict(Counter(s["playbook"]["source"] or "none" for s in sessions)),
            "fallbacks": {
                s["session"]: s["playbook"]["fallback_reason"]
                for s in sessions
                if s["playbook"]["fallback_reason"]
            },
            **{name: sum(s[name] for s in sessions) for name in ("ticks", "matches", "fills")},
            "orders": _added(s["orders"] for s in sessions),
            "refusals": _added(s["refusals"] for s in sessions),
            "money": _money(sessions),
            "closed": _closed(reader, group, first, last),
            "positions": sessions[-1]["positions"],
            "halts": standing(reader),
            "llm": {
                "calls": sum(s["llm"]["calls"] for s in sessions),
                "tokens": sum(s["llm"]["tokens"] for s in sessions),
                "cost": _text(sum((Decimal(s["llm"]["cost"]) for s in sessions), Decimal(0))),
            },
            "memory": _memory(reader, group),
            "calibration": _calibration(reader, group, first, last),
        }


def _added(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(total)


def _money(sessions: Sequence[Json]) -> Json:
    """By currency: the sessions' P&L, the equity at both ends, and what happened in between."""
    found: Json = {}
    for code in sessions[-1]["equity"]:
        rows = [s["pnl"][code] for s in sessions if code in s["pnl"]]
        sums = {name: sum((Decimal(row[name]) for row in rows), Decimal(0)) for name in _MONEY}
        start = Decimal(next(s["equity"][code]["start"] for s in sessions if code in s["equity"]))
        end = Decimal(sessions[-1]["equity"][code]["end"])
        found[code] = {
            **{name: _text(amount) for name, amount in sums.items()},
            "overnight": _text(end - start - sums["net"]),
            "equity_start": _text(start),
            "equity_end": _text(end),
            "change_pct": round(float((end / start - 1) * 100), 4) if start else None,
        }
    return found


def _closed(reader: StoreReader, group: MarketGroup, first: date, last: date) -> Json:
    """The strategy's closed trades; profit by currency is after costs."""
    book = fold_positions(reader.fills(group), reader.adopted_lots(group), reader.splits(group))
    trades = [
        t for t in book.closed if first <= t.session <= last and t.origin is PositionOrigin.STRATEGY
    ]
    net: dict[str, Decimal] = {}
    for trade in trades:
        net[trade.currency.value] = net.get(trade.currency.value, Decimal(0)) + trade.net
    won = sum(trade.net > 0 for trade in trades)
    return {
        "trades": len(trades),
        "won": won,
        "win_rate_pct": round(won / len(trades) * 100, 2) if trades else None,
        "net": {code: _text(amount) for code, amount in net.items()},
    }


def _memory(reader: StoreReader, group: MarketGroup) -> Json:
    """How many entries each layer holds of this market, and the daily to monthly ones."""
    layers: dict[ContextLayer, list[Any]] = {
        layer: list(reader.context_history(layer, market=group.value)) for layer in ContextLayer
    }
    return {
        "entries": {layer.value: len(entries) for layer, entries in layers.items()},
        **{layer.value: [plain(asdict(e)) for e in layers[layer]] for layer in SHOWN_LAYERS},
    }


def _calibration(reader: StoreReader, group: MarketGroup, first: date, last: date) -> Json:
    wanted = DecisionFilter(market=group.value, since=first, until=last, action="BUY", settled=True)
    return calibration_of(reader.decision_log(wanted)).summary()


def _text(value: Decimal) -> str:
    return f"{value.normalize():f}" if value else "0"
