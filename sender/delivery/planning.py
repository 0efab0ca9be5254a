"""Plan a run: everybody in its audience becomes a delivery, pending or skipped with a reason.

Set-based, in ranges of address ids: each range is one short transaction that moves
`planned_through`, so a crash resumes at the next range and nobody is planned twice or left out.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, case, exists, func, insert, literal, null, select
from sqlalchemy.orm import Session, aliased

from sender.clock import Clock
from sender.consent.eligibility import decisions
from sender.consent.policy import Scope
from sender.delivery.audience import Audience
from sender.delivery.restored import planned_already, sent_in_lost_run
from sender.delivery.scopes import scopes_of_run
from sender.store.base import Word
from sender.store.campaigns import Run
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.vocabulary import DeliveryState, Reason, RunState

RANGE_SIZE = 20_000
"""People a transaction: the longest write lock stays far under a quarter of a second."""

HANDED_OVER = (
    DeliveryState.DISPATCHING,
    DeliveryState.UNKNOWN,
    DeliveryState.ACCEPTED,
    DeliveryState.DELIVERED,
    DeliveryState.FAILED,
)
"""States in which a provider has, or may have, the message."""


def plan(store: Store, clock: Clock, run_id: int, audience: Audience) -> Iterator[int]:
    """Plan the run to its end, yielding how many people each range held; resumes where it was.

    The run's state is left at `planning`; the caller decides what follows.
    """
    with store.write() as session:
        run = session.get_one(Run, run_id, with_for_update=True)
        if run.plan_ends_at is None:
            run.plan_ends_at = audience.last(session)
        end = run.plan_ends_at
    planned_through = 0
    while planned_through < end:
        planned_through, people = _plan_range(store, clock, run_id, audience, end)
        if people:
            yield people


def forecast(
    session: Session,
    scopes: Sequence[Scope],
    audience: Audience,
    sent_in_campaign: int | None = None,
) -> Counter[Reason | None]:
    """Count the audience by the decision on each person, without planning anything.

    Args:
        session: any open session.
        scopes: what the run asks.
        audience: of whom.
        sent_in_campaign: the campaign whose earlier recipients are left out, if they are.
    """
    end = audience.last(session)
    counts: Counter[Reason | None] = Counter()
    for low, high in _ranges(session, audience, end):
        decided = _decided(audience, scopes, low, high, sent_in_campaign).subquery()
        query = select(decided.c.reason, func.count()).group_by(decided.c.reason)
        for reason, count in session.execute(query):
            counts[reason] += count
    return counts


def first_allowed(
    session: Session, scopes: Sequence[Scope], audience: Audience, limit: int
) -> list[int]:
    """Return the keys of the first people whom the policy allows, to preview their messages."""
    keys: list[int] = []
    for low, high in _ranges(session, audience, audience.last(session)):
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


def _plan_range(
    store: Store, clock: Clock, run_id: int, audience: Audience, end: int
) -> tuple[int, int]:
    with store.write() as session:
        run = session.get_one(Run, run_id, with_for_update=True)
        if run.state is not RunState.PLANNING or run.planned_through >= end:
            return end, 0
        low = run.planned_through
        high = min(audience.range_end(session, low, RANGE_SIZE) or end, end)
        scopes = scopes_of_run(session, run, clock.now())
        sent_in = run.campaign_id if run.exclude_sent else None
        decided = _decided(audience, scopes, low, high, sent_in).subquery("decided")
        session.execute(_insert(run, audience, decided))
        run.planned_through = high
        return high, _count_planned(session, run_id, low, high)


def _count_planned(session: Session, run_id: int, low: int, high: int) -> int:
    # Not `rowcount`: sqlite3 tells none for a statement that begins with WITH.
    query = select(func.count()).where(
        Delivery.run_id == run_id, Delivery.address_id > low, Delivery.address_id <= high
    )
    return session.scalar(query) or 0


def _ranges(session: Session, audience: Audience, end: int) -> Iterator[tuple[int, int]]:
    low = 0
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
