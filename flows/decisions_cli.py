"""``ouroboros decisions``: what was decided, what became of it, and what people say about it."""

from __future__ import annotations

from typing import Annotated

import typer

from flows import audit_screens
from flows.options import JsonOption, date_of, print_answer

decisions_app = typer.Typer(
    help="What was decided, newest first, with its outcome and the remarks of people.",
    invoke_without_command=True,
)


@decisions_app.callback()
def decisions(
    context: typer.Context,
    market: Annotated[str | None, typer.Option("--market", "-m", help="Where to look.")] = None,
    date_: Annotated[str | None, typer.Option("--date", help="Session, YYYY-MM-DD.")] = None,
    symbol: Annotated[str | None, typer.Option("--symbol", help="One symbol only.")] = None,
    action: Annotated[str | None, typer.Option("--action", help="BUY, SELL or HOLD.")] = None,
    unreviewed: Annotated[
        bool, typer.Option("--unreviewed", help="Only those nobody left a remark on.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """What was decided, newest first, with its outcome and the remarks of people."""
    if context.invoked_subcommand is not None:
        return
    from flows import answers

    found = answers.decisions(
        market, date_of(date_), symbol, action, unreviewed=unreviewed, limit=limit
    )
    print_answer(found, as_json, audit_screens.decisions)


@decisions_app.command()
def review(
    decision: Annotated[str, typer.Argument(help="The id, or how it begins.")],
    note: Annotated[str, typer.Option("--note", prompt="What is to be said?", help="Recorded.")],
    by: Annotated[str, typer.Option("--by", help="Who says it.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Leave a remark on a decision and mark it as reviewed; earlier remarks are kept."""
    from flows import answers

    print_answer(answers.review_decision(decision, note, by), as_json, audit_screens.reviewed)
