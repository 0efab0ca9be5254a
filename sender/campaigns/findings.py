"""What `sender doctor` finds."""

from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """What was found."""

    WELL = "well"
    ATTENTION = "attention"
    """Works, but not for live campaigns to real people."""
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, what was found, and the remedy."""

    what: str
    health: Health
    detail: str
    remedy: str = ""
