"""``ouroboros go-live``: a person says yes to real money, the account and the limits."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.console import Json, out, screen
from flows.options import JsonOption, print_answer

WORDS = "I trade real money"


def go_live(
    i_know: Annotated[bool, typer.Option("--i-know", help="Do not ask for the words.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the account and the limits that MODE=live would trade with, and confirm them.

    Without it no flow trades real money. Ask again after the account, the markets or a limit
    changed; stricter limits need no new confirmation.
    """
    from trading_core.clock import SystemClock
    from trading_core.errors import ConfigError
    from trading_core.wiring import configure, confirm_live, live_limits

    settings = configure()
    if settings.mode != "live":
        raise ConfigError("MODE=paper: set MODE=live and the keys of the real account first")
    live = live_limits(settings)
    if not i_know:
        limits(live)
        said = typer.prompt(f'Type "{WORDS}" to go on', default="", show_default=False)
        if said.strip() != WORDS:
            raise ConfigError("not confirmed; nothing was written")
    path = confirm_live(settings, SystemClock().now())
    print_answer({**live, "confirmed": str(path)}, as_json, _confirmed)


@screen
def limits(answer: Json) -> None:
    """What would be traded with."""
    console = out()
    console.print(f"[bold]{answer['account']}[/], markets {', '.join(answer['markets'])}")
    for name, value in answer["limits"].items():
        console.print(f"  {name:<30} {value:g}")


@screen
def _confirmed(answer: Json) -> None:
    limits(answer)
    out().print(f"confirmed in {answer['confirmed']}; go on with: ouroboros up", soft_wrap=True)
