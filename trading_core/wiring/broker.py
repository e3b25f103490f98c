"""Which broker, under which name and address, and the clock that goes with it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from trading_core.clock import Clock, SystemClock
from trading_core.errors import ConfigError
from trading_core.settings import Settings

REAL_URL = "https://openapi.koreainvestment.com:9443"
PAPER_URL = "https://openapivts.koreainvestment.com:29443"
TWIN_ACCOUNT = "50000000-01"
TWIN_LINK = "twin.json"


@dataclass(frozen=True, slots=True)
class Place:
    """Which broker, under which name and address."""

    venue: Literal["twin", "paper", "live"]
    url: str
    app_key: str = field(repr=False)
    app_secret: str = field(repr=False)
    account_no: str = field(repr=False)

    @classmethod
    def of(cls, settings: Settings) -> Place:
        if not settings.has_kis_keys:
            url = str(settings.twin_url or _linked_twin(settings.ouroboros_home))
            return cls("twin", url.rstrip("/"), "twin-app-key", "twin-app-secret", TWIN_ACCOUNT)
        assert settings.kis_app_key and settings.kis_app_secret and settings.kis_account_no
        live = settings.mode == "live"
        return cls(
            "live" if live else "paper",
            REAL_URL if live else PAPER_URL,
            settings.kis_app_key.get_secret_value(),
            settings.kis_app_secret.get_secret_value(),
            settings.kis_account_no.get_secret_value(),
        )

    @property
    def key(self) -> str:
        """Says which account it is; every twin has its own."""
        return f"{self.venue}|{self.url if self.venue == 'twin' else ''}|{self.account_no}"

    @property
    def label(self) -> str:
        return f"{self.venue} account ****{self.account_no[-5:]}"


def _linked_twin(home: Path) -> str:
    """The address that a running ``ouroboros twin serve`` left in the home."""
    try:
        return str(json.loads((home / TWIN_LINK).read_text())["url"])
    except (OSError, ValueError, KeyError):
        raise ConfigError(
            "no broker: set KIS_APP_KEY, KIS_APP_SECRET and KIS_ACCOUNT_NO, or start the twin "
            "with: ouroboros twin serve (or watch a whole day with: ouroboros demo)"
        ) from None


async def open_clock(place: Place) -> Clock:
    if place.venue != "twin":
        return SystemClock()
    from trading_core.adapters.twin_clock import TwinClock

    clock = TwinClock(place.url)
    await clock.synchronize()
    return clock


def connect(settings: Settings, place: Place, clock: Clock) -> Any:
    from trading_core.adapters.kis.connection import open_kis
    from trading_core.adapters.kis.tr_table import Endpoint, Query

    on = settings.overseas_ranking_enabled
    rankings = {
        Query.FLUCTUATION: Endpoint(
            settings.overseas_ranking_fluct_path,
            settings.overseas_ranking_fluct_tr_id if on else "",
            "",
        ),
        Query.VOLUME_RANK: Endpoint(
            settings.overseas_ranking_volume_path,
            settings.overseas_ranking_volume_tr_id if on else "",
            "",
        ),
    }
    return open_kis(
        base_url=place.url,
        app_key=place.app_key,
        app_secret=place.app_secret,
        account_no=place.account_no,
        # The twin offers everything the real host does, so the whole day can be seen on it.
        personality="paper" if place.venue == "paper" else "real",
        home=settings.ouroboros_home,
        clock=clock,
        rate_limit_rps=None if place.venue == "twin" else settings.rate_limit_rps,
        verify_tls=place.venue != "paper",
        hashkey=settings.kis_hashkey and place.venue != "twin",
        route=settings.kis_route,
        hts_id=_hts_id(settings, place),
        endpoints=rankings,
    )


def _hts_id(settings: Settings, place: Place) -> str:
    if place.venue == "twin":
        # The twin tells the owner of an account by its number.
        return place.account_no.replace("-", "")
    return settings.kis_hts_id.get_secret_value() if settings.kis_hts_id else ""
