"""Prefect tasks: retries, timeouts, names and artifacts. What they do is in trading_core.steps."""
