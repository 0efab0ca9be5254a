"""At which moments a schedule is due: pure, from what its file says.

Cron expressions and times of day are read on the wall clock of the schedule's time zone, and each
is then turned to UTC. A time that the clocks skip moves to the first moment after the gap; one that
they show twice is the first of the two; where two times become one moment, it is due once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import count, islice, takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim

from sender.campaigns.schedule import Bounds, Once, Recurring, Relative, Schedule

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, order=True)
class Due:
    """One occurrence.

    Attributes:
        due_at: when it is due, aware UTC.
        day: what each person's own date must be, where the schedule goes by an attribute.
    """

    due_at: datetime
    day: date | None = None


def due(schedule: Schedule, after: datetime, through: datetime) -> list[Due]:
    """Return the occurrences with `after < due_at <= through`, in order.

    Args:
        schedule: as its file says.
        after: aware.
        through: aware; nothing is due when it is not later than `after`.
    """
    return list(due_until(schedule, after, through))


def due_until(schedule: Schedule, after: datetime, through: datetime) -> Iterator[Due]:
    """Yield what `due` returns, one by one."""
    return takewhile(lambda one: one.due_at <= through, occurrences(schedule, after))


def upcoming(schedule: Schedule, after: datetime, number: int) -> list[Due]:
    """Return the next occurrences later than `after`, at most `number` of them, in order."""
    return list(islice(occurrences(schedule, after), number))


def occurrences(schedule: Schedule, after: datetime) -> Iterator[Due]:
    """Yield the occurrences later than `after`, each later than the one before; maybe for ever."""
    match schedule:
        case Once(at=at):
            found = iter([Due(at)])
        case Recurring(cron=cron, bounds=bounds):
            found = _recurring(cron, bounds, after)
        case Relative(attribute=None, date=day) if day is not None:
            found = _before_a_date(schedule, day)
        case Relative():
            found = _before_each_persons_date(schedule, after)
    last = after
    for one in found:
        if one.due_at > last:
            last = one.due_at
            yield one


def moment_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the UTC moment at which the clocks of a zone show a time of day.

    Args:
        wall: naive. A time that they skip gives the first moment after the gap, one that they show
            twice the first of the two.
        zone: whose clocks.
    """
    moment = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == wall:
        return moment
    return _end_of_gap(wall, zone)


def _end_of_gap(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the first second of the new offset (PEP 495: in a gap, fold 1 lies before it)."""
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    after = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    new_offset = after.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // 2
        if middle.astimezone(zone).utcoffset() == new_offset:
            after = middle
        else:
            before = middle
    return after.replace(microsecond=0)


def _recurring(cron: str, bounds: Bounds, after: datetime) -> Iterator[Due]:
    zone = ZoneInfo(bounds.time_zone)
    begin = after.astimezone(zone).replace(tzinfo=None)
    if bounds.start is not None:
        begin = max(begin, datetime.combine(bounds.start, time()) - _SECOND)
    for wall in CronSim(cron, begin):
        if _is_past(bounds, wall.date()):
            return
        if wall.date() not in bounds.blackout:
            yield Due(moment_of(wall, zone))


def _before_a_date(schedule: Relative, target: date) -> Iterator[Due]:
    day = target - timedelta(days=schedule.days_before)
    if _is_within(schedule.bounds, day):
        yield Due(_on(schedule, day))


def _before_each_persons_date(schedule: Relative, after: datetime) -> Iterator[Due]:
    bounds = schedule.bounds
    first = after.astimezone(ZoneInfo(bounds.time_zone)).date()
    if bounds.start is not None:
        first = max(first, bounds.start)
    for number in count():
        day = first + timedelta(days=number)
        if _is_past(bounds, day):
            return
        if day not in bounds.blackout:
            yield Due(_on(schedule, day), day + timedelta(days=schedule.days_before))


def _on(schedule: Relative, day: date) -> datetime:
    return moment_of(datetime.combine(day, schedule.time), ZoneInfo(schedule.bounds.time_zone))


def _is_within(bounds: Bounds, day: date) -> bool:
    begun = bounds.start is None or bounds.start <= day
    return begun and not _is_past(bounds, day) and day not in bounds.blackout


def _is_past(bounds: Bounds, day: date) -> bool:
    return bounds.end is not None and day > bounds.end
