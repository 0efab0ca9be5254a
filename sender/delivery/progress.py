"""How far a dispatcher has come, and why it left its run."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sender.delivery.batch import BatchEnd


class Ending(StrEnum):
    """Why a dispatcher left its run."""

    FINISHED = "finished"
    PAUSED = "paused"
    STOPPED = "stopped"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    HANDED_ON = "handed_on"
    """Its time was over; there is more to do now."""
    WAITING = "waiting"
    """Nobody may be written to before a later time, or others have all that there is."""


@dataclass(slots=True)
class Progress:
    """What this dispatcher has done so far, for people who watch."""

    planned: int = 0
    accepted: int = 0
    skipped: int = 0
    rejected: int = 0
    returned: int = 0
    unknown: int = 0
    provider_calls: int = 0
    waiting_until: datetime | None = None
    waiting_for: str = ""

    @property
    def settled(self) -> int:
        """How many people are no longer waiting."""
        return self.accepted + self.skipped + self.rejected + self.unknown

    def add(self, end: BatchEnd) -> None:
        """Count one batch."""
        self.accepted += end.accepted
        self.skipped += end.skipped
        self.rejected += end.rejected
        self.returned += end.returned
        self.unknown += end.unknown
        self.provider_calls += end.calls
