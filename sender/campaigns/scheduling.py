"""One tick of the scheduler: decide on everything that fell due, and let it go.

Any number of tickers may run at once, on any number of machines, and each may die anywhere. What
happens once is decided in the database: an occurrence is one row, unique by schedule and moment,
entered in the transaction that moves `considered_through`, which only rises. So a clock that steps
back lets nothing go out again, and one that jumps ahead finds all it passed over late.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice, takewhile

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.campaigns.schedule_opening import Fate, Opening, is_late, late
from sender.campaigns.schedule_sending import Sent, send_what_is_due
from sender.campaigns.schedule_state import (
    MISSED,
    approved_text,
    hold,
    move,
    occurrences_of,
    skip,
    tell,
)
from sender.campaigns.schedule_times import Due
from sender.context import Context
from sender.store.exclusive import exclusively
from sender.store.portable import insert_missing
from sender.store.schedules import Schedule, ScheduleOccurrence
from sender.toml.source import FileErrors
from sender.vocabulary import OccurrenceState, ScheduleState

_AT_ONCE = 500
"""Occurrences a transaction decides on."""
_MOST_ROUNDS = 20
"""Such transactions a tick; what is left, after years of absence, is decided on at the next."""
_TOGETHER = 4
"""Schedules that are looked after side by side: one whose source hangs holds up no other."""

_log = structlog.get_logger("sender.schedules")


@dataclass(slots=True)
class TickReport:
    """What a tick did.

    Attributes:
        launched: occurrences that were let go.
        skipped: occurrences that do not go out.
        held: schedules that wait for a person now.
        failed: schedules whose occurrence is tried again at the next tick.
        sent: what was sent at this tick; None where that was not asked for, or is others' work.
    """

    launched: int = 0
    skipped: int = 0
    held: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    sent: Sent | None = None


def tick(
    context: Context,
    *,
    dispatch: bool = False,
    stopping: Callable[[], bool] = lambda: False,
) -> TickReport:
    """Decide on all occurrences that fell due, and launch those that may go out.

    Args:
        context: the installation.
        dispatch: also send whatever runs have work, here, unless workers do that.
        stopping: asked between runs and calls; true ends the tick early, leaving the rest.
    """
    report = TickReport()
    _look(context, report)
    if dispatch:
        report.sent = send_what_is_due(context, stopping, lambda: _look(context, report))
    return report


def _look(context: Context, report: TickReport) -> None:
    """Look after every active schedule, and add to the report what became of it."""
    with context.store.read() as session:
        query = select(Schedule.id).where(Schedule.state == ScheduleState.ACTIVE)
        active = list(session.scalars(query.order_by(Schedule.id)))
    report.failed.clear()  # whatever failed is tried again
    with ThreadPoolExecutor(_TOGETHER) as pool:
        for one in pool.map(lambda schedule_id: _safely(context, schedule_id), active):
            _add(report, one)


@dataclass(slots=True)
class _Done:
    schedule_id: int
    skipped: int = 0
    fates: list[Fate] = field(default_factory=list)
    failed: bool = False


def _add(report: TickReport, done: _Done) -> None:
    report.skipped += done.skipped + done.fates.count(Fate.SKIPPED)
    report.launched += done.fates.count(Fate.LAUNCHED)
    if Fate.HELD in done.fates:
        report.held.append(done.schedule_id)
    if done.failed or Fate.TRIED in done.fates:
        report.failed.append(done.schedule_id)


def _safely(context: Context, schedule_id: int) -> _Done:
    """Look after one schedule; whatever breaks in it does not hold up the others."""
    done = _Done(schedule_id)
    try:
        with exclusively(context.store, f"schedule-{schedule_id}") as mine:
            if mine:
                _look_after(context, done)
    except Exception as error:  # noqa: BLE001 - told by type alone, and tried again at the next tick
        done.failed = True
        _log.error("schedule-failed", schedule=schedule_id, error=type(error).__name__)
    return done


def _look_after(context: Context, done: _Done) -> None:
    for _ in range(_MOST_ROUNDS):
        if not _decide(context, done):
            break
    for occurrence_id in _opening(context, done.schedule_id):
        done.fates.append(Opening(context, done.schedule_id, occurrence_id).carry_out())
    _end_if_over(context, done.schedule_id)


def _decide(context: Context, done: _Done) -> bool:
    """Enter the next occurrences that fell due; return whether there may be more."""
    with context.store.write() as session:
        schedule = _locked(session, done.schedule_id)
        now = context.clock.now()
        if schedule is None or now <= schedule.considered_through:
            return False
        try:
            definition = approved_text(session, schedule)
        except FileErrors as error:
            because = f"The approved text cannot be read any more: {error}"
            hold(session, schedule, because, now=now, operator=context.operator)
            done.fates.append(Fate.HELD)
            return False
        found = takewhile(
            lambda one: one.due_at <= now, occurrences_of(definition, schedule.considered_through)
        )
        due = list(islice(found, _AT_ONCE))
        _enter(session, schedule, due, now)
        done.skipped += _skip_late(session, schedule, now)
        full = len(due) == _AT_ONCE
        schedule.considered_through = due[-1].due_at if full else now
        return full


def _enter(session: Session, schedule: Schedule, due: Sequence[Due], now: datetime) -> None:
    """Enter occurrences as rows; one that is there already stays as it is."""
    rows = [
        {
            "schedule_id": schedule.id,
            "due_at": one.due_at,
            "day": one.day,
            "state": OccurrenceState.OPENING,
            "decided_at": now,
        }
        for one in due
    ]
    insert_missing(session, ScheduleOccurrence, rows)


def _locked(session: Session, schedule_id: int) -> Schedule | None:
    """Return the schedule, if it is active and nobody else is deciding on it."""
    return session.scalar(
        select(Schedule)
        .where(Schedule.id == schedule_id, Schedule.state == ScheduleState.ACTIVE)
        .with_for_update(skip_locked=True)
    )


def _skip_late(session: Session, schedule: Schedule, now: datetime) -> int:
    query = (
        select(ScheduleOccurrence)
        .where(
            ScheduleOccurrence.schedule_id == schedule.id,
            ScheduleOccurrence.state == OccurrenceState.OPENING,
            ScheduleOccurrence.run_id.is_(None),
        )
        .order_by(ScheduleOccurrence.due_at)
        .with_for_update()
    )
    missed = [one for one in session.scalars(query) if is_late(schedule, one.due_at, now)]
    for occurrence in missed:
        why = late(occurrence, now)
        skip(occurrence, f"{why}; {occurrence.because}" if occurrence.because else why, now)
    if missed:
        last = missed[-1]
        due_at = last.due_at.isoformat()
        tell(
            session, MISSED, schedule, now, due_at=due_at, because=last.because, number=len(missed)
        )
    return len(missed)


def _opening(context: Context, schedule_id: int) -> list[int]:
    """Return the occurrences that are to be opened, by whoever began that, in order."""
    query = (
        select(ScheduleOccurrence.id)
        .join(Schedule, Schedule.id == ScheduleOccurrence.schedule_id)
        .where(
            Schedule.id == schedule_id,
            Schedule.state == ScheduleState.ACTIVE,
            ScheduleOccurrence.state == OccurrenceState.OPENING,
        )
        .order_by(ScheduleOccurrence.due_at)
    )
    with context.store.read() as session:
        return list(session.scalars(query))


def _end_if_over(context: Context, schedule_id: int) -> None:
    """End a schedule that has no occurrence any more and none under way."""
    if _opening(context, schedule_id):
        return
    with context.store.write() as session:
        schedule = _locked(session, schedule_id)
        if schedule is None:
            return
        definition = approved_text(session, schedule)
        if next(occurrences_of(definition, schedule.considered_through), None) is None:
            now, who = context.clock.now(), context.operator
            move(session, schedule, ScheduleState.ENDED, "end", now=now, operator=who)
