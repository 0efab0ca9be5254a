"""Plan a run: everybody in its audience becomes a delivery, pending or skipped with a reason.

Set-based, in ranges of address ids. A range is first cut off as a part, which moves
`planned_through`, and then planned in one short transaction; several processes plan side by side.
A crash between the two leaves a part that the next one plans: nobody is planned twice or left out.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    bindparam,
    case,
    exists,
    func,
    insert,
    literal,
    null,
    select,
    update,
)
from sqlalchemy.orm import Session, aliased

from sender.clock import Clock
from sender.consent.eligibility import decisions
from sender.consent.policy import Scope
from sender.delivery.audience import Audience
from sender.delivery.parts import PART_SIZE
from sender.delivery.restored import planned_already, sent_in_lost_run
from sender.delivery.scopes import scopes_of_run
from sender.store.base import Word
from sender.store.campaigns import Run, RunPart
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.vocabulary import DeliveryState, Reason, RunState

RANGE_SIZE = 20_000
"""People a transaction: the longest write lock stays far under a quarter of a second."""

PLANNABLE = (RunState.PLANNING, RunState.READY, RunState.RUNNING)
"""States of a run whose audience may be planned further."""

HANDED_OVER = (
    DeliveryState.DISPATCHING,
    DeliveryState.UNKNOWN,
    DeliveryState.ACCEPTED,
    DeliveryState.DELIVERED,
    DeliveryState.FAILED,
)
"""States in which a provider has, or may have, the message."""


class TooManyRecipientsError(Exception):
    """The next range would bring more people into the run than it may have; it was not planned.

    Attributes:
        people: how many there would be, at least.
    """

    def __init__(self, people: int) -> None:
        super().__init__(people)
        self.people = people


class _NotPlannableError(Exception):
    """The run was paused or ended while a range of it was being planned."""


def plan(store: Store, clock: Clock, run_id: int, audience: Audience) -> Iterator[int]:
    """Plan the run to its end, yielding how many people each range held; resumes where it was.

    The run's state is left as it is; the caller decides what follows.

    Raises:
        TooManyRecipientsError: the run may not have so many; what was planned stays.
    """
    while (people := plan_next(store, clock, run_id, audience)) is not None:
        if people:
            yield people


def plan_next(store: Store, clock: Clock, run_id: int, audience: Audience) -> int | None:
    """Plan one more range, beside others who do the same; return how many people it held.

    Returns None when nothing is left that nobody plans already, or the run may not be planned now.

    Raises:
        TooManyRecipientsError: the run may not have so many.
    """
    part_id = _cut_off(store, run_id, audience)
    if part_id is None:
        return None
    try:
        with store.write() as session:
            part = session.scalar(_unplanned(run_id).where(RunPart.id == part_id))
            if part is None:  # somebody else was quicker
                return 0
            return _plan_part(session, part, audience, clock)
    except _NotPlannableError:
        return None


def _cut_off(store: Store, run_id: int, audience: Audience) -> int | None:
    """Cut the next range off the audience; one that somebody left unplanned goes first."""
    with store.write() as session:
        run = session.get_one(Run, run_id, with_for_update={"key_share": True})
        if run.state not in PLANNABLE:
            return None
        left = session.scalar(_unplanned(run_id))
        if left is not None:
            return left.id
        if run.plan_ends_at is None:
            run.plan_ends_at = audience.last(session)
        low, end = run.planned_through, run.plan_ends_at
        if low >= end:
            return None
        run.planned_through = min(audience.range_end(session, low, RANGE_SIZE) or end, end)
        part = RunPart(run_id=run_id, above=low, through=run.planned_through)
        session.add(part)
        session.flush()
        return part.id


def _unplanned(run_id: int) -> Select[RunPart]:
    """Return the query of the first part that nobody is planning."""
    return (
        select(RunPart)
        .where(RunPart.run_id == run_id, RunPart.done_at.is_(None), RunPart.planned_at.is_(None))
        .order_by(RunPart.above)
        .limit(1)
        .with_for_update(skip_locked=True)
    )


def count_unplanned(session: Session, run: Run, audience: Audience) -> int:
    """Count the people of the run's audience that have no delivery yet."""
    return sum(
        session.scalar(select(func.count()).select_from(audience.people(low, high).rows)) or 0
        for low, high in _unplanned_ranges(session, run, audience)
    )


def _unplanned_ranges(session: Session, run: Run, audience: Audience) -> Iterator[tuple[int, int]]:
    query = select(RunPart.above, RunPart.through).where(
        RunPart.run_id == run.id, RunPart.done_at.is_(None), RunPart.planned_at.is_(None)
    )
    for row in session.execute(query).all():
        yield row.above, row.through
    end = audience.last(session) if run.plan_ends_at is None else run.plan_ends_at
    yield from _ranges(session, audience, run.planned_through, end)


def forecast(
    session: Session, scopes: Sequence[Scope], audience: Audience
) -> Counter[Reason | None]:
    """Count the audience by the decision on each person, without planning anything.

    Args:
        session: any open session.
        scopes: what the run asks.
        audience: of whom.
    """
    ranges = _ranges(session, audience, 0, audience.last(session))
    return _count_decisions(session, scopes, audience, ranges, None)


def forecast_unplanned(
    session: Session, run: Run, scopes: Sequence[Scope], audience: Audience
) -> Counter[Reason | None]:
    """Count by decision those of the run's audience that have no delivery yet."""
    ranges = _unplanned_ranges(session, run, audience)
    sent_in = run.campaign_id if run.exclude_sent else None
    return _count_decisions(session, scopes, audience, ranges, sent_in)


def _count_decisions(
    session: Session,
    scopes: Sequence[Scope],
    audience: Audience,
    ranges: Iterable[tuple[int, int]],
    sent_in: int | None,
) -> Counter[Reason | None]:
    counts: Counter[Reason | None] = Counter()
    for low, high in ranges:
        decided = _decided(audience, scopes, low, high, sent_in).subquery()
        query = select(decided.c.reason, func.count()).group_by(decided.c.reason)
        for reason, count in session.execute(query):
            counts[reason] += count
    return counts


def first_allowed(
    session: Session, scopes: Sequence[Scope], audience: Audience, limit: int
) -> list[int]:
    """Return the keys of the first people whom the policy allows, to preview their messages."""
    keys: list[int] = []
    for low, high in _ranges(session, audience, 0, audience.last(session)):
        decided = _decided(audience, scopes, low, high, None).subquery()
        query = (
            select(decided.c.key)
            .where(decided.c.reason.is_(None))
            .order_by(decided.c.address_id)
            .limit(limit - len(keys))
        )
        keys.extend(session.scalars(query))
        if len(keys) >= limit:
            break
    return keys


def _plan_part(session: Session, part: RunPart, audience: Audience, clock: Clock) -> int:
    run = session.get_one(Run, part.run_id)
    scopes = scopes_of_run(session, run, clock.now())
    sent_in = run.campaign_id if run.exclude_sent else None
    decided = _decided(audience, scopes, part.above, part.through, sent_in).subquery("decided")
    session.execute(_insert(run, audience, decided))
    people, pending = _count_planned(session, part)
    _let_in(session, run, pending)
    _split(session, part, pending, clock.now())
    return people


def _count_planned(session: Session, part: RunPart) -> tuple[int, int]:
    """Count everybody in the part, and those who may be written to."""
    # Not `rowcount`: sqlite3 tells none for a statement that begins with WITH.
    is_pending = Delivery.state == DeliveryState.PENDING
    query = select(func.count(), func.count().filter(is_pending)).where(*_within(part))
    people, pending = session.execute(query).one()
    return people, pending


def _within(part: RunPart) -> tuple[ColumnElement[bool], ...]:
    return (
        Delivery.run_id == part.run_id,
        Delivery.address_id > part.above,
        Delivery.address_id <= part.through,
    )


def _let_in(session: Session, run: Run, pending: int) -> None:
    """Count people into the run, which may have been cancelled or be full by now."""
    planned = func.coalesce(Run.recipients_planned, 0) + pending
    counted = session.execute(
        update(Run)
        .where(Run.id == run.id, Run.state.in_(PLANNABLE))
        .values(recipients_planned=planned)
        .returning(Run.recipients_planned, Run.most_recipients)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if counted is None:
        raise _NotPlannableError
    people, most = counted
    if most is not None and (people or 0) > most:
        raise TooManyRecipientsError(people or 0)


def _split(session: Session, part: RunPart, pending: int, now: datetime) -> None:
    """Cut a planned range into parts of as many pending people as one dispatcher takes."""
    part.planned_at = now
    if pending == 0:
        part.done_at = now
        return
    cuts = list(_cuts(session, part)) if pending > PART_SIZE else []
    edges = [part.above, *[cut for cut in cuts if cut < part.through], part.through]
    part.through = edges[1]
    session.add_all(
        RunPart(run_id=part.run_id, above=above, through=through, planned_at=now)
        for above, through in pairwise(edges[1:])
    )


def _cuts(session: Session, part: RunPart) -> Iterator[int]:
    """Return the address id of every `PART_SIZE`-th pending person in the part."""
    query = (
        select(Delivery.address_id)
        .where(
            Delivery.run_id == part.run_id,
            Delivery.address_id > bindparam("above"),
            Delivery.address_id <= part.through,
            Delivery.state == DeliveryState.PENDING,
        )
        .order_by(Delivery.address_id)
        .offset(PART_SIZE - 1)
        .limit(1)
    )
    cut: int | None = part.above
    while (cut := session.scalar(query, {"above": cut})) is not None:
        yield cut


def _ranges(session: Session, audience: Audience, low: int, end: int) -> Iterator[tuple[int, int]]:
    while low < end:
        high = min(audience.range_end(session, low, RANGE_SIZE) or end, end)
        yield low, high
        low = high


def _decided(
    audience: Audience, scopes: Sequence[Scope], low: int, high: int, sent_in: int | None
) -> Select[Any]:
    query = decisions(audience.people(low, high), scopes)
    if sent_in is None:
        return query
    decided = query.subquery("by_policy")
    reason = case(
        (decided.c.reason.is_not(None), decided.c.reason),
        (
            _already_sent(decided.c.address_id, sent_in)
            | sent_in_lost_run(decided.c.address_id, sent_in),
            literal(Reason.ALREADY_SENT, Word(Reason)),
        ),
        else_=null(),
    )
    return select(
        decided.c.key,
        decided.c.address_id,
        reason.label("reason"),
        decided.c.refused_by,
        decided.c.event_0,
    )


def _already_sent(address_id: ColumnElement[int], campaign_id: int) -> ColumnElement[bool]:
    earlier, run = aliased(Delivery), aliased(Run)
    return exists(
        select(literal(1))
        .select_from(earlier)
        .join(run, run.id == earlier.run_id)
        .where(
            run.campaign_id == campaign_id,
            run.is_test.is_(False),
            earlier.address_id == address_id,
            earlier.state.in_(HANDED_OVER),
        )
    )


def _insert(run: Run, audience: Audience, decided: Any) -> Any:
    allowed = decided.c.reason.is_(None)
    state = Word(DeliveryState)
    rows = select(
        literal(run.id),
        decided.c.address_id,
        decided.c.key,
        case(
            (allowed, literal(DeliveryState.PENDING, state)),
            else_=literal(DeliveryState.SKIPPED, state),
        ),
        decided.c.reason,
        decided.c.refused_by,
        case((allowed, decided.c.event_0), else_=null()),
    ).order_by(decided.c.address_id)
    if run.restored_at is not None:
        rows = rows.where(~planned_already(decided.c.address_id, run.id))
    columns = (
        "run_id",
        "address_id",
        audience.key_column,
        "state",
        "reason",
        "refused_by_id",
        "consent_event_id",
    )
    return insert(Delivery).from_select(columns, rows, include_defaults=False)
