"""What a language model makes of a day, next to what rules found in it. Nothing waits for it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

from trading_core.model.journal import ContextEntry, ContextLayer, Scorecard
from trading_core.model.language import ModelRequest, Role, Turn
from trading_core.ports import LanguageModel, Store
from trading_core.rules.lesson_prompts import LESSON_SCHEMA, lesson_prompt, parse_lessons

NO_MODEL = "no language model is configured"
MAX_OUTPUT_TOKENS = 2_000
MAX_REASON = 300


@dataclass(frozen=True, slots=True)
class ModelLessons:
    """Bounded lines of text by ``source`` (the model's name), or the reason why there are none.

    They are data: shown in quotes, remembered with their source, carried out by nobody.
    """

    lessons: tuple[str, ...] = ()
    source: str = ""
    reason: str = ""


async def lessons_by_model(
    model: LanguageModel | None, card: Scorecard, *, timeout_seconds: float
) -> ModelLessons:
    """Ask once for what the figures of a day teach. Never raises: the day is scored already."""
    if model is None:
        return ModelLessons(reason=NO_MODEL)
    request = ModelRequest(
        purpose="review",
        market=card.market,
        session=card.session,
        turns=(Turn(Role.USER, lesson_prompt(card)),),
        timeout_seconds=timeout_seconds,
        max_output_tokens=MAX_OUTPUT_TOKENS,
        schema=LESSON_SCHEMA,
        check=lambda reply: _check(reply.text),
    )
    try:
        async with asyncio.timeout(timeout_seconds):
            reply = await model.ask(request)
        return ModelLessons(parse_lessons(reply.text), reply.model)
    except TimeoutError:
        return ModelLessons(reason=f"no reply within {timeout_seconds:g} s")
    except Exception as error:
        # Whatever a provider raises, the rules' lessons are there.
        return ModelLessons(reason=f"{type(error).__name__}: {error}"[:MAX_REASON])


def _check(text: str) -> None:
    parse_lessons(text)


def remember_lessons(store: Store, card: Scorecard, made: ModelLessons, at: datetime) -> None:
    """Keep both kinds in L6 as ``lessons_KR``, each marked with who says so."""
    value = {
        "by_rules": card.lessons,
        "by_model": [{"quote": text, "model": made.source} for text in made.lessons],
        "no_model_because": made.reason,
    }
    entry = ContextEntry(
        ContextLayer.L6, card.session.isoformat(), f"lessons_{card.market}", value, at
    )
    with store.write() as tx:
        tx.append([entry])
