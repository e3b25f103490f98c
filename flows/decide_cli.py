"""``ouroboros decide``: what the model says of one stock now. Nothing is ordered."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

import typer

from flows.console import Json, out, screen
from flows.options import JsonOption, print_answer
from trading_core.model.decision import Opinion
from trading_core.model.market import Instrument, MarketGroup


def decide(
    symbol: Annotated[str, typer.Argument(help="Symbol, such as 005930 or AAPL.")],
    market: Annotated[
        str, typer.Option("--market", "-m", help="KR, US_NASDAQ, US, JP ...", show_default=True)
    ] = "KR",
    as_json: JsonOption = False,
) -> None:
    """Ask the model about one stock now and show its decision; no order is sent.

    It counts as one call. A market that names several exchanges is gone through in their order.
    """
    answer = asyncio.run(decision_now(symbol.strip().upper(), market))
    print_answer(answer, as_json, show)


async def decision_now(symbol: str, market: str) -> Json:
    """The decision and what it stands on, as plain JSON values.

    Raises:
        ConfigError: no model is configured.
        NotASession: the exchange has no session today.
        BrokerUnavailable: there is no usable price.
    """
    from tasks.planning import open_day
    from tasks.realtime import make_decider
    from trading_core.errors import NotASession
    from trading_core.model.playbook import Outlook, Playbook, PlaybookSource
    from trading_core.rules.calendar import local_date, session_on
    from trading_core.steps.summary import plain
    from trading_core.wiring import open_runtime

    group = MarketGroup.parse(market)
    exchanges = [m for m in group.markets if m.value == market.strip().upper()] or group.markets
    async with open_runtime() as runtime:
        at = runtime.clock.now()
        session = session_on(group, local_date(group, at))
        if session is None:
            raise NotASession(f"{group} does not trade today, so there is nothing to decide on")
        nothing = Playbook(
            session=session.date,
            market=group.value,
            source=PlaybookSource.EXIT_ONLY,
            outlook=Outlook.NEUTRAL,
            generated_at=at,
        )
        day = await open_day(runtime, group, session, nothing)
        listed = [Instrument(symbol, exchange) for exchange in exchanges]
        opinion = await make_decider(runtime).one(day, listed, at)
    return {
        "market": group.value,
        "session": session.date.isoformat(),
        "open": session.contains(at),
        **_opinion(opinion, plain),
    }


def _opinion(opinion: Opinion, plain: Any) -> Json:
    from trading_core.steps.desk import plain as numbers

    inputs = opinion.inputs
    return {
        "at": inputs.at.isoformat(),
        "exchange": inputs.instrument.market.value,
        "price": plain(inputs.price),
        "held": inputs.held,
        "fields": numbers(inputs.fields),
        "decision": plain(asdict(opinion.decision)),
    }


@screen
def show(answer: Json) -> None:
    """The decision and what it stands on."""
    console, made = out(), answer["decision"]
    console.print(
        f"[bold]{made['action']} {made['symbol']}[/] on {answer['exchange']} at "
        f"{answer['price']}, confidence {made['confidence']}"
    )
    if made["reason"]:
        console.print(f"held back: {made['reason']}", soft_wrap=True)
    if made["rationale"]:
        console.print(f"{made['model']}: {made['rationale']}", soft_wrap=True)
    if made["action"] == "BUY":
        target = made["take_profit_pct"]
        console.print(
            f"stop {made['stop_loss_pct']:g} %, target "
            f"{'none' if target is None else f'{target:g} %'}, at most "
            f"{made['allocation_pct']:g} % of cash"
        )
    if not answer["open"]:
        console.print("the exchange is closed now", style="dim")
    console.print("no order was sent", style="dim")
