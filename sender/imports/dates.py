"""Dates as other systems and spreadsheets write them, turned into ISO 8601 or left to be refused.

Nothing is guessed: which of day and month stands first is told by the operator.
"""

import re
from enum import StrEnum
from typing import Final


class DateOrder(StrEnum):
    """In which order a file writes the parts of its dates."""

    ISO = "iso"
    DMY = "dmy"
    MDY = "mdy"


_PARTS: Final = re.compile(
    r"(?P<first>\d{1,2})(?P<mark>[/.-])(?P<second>\d{1,2})(?P=mark)(?P<year>\d{4})"
    r"(?:,?[ T](?P<hour>\d{1,2}):(?P<rest>\d{2}(?::\d{2})?)(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?)?",
    re.ASCII,
)
_GO_TIME: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}(?:\.\d{1,6})?)\d* ([+-]\d{4})"
    r" (?:[A-Z]{2,5}|[+-]\d{2,4})",
    re.ASCII,
)
"""How Go writes a time (pkg.go.dev/time, Time.String), and so listmonk in its exports."""


def iso_text(text: str, order: DateOrder) -> str:
    """Return a date or time in ISO 8601; what is of no known form comes back as it is."""
    if (go := _GO_TIME.fullmatch(text)) is not None:
        return f"{go[1]}{go[2]}".replace(" ", "T", 1)
    found = None if order is DateOrder.ISO else _PARTS.fullmatch(text)
    if found is None:
        return text
    day, month = found["first"], found["second"]
    if order is DateOrder.MDY:
        day, month = month, day
    date = f"{found['year']}-{month:0>2}-{day:0>2}"
    return date if found["hour"] is None else f"{date} {_hour(found)}:{found['rest']}"


def _hour(found: re.Match[str]) -> str:
    hour, half = int(found["hour"]), (found["half"] or "").lower()
    if half and not 1 <= hour <= 12:  # noqa: PLR2004 # the hours of a twelve-hour clock
        return "99"  # no such time, and refused as that
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    return f"{hour:02}"
