"""The state in a DuckDB file: the ``Store`` port."""

from trading_core.adapters.duck.store import DuckStore

__all__ = ["DuckStore"]
