"""The client of the Korea Investment & Securities Open API (REST)."""

from trading_core.adapters.kis.connection import KisConnection, open_kis

__all__ = ["KisConnection", "open_kis"]
