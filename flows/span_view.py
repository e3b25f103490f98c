"""How several sessions in a row look: one line each, then what they came to."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.console import Console
from rich.table import Table

from flows.console import Json, money, out, screen
from flows.options import print_answer

_LAYERS = ("L3", "L4", "L5")
_CLAUSES = 6


class Played:
    """Collects the sessions of a demo; as JSON each is printed at once."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._sessions: list[Json] = []

    def add(self, answer: Json) -> None:
        self._sessions.append(answer)
        if self._as_json:
            print_answer(answer, True, None)

    def show(self, total: Json) -> None:
        """All of it in a terminal."""
        _show({"sessions": self._sessions, "total": total})


@screen
def _show(answer: Json) -> None:
    console, total = out(), answer["total"]
    console.print()
    console.print(_sessions(answer["sessions"], list(total["money"])), soft_wrap=True)
    console.print()
    console.print(_totals(total))
    console.print()
    _show_memory(console, total["memory"])
    console.print()
    _show_calibration(console, total["calibration"])
    console.print(f"\ndone in {total['wall_seconds']} s")
    if total["kept"]:
        console.print(f"kept in {total['kept']}; OUROBOROS_HOME={total['kept']} ouroboros status")
    else:
        console.print("nothing was kept; run it again with --keep DIR to look around in it")


def _sessions(sessions: list[Json], currencies: list[str]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("session", no_wrap=True)
    table.add_column("playbook", no_wrap=True)
    amounts = [f"{name} {code}" for code in currencies for name in ("net", "equity")]
    for name in ("plans", "orders", "fills", "won", "lost", *amounts, "halts", "s"):
        table.add_column(name, justify="right", no_wrap=True)
    for s in sessions:
        card = s["scorecard"] or {"wins": "-", "losses": "-"}
        table.add_row(
            s["session"],
            s["playbook"]["source"] or "none",
            f"{s['playbook']['scenarios']}",
            f"{s['orders']['accepted']}",
            f"{s['fills']}",
            f"{card['wins']}",
            f"{card['losses']}",
            *(text for code in currencies for text in _amounts(s, code)),
            f"{len(s['halts'])}",
            f"{s['wall_seconds']:.0f}",
        )
    return table


def _amounts(session: Json, code: str) -> tuple[str, str]:
    pnl, equity = session["pnl"].get(code, {}), session["equity"].get(code, {})
    return money(pnl.get("net"), signed=True), money(equity.get("end"))


def _totals(total: Json) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    table.add_row("sessions", f"{total['sessions']}, {total['first']} to {total['last']}")
    table.add_row("playbooks by", _counted(total["playbooks"]))
    for reason, count in Counter(total["fallbacks"].values()).items():
        table.add_row("", f"{count} because: {reason}")
    table.add_row("orders", _counted(total["orders"]))
    if total["refusals"]:
        table.add_row("refused for", _counted(total["refusals"]))
    for code, sums in total["money"].items():
        table.add_row(
            f"P&L {code}",
            f"{money(sums['gross'], signed=True)} gross - {money(sums['fees'])} fees - "
            f"{money(sums['tax'])} tax = [bold]{money(sums['net'], signed=True)} net[/], "
            f"{money(sums['overnight'], signed=True)} overnight",
        )
        table.add_row(
            f"equity {code}",
            f"{money(sums['equity_start'])} -> {money(sums['equity_end'])} "
            f"({_percent(sums['change_pct'], signed=True)})",
        )
    closed = total["closed"]
    nets = ", ".join(f"{money(amount, signed=True)} {c}" for c, amount in closed["net"].items())
    table.add_row(
        "closed trades",
        f"{closed['trades']}, {closed['won']} won ({_percent(closed['win_rate_pct'])})"
        + (f", {nets} after costs" if nets else ""),
    )
    table.add_row("still open", f"{len(total['positions'])} positions")
    for halt in total["halts"]:
        table.add_row("[red]halt[/]", f"[red]{halt['scope']}: {halt['reason']}[/]")
    llm = total["llm"]
    table.add_row("model", f"{llm['calls']} calls, {llm['tokens']} tokens, {llm['cost']} USD")
    return table


def _show_memory(console: Console, memory: Json) -> None:
    from trading_core.rules.summarise import clauses

    entries = ", ".join(f"{layer} {count}" for layer, count in memory["entries"].items())
    console.print(f"memory: {entries} entries", soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for name in ("layer", "timeframe", "what"):
        table.add_column(name)
    for layer in _LAYERS:
        for entry in memory[layer]:
            said = [f"{name} {value}".strip() for name, value in clauses(entry["value"])]
            table.add_row(layer, entry["timeframe"], "; ".join(said[:_CLAUSES]))
    console.print(table)


def _show_calibration(console: Console, found: Json) -> None:
    brier = "" if found["brier"] is None else f"; Brier {found['brier']}"
    base = "" if found["base_brier"] is None else f" (stating the hit rate: {found['base_brier']})"
    console.print(f"calibration: {found['samples']} settled entries{brier}{base}", soft_wrap=True)
    if not found["bins"]:
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("confidence")
    for name in ("trades", "stated", "came true"):
        table.add_column(name, justify="right")
    for row in found["bins"]:
        table.add_row(
            row["confidence"],
            f"{row['trades']}",
            _percent(row["stated_pct"]),
            _percent(row["realized_pct"]),
        )
    console.print(table)


def _counted(counts: dict[str, int]) -> str:
    said = [f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if count]
    return ", ".join(said) or "none"


def _percent(value: Any, *, signed: bool = False) -> str:
    if value is None:
        return "no data"
    return f"{value:+.2f} %" if signed else f"{value:.0f} %"
