"""The trading library; it knows nothing of the orchestrator or the dashboard."""
