"""The guard in ``conftest.py``: nothing beyond loopback, nothing of the developer's own."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from pathlib import Path

import pytest

from trading_core.settings import Settings, load_settings


@pytest.mark.parametrize("address", [("8.8.8.8", 53), ("203.0.113.7", 443)])
def test_a_connection_to_another_machine_is_refused(
    address: tuple[str, int], expected_attempts: list[str]
) -> None:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as out:
            with pytest.raises(RuntimeError, match="tests stay on loopback"):
                out.connect(address)
            with pytest.raises(RuntimeError, match="tests stay on loopback"):
                out.connect_ex(address)
            with pytest.raises(RuntimeError, match="tests stay on loopback"):
                out.sendto(b"x", address)
    assert expected_attempts == [address[0]] * 6
    expected_attempts.clear()


def test_a_name_of_another_machine_is_not_even_looked_up(expected_attempts: list[str]) -> None:
    with pytest.raises(RuntimeError, match=r"example\.org"):
        socket.getaddrinfo("example.org", 443)
    with pytest.raises(RuntimeError, match=r"example\.org"):
        socket.create_connection(("example.org", 443), timeout=1)
    expected_attempts.clear()


async def test_a_coroutine_is_refused_too(expected_attempts: list[str]) -> None:
    for host in ("example.org", "203.0.113.7"):
        with pytest.raises(RuntimeError, match="tests stay on loopback"):
            await asyncio.open_connection(host, 443)
    expected_attempts.clear()


async def test_an_http_client_is_refused_too(expected_attempts: list[str]) -> None:
    import aiohttp
    import httpx

    async with httpx.AsyncClient() as client:
        with pytest.raises(RuntimeError, match="tests stay on loopback"):
            await client.get("https://example.org")
    async with aiohttp.ClientSession() as client:
        with pytest.raises(RuntimeError, match="tests stay on loopback"):
            await client.get("https://example.org")
    expected_attempts.clear()


def test_loopback_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taker = threading.Thread(target=lambda: server.accept()[0].close())
        taker.start()
        socket.create_connection(("localhost", server.getsockname()[1]), timeout=5).close()
        taker.join(timeout=5)


def test_unix_sockets_are_open(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tmp_path / "s"))
        server.listen()
        client.connect(str(tmp_path / "s"))


def test_no_variable_of_the_developer_is_left() -> None:
    ours = {"OUROBOROS_HOME", "LOCK_DIR"}
    names = {field.upper() for field in Settings.model_fields} - ours

    assert names & {name.upper() for name in os.environ} == set()
    assert "PREFECT_API_URL" not in os.environ
    assert "PREFECT_API_KEY" not in os.environ


def test_a_home_of_its_own_waits_for_every_test() -> None:
    home = Path(os.environ["OUROBOROS_HOME"])

    assert not home.exists()
    assert "ouroboros-tests-" in str(home)
    assert "ouroboros-tests-" in os.environ["LOCK_DIR"]


def test_no_env_file_of_the_working_directory_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("SCANNER_TOP_N=99\n")
    monkeypatch.chdir(tmp_path)

    assert load_settings().scanner_top_n == 3


@pytest.mark.parametrize("order", ["first", "second"])
def test_what_a_test_sets_is_gone_in_the_next_one(order: str) -> None:
    assert "LEFT_BY_A_TEST" not in os.environ, order
    os.environ["LEFT_BY_A_TEST"] = order
