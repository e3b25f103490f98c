"""What the Prefect server knows of our deployments, read over its API with little patience.

Only httpx: importing Prefect would take longer than drawing a page. The server may be down, slow
or another version; then there is a sentence in place of the runs, and nothing waits for it.

Source: the REST API of Prefect 3.8 (``/deployments/filter``, ``/flows/filter``,
``/flow_runs/filter``).
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

TIMEOUT_SECONDS = 1.0
"""For all that is asked, together."""

_PAGE = 200
_ENDED = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]
_ACTIVE = ["PENDING", "RUNNING", "PAUSED", "CANCELLING"]


@dataclass(frozen=True, slots=True)
class Run:
    """One flow run. ``state`` is Prefect's word for it (``Completed``, ``Skipped``, ``Late``).

    ``at`` is when it began, or is due where it has not begun (aware). ``link`` opens it in the UI.
    """

    name: str
    state: str
    kind: str
    at: datetime | None
    seconds: float
    link: str

    @property
    def went_wrong(self) -> bool:
        return self.kind in ("FAILED", "CRASHED")


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment, ``flow/name``, with the run that is on, the last that ended, the next due."""

    name: str
    is_paused: bool
    tags: tuple[str, ...]
    link: str
    running: Run | None = None
    last: Run | None = None
    next: Run | None = None


@dataclass(frozen=True, slots=True)
class PrefectView:
    """``problem`` is a sentence when the server did not answer; ``ui`` is where people look."""

    ui: str
    deployments: tuple[Deployment, ...] = ()
    problem: str = ""


def read_prefect(
    url: str, auth: str | None = None, *, timeout_seconds: float = TIMEOUT_SECONDS
) -> PrefectView:
    """Deployments by name, with their runs. Never raises.

    Args:
        url: The API's address, such as ``http://127.0.0.1:4200/api``.
        auth: ``user:password`` where the server wants one.
        timeout_seconds: How long all of it may take.
    """
    ui = url.rstrip("/").removesuffix("/api")
    user, _, password = (auth or "").partition(":")
    try:
        with httpx.Client(
            base_url=f"{url.rstrip('/')}/", auth=(user, password) if auth else None
        ) as client:
            return PrefectView(ui, _read(_Asking(client, timeout_seconds), ui))
    except httpx.HTTPStatusError as error:
        return PrefectView(ui, problem=f"Prefect at {ui} answered {error.response.status_code}")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        what = str(error) or type(error).__name__
        return PrefectView(ui, problem=f"Prefect at {ui} does not answer ({what})")


class _Asking:
    """One client that has to be done by a certain time."""

    def __init__(self, client: httpx.Client, seconds: float) -> None:
        self._client = client
        self._end = time.monotonic() + seconds

    def __call__(self, path: str, **wanted: Any) -> list[dict[str, Any]]:
        left = max(self._end - time.monotonic(), 0.05)
        reply = self._client.post(path, json={"limit": _PAGE} | wanted, timeout=left)
        reply.raise_for_status()
        found = reply.json()
        if not isinstance(found, list):
            raise ValueError("an answer that is no list")
        return found


def _read(ask: _Asking, ui: str) -> tuple[Deployment, ...]:
    deployments = ask("deployments/filter", sort="NAME_ASC")
    flows = {flow["id"]: flow["name"] for flow in ask("flows/filter")}
    running = _newest(_runs(ask, _ACTIVE, "EXPECTED_START_TIME_DESC"), ui)
    ended = _newest(_runs(ask, _ENDED, "END_TIME_DESC"), ui)
    due = _newest(_runs(ask, ["SCHEDULED"], "EXPECTED_START_TIME_ASC"), ui)
    made = [
        Deployment(
            name=f"{flows.get(row['flow_id'], '?')}/{row['name']}",
            is_paused=bool(row.get("paused")),
            tags=tuple(row.get("tags") or ()),
            link=f"{ui}/deployments/deployment/{row['id']}",
            running=running.get(row["id"]),
            last=ended.get(row["id"]),
            next=due.get(row["id"]),
        )
        for row in deployments
    ]
    return tuple(sorted(made, key=lambda deployment: deployment.name))


def _runs(ask: _Asking, kinds: list[str], sort: str) -> list[dict[str, Any]]:
    return ask("flow_runs/filter", sort=sort, flow_runs={"state": {"type": {"any_": kinds}}})


def _newest(rows: Iterable[dict[str, Any]], ui: str) -> dict[str, Run]:
    """The first run of each deployment in the order they came."""
    found: dict[str, Run] = {}
    for row in rows:
        if row.get("deployment_id"):
            found.setdefault(row["deployment_id"], _run(row, ui))
    return found


def _run(row: dict[str, Any], ui: str) -> Run:
    at = row.get("start_time") or row.get("expected_start_time")
    return Run(
        name=row.get("name") or "",
        state=row.get("state_name") or "",
        kind=row.get("state_type") or "",
        at=datetime.fromisoformat(at) if at else None,
        seconds=float(row.get("total_run_time") or 0.0),
        link=f"{ui}/runs/flow-run/{row['id']}",
    )
