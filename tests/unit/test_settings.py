"""Every variable under its own name; what is not allowed stops everything, in one line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from trading_core.errors import ConfigError
from trading_core.model.market import MarketGroup
from trading_core.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]

# Name -> default, as text. None: not set.
DOCUMENTED: dict[str, object] = {
    "KIS_APP_KEY": None,
    "KIS_APP_SECRET": None,
    "KIS_ACCOUNT_NO": None,
    "GEMINI_API_KEY": None,
    "MODE": "paper",
    "TRADE_MODE": "daily",
    "DAILY_SESSIONS": 4,
    "SESSION_INTERVAL_HOURS": 6,
    "CONFIDENCE_THRESHOLD": 80,
    "MAX_LOSS_PCT": 3.0,
    "MAX_ORDER_PCT": 30.0,
    "ENABLED_MARKETS": (MarketGroup.KR, MarketGroup.US),
    "RATE_LIMIT_RPS": 2.0,
    "PRE_MARKET_MINUTES": 30,
    "MAX_SCENARIOS_PER_STOCK": 5,
    "PLANNER_TIMEOUT_SECONDS": 60,
    "DEFENSIVE_PLAYBOOK_ON_FAILURE": True,
    "RESCAN_INTERVAL_SECONDS": 300,
    "RSI_OVERSOLD_THRESHOLD": 30,
    "RSI_MOMENTUM_THRESHOLD": 70,
    "VOL_MULTIPLIER": 2.0,
    "SCANNER_TOP_N": 3,
    "DASHBOARD_ENABLED": False,
    "DASHBOARD_HOST": "127.0.0.1",
    "DASHBOARD_PORT": 8080,
    "TELEGRAM_BOT_TOKEN": None,
    "TELEGRAM_CHAT_ID": None,
    "TELEGRAM_ENABLED": True,
    "TELEGRAM_COMMANDS_ENABLED": True,
    "TELEGRAM_POLLING_INTERVAL": 1.0,
    "BACKUP_ENABLED": False,
    "S3_ENDPOINT_URL": None,
    "S3_ACCESS_KEY": None,
    "S3_SECRET_KEY": None,
    "S3_BUCKET_NAME": None,
    "S3_REGION": None,
    "NEWS_API_KEY": None,
    "NEWS_API_PROVIDER": (),
    "MARKET_DATA_API_KEY": None,
    "POSITION_SIZING_ENABLED": True,
    "POSITION_BASE_ALLOCATION_PCT": 5.0,
    "POSITION_MIN_ALLOCATION_PCT": 1.0,
    "POSITION_MAX_ALLOCATION_PCT": 10.0,
    "POSITION_VOLATILITY_TARGET_SCORE": 50.0,
    "OVERSEAS_RANKING_ENABLED": True,
    # The ids and paths under which the broker really offers these two rankings.
    "OVERSEAS_RANKING_FLUCT_TR_ID": "HHDFS76290000",
    "OVERSEAS_RANKING_VOLUME_TR_ID": "HHDFS76310010",
    "OVERSEAS_RANKING_FLUCT_PATH": "/uapi/overseas-stock/v1/ranking/updown-rate",
    "OVERSEAS_RANKING_VOLUME_PATH": "/uapi/overseas-stock/v1/ranking/trade-vol",
}

SECRETS = {
    "BACKUP_ENCRYPTION_KEY": "backup-encryption-phrase",
    "KIS_APP_KEY": "PSkeyThatNobodyMaySee",
    "KIS_APP_SECRET": "secretThatNobodyMaySee",
    "KIS_ACCOUNT_NO": "87654321-01",
    "GEMINI_API_KEY": "AIzaNobodyMaySee",
    "OPENAI_API_KEY": "sk-nobodyMaySee",
    "TELEGRAM_BOT_TOKEN": "1234567890:AAnobodyMaySeeThisTokenEver",
    "TELEGRAM_CHAT_ID": "998877665",
    "S3_ACCESS_KEY": "AKIAnobodyMaySee",
    "S3_SECRET_KEY": "s3secretNobodyMaySee",
    "NEWS_API_KEY": "newsNobodyMaySee",
    "MARKET_DATA_API_KEY": "marketNobodyMaySee",
}


def refusal(monkeypatch: pytest.MonkeyPatch, **variables: str) -> ConfigError:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        load_settings()
    return caught.value


@pytest.mark.parametrize(("name", "default"), DOCUMENTED.items(), ids=DOCUMENTED)
def test_every_documented_variable_has_its_documented_default(name: str, default: object) -> None:
    assert getattr(load_settings(), name.lower()) == default


def test_the_store_and_the_backups_lie_under_data_when_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OUROBOROS_HOME")

    settings = load_settings()

    assert settings.store_path == Path("data/trades.db")
    assert settings.backup_path == Path("data/backups")


def test_db_path_and_backup_dir_win_over_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PATH", "/elsewhere/state.db")
    monkeypatch.setenv("BACKUP_DIR", "/mnt/safe")

    settings = load_settings()

    assert settings.store_path == Path("/elsewhere/state.db")
    assert settings.backup_path == Path("/mnt/safe")


@pytest.mark.parametrize("name", ["OUROBOROS_HOME", "DB_PATH", "BACKUP_DIR"])
def test_a_tilde_is_the_home_of_the_user(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv(name, "~/trader")

    assert getattr(load_settings(), name.lower()) == Path("/home/someone/trader")


@pytest.mark.parametrize("name", DOCUMENTED)
def test_an_empty_variable_is_one_that_is_not_set(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "")

    assert getattr(load_settings(), name.lower()) == DOCUMENTED[name]


# --- Limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_LOSS_PCT", "0.01"),
        ("MAX_LOSS_PCT", "2.99"),
        ("MAX_LOSS_PCT", "3"),
        ("MAX_ORDER_PCT", "0.01"),
        ("MAX_ORDER_PCT", "29.99"),
        ("MAX_ORDER_PCT", "30.0"),
        ("CONFIDENCE_THRESHOLD", "0"),
        ("CONFIDENCE_THRESHOLD", "100"),
    ],
)
def test_a_limit_may_be_made_stricter(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    assert getattr(load_settings(), name.lower()) == float(value)


@pytest.mark.parametrize("value", ["3.0001", "5", "100", "inf", "nan", "-1", "0"])
def test_a_loss_limit_looser_than_three_percent_does_not_load(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    error = refusal(monkeypatch, MAX_LOSS_PCT=value)

    assert f"MAX_LOSS_PCT={value}: " in str(error)
    assert "less than or equal to 3" in str(error) or "greater than 0" in str(error)


@pytest.mark.parametrize("value", ["30.0001", "31", "100", "inf", "nan", "-1", "0"])
def test_an_order_limit_looser_than_thirty_percent_does_not_load(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    error = refusal(monkeypatch, MAX_ORDER_PCT=value)

    assert f"MAX_ORDER_PCT={value}: " in str(error)
    assert "less than or equal to 30" in str(error) or "greater than 0" in str(error)


# --- Bad values ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("MODE", "real", "'paper' or 'live'"),
        ("TRADE_MODE", "hourly", "'daily' or 'realtime'"),
        ("DAILY_SESSIONS", "0", "greater than or equal to 1"),
        ("DAILY_SESSIONS", "11", "less than or equal to 10"),
        ("SESSION_INTERVAL_HOURS", "25", "less than or equal to 24"),
        ("SESSION_INTERVAL_HOURS", "1.5", "integer"),
        ("CONFIDENCE_THRESHOLD", "101", "less than or equal to 100"),
        ("CONFIDENCE_THRESHOLD", "high", "integer"),
        ("ENABLED_MARKETS", "KR,MARS", "known are KR, US, JP, HK, CN, VN"),
        ("ENABLED_MARKETS", ",", "at least one market"),
        ("RATE_LIMIT_RPS", "0", "greater than 0"),
        ("RATE_LIMIT_RPS", "21", "less than or equal to 20"),
        ("PRE_MARKET_MINUTES", "0", "greater than or equal to 1"),
        ("MAX_SCENARIOS_PER_STOCK", "0", "greater than or equal to 1"),
        ("PLANNER_TIMEOUT_SECONDS", "0", "greater than 0"),
        ("PLANNER_TIMEOUT_SECONDS", "inf", "less than or equal to 600"),
        ("DEFENSIVE_PLAYBOOK_ON_FAILURE", "perhaps", "boolean"),
        ("RESCAN_INTERVAL_SECONDS", "9", "greater than or equal to 10"),
        ("RSI_OVERSOLD_THRESHOLD", "51", "less than or equal to 50"),
        ("RSI_MOMENTUM_THRESHOLD", "49", "greater than or equal to 50"),
        ("VOL_MULTIPLIER", "-1", "greater than 0"),
        ("SCANNER_TOP_N", "0", "greater than or equal to 1"),
        ("DASHBOARD_PORT", "0", "greater than or equal to 1"),
        ("DASHBOARD_PORT", "65536", "less than or equal to 65535"),
        ("DASHBOARD_HOST", "my host", "a host name or an IP address"),
        ("TELEGRAM_POLLING_INTERVAL", "0", "greater than or equal to 0.1"),
        ("S3_ENDPOINT_URL", "nowhere", "valid URL"),
        ("TWIN_URL", "ftp://127.0.0.1", "'http' or 'https'"),
        ("POSITION_BASE_ALLOCATION_PCT", "nan", "less than or equal to 100"),
        ("OVERSEAS_RANKING_FLUCT_PATH", "ranking", "starts with /uapi/"),
        ("DB_PATH", ":memory:", "a path on disk"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, allowed: str
) -> None:
    error = refusal(monkeypatch, **{name: value})

    assert f"{name}={value}: " in str(error)
    assert allowed in str(error)
    assert "\n" not in str(error)


def test_a_value_of_two_lines_is_shown_on_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert r"MODE='pa\nper'" in str(refusal(monkeypatch, MODE="pa\nper"))


def test_all_that_is_wrong_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    error = refusal(monkeypatch, MODE="real", MAX_LOSS_PCT="5", DASHBOARD_PORT="none")

    for name in ("MODE=real", "MAX_LOSS_PCT=5", "DASHBOARD_PORT=none"):
        assert name in str(error)


def test_allocations_out_of_order_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    error = refusal(monkeypatch, POSITION_MIN_ALLOCATION_PCT="6", POSITION_MAX_ALLOCATION_PCT="4")

    assert "POSITION_MIN_ALLOCATION_PCT=6.0" in str(error)
    assert "POSITION_MAX_ALLOCATION_PCT=4.0" in str(error)


def test_markets_are_grouped_in_their_order_without_doubles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ENABLED_MARKETS", " us_nasdaq , KR,US,")

    assert load_settings().enabled_markets == (MarketGroup.US, MarketGroup.KR)


def test_an_error_of_the_settings_exits_with_two() -> None:
    assert ConfigError.exit_code == 2


# --- Keys ----------------------------------------------------------------------------------------


def test_live_trading_needs_all_three_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    error = refusal(monkeypatch, MODE="live")

    for name in ("KIS_APP_KEY", "KIS_APP_SECRET", "KIS_ACCOUNT_NO", "MODE=live"):
        assert name in str(error)


@pytest.mark.parametrize("left_out", ["KIS_APP_KEY", "KIS_APP_SECRET", "KIS_ACCOUNT_NO"])
def test_two_keys_of_three_are_refused_and_the_third_is_named(
    monkeypatch: pytest.MonkeyPatch, left_out: str
) -> None:
    names = {"KIS_APP_KEY", "KIS_APP_SECRET", "KIS_ACCOUNT_NO"} - {left_out}

    error = refusal(monkeypatch, **{name: SECRETS[name] for name in names})

    assert f"{left_out} not set" in str(error)
    assert not any(SECRETS[name] in str(error) for name in names)


def test_with_the_three_keys_live_trading_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KIS_APP_KEY", "KIS_APP_SECRET", "KIS_ACCOUNT_NO"):
        monkeypatch.setenv(name, SECRETS[name])
    monkeypatch.setenv("MODE", "live")

    settings = load_settings()

    assert settings.mode == "live"
    assert settings.has_kis_keys
    assert settings.kis_account_no == SecretStr(SECRETS["KIS_ACCOUNT_NO"])


def test_every_secret_is_kept_out_of_what_the_settings_print(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)

    settings = load_settings()

    printed = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    for name, value in SECRETS.items():
        assert getattr(settings, name.lower()).get_secret_value() == value
        assert value not in printed, name


def test_every_variable_that_sounds_secret_is_one() -> None:
    sounding = {
        name
        for name in Settings.model_fields
        if re.search(r"(_key|_secret|_token|account_no|chat_id)$", name)
    }

    assert {name.lower() for name in SECRETS} == sounding
    for name in sounding:
        assert "SecretStr" in str(Settings.model_fields[name].annotation), name


@pytest.mark.parametrize("name", ["KIS_ACCOUNT_NO", "TELEGRAM_BOT_TOKEN", "TELEGRAM_CHAT_ID"])
def test_a_malformed_secret_is_in_no_message_and_in_no_chained_exception(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    error = refusal(monkeypatch, **{name: "s3cr3tValue"}, GEMINI_API_KEY=SECRETS["GEMINI_API_KEY"])

    assert f"{name}=****" in str(error)
    seen: BaseException | None = error
    while seen is not None:
        shown = "".join(traceback.format_exception(seen)) + repr(seen)
        assert "s3cr3tValue" not in shown
        assert SECRETS["GEMINI_API_KEY"] not in shown
        seen = seen.__context__ or seen.__cause__


def test_not_even_the_validators_own_error_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIS_APP_SECRET", SECRETS["KIS_APP_SECRET"])
    monkeypatch.setenv("KIS_ACCOUNT_NO", "s3cr3tValue")

    with pytest.raises(ValidationError) as caught:
        Settings()

    assert "s3cr3tValue" not in str(caught.value)
    assert SECRETS["KIS_APP_SECRET"] not in str(caught.value)


def test_a_password_inside_an_address_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    error = refusal(monkeypatch, S3_ENDPOINT_URL="ftp://user:passw0rd@minio:9000")

    assert "S3_ENDPOINT_URL=ftp://****@minio:9000" in str(error)


# --- .env ----------------------------------------------------------------------------------------


@pytest.fixture
def dotenv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The ``.env`` of the working directory, which no other test reads."""
    monkeypatch.setitem(Settings.model_config, "env_file", ".env")
    monkeypatch.chdir(tmp_path)
    return tmp_path / ".env"


def test_the_env_file_is_read(dotenv: Path) -> None:
    dotenv.write_text("# a comment\nSCANNER_TOP_N=7\nKIS_APP_KEY=\nNOT_OURS=1\n")

    settings = load_settings()

    assert settings.scanner_top_n == 7
    assert settings.kis_app_key is None


def test_the_environment_wins_over_the_env_file(
    monkeypatch: pytest.MonkeyPatch, dotenv: Path
) -> None:
    dotenv.write_text("SCANNER_TOP_N=7\nDAILY_SESSIONS=2\n")
    monkeypatch.setenv("SCANNER_TOP_N", "9")

    settings = load_settings()

    assert settings.scanner_top_n == 9
    assert settings.daily_sessions == 2


def test_what_is_set_by_hand_wins_over_both(monkeypatch: pytest.MonkeyPatch, dotenv: Path) -> None:
    dotenv.write_text("SCANNER_TOP_N=7\n")
    monkeypatch.setenv("SCANNER_TOP_N", "9")

    assert load_settings(scanner_top_n=11).scanner_top_n == 11


def test_an_env_file_in_another_encoding_is_refused_with_a_word(dotenv: Path) -> None:
    dotenv.write_bytes("S3_BUCKET_NAME=백업\n".encode("cp949"))

    with pytest.raises(ConfigError, match="UTF-8") as caught:
        load_settings()

    assert caught.value.__context__ is None


def test_a_wrong_line_of_the_env_file_is_named_as_a_variable(dotenv: Path) -> None:
    dotenv.write_text("MAX_LOSS_PCT=4\n")

    with pytest.raises(ConfigError, match=r"MAX_LOSS_PCT=4: .* 3"):
        load_settings()


def test_the_example_loads_as_it_is_and_changes_nothing(dotenv: Path) -> None:
    dotenv.write_text((ROOT / ".env.example").read_text())

    settings = load_settings()

    for name, default in DOCUMENTED.items():
        assert getattr(settings, name.lower()) == default, name


def test_the_defaults_written_in_the_example_are_the_real_ones(dotenv: Path) -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    written = dict(
        line.removeprefix("#").split("=", 1) for line in lines if re.match(r"#?[A-Z0-9_]+=.", line)
    )
    # Those two only show what a value looks like.
    for name in ("KIS_ACCOUNT_NO", "TWIN_URL"):
        assert written.pop(name)
    for name, path in (("DB_PATH", "data/trades.db"), ("BACKUP_DIR", "data/backups")):
        assert written.pop(name) == path
    assert len(written) > 30
    dotenv.write_text("".join(f"{name}={value}\n" for name, value in written.items()))

    settings, fields = load_settings(), Settings.model_fields

    for name in written.keys() - {"OUROBOROS_HOME"}:
        assert getattr(settings, name.lower()) == fields[name.lower()].default, name


def test_a_setting_that_is_not_allowed_ends_the_command_with_two(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MAX_LOSS_PCT=5\nKIS_ACCOUNT_NO=s3cr3tValue\n")

    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "status"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OUROBOROS_HOME": str(tmp_path / "home")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 2
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("error: settings not allowed: ")
    assert "MAX_LOSS_PCT=5" in line
    assert "KIS_ACCOUNT_NO=****" in line
    assert "s3cr3tValue" not in line
    assert not (tmp_path / "home").exists()
