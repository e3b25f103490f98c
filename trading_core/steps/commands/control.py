"""``/stop``, ``/halt``, ``/resume``: what a person stops and lets go on from a distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from trading_core.model.chat import Answer, Button
from trading_core.model.journal import Halt, HaltKind
from trading_core.model.market import Currency
from trading_core.model.operator import CommandState, OperatorCommand
from trading_core.ports import StoreReader
from trading_core.rules.markets import currency_of
from trading_core.rules.trading_state import ALL, trading_state
from trading_core.steps import operate
from trading_core.steps.commands.money import halt_line
from trading_core.steps.commands.office import Call, choose
from trading_core.steps.commands.wording import bold, esc

_CANCELLED = "Entries at work are cancelled: now by a session that runs, else by the next tick."


def record(
    call: Call, state: CommandState, detail: str = "", *, command_id: str = "", argument: str = ""
) -> OperatorCommand:
    """The row of this command."""
    asked = call.asked
    return OperatorCommand(
        command_id=command_id or asked.message_id,
        state=state,
        at=call.office.clock.now(),
        actor=asked.actor,
        name=asked.name.rstrip("!"),
        argument=argument or asked.argument,
        detail=detail,
    )


def was_done(reader: StoreReader, command_id: str) -> OperatorCommand | None:
    """How this very command ended, or that it was begun; None when it is new."""
    rows = reader.operator_commands(command_id)
    return rows[-1] if rows else None


def stop(call: Call) -> Answer:
    """No entries anywhere, at once; exits go on."""
    return _halt(call, ALL)


def halt(call: Call) -> Answer:
    """The same for one market, one currency or all of it."""
    wanted = call.asked.argument.upper()
    if not wanted:
        also = [Button("all of it", f"halt {ALL}")]
        return choose("<b>Halt which market?</b>", "halt", call.office.groups, also=also)
    if wanted == ALL or wanted in set(Currency):
        return _halt(call, wanted)
    group = call.group()
    assert group is not None, "a market was named"
    return _halt(call, group.value)


def _halt(call: Call, scope: str) -> Answer:
    office, asked = call.office, call.asked
    at = office.clock.now()
    with office.store.write() as tx:
        before = was_done(tx, asked.message_id)
        standing = [h for h in tx.open_halts() if (h.kind, h.scope) == (HaltKind.OPERATOR, scope)]
        if before is None:
            why = f"{asked.line} by {asked.actor}"
            raised = operate.new_halt(HaltKind.OPERATOR, scope, why, at)
            # Named after the message, so that no two messages share a halt.
            raised = replace(raised, halt_id=f"{HaltKind.OPERATOR}-{scope}-{asked.message_id}")
            done = record(call, CommandState.DONE, raised.halt_id, argument=scope)
            # A halt that stands is not doubled, whoever raised it.
            tx.append([done] if standing else [raised, done])
        others = [h for h in tx.open_halts() if h not in standing and h.scope != scope]
    what = "everything" if scope == ALL else scope
    if standing and before is None:
        lines = [f"It was stopped already, {standing[0].raised_at:%m-%d %H:%M} UTC."]
    else:
        lines = ["No entry is sent any more.", _CANCELLED]
    lines += ["Exits go on: stops still sell.", *(halt_line(h) for h in others)]
    buttons = [[Button("Resume", "resume"), Button("Orders", "orders"), Button("Status", "status")]]
    return Answer(f"🛑 <b>Stopped: {esc(what)}</b>", lines, buttons)


def resume(call: Call) -> Answer:
    """Lift what a person stopped; what the system stopped asks for a reason, at the machine."""
    office, asked = call.office, call.asked
    scope = asked.argument.upper() or ALL
    if scope != ALL and scope not in set(Currency):
        group = call.group()
        scope = group.value if group is not None else ALL
    with office.store.write() as tx:
        before = was_done(tx, asked.message_id)
        lifted: Sequence[Halt] = ()
        if before is None:
            by = f"{asked.line} by {asked.actor}"
            now = office.clock.now()
            # A stop that came while this waited for the store stands.
            lifted = operate.lift_by_hand(tx, scope=scope, by=by, at=now, asked_at=asked.at)
            names = ", ".join(halt.halt_id for halt in lifted)
            tx.append([record(call, CommandState.DONE, names, argument=scope)])
        left = tx.open_halts()
    lines = [f"✅ lifted: {bold(h.scope)}, {esc(h.reason)}" for h in lifted]
    if before is not None:
        lines.append("This was done before.")
    elif not lifted:
        lines.append("No halt of a person stands there; nothing was lifted.")
    if left:
        lines += ["", "Not lifted:"]
    for item in left:
        command = operate.resume_command(item)
        lines += [halt_line(item), f"   at the machine: <code>{command}</code>"]
    for name in office.groups:
        state = trading_state(left, group=name, currency=currency_of(name))
        lines.append(f"{bold(name)}: {state.value}")
    return Answer("<b>Resume</b>", lines, [[Button("Status", "status")]])
