"""How answers look in a terminal. Every function takes the JSON answer of its command."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rich.markup import escape
from rich.table import Table

from flows.console import money as _money
from flows.console import out as _out
from flows.console import screen as _screen
from trading_core.model.market import MarketGroup
from trading_core.rules.markets import zone_of

Json = dict[str, Any]
_RESULTS = {"ok": "green", "warning": "yellow", "failed": "red", "done": "green"}
_LEVELS = {"reducing": "exits go on", "halted": "exits are stopped too"}
_SEVERITIES = {"info": "dim", "warning": "yellow", "critical": "red"}
_HEALTH = {"HEALTHY": "green", "DEGRADED": "yellow", "UNHEALTHY": "red"}
_STATES = {"active": "green", "reducing": "yellow", "halted": "red"}


def _grid(title: str) -> Table:
    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    return table


@_screen
def demo_summary(answer: Json) -> None:
    """The day in about twenty lines, and where to look next."""
    console = _out()
    console.print()
    console.print(_session_grid(answer))
    if answer["positions"]:
        console.print()
        console.print(_positions(answer))
    card = answer["scorecard"]
    for lesson in card["lessons"] if card else ():
        console.print(f"lesson: {lesson}")
    notes = ", ".join(f"{name} {count}" for name, count in answer["data_notes"].items())
    if notes:
        console.print(f"price data: {notes}", style="dim")
    console.print(
        f"\ndone in {answer['wall_seconds']} s; decisions {answer['decisions_digest'][:16]}"
    )
    if answer["kept"]:
        home = answer["kept"]
        console.print(f"kept in {home}. Look next:")
        console.print(f"  OUROBOROS_HOME={home} ouroboros status")
        console.print(f"  OUROBOROS_HOME={home} ouroboros why {_example_symbol(answer)}")
        console.print(f"  PREFECT_HOME={home}/prefect prefect server start   # the flow runs")
    else:
        console.print("nothing was kept; run it again with --keep DIR to look around in it")


def _example_symbol(answer: Json) -> str:
    if answer["positions"]:
        return str(answer["positions"][0]["symbol"])
    card = answer["scorecard"] or {}
    traded = [*card.get("best", ()), *card.get("worst", ())]
    return str(traded[0]["symbol"]) if traded else "SYMBOL"


def _session_grid(answer: Json) -> Table:
    table = _grid(f"[bold]{answer['market']} {answer['session']}[/]")
    book, orders, llm = answer["playbook"], answer["orders"], answer["llm"]
    source = book["source"] or "none"
    if book["fallback_reason"]:
        source += f" ({book['fallback_reason']})"
    table.add_row("playbook by", source)
    table.add_row(
        "",
        f"{book['stocks']} stocks, {book['scenarios']} scenarios, {book['dropped']} dropped, "
        f"{book['reviewed']} removed as unsafe",
    )
    live = answer["realtime"]
    if live:
        why = f" ({live['reason']})" if live["reason"] else ""
        table.add_row(
            "realtime",
            f"{live['decided_by']} decides{why}; {live['cycles']} cycles, {live['asked']} asked, "
            f"{live['reused']} unchanged, {live['failed']} without a decision",
        )
    table.add_row(
        "ticks",
        f"{answer['ticks']} with {answer['observations']:,} observations, "
        f"{answer['matches']:,} matches and near misses",
    )
    table.add_row("orders", _counts(orders))
    refused = ", ".join(f"{code} {count}" for code, count in answer["refusals"].items())
    if refused:
        table.add_row("refused for", refused)
    for code, pnl in answer["pnl"].items():
        table.add_row(
            f"P&L {code}",
            f"{_money(pnl['gross'], signed=True)} gross - {_money(pnl['fees'])} fees - "
            f"{_money(pnl['tax'])} tax = [bold]{_money(pnl['net'], signed=True)} net[/]",
        )
    for code, equity in answer["equity"].items():
        table.add_row(f"equity {code}", f"{_money(equity['start'])} -> {_money(equity['end'])}")
    for halt in answer["halts"]:
        table.add_row("[red]halt[/]", f"[red]{halt['scope']}: {halt['reason']}[/]")
    for item in answer["differences"]:
        table.add_row(
            f"[{_SEVERITIES[item['severity']]}]differs[/]",
            f"{item['kind'].replace('_', ' ')} {item['subject']}: {item['found']}, expected "
            f"{item['expected']}; repaired by: {item['repaired_by']}",
        )
    table.add_row("model", f"{llm['calls']} calls, {llm['tokens']} tokens, {llm['cost']} USD")
    card = answer["scorecard"]
    if card:
        table.add_row("scorecard", _card(card))
    if answer["backup"]:
        verified = "verified" if answer["backup"]["verified"] else "NOT verified"
        table.add_row("backup", f"{answer['backup']['path']} ({verified})")
    return table


def _counts(orders: Mapping[str, int]) -> str:
    first = f"{orders['intended']} intended, {orders['accepted']} accepted"
    rest = [
        f"{count} {name.replace('_', ' ')}"
        for name, count in orders.items()
        if name not in ("intended", "accepted") and count
    ]
    return ", ".join([first, *rest])


def _card(card: Json) -> str:
    rate = card["win_rate_pct"]
    won = "no closed trades" if rate is None else f"win rate {rate:.0f} %"
    confidence = card["average_confidence"]
    sure = "" if confidence is None else f", average confidence {confidence:.0f}"
    match = card["match_rate_pct"]
    matched = "" if match is None else f", match rate {match:.1f} %"
    return f"{card['wins']} won, {card['losses']} lost, {won}{sure}{matched}"


def _positions(answer: Json) -> Table:
    table = Table(title="open positions", title_justify="left", box=None, pad_edge=False)
    for name in ("symbol", "quantity", "average", "last", "unrealized", ""):
        table.add_column(name, justify="left" if name in ("symbol", "") else "right")
    for row in answer["positions"]:
        table.add_row(
            row["symbol"],
            f"{row['quantity']:,}",
            _money(row["average_price"]),
            _money(row["last_price"]),
            _money(row["unrealized"], signed=True),
            row["origin"],
        )
    return table


@_screen
def status(answer: Json) -> None:
    """Halts first, then each market's newest session."""
    console = _out()
    console.print(f"mode {answer['mode']}, store {answer['store']}")
    if "backups" in answer:
        console.print(_backups(answer["backups"]), soft_wrap=True)
    for name, state in answer.get("states", {}).items():
        console.print(f"{name}: [{_STATES[state]}]{state}[/]")
    for item in answer["halts"]:
        console.print(
            f"[red]halted ({item['scope']}) by {item['kind']}, {_LEVELS[item['level']]}, since "
            f"{item['raised_at']}: {item['reason']}[/]; lift it with: {item['lift_with']}",
            soft_wrap=True,
        )
    if answer.get("paused_deployments"):
        console.print(f"paused in Prefect: {', '.join(answer['paused_deployments'])}")
    for market in answer["markets"]:
        console.print()
        console.print(_session_grid(market))
        if market["positions"]:
            console.print(_positions(market))
    for name in answer["nothing_yet"]:
        console.print(f"\n{name}: nothing yet; the first plan is made before the next open")


def _backups(answer: Json) -> str:
    """``backups HEALTHY, the newest 3.2 h old``, and what is wrong."""
    colour = _HEALTH[answer["health"]]
    newest = "" if answer["age_hours"] is None else f", the newest {answer['age_hours']:.1f} h old"
    said = "; ".join(reason["text"] for reason in answer["reasons"])
    return f"backups [{colour}]{answer['health']}[/]{newest}" + (f": {said}" if said else "")


@_screen
def flow_state(answer: Json) -> None:
    """One line: the flow, its state and its message."""
    market = f" {answer['market']}" if answer["market"] else ""
    _out().print(f"{answer['flow']}{market}: {answer['state']} - {answer['message']}")


@_screen
def halts(answer: Json) -> None:
    """What was raised or lifted."""
    console = _out()
    for item in answer["raised"]:
        console.print(
            f"halted {item['scope']}: {item['reason']}; lift it with: ouroboros resume "
            f"{item['scope']}",
            soft_wrap=True,
        )
    for item in answer["lifted"]:
        console.print(f"lifted {item['scope']}: {item['reason']}", soft_wrap=True)
    if not answer["raised"] and not answer["lifted"]:
        console.print("no halt stands there; nothing to lift")
    for what in ("paused", "restored"):
        if answer.get(what):
            console.print(f"{what} in Prefect: {', '.join(answer[what])}")


@_screen
def kill(answer: Json) -> None:
    """One line for all of it, one per step, and how to lift it."""
    console = _out()
    console.print(answer["line"], soft_wrap=True)
    for row in answer["steps"]:
        style, name = _RESULTS[row["outcome"]], f"{row['step']} {row['market']}".strip()
        console.print(f"[{style}]{row['outcome']:<8}[/] {name}: {row['detail']}", soft_wrap=True)
    console.print(f"lift it with: {answer['lift_with']}", soft_wrap=True)


@_screen
def doctor(answer: Json) -> None:
    """One line per check."""
    console = _out()
    for check in answer["checks"]:
        style = _RESULTS[check["result"]]
        console.print(
            f"[{style}]{check['result']:<8}[/] {check['name']}: {check['detail']}", soft_wrap=True
        )


@_screen
def twin(answer: Json) -> None:
    """Where the twin listens, what it plays, and what to type next."""
    console = _out()
    table = _grid(f"[bold]twin of the {answer['mode']} host[/]")
    table.add_row("REST", answer["url"])
    table.add_row("WebSocket", f"{answer['ws_url']} (fields of {answer['layout']})")
    table.add_row("key, secret", "any")
    for account in answer["accounts"]:
        cash = ", ".join(f"{_money(amount)} {unit}" for unit, amount in account["cash"].items())
        table.add_row("account", f"{account['account_no']} with {cash}")
    for play in answer["sessions"]:
        table.add_row(play["market"], _play(play))
    table.add_row("clock", _twin_clock(answer))
    if answer["rate_limit"]:
        table.add_row("limit", f"{answer['rate_limit']:g} calls a second and key")
    if answer["faults"]:
        table.add_row("faults", f"{answer['faults']} rules; GET {answer['url']}/twin/faults")
    if answer["state"]:
        kept = f", {answer['restored']:,} effects brought back" if answer["restored"] else ""
        table.add_row("state", f"{answer['state']}{kept}")
    console.print(table, soft_wrap=True)
    notes = ", ".join(f"{name} {count}" for name, count in answer["data_notes"].items())
    if notes:
        console.print(f"price data: {notes}", style="dim", soft_wrap=True)
    console.print("\nIn another terminal:")
    console.print("  ouroboros doctor", soft_wrap=True)
    console.print(f"  curl {answer['url']}/twin/state", soft_wrap=True)
    if answer["clock"] == "stepped":
        later = datetime.fromisoformat(answer["now"]) + timedelta(hours=1)
        body = escape(f'{{"advance_to": "{later.isoformat()}"}}')
        console.print(f"  curl {answer['url']}/twin/clock -d '{body}'", soft_wrap=True)
    console.print("Ctrl-C stops it")


def _play(play: Json) -> str:
    zone = ZoneInfo(zone_of(MarketGroup(play["market"])))
    opens, closes = (
        datetime.fromisoformat(play[key]).astimezone(zone) for key in ("open_at", "close_at")
    )
    return (
        f"{play['session']}, {opens:%H:%M} to {closes:%H:%M} {zone.key}, {play['symbols']} symbols"
    )


def _twin_clock(answer: Json) -> str:
    zone = ZoneInfo(zone_of(MarketGroup(answer["sessions"][0]["market"])))
    now = f"{datetime.fromisoformat(answer['now']).astimezone(zone):%Y-%m-%d %H:%M:%S} {zone.key}"
    if answer["clock"] == "stepped":
        return f"{now}, stands still until POST /twin/clock"
    return f"{now}, {answer['speed']:g} exchange seconds a second"


@_screen
def settled(answer: Json) -> None:
    """Where the order stands now."""
    order = answer["order"]
    intent = order["intent"]
    what = f"{intent['side']} {intent['quantity']} {intent['instrument']['symbol']}"
    _out().print(f"{what}: {order['state']}. Lift the halt with: ouroboros resume")


@_screen
def costs(answer: Json) -> None:
    """What was asked of language models and what is left of the limits."""
    console = _out()
    table = Table(box=None, pad_edge=False)
    for name in ("day", "model", "purpose"):
        table.add_column(name)
    counted = ("calls", "reused", "failed", "lost", "in", "out", "cached", "thinking", "USD")
    for name in counted:
        table.add_column(name, justify="right")
    names = [*counted[:4], *(f"{kind}_tokens" for kind in ("input", "output", *counted[6:8]))]
    total = {**answer["total"], "day": "total", "model": "", "purpose": ""}
    for row in [*answer["rows"], total]:
        sums = [f"{row[name]:,}" for name in names]
        table.add_row(row["day"], row["model"], row["purpose"], *sums, _money(row["usd"]))
    console.print(table)
    console.print(f"\ndays and months of {answer['zone']}; USD at list price", style="dim")
    for name, limit in answer["limits"].items():
        left = "no limit" if limit["limit"] is None else f"{limit['left']} left of {limit['limit']}"
        console.print(f"LLM_{name.upper()}: {limit['used']} used, {left}")
    if answer["model"] and not answer["price_known"]:
        console.print(f"no price is known for {answer['model']}: only its calls are limited")
