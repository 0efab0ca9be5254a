"""Which fields have a value for which people: every shape that a template must work for."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.delivery.audience import Audience, ContactAudience, StagedAudience
from sender.delivery.recipients import fields_of
from sender.store.campaigns import StagedRecipient
from sender.store.contacts import Contact

_AT_ONCE = 2_000


def audience_shapes(session: Session, audience: Audience) -> set[frozenset[str]]:
    """Return each set of fields that somebody in the audience has a value for.

    Reads the whole audience as a stream; memory grows with the number of shapes only.
    """
    if isinstance(audience, StagedAudience):
        return _staged_shapes(session, audience)
    assert isinstance(audience, ContactAudience)
    return _contact_shapes(session, audience)


def _contact_shapes(session: Session, audience: ContactAudience) -> set[frozenset[str]]:
    people = audience.people(0, audience.last(session)).rows
    query = (
        select(Contact)
        .join(people, people.c.contact_id == Contact.id)
        .where(Contact.objected_at.is_(None), Contact.erased_at.is_(None))
        .execution_options(yield_per=_AT_ONCE)
    )
    shapes: set[frozenset[str]] = set()
    for contact in session.scalars(query):
        shapes.add(frozenset(fields_of(contact)))
        session.expunge(contact)
    return shapes


def _staged_shapes(session: Session, audience: StagedAudience) -> set[frozenset[str]]:
    query = (
        select(StagedRecipient.attributes)
        .where(StagedRecipient.run_id == audience.run_id)
        .execution_options(yield_per=_AT_ONCE)
    )
    return {
        frozenset(name for name, value in attributes.items() if value is not None)
        for attributes in session.scalars(query)
    }
