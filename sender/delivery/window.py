"""The hours in which messages may go out, on the clock of whoever receives them; pure.

A window is open whenever that clock shows a time in it. An hour that the clock repeats in autumn
counts both times; one that it leaves out in spring never comes: a window that would open in it
opens when the clock has jumped, and one that lies wholly in it stays shut that day.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from sender.controllers.sending_policy import DEFAULT_MINUTES
from sender.store.campaigns import Run

_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)
_MINUTES: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class SendingWindow:
    """Hours of the day.

    Attributes:
        opens: the first minute, in minutes after midnight, from 0.
        closes: the minute from which nothing goes out: more than `opens`, at most 1440.

    Raises:
        ValueError: these are no hours of one day.
    """

    opens: int
    closes: int

    def __post_init__(self) -> None:
        if not 0 <= self.opens < self.closes <= _MINUTES:
            raise ValueError("a window opens and closes on one day, in this order")

    def is_open(self, at: datetime, zone: tzinfo) -> bool:
        """Tell whether the clock of the zone shows a time in the window at this aware moment."""
        local = at.astimezone(zone)
        return self.opens <= local.hour * 60 + local.minute < self.closes

    def next_opening(self, at: datetime, zone: tzinfo) -> datetime:
        """Return the first moment from `at` on at which the window is open, in UTC."""
        moment = at.astimezone(UTC)
        while not self.is_open(moment, zone):
            moment = _reached(moment, self.opens, zone)
        return moment

    def closes_at(self, at: datetime, zone: tzinfo) -> datetime | None:
        """Return the first moment from `at` on at which the window is shut, in UTC.

        It is `at` itself where the window is shut then; None where it never shuts.
        """
        if (self.opens, self.closes) == (0, _MINUTES):
            return None
        moment = at.astimezone(UTC)
        while self.is_open(moment, zone):
            moment = _reached(moment, self.closes, zone)
        return moment


DEFAULT_WINDOW: Final = SendingWindow(*DEFAULT_MINUTES)


def window_of(run: Run) -> SendingWindow | None:
    """Return the sending hours that a run was opened with; None: at any time."""
    if run.window_opens is None or run.window_closes is None:
        return None
    return SendingWindow(run.window_opens, run.window_closes)


def zone_of(name: str | None, default: ZoneInfo) -> ZoneInfo:
    """Return the time zone of this name of the IANA database, or else the default."""
    if not name:
        return default
    return _known_zone(name) or default


@lru_cache(1024)
def _known_zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, malformed, or a folder of the database
        return None


def _reached(moment: datetime, minute: int, zone: tzinfo) -> datetime:
    """Return when the clock next shows this minute of the day, or when it is next changed."""
    local = moment.astimezone(zone).replace(tzinfo=None)
    wanted = local.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(minutes=minute)
    reached = moment + (wanted - local if wanted > local else wanted + _DAY - local)
    if reached.astimezone(zone).utcoffset() == moment.astimezone(zone).utcoffset():
        return reached
    return _change(moment, reached, zone)


def _change(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """Return the second at which the clock is changed between two moments that tell it apart."""
    offset = before.astimezone(zone).utcoffset()
    low, high = before.replace(microsecond=0), after  # clocks are changed on whole seconds
    while high - low > _SECOND:
        middle = low + timedelta(seconds=(high - low) // _SECOND // 2)
        if middle.astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high
