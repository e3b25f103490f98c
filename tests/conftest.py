"""What holds for every test: nothing leaves this machine, nothing of its user's setup leaks in."""

from __future__ import annotations

import ipaddress
import itertools
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from trading_core.model.market import MarketGroup
from trading_core.settings import Settings

ROOT = Path(__file__).parents[1]
MARKET_DATA = ROOT.parent / "shared" / "data"

_SECRETIVE = ("KIS_", "GEMINI_", "GOOGLE_", "TELEGRAM_", "S3_", "AWS_", "NEWS_", "MARKET_DATA_")
_PREFECT = ("PREFECT_API_URL", "PREFECT_API_KEY", "PREFECT_PROFILE", "PREFECT_API_DATABASE")
_homes = itertools.count()

hypothesis.settings.register_profile("ouroboros", deadline=None, print_blob=True)
hypothesis.settings.load_profile("ouroboros")


# --- The environment -----------------------------------------------------------------------------


def _is_foreign(name: str) -> bool:
    """Whether a variable would make a test depend on whose machine it runs on."""
    settings = {field.upper() for field in Settings.model_fields}
    return name.upper() in settings or name.upper().startswith((*_SECRETIVE, *_PREFECT))


def pytest_configure(config: pytest.Config) -> None:
    # Before collection, because Prefect reads its variables when it is first imported.
    place = Path(tempfile.mkdtemp(prefix="ouroboros-tests-"))
    config.stash[_PLACE] = place
    for name in [name for name in os.environ if _is_foreign(name)]:
        del os.environ[name]
    os.environ["OUROBOROS_HOME"] = str(place / "home")
    os.environ["LOCK_DIR"] = str(place / "locks")
    os.environ["PREFECT_HOME"] = str(place / "prefect")
    os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
    os.environ["DO_NOT_TRACK"] = "1"
    Settings.model_config["env_file"] = None
    _guard_sockets()


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash[_PLACE], ignore_errors=True)


_PLACE = pytest.StashKey[Path]()


@pytest.fixture(autouse=True)
def _own_home(request: pytest.FixtureRequest) -> Iterator[None]:
    """A home per test, made by whoever needs it; the variables are put back afterwards."""
    before = dict(os.environ)
    os.environ["OUROBOROS_HOME"] = str(request.config.stash[_PLACE] / f"home-{next(_homes)}")
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


def pytest_sessionstart() -> None:
    """Take the session tables that come with the program; building one takes seconds.

    Before collection, because modules of tests ask for sessions when they are imported.
    """
    from trading_core.adapters.session_cache import SessionCache

    SessionCache(Path("/nowhere")).warm(MarketGroup)


# --- The network ---------------------------------------------------------------------------------


class LeftTheMachine(RuntimeError):
    """A test tried to reach something that is not on loopback.

    Not an ``OSError``, so that code which expects network errors does not take it for one.
    """


_attempts: list[str] = []


def is_loopback(host: object) -> bool:
    """Loopback addresses, ``localhost`` and the wildcard that servers bind to."""
    if host is None or host in ("", b"", "localhost", b"localhost"):
        return True
    text = host.decode() if isinstance(host, bytes) else str(host)
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _refuse(host: object) -> None:
    if not is_loopback(host):
        _attempts.append(str(host))
        raise LeftTheMachine(f"a test tried to reach {host!r}; tests stay on loopback")


def _guarded(original: Callable[..., Any], host_of: Callable[..., object]) -> Callable[..., Any]:
    @wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        _refuse(host_of(*args, **kwargs))
        return original(*args, **kwargs)

    return call


def _peer(this: socket.socket, *args: Any) -> object:
    """The host of an address, the last argument; None (allowed) for unix sockets."""
    address = args[-1] if args else None
    inet = this.family in (socket.AF_INET, socket.AF_INET6)
    return address[0] if inet and isinstance(address, tuple) else None


def _asked(*args: Any, **kwargs: Any) -> object:
    return args[0] if args else kwargs.get("host", kwargs.get("hostname"))


def _guard_sockets() -> None:
    for name in ("connect", "connect_ex", "sendto"):
        setattr(socket.socket, name, _guarded(getattr(socket.socket, name), _peer))
    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
        setattr(socket, name, _guarded(getattr(socket, name), _asked))


@pytest.fixture(autouse=True)
def _stays_on_this_machine() -> Iterator[None]:
    """Fails a test whose code swallowed the refusal."""
    _attempts.clear()
    yield
    if _attempts:
        pytest.fail(f"reached beyond loopback: {', '.join(_attempts)}", pytrace=False)


@pytest.fixture
def expected_attempts() -> list[str]:
    """The refused hosts so far; a test of the guard itself clears them."""
    return _attempts


# --- Shared fixtures -----------------------------------------------------------------------------


@pytest.fixture(scope="session")
def market_data_dir() -> Path:
    """Real prices next to the project; tests that need them skip where there are none."""
    if not MARKET_DATA.is_dir():
        pytest.skip("no real prices in ../shared/data")
    return MARKET_DATA


@pytest.fixture
def run_cli(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """``run_cli("status", "--json")`` in this process: exit code, standard output, error output."""
    from flows import cli

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ouroboros", *arguments])
        # It ends its process outright, which here is the one that runs the tests.
        monkeypatch.setattr(cli, "_leave", sys.exit)
        capsys.readouterr()
        on_terminate = signal.getsignal(signal.SIGTERM)
        try:
            cli.main()
            code: object = 0
        except SystemExit as ended:
            code = 0 if ended.code is None else ended.code
        finally:
            signal.signal(signal.SIGTERM, on_terminate)
        out, err = capsys.readouterr()
        assert isinstance(code, int), code
        return code, out, err

    return run
