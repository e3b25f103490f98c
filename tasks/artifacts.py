"""What the Prefect UI shows. Showing something is never worth a failed run."""

from __future__ import annotations

import logging
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.context import FlowRunContext

from tasks.review_page import review_page
from trading_core.model.journal import Json, Scorecard
from trading_core.model.playbook import Playbook, Scenario
from trading_core.steps.lessons import ModelLessons

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


async def publish_review(
    card: Scorecard, lessons: ModelLessons, planners: Json | None = None
) -> None:
    """The day's review as one readable page, under the key ``review-kr``."""
    await _publish(
        create_markdown_artifact,
        key=f"review-{card.market.lower()}",
        markdown=review_page(card, lessons, planners),
        description=f"Review of {card.market} {card.session}",
    )


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
