"""``/dashboard``, ``/health``: how the system itself does."""

from __future__ import annotations

from datetime import datetime, timedelta

from trading_core.model.chat import Answer
from trading_core.model.market import MarketGroup
from trading_core.ports import StoreReader
from trading_core.rules.calendar import session_at
from trading_core.steps.commands.office import Call, Machine
from trading_core.steps.commands.wording import bold, code, count, esc, moment, short_day, span

CHANNEL = "telegram"
_MANY_UNTOLD = 10
_LATE = timedelta(minutes=15)
_OLD_BACKUP = timedelta(hours=25)
_LITTLE_SPACE = 10 * 1024**3


async def dashboard(call: Call) -> Answer:
    """Where it is, and whether it is there."""
    office = call.office
    if not office.dashboard_url:
        return Answer("<b>Dashboard</b>", ["No address is set."])
    lines = [code(office.dashboard_url)]
    if office.dashboard_answers is not None:
        up = await office.dashboard_answers()
        lines.append("It answers." if up else "Nothing answers there: ouroboros dashboard")
    if "127.0.0.1" in office.dashboard_url or "localhost" in office.dashboard_url:
        lines.append("It listens on its own machine only; reach it through a tunnel.")
    return Answer("<b>Dashboard</b>", lines, again="dashboard")


def health(call: Call) -> Answer:
    """Whether every part is alive, as far as the store and this process know."""
    office, at = call.office, call.office.clock.now()
    lines = [*office.listener_lines(at), ""]
    with office.store.read() as reader:
        lines += [_market(reader, call, group) for group in office.groups]
        unsure = sum(r.state.is_unsure for r in reader.unsettled_orders())
        halts = len(reader.open_halts())
        untold = len(reader.unsent(CHANNEL))
        backups = reader.backups()
    backup = "⚠ no backup yet"
    if backups:
        newest = backups[0]
        age = at - newest.at
        sign = "✅" if newest.verified and age < _OLD_BACKUP else "⚠"
        backup = f"{sign} backup {span(age)} old, {'' if newest.verified else 'NOT '}verified"
    lines += [
        "",
        f"{_sign(not halts)} {count(halts, 'halt')} standing",
        f"{_sign(not unsure)} {count(unsure, 'order')} of unknown fate",
        f"{_sign(untold < _MANY_UNTOLD)} {count(untold, 'message')} waiting to be sent",
        backup,
        *_machine(office.machine()),
    ]
    return Answer("<b>Health</b>", lines, again="health")


def _sign(well: bool) -> str:
    return "✅" if well else "⚠"


def _market(reader: StoreReader, call: Call, group: MarketGroup) -> str:
    day = reader.newest_session(group)
    if day is None:
        return f"▫️ {bold(group)}: nothing yet"
    curve = reader.equity_curve(group, day)
    looked = curve[-1].at if curve else None
    session = session_at(group, call.now)
    if session is None:
        seen = "never" if looked is None else f"{short_day(day)} {moment(looked, group)}"
        return f"▫️ {bold(group)}: shut; last look {seen}"
    holder = reader.lease_holder(f"session-{group}-{session.date.isoformat()}", at=call.now)
    runs = f"session of process {esc(holder.split(':')[1])}" if holder else "no session runs"
    sign = _sign(bool(holder) and looked is not None and call.now - looked < _LATE)
    return f"{sign} {bold(group)}: open, {runs}, last look {_ago(looked, call.now)}"


def _ago(looked: datetime | None, now: datetime) -> str:
    return "never" if looked is None else f"{span(now - looked)} ago"


def _machine(machine: Machine) -> list[str]:
    lines = []
    if machine.store_bytes is not None:
        lines.append(f"▫️ store {machine.store_bytes / 1024**2:,.1f} MB")
    if machine.free_bytes is not None:
        well = machine.free_bytes >= _LITTLE_SPACE
        lines.append(f"{_sign(well)} {machine.free_bytes / 1024**3:,.0f} GB free on its disk")
    return lines
