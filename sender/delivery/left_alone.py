"""A run that nobody carried on for a day waits for a person: what it says may be old news.

So a machine that comes back after days sends no old reminders, and the first worker that is ever
started does not send what a launcher that crashed long ago had left. A schedule says how late its
messages may be; a run of its is left for no longer than that.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.clock import Clock
from sender.delivery.brake import subject_of
from sender.delivery.parts import outlook
from sender.delivery.recovery import recover
from sender.delivery.runs import get_run, move
from sender.store.alert_book import RUN_PAUSED, raise_alert
from sender.store.campaigns import Dispatcher, Run
from sender.store.engine import Store
from sender.store.schedules import Schedule, ScheduleOccurrence
from sender.vocabulary import RunState

LEFT_FOR: Final = timedelta(days=1)
_A_RESTART: Final = timedelta(minutes=10)
"""Within this a worker may be replaced, whatever a schedule says."""

_WHY: Final = "nobody carried it on for {minutes:,} minutes; what it says may be out of date"
_TO_SEND: Final = (RunState.READY, RunState.RUNNING)


def pause_if_left(store: Store, clock: Clock, run_id: int) -> bool:
    """Pause a run that could have gone on for too long, and tell; return whether it was so.

    A yes to a launch or a resume counts from its own moment.
    """
    with store.read() as session:
        if not _was_left(session, get_run(session, run_id), clock.now()):
            return False
    with store.write() as session:
        run, now = get_run(session, run_id, lock=True), clock.now()
        if not _was_left(session, run, now):
            return False
        recover(session, run_id, now)
        _pause(session, run, now)
        return True


def _was_left(session: Session, run: Run, now: datetime) -> bool:
    if run.state not in _TO_SEND:
        return False
    left_for = now - _could_go_on_since(session, run)
    return left_for > _A_RESTART and left_for > _may_be_left_for(session, run)


def _may_be_left_for(session: Session, run: Run) -> timedelta:
    late_by_seconds = session.scalar(
        select(Schedule.late_by_seconds)
        .join(ScheduleOccurrence, ScheduleOccurrence.schedule_id == Schedule.id)
        .where(ScheduleOccurrence.run_id == run.id)
    )
    if late_by_seconds is None:
        return LEFT_FOR
    return min(LEFT_FOR, timedelta(seconds=late_by_seconds))


def _could_go_on_since(session: Session, run: Run) -> datetime:
    """Return since when somebody could have carried the run on, and nobody did."""
    alive = select(func.max(Dispatcher.heartbeat_at)).where(Dispatcher.run_id == run.id)
    moments = (
        run.created_at,
        run.deferred_until,
        session.scalar(alive),
        outlook(session, run).ready_at,
    )
    return max(moment for moment in moments if moment is not None)


def _pause(session: Session, run: Run, now: datetime) -> None:
    minutes = (now - _could_go_on_since(session, run)) // timedelta(minutes=1)
    why = _WHY.format(minutes=minutes)
    move(session, run, RunState.PAUSED, now=now, operator="sender", because=why)
    details = {
        "run": run.id,
        "while": [RunState.PAUSED],
        "because": f"{why}.",
        "remedy": f"Look whether it should still go out: sender campaign resume {run.id}; "
        f"or sender campaign cancel {run.id}",
    }
    raise_alert(session, RUN_PAUSED, subject_of(session, run), now=now, details=details)
