"""When a campaign goes out: `[window]` and `[schedule]`, parsed and checked, not yet acted on."""

from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from sender.campaigns.sections import Section
from sender.contacts.filter import nearest

_CRON_FIELDS: Final = 5
_LONGEST_LEAD_DAYS: Final = 366
_WAYS: Final = ("at", "cron", "days_before")
_REPEATING: Final = ("start", "end", "blackout", "time_zone")
_SCHEDULE_KEYS: Final = (*_WAYS, "attribute", "date", "time", *_REPEATING)
_BLANK_YEAR: Final = datetime(2026, 1, 1)  # noqa: DTZ001 - cron fields are checked without a zone


@dataclass(frozen=True, slots=True)
class SendingWindow:
    """The hours in which messages may go out, on the clock of whoever the scheduler says.

    Attributes:
        opens: the first moment of the day.
        closes: the moment from which nothing goes out; later than `opens`.
    """

    opens: time
    closes: time


@dataclass(frozen=True, slots=True)
class Once:
    """One run, at an aware moment in UTC."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Bounds:
    """The days on which occurrences may fall, in the schedule's time zone.

    Attributes:
        time_zone: a name of the IANA database, such as Europe/London.
        start: the first day; None: from now on.
        end: the last day; None: without end.
        blackout: days between them that are left out, in order.
    """

    time_zone: str
    start: date | None
    end: date | None
    blackout: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class Recurring:
    """A run at each time that a cron expression of five fields names."""

    cron: str
    bounds: Bounds


@dataclass(frozen=True, slots=True)
class Relative:
    """A run some days before a date: one date for all, or each person's own.

    Attributes:
        days_before: 0 to 366.
        attribute: the contact attribute that holds each person's date; or
        date: the one date.
        time: when on that day; None: when the sending window opens.
    """

    days_before: int
    attribute: str | None
    date: date | None
    time: time | None
    bounds: Bounds


Schedule = Once | Recurring | Relative


def parse_window(campaign: Section) -> SendingWindow | None:
    """Read `[window]`."""
    section = campaign.section("window", ("from", "to"))
    if section is None:
        return None
    section.require("from", "to")
    opens, closes = section.clock_time("from"), section.clock_time("to")
    if opens is None or closes is None:
        return None
    if opens >= closes:
        section.refuse("to", "must be later than `from`.", "A window does not cross midnight.")
    return SendingWindow(opens, closes)


def parse_schedule(campaign: Section) -> Schedule | None:
    """Read `[schedule]`."""
    section = campaign.section("schedule", _SCHEDULE_KEYS)
    if section is None:
        return None
    ways = [name for name in _WAYS if section.has(name)]
    if len(ways) != 1:
        section.refuse((), f"needs exactly one of {', '.join(_WAYS)}; it has {len(ways)}.")
        return None
    if ways[0] == "at":
        return _once(section)
    if ways[0] == "cron":
        return _recurring(section)
    return _relative(section, has_window=campaign.has("window"))


def _once(section: Section) -> Once | None:
    _refuse_besides(section, "at", allowed=("at",))
    moment = section.moment("at")
    return None if moment is None else Once(moment)


def _recurring(section: Section) -> Recurring | None:
    _refuse_besides(section, "cron", allowed=("cron", *_REPEATING))
    cron, bounds = section.text("cron"), _bounds(section)
    if cron is None or bounds is None:
        return None
    flaw = _flaw_of_cron(cron)
    if flaw:
        section.refuse(
            "cron", flaw, 'Five fields: minute hour day month weekday, such as "0 9 * * 1".'
        )
    return Recurring(cron, bounds)


def _flaw_of_cron(cron: str) -> str:
    if len(cron.split()) != _CRON_FIELDS:
        return f"has {len(cron.split())} fields."
    try:
        next(CronSim(cron, _BLANK_YEAR))
    except CronSimError as error:
        return f"cannot be meant: {str(error).lower()}."
    except StopIteration:
        return "names no day that ever comes."
    return ""


def _relative(section: Section, *, has_window: bool) -> Relative | None:
    _refuse_besides(
        section, "days_before", ("days_before", "attribute", "date", "time", *_REPEATING)
    )
    if section.has("attribute") == section.has("date"):
        section.refuse(
            "days_before",
            "needs either `attribute` or `date` beside it.",
            "`date` is one day for all, `attribute` each person's own.",
        )
    if not section.has("time") and not has_window:
        section.refuse("days_before", "says no time of day.", 'Add time = "09:00" or a [window].')
    days = section.whole_number("days_before", 0, _LONGEST_LEAD_DAYS)
    bounds = _bounds(section)
    attribute, day = section.text("attribute"), section.day("date")
    at = section.clock_time("time")
    if days is None or bounds is None:
        return None
    return Relative(days, attribute, day, at, bounds)


def _refuse_besides(section: Section, way: str, allowed: tuple[str, ...]) -> None:
    for name in section.table:
        if name in _SCHEDULE_KEYS and name not in allowed:
            section.refuse(name, f"has no meaning beside `{way}`.")


def _bounds(section: Section) -> Bounds | None:
    section.require("time_zone")
    zone = section.text("time_zone")
    if zone is not None and not _is_time_zone(zone):
        near = nearest(zone, available_timezones())
        hint = f"Did you mean `{near}`?" if near else "Write for example Europe/London."
        section.refuse("time_zone", f"{zone!r} is not a time zone.", hint)
    start, end = section.day("start"), section.day("end")
    if start is not None and end is not None and end < start:
        section.refuse("end", "is before `start`.")
    blackout = section.days("blackout")
    return None if zone is None else Bounds(zone, start, end, blackout)


def _is_time_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, malformed, or a folder of the database
        return False
    return True
