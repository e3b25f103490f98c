"""Processes that an ``up`` left behind, found by the mark in their environment."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

import psutil

from flows.supervision.parts import MARK

GRACE_SECONDS = 6.0


def find_remains(home: Path, spare: Collection[int] = ()) -> list[psutil.Process]:
    """Living processes of this user that belong to the home; never this one."""
    found = []
    for process in psutil.process_iter(["pid", "uids"]):
        try:
            mine = process.uids().real == os.getuid()
            if not mine or process.pid in (os.getpid(), *spare):
                continue
            if process.environ().get(MARK) == str(home) and _lives(process):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def end_remains(
    home: Path, spare: Collection[int] = (), *, grace_seconds: float = GRACE_SECONDS
) -> list[int]:
    """Ask them to end, kill what does not, and answer with their ids."""
    ended = []
    found = find_remains(home, spare)
    for send in (psutil.Process.terminate, psutil.Process.kill):
        for process in found:
            ended.append(process.pid)
            try:
                send(process)
            except psutil.Error:
                continue
        psutil.wait_procs(found, timeout=grace_seconds)
        # What ended may have left children that were started meanwhile.
        found = find_remains(home, spare)
        if not found:
            break
    return sorted(set(ended))


def _lives(process: psutil.Process) -> bool:
    return bool(process.status() != psutil.STATUS_ZOMBIE)
