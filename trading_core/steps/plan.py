"""Before the open: draft a playbook, lint it, review it, write it down.

The chain, each link only when the one before it gave nothing: the language model, the playbook of
the session before, the rules, exits for what is held. Who wrote the playbook and why it had to be
them is recorded in it. The store is never open while the network is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime

from trading_core.errors import PlannerError
from trading_core.model.journal import LlmCall
from trading_core.model.language import PlanRequest
from trading_core.model.limits import Policy
from trading_core.model.market import MarketGroup
from trading_core.model.playbook import LintNote, Playbook, PlaybookDraft, PlaybookSource
from trading_core.ports import Broker, History, MarketData, Planner, Store
from trading_core.ports.sources import Sources
from trading_core.rules.calendar import previous_session
from trading_core.rules.context_selector import (
    Chosen,
    Condition,
    choose,
    condition_before,
    important_today,
)
from trading_core.rules.headlines import event_lines, headline_lines, reading_lines
from trading_core.rules.lint import lint
from trading_core.rules.plan_review import ReviewBounds, review
from trading_core.rules.prompt_budget import Composed, prompt_hash
from trading_core.rules.prompts import compose_prompt, known_symbols
from trading_core.rules.rule_planner import draft_by_rules, exit_only
from trading_core.steps.gather import PlanInputs, Universe, gather, recall
from trading_core.steps.sources import collect

NO_SOURCES = Sources()
NO_CANDIDATES = "no candidates"
NO_MODEL = "no language model is configured"


async def plan_session(
    store: Store,
    market_data: MarketData,
    broker: Broker,
    planner: Planner | None,
    *,
    group: MarketGroup,
    session: date,
    at: datetime,
    policy: Policy,
    universe: Universe,
    history: History | None = None,
    sources: Sources = NO_SOURCES,
    on_inputs: Callable[[PlanInputs], object] = lambda inputs: None,
) -> tuple[Playbook, bool]:
    """The playbook of a session, and whether it was made now.

    A stored one is used as it is, without any call, unless it is empty, or was written by a
    fallback while a planner is there to do better. In the second case it is kept all the same
    when the planner fails again. ``history`` is handed the daily bars, for the session's ticks,
    ``on_inputs`` what the playbook was drafted from, once it is stored.

    Raises:
        NotASession: the exchange is shut on that date.
        BrokerUnavailable: the account could not be read; nothing was written.
    """
    recalled = recall(store, group, session)
    stored = recalled.stored
    if stored is not None and _is_reusable(stored, planner):
        return stored, False
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
    if history is not None:
        history.save(group, session, inputs.bars)
    inputs = await with_outside(inputs, store, sources)
    playbook, calls = await draft_playbook(inputs, planner, recalled.previous, policy=policy)
    keeps_stored = bool(stored and stored.stocks) and not playbook.source.is_model
    with store.write() as tx:
        tx.append(calls if keeps_stored else [*calls, *inputs.screened, playbook])
    on_inputs(inputs)
    if stored is not None and keeps_stored:
        return stored, False
    return playbook, True


async def plan_inputs(
    store: Store,
    market_data: MarketData,
    broker: Broker,
    *,
    group: MarketGroup,
    session: date,
    at: datetime,
    policy: Policy,
    universe: Universe,
    sources: Sources = NO_SOURCES,
) -> PlanInputs:
    """What a playbook of a session would be drafted from now. Raises as :func:`plan_session`."""
    inputs = await gather(
        market_data,
        broker,
        recall(store, group, session),
        group=group,
        session=session,
        at=at,
        policy=policy,
        universe=universe,
    )
    return await with_outside(inputs, store, sources)


async def with_outside(inputs: PlanInputs, store: Store, sources: Sources) -> PlanInputs:
    """The inputs with what the sources told; holdings are asked about first, then candidates."""
    told = await collect(
        store,
        sources,
        group=inputs.group,
        session=inputs.facts.session,
        at=inputs.at,
        instruments=inputs.by_importance,
    )
    return replace(inputs, outside=told)


def _is_reusable(stored: Playbook, planner: Planner | None) -> bool:
    if not stored.stocks:
        return False
    return planner is None or stored.source.is_model


async def draft_playbook(
    inputs: PlanInputs,
    planner: Planner | None,
    previous: Playbook | None,
    *,
    policy: Policy,
    purpose: str = "plan",
) -> tuple[Playbook, tuple[LlmCall, ...]]:
    """The first link of the chain that gives a playbook, and the model calls made on the way.

    Without candidates no model is asked: there is nothing to buy, and exits need no opinion.
    """
    if not inputs.candidates:
        draft = exit_only(inputs.holdings, limits=policy.scan, plan=policy.plan)
        return _playbook(inputs, draft, PlaybookSource.EXIT_ONLY, policy, NO_CANDIDATES), ()
    calls: tuple[LlmCall, ...] = ()
    reason = NO_MODEL
    if planner is not None:
        try:
            shown = shown_for(inputs, policy)
            reply = await planner.draft(plan_request(inputs, shown, purpose))
        except PlannerError as error:
            calls, reason = error.calls, f"{type(error).__name__}: {error}"
        else:
            calls = reply.calls
            playbook = _playbook(
                inputs,
                reply.draft,
                reply.source,
                policy,
                notes=(*reply.notes, *shown.notes),
                model=reply.model,
                calls=calls,
            )
            # Entries that the review removed are no reason to try those of another playbook.
            was_reviewed = any(note.kind == "reviewed" for note in playbook.notes)
            if playbook.stocks or not reply.draft.stocks or was_reviewed:
                return playbook, calls
            reason = "nothing of the model's draft was left after lint"
        carried = _carried_over(inputs, previous, policy, reason)
        if carried is not None:
            return carried, calls
    if policy.plan.rules_on_failure or planner is None:
        draft = draft_by_rules(
            candidates=inputs.candidates,
            holdings=inputs.holdings,
            limits=policy.scan,
            plan=policy.plan,
        )
        return _playbook(inputs, draft, PlaybookSource.RULES, policy, reason), calls
    draft = exit_only(inputs.holdings, limits=policy.scan, plan=policy.plan)
    return _playbook(inputs, draft, PlaybookSource.EXIT_ONLY, policy, reason), calls


@dataclass(frozen=True, slots=True)
class Shown:
    """What a model is shown for a plan, and why that: the condition and the chosen memories."""

    prompt: Composed
    condition: Condition
    memory: tuple[Chosen, ...]

    @property
    def notes(self) -> tuple[LintNote, ...]:
        """Why the prompt is as it is; no note without memories and cuts."""
        reasons = [f"memory {chosen.why}" for chosen in self.memory]
        if reasons:
            reasons.insert(0, f"market condition: {self.condition}")
        if self.prompt.cut:
            reasons.append(f"prompt: {self.prompt.cut} lines cut to fit")
        if self.prompt.is_over:
            reasons.append(
                f"prompt: its facts take {self.prompt.tokens} tokens, more than the budget of "
                f"{self.prompt.budget}"
            )
        return tuple(
            LintNote(symbol="", scenario=None, kind="context", reason=reason) for reason in reasons
        )


def shown_for(inputs: PlanInputs, policy: Policy) -> Shown:
    """The prompt with the memories that the market's condition asks for."""
    session, outside, group = inputs.facts.session, inputs.outside, inputs.group
    condition = condition_before(
        inputs.facts,
        outside,
        previous=previous_session(group, session).date,
        scorecards=inputs.scorecards,
        market=group.value,
    )
    memory = choose(
        inputs.memory, condition.kind, market=group.value, session=session, at=inputs.at
    )
    symbols = [instrument.symbol for instrument in inputs.by_importance]
    guard = inputs.guard.among(symbols)
    zone = inputs.facts.zone
    # What is known to matter comes first, so that it is not cut.
    events = sorted(outside.events, key=lambda e: (important_today([e], session, zone) == 0, e.at))
    prompt = compose_prompt(
        group,
        inputs.facts,
        candidates=inputs.candidates,
        holdings=inputs.held,
        limits=policy.plan,
        confidence_threshold=policy.risk.confidence_threshold,
        loosest_stop_pct=policy.exits.atr_stop_loosest_pct,
        scorecards=inputs.scorecards,
        memory=[chosen.line for chosen in memory],
        headlines=headline_lines(outside, inputs.at, symbols),
        events=event_lines(replace(outside, events=tuple(events)), zone),
        readings=reading_lines(outside, inputs.at),
        important_events=max(1, important_today(events, session, zone)),
        market_guard=guard.market,
        guarded=guard.symbols,
    )
    return Shown(prompt, condition, memory)


def plan_request(inputs: PlanInputs, shown: Shown, purpose: str = "plan") -> PlanRequest:
    """The prompt and what a reply to it may name."""
    prompt = shown.prompt.text
    return PlanRequest(
        group=inputs.group,
        session=inputs.facts.session,
        at=inputs.at,
        prompt=prompt,
        prompt_hash=prompt_hash(prompt),
        known_symbols=known_symbols(inputs.candidates, inputs.held),
        purpose=purpose,
    )


def _carried_over(
    inputs: PlanInputs, previous: Playbook | None, policy: Policy, reason: str
) -> Playbook | None:
    """The previous session's playbook for today, if the model wrote it and it still says something.

    An older one, or one that was a fallback itself, is worse than rules over today's facts. What
    is held and not in it gets exits.
    """
    last = previous_session(inputs.group, inputs.facts.session).date
    if previous is None or previous.session != last:
        return None
    if not previous.source.is_model:
        return None
    known = inputs.instruments
    stocks = tuple(stock for stock in previous.stocks if stock.symbol in known)
    if not stocks:
        return None
    planned = {stock.symbol for stock in stocks}
    unplanned = [h for h in inputs.holdings if h.instrument.symbol not in planned]
    exits = exit_only(unplanned, limits=policy.scan, plan=policy.plan).stocks
    draft = PlaybookDraft(
        outlook=previous.outlook, global_rules=previous.global_rules, stocks=(*stocks, *exits)
    )
    playbook = _playbook(
        inputs,
        draft,
        PlaybookSource.PREVIOUS,
        policy,
        reason,
        model=previous.model,
        prompt_id=previous.prompt_id,
    )
    return playbook if playbook.stocks else None


def _playbook(
    inputs: PlanInputs,
    draft: PlaybookDraft,
    source: PlaybookSource,
    policy: Policy,
    reason: str = "",
    *,
    notes: tuple[LintNote, ...] = (),
    model: str = "",
    calls: tuple[LlmCall, ...] = (),
    prompt_id: str = "",
) -> Playbook:
    """The draft after lint and review, whoever wrote it."""
    held = frozenset(h.instrument.symbol for h in inputs.holdings)
    linted, lint_notes = lint(draft, prices=inputs.prices, held=held, limits=policy.plan)
    bounds = ReviewBounds(
        plan=policy.plan,
        confidence_threshold=policy.risk.confidence_threshold,
        loosest_stop_pct=policy.exits.atr_stop_loosest_pct,
        total_allocation_pct=policy.guards.max_exposure_pct,
        by_rules=source in (PlaybookSource.RULES, PlaybookSource.EXIT_ONLY),
        guard=inputs.guard,
        held=held,
        prices=inputs.prices,
        atr_pct={c.instrument.symbol: c.atr_pct for c in inputs.candidates},
    )
    linted, review_notes = review(linted, bounds)
    return Playbook(
        session=inputs.facts.session,
        market=inputs.group.value,
        source=source,
        outlook=linted.outlook,
        global_rules=linted.global_rules,
        stocks=linted.stocks,
        generated_at=inputs.at,
        model=model,
        token_count=sum(call.input_tokens + call.output_tokens for call in calls),
        prompt_id=prompt_id or next((c.prompt_id or c.prompt_hash for c in calls[-1:]), ""),
        notes=(*notes, *lint_notes, *review_notes, *_missing(inputs)),
        fallback_reason=reason,
    )


def _missing(inputs: PlanInputs) -> tuple[LintNote, ...]:
    """What the plan had to do without, and why."""
    reasons = [*inputs.outside.reasons, *filter(None, [inputs.guard.problem])]
    return tuple(
        LintNote(symbol="", scenario=None, kind="dropped", reason=reason) for reason in reasons
    )
