"""Prefect flows, one a file: the sequence of each part of the trading day."""
