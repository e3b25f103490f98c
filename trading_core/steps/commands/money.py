"""``/status``, ``/positions``, ``/report``, ``/pnl``: where the money is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal

from trading_core.errors import ConfigError, DataError
from trading_core.model.chat import Answer, Button
from trading_core.model.journal import Halt
from trading_core.model.language import REUSED
from trading_core.model.market import MarketGroup
from trading_core.model.order import OrderState, Side
from trading_core.ports import StoreReader
from trading_core.rules.calendar import (
    is_market_open,
    local_date,
    next_session,
    session_at,
    session_on,
    sessions_between,
)
from trading_core.rules.markets import currency_of
from trading_core.rules.scorecard import session_pnl
from trading_core.rules.trading_state import (
    TradingState,
    accepted_pnl_pct,
    breaker_floor_pct,
    trading_state,
)
from trading_core.steps.commands.office import Call, Day, Held, book_of, held_of, read_day
from trading_core.steps.commands.wording import (
    NO_DATA,
    bold,
    count,
    day_and_time,
    esc,
    moment,
    money,
    pct,
    price,
    short_day,
    span,
)

_SIGNS = {TradingState.ACTIVE: "🟢", TradingState.REDUCING: "🟡", TradingState.HALTED: "🔴"}
_STATES = {
    TradingState.REDUCING: "no entries, exits go on",
    TradingState.HALTED: "nothing is sent",
}


def status(call: Call) -> Answer:
    """Whether each market trades, how its day goes, and what stops it."""
    office = call.office
    lines: list[str] = []
    with office.store.read() as reader:
        halts = reader.halts()
        for group in office.groups:
            lines += [*_market(reader, call, group, halts), ""]
    standing = [halt for halt in halts if halt.lifted_at is None]
    lines += [halt_line(halt) for halt in standing] or ["No halt stands."]
    where = f"{office.mode}, {office.account}" if office.account else office.mode
    return Answer(f"<b>Status</b> · {esc(where)}", lines, again="status")


def halt_line(halt: Halt) -> str:
    return (
        f"🛑 {bold(halt.scope)} {esc(halt.kind.value.replace('_', ' '))}, "
        f"since {halt.raised_at:%m-%d %H:%M} UTC: {esc(halt.reason)}"
    )


def _market(
    reader: StoreReader, call: Call, group: MarketGroup, halts: Sequence[Halt]
) -> list[str]:
    state = trading_state(halts, group=group, currency=currency_of(group))
    is_open = is_market_open(group, call.now)
    sign = _SIGNS[state] if is_open or state is not TradingState.ACTIVE else "⚪"
    stopped = "" if state is TradingState.ACTIVE else f" · <b>{_STATES[state]}</b>"
    lines = [f"{sign} {bold(group)} {_phase(call, group)}{stopped}"]
    day = read_day(reader, group)
    if day is None:
        return [*lines, "Nothing yet: the first plan comes before the next open."]
    today = local_date(group, call.now)
    when = "" if day.date == today else f" on {short_day(day.date)}"
    accepted = accepted_pnl_pct(halts, currency=day.currency, session=day.date)
    floor = breaker_floor_pct(call.office.policy.risk, accepted)
    if day.pnl_pct is None:
        lines.append(f"P&amp;L{when}: {NO_DATA}")
    else:
        lines.append(
            f"P&amp;L{when} <b>{pct(day.pnl_pct)}</b> "
            f"({money(day.change, day.currency, signed=True)}); breaker below {pct(floor)}"
        )
    working = sum(record.state.is_working for record in day.orders)
    positions = len(book_of(reader, group).open_positions)
    lines.append(f"{count(positions, 'position')}, {count(working, 'order')} at work")
    return [*lines, _plan(day)]


def _phase(call: Call, group: MarketGroup) -> str:
    try:
        session = session_at(group, call.now)
        if session is not None:
            left = span(session.close_at - call.now)
            rest = "lunch break, " if session.in_break(call.now) else "open, "
            return f"{rest}closes {moment(session.close_at, group)} (in {left})"
        today = local_date(group, call.now)
        ahead = session_on(group, today)
        if ahead is None or ahead.open_at <= call.now:
            ahead = next_session(group, today)
    except DataError:
        return "no calendar for this date"
    return f"shut, opens {day_and_time(ahead.open_at, group)}"


def _plan(day: Day) -> str:
    if day.playbook is None:
        return "No playbook."
    stocks = count(len(day.playbook.stocks), "stock")
    return f"Playbook of {short_day(day.date)} by {esc(day.playbook.source)}: {stocks}"


def positions(call: Call) -> Answer:
    """What is held, at the last price that was observed, and how far each stop is."""
    lines: list[str] = []
    buttons: list[Button] = []
    with call.office.store.read() as reader:
        for group in call.office.groups:
            held = held_of(reader, group)
            curve = read_day(reader, group)
            lines += _held_in(group, held, curve)
            buttons += [Button(f"📈 {h.position.instrument.symbol}", _chart(h)) for h in held]
    if not any(lines):
        return Answer(
            "<b>Positions</b>", ["Nothing is known of the account yet."], again="positions"
        )
    rows = [buttons[i : i + 3] for i in range(0, min(len(buttons), 9), 3)]
    return Answer("<b>Positions</b>", lines, rows, again="positions")


def _chart(held: Held) -> str:
    return f"chart {held.position.instrument.symbol}"


def _held_in(group: MarketGroup, held: Sequence[Held], day: Day | None) -> list[str]:
    currency = currency_of(group)
    if day is None and not held:
        return []
    lines = []
    for item in held:
        position = item.position
        name = f" {esc(position.instrument.name, 30)}" if position.instrument.name else ""
        origin = "" if position.origin.value == "strategy" else f", {esc(position.origin)}"
        gain = "" if item.gain is None else f" ({money(item.gain, currency, signed=True)})"
        lines.append(f"{bold(position.instrument.symbol)}{name} × {position.quantity:,}{origin}")
        lines.append(
            f"  {price(position.average_price)} → {price(item.last)}: "
            f"<b>{pct(item.gain_pct)}</b>{gain}"
        )
        distance = "" if item.to_stop_pct is None else f" ({pct(item.to_stop_pct)} away)"
        stop = "no guard yet" if item.stop is None else f"stop {price(item.stop)}{distance}"
        lines.append(f"  {stop}")
    gains = [item.gain for item in held]
    known = [gain for gain in gains if gain is not None]
    if held:
        missing = (
            f", {count(len(gains) - len(known), 'price')} missing"
            if len(known) < len(gains)
            else ""
        )
        total = money(sum(known, Decimal(0)), currency, signed=True) if known else NO_DATA
        lines.append(f"unrealized {total}{missing}")
    account = f"{bold(group)}: nothing is held" if not held else f"{bold(group)}"
    if day is not None and day.curve:
        point = day.curve[-1]
        account += (
            f" · equity {money(point.equity, currency)}, cash {money(point.cash, currency)}, "
            f"as of {short_day(day.date)} {moment(point.at, group)}"
        )
    return [account, *lines, ""]


def report(call: Call) -> Answer:
    """The newest session of each market in numbers."""
    lines: list[str] = []
    with call.office.store.read() as reader:
        for group in call.office.groups:
            day = read_day(reader, group)
            if day is None:
                lines += [f"{bold(group)}: nothing yet", ""]
            else:
                lines += [*_reported(reader, day), ""]
    return Answer("<b>Report</b>", lines, again="report")


def _reported(reader: StoreReader, day: Day) -> list[str]:
    filled = [r for r in day.orders if r.filled_quantity]
    bought = sum(r.intent.side is Side.BUY for r in filled)
    taken = [r for r in day.orders if any(e.state is OrderState.ACCEPTED for e in r.events)]
    unfilled = sum(not r.filled_quantity for r in taken)
    refused = sum(r.state is OrderState.REFUSED for r in day.orders)
    decisions = reader.decisions(day.group, day.date)
    sure = [d.confidence for d in decisions]
    average = f", average confidence {sum(sure) / len(sure):.0f}" if sure else ""
    calls = [c for c in reader.llm_calls(day.group, day.date) if c.outcome != REUSED]
    cost = sum((c.cost_usd for c in calls), Decimal(0))
    return [
        f"{bold(day.group)} {short_day(day.date)}",
        f"Filled: {count(bought, 'buy')}, {count(len(filled) - bought, 'sale')}",
        f"Accepted, not filled: {unfilled}; refused by our limits: {refused}",
        f"{count(len(decisions), 'decision')}{average}",
        *_earned(day),
        _closed_trades(reader, day),
        f"Model: {count(len(calls), 'call')}, {cost:.4f} USD",
    ]


def _earned(day: Day) -> list[str]:
    found = session_pnl(day.curve, day.fills)
    if not found:
        return [f"P&amp;L: {NO_DATA}"]
    return [
        f"P&amp;L <b>{money(pnl.net, currency, signed=True)}</b> net "
        f"({pct(day.pnl_pct)}), fees {money(pnl.fees, currency)}, tax {money(pnl.taxes, currency)}"
        for currency, pnl in found.items()
    ]


def _closed_trades(reader: StoreReader, day: Day) -> str:
    closed = [t for t in book_of(reader, day.group).closed if t.session == day.date]
    if not closed:
        return "No trade was closed."
    won = sum(trade.net > 0 for trade in closed)
    return f"Closed: {count(len(closed), 'trade')}, {won} won ({won / len(closed) * 100:.0f} %)"


_SPANS: Mapping[str, Callable[[date], tuple[date, date]]] = {
    "day": lambda day: (day, day),
    "week": lambda day: (day - timedelta(days=day.weekday()), day),
    "month": lambda day: (day.replace(day=1), day),
}


def pnl(call: Call) -> Answer:
    """Profit after costs by session, of the calendar day, week or month of the newest one."""
    name = (call.asked.argument or "day").lower()
    if name not in _SPANS:
        raise ConfigError(f"{name}: not a period; write /pnl day, /pnl week or /pnl month")
    lines: list[str] = []
    with call.office.store.read() as reader:
        for group in call.office.groups:
            lines += _pnl_of(reader, group, name)
    row = [Button(f"· {other} ·" if other == name else other, f"pnl {other}") for other in _SPANS]
    lines = lines or ["Nothing was measured yet."]
    return Answer(f"<b>P&amp;L</b> · {name}", lines, [row], again=f"pnl {name}")


def _pnl_of(reader: StoreReader, group: MarketGroup, name: str) -> list[str]:
    newest, currency = reader.newest_session(group), currency_of(group)
    if newest is None:
        return []
    total, costs, measured = Decimal(0), Decimal(0), 0
    rows = []
    days = [session.date for session in sessions_between(group, *_SPANS[name](newest))] or [newest]
    for day in days:
        curve, fills = reader.equity_curve(group, day), reader.fills(group, day)
        earned = session_pnl(curve, fills).get(currency)
        if earned is None:
            rows.append(f"{short_day(day)}: {NO_DATA}")
            continue
        start = curve[0].equity
        share = earned.net / start * 100 if start > 0 else None
        rows.append(f"{short_day(day)}: {money(earned.net, currency, signed=True)} ({pct(share)})")
        total, costs, measured = (
            total + earned.net,
            costs + earned.fees + earned.taxes,
            measured + 1,
        )
    head = f"{bold(group)}: {NO_DATA}"
    if measured:
        head = (
            f"{bold(group)}: <b>{money(total, currency, signed=True)}</b> after "
            f"{money(costs, currency)} of costs"
        )
    return [head, *(rows if len(rows) > 1 else []), ""]
