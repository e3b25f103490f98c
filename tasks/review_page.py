"""A day's review as one page of markdown, for people who were not there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from trading_core.model.journal import Json, Scorecard
from trading_core.model.market import Currency, MarketGroup
from trading_core.rules.markets import currency_of, zone_of
from trading_core.steps.lessons import ModelLessons

FATES = {
    "matched": "matched and were first in line",
    "behind_another": "matched, but an earlier scenario of the stock did too",
    "near": "came within 5 % of matching",
    "never_together": "had every condition true at some time, never all at once",
    "out_of_range": "asked for what the session never showed",
    "no_data": "read a value that was never there",
    "not_held": "were exits of stocks that were not held",
    "unseen": "were of stocks that were never observed",
}


def review_page(card: Scorecard, lessons: ModelLessons, planners: Json | None = None) -> str:
    """Score, lessons, calibration, coverage, execution and the model's cost; and what shadow
    planners would have earned, where there are any."""
    details = card.details
    blocks = [[f"# {card.market} {card.session}"]]
    if "reviewed_late_on" in details:
        blocks.append([f"Reviewed late, on {details['reviewed_late_on']}."])
    blocks += [_score(card), _lessons(card, lessons)]
    if details:
        blocks += [
            _execution(details, card.market),
            _coverage(details, card.market),
            _calibration(details["calibration"]),
            _model(details["llm"]),
        ]
    if planners is not None:
        blocks.append(_planners(planners))
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _score(card: Scorecard) -> list[str]:
    money = {
        f"net P&L {code}": f"{amount:+,} (gross {card.gross_pnl[code]:+,}, fees "
        f"{card.fees[code]:,}, taxes {card.taxes[code]:,})"
        for code, amount in card.net_pnl.items()
    }
    rows = {
        "playbook by": card.playbook_source,
        **money,
        "decisions": f"{card.decisions} ({card.buys} buy, {card.sells} sell, {card.holds} hold)",
        "orders": f"{card.orders} sent, {card.filled_orders} with fills, {card.refused} refused",
        "closed trades": f"{card.wins} won, {card.losses} lost",
        "win rate": percent(card.win_rate_pct),
        "expectancy": _expectancy(card.details.get("expectancy", {})),
        "average confidence": percent(card.average_confidence),
        "match rate": percent(card.match_rate_pct),
        "best": _trades(card.best),
        "worst": _trades(card.worst),
    }
    return _table(("", ""), [[label, value] for label, value in rows.items()])


def _expectancy(by_currency: Json) -> str:
    return f"{_amounts(by_currency)} a trade" if by_currency else "no data"


def _amounts(by_currency: Json) -> str:
    """``+1,234 KRW, -5.60 USD``."""
    return ", ".join(f"{_amount(text, code)} {code}" for code, text in by_currency.items())


def _amount(text: str, code: str) -> str:
    return f"{Currency(code).round(Decimal(text)):+,}"


def _trades(trades: Sequence[Json]) -> str:
    each = (f"{t['symbol']} {_amounts({t['currency']: t['net']})}" for t in trades)
    return ", ".join(each) or "none"


def _lessons(card: Scorecard, made: ModelLessons) -> list[str]:
    lines = ["## Lessons", ""]
    lines += [f"- {lesson}" for lesson in card.lessons] or ["- nothing stood out"]
    lines.append("")
    if made.reason:
        return [*lines, f"No lessons from a model: {plain_text(made.reason)}."]
    lines += [f"What {plain_text(made.source)} says (unchecked):", ""]
    return lines + ([f"> {plain_text(text)}" for text in made.lessons] or ["> nothing"])


def _execution(details: Json, market: str) -> list[str]:
    currency = currency_of(MarketGroup(market)).value
    rows = [
        [
            side,
            f"{paid['orders']}",
            f"{paid['cost_bps']:+.1f}",
            _amount(paid["cost"], currency),
            f"{paid['worst_symbol']} {paid['worst_bps']:+.1f}",
            "no data" if paid["filled_after_s"] is None else f"{paid['filled_after_s']:.0f}",
        ]
        for side, paid in details["slippage"].items()
    ]
    lines = ["## Execution", ""]
    if rows:
        head = ("side", "orders", "bps", currency, "worst bps", "seconds until seen filled")
        lines += ["Fills against the price of their decision; above zero is a cost.", ""]
        lines += _table(head, rows)
    else:
        lines.append("Nothing was filled.")
    stops = details["stops"]
    exits = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in stops["exits"].items())
    lines += ["", f"Exits: {exits or 'none'}."]
    if stops["hard_stops"]:
        lines.append(
            f"The hard stop that slipped most, of {stops['hard_stops']}, went "
            f"{stops['worst_overshoot_pct']:g} points beyond its level ({stops['worst_symbol']})."
        )
    return lines


def _coverage(details: Json, market: str) -> list[str]:
    coverage, movers = details["coverage"], details["movers"]
    lines = ["## Coverage", "", f"Of {coverage['scenarios']} scenarios", ""]
    lines += [f"- {coverage['fates'][n]} {w}" for n, w in FATES.items() if n in coverage["fates"]]
    if coverage["nearest"]:
        zone = ZoneInfo(zone_of(MarketGroup(market)))
        rows = [
            [
                near["scenario_id"],
                near["action"],
                f"{near['field']} {near['op']} {near['threshold']:g}",
                f"{near['value']:g}",
                f"{datetime.fromisoformat(near['at']).astimezone(zone):%H:%M}",
            ]
            for near in coverage["nearest"]
        ]
        lines += ["", "Nearest misses:", ""]
        lines += _table(("scenario", "action", "needed", "was", "at"), rows)
    if movers is None:
        return [*lines, "", "What moved without a scenario: no data, no ranking after this close."]
    if not movers:
        return [*lines, "", "Nothing the broker ranks moved far without a scenario."]
    rows = [[m["symbol"], f"{m['change_pct']:+.1f} %", m["why"]] for m in movers]
    lines += ["", "Moved without a scenario:", ""]
    return lines + _table(("symbol", "day", "before the open"), rows)


def _calibration(calibration: Json) -> list[str]:
    lines = ["## Calibration", ""]
    if not calibration["samples"]:
        return [*lines, "No entry of the last sessions is settled yet."]
    lines += [
        f"{calibration['samples']} settled entries of the last 30 days, "
        f"{calibration['hit_rate_pct']:.0f} % made money. Brier score {calibration['brier']:.3f} "
        f"(0 is perfect; always saying {calibration['hit_rate_pct']:.0f} % scores "
        f"{calibration['base_brier']:.3f}).",
        "",
    ]
    rows = [
        [
            b["confidence"],
            f"{b['trades']}",
            f"{b['stated_pct']:.1f} %",
            f"{b['realized_pct']:.1f} %",
        ]
        for b in calibration["bins"]
    ]
    return lines + _table(("confidence", "trades", "stated", "came true"), rows)


def _model(llm: Json) -> list[str]:
    earned = _amounts(llm["earned"])
    failed = f", {llm['failed']} failed" if llm["failed"] else ""
    return [
        "## Language model",
        "",
        f"{llm['calls']} calls{failed}, {llm['tokens']:,} tokens, {llm['cost_usd']} USD. "
        f"{llm['trades']} closed trades were planned by a model: {earned or 'nothing earned'}.",
    ]


def _planners(compared: Json) -> list[str]:
    code = compared["currency"]
    rows = [
        [
            plain_text(name),
            "no data" if score["net"] is None else _amount(score["net"], code),
            f"{score['trades']}",
            f"{score['won']} / {score['lost']}",
            percent(score["win_rate_pct"]),
            percent(score["match_rate_pct"]),
            plain_text(score["problem"]),
        ]
        for name, score in compared["planners"].items()
    ]
    head = ("planner", f"net {code}", "trades", "won / lost", "win rate", "match rate", "problem")
    said = "Net since the close before, after costs, with what is held; only the first one traded."
    return ["## Planners", "", said, "", *_table(head, rows)]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def percent(value: float | None) -> str:
    return "no data" if value is None else f"{value:.1f} %"


_MARKDOWN = str.maketrans({c: f"\\{c}" for c in "\\`*_{}[]()<>#+-!|"})


def plain_text(text: str) -> str:
    """Text from outside as it stands: no link, no heading, no image."""
    return text.translate(_MARKDOWN)
