"""``/scenarios``, ``/playbook``, ``/review``: what is planned, what matched, what was learned."""

from __future__ import annotations

from decimal import Decimal

from trading_core.model.chat import Answer, Button
from trading_core.model.journal import MatchRow, Scorecard
from trading_core.model.market import Currency, MarketGroup
from trading_core.model.playbook import GlobalRule, Playbook, Scenario
from trading_core.ports import StoreReader
from trading_core.steps.commands.office import Call, choose
from trading_core.steps.commands.wording import (
    NO_DATA,
    bold,
    count,
    esc,
    moment,
    money,
    pct,
    short_day,
)

_CLOSEST = 5
_CARDS = 5


def scenarios(call: Call) -> Answer:
    """What matched in the newest session of each market, and what came closest."""
    lines: list[str] = []
    with call.office.store.read() as reader:
        for group in call.office.groups:
            lines += _matched(reader, group)
    return Answer("<b>Scenarios</b>", lines or ["Nothing was planned yet."], again="scenarios")


def _matched(reader: StoreReader, group: MarketGroup) -> list[str]:
    day = reader.newest_session(group)
    if day is None:
        return []
    rows = reader.newest_matches(group, day)
    hits = sorted((r for r in rows if r.kind in ("first", "global")), key=lambda r: r.at)
    near = [r for r in rows if r.kind == "near" and r.distance is not None]
    acted = {row.symbol for row in hits}
    near = sorted((r for r in near if r.symbol not in acted), key=lambda r: r.distance or 0.0)
    lines = [f"{bold(group)} {short_day(day)}: {count(len(hits), 'match', 'matches')}"]
    lines += [
        f"✅ {moment(r.at, group)} {bold(r.symbol or 'all')} {esc(r.action)}, "
        f"confidence {r.confidence} ({esc(r.scenario_id)})"
        for r in hits
    ]
    if near:
        lines.append("Closest, at the last look:")
    lines += [_near(row) for row in near[:_CLOSEST]]
    return [*lines, ""]


def _near(row: MatchRow) -> str:
    seen = NO_DATA if row.value is None else f"{row.value:,g}"
    bound = "" if row.threshold is None else f" {esc(row.op)} {row.threshold:,g}"
    return f"▫️ {bold(row.symbol)} {esc(row.action)}: {esc(row.field)} {seen}, needs{bound}"


def playbook(call: Call) -> Answer:
    """The newest playbook of a market."""
    group = call.group()
    if group is None and len(call.office.groups) > 1:
        return choose("<b>Playbook of which market?</b>", "playbook", call.office.groups)
    group = group or call.office.groups[0]
    with call.office.store.read() as reader:
        day = reader.newest_session(group)
        book = reader.playbook(group, day) if day is not None else None
    again = f"playbook {group}"
    if book is None:
        return Answer(f"<b>Playbook</b> · {group}", ["There is none yet."], again=again)
    dropped = sum(note.kind in ("dropped", "reviewed") for note in book.notes)
    lines = [
        f"Outlook: {esc(book.outlook.value.replace('_', ' '))}",
        f"By {esc(book.source)} {esc(book.model)}".rstrip()
        + f" at {moment(book.generated_at, group)}, {book.token_count:,} tokens",
    ]
    if book.fallback_reason:
        lines.append(f"⚠ {esc(book.fallback_reason)}")
    if dropped:
        lines.append(f"{count(dropped, 'part')} of the draft dropped as wrong or unsafe")
    lines += [_rule(rule) for rule in book.global_rules]
    for stock in book.stocks:
        lines += ["", bold(stock.symbol), *(_scenario(item) for item in stock.scenarios)]
    if not book.stocks:
        lines += ["", "No stock is planned: what is held is guarded, nothing is bought."]
    return Answer(_book_title(book, group), lines, again=again)


def _book_title(book: Playbook, group: MarketGroup) -> str:
    return f"<b>Playbook</b> · {group} {short_day(book.session)}"


def _rule(rule: GlobalRule) -> str:
    condition = rule.condition
    asked = f"{condition.field} {condition.op} {condition.value:g}"
    return f"All: {esc(rule.action.value.replace('_', ' ').lower())} if {esc(asked)}"


def _scenario(item: Scenario) -> str:
    asked = " and ".join(f"{c.field} {c.op} {c.value:g}" for c in item.conditions)
    parts = [f"{item.confidence} sure"]
    if item.allocation_pct:
        parts.append(f"{item.allocation_pct:g} % of cash")
    if item.stop_loss_pct is not None:
        parts.append(f"stop {item.stop_loss_pct:g} %")
    if item.take_profit_pct is not None:
        parts.append(f"target +{item.take_profit_pct:g} %")
    return f"• {esc(item.action)} if {esc(asked)} ({', '.join(parts)})"


def review(call: Call) -> Answer:
    """The last scorecards, newest first, or those of one market."""
    group = call.group()
    with call.office.store.read() as reader:
        cards = reader.scorecards(group, _CARDS)
    lines: list[str] = []
    for card in cards:
        lines += [*_card(card), ""]
    row = [Button(g.value, f"review {g}") for g in call.office.groups]
    buttons = [row] if len(row) > 1 else []
    again = f"review {group}" if group else "review"
    return Answer("<b>Reviews</b>", lines or ["No session was reviewed yet."], buttons, again)


def _card(card: Scorecard) -> list[str]:
    earned = ", ".join(
        money(Decimal(amount), Currency(code), signed=True) for code, amount in card.net_pnl.items()
    )
    rate = "no closed trade" if card.win_rate_pct is None else f"win rate {card.win_rate_pct:.0f} %"
    sure = "" if card.average_confidence is None else f", confidence {card.average_confidence:.0f}"
    match = "" if card.match_rate_pct is None else f", matched {pct(card.match_rate_pct, 1)[1:]}"
    lines = [
        f"{bold(card.market)} {short_day(card.session)}: <b>{earned or NO_DATA}</b> net",
        f"{card.wins} won, {card.losses} lost, {rate}{sure}{match}",
        f"{count(card.filled_orders, 'order')} filled of {card.orders} sent, "
        f"{card.refused} refused; planned by {esc(card.playbook_source)}",
    ]
    return [*lines, *(f"💡 {esc(lesson)}" for lesson in card.lessons[:2])]
