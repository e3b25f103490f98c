"""What a model would be asked for a session, without asking it."""

from __future__ import annotations

from datetime import date, datetime

from trading_core.model.journal import Json
from trading_core.model.limits import Policy
from trading_core.model.market import MarketGroup
from trading_core.ports import Broker, MarketData, Store
from trading_core.ports.sources import Sources
from trading_core.steps.gather import Universe, gather, recall
from trading_core.steps.plan import shown_for, with_outside


async def preview_prompt(
    store: Store,
    market_data: MarketData,
    broker: Broker,
    *,
    group: MarketGroup,
    session: date,
    at: datetime,
    policy: Policy,
    universe: Universe,
    sources: Sources,
) -> Json:
    """The prompt, its tokens by section, the market's condition and the memories chosen.

    The broker and the sources are asked as for a plan, and what sources say is stored; no model is
    called and no playbook written.

    Raises:
        NotASession: the exchange is shut on that date.
        BrokerUnavailable: the account could not be read.
    """
    recalled = recall(store, group, session)
    inputs = await gather(
        market_data,
        broker,
        recalled,
        group=group,
        session=session,
        at=at,
        policy=policy,
        universe=universe,
    )
    shown = shown_for(await with_outside(inputs, store, sources), policy)
    prompt = shown.prompt
    return {
        "market": group.value,
        "session": session.isoformat(),
        "tokens": prompt.tokens,
        "budget": prompt.budget,
        "sections": [
            {"title": s.title, "tokens": s.tokens, "lines": s.shown, "cut": s.cut}
            for s in prompt.shares
        ],
        "condition": str(shown.condition),
        "memory": [chosen.why for chosen in shown.memory],
        "would_ask": bool(inputs.candidates),
        "prompt": prompt.text,
    }
