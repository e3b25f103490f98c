"""Telling people what an automation of the Prefect server has seen."""

from __future__ import annotations

from typing import Annotated

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed
from pydantic import Field

from tasks.naming import name_run
from trading_core.clock import SystemClock
from trading_core.model.difference import Severity
from trading_core.model.journal import Notification
from trading_core.model.notice import NotifyKind
from trading_core.wiring import tell_people

WORDS = 500
"""Characters of a message; a state may carry a page of it."""


@flow(name="alert", description="Tell people, on every channel, what an automation has seen.")
async def alert(
    text: Annotated[str, Field(min_length=1, description="What they are told.")],
    key: Annotated[str, Field(description="The same key is told once; empty for always.")] = "",
    severity: Annotated[Severity, Field(description="How bad it is.")] = Severity.CRITICAL,
    daily: Annotated[bool, Field(description="The same key is told again the next day.")] = False,
) -> State:
    """Tell people ``text``, through whatever channels the settings name.

    Args:
        text: What they are told; cut to 500 characters.
        key: A second message of the same key is not sent; empty for always.
        severity: Critical ones are sent whatever the hour.
        daily: The same key is told once a day (UTC), not once.
    """
    at = SystemClock().now()
    await name_run("alert", None, at)
    name = key or f"alert-{at.isoformat()}"
    if daily:
        name += f"-{at.date()}"
    said = text if len(text) <= WORDS else f"{text[:WORDS]} ..."
    await tell_people([Notification(name, at, NotifyKind.RUN.value, severity.value, said)])
    return Completed(message=said)
