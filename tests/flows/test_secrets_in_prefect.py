"""Keys kept by the Prefect server, and its password."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from dashboards.prefect_api import read_prefect
from flows.prefect_server import PrefectServer
from flows.supervision.parts import environment_of
from tasks import server
from tasks.server import keep_secret, log_in, read_secrets
from trading_core.errors import ConfigError
from trading_core.wiring import configure, hand_in_secrets
from trading_core.wiring.records import prefect_address

Run = Callable[..., tuple[int, str, str]]

ROOT = Path(__file__).parents[2]
PASSWORD = "open-sesame-4711"
AUTH = f"ouroboros:{PASSWORD}"
KEYS = {
    "kis_app_key": "key-0815",
    "kis_app_secret": "secret-0815",
    "kis_account_no": "12345678-01",
}


@pytest.fixture(autouse=True)
def _asked_by_nobody(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(server, "_kept", {})
    monkeypatch.setattr(server, "_asked", set())
    yield
    hand_in_secrets(read_secrets)


class Keeper:
    """A lookup that keeps some secrets, and what it was asked for."""

    def __init__(self, **kept: str) -> None:
        self.kept = kept
        self.asked: list[set[str]] = []

    def __call__(self, names: object, known: object) -> dict[str, str]:
        self.asked.append(set(names))  # type: ignore[call-overload]
        return self.kept


# --- The settings -------------------------------------------------------------------------------


def test_nobody_is_asked_unless_it_is_switched_on() -> None:
    hand_in_secrets(keeper := Keeper(**KEYS))

    assert configure().kis_app_key is None
    assert keeper.asked == []


def test_what_the_environment_sets_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    hand_in_secrets(keeper := Keeper(**KEYS))
    monkeypatch.setenv("PREFECT_SECRETS", "on")
    monkeypatch.setenv("KIS_APP_KEY", "from-the-environment")

    settings = configure()

    assert settings.kis_app_key is not None
    assert settings.kis_app_key.get_secret_value() == "from-the-environment"
    assert settings.kis_app_secret is not None
    assert settings.kis_app_secret.get_secret_value() == "secret-0815"
    [asked] = keeper.asked
    assert "kis_app_key" not in asked
    assert {"kis_app_secret", "gemini_api_key", "telegram_bot_token"} <= asked
    assert "prefect_password" not in asked


def test_a_secret_of_the_server_is_checked_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    hand_in_secrets(Keeper(**{**KEYS, "kis_account_no": "no account"}))
    monkeypatch.setenv("PREFECT_SECRETS", "true")

    with pytest.raises(ConfigError, match=r"KIS_ACCOUNT_NO=\*\*\*\*: eight digits"):
        configure()


def test_parts_of_up_get_the_secrets_and_ask_nobody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hand_in_secrets(Keeper(**KEYS))
    monkeypatch.setenv("PREFECT_SECRETS", "true")

    given = environment_of(configure(), tmp_path)

    assert given["KIS_APP_SECRET"] == "secret-0815"
    assert given["PREFECT_SECRETS"] == "false"


@pytest.mark.parametrize(
    ("url", "said"),
    [("http://127.0.0.1:9/api", "does not answer with them"), (None, "need PREFECT_API_URL")],
)
def test_a_server_that_is_not_there_is_an_error_at_the_start(url: str | None, said: str) -> None:
    with temporary_settings(updates={PREFECT_API_URL: url}), pytest.raises(ConfigError, match=said):
        read_secrets(["kis_app_key"], {})


# --- The password -------------------------------------------------------------------------------


def test_one_password_opens_the_server_for_everybody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PREFECT_PASSWORD", PASSWORD)
    monkeypatch.delenv("PREFECT_API_AUTH_STRING", raising=False)

    given = environment_of(configure(), tmp_path)
    log_in()

    assert given["PREFECT_SERVER_API_AUTH_STRING"] == given["PREFECT_API_AUTH_STRING"] == AUTH
    assert prefect_address()[1] == os.environ["PREFECT_API_AUTH_STRING"] == AUTH
    assert configure(prefect_server_api_auth_string=AUTH).prefect_auth == AUTH
    with pytest.raises(ConfigError, match="set one of them"):
        configure(prefect_server_api_auth_string="me:another")


# --- On a server --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    before = os.environ.copy()
    os.environ["PREFECT_SERVER_API_AUTH_STRING"] = AUTH
    try:
        with PrefectServer(tmp_path_factory.mktemp("prefect")) as running:
            os.environ.pop("PREFECT_SERVER_API_AUTH_STRING")
            running.wait_ready()
            yield running.url
    finally:
        os.environ.update(before)


@pytest.mark.server
@pytest.mark.slow
def test_who_has_no_password_gets_nothing_and_who_has_it_does(url: str) -> None:
    asked = f"{url}/deployments/filter"

    assert httpx.post(asked, json={}).status_code == 401
    assert httpx.post(asked, json={}, auth=("ouroboros", "wrong")).status_code == 401
    assert httpx.post(asked, json={}, auth=("ouroboros", PASSWORD)).status_code == 200
    assert read_prefect(url, timeout_seconds=10).problem.endswith("401")
    assert read_prefect(url, AUTH, timeout_seconds=10).problem == ""


@pytest.mark.server
@pytest.mark.slow
def test_what_is_stored_is_read_by_the_next_process_and_once(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with temporary_settings(updates={PREFECT_API_URL: url, PREFECT_API_AUTH_STRING: AUTH}):
        for name, value in KEYS.items():
            assert keep_secret(name, value) == f"ouroboros-{name.replace('_', '-')}"
    code = "import flows.book; from trading_core.wiring import configure; "
    code += "print(configure().kis_app_secret.get_secret_value(), configure().kis_account_no)"
    settings = {"PREFECT_API_URL": url, "PREFECT_SECRETS": "true", "PREFECT_PASSWORD": PASSWORD}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **settings, "OUROBOROS_HOME": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "secret-0815 **********\n", done.stderr

    monkeypatch.setenv("PREFECT_API_AUTH_STRING", AUTH)
    with temporary_settings(updates={PREFECT_API_URL: url}):
        first = read_secrets(["kis_app_key", "gemini_api_key"], {})
    with temporary_settings(updates={PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert read_secrets(["kis_app_key", "gemini_api_key"], {}) == first
    assert first == {"kis_app_key": "key-0815"}


@pytest.mark.server
@pytest.mark.slow
def test_the_command_asks_for_the_value_and_never_shows_it(
    url: str, run_cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("typer._click.termui.hidden_prompt_func", lambda prompt: "key-4711")
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", AUTH)

    with temporary_settings(updates={PREFECT_API_URL: url, PREFECT_API_AUTH_STRING: AUTH}):
        code, out, err = run_cli("secrets", "set", "gemini_api_key")
        kept = read_secrets(["gemini_api_key"], {})

    assert (code, out) == (0, "stored as ouroboros-gemini-api-key; it is read at the next start\n")
    assert "4711" not in err
    assert kept == {"gemini_api_key": "key-4711"}


def test_only_settings_that_are_secrets_are_stored(run_cli: Run) -> None:
    code, _, err = run_cli("secrets", "set", "MAX_LOSS_PCT")

    assert code == 2
    assert "MAX_LOSS_PCT: no secret setting; there are" in err
    assert "KIS_APP_KEY" in err
    assert "PREFECT_PASSWORD" not in err
