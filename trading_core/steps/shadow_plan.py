"""The playbooks of shadow planners: drafted on what the real one was drafted on, after it.

A shadow sees its own holdings and its own losses in place of the account's; everything else is the
same. What it writes goes through the same lint and review. It is stored where no query of the real
planner looks, and a shadow that fails has exits for what it holds, and says why.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from trading_core.errors import BrokerError, PlannerUnavailable
from trading_core.model.language import PlanReply, PlanRequest
from trading_core.model.limits import LossGuardLimits, Policy
from trading_core.model.market import MarketGroup
from trading_core.model.portfolio import Holding
from trading_core.model.shadow import PURPOSE, ShadowPlan
from trading_core.ports import MarketData, Planner, Store
from trading_core.rules.calendar import sessions_between
from trading_core.rules.loss_guard import LossGuard, loss_guard
from trading_core.rules.prompt_budget import prompt_hash
from trading_core.rules.prompt_sections import HeldFacts
from trading_core.steps.gather import PlanInputs
from trading_core.steps.plan import draft_playbook
from trading_core.steps.shadow_books import ShadowState, read_states

CLAIMED_FOR = timedelta(minutes=15)
LONGEST_INSTRUCTIONS = 20_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ShadowPlanner:
    """A shadow and who drafts for it; None are the rules."""

    name: str
    planner: Planner | None = None


class Instructed:
    """A planner whose prompt ends with the text of a file. Implements ``ports.Planner``.

    The file is read for every plan: one that is gone is this planner's failure, and nothing that
    would keep a session from starting.
    """

    def __init__(self, planner: Planner, instructions: Path) -> None:
        self._planner = planner
        self._instructions = instructions

    async def draft(self, request: PlanRequest) -> PlanReply:
        """As the planner says. Raises what it raises, and ``PlannerUnavailable`` for the file."""
        problem = instructions_problem(self._instructions)
        if problem:
            raise PlannerUnavailable(problem, unbilled=True)
        text = self._instructions.read_text(encoding="utf-8").strip()
        prompt = f"{request.prompt}\n\n# Further instructions\n{text}\n"
        return await self._planner.draft(
            replace(request, prompt=prompt, prompt_hash=prompt_hash(prompt))
        )


def instructions_problem(file: Path | None) -> str:
    """Why the instructions in a file cannot be used; empty when they can, or there are none."""
    if file is None:
        return ""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return f"{file} cannot be read ({type(error).__name__})"
    if not text.strip() or len(text) > LONGEST_INSTRUCTIONS:
        return f"{file}: must hold 1 to {LONGEST_INSTRUCTIONS} characters"
    return ""


def unplanned(
    store: Store, shadows: Sequence[ShadowPlanner], group: MarketGroup, session: date
) -> list[ShadowPlanner]:
    """The shadows without a plan of the session, or with one that failed."""
    with store.read() as reader:
        plans = reader.shadow_plans(group, since=session, until=session)
    done = {plan.planner for plan in plans if not plan.problem}
    return [shadow for shadow in shadows if shadow.name not in done]


async def draft_shadows(
    store: Store,
    market_data: MarketData,
    shadows: Sequence[ShadowPlanner],
    inputs: PlanInputs,
    *,
    policy: Policy,
) -> tuple[ShadowPlan, ...]:
    """Draft for every shadow that has no plan, one after the other, each stored at once.

    One run at a time does it; another one that comes meanwhile drafts nothing. Whatever goes wrong
    with one shadow is its problem alone.

    Raises:
        StoreBusy: the store could not be opened in time.
    """
    group, session, at = inputs.group, inputs.facts.session, inputs.at
    name, owner = f"shadows-{group}-{session.isoformat()}", secrets.token_hex(8)
    with store.write() as tx:
        if not tx.acquire_lease(name, owner, at, CLAIMED_FOR):
            return ()
    made = []
    try:
        for shadow in unplanned(store, shadows, group, session):
            plan = await _draft(store, market_data, shadow, inputs, policy)
            if plan.problem:
                logger.warning("shadow %s has no plan: %s", shadow.name, plan.problem)
            with store.write() as tx:
                tx.append([plan])
            made.append(plan)
    finally:
        with store.write() as tx:
            tx.release_lease(name, owner)
    return tuple(made)


async def _draft(
    store: Store,
    market_data: MarketData,
    shadow: ShadowPlanner,
    inputs: PlanInputs,
    policy: Policy,
) -> ShadowPlan:
    group, session = inputs.group, inputs.facts.session
    problem = ""
    try:
        with store.read() as reader:
            [state] = read_states(reader, [shadow.name], group, session, {})
        inputs = await _own(inputs, state, market_data, policy.losses)
        alone = replace(policy, plan=replace(policy.plan, rules_on_failure=False))
        book, calls = await draft_playbook(
            inputs, shadow.planner, None, policy=alone, purpose=PURPOSE
        )
        if shadow.planner is not None and inputs.candidates and not book.source.is_model:
            problem = book.fallback_reason
    except Exception as error:
        # It may be anything a provider's answer leads to, and the real planner must not notice.
        logger.debug("shadow %s failed", shadow.name, exc_info=error)
        problem = f"{type(error).__name__}: {error}"
        nobody = replace(inputs, candidates=())
        book, calls = await draft_playbook(nobody, None, None, policy=policy)
    return ShadowPlan(
        planner=shadow.name,
        market=group.value,
        session=session,
        at=inputs.at,
        playbook=book,
        problem=problem,
        cost_usd=sum((call.cost_usd for call in calls), Decimal(0)),
    )


async def _own(
    inputs: PlanInputs, state: ShadowState, market_data: MarketData, losses: LossGuardLimits
) -> PlanInputs:
    """The inputs with the shadow's holdings and losses in place of the account's."""
    held = state.held
    quotes = {}
    if held:
        try:
            quotes = await market_data.quotes(list(held.values()))
        except BrokerError as error:
            logger.info("no prices of what shadow %s holds: %s", state.planner, error)
    holdings = tuple(
        Holding(
            position.instrument,
            position.quantity,
            position.quantity,
            position.average_price,
            quotes[symbol].last if symbol in quotes else Decimal(0),
        )
        for symbol, position in state.positions.items()
    )
    session = inputs.facts.session
    facts = tuple(
        HeldFacts(
            symbol=holding.instrument.symbol,
            name=holding.instrument.name,
            quantity=holding.quantity,
            average_price=holding.average_price,
            last_price=holding.last_price,
            days_held=(session - state.positions[holding.instrument.symbol].opened_on).days,
        )
        for holding in holdings
    )
    return replace(inputs, holdings=holdings, held=facts, guard=_losses(inputs, state, losses))


def _losses(inputs: PlanInputs, state: ShadowState, limits: LossGuardLimits) -> LossGuard:
    """What the shadow's own recent losses keep it from buying."""
    if not limits.sessions or not state.trades:
        return LossGuard()
    session = inputs.facts.session
    # Holidays come in rows, so twice the days and a fortnight hold as many sessions in any market.
    first = session - timedelta(days=2 * limits.sessions + 14)
    days = sessions_between(inputs.group, first, session - timedelta(days=1))
    return loss_guard(state.book.closed, [day.date for day in days], limits)
