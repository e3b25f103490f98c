"""Every setting, read once from the environment and ``.env``; only ``wiring`` imports this.

Names are the environment variables in lower case. A wrong value stops the program before anything
else happens, with one error that names the variable, the value (secrets masked) and what is
allowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AnyHttpUrl, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from trading_core.errors import ConfigError, UnknownMarket
from trading_core.model.limits import (
    DAILY_BATCH,
    DEFAULT_MIN_PRICES,
    LOOSEST_LOSS_PCT,
    LOOSEST_ORDER_PCT,
    BlackoutWindow,
    GuardLimits,
    SessionEnd,
)
from trading_core.model.market import Currency, MarketGroup
from trading_core.settings.notices import NotifySettings
from trading_core.settings.planner import PlannerSettings
from trading_core.settings.safekeeping import SafekeepingSettings
from trading_core.settings.secrets import KeptSecrets
from trading_core.settings.serving import ServingSettings
from trading_core.settings.sources import SourceSettings

Port = Annotated[int, Field(ge=1, le=65535)]
Percent = Annotated[float, Field(gt=0, le=100)]


class Settings(
    PlannerSettings,
    SourceSettings,
    ServingSettings,
    SafekeepingSettings,
    NotifySettings,
    BaseSettings,
):
    """All variables with their defaults; see ``.env.example`` for what each does."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The usual ones, and last the secrets that are kept elsewhere."""
        return init_settings, env_settings, dotenv_settings, KeptSecrets(settings_cls)

    ouroboros_home: Path = Path("data")

    kis_app_key: SecretStr | None = None
    kis_app_secret: SecretStr | None = None
    kis_account_no: SecretStr | None = None
    kis_hts_id: SecretStr | None = None
    kis_hashkey: bool = True
    kis_route: Literal["KRX", "NXT", "SOR"] = "KRX"
    twin_url: AnyHttpUrl | None = None

    mode: Literal["paper", "live"] = "paper"
    trade_mode: Literal["daily", "realtime"] = "daily"
    daily_sessions: Annotated[int, Field(ge=1, le=10)] = 4
    session_interval_hours: Annotated[int, Field(ge=1, le=24)] = 6
    realtime_cycle_seconds: Annotated[int, Field(ge=10, le=600)] = 60

    db_path: Path | None = None
    lock_dir: Path | None = None

    confidence_threshold: Annotated[int, Field(ge=0, le=100)] = 80
    max_loss_pct: Annotated[float, Field(gt=0, le=LOOSEST_LOSS_PCT)] = LOOSEST_LOSS_PCT
    max_order_pct: Annotated[float, Field(gt=0, le=LOOSEST_ORDER_PCT)] = LOOSEST_ORDER_PCT

    enabled_markets: Annotated[tuple[MarketGroup, ...], NoDecode] = (MarketGroup.KR, MarketGroup.US)
    rate_limit_rps: Annotated[float, Field(gt=0, le=20)] = 2.0

    pre_market_minutes: Annotated[int, Field(ge=1, le=480)] = 30
    max_scenarios_per_stock: Annotated[int, Field(ge=1, le=20)] = 5
    planner_timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 60.0
    planner_max_stocks: Annotated[int, Field(ge=1, le=500)] = 30
    defensive_playbook_on_failure: bool = True
    plan_refresh_midday: bool = False
    plan_refresh_after_stop: bool = False
    rescan_interval_seconds: Annotated[int, Field(ge=10, le=3600)] = 300
    stream_enabled: bool = True
    quote_poll_seconds: Annotated[float, Field(ge=1, le=600)] = 10.0
    watchdog_seconds: Annotated[float, Field(ge=0, le=7200)] = 0.0
    blackout_windows: Annotated[tuple[BlackoutWindow, ...], NoDecode] = (DAILY_BATCH,)

    rsi_oversold_threshold: Annotated[float, Field(ge=0, le=50)] = 30.0
    rsi_momentum_threshold: Annotated[float, Field(ge=50, le=100)] = 70.0
    vol_multiplier: Annotated[float, Field(gt=0, le=100)] = 2.0
    scanner_top_n: Annotated[int, Field(ge=1, le=100)] = 3

    position_sizing_enabled: bool = True
    position_base_allocation_pct: Percent = 5.0
    position_min_allocation_pct: Percent = 1.0
    position_max_allocation_pct: Percent = 10.0
    position_volatility_target_score: Percent = 50.0

    exit_atr_stop_multiple: Annotated[float, Field(gt=0, le=20)] = 2.0
    exit_atr_stop_tightest_pct: Annotated[float, Field(gt=-100, lt=0)] = -2.0
    exit_atr_stop_loosest_pct: Annotated[float, Field(gt=-100, lt=0)] = -7.0
    exit_take_profit_pct: Annotated[float, Field(ge=0, le=1000)] = 0.0
    exit_trail_after_take_profit: bool = False
    exit_break_even_arm_pct: Percent = 2.0
    exit_trail_arm_pct: Percent = 4.0
    exit_trail_atr_multiple: Annotated[float, Field(gt=0, le=20)] = 2.0
    exit_time_stop_sessions: Annotated[int, Field(ge=0, le=1000)] = 0
    exit_at_session_end: SessionEnd = SessionEnd.HOLD
    exit_session_end_minutes: Annotated[float, Field(gt=0, le=480)] = 15.0
    exit_blind_looks: Annotated[int, Field(ge=1, le=1000)] = 3
    exit_quote_max_age_seconds: Annotated[float, Field(gt=0, le=3600)] = 120.0

    unfilled_entry_seconds: Annotated[float, Field(ge=5, le=14_400)] = 120.0
    unfilled_exit_seconds: Annotated[float, Field(ge=5, le=3600)] = 30.0
    unfilled_max_gap_pct: Annotated[float, Field(ge=0, le=30)] = 2.0
    unfilled_pause_minutes: Annotated[float, Field(ge=0, le=1440)] = 10.0

    guard_entry_tries_per_session: Annotated[int, Field(ge=0, le=100)] = 1
    guard_reentry_after_loss_minutes: Annotated[float, Field(ge=0, le=10_080)] = 120.0
    guard_not_above_sale_seconds: Annotated[float, Field(ge=0, le=86_400)] = 120.0
    guard_chase_gain_pct: Annotated[float, Field(ge=0, le=100)] = 4.0
    guard_chase_near_high_pct: Annotated[float, Field(ge=0, le=100)] = 0.5
    guard_min_prices: Annotated[dict[MarketGroup, Decimal], NoDecode] = dict(DEFAULT_MIN_PRICES)
    guard_cash_buffers: Annotated[dict[Currency, Decimal], NoDecode] = {}
    guard_cash_buffer_pct: Annotated[float, Field(ge=0, le=100)] = 2.0
    guard_pause_after_no_cash_minutes: Annotated[float, Field(ge=0, le=1440)] = 10.0
    guard_max_symbol_pct: Annotated[float, Field(ge=0, le=100)] = 30.0
    guard_max_sector_pct: Annotated[float, Field(ge=0, le=100)] = 40.0
    guard_max_exposure_pct: Annotated[float, Field(ge=0, le=100)] = 95.0
    guard_max_orders_per_session: Annotated[int, Field(ge=0, le=100_000)] = 200
    guard_max_orders_per_minute: Annotated[int, Field(ge=0, le=10_000)] = 20
    guard_repeat_after_seconds: Annotated[float, Field(ge=0, le=600)] = 10.0
    guard_sectors_file: Path | None = None

    overseas_ranking_enabled: bool = True
    overseas_ranking_fluct_tr_id: str = "HHDFS76290000"
    overseas_ranking_volume_tr_id: str = "HHDFS76310010"
    overseas_ranking_fluct_path: str = "/uapi/overseas-stock/v1/ranking/updown-rate"
    overseas_ranking_volume_path: str = "/uapi/overseas-stock/v1/ranking/trade-vol"

    @field_validator("enabled_markets", mode="before")
    @classmethod
    def _split_markets(cls, value: object) -> object:
        """``KR,US_NASDAQ`` names groups by group or market code; order is kept, doubles drop."""
        if not isinstance(value, str):
            return value
        codes = [code for code in value.split(",") if code.strip()]
        if not codes:
            raise ValueError("at least one market, e.g. KR,US")
        try:
            return tuple(dict.fromkeys(MarketGroup.parse(code) for code in codes))
        except UnknownMarket as error:
            raise ValueError(str(error)) from None

    @field_validator("guard_min_prices", mode="before")
    @classmethod
    def _min_prices(cls, value: object) -> object:
        """``US:3`` changes one market; the others keep their defaults."""
        given = _amounts(value, MarketGroup.parse) if isinstance(value, str) else None
        return value if given is None else {**DEFAULT_MIN_PRICES, **given}

    @field_validator("guard_cash_buffers", mode="before")
    @classmethod
    def _cash_buffers(cls, value: object) -> object:
        return _amounts(value, Currency) if isinstance(value, str) else value

    @field_validator("blackout_windows", mode="before")
    @classmethod
    def _windows(cls, value: object) -> object:
        return BlackoutWindow.parse(value) if isinstance(value, str) else value

    @field_validator("ouroboros_home", "db_path", "lock_dir", "backup_dir", "guard_sectors_file")
    @classmethod
    def _path(cls, value: Path | None) -> Path | None:
        """``~`` is the user's home, as in a shell; ``.env`` files have none to expand it."""
        if value == Path(":memory:"):
            raise ValueError("a path on disk: every run is a process of its own")
        return value and value.expanduser()

    @field_validator("kis_account_no")
    @classmethod
    def _account_format(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"\d{8}-\d{2}", value.get_secret_value()):
            raise ValueError("eight digits, a dash, two digits, e.g. 12345678-01")
        return value

    @field_validator("kis_hts_id")
    @classmethod
    def _hts_id_format(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(
            r"[A-Za-z0-9@._-]{1,40}", value.get_secret_value()
        ):
            raise ValueError("the login of the broker's own trading program, without blanks")
        return value

    @field_validator("telegram_bot_token")
    @classmethod
    def _bot_token_format(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"\d+:[\w-]{20,}", value.get_secret_value()):
            raise ValueError("digits, a colon, then the token, as BotFather prints it")
        return value

    @field_validator("telegram_chat_id")
    @classmethod
    def _chat_id_format(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"-?\d+", value.get_secret_value()):
            raise ValueError("a whole number, as Telegram's getUpdates shows it")
        return value

    @field_validator("overseas_ranking_fluct_path", "overseas_ranking_volume_path")
    @classmethod
    def _uapi_path(cls, value: str) -> str:
        if not value.startswith("/uapi/"):
            raise ValueError("a path that starts with /uapi/")
        return value

    @field_validator("dashboard_host")
    @classmethod
    def _host(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9.:\-]+", value):
            raise ValueError("a host name or an IP address")
        return value

    @model_validator(mode="after")
    def _what_belongs_together(self) -> Self:
        keys = {
            "KIS_APP_KEY": self.kis_app_key,
            "KIS_APP_SECRET": self.kis_app_secret,
            "KIS_ACCOUNT_NO": self.kis_account_no,
        }
        missing = [name for name, value in keys.items() if value is None]
        if missing and (len(missing) < len(keys) or self.mode == "live"):
            raise ValueError(
                f"{', '.join(missing)} not set: the three KIS keys go together"
                + (", and MODE=live needs them" if self.mode == "live" else "")
            )
        if self.kis_route != "KRX" and self.has_kis_keys and self.mode == "paper":
            raise ValueError(
                f"KIS_ROUTE={self.kis_route}: a paper account trades at KRX alone; use KRX"
            )
        low, base = self.position_min_allocation_pct, self.position_base_allocation_pct
        high = self.position_max_allocation_pct
        if not low <= base <= high:
            raise ValueError(
                f"POSITION_MIN_ALLOCATION_PCT={low}, POSITION_BASE_ALLOCATION_PCT={base}, "
                f"POSITION_MAX_ALLOCATION_PCT={high}: must not fall in this order"
            )
        return self

    @model_validator(mode="after")
    def _model_of_the_provider(self) -> Self:
        if self.planner_provider == "openai" and not self.openai_model:
            raise ValueError("OPENAI_MODEL is not set: PLANNER_PROVIDER=openai needs it")
        if (self.openai_input_usd is None) != (self.openai_output_usd is None):
            raise ValueError("OPENAI_INPUT_USD and OPENAI_OUTPUT_USD go together")
        return self

    @model_validator(mode="after")
    def _exits_in_order(self) -> Self:
        arm, trail = self.exit_break_even_arm_pct, self.exit_trail_arm_pct
        if not arm < trail:
            raise ValueError(
                f"EXIT_BREAK_EVEN_ARM_PCT={arm}, EXIT_TRAIL_ARM_PCT={trail}: "
                "the second must be above the first"
            )
        loose, tight = self.exit_atr_stop_loosest_pct, self.exit_atr_stop_tightest_pct
        if not loose <= tight:
            raise ValueError(
                f"EXIT_ATR_STOP_LOOSEST_PCT={loose}, EXIT_ATR_STOP_TIGHTEST_PCT={tight}: "
                "the first must not be above the second"
            )
        return self

    @property
    def has_kis_keys(self) -> bool:
        return self.kis_app_key is not None

    @property
    def guards(self) -> GuardLimits:
        """All of the guards' settings but the sectors, which are in a file."""
        return GuardLimits(
            entry_tries_per_session=self.guard_entry_tries_per_session,
            reentry_after_loss=timedelta(minutes=self.guard_reentry_after_loss_minutes),
            not_above_sale=timedelta(seconds=self.guard_not_above_sale_seconds),
            chase_gain_pct=self.guard_chase_gain_pct,
            chase_near_high_pct=self.guard_chase_near_high_pct,
            min_prices=self.guard_min_prices,
            cash_buffers=self.guard_cash_buffers,
            cash_buffer_pct=self.guard_cash_buffer_pct,
            pause_after_no_cash=timedelta(minutes=self.guard_pause_after_no_cash_minutes),
            pause_after_unfilled=timedelta(minutes=self.unfilled_pause_minutes),
            max_symbol_pct=self.guard_max_symbol_pct,
            max_sector_pct=self.guard_max_sector_pct,
            max_exposure_pct=self.guard_max_exposure_pct,
            max_orders_per_session=self.guard_max_orders_per_session,
            max_orders_per_minute=self.guard_max_orders_per_minute,
            repeat_after=timedelta(seconds=self.guard_repeat_after_seconds),
        )

    @property
    def store_path(self) -> Path:
        """``DB_PATH``, or ``trades.db`` under the home."""
        return self.db_path or self.ouroboros_home / "trades.db"

    @property
    def backup_path(self) -> Path:
        """``BACKUP_DIR``, or ``backups`` under the home."""
        return self.backup_dir or self.ouroboros_home / "backups"


Name = TypeVar("Name")


def _amounts(text: str, name: Callable[[str], Name]) -> dict[Name, Decimal]:
    """``US:5,KR:1000`` as amounts by name."""
    found: dict[Name, Decimal] = {}
    for pair in filter(str.strip, text.split(",")):
        code, _, amount = pair.partition(":")
        try:
            found[name(code.strip().upper())] = parsed = Decimal(amount.strip())
        except (ValueError, ArithmeticError, UnknownMarket):
            raise ValueError(f"{pair.strip()!r} is not a name, a colon and an amount") from None
        if not parsed.is_finite() or parsed < 0:
            raise ValueError(f"{pair.strip()!r} is not an amount of 0 or more")
    return found


def load_settings(**overrides: object) -> Settings:
    """The settings of this process; ``overrides`` win over the environment.

    Raises:
        ConfigError: everything that is wrong in one line: name, value and what is allowed.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        problems = "; ".join(_explain(item) for item in error.errors())
    except UnicodeDecodeError:
        problems = ".env is not UTF-8 text; save it as UTF-8"
    # Raised out here, so that no chained exception carries the values that were read.
    raise ConfigError(f"settings not allowed: {problems}")


def _explain(item: object) -> str:
    assert isinstance(item, dict)
    message = str(item["msg"]).removeprefix("Value error, ")
    if not item["loc"]:
        return message
    name = str(item["loc"][0])
    if message[1:2].islower():
        message = message[:1].lower() + message[1:]
    return f"{name.upper()}={_shown(name, item['input'])}: {message}"


def _shown(name: str, value: object) -> str:
    """A value as it may be shown: no secret, no password in an address, one line."""
    field = Settings.model_fields.get(name)
    if field is not None and "SecretStr" in str(field.annotation):
        return "****"
    text = re.sub(r"//.*@", "//****@", str(value))
    return text if text.isprintable() else repr(text)
