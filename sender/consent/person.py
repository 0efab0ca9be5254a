"""Read what the pure policy looks at for one address, to explain a decision."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.consent.eligibility import AFFIRMED
from sender.consent.policy import BlockView, ConsentView, Person
from sender.store.consents import ConsentEvent, ConsentState
from sender.store.contacts import Contact, ContactPoint
from sender.store.suppressions import Block
from sender.vocabulary import Channel


def load_person(
    session: Session,
    *,
    address_id: int,
    controller_id: int,
    channel: Channel,
    purpose_id: int,
    has_address: bool | None = None,
) -> Person:
    """Return all that `policy.decide` looks at about one address.

    Args:
        session: any open session.
        address_id: whom.
        controller_id: who wants to write.
        channel: how.
        purpose_id: for what.
        has_address: whether the plain address is at hand; None looks at the contact point.
    """
    point = session.scalar(
        select(ContactPoint).where(
            ContactPoint.controller_id == controller_id, ContactPoint.address_id == address_id
        )
    )
    contact = session.get(Contact, point.contact_id) if point else None
    known = point is not None and point.address is not None
    return Person(
        has_address=known if has_address is None else has_address,
        objected=contact is not None and contact.objected_at is not None,
        source=contact.source if contact else None,
        consent=_consent(session, controller_id, purpose_id, address_id),
        consented_on_other_channel=contact is not None
        and _agreed_on_other_channel(session, contact, channel, purpose_id),
        consented_to_other_purpose=_agreed_to_other_purpose(
            session, controller_id, purpose_id, address_id
        ),
        blocks=_blocks(session, address_id),
    )


def _consent(
    session: Session, controller_id: int, purpose_id: int, address_id: int
) -> ConsentView | None:
    state = session.get(ConsentState, (controller_id, purpose_id, address_id))
    if state is None:
        return None
    return ConsentView(
        status=state.status,
        event_id=state.event_id,
        last_affirmative_at=state.last_affirmative_at,
        ends_at=state.ends_at,
        flaw=state.flaw,
        notice_shown_from=state.notice_shown_from,
        batch_id=session.get_one(ConsentEvent, state.event_id).batch_id,
    )


def _agreed_on_other_channel(
    session: Session, contact: Contact, channel: Channel, purpose_id: int
) -> bool:
    query = (
        select(ConsentState.event_id)
        .join(ContactPoint, ContactPoint.address_id == ConsentState.address_id)
        .where(
            ContactPoint.contact_id == contact.id,
            ContactPoint.channel != channel,
            ConsentState.controller_id == contact.controller_id,
            ConsentState.purpose_id == purpose_id,
            ConsentState.status.in_(AFFIRMED),
        )
    )
    return session.scalar(query.limit(1)) is not None


def _agreed_to_other_purpose(
    session: Session, controller_id: int, purpose_id: int, address_id: int
) -> bool:
    query = select(ConsentState.event_id).where(
        ConsentState.controller_id == controller_id,
        ConsentState.address_id == address_id,
        ConsentState.purpose_id != purpose_id,
        ConsentState.status.in_(AFFIRMED),
    )
    return session.scalar(query.limit(1)) is not None


def _blocks(session: Session, address_id: int) -> tuple[BlockView, ...]:
    rows = session.scalars(select(Block).where(Block.address_id == address_id))
    return tuple(
        BlockView(row.cause, row.controller_id, row.channel, row.purpose_id) for row in rows
    )
