"""How a position is guarded: one state machine from the purchase to the last share sold.

The state only ever rises: HOLDING -> BREAK_EVEN -> TRAILING -> EXITING. A look tests the exits
first, against the levels that stood before it, and then moves the guard as far as the price
allows, over several states at once if need be. EXITING is no trap: while shares are held every
look decides anew, so an order that was rejected or cancelled is decided again.

No exit is ever decided without a usable price. The guard is stored after every look that moved
it, so a restart forgets nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from trading_core.model.limits import ExitPolicy, SessionEnd
from trading_core.model.order import IntentReason
from trading_core.model.portfolio import ExitState, Protection, StopBasis
from trading_core.rules.exits_view import NAN, ExitView, unrealized_pct

DEFAULT_STOP_LOSS_PCT = -3.0
NEAR_STOP_SHARE = Decimal("0.8")
"""A stop is near once this share of the way to it is gone."""
AWAY_SHARE = Decimal("0.5")
"""An approach is over once less than this share of the way is gone."""

_SHOWN = Decimal("0.0001")
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class StopLevel:
    """At or below ``price`` the position is sold, for ``reason``."""

    price: Decimal
    reason: IntentReason


@dataclass(frozen=True, slots=True)
class ExitSignal:
    """Sell the whole position now; ``detail`` says what was crossed, for a person."""

    reason: IntentReason
    detail: str

    @property
    def is_stop(self) -> bool:
        """Whether a stop was breached, and not a target reached or a time over."""
        return self.reason in _STOP_WORDS


@dataclass(frozen=True, slots=True)
class Guard:
    """The outcome of one look at a position.

    ``near`` says for a person that the price is close to the stop, and is empty when it is not.
    """

    protection: Protection
    signal: ExitSignal | None = None
    near: str = ""


def new_protection(
    symbol: str,
    *,
    price: Decimal,
    at: datetime,
    opened_at: datetime | None = None,
    stop_loss_pct: float | None = None,
    take_profit_pct: float | None = None,
) -> Protection:
    """The guard of a position that has just appeared; without a plan the default stop holds."""
    planned = stop_loss_pct is not None
    return Protection(
        symbol=symbol,
        stop_loss_pct=stop_loss_pct if stop_loss_pct is not None else DEFAULT_STOP_LOSS_PCT,
        take_profit_pct=take_profit_pct,
        state=ExitState.HOLDING,
        peak_price=price,
        updated_at=at,
        opened_at=opened_at,
        stop_basis=StopBasis.PLANNED if planned else StopBasis.DEFAULT,
    )


def watch(protection: Protection, view: ExitView, policy: ExitPolicy) -> Guard:
    """Look at one position and say whether to leave it. Pure, and cheap enough for every print.

    Without a usable price nothing is decided and nothing changes.
    """
    if not view.usable:
        return Guard(protection)
    before = _with_stop_set(protection, view, policy)
    stop = _stop(before, view, policy)
    signal = _signal(before, stop, view, policy)
    armed = before.armed.promoted(_reached(before, view, policy))
    trail_atr = before.trail_atr
    if armed is ExitState.TRAILING and trail_atr is None:
        trail_atr = view.known_atr
    moved = replace(
        before,
        state=before.state.promoted(ExitState.EXITING if signal else armed),
        armed=armed,
        trail_atr=trail_atr,
        peak_price=max(before.peak_price, view.last),
    )
    level = _stop(moved, view, policy)
    gone = _way_gone(moved, level, view)
    near = ""
    if signal is None and gone >= NEAR_STOP_SHARE:
        near = f"{_shown(view.last)} is close to {_STOP_WORDS[level.reason]} {_shown(level.price)}"
    begins = bool(near) or (signal is not None and signal.is_stop)
    goes_on = protection.approached_at is not None and gone >= AWAY_SHARE
    since = (protection.approached_at or view.at) if begins or goes_on else None
    after = replace(moved, approached_at=since, blind_since=None, blind_looks=0, updated_at=view.at)
    return Guard(after, signal, near)


def look_in_vain(protection: Protection, at: datetime) -> Protection:
    """The guard after a look that found no usable price; the same look is counted once."""
    if protection.blind_since is not None and protection.updated_at >= at:
        return protection
    return replace(
        protection,
        updated_at=at,
        blind_since=protection.blind_since or at,
        blind_looks=protection.blind_looks + 1,
    )


def stop_level(protection: Protection, view: ExitView, policy: ExitPolicy) -> Decimal:
    """The price at or below which the position would be sold now; :func:`watch` sells exactly
    there. NaN without a usable average price. ``view.last`` is not looked at."""
    if not view.has_levels:
        return NAN
    return _stop(_with_stop_set(protection, view, policy), view, policy).price


def target_level(protection: Protection, view: ExitView, policy: ExitPolicy) -> Decimal | None:
    """The price at or above which profit is taken now; None when there is no target."""
    pct = protection.take_profit_pct or policy.take_profit_pct
    return None if pct is None else _at_pct(view.average_price, pct)


def _at_pct(average_price: Decimal, pct: float) -> Decimal:
    return average_price * (1 + Decimal(str(pct)) / 100)


def _with_stop_set(protection: Protection, view: ExitView, policy: ExitPolicy) -> Protection:
    """The guard with its hard stop fixed, which the first look does for good.

    Were it moved later, a growing range would loosen the stop of a falling stock.
    """
    if protection.stop_basis is StopBasis.SET:
        return protection
    stop, atr = protection.stop_loss_pct, view.known_atr
    if view.atr_stop and atr is not None:
        wide = -policy.atr_stop_multiple * float(atr / view.average_price) * 100
        by_atr = min(max(wide, policy.atr_stop_loosest_pct), policy.atr_stop_tightest_pct)
        by_atr = round(by_atr, 4)
        stop = max(stop, by_atr) if protection.stop_basis is StopBasis.PLANNED else by_atr
    return replace(protection, stop_loss_pct=stop, stop_basis=StopBasis.SET)


def _stop(protection: Protection, view: ExitView, policy: ExitPolicy) -> StopLevel:
    """The highest of the levels that guard the position."""
    best = StopLevel(_at_pct(view.average_price, protection.stop_loss_pct), IntentReason.HARD_STOP)
    if protection.armed is ExitState.HOLDING:
        return best
    if view.break_even > best.price:
        best = StopLevel(view.break_even, IntentReason.BREAK_EVEN)
    if protection.armed is ExitState.TRAILING and protection.trail_atr is not None:
        distance = Decimal(str(policy.trail_atr_multiple)) * protection.trail_atr
        trail = protection.peak_price - distance
        if trail > best.price:
            best = StopLevel(trail, IntentReason.TRAIL)
    return best


def _reached(protection: Protection, view: ExitView, policy: ExitPolicy) -> ExitState:
    """What the last price arms."""
    if not view.can_lock:
        return ExitState.HOLDING
    if view.last >= _at_pct(view.average_price, policy.trail_arm_pct):
        return ExitState.TRAILING
    target = target_level(protection, view, policy)
    if policy.trail_after_take_profit and target is not None and view.last >= target:
        return ExitState.TRAILING
    if view.last >= _at_pct(view.average_price, policy.break_even_arm_pct):
        return ExitState.BREAK_EVEN
    return ExitState.HOLDING


def _signal(
    protection: Protection, stop: StopLevel, view: ExitView, policy: ExitPolicy
) -> ExitSignal | None:
    """The first reason to leave, the most pressing one first."""
    if view.last <= stop.price:
        words = f"is at or below {_STOP_WORDS[stop.reason]} {_shown(stop.price)}"
        return ExitSignal(stop.reason, f"{_now(view)} {words}")
    if view.reduce_all:
        return ExitSignal(IntentReason.REDUCE_ALL, f"{view.reduce_all}; sold at {_now(view)}")
    target = target_level(protection, view, policy)
    if target is not None and view.last >= target and not _trails(protection, view, policy):
        words = f"reached the target {_shown(target)}"
        return ExitSignal(IntentReason.TAKE_PROFIT, f"{_now(view)} {words}")
    ending = policy.at_session_end
    if 0 < view.minutes_to_close <= policy.session_end_minutes and (
        ending is SessionEnd.CLOSE_ALL or (ending is SessionEnd.CLOSE_LOSERS and view.loses)
    ):
        words = f"{view.minutes_to_close:.0f} minutes before the close, {ending.value}"
        level = f"break-even is {_shown(view.break_even)}"
        return ExitSignal(IntentReason.SESSION_END, f"{words}: {_now(view)}, {level}")
    if 0 < policy.time_stop_sessions <= view.sessions_held and view.loses:
        words = f"is below break-even {_shown(view.break_even)} after {view.sessions_held} sessions"
        return ExitSignal(IntentReason.TIME_STOP, f"{_now(view)} {words}")
    return None


def _trails(protection: Protection, view: ExitView, policy: ExitPolicy) -> bool:
    """Whether the trail takes over from the target. Without a range it has no distance to keep,
    and the profit is taken."""
    known = protection.trail_atr or view.known_atr
    return policy.trail_after_take_profit and known is not None and view.can_lock


def _way_gone(protection: Protection, stop: StopLevel, view: ExitView) -> Decimal:
    """The share of the way to the stop that the price has gone: from the average price for a hard
    stop, from the peak for one that was pulled up."""
    start = protection.peak_price
    if stop.reason is IntentReason.HARD_STOP:
        start = view.average_price
    return (start - view.last) / (start - stop.price) if start > stop.price else _ZERO


_STOP_WORDS = {
    IntentReason.HARD_STOP: "the stop",
    IntentReason.BREAK_EVEN: "break-even after costs",
    IntentReason.TRAIL: "the trail",
}


def _now(view: ExitView) -> str:
    gain = unrealized_pct(view.average_price, view.last)
    return f"{_shown(view.last)} ({gain:+.2f} %)"


def _shown(price: Decimal) -> str:
    """A price for a person, without a tail of digits."""
    return f"{price.quantize(_SHOWN, ROUND_HALF_EVEN).normalize():f}"
