"""Prefect tasks: retries, timeouts, names and artifacts. What they do is in trading_core.steps."""

# Whatever runs here may find its keys on the server that runs it.
from tasks import server as server
