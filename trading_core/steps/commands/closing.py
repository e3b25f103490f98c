"""``/close``: sell what is held by hand, after a confirmation that does not wait for ever."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from trading_core.errors import ConfigError
from trading_core.model.chat import Answer, Button
from trading_core.model.operator import CommandState
from trading_core.rules.trading_state import ALL
from trading_core.steps.close import Closed
from trading_core.steps.commands.control import record, was_done
from trading_core.steps.commands.office import Call, Held, choose, held_of
from trading_core.steps.commands.wording import bold, count, esc, pct, price

CONFIRM = "close!"
"""What a confirming button asks for; nobody can type it."""

CONFIRM_WITHIN = timedelta(seconds=60)


def close(call: Call) -> Answer:
    """Show what would be sold, with a button that sells it and soon does nothing any more."""
    symbol = call.asked.argument.upper()
    held = _held(call)
    if not held:
        return Answer("<b>Close</b>", ["Nothing is held, as far as the store knows."])
    if not symbol:
        names = [item.position.instrument.symbol for item in held]
        return choose("<b>Close which one?</b>", "close", names, also=[Button("all", "close all")])
    chosen = [h for h in held if symbol in (ALL, h.position.instrument.symbol)]
    if not chosen:
        raise ConfigError(f"{symbol} is not held, as far as the store knows")
    until = int((call.office.clock.now() + CONFIRM_WITHIN).timestamp())
    name = "everything" if symbol == ALL else symbol
    lines = [
        f"{bold(h.position.instrument.symbol)} × {h.position.quantity:,}: "
        f"{price(h.position.average_price)} → {price(h.last)} ({pct(h.gain_pct)})"
        for h in chosen
    ]
    lines.append(f"Sold at the best price there is. Good for {CONFIRM_WITHIN.seconds} seconds.")
    confirm = Button(f"Sell {name}", f"{CONFIRM} {symbol} {until} {call.asked.message_id}")
    return Answer(f"<b>Sell {esc(name)}?</b>", lines, [[confirm, Button("Leave it", "leave")]])


def leave(call: Call) -> Answer:
    """The other button."""
    return Answer("<b>Close</b>", ["Left as it is; nothing was sold."])


async def confirmed(call: Call) -> Answer:
    """Sell, once: however often the button was pressed, and whatever crashed meanwhile."""
    try:
        symbol, until, origin = call.asked.arguments
        expires = datetime.fromtimestamp(int(until), UTC)
    except ValueError:
        raise ConfigError("this button says nothing; type /close again") from None
    if not call.asked.tapped or call.office.clock.now() > expires:
        lines = ["The question was asked too long ago; nothing was sold.", "Type /close again."]
        return Answer("<b>Close: expired</b>", lines)
    command = f"{origin}-close"
    before = await asyncio.to_thread(_begin, call, command, symbol)
    if before is not None:
        return _done_before(before)
    symbols = None if symbol == ALL else {symbol}
    because = f"closed by hand: /close {symbol} by {call.asked.actor}"
    try:
        closed = await call.office.close(symbols, because)
    except Exception as error:
        await asyncio.to_thread(_end, call, command, symbol, CommandState.FAILED, str(error))
        raise
    detail = f"{len(closed.accepted)} sales accepted, {len(closed.stuck)} not sold"
    await asyncio.to_thread(_end, call, command, symbol, CommandState.DONE, detail)
    return _told(symbol, closed)


def _begin(call: Call, command: str, symbol: str) -> CommandState | None:
    """Write down that it begins; how far it came before when it is not new."""
    with call.office.store.write() as tx:
        before = was_done(tx, command)
        if before is None:
            row = record(call, CommandState.BEGUN, command_id=command, argument=symbol)
            tx.append([row])
    return before.state if before is not None else None


def _end(call: Call, command: str, symbol: str, state: CommandState, detail: str) -> None:
    with call.office.store.write() as tx:
        tx.append([record(call, state, detail, command_id=command, argument=symbol)])


def _done_before(before: CommandState) -> Answer:
    buttons = [[Button("Orders", "orders"), Button("Positions", "positions")]]
    if before is CommandState.DONE:
        return Answer("<b>Close</b>", ["This was done before; nothing is sold twice."], buttons)
    lines = [
        "This was begun before and did not come to its end, so it is not begun again.",
        "See what went out, and type /close again for what is still held.",
    ]
    return Answer("<b>Close: interrupted</b>", lines, buttons)


def _told(symbol: str, closed: Closed) -> Answer:
    lines = [
        f"Accepted, not filled yet: SELL {item.order.intent.quantity:,} "
        f"{bold(item.order.intent.instrument.symbol)} at "
        f"{price(item.order.intent.limit_price) if item.order.intent.limit_price else 'market'}"
        for item in closed.accepted
    ]
    lines += [f"A sale of {bold(name)} is at work already." for name in closed.working]
    lines += [f"⚠ {bold(name)} is not being sold: {esc(why)}" for name, why in closed.stuck.items()]
    lines = lines or ["Nothing of it is held at the broker; nothing was sold."]
    name = "everything" if symbol == ALL else symbol
    title = f"<b>Close {esc(name)}: {count(len(closed.accepted), 'sale')} accepted</b>"
    return Answer(title, lines, [[Button("Orders", "orders"), Button("Positions", "positions")]])


def _held(call: Call) -> list[Held]:
    with call.office.store.read() as reader:
        return [item for group in call.office.groups for item in held_of(reader, group)]
