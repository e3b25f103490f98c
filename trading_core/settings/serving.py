"""Settings of what ``ouroboros up`` keeps running; part of ``Settings``."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AnyHttpUrl, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings

Port = Annotated[int, Field(ge=1, le=65535)]


PREFECT_USER = "ouroboros"


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
    prefect_password: SecretStr | None = None
    prefect_secrets: bool = False
    twin_port: Port = 9443

    @field_validator("prefect_server_api_auth_string")
    @classmethod
    def _user_and_password(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not all(value.get_secret_value().partition(":")):
            raise ValueError("a user, a colon and a password")
        return value

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        whole = self.prefect_server_api_auth_string
        if whole and self.prefect_password and whole.get_secret_value() != self.prefect_auth:
            raise ValueError("PREFECT_PASSWORD and PREFECT_SERVER_API_AUTH_STRING: set one of them")
        return self

    @property
    def prefect_auth(self) -> str:
        """``user:password`` of the Prefect server; empty for none."""
        if self.prefect_password is not None:
            return f"{PREFECT_USER}:{self.prefect_password.get_secret_value()}"
        whole = self.prefect_server_api_auth_string
        return whole.get_secret_value() if whole is not None else ""
