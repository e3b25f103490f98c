"""What people ask for from a distance, and the record of what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class CommandState(StrEnum):
    """``BEGUN`` is written before anything is done, ``DONE`` and ``FAILED`` after."""

    BEGUN = "begun"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class OperatorCommand:
    """A command of a person that changes something, and who gave it; one row a state.

    ``command_id`` names the message that asked for it, so the same message that is delivered
    twice is the same command. ``actor`` is such as ``telegram:42``. ``at`` is aware UTC.
    """

    command_id: str
    state: CommandState
    at: datetime
    actor: str
    name: str
    argument: str = ""
    detail: str = ""
