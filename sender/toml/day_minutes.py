"""Times of day as files write them, in minutes after midnight."""

import re
from datetime import time
from typing import Final

MINUTES_OF_A_DAY: Final = 24 * 60

_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


def day_minutes(value: object, *, as_end: bool = False) -> int | None:
    """Return the minutes after midnight of "09:00" or of TOML's local time 09:00:00.

    Args:
        value: as the file has it.
        as_end: whether "24:00", the end of the day, may stand here too.

    Returns:
        None where it is no time of day in whole minutes.
    """
    if isinstance(value, time):
        whole = not (value.second or value.microsecond)
        return value.hour * 60 + value.minute if whole else None
    if not isinstance(value, str):
        return None
    if as_end and value == "24:00":
        return MINUTES_OF_A_DAY
    found = _CLOCK.fullmatch(value)
    return int(found[1]) * 60 + int(found[2]) if found else None


def clock_text(minutes: int) -> str:
    """Return minutes after midnight as "09:00"; the end of the day is "24:00"."""
    return f"{minutes // 60:02}:{minutes % 60:02}"
