"""What people do with schedules: approve, pause, resume and remove them, each with an audit row."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, takewhile
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.campaigns.accounts import open_account, usable_capacity
from sender.campaigns.approval import require_approved
from sender.campaigns.check import CheckReport, check
from sender.campaigns.definition import CampaignDefinition, load_campaign
from sender.campaigns.opening import campaign_row
from sender.campaigns.pinning import pin
from sender.campaigns.requirements import require_declarations
from sender.campaigns.resolve import ResolvedCampaign, file_error, resolve
from sender.campaigns.schedule import Tolerance
from sender.campaigns.schedule_audience import date_attribute
from sender.campaigns.schedule_listing import NextOccurrence, next_occurrences
from sender.campaigns.schedule_state import (
    FAILED,
    HELD,
    STANDING,
    approved_text,
    get_schedule,
    move,
    occurrences_of,
    settle_openings,
    stand_down,
)
from sender.contacts.filter import Attribute, Has
from sender.contacts.filter_sql import compile_filter
from sender.context import Context
from sender.errors import RefusedError
from sender.operators.authority import require
from sender.operators.roles import Role
from sender.operators.standing import is_registered, standing
from sender.store.campaigns import CampaignVersion
from sender.store.contacts import Contact
from sender.store.portable import insert_missing
from sender.store.schedules import Schedule, ScheduleOccurrence
from sender.suppression.journal import require_up_to_date
from sender.suppression.links import opt_out_links
from sender.toml.source import FileErrors
from sender.vocabulary import OccurrenceState, ScheduleState

_MOST_PASSED_OVER = 1_000
"""Occurrences that are entered one by one when a schedule passes over them."""


@dataclass(frozen=True, slots=True)
class Approval:
    """A campaign file that may go out by itself, once somebody says yes.

    Attributes:
        context: the installation.
        definition: the text that was looked over, and no other, is approved.
        path: of its file, absolute.
        report: what a check found; no errors.
        next: when it goes out next, and how many people it would reach today.
    """

    context: Context
    definition: CampaignDefinition
    path: Path
    report: CheckReport
    next: tuple[NextOccurrence, ...]

    def approve(self) -> int:
        """Say yes; return the schedule's number.

        A campaign has one standing schedule: approving its file again gives that one the new text
        and lifts a hold. One that was paused stays paused.

        Raises:
            NotAllowedError: who acts may not launch for this controller.
            RefusedError: somebody else must approve the text first, and nobody did.
        """
        now = self.context.clock.now()
        with self.context.store.write() as session:
            campaign = resolve(session, self.definition)
            require(self.context, Role.LAUNCH, campaign.own.controller_id, session=session)
            row = campaign_row(session, campaign, now)
            who = self.context.operator
            version = pin(session, row, self.definition, now=now, operator=who)
            require_approved(session, campaign, version, launcher=who)
            standing = session.scalar(
                select(Schedule)
                .where(Schedule.campaign_id == row.id, Schedule.state.in_(STANDING))
                .with_for_update()
            )
            if standing is None:
                return self._add(session, campaign, version, now)
            return self._approve_again(session, standing, version, now)

    def _add(
        self,
        session: Session,
        campaign: ResolvedCampaign,
        version: CampaignVersion,
        now: datetime,
    ) -> int:
        schedule = Schedule(
            controller_id=campaign.own.controller_id,
            campaign_id=version.campaign_id,
            version_id=version.id,
            file_path=str(self.path),
            content_hash=version.content_hash,
            state=ScheduleState.ACTIVE,
            late_by_seconds=self._late_by_seconds(),
            considered_through=_decided_through(session, version.campaign_id, now),
            operator=self.context.operator,
            created_at=now,
            changed_at=now,
        )
        session.add(schedule)
        session.flush()
        self._move(session, schedule, ScheduleState.ACTIVE, "add", now)
        return schedule.id

    def _approve_again(
        self, session: Session, schedule: Schedule, version: CampaignVersion, now: datetime
    ) -> int:
        pass_over(session, self.context, schedule, "a new text was approved", now)
        schedule.version_id, schedule.content_hash = version.id, version.content_hash
        schedule.file_path = str(self.path)
        schedule.late_by_seconds = self._late_by_seconds()
        schedule.operator = self.context.operator
        paused = schedule.state is ScheduleState.PAUSED
        state = ScheduleState.PAUSED if paused else ScheduleState.ACTIVE
        self._move(session, schedule, state, "approve", now)
        _stand_down(session, self.context, schedule, now)
        return schedule.id

    def _late_by_seconds(self) -> int:
        schedule = self.definition.schedule
        tolerance = Tolerance() if schedule is None else schedule.tolerance
        return int(tolerance.late_by.total_seconds())

    def _move(
        self, session: Session, schedule: Schedule, state: ScheduleState, act: str, now: datetime
    ) -> None:
        details = {"version": schedule.version_id, "sha256": schedule.content_hash.hex()}
        who = self.context.operator
        move(session, schedule, state, act, now=now, operator=who, details=details)


def _decided_through(session: Session, campaign_id: int, now: datetime) -> datetime:
    """Return now, or when the campaign's last occurrence that went out was due, if that is later.

    Else a schedule that is added again by a clock that lags would send that occurrence twice.
    """
    latest = (
        select(func.max(ScheduleOccurrence.due_at))
        .join(Schedule, Schedule.id == ScheduleOccurrence.schedule_id)
        .where(
            Schedule.campaign_id == campaign_id,
            ScheduleOccurrence.state == OccurrenceState.LAUNCHED,
        )
    )
    return max(now, session.scalar(latest) or now)


def look_over(context: Context, path: Path) -> Approval:
    """Check a file as a launch would, as far as that can be done without opening a run.

    Raises:
        FileErrors: the file, its templates or what it names is wrong; it has no schedule, or one
            with no occurrence to come.
        RefusedError: the database is behind its journal, or nobody said what became of the opt-outs
            of the system before.
        ProviderError: its account cannot send.
        SettingsError: opt-out links cannot be made.
    """
    definition = load_campaign(path)
    now = context.clock.now()
    opt_out_links(context.settings)
    require_up_to_date(context.store, now)
    _require_schedule(definition, now)
    report = check(context, definition)
    if report.errors:
        raise RefusedError("\n".join(str(error) for error in report.errors))
    with context.store.read() as session:
        campaign = resolve(session, definition)
        require_declarations(session, campaign)
        _require_known_attribute(session, campaign)
        ahead = next_occurrences(session, context, definition, now)
    _require_within_limit(definition, ahead)
    _require_usable(context, campaign)
    return Approval(context, definition, path.absolute(), report, ahead)


def add_schedule(context: Context, path: Path) -> int:
    """Look a file over and approve it in one go; return the schedule's number.

    Raises:
        Everything that `look_over` raises.
    """
    return look_over(context, path).approve()


def _require_schedule(definition: CampaignDefinition, now: datetime) -> None:
    if definition.schedule is None:
        raise file_error(
            definition,
            ("schedule",),
            "is missing: nothing says when this goes out.",
            "Add a [schedule], or send it now with: sender campaign launch FILE",
        )
    if next(occurrences_of(definition, now), None) is None:
        raise file_error(
            definition, ("schedule",), "has no occurrence to come.", "Nothing would ever go out."
        )


def _require_known_attribute(session: Session, campaign: ResolvedCampaign) -> None:
    name = date_attribute(campaign.definition)
    if name is None:
        return
    known = select(Contact.id).where(
        Contact.controller_id == campaign.own.controller_id,
        compile_filter(Has(Attribute(name), present=True)),
    )
    if session.scalar(known.limit(1)) is None:
        raise file_error(
            campaign.definition,
            ("schedule", "attribute"),
            f"no contact of {campaign.own.slug} has the attribute {name!r}.",
        )


def _require_within_limit(
    definition: CampaignDefinition, ahead: tuple[NextOccurrence, ...]
) -> None:
    people = max((one.people or 0 for one in ahead), default=0)
    if people > definition.max_recipients:
        raise file_error(
            definition,
            ("max_recipients",),
            f"is {definition.max_recipients:,}; {people:,} people would be written to today.",
            "Raise it or narrow the audience.",
        )


def _require_usable(context: Context, campaign: ResolvedCampaign) -> None:
    provider = open_account(campaign.account, context)
    try:
        usable_capacity(campaign.account, provider)
    finally:
        provider.close()


def pause_schedule(context: Context, schedule_id: int) -> ScheduleState:
    """Let nothing of it go out until it is resumed. Runs that were launched go on.

    Raises:
        NotFoundError: there is no such schedule.
        RefusedError: it is over.
    """

    def act(session: Session, schedule: Schedule, now: datetime) -> None:
        settle_openings(session, context, schedule, "the schedule was paused", now)
        state, who = ScheduleState.PAUSED, context.operator
        move(session, schedule, state, "pause", now=now, operator=who)

    return _change(context, schedule_id, act)


def resume_schedule(context: Context, schedule_id: int) -> ScheduleState:
    """Let it go out again, from its next occurrence on; lifts a hold, for a person has looked.

    Whoever resumes it answers for it from then on where the operator who added it was revoked.

    Raises:
        NotFoundError: there is no such schedule.
        RefusedError: it is over.
    """

    def act(session: Session, schedule: Schedule, now: datetime) -> None:
        if schedule.state is ScheduleState.ACTIVE:
            return
        because = f"the schedule was {schedule.state.value}"
        pass_over(session, context, schedule, because, now)
        state, who = ScheduleState.ACTIVE, context.operator
        if not _answers_for_it(session, schedule):
            schedule.operator = who
        move(session, schedule, state, "resume", now=now, operator=who)
        _stand_down(session, context, schedule, now)

    return _change(context, schedule_id, act)


def _answers_for_it(session: Session, schedule: Schedule) -> bool:
    """Whether the operator who lets it go still is one, or names are not proved at all."""
    return not is_registered(session) or any(
        one.name == schedule.operator for one in standing(session)
    )


def remove_schedule(context: Context, schedule_id: int) -> ScheduleState:
    """End it for good; its history stays. Runs that were launched go on.

    Raises:
        NotFoundError: there is no such schedule.
        RefusedError: it is over.
    """

    def act(session: Session, schedule: Schedule, now: datetime) -> None:
        settle_openings(session, context, schedule, "the schedule was removed", now)
        state, who = ScheduleState.REMOVED, context.operator
        move(session, schedule, state, "remove", now=now, operator=who)
        _stand_down(session, context, schedule, now)

    return _change(context, schedule_id, act)


def _change(
    context: Context, schedule_id: int, act: Callable[[Session, Schedule, datetime], None]
) -> ScheduleState:
    with context.store.write() as session:
        schedule = get_schedule(session, schedule_id, lock=True)
        if schedule.state not in STANDING:
            raise RefusedError(
                f"Schedule {schedule_id} is {schedule.state.value}.",
                remedy="Add its file again with: sender schedule add FILE",
            )
        act(session, schedule, context.clock.now())
        return schedule.state


def pass_over(
    session: Session, context: Context, schedule: Schedule, because: str, now: datetime
) -> None:
    """Decide that nothing that fell due up to now goes out, and enter that with the reason."""
    settle_openings(session, context, schedule, because, now)
    if now <= schedule.considered_through:
        return
    try:
        found = occurrences_of(approved_text(session, schedule), schedule.considered_through)
    except FileErrors:  # held for that: nobody can tell what it would have been
        found = iter(())
    rows = [
        {
            "schedule_id": schedule.id,
            "due_at": one.due_at,
            "day": one.day,
            "state": OccurrenceState.SKIPPED,
            "because": because,
            "decided_at": now,
        }
        for one in islice(takewhile(lambda one: one.due_at <= now, found), _MOST_PASSED_OVER)
    ]
    insert_missing(session, ScheduleOccurrence, rows)
    schedule.considered_through = now


def _stand_down(session: Session, context: Context, schedule: Schedule, now: datetime) -> None:
    for kind in (HELD, FAILED):
        stand_down(session, kind, schedule, now=now, operator=context.operator)
