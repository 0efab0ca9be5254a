"""An office whose campaigns go out by themselves, and a clock that the test sets.

desk = ScheduleDesk(office, clock)
schedule = desk.add(DAILY)
desk.tick("2026-12-02T09:00")
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.campaigns.schedule_desk import add_schedule
from sender.campaigns.scheduling import TickReport, tick
from sender.clock import SystemClock
from sender.context import Context
from sender.delivery.runs import cancel
from sender.store.audit import AuditEvent
from sender.store.campaigns import Run
from sender.store.engine import Store, open_store
from sender.store.inbound import Alert
from sender.store.schedules import Schedule, ScheduleOccurrence
from sender.vocabulary import Channel
from tests.support.campaign_folder import Office
from tests.support.factory import OPERATOR

DAILY = '[schedule]\ncron = "0 9 * * *"\ntime_zone = "Europe/London"\n'
"""In winter, when these tests play, London's clocks show UTC."""
ONCE = "[schedule]\nat = 2026-12-02T09:00:00Z\n"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass
class SetClock(SystemClock):
    """Real waiting, and a time of day that the test sets."""

    at: datetime = field(default=at("2026-12-01T12:00"))

    def now(self) -> datetime:
        return self.at


@dataclass
class ScheduleDesk:
    """Adds schedules, ticks, and looks what became of them."""

    office: Office
    clock: SetClock

    def add(self, schedule: str, channel: Channel = Channel.EMAIL, **changed: Any) -> int:
        """Write and approve a campaign file; return the schedule."""
        return add_schedule(self.office.context, self.file(schedule, channel, **changed))

    def file(self, schedule: str, channel: Channel = Channel.EMAIL, **changed: Any) -> Path:
        """Write a campaign file that is named after its campaign."""
        written = self.office.file(channel, schedule, **changed)
        return written.rename(written.with_name(f"{changed.get('name', 'spring')}.toml"))

    def tick(self, moment: str = "", *, dispatch: bool = False) -> TickReport:
        """Let the scheduler look, at this time."""
        if moment:
            self.clock.at = at(moment)
        return tick(self.office.context, dispatch=dispatch)

    def occurrences(self) -> list[tuple[str, str, str]]:
        """Return each occurrence: when, what became of it, why."""
        with self.office.store.read() as session:
            rows = session.scalars(
                select(ScheduleOccurrence).order_by(
                    ScheduleOccurrence.schedule_id, ScheduleOccurrence.due_at
                )
            )
            return [(f"{one.due_at:%d %H:%M}", one.state.value, one.because or "") for one in rows]

    def occurrence(self, run_id: int) -> ScheduleOccurrence:
        """Return the occurrence that was launched as this run."""
        with self.office.store.read() as session:
            query = select(ScheduleOccurrence).where(ScheduleOccurrence.run_id == run_id)
            return session.scalars(query).one()

    def runs(self) -> list[Run]:
        """Return all runs."""
        with self.office.store.read() as session:
            return list(session.scalars(select(Run).order_by(Run.id)))

    def schedule(self, schedule_id: int) -> Schedule:
        """Return the schedule as it is now."""
        with self.office.store.read() as session:
            return session.get_one(Schedule, schedule_id)

    def alerts(self, *, standing: bool = True) -> dict[str, Alert]:
        """Return the alerts by kind."""
        with self.office.store.read() as session:
            found = session.scalars(select(Alert)).all()
        return {one.kind: one for one in found if not standing or one.resolved_at is None}

    def audited(self) -> list[str]:
        """Return what the audit trail says that happened to schedules, in order."""
        with self.office.store.read() as session:
            actions = session.scalars(select(AuditEvent.action).order_by(AuditEvent.id))
            return [one.partition(".")[2] for one in actions if one.startswith("schedule.")]

    def end_runs(self) -> None:
        """Let no run be open any more."""
        with self.office.store.write() as session:
            for run in session.scalars(select(Run)).all():
                if run.state.is_open:
                    cancel(session, run.id, now=self.clock.now(), operator=OPERATOR)


class Killed(BaseException):
    """The process is gone."""


class MortalStore(Store):
    """Lets so many transactions commit; then nothing more comes to the database."""

    def __init__(self, inner: Store, commits: int) -> None:
        super().__init__(inner.engine)
        self._left = commits

    @contextmanager
    def write(self) -> Iterator[Session]:
        if self._left == 0:
            raise Killed
        with super().write() as session:
            yield session
        self._left -= 1

    @contextmanager
    def read(self) -> Iterator[Session]:
        if self._left == 0:
            raise Killed
        with super().read() as session:
            yield session


@contextmanager
def own_context(
    desk: ScheduleDesk, database_url: str, commits: int | None = None
) -> Iterator[Context]:
    """Open the same installation a second time; one that dies after so many commits, if told."""
    context, store = desk.office.context, open_store(database_url)
    used = store if commits is None else MortalStore(store, commits)
    try:
        yield Context(context.settings, used, context.hasher, context.clock, OPERATOR)
    finally:
        store.close()
