"""Share a run out: ranges of address ids that one dispatcher at a time works through.

Parts decide nothing. Who was written to, the deliveries alone say: a part that is lost, done twice
or freed too early costs time, never a message.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, exists, func, select, update
from sqlalchemy.orm import Session

from sender.store.campaigns import Run, RunPart
from sender.store.deliveries import Delivery
from sender.vocabulary import DeliveryState

PART_SIZE = 1_000
"""Pending people a part: some seconds of work, so that a killed worker leaves little behind."""


@dataclass(frozen=True, slots=True)
class Part:
    """A claimed part: the people with `above < address id <= through`."""

    id: int
    above: int
    through: int

    def holds(self) -> ColumnElement[bool]:
        """Return whether a delivery of the run lies in the part."""
        return (Delivery.address_id > self.above) & (Delivery.address_id <= self.through)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a dispatcher that has nothing to do may expect of its run.

    Attributes:
        is_planned: whether everybody in the audience has a delivery.
        open_parts: parts that are not done yet, of all dispatchers.
        ready_at: the earliest moment at which a free part is ready; None when there is no free one.
    """

    is_planned: bool
    open_parts: int
    ready_at: datetime | None


def claim(session: Session, run_id: int, dispatcher_id: int, now: datetime) -> Part | None:
    """Claim the first planned part that is free and ready; None when there is none."""
    query = (
        select(RunPart)
        .where(
            RunPart.run_id == run_id,
            RunPart.done_at.is_(None),
            RunPart.planned_at.is_not(None),
            RunPart.dispatcher_id.is_(None),
            RunPart.ready_at.is_(None) | (RunPart.ready_at <= now),
        )
        .order_by(RunPart.above)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = session.scalar(query)
    if row is None:
        return None
    row.dispatcher_id = dispatcher_id
    return Part(row.id, row.above, row.through)


def let_go(
    session: Session, part: Part, run_id: int, dispatcher_id: int, now: datetime
) -> datetime | None:
    """Let go of a part: done when nobody in it is pending, else free from when somebody is ready.

    Returns that moment, or None. A part that was taken away meanwhile is left alone.
    """
    earliest = session.scalar(_earliest(now).where(Delivery.run_id == run_id, part.holds()))
    session.execute(
        update(RunPart)
        .where(RunPart.id == part.id, RunPart.dispatcher_id == dispatcher_id)
        .values(
            dispatcher_id=None,
            ready_at=earliest if earliest is not None and earliest > now else None,
            done_at=now if earliest is None else None,
        )
    )
    return earliest


def _earliest(now: datetime) -> Select[datetime]:
    """Return the query of when the first pending person is ready; null when nobody is pending."""
    return select(func.min(func.coalesce(Delivery.not_before, now))).where(
        Delivery.state == DeliveryState.PENDING
    )


def free_parts(session: Session, run_id: int, alive: Sequence[int]) -> None:
    """Free what dispatchers of the run hold that are not among those alive."""
    session.execute(
        update(RunPart)
        .where(
            RunPart.run_id == run_id,
            RunPart.done_at.is_(None),
            RunPart.dispatcher_id.is_not(None),
            RunPart.dispatcher_id.not_in(alive),
        )
        .values(dispatcher_id=None)
    )


def outlook(session: Session, run: Run) -> Outlook:
    """Look ahead on a run; what others hold is theirs."""
    mine = (RunPart.run_id == run.id) & RunPart.done_at.is_(None)
    free = mine & RunPart.dispatcher_id.is_(None) & RunPart.planned_at.is_not(None)
    open_parts = session.scalar(select(func.count()).where(mine)) or 0
    ready_at = session.scalar(
        # Not since it was planned: that may have been by a clock that was ahead.
        select(func.min(func.coalesce(RunPart.ready_at, run.created_at))).where(free)
    )
    return Outlook(is_planned(session, run), open_parts, ready_at)


def is_planned(session: Session, run: Run) -> bool:
    """Whether everybody in the run's audience has a delivery."""
    if run.plan_ends_at is not None and run.planned_through < run.plan_ends_at:
        return False
    unplanned = select(RunPart.id).where(
        RunPart.run_id == run.id, RunPart.done_at.is_(None), RunPart.planned_at.is_(None)
    )
    return session.scalar(unplanned.limit(1)) is None


def cover_pending(session: Session, run_id: int, now: datetime) -> bool:
    """Give whoever is pending a part where no part is open any more; return whether it did.

    So it is with a test, a run from before there were parts, and people who came back to pending
    after their part was done.
    """
    mine = RunPart.run_id == run_id
    if session.scalar(select(RunPart.id).where(mine, RunPart.done_at.is_(None)).limit(1)):
        return False
    pending = (Delivery.run_id == run_id) & (Delivery.state == DeliveryState.PENDING)
    bounds = select(func.min(Delivery.address_id), func.max(Delivery.address_id)).where(pending)
    first, last = session.execute(bounds).one()
    if not first:
        return False
    held = exists().where(
        pending, Delivery.address_id > RunPart.above, Delivery.address_id <= RunPart.through
    )
    again = update(RunPart).where(mine, held).values(done_at=None, ready_at=None)
    reopened = session.execute(again.execution_options(synchronize_session=False))
    if not reopened.rowcount:  # type: ignore[attr-defined]  # an UPDATE's result has it
        session.add(RunPart(run_id=run_id, above=first - 1, through=last, planned_at=now))
        session.flush()
    return True
