"""An environment of its own for each client, made once and kept in a cache folder.

``~/.cache/ouroboros-tests`` (``OUROBOROS_TEST_CACHE`` names another place) holds one virtual
environment per client and version. They are made by programs of their own; this process opens no
socket.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

INSTALL_SECONDS = 90
ATTEMPT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Client:
    """A client as the index has it; ``besides`` is what it imports without saying so."""

    name: str
    version: str
    besides: tuple[str, ...] = ()

    @property
    def script(self) -> str:
        return f"with_{self.name.replace('-', '_')}.py"


class Unavailable(Exception):
    """The client cannot be had here; says why."""


def cache_folder() -> Path:
    named = os.environ.get("OUROBOROS_TEST_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "ouroboros-tests"


def python_of(client: Client) -> Path:
    """The interpreter of the client's environment, made now if there is none yet.

    Raises:
        Unavailable: it is not there and the index cannot be reached, or it does not install.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    place = cache_folder() / f"{client.name}-{client.version}-py{version}"
    python = place / "bin" / "python"
    done = place / "complete"
    if done.exists() and python.exists():
        return python
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock"):
        if not (done.exists() and python.exists()):
            shutil.rmtree(place, ignore_errors=True)
            _install(client, place, python)
            done.touch()
    return python


def _install(client: Client, place: Path, python: Path) -> None:
    wanted = [f"{client.name}=={client.version}", *client.besides]
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if uv:
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(place)], "an environment")
        install = [uv, "pip", "install", "--quiet", "--python", str(python)]
    else:
        _run([sys.executable, "-m", "venv", str(place)], "an environment")
        install = [str(python), "-m", "pip", "install", "--quiet", "--retries", "0"]
    # The client alone comes quickly or not at all, which tells whether the index answers.
    _run([*install, "--no-deps", wanted[0]], "an answer of the index", ATTEMPT_SECONDS)
    _run([*install, *wanted], "its requirements")


def _run(command: list[str], what: str, seconds: float = INSTALL_SECONDS) -> None:
    settings = {"UV_HTTP_TIMEOUT": "8", "UV_HTTP_RETRIES": "0", "PIP_DEFAULT_TIMEOUT": "8"}
    try:
        ended = subprocess.run(
            command,
            env=os.environ | settings,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"no {what.removeprefix('an ')} within {seconds:.0f} s") from None
    except OSError as error:
        raise Unavailable(str(error)) from None
    if ended.returncode:
        last = (ended.stderr or ended.stdout).strip().splitlines()[-1:]
        raise Unavailable(f"could not get {what}: {' '.join(last)[:200]}")
