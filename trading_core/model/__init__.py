"""Frozen values of the trading day; no I/O, no clock, no settings."""
