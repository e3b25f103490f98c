"""``ouroboros secrets``: keys kept by the Prefect server instead of ``.env``."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.console import Json, out, screen
from flows.options import JsonOption, print_answer

secrets_app = typer.Typer(
    help="Keys in Prefect Secret blocks, read where PREFECT_SECRETS=true (docs/automations.md).",
    no_args_is_help=True,
)


@secrets_app.command("set")
def set_secret(
    name: Annotated[str, typer.Argument(help="A setting, such as KIS_APP_KEY.")],
    as_json: JsonOption = False,
) -> None:
    """Store one; it is asked for, so that it stays out of the shell's history."""
    from tasks.server import keep_secret
    from trading_core.errors import ConfigError
    from trading_core.wiring import secret_settings

    setting = name.strip().lower()
    if setting not in secret_settings():
        known = ", ".join(sorted(each.upper() for each in secret_settings()))
        raise ConfigError(f"{name}: no secret setting; there are {known}")
    value = typer.prompt(setting.upper(), hide_input=True, err=True)
    print_answer({"block": keep_secret(setting, value)}, as_json, _stored)


@screen
def _stored(answer: Json) -> None:
    out().print(f"stored as {answer['block']}; it is read at the next start")
