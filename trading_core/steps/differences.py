"""What a reconciliation could not make agree, or had to repair, is written down once."""

from __future__ import annotations

from dataclasses import replace

from trading_core.model.difference import Difference
from trading_core.model.journal import Halt
from trading_core.ports import StoreWriter
from trading_core.rules.evidence import Evidence
from trading_core.rules.invariants import halts_over, violations


def write_differences(
    tx: StoreWriter, evidence: Evidence
) -> tuple[tuple[Difference, ...], tuple[Halt, ...]]:
    """Append the differences that are new, and a halt for each that only a person can explain.

    The store is asked nothing while everything agrees. A halt that was lifted is not raised again
    over the same difference.
    """
    if not violations(evidence):
        return (), ()
    known = tx.differences(evidence.group, evidence.session)
    fresh = violations(replace(evidence, reported=known))
    if not fresh:
        return (), ()
    halts = tuple(halts_over(fresh))
    tx.append([*fresh, *halts])
    return fresh, halts
