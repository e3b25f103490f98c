"""Tables for the Prefect UI. Showing something is never worth a failed run."""

from __future__ import annotations

import logging
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.context import FlowRunContext

from trading_core.model.journal import Scorecard
from trading_core.model.playbook import Playbook, Scenario

logger = logging.getLogger(__name__)


async def publish_playbook(playbook: Playbook) -> None:
    """One row per scenario, under the key ``playbook-kr``."""
    rows = [
        {
            "symbol": stock.symbol,
            "#": index,
            "when": _conditions(scenario),
            "action": scenario.action.value,
            "confidence": scenario.confidence,
            "allocation %": scenario.allocation_pct,
            "stop %": scenario.stop_loss_pct,
            "target %": scenario.take_profit_pct,
            "why": scenario.rationale,
        }
        for stock in playbook.stocks
        for index, scenario in enumerate(stock.scenarios)
    ]
    about = (
        f"Playbook {playbook.market} {playbook.session}: source {playbook.source.value}, outlook "
        f"{playbook.outlook.value}, {len(playbook.stocks)} stocks, {len(playbook.notes)} lint notes"
    )
    await _publish(
        create_table_artifact,
        key=f"playbook-{playbook.market.lower()}",
        table=rows,
        description=about,
    )


async def publish_scorecard(card: Scorecard) -> None:
    """The day's summary as one readable table, under the key ``summary-kr``."""
    lines = [f"# {card.market} {card.session}", "", "| | |", "|---|---|"]
    for label, value in _summary(card).items():
        lines.append(f"| {label} | {value} |")
    lines += ["", *(f"- {lesson}" for lesson in card.lessons)]
    await _publish(
        create_markdown_artifact,
        key=f"summary-{card.market.lower()}",
        markdown="\n".join(lines),
        description=f"Review of {card.market} {card.session}",
    )


def _summary(card: Scorecard) -> dict[str, str]:
    money = {
        f"net P&L {code}": f"{amount:+,} (gross {card.gross_pnl[code]:+,}, fees "
        f"{card.fees[code]:,}, taxes {card.taxes[code]:,})"
        for code, amount in card.net_pnl.items()
    }
    return {
        "playbook by": card.playbook_source,
        **money,
        "decisions": f"{card.decisions} ({card.buys} buy, {card.sells} sell, {card.holds} hold)",
        "orders": f"{card.orders} sent, {card.filled_orders} with fills, {card.refused} refused",
        "closed trades": f"{card.wins} won, {card.losses} lost",
        "win rate": _percent(card.win_rate_pct),
        "average confidence": _percent(card.average_confidence),
        "match rate": _percent(card.match_rate_pct),
    }


def _percent(value: float | None) -> str:
    return "no data" if value is None else f"{value:.1f} %"


def _conditions(scenario: Scenario) -> str:
    return " and ".join(f"{c.field} {c.op} {c.value:g}" for c in scenario.conditions)


async def _publish(create: Any, **content: Any) -> None:
    if FlowRunContext.get() is None:
        # It would belong to no run, and asking for a client would start a server for it.
        return
    try:
        await create(**content)
    except Exception as error:
        logger.warning("no artifact in the UI: %s", type(error).__name__)
