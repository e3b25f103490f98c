"""``ouroboros telegram`` as a process: one of it, killed and started again, and stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.telegram_stand_in import CHAT, TOKEN, TelegramStandIn, telegram_stand_in
from trading_core.adapters.duck.store import DuckStore
from trading_core.clock import SystemClock

ROOT = Path(__file__).parents[2]
PROGRAM = "from flows.cli import main; main()"


def environment(api: TelegramStandIn, home: Path, interval: str) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OUROBOROS_HOME": str(home),
        "LOCK_DIR": str(home),
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "TELEGRAM_CHAT_ID": str(CHAT),
        "TELEGRAM_BASE_URL": api.base_url,
        "TELEGRAM_POLLING_INTERVAL": interval,
    }


@asynccontextmanager
async def process(
    api: TelegramStandIn, home: Path, interval: str = "0.1"
) -> AsyncIterator[asyncio.subprocess.Process]:
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        "telegram",
        cwd=home,
        env=environment(api, home, interval),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()


def halts(home: Path) -> list[bool]:
    """Of each halt that was ever raised, whether it stands."""
    with DuckStore(home / "trades.db").read() as reader:
        return [halt.lifted_at is None for halt in reader.halts()]


@pytest.mark.slow
async def test_killed_before_it_confirmed_it_does_nothing_twice_and_ends_when_asked(
    tmp_path: Path,
) -> None:
    async with telegram_stand_in() as api:
        api.clock = lambda: SystemClock().now().timestamp()
        await api.say("/stop")
        await api.say("/resume")
        # It answers, and would confirm a minute later.
        async with process(api, tmp_path, interval="60") as first:
            await api.wait_for("sendMessage", having="lifted", seconds=60)
            first.send_signal(signal.SIGKILL)
            await first.wait()
        assert halts(tmp_path) == [False]
        async with process(api, tmp_path) as second:
            await api.wait_for("sendMessage", having="done before", seconds=60)
            assert halts(tmp_path) == [False]
            async with process(api, tmp_path) as third:
                _, said = await asyncio.wait_for(third.communicate(), 60)
            assert third.returncode == 2
            assert b"another process listens to this Telegram bot already" in said
            second.send_signal(signal.SIGTERM)
            out, said = await asyncio.wait_for(second.communicate(), 60)
        assert second.returncode == 128 + signal.SIGTERM
        assert b"listening to chat ****42" in out
        assert TOKEN.encode() not in out + said
        assert b"Traceback" not in said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"TELEGRAM_BOT_TOKEN": TOKEN}, "TELEGRAM_CHAT_ID not set"),
        ({"TELEGRAM_CHAT_ID": "42"}, "TELEGRAM_BOT_TOKEN not set"),
        (
            {
                "TELEGRAM_BOT_TOKEN": TOKEN,
                "TELEGRAM_CHAT_ID": "42",
                "TELEGRAM_COMMANDS_ENABLED": "false",
            },
            "commands are switched off",
        ),
    ],
)
def test_what_is_missing_is_said(run_cli, monkeypatch, changes, words) -> None:
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    code, _, said = run_cli("telegram")
    assert code == 2
    assert words in said
    assert TOKEN not in said
