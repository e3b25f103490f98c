"""``/notify``: how loudly people are told about each kind."""

from __future__ import annotations

from trading_core.model.chat import Answer, Button
from trading_core.model.notice import NotifyLevel
from trading_core.model.operator import CommandState
from trading_core.steps import notify_levels
from trading_core.steps.commands.control import record, was_done
from trading_core.steps.commands.office import Call
from trading_core.steps.commands.wording import bold, esc

_SIGNS = {NotifyLevel.ON: "🔔", NotifyLevel.SILENT: "🔕", NotifyLevel.OFF: "🚫"}
_PER_ROW = 2
_ALWAYS = "What is critical is always told, with a sound."


def notify(call: Call) -> Answer:
    """Every kind; the levels of one; or a level set."""
    given = call.asked.arguments
    if len(given) >= 2:
        return _set(call, given[0], given[1])
    with call.office.store.read() as reader:
        levels = notify_levels.levels(reader)
    if given:
        return _one(given[0], levels)
    buttons = [Button(f"{_SIGNS[i.level]} {_name(i.kind)}", f"notify {i.kind}") for i in levels]
    buttons.append(Button(notify_levels.ALL, f"notify {notify_levels.ALL}"))
    lines = ["Press a kind to change how loudly it is told.", _ALWAYS]
    rows = [buttons[i : i + _PER_ROW] for i in range(0, len(buttons), _PER_ROW)]
    return Answer("<b>Notifications</b>", lines, rows, again="notify")


def _name(kind: str) -> str:
    return kind.replace("_", " ")


def _one(name: str, levels: list[notify_levels.KindLevel]) -> Answer:
    wanted = name.lower().replace("-", "_")
    found = [item for item in levels if wanted in (notify_levels.ALL, item.kind.value)]
    if not found:
        known = ", ".join([notify_levels.ALL, *(item.kind.value for item in levels)])
        return Answer(f"<b>There is no kind {esc(name)}</b>", [f"There are: {esc(known, 900)}"])
    return _shown(wanted, found, ["How loudly?"])


def _set(call: Call, kind: str, level: str) -> Answer:
    office, asked = call.office, call.asked
    with office.store.read() as reader:
        before = was_done(reader, asked.message_id)
    if before is not None:
        return Answer("<b>Notifications</b>", ["This was done before."])
    at = office.clock.now()
    found = notify_levels.set_level(office.store, kind, level, at=at, by=asked.actor)
    with office.store.write() as tx:
        tx.append([record(call, CommandState.DONE)])
    return _shown(kind.lower(), found, ["Set."])


def _shown(name: str, found: list[notify_levels.KindLevel], lines: list[str]) -> Answer:
    row = [Button(f"{_SIGNS[level]} {level}", f"notify {name} {level}") for level in NotifyLevel]
    told = [f"{_SIGNS[i.level]} {bold(_name(i.kind))}, {i.level}: {esc(i.about)}" for i in found]
    return Answer("<b>Notifications</b>", [*told, *lines], [row, [Button("All kinds", "notify")]])
