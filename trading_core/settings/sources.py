"""The settings of outside sources; ``settings`` takes them in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode

Names = Annotated[tuple[str, ...], NoDecode]


class SourceSettings(BaseSettings):
    """All optional: without any of them nothing outside of the broker is asked."""

    news_api_key: SecretStr | None = None
    news_api_provider: Names = ()
    news_rss_feeds: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    market_data_api_key: SecretStr | None = None
    market_data_provider: Names = ()
    economic_calendar_provider: Names = ()
    economic_calendar_file: Path | None = None
    sources_timeout_seconds: Annotated[float, Field(gt=0, le=120)] = 15.0
    sources_cache_minutes: Annotated[float, Field(ge=0, le=1440)] = 10.0
    sources_base_urls: Annotated[dict[str, str], NoDecode] = {}

    @field_validator(
        "news_api_provider", "market_data_provider", "economic_calendar_provider", mode="before"
    )
    @classmethod
    def _names(cls, value: object) -> object:
        """``finnhub,rss``; order is kept, doubles drop."""
        if not isinstance(value, str):
            return value
        names = (name.strip().lower() for name in value.split(","))
        return tuple(dict.fromkeys(name for name in names if name))

    @field_validator("news_rss_feeds", mode="before")
    @classmethod
    def _feeds(cls, value: object) -> object:
        """Parted by commas or blanks."""
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @field_validator("sources_base_urls", mode="before")
    @classmethod
    def _base_urls(cls, value: object) -> object:
        """``finnhub=http://127.0.0.1:8000,fred=http://127.0.0.1:8001``."""
        if not isinstance(value, str):
            return value
        pairs = [pair.strip().partition("=") for pair in value.split(",") if pair.strip()]
        if any(not sign for _, sign, _ in pairs):
            raise ValueError("name=address, parted by commas")
        return {name.strip().lower(): url.strip() for name, _, url in pairs}

    @field_validator("economic_calendar_file")
    @classmethod
    def _home(cls, value: Path | None) -> Path | None:
        return value and value.expanduser()
