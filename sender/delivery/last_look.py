"""The last look: decide again, in the transaction that marks deliveries `dispatching`.

Whoever calls this takes the monotonic time before it; no provider request may start later than
`LAST_LOOK_LIFETIME` after that moment, so an opt-out that was acknowledged stops everything that
starts a second later. A process that is frozen between the provider's own check of that deadline
and its write to the network cannot be stopped by any program.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import Select, bindparam, func, insert, literal, select, update
from sqlalchemy.orm import Session

from sender.consent.eligibility import People, decisions, given_as, moments
from sender.consent.freshness import FreshnessPolicy
from sender.consent.policy import Scope
from sender.delivery.frequency import Person, caps_on
from sender.delivery.recovery import was_ended
from sender.delivery.refresh_asks import asked_already
from sender.delivery.row_writes import Mark, write_marks
from sender.delivery.scopes import scopes_of_run
from sender.store.campaigns import Run, StagedRecipient
from sender.store.contacts import ContactPoint, TestAddress
from sender.store.deliveries import Delivery, DeliveryReliance
from sender.store.id_lists import id_list, is_given
from sender.store.journal_entries import note_marked
from sender.store.suppressions import Block
from sender.vocabulary import (
    EVERY,
    EVERY_CHANNEL,
    DeliveryState,
    Reason,
    RunState,
)

LAST_LOOK_LIFETIME = timedelta(seconds=1)
"""How old a last look may be when its provider request starts (invariant 2)."""

_ANY_TIME = datetime(9999, 1, 1, tzinfo=UTC)
"""Stands for the times that are given with the statement; were one forgotten, all would refuse."""
_DELIVERIES, _ADDRESSES = "look_deliveries", "look_addresses"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A delivery whose message is rendered, checked, and ready to go.

    Attributes:
        delivery_id: the delivery.
        address_id: the ledger's id of the address it was rendered for.
        contact_id: the controller's contact, if the person is one.
        message_hash: SHA-256 of the message.
        segments: SMS parts; None for e-mail.
        values: the attribute values that the message used; personal, erasable.
    """

    delivery_id: int
    address_id: int
    contact_id: int | None
    message_hash: bytes
    segments: int | None
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Look:
    """What the last look found.

    Attributes:
        run_state: the run's state at that moment; nothing is marked unless it is `running`.
        marked: deliveries now `dispatching`, in id order.
        skipped: deliveries that the policy refuses now, with the reason.
    """

    run_state: RunState
    marked: tuple[int, ...] = ()
    skipped: Mapping[int, Reason] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision on one delivery: a refusal, or the consent events relied on by controller."""

    refusal: Reason | None
    refused_by: int | None
    relied_on: Mapping[int, int]


def look_and_mark(
    session: Session,
    *,
    run_id: int,
    dispatcher_id: int,
    version_id: int,
    prepared: Sequence[Prepared],
    at: datetime,
    controller_version_id: int | None = None,
) -> Look:
    """Decide on every prepared delivery once more, and mark those that may go.

    Deliveries that are no longer `pending` (another worker's, cancelled) are left alone. If the run
    is not running, was amended to another version or has expired, or the dispatcher was given up
    for lost, nothing is marked.
    """
    run = session.get_one(Run, run_id, populate_existing=True)
    if run.state is not RunState.RUNNING or run.version_id != version_id:
        return Look(run.state)
    if controller_version_id not in {None, run.controller_version_id}:
        return Look(run.state)  # the messages say what the controller does not say any more
    if run.expires_at is not None and run.expires_at <= at:
        return Look(run.state)
    if was_ended(session, dispatcher_id):
        return Look(run.state)
    # Before deliveries are locked: whoever writes to a person locks in the same order.
    over_the_cap = caps_on(session, run, [_person(item) for item in prepared], at)
    mine = _still_pending(session, [item.delivery_id for item in prepared])
    waiting = [item for item in prepared if item.delivery_id in mine]
    if not waiting:
        return Look(run.state)
    verdicts = _verdicts(session, run, waiting, at)
    skipped = {
        item.delivery_id: verdict.refusal
        for item in waiting
        if (verdict := verdicts[item.delivery_id]).refusal is not None
    }
    may_go = (_person(item) for item in waiting if item.delivery_id not in skipped)
    skipped |= dict.fromkeys(over_the_cap(may_go), Reason.FREQUENCY_CAP)
    may_ask = (_person(item) for item in waiting if item.delivery_id not in skipped)
    skipped |= dict.fromkeys(asked_already(session, run, may_ask, at), Reason.ALREADY_SENT)
    _skip(session, verdicts, skipped)
    going = [item for item in waiting if item.delivery_id not in skipped]
    _mark(session, _Marking(run, dispatcher_id, at), going, verdicts)
    marked = tuple(item.delivery_id for item in going)
    note_marked(session, run.id, marked, at)
    return Look(run.state, marked, skipped)


def _person(item: Prepared) -> Person:
    return Person(item.delivery_id, item.address_id, item.contact_id)


def _still_pending(session: Session, delivery_ids: Sequence[int]) -> set[int]:
    dialect = session.get_bind().dialect.name
    given = {_DELIVERIES: id_list(dialect, delivery_ids)}
    return set(session.connection().scalars(_pending(dialect), given))


@cache
def _pending(dialect: str) -> Select[int]:
    return (
        select(Delivery.id)
        .where(
            is_given(dialect, _DELIVERIES, Delivery.__table__.c.id),
            Delivery.state == DeliveryState.PENDING,
        )
        .order_by(Delivery.id)
        .with_for_update(skip_locked=True)
    )


def _verdicts(
    session: Session, run: Run, waiting: Sequence[Prepared], at: datetime
) -> dict[int, Verdict]:
    if run.is_test:
        return _test_verdicts(session, run, waiting)
    scopes = scopes_of_run(session, run, at)
    dialect = session.get_bind().dialect.name
    statement = _statement(dialect, tuple(_timeless(scope) for scope in scopes))
    parameters: dict[str, Any] = {
        **moments(scopes),
        _DELIVERIES: id_list(dialect, [item.delivery_id for item in waiting]),
        _ADDRESSES: id_list(dialect, [item.address_id for item in waiting]),
    }
    rows = session.execute(statement, parameters).mappings()
    verdicts = {row["key"]: _verdict(dict(row), scopes) for row in rows}
    # Somebody whom the statement does not return is refused: all checks fail closed.
    gone = Verdict(Reason.NO_CONSENT, run.controller_id, {})
    return {item.delivery_id: verdicts.get(item.delivery_id, gone) for item in waiting}


def _timeless(scope: Scope) -> Scope:
    """Return what makes one statement differ from another; times are its parameters."""
    frozen_at = None if scope.frozen_at is None else _ANY_TIME
    closes_at = None if scope.closes_at is None else _ANY_TIME
    return replace(
        scope,
        at=_ANY_TIME,
        freshness=FreshnessPolicy(),
        frozen_at=frozen_at,
        closes_at=closes_at,
    )


@lru_cache(64)
def _statement(dialect: str, scopes: tuple[Scope, ...]) -> Select[Any]:
    """Return the statement of a last look, made once: making it costs as much as running it."""
    query = (
        select(
            Delivery.id.label("key"),
            Delivery.address_id,
            func.coalesce(StagedRecipient.address, ContactPoint.address)
            .is_not(None)
            .label("has_address"),
            ContactPoint.contact_id,
        )
        .outerjoin(
            ContactPoint,
            (ContactPoint.controller_id == scopes[0].controller_id)
            & (ContactPoint.address_id == Delivery.address_id),
        )
        .outerjoin(StagedRecipient, StagedRecipient.id == Delivery.staged_recipient_id)
        .where(is_given(dialect, _DELIVERIES, Delivery.__table__.c.id))
    )
    return decisions(People(query.subquery("people"), given_as(dialect, _ADDRESSES)), scopes)


def _verdict(row: Mapping[str, Any], scopes: Sequence[Scope]) -> Verdict:
    relied_on = {scope.controller_id: row[f"event_{number}"] for number, scope in enumerate(scopes)}
    return Verdict(row["reason"], row["refused_by"], relied_on)


def _test_verdicts(session: Session, run: Run, waiting: Sequence[Prepared]) -> dict[int, Verdict]:
    """Let a test go to a confirmed test address without a block, and to nobody else."""
    address_ids = [item.address_id for item in waiting]
    listed = set(
        session.scalars(
            select(TestAddress.address_id).where(
                TestAddress.controller_id == run.controller_id,
                TestAddress.address_id.in_(address_ids),
                TestAddress.verified_at.is_not(None),
            )
        )
    )
    blocked = set(
        session.scalars(
            select(Block.address_id).where(
                Block.address_id.in_(address_ids),
                Block.controller_id.in_((EVERY, run.controller_id)),
                Block.channel.in_((EVERY_CHANNEL, run.channel.value)),
            )
        )
    )
    return {
        item.delivery_id: Verdict(
            _test_refusal(item.address_id, listed, blocked), run.controller_id, {}
        )
        for item in waiting
    }


def _test_refusal(address_id: int, listed: set[int], blocked: set[int]) -> Reason | None:
    if address_id in blocked:
        return Reason.SUPPRESSED
    return None if address_id in listed else Reason.NO_CONSENT


def _skip(session: Session, verdicts: Mapping[int, Verdict], skipped: Mapping[int, Reason]) -> None:
    if not skipped:
        return
    table = Delivery.__table__
    statement = (
        update(Delivery)
        .where(table.c.id == bindparam("delivery"))
        .values(
            state=literal(DeliveryState.SKIPPED, table.c.state.type),
            reason=bindparam("why", type_=table.c.reason.type),
            refused_by_id=bindparam("by"),
            consent_event_id=None,
        )
    )
    rows = [
        {"delivery": delivery_id, "why": reason, "by": verdicts[delivery_id].refused_by}
        for delivery_id, reason in skipped.items()
    ]
    session.connection().execute(statement, rows)


@dataclass(frozen=True, slots=True)
class _Marking:
    """What one last look writes on every delivery that it lets go."""

    run: Run
    dispatcher_id: int
    at: datetime


def _mark(
    session: Session,
    marking: _Marking,
    going: Sequence[Prepared],
    verdicts: Mapping[int, Verdict],
) -> None:
    if not going:
        return
    own = marking.run.controller_id
    marks = [
        Mark(
            delivery_id=item.delivery_id,
            consent_event_id=verdicts[item.delivery_id].relied_on.get(own),
            message_hash=item.message_hash,
            segments=item.segments,
            values=item.values,
        )
        for item in going
    ]
    write_marks(
        session,
        marks,
        version_id=marking.run.version_id,
        controller_version_id=marking.run.controller_version_id,
        dispatcher_id=marking.dispatcher_id,
        at=marking.at,
    )
    _rely(session, marking, going, verdicts)


def _rely(
    session: Session,
    marking: _Marking,
    going: Sequence[Prepared],
    verdicts: Mapping[int, Verdict],
) -> None:
    rows = [
        {
            "delivery_id": item.delivery_id,
            "controller_id": controller_id,
            "dispatched_at": marking.at,
            "consent_event_id": event_id,
        }
        for item in going
        for controller_id, event_id in verdicts[item.delivery_id].relied_on.items()
        if controller_id != marking.run.controller_id
    ]
    if rows:
        session.execute(insert(DeliveryReliance), rows)
