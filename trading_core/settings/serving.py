"""Settings of what ``ouroboros up`` keeps running; part of ``Settings``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AnyHttpUrl, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

Port = Annotated[int, Field(ge=1, le=65535)]


class ServingSettings(BaseSettings):
    """The dashboard, the twin, and the Prefect server under Prefect's own names."""

    dashboard_enabled: bool = False
    dashboard_host: str = "127.0.0.1"
    dashboard_port: Port = 8080
    dashboard_lang: Literal["ko", "en"] = "en"
    dashboard_password: SecretStr | None = None

    prefect_api_url: AnyHttpUrl | None = None
    prefect_server_api_host: str = "127.0.0.1"
    prefect_server_api_port: Port = 4200
    prefect_server_api_auth_string: SecretStr | None = None
    twin_port: Port = 9443

    @field_validator("prefect_server_api_auth_string")
    @classmethod
    def _user_and_password(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not all(value.get_secret_value().partition(":")):
            raise ValueError("a user, a colon and a password")
        return value
