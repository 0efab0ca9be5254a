"""Which consents soon can no longer be relied on (guidance ¶57)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from sender.consent.freshness import months_before
from sender.consent.policy import Scope
from sender.consent.scopes import load_scope
from sender.controllers.lookup import find_controller, purposes
from sender.store.consents import ConsentState
from sender.store.contacts import Contact, ContactPoint
from sender.store.suppressions import Block
from sender.vocabulary import EVERY, Channel, ConsentFlaw, ConsentKind

AFFIRMATIVE = (ConsentKind.GIVEN, ConsentKind.RECONFIRMED)


@dataclass(frozen=True, slots=True)
class Expiring:
    """A yes that soon can no longer be relied on."""

    contact: str
    address: str
    channel: Channel
    purpose: str
    last_yes_at: datetime


def expiring(
    session: Session, controller_slug: str, *, now: datetime, within: timedelta
) -> list[Expiring]:
    """Return the consents that are live now and stale (or ended) within the time, oldest first.

    Asking these people again is itself marketing: it must be done before, not after.

    Raises:
        NotFoundError: no such controller.
    """
    controller = find_controller(session, controller_slug)
    found: list[Expiring] = []
    for purpose in purposes(session, controller.id):
        for channel in Channel:
            scope = load_scope(
                session,
                controller_id=controller.id,
                channel=channel,
                purpose_id=purpose.id,
                at=now,
            )
            query = _expiring_query(scope, now + within)
            found.extend(
                Expiring(_name(contact), point.address or "", channel, purpose.slug, state_at)
                for contact, point, state_at in session.execute(query)
                if state_at is not None
            )
    return sorted(found, key=lambda one: one.last_yes_at)


def _expiring_query(scope: Scope, then: datetime) -> Select[Contact, ContactPoint, datetime | None]:
    state = ConsentState
    blocked = select(Block.event_id).where(
        Block.address_id == state.address_id,
        Block.controller_id.in_((EVERY, scope.controller_id)),
    )
    return (
        select(Contact, ContactPoint, state.last_affirmative_at)
        .join(ContactPoint, ContactPoint.contact_id == Contact.id)
        .join(state, state.address_id == ContactPoint.address_id)
        .where(
            ContactPoint.controller_id == scope.controller_id,
            ContactPoint.channel == scope.channel,
            Contact.objected_at.is_(None),
            state.controller_id == scope.controller_id,
            state.purpose_id == scope.purpose_id,
            state.status.in_(AFFIRMATIVE),
            state.flaw == ConsentFlaw.NONE,
            state.last_affirmative_at > scope.fresh_after,
            state.ends_at.is_(None) | (state.ends_at > scope.at),
            (state.last_affirmative_at <= months_before(then, scope.freshness.hold_months))
            | (state.ends_at <= then),
            ~blocked.exists(),
        )
    )


def _name(contact: Contact) -> str:
    parts = (contact.title, contact.first_name, contact.last_name)
    return " ".join(part for part in parts if part)
