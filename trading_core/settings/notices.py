"""Settings of how people are told and heard; part of ``Settings``."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AnyHttpUrl, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

from trading_core.model.notice import QuietHours


class NotifySettings(BaseSettings):
    """``notify_urls`` are addresses of Apprise, separated by blanks; they hold secrets."""

    telegram_bot_token: SecretStr | None = None
    telegram_chat_id: SecretStr | None = None
    telegram_enabled: bool = True
    telegram_commands_enabled: bool = True
    telegram_polling_interval: Annotated[float, Field(ge=0.1, le=60)] = 1.0
    telegram_base_url: AnyHttpUrl = AnyHttpUrl("https://api.telegram.org/bot")

    notify_urls: SecretStr | None = None
    notify_zone: str = "Asia/Seoul"
    notify_quiet_hours: str | None = None
    notify_interval_seconds: Annotated[float, Field(ge=0.1, le=3600)] = 1.0

    @field_validator("notify_urls")
    @classmethod
    def _addresses(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not all("://" in url for url in value.get_secret_value().split()):
            raise ValueError("addresses of Apprise such as ntfy://topic, separated by blanks")
        return value

    @field_validator("notify_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("a time zone such as Asia/Seoul") from None
        return value

    @field_validator("notify_quiet_hours")
    @classmethod
    def _hours(cls, value: str | None) -> str | None:
        if value is not None:
            QuietHours.parse(value, "UTC")
        return value
