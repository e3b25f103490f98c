"""The risk gate. Nothing reaches a broker that did not pass through :func:`check`.

Two promises have their home here. The **breaker**: once the day's loss of a currency passes the
limit, a :class:`Halt` is returned, is stored by the caller and stands until a person lifts it.
The **fat finger**: no entry uses more than the allowed share of the cash that is left. Orders that
reduce risk are never held back by either; only a halt of the level HALTED, which nobody but a
person raises, holds them back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache

from trading_core.errors import CurrencyMismatch
from trading_core.model.journal import Halt, HaltKind
from trading_core.model.limits import GuardLimits, RiskLimits
from trading_core.model.market import Market
from trading_core.model.order import ApprovedOrder, OrderIntent, Refusal, RefusalCode, Side
from trading_core.model.portfolio import Account
from trading_core.model.price import Quote
from trading_core.rules.costs import trade_costs
from trading_core.rules.guards import Wish
from trading_core.rules.guards import refuse as promised
from trading_core.rules.trade_history import TradeHistory
from trading_core.rules.trading_state import ALL as ALL
from trading_core.rules.trading_state import breaker_floor_pct, stops_everything
from trading_core.rules.trading_state import halts_for as halts_for


@dataclass(frozen=True, slots=True)
class RiskState:
    """What the gate knows at one moment of one tick.

    ``promised`` is the cash of entries already approved in this tick, fees included. ``working``
    holds (symbol, side) of orders that may still fill, ``history`` what the guards ask (without it
    no entry passes), ``unknown`` whether any order of the account has an unknown fate.
    ``accepted_pnl_pct`` is the day's P&L at which a person lifted this session's breaker.
    ``bought`` are the shares each entry of the session bought, by its intent. ``blackout`` says
    until when the broker takes no orders, empty while it does.
    """

    account: Account
    session_open_equity: Decimal | None
    halts: tuple[Halt, ...] = ()
    promised: Decimal = Decimal(0)
    working: frozenset[tuple[str, Side]] = frozenset()
    history: TradeHistory = field(default_factory=TradeHistory)
    unknown: bool = False
    no_entries: str = ""
    accepted_pnl_pct: Decimal | None = None
    bought: Mapping[str, int] = field(default_factory=dict)
    blackout: str = ""

    @property
    def available(self) -> Decimal:
        return self.account.orderable - self.promised

    def after(self, order: ApprovedOrder) -> RiskState:
        """The state the next order of the same tick is checked against."""
        intent = order.intent
        spent = _cash_needed(intent) if intent.side is Side.BUY else Decimal(0)
        return replace(
            self,
            promised=self.promised + spent,
            working=self.working | {(intent.instrument.symbol, intent.side)},
            history=self.history.after(intent, order.approved_at),
        )


def _cash_needed(intent: OrderIntent) -> Decimal:
    instrument, notional = intent.instrument, intent.notional
    return notional + _costs(
        instrument.market, intent.side, notional, intent.session, intent.quantity,
        instrument.is_fund,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _costs(
    market: Market, side: Side, notional: Decimal, session: date, quantity: int, etf: bool
) -> Decimal:
    # An entry is asked for its costs when it is checked, and once more when it is approved.
    return trade_costs(market, side, notional, session, quantity=quantity, etf=etf).total


def day_pnl_pct(purchase_total: Decimal, total_eval: Decimal) -> Decimal | None:
    """``(total_eval - purchase_total) / purchase_total x 100``; None when there is no base.

    ``purchase_total`` is the currency's equity at the session's start, ``total_eval`` its equity
    now, both in the same currency.
    """
    if purchase_total <= 0:
        return None
    return (total_eval - purchase_total) / purchase_total * 100


def breaker(state: RiskState, limits: RiskLimits, *, session: date, at: datetime) -> Halt | None:
    """The halt of a day that lost more than allowed; None while the loss is within it.

    A loss of exactly ``max_loss_pct`` still trades. A halt already standing is not raised again,
    nor is one that a person lifted, until the loss has grown (``breaker_floor_pct``).
    """
    if state.session_open_equity is None:
        return None
    pnl = day_pnl_pct(state.session_open_equity, state.account.equity)
    floor = breaker_floor_pct(limits, state.accepted_pnl_pct)
    if pnl is None or pnl >= floor:
        return None
    currency = state.account.currency
    if any(halt.kind is HaltKind.BREAKER and halt.scope == currency for halt in state.halts):
        return None
    bound = f"-{limits.max_loss_pct} %"
    if state.accepted_pnl_pct is not None:
        bound = f"{floor:.2f} %, the room left when {state.accepted_pnl_pct:.2f} % was accepted"
    return Halt(
        halt_id=f"breaker-{currency}-{session.isoformat()}-{at:%H%M%S}",
        kind=HaltKind.BREAKER,
        scope=currency.value,
        reason=f"{currency} day P&L {pnl:.2f} % is below {bound}",
        raised_at=at,
    )


def too_unsure(confidence: int, limits: RiskLimits) -> str:
    """Why a decision with this confidence (0-100) is HOLD; empty when it may be acted on."""
    if confidence < limits.confidence_threshold:
        return f"confidence {confidence} is below {limits.confidence_threshold}"
    return ""


def check(
    intent: OrderIntent,
    state: RiskState,
    limits: RiskLimits,
    *,
    confidence: int,
    lot: int,
    at: datetime,
    quote: Quote | None = None,
    guards: GuardLimits | None = None,
) -> ApprovedOrder | Refusal | Halt:
    """Approve an intent, refuse it with a coded reason, or stop trading.

    Args:
        intent: What is wanted; its currency must be the account's.
        state: From this tick; use ``state.after(order)`` for the next intent.
        limits: Never looser than 3.0 and 30.0.
        confidence: The decision's, 0-100; below the threshold an entry is refused.
        lot: Shares per lot; an entry must be a whole number of lots.
        at: Now, aware UTC.
        quote: What the decision stood on; an entry without one is refused.
        guards: The standing ones when left out.

    Raises:
        CurrencyMismatch: the intent is not in the account's currency.
    """
    if intent.currency is not state.account.currency:
        raise CurrencyMismatch(
            f"an order in {intent.currency} cannot use an account in {state.account.currency}"
        )
    if state.unknown:
        return _refuse(
            intent,
            RefusalCode.UNKNOWN_ORDER,
            "an order's fate is unknown; nothing else is sent",
            at,
        )
    stopped = stops_everything(state.halts)
    if stopped is not None:
        return _refuse(intent, RefusalCode.HALTED, f"nothing is sent: {stopped.reason}", at)
    if state.blackout:
        return _refuse(intent, RefusalCode.BLACKOUT, state.blackout, at)
    symbol = intent.instrument.symbol
    if (symbol, intent.side) in state.working:
        return _refuse(intent, RefusalCode.ALREADY_WORKING, f"a {intent.side} order is working", at)
    if not all(
        price is None or (price.is_finite() and price > 0)
        for price in (intent.decided_price, intent.limit_price)
    ):
        return _refuse(intent, RefusalCode.NO_PRICE, "no usable price", at)
    standing, left = guards or GuardLimits(), state.available
    if intent.side is Side.SELL:
        wish = Wish(intent, quote, state.history, standing, left, at)
        return promised(wish) or _check_exit(intent, state, at)
    if intent.quantity <= 0:
        return _refuse(intent, RefusalCode.BELOW_LOT, "not even one lot fits the allocation", at)
    halt = breaker(state, limits, session=intent.session, at=at)
    if halt is not None:
        return halt
    wish = Wish(intent, quote, state.history, standing, left - _cash_needed(intent), at)
    return _check_entry(wish, state, limits, confidence=confidence, lot=lot)


def _check_exit(intent: OrderIntent, state: RiskState, at: datetime) -> ApprovedOrder | Refusal:
    holding = state.account.holding(intent.instrument.symbol)
    if holding is None or holding.sellable <= 0:
        return _refuse(intent, RefusalCode.NOT_HELD, "the broker shows nothing to sell", at)
    if intent.quantity <= 0:
        return _refuse(intent, RefusalCode.BELOW_LOT, "no shares to sell", at)
    if intent.quantity > holding.sellable:
        intent = replace(intent, quantity=holding.sellable)
    return ApprovedOrder(intent, at)


def _check_entry(
    wish: Wish, state: RiskState, limits: RiskLimits, *, confidence: int, lot: int
) -> ApprovedOrder | Refusal:
    intent, at = wish.intent, wish.at
    available = state.available
    if state.halts:
        return _refuse(intent, RefusalCode.HALTED, state.halts[0].reason, at)
    if state.no_entries:
        return _refuse(intent, RefusalCode.NO_ENTRIES, state.no_entries, at)
    if state.session_open_equity is None or state.session_open_equity <= 0:
        return _refuse(
            intent, RefusalCode.CASH_UNKNOWN, "no equity at the session's start to measure from", at
        )
    unsure = too_unsure(confidence, limits)
    if unsure:
        return _refuse(intent, RefusalCode.CONFIDENCE, unsure, at)
    held = state.account.holding(intent.instrument.symbol)
    # A chase goes on with a position that its own order began.
    if held is not None and held.quantity > state.bought.get(intent.chases, 0):
        return _refuse(intent, RefusalCode.ALREADY_HELD, f"{held.quantity} shares are held", at)
    if intent.quantity % lot:
        return _refuse(intent, RefusalCode.BELOW_LOT, f"not a whole number of lots of {lot}", at)
    if available <= 0:
        return _refuse(intent, RefusalCode.NO_CASH, f"no cash left ({available})", at)
    if intent.notional * 100 > available * Decimal(str(limits.max_order_pct)):
        share = intent.notional / available * 100
        return _refuse(
            intent,
            RefusalCode.FAT_FINGER,
            f"{share:.2f} % of available cash, more than {limits.max_order_pct} %",
            at,
        )
    return promised(wish) or ApprovedOrder(intent, at)


def _refuse(intent: OrderIntent, code: RefusalCode, detail: str, at: datetime) -> Refusal:
    return Refusal(intent, code, detail, at)
