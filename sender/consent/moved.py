"""A yes that was carried to a changed address, and the yes that it rests on."""

import re
from datetime import datetime
from typing import Final

MOVED: Final = "address-move"
"""The method of such a yes."""

_SOURCE: Final = re.compile(r"event ([0-9]+);")


def source_of_moved(event_id: int, now: datetime, by: str) -> str:
    """Return the source of a carried yes: it names the event that says how it was given.

    Args:
        event_id: the yes at the old address.
        now: when the new address was confirmed.
        by: how the code came back, e.g. `phone`.
    """
    return f"event {event_id}; new address confirmed {now:%Y-%m-%d} by {by}"


def rests_on(method: str, source: str) -> int | None:
    """Return the event that a yes rests on; None for one that stands by itself."""
    found = _SOURCE.match(source) if method == MOVED else None
    return int(found[1]) if found else None
