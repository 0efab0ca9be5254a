"""Read what is on record about one address at one controller."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.contacts.addresses import find_address_ids
from sender.controllers.lookup import find_controller, purposes
from sender.store.consents import ConsentEvent, Notice
from sender.store.contacts import Contact, ContactPoint
from sender.store.keys import AddressHasher
from sender.store.suppressions import Block, SuppressionEvent
from sender.vocabulary import EVERY, BlockCause, Channel, ConsentFlaw


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom and what an act is about.

    Attributes:
        controller: its slug.
        channel: of the address.
        address: normalised.
    """

    controller: str
    channel: Channel
    address: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a person's history at one controller."""

    occurred_at: datetime
    recorded_at: datetime
    what: str
    about: str
    method: str
    source: str
    notice: str
    operator: str


@dataclass(frozen=True, slots=True)
class BlockInForce:
    """A block that keeps messages back now; `everywhere` if it covers all controllers."""

    cause: BlockCause
    channel: str
    purpose: str
    set_at: datetime
    everywhere: bool


@dataclass(frozen=True, slots=True)
class History:
    """All that one controller has on record about one address.

    Attributes:
        objected_at: when the person objected, if they did.
        entries: every consent and suppression event, in the order of recording.
        blocks: those in force now.
    """

    objected_at: datetime | None
    entries: tuple[Entry, ...]
    blocks: tuple[BlockInForce, ...]


def history_of(session: Session, hasher: AddressHasher, subject: Subject) -> History:
    """Return what is on record about the address at this controller; nothing if nothing is.

    Raises:
        NotFoundError: no such controller.
    """
    controller = find_controller(session, subject.controller)
    known = find_address_ids(session, hasher, subject.channel, [subject.address])
    address_id = known.get(subject.address)
    if address_id is None:
        return History(None, (), ())
    slugs = {row.id: row.slug for row in purposes(session, controller.id)}
    entries = [
        *_consent_entries(session, controller.id, address_id, slugs),
        *_suppression_entries(session, controller.id, address_id, slugs),
    ]
    entries.sort(key=lambda entry: entry.recorded_at)
    blocks = tuple(
        BlockInForce(
            row.cause,
            row.channel,
            slugs.get(row.purpose_id, "all"),
            row.set_at,
            row.controller_id == EVERY,
        )
        for row in blocks_on(session, controller.id, address_id)
    )
    return History(_objected_at(session, controller.id, address_id), tuple(entries), blocks)


def blocks_on(session: Session, controller_id: int, address_id: int) -> Sequence[Block]:
    """Return the blocks in force on an address that concern this controller."""
    query = select(Block).where(
        Block.address_id == address_id, Block.controller_id.in_((EVERY, controller_id))
    )
    return session.scalars(query.order_by(Block.cause)).all()


def _objected_at(session: Session, controller_id: int, address_id: int) -> datetime | None:
    query = (
        select(Contact.objected_at)
        .join(ContactPoint, ContactPoint.contact_id == Contact.id)
        .where(ContactPoint.controller_id == controller_id, ContactPoint.address_id == address_id)
    )
    return session.scalar(query)


def _consent_entries(
    session: Session, controller_id: int, address_id: int, slugs: dict[int, str]
) -> list[Entry]:
    query = (
        select(ConsentEvent, Notice.slug, Notice.version)
        .outerjoin(Notice, Notice.id == ConsentEvent.notice_id)
        .where(ConsentEvent.controller_id == controller_id, ConsentEvent.address_id == address_id)
        .order_by(ConsentEvent.id)
    )
    return [
        Entry(
            occurred_at=event.occurred_at,
            recorded_at=event.recorded_at,
            what=event.kind.value + ("" if event.flaw is ConsentFlaw.NONE else f" ({event.flaw})"),
            about=slugs[event.purpose_id],
            method=event.method,
            source=event.source,
            notice="" if event.notice_id is None else f"{slug}@{version}",
            operator=event.operator,
        )
        for event, slug, version in session.execute(query)
    ]


def _suppression_entries(
    session: Session, controller_id: int, address_id: int, slugs: dict[int, str]
) -> list[Entry]:
    event = SuppressionEvent
    query = (
        select(event)
        .where(
            event.address_id == address_id,
            event.controller_id.is_(None) | (event.controller_id == controller_id),
        )
        .order_by(event.id)
    )
    return [
        Entry(
            occurred_at=row.occurred_at,
            recorded_at=row.recorded_at,
            what=f"{row.cause.name.lower()} {row.act.value}",
            about=f"channel {row.channel}, {slugs.get(row.purpose_id or EVERY, 'all purposes')}",
            method="",
            source=row.source,
            notice="",
            operator=row.operator,
        )
        for row in session.scalars(query)
    ]
