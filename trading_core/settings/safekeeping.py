"""Where backups lie, and in what form; part of ``Settings``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AnyHttpUrl, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

SHORTEST_KEY = 16


class SafekeepingSettings(BaseSettings):
    """All optional."""

    backup_enabled: bool = False
    backup_dir: Path | None = None
    s3_endpoint_url: AnyHttpUrl | None = None
    s3_access_key: SecretStr | None = None
    s3_secret_key: SecretStr | None = None
    s3_bucket_name: str | None = None
    s3_region: str | None = None

    backup_encryption_key: SecretStr | None = None
    backup_export: Literal["none", "parquet", "csv", "json"] = "none"
    s3_prefix: str = "ouroboros"
    s3_timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 20.0

    @field_validator("backup_encryption_key")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < SHORTEST_KEY:
            raise ValueError(f"at least {SHORTEST_KEY} characters; without it a backup is lost")
        return value

    @field_validator("s3_prefix")
    @classmethod
    def _plain_folder(cls, value: str) -> str:
        name = value.strip("/")
        if not re.fullmatch(r"[A-Za-z0-9._/-]*", name):
            raise ValueError("a folder name in the bucket: letters, digits, . _ - /")
        return name
