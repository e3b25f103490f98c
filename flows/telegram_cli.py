"""``ouroboros telegram``: the process that listens to the chat."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

_under_way: set[asyncio.Task[Any]] = set()


def telegram() -> None:
    """Listen to the Telegram chat and obey it, until Ctrl-C. `ouroboros up` runs this too."""
    asyncio.run(_listen())


async def _listen() -> None:
    from flows.console import out
    from tasks.deployments import follow_halts
    from trading_core.wiring import configure, open_store
    from trading_core.wiring.telegram import open_listener

    settings = configure()
    store = open_store(settings)

    async def halts_changed(at: datetime) -> None:
        # Beside, in a thread: loading Prefect's client takes longer than an answer may.
        work = asyncio.to_thread(lambda: asyncio.run(follow_halts(store, at)))
        task = asyncio.create_task(work)
        _under_way.add(task)
        task.add_done_callback(_under_way.discard)

    async with open_listener(settings, halts_changed=halts_changed) as listener:
        out().print(f"listening to chat ****{str(listener.chat_id)[-4:]}; Ctrl-C stops it")
        await listener.run()
