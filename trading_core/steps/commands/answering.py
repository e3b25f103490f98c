"""Every command by its name, and one place where a command that fails becomes a sentence."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from trading_core.errors import StoreBusy, TradingError
from trading_core.model.chat import LONGEST_COMMAND, Answer, Asked, Button
from trading_core.steps.commands import closing, control, house, money, notices, plans, trail
from trading_core.steps.commands.office import Call, Office
from trading_core.steps.commands.wording import bold, esc, span

logger = logging.getLogger(__name__)

Handler: TypeAlias = Callable[[Call], Answer] | Callable[[Call], Awaitable[Answer]]

TOO_OLD = timedelta(minutes=5)
"""What was typed longer ago is not done any more, unless it stops something."""

STOP_TRIES = 3
"""Times a store that is held by others is waited for before a stop is said to have failed."""


@dataclass(frozen=True, slots=True)
class Command:
    """``about`` is what the menu says; empty for what only buttons ask for.

    ``changes`` says that it does something, ``urgent`` that it goes before everything else and is
    never too old.
    """

    do: Handler
    about: str = ""
    usage: str = ""
    changes: bool = False
    urgent: bool = False


def help_(call: Call) -> Answer:
    """All commands."""
    lines = [
        f"/{name}{f' {esc(command.usage)}' if command.usage else ''} — {esc(command.about)}"
        for name, command in COMMANDS.items()
        if command.about
    ]
    return Answer("<b>Commands</b>", lines)


COMMANDS: Mapping[str, Command] = {
    "help": Command(help_, "what can be asked"),
    "status": Command(money.status, "whether each market trades, and the day's P&L"),
    "positions": Command(money.positions, "what is held, and how far the stops are"),
    "report": Command(money.report, "the newest session in numbers"),
    "scenarios": Command(plans.scenarios, "what matched, and what came close"),
    "review": Command(plans.review, "the last scorecards", "[market]"),
    "dashboard": Command(house.dashboard, "its address"),
    "stop": Command(control.stop, "no entries anywhere", changes=True, urgent=True),
    "resume": Command(control.resume, "lift what was stopped by hand", "[market]", changes=True),
    "why": Command(trail.why, "why it was or was not traded", "SYMBOL"),
    "orders": Command(trail.orders, "the orders of the day"),
    "pnl": Command(money.pnl, "profit after costs", "[day|week|month]"),
    "halt": Command(control.halt, "no entries in a market", "[market]", changes=True, urgent=True),
    "close": Command(closing.close, "sell what is held, after a question", "SYMBOL|all"),
    "playbook": Command(plans.playbook, "the plan of the day", "[market]"),
    "notify": Command(notices.notify, "how loudly to tell", "[kind] [on|silent|off]", changes=True),
    "health": Command(house.health, "how every part does"),
    "chart": Command(trail.chart, "the day's prices in a picture", "SYMBOL"),
    "leave": Command(closing.leave),
    closing.CONFIRM: Command(closing.confirmed, changes=True),
}

# What a chat sends by itself when it is opened.
_ALIASES = {"start": "help"}


def menu() -> list[tuple[str, str]]:
    """Names and descriptions, for the menu of a chat."""
    return [(name, command.about) for name, command in COMMANDS.items() if command.about]


def is_urgent(name: str) -> bool:
    """Whether a command goes before everything that waits."""
    return name in COMMANDS and COMMANDS[name].urgent


def changes(name: str) -> bool:
    """Whether a command does something."""
    return name in COMMANDS and COMMANDS[name].changes


def repeats(first: Asked, second: Asked) -> bool:
    """Whether answering the second is enough: both only read, and ask the same."""
    reads = not changes(first.name)
    same = (first.name, first.arguments, first.page) == (
        second.name,
        second.arguments,
        second.page,
    )
    return reads and same and not first.tapped and not second.tapped


def overruled(urgent: Asked, waiting: Asked) -> Answer | None:
    """What is said of a command that waits when a stop overtakes it; None when both are done."""
    if waiting.name != "resume":
        return None
    return Answer("<b>Resume</b>", [f"{bold(urgent.line)} came after it; nothing was lifted."])


async def answer(office: Office, asked: Asked) -> Answer:
    """What is to be said; raises nothing."""
    name = _ALIASES.get(asked.name, asked.name)
    command = COMMANDS.get(name)
    if command is None or (not command.about and not asked.tapped):
        return Answer(f"There is no command {bold('/' + asked.name)}.", ["See /help."])
    age = asked.at - asked.typed_at
    if command.changes and not command.urgent and age > TOO_OLD:
        lines = [f"{bold(asked.line)} was written {span(age)} ago and is not done any more."]
        return Answer("<b>Too old</b>", [*lines, "Write it again if it still holds."])
    try:
        call = Call(office, asked, await office.market_now())
        found = await _done(command, call)
    except TradingError as error:
        return _failed(asked, command, str(error), again=error.retryable)
    except Exception as error:
        logger.exception("the command %s failed", asked.name)
        return _failed(asked, command, f"it failed ({type(error).__name__}); the log says more")
    if command.changes and asked.name in ("stop", "halt", "resume"):
        await _tell_halts(office)
    return found


async def _done(command: Command, call: Call) -> Answer:
    """Off the event loop, because the store may be held by others; a stop does not give up soon."""
    for _ in range(STOP_TRIES - 1 if command.urgent else 0):
        try:
            return await _once(command, call)
        except StoreBusy as error:
            logger.warning("%s waits: %s", call.asked.name, error)
    return await _once(command, call)


async def _once(command: Command, call: Call) -> Answer:
    if inspect.iscoroutinefunction(command.do):
        answered: Answer = await command.do(call)
        return answered
    found = await asyncio.to_thread(command.do, call)
    assert isinstance(found, Answer)
    return found


async def _tell_halts(office: Office) -> None:
    try:
        await office.halts_changed(office.clock.now())
    except Exception:
        logger.exception("what follows the halts was not told")


def _failed(asked: Asked, command: Command, why: str, *, again: bool = False) -> Answer:
    lines = [esc(why, 600)]
    if command.urgent:
        lines.append("⚠ NOTHING was stopped. Try again, or at the machine:")
        lines.append("<code>ouroboros halt</code>")
    line = asked.line.removeprefix("/")
    fits = again and not asked.name.endswith("!") and len(line.encode()) <= LONGEST_COMMAND
    buttons = [[Button("Try again", line)]] if fits else []
    return Answer(f"<b>/{esc(asked.name.rstrip('!'), 20)}</b>", lines, buttons)
