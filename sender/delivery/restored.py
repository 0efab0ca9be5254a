"""Runs that a restored backup shows as they were on its day, and people that it forgot it wrote to.

Such a run may have sent more than its deliveries say. It comes back paused, and is carried on only
when its pending people were compared with a record of what was handed over since: the provider's
where that can be asked for, the journal of batches elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy.orm import Session

from sender.delivery.recovery import live_dispatchers, recover
from sender.delivery.runs import move, settle, skip_pending
from sender.errors import RefusedError
from sender.store.audit_trail import record as audit
from sender.store.campaigns import Campaign, Run
from sender.store.controllers import ProviderAccount, SenderIdentity
from sender.store.deliveries import RESTORED, Delivery
from sender.store.inbound import Reconciliation
from sender.store.journal_marks import LostMessage, LostRun
from sender.store.schedules import Schedule
from sender.vocabulary import DeliveryState, ProviderName, Reason, RunState, ScheduleState

KEEP_A_RECORD = frozenset({ProviderName.TWILIO})
"""Providers that can be asked what was sent; SES and mail servers cannot."""

_BECAUSE = "restored from a backup"


@dataclass(frozen=True, slots=True)
class OpenRuns:
    """What is done with the runs that a restored backup shows as open.

    Attributes:
        now: when.
        operator: who replays.
        without_record: whether a journal is gone, so that nothing tells who was written to.
    """

    now: datetime
    operator: str
    without_record: bool

    def hold(self, session: Session) -> list[int]:
        """Let every open run wait for a resume, and every schedule; return the runs' ids.

        Where no record is left, whoever may have been written to becomes `unknown`, and a run whose
        people are not all known is cancelled: nobody is written to twice.

        Raises:
            RefusedError: one of them is still being sent.
        """
        hold_schedules(session, now=self.now, operator=self.operator)
        query = select(Run).where(Run.is_test.is_(False)).order_by(Run.id).with_for_update()
        runs = [run for run in session.scalars(query) if run.state.is_open]
        for run in runs:
            self._require_left(session, run)
        for run in runs:
            self._hold(session, run)
        return [run.id for run in runs]

    def _require_left(self, session: Session, run: Run) -> None:
        for row in live_dispatchers(session, run.id, self.now):
            raise RefusedError(
                f"Run {run.id} seems to be sent still, by process {row.process_id} on {row.host}.",
                remedy="Stop it. One that is gone already is given up for lost after a minute.",
            )

    def _hold(self, session: Session, run: Run) -> None:
        recover(session, run.id, self.now)
        run.restored_at = self.now
        if self.without_record and provider_of(session, run) not in KEEP_A_RECORD:
            _doubt_pending(session, run.id)
        if run.state is RunState.CANCELLING:
            settle(session, run, now=self.now, operator=self.operator)
        elif run.state is not RunState.PLANNING:
            self._move(session, run, RunState.PAUSED)
        elif self.without_record:
            skip_pending(session, run.id, Reason.CANCELLED)
            self._move(session, run, RunState.CANCELLED)
        else:
            self._say(session, run)

    def _move(self, session: Session, run: Run, state: RunState) -> None:
        move(session, run, state, now=self.now, operator=self.operator, because=_BECAUSE)

    def _say(self, session: Session, run: Run) -> None:
        audit(
            session,
            now=self.now,
            operator=self.operator,
            action="run.restored",
            controller_id=run.controller_id,
            details={"run": run.id, "because": _BECAUSE},
        )


def hold_schedules(session: Session, *, now: datetime, operator: str) -> list[int]:
    """Let every active schedule wait for a resume; return their ids.

    What it sent since the backup, and whether it was paused or removed since, it does not know.
    """
    query = (
        select(Schedule)
        .where(Schedule.state == ScheduleState.ACTIVE)
        .order_by(Schedule.id)
        .with_for_update()
    )
    schedules = session.scalars(query).all()
    for schedule in schedules:
        schedule.state, schedule.changed_at = ScheduleState.HELD, now
        schedule.because = _BECAUSE
        audit(
            session,
            now=now,
            operator=operator,
            action="schedule.hold",
            controller_id=schedule.controller_id,
            details={"schedule": schedule.id, "because": _BECAUSE},
        )
    return [schedule.id for schedule in schedules]


def _doubt_pending(session: Session, run_id: int) -> None:
    session.execute(
        update(Delivery)
        .where(Delivery.run_id == run_id, Delivery.state == DeliveryState.PENDING)
        .values(state=DeliveryState.UNKNOWN, provider_code=RESTORED)
    )


def provider_of(session: Session, run: Run) -> ProviderName:
    """Return the provider that the run goes out through."""
    query = (
        select(ProviderAccount.provider)
        .join(SenderIdentity, SenderIdentity.provider_account_id == ProviderAccount.id)
        .where(SenderIdentity.id == run.sender_identity_id)
    )
    return session.scalars(query).one()


def require_reconciled(session: Session, run: Run) -> None:
    """Require that a run from a restored backup was compared with the provider's record since.

    Raises:
        RefusedError: it was not, and its provider keeps a record.
    """
    if run.restored_at is None or provider_of(session, run) not in KEEP_A_RECORD:
        return
    query = (
        select(Reconciliation.id)
        .join(SenderIdentity, SenderIdentity.provider_account_id == Reconciliation.account_id)
        .where(
            SenderIdentity.id == run.sender_identity_id,
            Reconciliation.started_at >= run.restored_at,
            Reconciliation.finished_at.is_not(None),
        )
    )
    if session.scalar(query.limit(1)) is None:
        raise RefusedError(
            f"Run {run.id} comes from a restored backup, and its people were not compared with the "
            "provider's record yet.",
            remedy="Run: sender reconcile",
        )


def has_lost_runs(session: Session, controller_id: int, campaign_name: str) -> bool:
    """Whether the campaign had a run that a restored backup knows nothing of."""
    query = select(LostRun.id).where(
        LostRun.controller_id == controller_id, LostRun.campaign_name == campaign_name
    )
    return session.scalar(query.limit(1)) is not None


def sent_in_lost_run(address_id: ColumnElement[int], campaign_id: int) -> ColumnElement[bool]:
    """Return whether a lost run of the campaign wrote to an address."""
    return exists(
        select(LostMessage.address_id)
        .join(LostRun, LostRun.id == LostMessage.lost_run_id)
        .join(
            Campaign,
            (Campaign.controller_id == LostRun.controller_id)
            & (Campaign.name == LostRun.campaign_name),
        )
        .where(Campaign.id == campaign_id, LostMessage.address_id == address_id)
    )


def planned_already(address_id: ColumnElement[int], run_id: int) -> ColumnElement[bool]:
    """Return whether an address has a delivery in the run, which a journal brought back."""
    return exists(
        select(Delivery.id).where(Delivery.run_id == run_id, Delivery.address_id == address_id)
    )


def lost_runs(session: Session) -> Sequence[LostRun]:
    """Return the runs that only a journal tells of."""
    return session.scalars(select(LostRun).order_by(LostRun.id)).all()
