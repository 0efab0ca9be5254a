"""What an operator may do; each role is for named controllers or for all."""

from enum import StrEnum


class Role(StrEnum):
    """One person may have several; in a small organisation one has all."""

    PREPARE = "prepare"
    """Write, check, preview, test and amend campaigns."""
    APPROVE = "approve"
    """Approve a campaign's exact text."""
    LAUNCH = "launch"
    """Launch and resume, by hand or by a schedule."""
    DATA = "data"
    """Bring in and look up people, their consent and their opt-outs."""
    OFFICER = "officer"
    """Protect people's data: requests, freezes, policies; at all controllers, also operators."""


EVERY_ROLE = frozenset(Role)
