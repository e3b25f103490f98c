"""How tasks behave: what is retried, how long it may take, what Prefect gets to see."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect.utilities.annotations import quote

from trading_core.errors import TradingError

P = ParamSpec("P")
R = TypeVar("R")


async def retry_if(_task: Any, _run: Any, state: Any) -> bool:
    """Whether the error that ended a task says that trying again can help."""
    try:
        await state.result()
    except TradingError as error:
        return error.retryable
    except Exception:
        return False
    return False


def step_task(
    name: str, *, retries: int = 0, timeout_seconds: float = 120
) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Awaitable[R]]]:
    """A task that runs one step.

    Nothing is cached or persisted, and arguments are handed over unseen (``quote``): they hold
    broker connections and whole observation frames, which Prefect has no business walking through
    or keeping. Only errors that are marked retryable are retried; a task that sends orders has no
    retries at all. Outside a flow run the step runs as it is: no order waits for an orchestrator
    that nobody asked for.
    """

    def decorate(function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        inner: Any = task(
            name=name,
            retries=retries,
            retry_delay_seconds=[1.0, 2.0, 4.0][:retries] or None,
            retry_condition_fn=retry_if if retries else None,
            timeout_seconds=timeout_seconds,
            cache_policy=NO_CACHE,
            persist_result=False,
            log_prints=False,
        )(function)

        return _unseen(inner, function)

    return decorate


def _unseen(inner: Any, function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """Call the task with its arguments quoted, or outside a flow run the function itself."""

    @wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if FlowRunContext.get() is None:
            return await function(*args, **kwargs)
        seen = [quote(value) for value in args]
        named = {key: quote(value) for key, value in kwargs.items()}
        result: R = await inner(*seen, **named)
        return result

    return call
