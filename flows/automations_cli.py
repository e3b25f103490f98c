"""``ouroboros automations``: what the Prefect server does by itself when something happens."""

from __future__ import annotations

import asyncio
from typing import Any

from flows.console import Json, out, screen
from flows.options import JsonOption, print_answer


def automations(as_json: JsonOption = False) -> None:
    """Make the automations of the Prefect server what they should be; again changes nothing.

    `book` does the same every five minutes. One that you switched off in the UI stays off.
    """
    print_answer(asyncio.run(_keep()), as_json, _kept)


async def _keep() -> Json:
    from dataclasses import asdict

    from tasks.automations import keep_automations
    from tasks.schedules import connect, read_deployments
    from trading_core.steps.summary import plain

    async with connect() as client:
        kept = await keep_automations(client, await read_deployments(client))
    answer: dict[str, Any] = plain(asdict(kept))
    return answer


@screen
def _kept(answer: Json) -> None:
    console = out()
    for what in ("created", "updated", "unchanged"):
        for name in answer[what]:
            off = " (switched off)" if name in answer["off"] else ""
            console.print(f"{what:<10} {name}{off}", soft_wrap=True)
    for name in answer["not_deployed"]:
        console.print(f"not deployed: {name}; run `prefect deploy --all`", soft_wrap=True)
