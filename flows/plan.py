"""Before the open: one playbook for one market and session."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from tasks.lateness import skip_if_late
from tasks.naming import name_run, stamp
from tasks.parameters import MarketCode
from tasks.planning import make_playbook
from tasks.shadowing import shadow_run
from trading_core.model.market import MarketGroup
from trading_core.rules.calendar import local_date, session_on
from trading_core.wiring import open_runtime


@flow(name="plan", description="Write the playbook of today's session of one market.")
async def plan(market: MarketCode) -> State:
    """Plan the session of ``market`` (``KR``, ``US`` ...) that is on today's date there.

    Args:
        market: One calendar, one currency, one playbook a session.
    """
    group = MarketGroup.parse(market)
    async with open_runtime() as runtime:
        at = runtime.clock.now()
        await name_run("plan", group, at)
        late = skip_if_late("plan", group, at)
        if late is not None:
            return late
        session = session_on(group, local_date(group, at))
        if session is None:
            return Completed(name="Skipped", message=f"{group} has no session today")
        if at >= session.close_at:
            return Completed(name="Skipped", message=f"{group} closed before {stamp(group, at)}")
        async with shadow_run(runtime, group, session) as shadows:
            playbook = await make_playbook(runtime, group, session, at, shadows.take)
            await shadows.draft(at, anew=True)
    return Completed(
        message=f"{playbook.source.value}: {len(playbook.stocks)} stocks, "
        f"{playbook.scenario_count} scenarios"
    )
