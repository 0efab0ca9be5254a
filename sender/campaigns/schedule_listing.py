"""The schedules there are: their next occurrences, and how many people each would reach today."""

from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.campaigns.definition import CampaignDefinition
from sender.campaigns.preview import scopes_of_campaign
from sender.campaigns.refresh import contacts_of
from sender.campaigns.resolve import ResolvedCampaign, resolve
from sender.campaigns.schedule import Once
from sender.campaigns.schedule_audience import where_of
from sender.campaigns.schedule_state import STANDING, approved_text, occurrences_of
from sender.campaigns.schedule_times import Due
from sender.context import Context
from sender.controllers.lookup import current_version, find_controller
from sender.delivery.planning import forecast
from sender.store.campaigns import Campaign
from sender.store.controllers import Controller
from sender.store.schedules import Schedule, ScheduleOccurrence
from sender.toml.source import FileErrors
from sender.vocabulary import OccurrenceState, ScheduleState

NEXT = 3


@dataclass(frozen=True, slots=True)
class NextOccurrence:
    """A moment at which a schedule will be due.

    Attributes:
        due_at: aware, on the clock of the schedule's time zone.
        day: what each person's own date must be, where the schedule goes by an attribute.
        people: how many may be written to if it were now; None where only a launch reads them.
    """

    due_at: datetime
    day: date | None
    people: int | None


@dataclass(frozen=True, slots=True)
class PastOccurrence:
    """The last one that was decided on.

    Attributes:
        due_at: aware, on the clock of the schedule's time zone.
        state: launched or skipped.
        because: why it was skipped.
        run_id: the run that it was launched as.
    """

    due_at: datetime
    state: OccurrenceState
    because: str | None
    run_id: int | None


@dataclass(frozen=True, slots=True)
class ScheduleLine:
    """One schedule.

    Attributes:
        schedule_id: its number.
        campaign: the campaign's name.
        controller: the controller's slug.
        state: of the schedule.
        because: why it is held.
        file: where the file lay when it was approved.
        time_zone: whose clock `due_at` is read on.
        next: the next occurrences; of a schedule that is paused or held, those that it would have.
        last: the last one that was decided on, if any.
    """

    schedule_id: int
    campaign: str
    controller: str
    state: ScheduleState
    because: str | None
    file: str
    time_zone: str
    next: tuple[NextOccurrence, ...]
    last: PastOccurrence | None

    @property
    def document(self) -> dict[str, Any]:
        """The line for scripts."""
        last = self.last
        return {
            "schedule": self.schedule_id,
            "campaign": self.campaign,
            "controller": self.controller,
            "state": self.state.value,
            "because": self.because,
            "file": self.file,
            "time_zone": self.time_zone,
            "next": [
                {"due_at": one.due_at, "day": one.day, "people": one.people} for one in self.next
            ],
            "last": None
            if last is None
            else {
                "due_at": last.due_at,
                "state": last.state.value,
                "because": last.because,
                "run": last.run_id,
            },
        }


def list_schedules(
    context: Context, controller: str | None = None, *, ended: bool = False
) -> list[ScheduleLine]:
    """Return the schedules, of one controller if it is named, in order of their numbers.

    Args:
        context: the installation.
        controller: a slug.
        ended: also those that are over or were removed.

    Raises:
        NotFoundError: there is no controller of this slug.
    """
    query = select(Schedule).order_by(Schedule.id)
    if not ended:
        query = query.where(Schedule.state.in_(STANDING))
    with context.store.read() as session:
        if controller is not None:
            own = find_controller(session, controller)
            query = query.where(Schedule.controller_id == own.id)
        return [_line(session, context, schedule) for schedule in session.scalars(query).all()]


def _line(session: Session, context: Context, schedule: Schedule) -> ScheduleLine:
    zone = ZoneInfo(current_version(session, schedule.controller_id).time_zone)
    ahead: tuple[NextOccurrence, ...] = ()
    because = schedule.because
    try:
        definition = approved_text(session, schedule)
        zone = zone_of_schedule(definition, zone)
        if schedule.state in STANDING:
            after = max(context.clock.now(), schedule.considered_through)
            ahead = next_occurrences(session, context, definition, after)
    except FileErrors as error:  # what it names is no longer there: a person has to look
        because = because or str(error)
    return ScheduleLine(
        schedule_id=schedule.id,
        campaign=session.get_one(Campaign, schedule.campaign_id).name,
        controller=session.get_one(Controller, schedule.controller_id).slug,
        state=schedule.state,
        because=because,
        file=schedule.file_path,
        time_zone=zone.key,
        next=ahead,
        last=_last(session, schedule, zone),
    )


def next_occurrences(
    session: Session, context: Context, definition: CampaignDefinition, after: datetime
) -> tuple[NextOccurrence, ...]:
    """Return the next few occurrences later than `after`.

    Raises:
        FileErrors: the file names something that is not there.
    """
    ahead = list(islice(occurrences_of(definition, after), NEXT))
    campaign = resolve(session, definition)
    zone = zone_of_schedule(definition, ZoneInfo(campaign.own.version.time_zone))
    reached = _Reach(session, context, campaign)
    return tuple(
        NextOccurrence(one.due_at.astimezone(zone), one.day, reached.on(one)) for one in ahead
    )


def zone_of_schedule(definition: CampaignDefinition, controllers: ZoneInfo) -> ZoneInfo:
    """Return the zone on whose clock the schedule is read; one moment has the controller's."""
    schedule = definition.schedule
    if schedule is None or isinstance(schedule, Once):
        return controllers
    return ZoneInfo(schedule.bounds.time_zone)


@dataclass(slots=True)
class _Reach:
    """Counts the people of each day once."""

    session: Session
    context: Context
    campaign: ResolvedCampaign
    counted: dict[date | None, int] = field(default_factory=dict)

    def on(self, one: Due) -> int | None:
        if self.campaign.definition.audience.source is not None:
            return None
        if one.day not in self.counted:
            self.counted[one.day] = self._count(one.day)
        return self.counted[one.day]

    def _count(self, day: date | None) -> int:
        campaign = self.campaign
        where = where_of(campaign.definition, day)
        audience = contacts_of(self.session, campaign, where, self.context.clock.now())
        scopes = scopes_of_campaign(self.session, self.context, campaign)
        return forecast(self.session, scopes, audience)[None]


def _last(session: Session, schedule: Schedule, zone: ZoneInfo) -> PastOccurrence | None:
    last = session.scalar(
        select(ScheduleOccurrence)
        .where(
            ScheduleOccurrence.schedule_id == schedule.id,
            ScheduleOccurrence.state != OccurrenceState.OPENING,
        )
        .order_by(ScheduleOccurrence.due_at.desc())
        .limit(1)
    )
    if last is None:
        return None
    return PastOccurrence(last.due_at.astimezone(zone), last.state, last.because, last.run_id)
