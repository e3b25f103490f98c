"""Secrets that somebody else keeps, for what neither the environment nor ``.env`` sets.

Who keeps them is no business of the settings: a lookup is handed in by whoever knows the keeper.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from trading_core.errors import ConfigError

Lookup = Callable[[Collection[str], Mapping[str, Any]], Mapping[str, str]]
"""Names of settings in lower case, and what is set already (raw), to the values that are kept."""

ITS_OWN = frozenset({"prefect_password", "prefect_server_api_auth_string"})
"""What opens the keeper is not kept there."""

_handed_in: list[Lookup] = []


def hand_in_secrets(lookup: Lookup) -> None:
    """Ask this lookup from now on, in this process, where PREFECT_SECRETS is on."""
    _handed_in[:] = [lookup]


def secret_names(settings: type[BaseSettings]) -> frozenset[str]:
    """The settings that are secrets and may be kept elsewhere."""
    fields = settings.model_fields.items()
    return frozenset(n for n, f in fields if "SecretStr" in str(f.annotation)) - ITS_OWN


class KeptSecrets(PydanticBaseSettingsSource):
    """The source with the last word: it is asked only for secrets that nothing else sets."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not used: all are asked for at once."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Raises ``ConfigError``: the keeper does not answer, or nobody here knows it."""
        known = self.current_state
        if not _is_on(known.get("prefect_secrets", False)):
            return {}
        if not _handed_in:
            raise ConfigError(
                "PREFECT_SECRETS=true: only flows and `ouroboros` commands read them; start this "
                "by `ouroboros up`, or set its secrets in the environment"
            )
        names = secret_names(self.settings_cls) - known.keys()
        return dict(_handed_in[0](sorted(names), known))


def _is_on(value: object) -> bool:
    try:
        return TypeAdapter(bool).validate_python(value)
    except ValidationError:
        # The settings say so when they are validated.
        return False
