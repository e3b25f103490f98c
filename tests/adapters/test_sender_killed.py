"""A sender that dies in the middle of its queue: the next one goes on where it was."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from tests.telegram_stand_in import CHAT, TOKEN, Fault, telegram_stand_in
from trading_core.adapters.duck.store import DuckStore
from trading_core.adapters.sender_lock import FileSenderLock
from trading_core.model.journal import Notification

ROOT = Path(__file__).parents[2]
AT = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
SEND = """
import asyncio
from trading_core.wiring import sending

async def main():
    async with sending():
        await asyncio.sleep(60)

asyncio.run(main())
"""


@asynccontextmanager
async def sender(home: Path, url: str):
    """A process of its own that sends what waits in the store of ``home``."""
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "OUROBOROS_HOME": str(home),
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "TELEGRAM_CHAT_ID": str(CHAT),
        "TELEGRAM_BASE_URL": url,
        "NOTIFY_INTERVAL_SECONDS": "0.1",
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SEND, env=env, cwd=home)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_sender_killed_in_mid_queue_loses_nothing_and_repeats_only_what_was_on_its_way(
    tmp_path,
):
    store = DuckStore(tmp_path / "trades.db")
    # Kinds of their own, so that each is a message of its own; every third is not critical.
    notes = [
        Notification(
            f"{n:02}",
            AT,
            f"kind {n:02}",
            "info" if n % 3 == 0 else "critical",
            f"text {n:02}",
            channels=("telegram",),
        )
        for n in range(15)
    ]
    with store.write() as tx:
        tx.append(notes)
    async with telegram_stand_in() as api, sender(tmp_path, api.base_url) as first:
        await api.wait_for("sendMessage", 2)
        async with sender(tmp_path, api.base_url):
            # The next message is taken, and its answer never comes.
            done = len(api.messages)
            api.fail("sendMessage", Fault(delay_seconds=60, taken=True))
            await api.wait_for("sendMessage", done + 1)
            first.send_signal(signal.SIGKILL)
            await first.wait()
            for n in range(15):
                await api.wait_for("sendMessage", having=f"text {n:02}")
            await _until_written(store)
    arrived = Counter(text.rpartition("\n")[2] for text in api.texts)
    assert set(arrived) == {note.text for note in notes}
    on_its_way = api.texts[done].rpartition("\n")[2]
    assert arrived == Counter({note.text: 1 for note in notes} | {on_its_way: 2})


def test_one_process_sends_and_the_lock_is_free_once_it_is_let_go(tmp_path):
    one, other = FileSenderLock(tmp_path / "lock"), FileSenderLock(tmp_path / "lock")
    with one.attempt() as first, other.attempt() as second:
        assert (first, second) == (True, False)
    with other.attempt() as second, one.attempt() as first:
        assert (first, second) == (False, True)


async def _until_written(store: DuckStore) -> None:
    """Every message is settled, each once."""
    async with asyncio.timeout(20):
        while True:
            with store.read() as db:
                if not db.unsent("telegram"):
                    return
            await asyncio.sleep(0.05)
