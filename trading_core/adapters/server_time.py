"""What time a web server says it is, to compare this machine's clock with."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import httpx

from trading_core.clock import Clock
from trading_core.errors import BrokerUnavailable


async def seconds_behind(
    base_url: str,
    clock: Clock,
    *,
    verify: bool = True,
    transport: httpx.AsyncBaseTransport | None = None,
) -> float:
    """How far ``clock`` is behind a server's ``Date`` header (RFC 9110): seconds, below 0 ahead.

    The header has whole seconds, so less than one says nothing. Nothing but the time is looked at.

    Raises:
        BrokerUnavailable: no answer, or one without a date.
    """
    try:
        async with httpx.AsyncClient(
            verify=verify, timeout=10, trust_env=False, transport=transport
        ) as client:
            asked = clock.now()
            reply = await client.get(base_url)
            answered = clock.now()
        theirs = parsedate_to_datetime(reply.headers["Date"])
    except (httpx.HTTPError, KeyError, ValueError, TypeError) as error:
        raise BrokerUnavailable(f"{base_url} does not tell the time ({error!r:.80})") from None
    # The second that is shown began up to a second ago.
    return (theirs - (asked + (answered - asked) / 2)).total_seconds() + 0.5
