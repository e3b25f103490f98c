"""After recent losses nothing more is bought for a while: in one symbol, or in the whole market.

Counted over closed trades, after the costs of both ends, of the last sessions before today. The
ban ends by itself once the losses are older than those sessions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from trading_core.model.limits import LossGuardLimits
from trading_core.rules.position_book import ClosedTrade


@dataclass(frozen=True, slots=True)
class LossGuard:
    """What may not be bought today, with the reason in words of our own.

    ``market`` bans every BUY and is empty when it does not. ``problem`` says why the guard knows
    nothing; then it bans nothing.
    """

    market: str = ""
    symbols: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""

    def reason(self, symbol: str) -> str:
        """Why this symbol may not be bought today; empty when it may."""
        return self.market or self.symbols.get(symbol, "")

    def among(self, symbols: Sequence[str]) -> LossGuard:
        """The same guard, as far as it is about these symbols."""
        wanted = set(symbols)
        return replace(self, symbols={s: why for s, why in self.symbols.items() if s in wanted})


def loss_guard(
    closed: Sequence[ClosedTrade], sessions: Sequence[date], limits: LossGuardLimits
) -> LossGuard:
    """The guard of one market group.

    Args:
        closed: Closed trades of the group, in one currency, of any session.
        sessions: The newest sessions before today, in order; only what closed in them counts.
    """
    recent = set(sessions[-limits.sessions :]) if limits.sessions else set()
    trades = [t for t in closed if t.session in recent and t.intent_id]
    by_symbol: dict[str, list[tuple[Decimal, Decimal]]] = defaultdict(list)
    by_session: dict[date, Decimal] = defaultdict(Decimal)
    for trades_of_exit in _by_exit(trades):
        first = trades_of_exit[0]
        net = sum((t.net for t in trades_of_exit), Decimal(0))
        cost = sum((t.cost for t in trades_of_exit), Decimal(0))
        by_symbol[first.instrument.symbol].append((net, cost))
        by_session[first.session] += net
    symbols = {
        symbol: why
        for symbol, results in by_symbol.items()
        if (why := _why_symbol(results, limits))
    }
    return LossGuard(_why_market(by_session, limits), symbols)


def _by_exit(trades: Sequence[ClosedTrade]) -> list[list[ClosedTrade]]:
    """Trades of one exit order count as one, however many fills it took."""
    exits: dict[tuple[str, str], list[ClosedTrade]] = defaultdict(list)
    for trade in trades:
        exits[trade.instrument.symbol, trade.intent_id].append(trade)
    return list(exits.values())


def _why_symbol(results: Sequence[tuple[Decimal, Decimal]], limits: LossGuardLimits) -> str:
    losses = sum(net < 0 for net, _ in results)
    if limits.losses and losses >= limits.losses:
        return f"{losses} losing trades in the last {limits.sessions} sessions"
    worst = min((float(net / cost * 100) for net, cost in results if cost > 0), default=0.0)
    if limits.loss_pct and worst <= -limits.loss_pct:
        return f"a trade lost {-worst:.1f} % in the last {limits.sessions} sessions"
    return ""


def _why_market(by_session: Mapping[date, Decimal], limits: LossGuardLimits) -> str:
    """Sessions in which nothing was closed neither add to the row nor end it."""
    if not limits.losing_sessions:
        return ""
    row = 0
    for session in sorted(by_session, reverse=True):
        if by_session[session] >= 0:
            break
        row += 1
    if row < limits.losing_sessions:
        return ""
    return f"{row} losing sessions in a row within the last {limits.sessions}"
