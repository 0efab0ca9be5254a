"""Open the run of one occurrence, look whether it is as it was approved, and let it go.

Each step is a transaction of its own that first looks, under the occurrence's lock, whether it is
still being opened. So it can be broken off anywhere and carried on by anybody: the run that was
opened is found again, and one that was let go is let go once.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.campaigns.definition import CampaignDefinition, load_campaign
from sender.campaigns.launch import Launch, prepare
from sender.campaigns.opening import abandon, campaign_row, open_run
from sender.campaigns.resolve import ResolvedCampaign
from sender.campaigns.schedule import Tolerance
from sender.campaigns.schedule_state import (
    FAILED,
    LONGEST_REASON,
    approved_text,
    get_schedule,
    hold,
    miss,
    settle_opening,
    stand_down,
    tell,
    was_confirmed,
)
from sender.context import Context
from sender.delivery.runs import get_run
from sender.delivery.source import forget_recipients
from sender.errors import DatabaseError, ProviderError, RefusedError, SenderError
from sender.store.audit_trail import record as audit
from sender.store.campaigns import CampaignVersion, Run
from sender.store.journal import JournalError
from sender.store.schedules import Schedule, ScheduleOccurrence
from sender.vocabulary import OccurrenceState, RunState, ScheduleState

_MAY_PASS = (ProviderError, DatabaseError, JournalError)
"""Not the campaign's fault: the occurrence is tried again, until it is too late."""

FEW = 20
"""An audience counts as at least so many people when it is compared with another."""


class Fate(StrEnum):
    """What became of an attempt."""

    LAUNCHED = "launched"
    SKIPPED = "skipped"
    HELD = "held"
    TRIED = "tried"
    """It could not be launched now, and is tried again."""
    SETTLED = "settled"
    """Somebody else had decided on it."""


class _SettledError(Exception):
    """Somebody else decided on the occurrence meanwhile."""


class _OvertakenError(Exception):
    """Another run of the campaign is still open."""


@dataclass(frozen=True, slots=True)
class Opening:
    """One occurrence on its way to its run.

    Attributes:
        context: the installation.
        schedule_id: its schedule.
        occurrence_id: a row that was `opening` a moment ago.
    """

    context: Context
    schedule_id: int
    occurrence_id: int

    def carry_out(self) -> Fate:
        """Launch it, or decide why not.

        Raises:
            Exception: something broke; the occurrence stays as it is, to be tried again.
        """
        try:
            return self._decide_or_launch()
        except _SettledError:
            return Fate.SETTLED
        except _OvertakenError as overtaken:
            return self._skip(str(overtaken))
        except _MAY_PASS as failure:
            self._try_later(str(failure))
            return Fate.TRIED
        except SenderError as refusal:
            return self._hold(str(refusal))
        except Exception as failure:
            self._try_later(type(failure).__name__)
            raise

    def _decide_or_launch(self) -> Fate:
        with self.context.store.write() as session:
            schedule, occurrence = self._locked(session)
            decided = self._decide(session, schedule, occurrence)
            if decided is not None:
                return decided
            definition = approved_text(session, schedule)
        _require_as_approved(schedule)
        launch = prepare(
            self.context, definition, self._find, may_wait=True, launcher=schedule.operator
        )
        try:
            self._require_usual_audience(definition, launch)
            launch.confirm()
        finally:
            launch.close()
        return self._note_launch()

    def _locked(self, session: Session) -> tuple[Schedule, ScheduleOccurrence]:
        schedule = get_schedule(session, self.schedule_id, lock=True)
        return schedule, self._own(session)

    def _own(self, session: Session) -> ScheduleOccurrence:
        """Return the occurrence, locked, if it is still to be opened."""
        occurrence = session.get_one(
            ScheduleOccurrence, self.occurrence_id, with_for_update=True, populate_existing=True
        )
        if occurrence.state is not OccurrenceState.OPENING:
            raise _SettledError
        return occurrence

    def _decide(
        self, session: Session, schedule: Schedule, occurrence: ScheduleOccurrence
    ) -> Fate | None:
        """Decide on what can be told without opening anything; None: go on."""
        if schedule.state is not ScheduleState.ACTIVE:
            raise _SettledError
        if occurrence.run_id is not None:
            if was_confirmed(session, occurrence.run_id):
                return self._launched(session, schedule, occurrence)
            if not get_run(session, occurrence.run_id).state.is_open:
                return self._miss(session, schedule, occurrence, "its run was cancelled")
        now = self.context.clock.now()
        if is_late(schedule, occurrence.due_at, now):
            return self._miss(session, schedule, occurrence, late(occurrence, now))
        return None

    def _find(self, session: Session, campaign: ResolvedCampaign) -> tuple[int, bool]:
        """Open the occurrence's run, or return the one that was opened for it.

        To the launch it is always one that was there before: what becomes of it when the launch
        fails is decided here, since somebody else may have let it go meanwhile.
        """
        row = campaign_row(session, campaign, self.context.clock.now())
        occurrence = self._own(session)
        if occurrence.run_id is not None:
            if get_run(session, occurrence.run_id, lock=True).state is not RunState.PLANNING:
                raise _SettledError
            return occurrence.run_id, True
        self._require_no_open_run(session, row.id)
        version_id = get_schedule(session, self.schedule_id).version_id
        version = session.get_one(CampaignVersion, version_id)
        run_id = open_run(session, self.context, campaign, row, version, exclude_sent=False)
        get_run(session, run_id).audience_day = occurrence.day
        occurrence.run_id = run_id
        return run_id, True

    def _require_no_open_run(self, session: Session, campaign_id: int) -> None:
        """Give way to a run that is under way; one that nobody confirmed gives way to this."""
        query = select(Run).where(Run.campaign_id == campaign_id, Run.is_test.is_(False))
        for run in session.scalars(query.order_by(Run.id)).all():
            if run.state is RunState.PLANNING and run.started_at is None:
                abandon(
                    session, self.context, run.id, "superseded by an occurrence of its schedule"
                )
            elif run.state.is_open:
                raise _OvertakenError(f"run {run.id} of the campaign is still {run.state.value}")

    def _require_usual_audience(self, definition: CampaignDefinition, launch: Launch) -> None:
        people = launch.plan.recipients
        with self.context.store.write() as session:
            self._own(session).audience = people
            last = self._last_audience(session)
        tolerance = Tolerance() if definition.schedule is None else definition.schedule.tolerance
        if last is not None and is_unusual(people, last, tolerance.audience_change_percent):
            raise RefusedError(
                f"{people:,} people may be written to; the last time it was {last:,}.",
                remedy="Look whether that is right; then: "
                f"sender schedule resume {self.schedule_id}",
            )

    def _last_audience(self, session: Session) -> int | None:
        """Return the number of people of the last occurrence that went out, or was looked at."""
        query = (
            select(ScheduleOccurrence.audience)
            .where(
                ScheduleOccurrence.schedule_id == self.schedule_id,
                ScheduleOccurrence.state != OccurrenceState.OPENING,
                ScheduleOccurrence.audience.is_not(None),
            )
            .order_by(ScheduleOccurrence.due_at.desc())
        )
        return session.scalar(query.limit(1))

    def _note_launch(self) -> Fate:
        with self.context.store.write() as session:
            return self._launched(session, *self._locked(session))

    def _launched(
        self, session: Session, schedule: Schedule, occurrence: ScheduleOccurrence
    ) -> Fate:
        now = self.context.clock.now()
        occurrence.state, occurrence.decided_at = OccurrenceState.LAUNCHED, now
        occurrence.because = None
        stand_down(session, FAILED, schedule, now=now, operator=self.context.operator)
        audit(
            session,
            now=now,
            operator=self.context.operator,
            action="schedule.launch",
            controller_id=schedule.controller_id,
            details={
                "schedule": schedule.id,
                "due_at": occurrence.due_at.isoformat(),
                "run": occurrence.run_id,
            },
        )
        return Fate.LAUNCHED

    def _skip(self, because: str) -> Fate:
        try:
            with self.context.store.write() as session:
                return self._miss(session, *self._locked(session), because)
        except _SettledError:
            return Fate.SETTLED

    def _miss(
        self, session: Session, schedule: Schedule, occurrence: ScheduleOccurrence, because: str
    ) -> Fate:
        now = self.context.clock.now()
        if occurrence.run_id is not None:
            abandon(session, self.context, occurrence.run_id, because)
        if occurrence.because:  # why it could not be launched before
            because = f"{because}; {occurrence.because}"
        miss(session, schedule, occurrence, because[:LONGEST_REASON], now)
        return Fate.SKIPPED

    def _hold(self, because: str) -> Fate:
        """Let nothing of the schedule go out until a person has looked."""
        context = self.context
        try:
            with context.store.write() as session:
                schedule, occurrence = self._locked(session)
                now = context.clock.now()
                settle_opening(session, context, occurrence, because, now)
                if occurrence.state is OccurrenceState.LAUNCHED:
                    return Fate.SETTLED
                hold(session, schedule, because, now=now, operator=context.operator)
        except _SettledError:
            return Fate.SETTLED
        if occurrence.run_id is not None:
            forget_recipients(context.store, occurrence.run_id)
        return Fate.HELD

    def _try_later(self, because: str) -> None:
        """Keep why it could not be launched now."""
        with self.context.store.write() as session:
            try:
                schedule, occurrence = self._locked(session)
            except _SettledError:
                return
            occurrence.because = because[:LONGEST_REASON]
            now, due_at = self.context.clock.now(), occurrence.due_at.isoformat()
            tell(session, FAILED, schedule, now, due_at=due_at, because=occurrence.because)


def is_late(schedule: Schedule, due_at: datetime, now: datetime) -> bool:
    """Whether an occurrence is too late to be launched."""
    return now - due_at > timedelta(seconds=schedule.late_by_seconds)


def late(occurrence: ScheduleOccurrence, now: datetime) -> str:
    """Say that it is."""
    return f"{(now - occurrence.due_at) // timedelta(minutes=1)} minutes late"


def is_unusual(people: int, last: int, percent: int) -> bool:
    """Whether an audience differs by more than this from the last one.

    Args:
        people: in this one.
        last: in the last one.
        percent: of the last one.
    """
    people, last = max(people, FEW), max(last, FEW)
    return abs(people - last) * 100 > last * percent


def _require_as_approved(schedule: Schedule) -> None:
    """Require that the file on this machine, if there is one, is the approved one.

    Raises:
        RefusedError: it was changed.
        FileErrors: it cannot be read any more.
    """
    path = Path(schedule.file_path)
    if _is_here(path) and load_campaign(path).files.content_hash != schedule.content_hash:
        raise RefusedError(
            f"{path.name} was changed since it was approved.",
            remedy=f"Approve it with: sender schedule add {path.name}; or put it back and: "
            f"sender schedule resume {schedule.id}",
        )


def _is_here(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # in a folder that this process may not look into
        return False
