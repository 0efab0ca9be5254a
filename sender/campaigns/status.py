"""How the installation is: workers, queues, rates, runs under way, lag, schedules, alerts.

A look costs the same however many messages there ever were. Where the figures come from stands in
docs/monitoring.md.
"""

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.campaigns.schedule_listing import zone_of_schedule
from sender.campaigns.schedule_state import STANDING, approved_text, occurrences_of
from sender.campaigns.status_accounts import AccountStatus, accounts_in_use
from sender.campaigns.status_sending import (
    Parts,
    RunStatus,
    WorkerStatus,
    open_parts,
    recent_work,
    runs_under_way,
    workers,
)
from sender.context import Context
from sender.controllers.lookup import current_version
from sender.jobs.backlog import Backlog, backlogs
from sender.store.campaigns import Campaign
from sender.store.controllers import Controller
from sender.store.inbound import Alert
from sender.store.schedules import Schedule
from sender.toml.source import FileErrors
from sender.vocabulary import ScheduleState

_LATER_THAN_ALL = datetime.max.replace(tzinfo=UTC)
_FIRST = {ScheduleState.HELD: 0, ScheduleState.ACTIVE: 1, ScheduleState.PAUSED: 2}


@dataclass(frozen=True, slots=True)
class ScheduleStatus:
    """A schedule that stands.

    Attributes:
        schedule_id: its number.
        campaign: the campaign's name.
        controller: the controller's slug.
        state: of the schedule.
        because: why it is held.
        next_at: its next occurrence, on the clock of its time zone; None when there is none.
    """

    schedule_id: int
    campaign: str
    controller: str
    state: ScheduleState
    because: str | None
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class AlertStatus:
    """An alert that stands.

    Attributes:
        alert_id: its number.
        kind: `room.what`.
        subject: what it is about.
        times: how often it was raised.
        last_at: when it was last.
    """

    alert_id: int
    kind: str
    subject: str
    times: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Status:
    """The whole installation at one moment.

    Attributes:
        at: that moment.
        dialect: `postgresql` or `sqlite`; on SQLite there are neither workers nor queues.
        workers: those that live, and those that fell silent lately.
        queues: of jobs, the first served first.
        accounts: of providers, that are in use.
        runs: that were confirmed and are not over.
        parts: that these were shared out in.
        schedules: that stand: held ones first, then the next due.
        alerts: that stand, the newest first.
    """

    at: datetime
    dialect: str
    workers: list[WorkerStatus]
    queues: list[Backlog]
    accounts: list[AccountStatus]
    runs: list[RunStatus]
    parts: Parts
    schedules: list[ScheduleStatus]
    alerts: list[AlertStatus]

    @property
    def document(self) -> dict[str, Any]:
        """The status for scripts; durations are in seconds."""
        return {
            "at": self.at,
            "database": self.dialect,
            "workers": [_document(one) for one in self.workers],
            "queues": [_document(one) for one in self.queues],
            "accounts": [_document(one) for one in self.accounts],
            "runs": [_document(one) for one in self.runs],
            "parts": _document(self.parts),
            "schedules": [_document(one) for one in self.schedules],
            "alerts": [_document(one) for one in self.alerts],
        }


def look(context: Context) -> Status:
    """Look at the installation; changes nothing."""
    now = context.clock.now()
    with context.store.read() as session:
        recent = recent_work(session, now)
        at_work = [one for several in recent.at_work.values() for one in several]
        return Status(
            at=now,
            dialect=context.store.dialect,
            workers=workers(session, at_work),
            queues=backlogs(session),
            accounts=accounts_in_use(session, recent.messages, now),
            runs=runs_under_way(session, recent, now),
            parts=open_parts(session, now),
            schedules=_schedules(session, now),
            alerts=_alerts(session),
        )


def _schedules(session: Session, now: datetime) -> list[ScheduleStatus]:
    query = (
        select(Schedule, Campaign.name, Controller.slug)
        .join(Campaign, Campaign.id == Schedule.campaign_id)
        .join(Controller, Controller.id == Schedule.controller_id)
        .where(Schedule.state.in_(STANDING))
        .order_by(Schedule.id)
    )
    found = [
        _schedule_status(session, schedule, campaign, slug, now)
        for schedule, campaign, slug in session.execute(query).all()
    ]
    return sorted(found, key=lambda one: (_FIRST[one.state], one.next_at or _LATER_THAN_ALL))


def _schedule_status(
    session: Session, schedule: Schedule, campaign: str, slug: str, now: datetime
) -> ScheduleStatus:
    because, next_at = schedule.because, None
    try:
        definition = approved_text(session, schedule)
    except FileErrors as error:  # another version of the program approved it
        because = because or str(error)
    else:
        own = ZoneInfo(current_version(session, schedule.controller_id).time_zone)
        ahead = occurrences_of(definition, max(now, schedule.considered_through))
        found = next(ahead, None)
        if found is not None:
            next_at = found.due_at.astimezone(zone_of_schedule(definition, own))
    return ScheduleStatus(schedule.id, campaign, slug, schedule.state, because, next_at)


def _alerts(session: Session) -> list[AlertStatus]:
    query = select(Alert).where(Alert.resolved_at.is_(None)).order_by(Alert.last_at.desc())
    return [
        AlertStatus(one.id, one.kind, one.subject, one.times, one.last_at)
        for one in session.scalars(query)
    ]


def _document(row: Any) -> dict[str, Any]:
    """Return a row for scripts: ids without `_id`, durations in seconds and named so."""
    document: dict[str, Any] = {}
    for field in fields(row):
        value = getattr(row, field.name)
        if timedelta in (field.type, *get_args(field.type)):
            seconds = None if value is None else round(value.total_seconds(), 1)
            document[f"{field.name}_seconds"] = seconds
        else:
            document[field.name.removesuffix("_id")] = value
    return document
