"""Who sends, what is under way, and how far behind it is.

Nothing here reads a run's deliveries one by one: how many went out is what the dispatchers say,
as of their last sign of life, and of the pending no more are counted than `MOST_COUNTED`.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Interval, and_, case, func, or_, select, text, type_coerce
from sqlalchemy.orm import Session

from sender.delivery.parts import is_planned
from sender.delivery.recovery import is_alive
from sender.jobs.queue import has_queue
from sender.jobs.workers import LOST_AFTER
from sender.store.campaigns import Campaign, Dispatcher, Run, RunPart, Worker
from sender.store.controllers import Controller
from sender.store.deliveries import Delivery
from sender.vocabulary import Channel, Priority, RunState

MINUTE: Final = timedelta(minutes=1)

MOST_COUNTED: Final = 100_000
"""Pending people of a run that are counted; of more it is told about how many there are."""

SHOWN_SILENT_FOR: Final = timedelta(hours=1)
"""For how long a worker that is gone without a word is still shown."""

UNDER_WAY: Final = (
    RunState.READY,
    RunState.RUNNING,
    RunState.PAUSING,
    RunState.PAUSED,
    RunState.STOPPED,
    RunState.CANCELLING,
)
"""Runs that somebody confirmed and that are not over."""

_SENDING: Final = (RunState.READY, RunState.RUNNING)
_PENDING: Final = text("delivery.state = 'pending'")
"""In the words of the partial index, or SQLite would not use it."""


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker.

    Attributes:
        worker_id: its number.
        host: the machine.
        process_id: there.
        version: of the program.
        started_at: since when it works.
        silent_for: since its last sign of life; every worker gives one in five seconds.
        lost: whether it has been silent for so long that others took over its jobs.
        slots: how many runs it can send at the same time.
        runs: the runs that it is sending now, each as often as it has a slot.
    """

    worker_id: int
    host: str
    process_id: int
    version: str
    started_at: datetime
    silent_for: timedelta
    lost: bool
    slots: int
    runs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run that was confirmed and is not over.

    Attributes:
        run_id: its number.
        campaign: the campaign's name.
        controller: the controller's slug.
        channel: of the messages.
        state: of the run.
        because: why it paused or stopped.
        urgent: whether it goes before others.
        is_planned: whether everybody in its audience has a delivery.
        pending: people who have a delivery and were not written to yet.
        pending_is_about: whether that is a reckoning, because there are too many to count.
        sent: messages that were accepted, as of its dispatchers' last signs of life.
        last_minute: of these, in the last minute.
        dispatchers: how many send it now.
        waits_until: it does nothing before this.
        done_at: when all of it will be sent if it goes on as in the last minute; None where that
            cannot be said.
    """

    run_id: int
    campaign: str
    controller: str
    channel: Channel
    state: RunState
    because: str | None
    urgent: bool
    is_planned: bool
    pending: int
    pending_is_about: bool
    sent: int
    last_minute: int
    dispatchers: int
    waits_until: datetime | None
    done_at: datetime | None


@dataclass(frozen=True, slots=True)
class Parts:
    """The open parts of the runs that may send.

    Attributes:
        unplanned: whose people are not planned yet.
        ready: planned, and nobody has taken them.
        in_hand: a dispatcher sends them.
        later: nobody in them may be written to yet.
        oldest_ready: for how long the oldest of `ready` has been so; None when there is none.
    """

    unplanned: int
    ready: int
    in_hand: int
    later: int
    oldest_ready: timedelta | None


@dataclass(frozen=True, slots=True)
class Recent:
    """What the dispatchers of the last minute did.

    Attributes:
        messages: accepted in that minute, by run.
        lasted: how much of the minute they were at it, by run: it may just have begun.
        at_work: those that live, by run.
    """

    messages: dict[int, float]
    lasted: dict[int, timedelta]
    at_work: dict[int, list[Dispatcher]]


def workers(session: Session, at_work: Iterable[Dispatcher]) -> list[WorkerStatus]:
    """Return the workers that live, or fell silent within the last hour, in order of their numbers.

    Their signs of life are on PostgreSQL's clock, and judged by it. SQLite has none.

    Args:
        session: any open session.
        at_work: the dispatchers that live.
    """
    if not has_queue(session):
        return []
    sending: dict[int | None, list[int]] = defaultdict(list)
    for dispatcher in at_work:
        sending[dispatcher.worker_id].append(dispatcher.run_id)
    silent_for = type_coerce(func.now() - Worker.heartbeat_at, Interval())
    query = (
        select(Worker, silent_for)
        .where(Worker.ended_at.is_(None), Worker.heartbeat_at > func.now() - SHOWN_SILENT_FOR)
        .order_by(Worker.id)
    )
    return [
        WorkerStatus(
            worker_id=row.id,
            host=row.host,
            process_id=row.process_id,
            version=row.version,
            started_at=row.started_at,
            silent_for=max(silence, timedelta(0)),
            lost=silence >= LOST_AFTER,
            slots=row.slots,
            runs=tuple(sorted(sending[row.id])),
        )
        for row, silence in session.execute(query)
    ]


def recent_work(session: Session, now: datetime) -> Recent:
    """Return what was done within the last minute.

    A dispatcher says every five seconds how many messages it saw accepted since it began. A
    worker's begins anew every ten seconds, so this is the last minute; of a launcher's own it is
    its average since it began.
    """
    query = (
        select(Dispatcher)
        .join(Run, Run.id == Dispatcher.run_id)
        .where(
            or_(Run.state.in_(UNDER_WAY), Run.ended_at > now - MINUTE),
            Dispatcher.heartbeat_at > now - MINUTE,
        )
    )
    messages: dict[int, float] = defaultdict(float)
    lasted: dict[int, timedelta] = defaultdict(timedelta)
    at_work: dict[int, list[Dispatcher]] = defaultdict(list)
    for row in session.scalars(query):
        messages[row.run_id] += accepted_since(row, now - MINUTE)
        lasted[row.run_id] = max(lasted[row.run_id], min(MINUTE, now - row.started_at))
        if is_alive(row, now):
            at_work[row.run_id].append(row)
    return Recent(dict(messages), dict(lasted), dict(at_work))


def accepted_since(dispatcher: Dispatcher, since: datetime) -> float:
    """Return how many messages a dispatcher saw accepted since then, as evenly as it worked."""
    worked = dispatcher.heartbeat_at - dispatcher.started_at
    if worked <= timedelta(0):
        return float(dispatcher.accepted)
    share = (dispatcher.heartbeat_at - max(dispatcher.started_at, since)) / worked
    return dispatcher.accepted * max(share, 0.0)


def runs_under_way(session: Session, recent: Recent, now: datetime) -> list[RunStatus]:
    """Return the runs that were confirmed and are not over: those that send first, then by age."""
    query = (
        select(Run, Campaign.name, Controller.slug)
        .join(Campaign, Campaign.id == Run.campaign_id)
        .join(Controller, Controller.id == Run.controller_id)
        .where(Run.state.in_(UNDER_WAY), Run.is_test.is_(False))
        .order_by(Run.id)
    )
    rows = session.execute(query).all()
    sent = _sent(session, [run.id for run, _, _ in rows])
    found = [
        _run_status(session, run, (campaign, slug), sent.get(run.id, 0), recent=recent, now=now)
        for run, campaign, slug in rows
    ]
    return sorted(found, key=lambda one: (one.state not in _SENDING, not one.urgent))


def _run_status(
    session: Session,
    run: Run,
    names: tuple[str, str],
    sent: int,
    *,
    recent: Recent,
    now: datetime,
) -> RunStatus:
    campaign, slug = names
    planned = is_planned(session, run)
    pending, about = count_pending(session, run, sent)
    waits = run.deferred_until if run.deferred_until and run.deferred_until > now else None
    last_minute = recent.messages.get(run.id, 0.0)
    now_all = planned and waits is None and not _some_wait(session, run.id, now)
    goes_on = now_all and run.state in _SENDING and last_minute > 0
    return RunStatus(
        run_id=run.id,
        campaign=campaign,
        controller=slug,
        channel=run.channel,
        state=run.state,
        because=run.stopped_because,
        urgent=run.priority is Priority.URGENT,
        is_planned=planned,
        pending=pending,
        pending_is_about=about,
        sent=sent,
        last_minute=round(last_minute),
        dispatchers=len(recent.at_work.get(run.id, ())),
        waits_until=waits,
        done_at=now + recent.lasted[run.id] * (pending / last_minute) if goes_on else None,
    )


def _some_wait(session: Session, run_id: int, now: datetime) -> bool:
    """Whether a part of the run waits: for the hours of its people, say."""
    later = select(RunPart.id).where(
        RunPart.run_id == run_id, RunPart.done_at.is_(None), RunPart.ready_at > now
    )
    return session.scalar(later.limit(1)) is not None


def count_pending(session: Session, run: Run, sent: int) -> tuple[int, bool]:
    """Count the people of a run who are pending; return the number, and whether it is a reckoning.

    Beyond `MOST_COUNTED` it is the people that planning let in, less the messages sent.
    """
    some = select(Delivery.id).where(Delivery.run_id == run.id, _PENDING).limit(MOST_COUNTED)
    counted = session.scalar(select(func.count()).select_from(some.subquery())) or 0
    if counted < MOST_COUNTED:
        return counted, False
    return max(counted, (run.recipients_planned or 0) - sent), True


def _sent(session: Session, run_ids: Sequence[int]) -> dict[int, int]:
    query = (
        select(Dispatcher.run_id, func.sum(Dispatcher.accepted))
        .where(Dispatcher.run_id.in_(run_ids))
        .group_by(Dispatcher.run_id)
    )
    return {run_id: int(accepted) for run_id, accepted in session.execute(query)}


def open_parts(session: Session, now: datetime) -> Parts:
    """Count the open parts of the runs that may send."""
    waits = or_(RunPart.ready_at > now, Run.deferred_until > now)
    kind: Any = case(
        (RunPart.planned_at.is_(None), "unplanned"),
        (RunPart.dispatcher_id.is_not(None), "in_hand"),
        (waits, "later"),
        else_="ready",
    )
    query = (
        select(kind, func.count(), func.min(_free_since()))
        .join(Run, Run.id == RunPart.run_id)
        .where(_may_send(), RunPart.done_at.is_(None))
        .group_by(kind)
    )
    found = {name: (number, since) for name, number, since in session.execute(query)}
    number, since = found.get("ready", (0, None))
    return Parts(
        unplanned=found.get("unplanned", (0, None))[0],
        ready=number,
        in_hand=found.get("in_hand", (0, None))[0],
        later=found.get("later", (0, None))[0],
        oldest_ready=max(now - since, timedelta(0)) if since else None,
    )


def _free_since() -> ColumnElement[datetime]:
    """Return since when a planned part may be taken: its people, and its run, may be ready later.

    Where a run was put off, what lay ready before waits no longer than since then.
    """
    free = func.coalesce(RunPart.ready_at, RunPart.planned_at)
    put_off = and_(Run.deferred_until.is_not(None), Run.deferred_until > free)
    return case((put_off, Run.deferred_until), else_=free)


def _may_send() -> ColumnElement[bool]:
    return and_(Run.state.in_(_SENDING), Run.is_test.is_(False))
