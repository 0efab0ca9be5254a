"""When a campaign goes out: `[schedule]`, parsed and checked."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from sender.campaigns.sections import Section
from sender.contacts.filter import nearest
from sender.contacts.filter_language import ATTRIBUTE_NAME
from sender.toml.source import TomlSource

_CRON_FIELDS: Final = 5
_LONGEST_LEAD_DAYS: Final = 366
_WAYS: Final = ("at", "cron", "days_before")
_REPEATING: Final = ("start", "end", "blackout", "time_zone")
_LIMITS: Final = ("late_by_minutes", "audience_change_percent")
_SCHEDULE_KEYS: Final = (*_WAYS, "attribute", "date", "time", *_REPEATING, *_LIMITS)
_LATEST_MINUTES: Final = 24 * 60
_WIDEST_CHANGE_PERCENT: Final = 10_000
_FIRST_YEAR: Final = 1900
_LAST_YEAR: Final = 2500
_BLANK_YEAR: Final = datetime(2026, 1, 1)  # noqa: DTZ001 - cron fields are checked without a zone


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far an occurrence may be off before it is skipped or held.

    Attributes:
        late_by: an occurrence later than this is skipped.
        audience_change_percent: an audience further off the last occurrence's holds the schedule.
    """

    late_by: timedelta = timedelta(hours=1)
    audience_change_percent: int = 50


@dataclass(frozen=True, slots=True)
class Once:
    """One run, at an aware moment in UTC."""

    at: datetime
    tolerance: Tolerance = Tolerance()


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
    tolerance: Tolerance = Tolerance()


@dataclass(frozen=True, slots=True)
class Relative:
    """A run some days before a date: one date for all, or each person's own.

    Attributes:
        days_before: 0 to 366.
        attribute: the contact attribute that holds each person's date; or
        date: the one date.
        time: when on that day; where the file does not say, when its window opens.
    """

    days_before: int
    attribute: str | None
    date: date | None
    time: time
    bounds: Bounds
    tolerance: Tolerance = Tolerance()


Schedule = Once | Recurring | Relative


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
    return _relative(section, campaign)


def _once(section: Section) -> Once | None:
    _refuse_besides(section, "at", allowed=("at", *_LIMITS))
    moment, tolerance = section.moment("at"), _tolerance(section)
    return None if moment is None else Once(moment, tolerance)


def _recurring(section: Section) -> Recurring | None:
    _refuse_besides(section, "cron", allowed=("cron", *_REPEATING, *_LIMITS))
    cron, bounds, tolerance = section.text("cron"), _bounds(section), _tolerance(section)
    if cron is None or bounds is None:
        return None
    flaw = _flaw_of_cron(cron)
    if flaw:
        section.refuse(
            "cron", flaw, 'Five fields: minute hour day month weekday, such as "0 9 * * 1".'
        )
    return Recurring(cron, bounds, tolerance)


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


def _relative(section: Section, campaign: Section) -> Relative | None:
    ways = ("days_before", "attribute", "date", "time", *_REPEATING, *_LIMITS)
    _refuse_besides(section, "days_before", ways)
    if section.has("attribute") == section.has("date"):
        section.refuse(
            "days_before",
            "needs either `attribute` or `date` beside it.",
            "`date` is one day for all, `attribute` each person's own.",
        )
    if not section.has("time") and not campaign.has("window"):
        section.refuse("days_before", "says no time of day.", 'Add time = "09:00" or a [window].')
    days = section.whole_number("days_before", 0, _LONGEST_LEAD_DAYS)
    bounds, tolerance = _bounds(section), _tolerance(section)
    attribute, day = _attribute(section, campaign), _day(section, "date")
    at = section.clock_time("time") or _opening(campaign)
    if days is None or bounds is None or at is None:
        return None
    return Relative(days, attribute, day, at, bounds, tolerance)


def _attribute(section: Section, campaign: Section) -> str | None:
    name = section.text("attribute")
    if name is not None and not ATTRIBUTE_NAME.fullmatch(name):
        section.refuse("attribute", f"{name!r} cannot be the name of an attribute.")
    audience = campaign.table.get("audience")
    if name is not None and isinstance(audience, dict) and "source" in audience:
        section.refuse(
            "attribute",
            "cannot stand beside [audience.source]: it is an attribute of our contacts.",
            "Use `cron`, and put the days into the WHERE of the source's query.",
        )
    return name


def _opening(campaign: Section) -> time | None:
    """Return when the file's window opens; what is wrong with that, `[window]` itself reports."""
    window = campaign.table.get("window")
    if not isinstance(window, dict):
        return None
    unheard = TomlSource("", campaign.source.path)
    return Section(unheard, window, (), tuple(window)).clock_time("from")


def _tolerance(section: Section) -> Tolerance:
    usual = Tolerance()
    minutes = section.whole_number("late_by_minutes", 1, _LATEST_MINUTES)
    percent = section.whole_number("audience_change_percent", 1, _WIDEST_CHANGE_PERCENT)
    return Tolerance(
        usual.late_by if minutes is None else timedelta(minutes=minutes),
        usual.audience_change_percent if percent is None else percent,
    )


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
    start, end = _day(section, "start"), section.day("end")
    if start is not None and end is not None and end < start:
        section.refuse("end", "is before `start`.")
    blackout = section.days("blackout")
    return None if zone is None else Bounds(zone, start, end, blackout)


def _day(section: Section, name: str) -> date | None:
    day = section.day(name)
    if day is not None and not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        section.refuse(name, f"must lie between the years {_FIRST_YEAR} and {_LAST_YEAR}.")
    return day


def _is_time_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, malformed, or a folder of the database
        return False
    return True
