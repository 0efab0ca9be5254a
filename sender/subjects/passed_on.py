"""The register of objections that were, or were not to be, passed on to another body (¶74)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from sender.consent.objection import Objection, lock_people, record_objection
from sender.contacts.addresses import find_address_ids
from sender.contacts.unaddressed import without_addresses
from sender.context import Context
from sender.controllers.lookup import current_version, find_controller
from sender.errors import RefusedError
from sender.store import audit_trail
from sender.store.controllers import Controller
from sender.store.inbound import ObjectionPassOn
from sender.store.suppressions import Block
from sender.subjects.whom import Whom, find_whom
from sender.vocabulary import BlockCause, Channel


@dataclass(frozen=True, slots=True)
class Entry:
    """A person's answer on one body.

    Attributes:
        told: the controller that they objected to.
        other: the body that they were asked about.
        passed_on: what they answered.
        answered_at: when.
        source: how, e.g. `page`, `letter`.
        address_id: the ledger's number of their address.
        holds: whether an objection of theirs is in force at the other body now.
    """

    told: str
    other: str
    passed_on: bool
    answered_at: datetime
    source: str
    address_id: int
    holds: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person said, when they were asked whether another body should hear of it too.

    Attributes:
        channel: of the address.
        address: normalised, as the controller that they objected to knows them.
        told: the slug of that controller.
        other: the slug of the other body.
        passed_on: yes or no; a no is kept as well.
        answered_at: when they answered.
        source: how they did, e.g. `letter`.
    """

    channel: Channel
    address: str
    told: str
    other: str
    passed_on: bool
    answered_at: datetime
    source: str


def list_passed_on(session: Session, slug: str) -> list[Entry]:
    """Return the answers that concern a controller, as the one told or the one to hear of it.

    Raises:
        NotFoundError: there is no such controller.
    """
    controller = find_controller(session, slug)
    row = ObjectionPassOn
    query = (
        select(row)
        .where(or_(row.from_controller_id == controller.id, row.to_controller_id == controller.id))
        .order_by(row.answered_at, row.id)
    )
    return [_entry(session, found) for found in session.scalars(query)]


def record_answer(context: Context, answer: Answer) -> None:
    """Write a person's answer down; after a yes, object at the other body for all their addresses.

    Raises:
        NotFoundError: there is no such controller.
        RefusedError: the other body is none that people take for this one, the person did not
            object here, or the answer lies in the future.
    """
    now = context.clock.now()
    with context.store.write() as session:
        told, other = find_controller(session, answer.told), find_controller(session, answer.other)
        _require_related(session, told, other)
        if answer.answered_at > now:
            raise RefusedError("An answer lies in the future.", remedy="Correct its time.")
        known = find_address_ids(session, context.hasher, answer.channel, [answer.address])
        whom = find_whom(session, told, list(known.values()), everywhere=False)
        _require_objected(session, whom)
        address_id = known[answer.address]
        source = without_addresses(answer.source)
        session.add(
            ObjectionPassOn(
                from_controller_id=told.id,
                to_controller_id=other.id,
                address_id=address_id,
                passed_on=answer.passed_on,
                answered_at=answer.answered_at,
                source=source,
            )
        )
        if answer.passed_on:
            _object_there(session, context, whom, other, answer)
        audit_trail.record(
            session,
            now=now,
            operator=context.operator,
            action="objection.pass_on",
            controller_id=told.id,
            details={
                "to": other.slug,
                "passed_on": answer.passed_on,
                "source": source,
                "address_id": address_id,
            },
        )


def _require_related(session: Session, told: Controller, other: Controller) -> None:
    """An operator of one body must not block people at just any other."""
    if other.slug not in current_version(session, told.id).relatives:
        raise RefusedError(
            f"{other.slug} is none of the relatives of {told.slug}.",
            remedy=f"Name it in the file of {told.slug}: relatives = [...]; then update it.",
        )


def _require_objected(session: Session, whom: Whom) -> None:
    if not _objects(session, whom.controller_id, whom.address_ids):
        raise RefusedError(
            f"No objection of this person stands at {whom.slug}.",
            remedy="Record it first: sender suppress add ADDRESS --reason letter",
        )


def _object_there(
    session: Session, context: Context, whom: Whom, other: Controller, answer: Answer
) -> None:
    """Object at the other body, which may know the person by another of their addresses."""
    for address_id in whom.address_ids:
        lock_people(session, other.id, [address_id])
        objection = Objection(
            controller_id=other.id,
            address_id=address_id,
            occurred_at=answer.answered_at,
            source=f"passed-on:{answer.told}",
            operator=context.operator,
        )
        record_objection(session, objection, context.clock.now())


def _objects(session: Session, controller_id: int, address_ids: Sequence[int]) -> bool:
    query = select(Block.event_id).where(
        Block.controller_id == controller_id,
        Block.address_id.in_(address_ids),
        Block.cause == BlockCause.OBJECTION,
    )
    return session.scalar(query.limit(1)) is not None


def _entry(session: Session, row: ObjectionPassOn) -> Entry:
    return Entry(
        told=session.get_one(Controller, row.from_controller_id).slug,
        other=session.get_one(Controller, row.to_controller_id).slug,
        passed_on=row.passed_on,
        answered_at=row.answered_at,
        source=row.source,
        address_id=row.address_id,
        holds=_objects(session, row.to_controller_id, [row.address_id]),
    )
