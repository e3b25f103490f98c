"""What is read of Prefect, from a server that answers, is slow, is shut or is strange."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from dashboards.prefect_api import read_prefect

DEPLOYMENT, FLOW = "d-1", "f-1"
RUNS: dict[str, list[dict[str, Any]]] = {
    "SCHEDULED": [
        {"id": "r-4", "deployment_id": DEPLOYMENT, "name": "later", "state_type": "SCHEDULED",
         "state_name": "Scheduled", "expected_start_time": "2026-11-23T00:00:00Z"},
        {"id": "r-5", "deployment_id": DEPLOYMENT, "name": "much-later",
         "state_type": "SCHEDULED", "expected_start_time": "2026-11-24T00:00:00Z"},
    ],
    "COMPLETED": [
        {"id": "r-3", "deployment_id": DEPLOYMENT, "name": "sad-owl", "state_type": "FAILED",
         "state_name": "Halted", "start_time": "2026-11-20T00:00:01.5+00:00",
         "total_run_time": 12.5},
        {"id": "r-2", "deployment_id": DEPLOYMENT, "name": "older", "state_type": "COMPLETED"},
        {"id": "r-1", "deployment_id": None, "name": "by hand", "state_type": "COMPLETED"},
    ],
    "PENDING": [],
}  # fmt: skip


class Server(ThreadingHTTPServer):
    """Prefect's three questions; ``mood`` says how they are answered."""

    daemon_threads = True
    mood = ""
    asked: list[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/api"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(f"{self.path} {self.headers.get('Authorization', '')}")
        if self.server.mood == "slow":
            time.sleep(0.4)
        code, body = 200, json.dumps(self._answer(wanted))
        if self.server.mood == "strange":
            body = '{"detail": "not a list"}'
        if self.server.mood == "html":
            body = "<html>"
        if self.server.mood == "forbidden":
            code = 401
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def _answer(self, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        if self.path == "/api/deployments/filter":
            return [{"id": DEPLOYMENT, "flow_id": FLOW, "name": "KR", "paused": True,
                     "tags": ["plan"]}]  # fmt: skip
        if self.path == "/api/flows/filter":
            return [{"id": FLOW, "name": "plan"}]
        return RUNS[wanted["flow_runs"]["state"]["type"]["any_"][0]]

    def log_message(self, *arguments: Any) -> None:
        """Nothing on the terminal of the tests."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_deployment_is_read_with_its_last_and_its_next_run(server: Server) -> None:
    found = read_prefect(server.url, "me:pass:word")
    assert found.problem == ""
    [deployment] = found.deployments
    assert (deployment.name, deployment.is_paused, deployment.running) == ("plan/KR", True, None)
    assert deployment.last is not None and deployment.next is not None
    assert (deployment.last.state, deployment.last.went_wrong) == ("Halted", True)
    assert deployment.last.seconds == 12.5
    assert deployment.next.name == "later"
    assert deployment.next.at is not None and deployment.next.at.utcoffset() is not None
    ui = server.url.removesuffix("/api")
    assert deployment.link == f"{ui}/deployments/deployment/d-1"
    assert deployment.last.link == f"{ui}/runs/flow-run/r-3"
    secret = base64.b64encode(b"me:pass:word").decode()
    assert all(asked.endswith(f"Basic {secret}") for asked in server.asked)


def test_a_slow_server_is_given_up_on_in_time(server: Server) -> None:
    server.mood = "slow"
    begun = time.perf_counter()
    found = read_prefect(server.url, timeout_seconds=0.6)
    assert time.perf_counter() - begun < 1.5
    assert "does not answer" in found.problem
    assert found.deployments == ()


@pytest.mark.parametrize(
    ("mood", "words"),
    [("strange", "does not answer"), ("html", "does not answer"), ("forbidden", "answered 401")],
)
def test_an_answer_that_is_none_is_a_sentence(server: Server, mood: str, words: str) -> None:
    server.mood = mood
    assert words in read_prefect(server.url).problem


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/api", "not an address", ""])
def test_a_server_that_is_not_there_is_a_sentence(url: str) -> None:
    found = read_prefect(url)
    assert "does not answer" in found.problem
