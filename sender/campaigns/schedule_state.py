"""The rows of schedules: found, read, and moved from state to state, each move with its audit row.

Locks are taken in this order: campaign, schedule, occurrence, run.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import takewhile
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.campaigns.definition import CampaignDefinition
from sender.campaigns.opening import abandon
from sender.campaigns.pinning import read_pinned
from sender.campaigns.schedule_times import Due, occurrences
from sender.context import Context
from sender.delivery.runs import get_run
from sender.errors import NotFoundError
from sender.store.alert_book import keep_raised, raise_alert, resolve
from sender.store.audit_trail import record as audit
from sender.store.campaigns import Campaign, CampaignVersion
from sender.store.controllers import Controller
from sender.store.inbound import Alert
from sender.store.schedules import Schedule, ScheduleOccurrence
from sender.vocabulary import OccurrenceState, RunState, ScheduleState

STANDING = (ScheduleState.ACTIVE, ScheduleState.PAUSED, ScheduleState.HELD)
"""A campaign has at most one schedule in one of these states."""

MISSED = "schedule.missed"
HELD = "schedule.held"
FAILED = "schedule.failed"
"""Kinds of alerts. The last is looked at again and again while it lasts; the others happen."""

LONGEST_REASON = 500


def get_schedule(session: Session, schedule_id: int, *, lock: bool = False) -> Schedule:
    """Return the schedule, locked against other writers if asked.

    Raises:
        NotFoundError: there is none.
    """
    schedule = session.get(Schedule, schedule_id, with_for_update=lock, populate_existing=True)
    if schedule is None:
        raise NotFoundError(
            f"There is no schedule {schedule_id}.", remedy="See: sender schedule list"
        )
    return schedule


def approved_text(session: Session, schedule: Schedule) -> CampaignDefinition:
    """Return the campaign as it was approved.

    Raises:
        FileErrors: this version of the program can no longer read it.
    """
    return read_pinned(session.get_one(CampaignVersion, schedule.version_id))


def occurrences_of(definition: CampaignDefinition, after: datetime) -> Iterator[Due]:
    """Yield the campaign's occurrences later than `after`, up to its `expires_at`."""
    if definition.schedule is None:
        return iter(())
    found = occurrences(definition.schedule, after)
    ends = definition.expires_at
    return found if ends is None else takewhile(lambda one: one.due_at < ends, found)


def move(
    session: Session,
    schedule: Schedule,
    state: ScheduleState,
    action: str,
    *,
    now: datetime,
    operator: str,
    because: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Put the schedule in `state` and say so in the audit trail, as `schedule.<action>`."""
    schedule.state, schedule.changed_at = state, now
    schedule.because = None if because is None else because[:LONGEST_REASON]
    said = {"because": schedule.because} if because else {}
    audit(
        session,
        now=now,
        operator=operator,
        action=f"schedule.{action}",
        controller_id=schedule.controller_id,
        details={"schedule": schedule.id, **said, **(details or {})},
    )


def hold(
    session: Session, schedule: Schedule, because: str, *, now: datetime, operator: str
) -> None:
    """Let nothing of the schedule go out until a person has looked, and alert the operators."""
    move(session, schedule, ScheduleState.HELD, "hold", now=now, operator=operator, because=because)
    tell(session, HELD, schedule, now, because=schedule.because)


def tell(session: Session, kind: str, schedule: Schedule, now: datetime, **details: Any) -> None:
    """Raise an alert about the schedule; there is one of each kind."""
    told = keep_raised if kind == FAILED else raise_alert
    named = {
        "schedule": schedule.id,
        "campaign": session.get_one(Campaign, schedule.campaign_id).name,
        "controller": session.get_one(Controller, schedule.controller_id).slug,
        "remedy": "See: sender schedule list",
    }
    told(session, kind, _subject(schedule), now=now, details={**named, **details})


def stand_down(
    session: Session, kind: str, schedule: Schedule, *, now: datetime, operator: str
) -> None:
    """Resolve the alert of this kind about the schedule, if it stands."""
    standing = session.scalar(
        select(Alert).where(
            Alert.kind == kind,
            Alert.subject == _subject(schedule),
            Alert.resolved_at.is_(None),
        )
    )
    if standing is not None:
        resolve(session, standing, now=now, operator=operator)


def _subject(schedule: Schedule) -> str:
    return f"schedule {schedule.id}"


def skip(occurrence: ScheduleOccurrence, because: str, now: datetime) -> None:
    """Decide that the occurrence does not go out."""
    occurrence.state, occurrence.decided_at = OccurrenceState.SKIPPED, now
    occurrence.because = because[:LONGEST_REASON]


def miss(
    session: Session,
    schedule: Schedule,
    occurrence: ScheduleOccurrence,
    because: str,
    now: datetime,
) -> None:
    """Decide that the occurrence does not go out, and alert the operators: nobody asked for it."""
    skip(occurrence, because, now)
    tell(session, MISSED, schedule, now, due_at=occurrence.due_at.isoformat(), because=because)


def settle_openings(
    session: Session, context: Context, schedule: Schedule, because: str, now: datetime
) -> None:
    """Bring occurrences that are being opened to an end.

    Whoever is opening one finds that out under the lock of its row or run, and sends nothing.
    """
    query = (
        select(ScheduleOccurrence)
        .where(
            ScheduleOccurrence.schedule_id == schedule.id,
            ScheduleOccurrence.state == OccurrenceState.OPENING,
        )
        .with_for_update()
    )
    for occurrence in session.scalars(query).all():
        settle_opening(session, context, occurrence, because, now)


def settle_opening(
    session: Session, context: Context, occurrence: ScheduleOccurrence, because: str, now: datetime
) -> None:
    """Skip an occurrence and cancel its run; one whose run was confirmed already is launched."""
    if occurrence.run_id is not None and was_confirmed(session, occurrence.run_id):
        occurrence.state, occurrence.decided_at = OccurrenceState.LAUNCHED, now
        return
    if occurrence.run_id is not None:
        abandon(session, context, occurrence.run_id, because[:LONGEST_REASON])
    skip(occurrence, because, now)


def was_confirmed(session: Session, run_id: int) -> bool:
    """Whether the run was let go; locks it, so that it stays so."""
    run = get_run(session, run_id, lock=True)
    return run.state not in {RunState.PLANNING, RunState.CANCELLED} or run.started_at is not None
