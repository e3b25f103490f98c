"""Real money is traded only after a person confirmed the account and the limits.

The confirmation is a file in the home. It holds while the account is the same and no limit is
looser than the confirmed one; stricter limits and fewer markets need no new one.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from trading_core.errors import ConfigError
from trading_core.settings import Settings
from trading_core.wiring.broker import Place

CONFIRMATION = "live.confirmed"
# Where 0 switches the limit off and so is the loosest value.
_ZERO_IS_NONE = (
    "guard_max_symbol_pct",
    "guard_max_sector_pct",
    "guard_max_exposure_pct",
    "guard_max_orders_per_session",
    "guard_max_orders_per_minute",
)
_LIMITS = ("max_loss_pct", "max_order_pct", *_ZERO_IS_NONE)


def live_limits(settings: Settings) -> dict[str, Any]:
    """What would be traded with: the account as it may be shown, its markets and the limits."""
    return {
        "account": Place.of(settings).label,
        "markets": [group.value for group in settings.enabled_markets],
        "limits": {name.upper(): getattr(settings, name) for name in _LIMITS},
    }


def confirm_live(settings: Settings, at: datetime) -> Path:
    """Write down that a person confirmed what :func:`live_limits` shows."""
    path = settings.ouroboros_home / CONFIRMATION
    path.parent.mkdir(parents=True, exist_ok=True)
    text = {**live_limits(settings), "confirmed_at": at.isoformat(timespec="seconds")}
    path.write_text(json.dumps(text, indent=1) + "\n")
    path.chmod(0o600)
    return path


def require_confirmation(settings: Settings) -> None:
    """Raises ``ConfigError`` when real money would be traded that nobody confirmed."""
    if settings.mode != "live":
        return
    wanted = live_limits(settings)
    limits = ", ".join(f"{name}={value:g}" for name, value in wanted["limits"].items())
    for doubt in _doubts(settings.ouroboros_home / CONFIRMATION, wanted):
        raise ConfigError(
            f"MODE=live: {doubt}. It would trade the {wanted['account']} in "
            f"{', '.join(wanted['markets'])} with {limits}; confirm that with: ouroboros go-live"
        )


def _doubts(path: Path, wanted: dict[str, Any]) -> list[str]:
    try:
        known = json.loads(path.read_text())
        account, markets = known["account"], set(known["markets"])
        limits = {name: float(value) for name, value in known["limits"].items()}
    except FileNotFoundError:
        return ["nobody has confirmed that real money may be traded"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return [f"{path} cannot be read"]
    doubts = []
    if account != wanted["account"]:
        doubts.append(f"another account was confirmed, the {account}")
    if more := [name for name in wanted["markets"] if name not in markets]:
        doubts.append(f"{', '.join(more)} was not confirmed")
    for name, value in wanted["limits"].items():
        if name not in limits or _width(name, value) > _width(name, limits[name]):
            doubts.append(f"{name}={value:g} is looser than what was confirmed")
    return doubts


def _width(name: str, value: float) -> float:
    return float("inf") if name.lower() in _ZERO_IS_NONE and value == 0 else value
