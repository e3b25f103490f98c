"""What of our settings the Prefect server keeps or asks for: secrets and its password."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any

from trading_core.errors import ConfigError, TradingError
from trading_core.wiring import configure, hand_in_secrets

PREFIX = "ouroboros-"
TIMEOUT_SECONDS = 5.0

_AUTH = "PREFECT_API_AUTH_STRING"
_kept: dict[str, str] = {}
_asked: set[str] = set()


def block_name(setting: str) -> str:
    """``kis_app_key`` -> ``ouroboros-kis-app-key``."""
    return PREFIX + setting.lower().replace("_", "-")


def log_in() -> None:
    """Let Prefect's client know the password of our settings, before it is loaded."""
    try:
        auth = configure().prefect_auth
    except TradingError:
        # Whoever needs the settings says what is wrong with them.
        return
    if auth:
        os.environ.setdefault(_AUTH, auth)


def read_secrets(names: Collection[str], known: Mapping[str, Any]) -> Mapping[str, str]:
    """The values of the Secret blocks of these settings, as far as there are any.

    Asked once a process: who trades goes on with what it began with, whatever becomes of the
    server.

    Args:
        names: Settings in lower case.
        known: What is set already, by name.

    Raises:
        ConfigError: no server is configured, or it does not answer.
    """
    if new := set(names) - _asked:
        _kept.update(_ask(sorted(new), known))
        _asked.update(new)
    return {name: _kept[name] for name in names if name in _kept}


def keep_secret(setting: str, value: str) -> str:
    """Store a secret on the server; answers the name of its block. Raises ``ConfigError``."""
    from prefect.blocks.system import Secret

    _url(os.environ)
    name = block_name(setting)
    try:
        Secret(value=value).save(name, overwrite=True)
    except Exception as error:
        raise ConfigError(f"{name} is not stored: {type(error).__name__}") from None
    return name


def _ask(names: list[str], known: Mapping[str, Any]) -> dict[str, str]:
    from prefect.client.orchestration import SyncPrefectClient

    blocks = {block_name(name): name for name in names}
    url = _url(known)
    wanted = {
        "block_documents": {"name": {"any_": list(blocks)}, "is_anonymous": {"eq_": False}},
        "block_types": {"slug": {"any_": ["secret"]}},
        "include_secrets": True,
    }
    try:
        with SyncPrefectClient(
            url,
            auth_string=_auth(known),
            httpx_settings={"timeout": TIMEOUT_SECONDS},
        ) as client:
            rows = client.request("POST", "/block_documents/filter", json=wanted).json()
            return {blocks[row["name"]]: str(row["data"]["value"]) for row in rows}
    except Exception as error:
        # Only the kind of error: its text may hold an address with a password.
        raise ConfigError(
            f"PREFECT_SECRETS=true: the Prefect server of PREFECT_API_URL does not answer with "
            f"them ({type(error).__name__}); start it first, or set the keys in .env"
        ) from None


def _url(known: Mapping[str, Any]) -> str:
    from prefect.settings import PREFECT_API_URL

    url = PREFECT_API_URL.value() or known.get("prefect_api_url")
    if not url:
        raise ConfigError(
            "secrets in Prefect need PREFECT_API_URL: a server that runs before this starts"
        )
    return str(url)


def _auth(known: Mapping[str, Any]) -> str | None:
    if _AUTH in os.environ:
        return os.environ[_AUTH]
    password = known.get("prefect_password")
    return f"ouroboros:{password}" if password else known.get("prefect_server_api_auth_string")


hand_in_secrets(read_secrets)
