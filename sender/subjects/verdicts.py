"""What the policy says of a person's addresses, for every purpose of the controller, at once."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy.orm import Session

from sender.consent.person import load_person
from sender.consent.policy import Decision, decide
from sender.consent.scopes import load_scope
from sender.controllers.lookup import purposes
from sender.subjects.noes import Addresses


class Asked(NamedTuple):
    """One question: may the controller write to this address for this purpose?"""

    address_id: int
    purpose_id: int


Verdicts = dict[Asked, Decision]


def verdicts_on(
    session: Session, controller_id: int, addresses: Addresses, at: datetime
) -> Verdicts:
    """Return the decisions on these addresses, as the database has them now."""
    session.flush()
    session.expire_all()  # the folds are written past the session's own copies
    found: Verdicts = {}
    for purpose in purposes(session, controller_id):
        for address_id, channel in addresses.items():
            scope = load_scope(
                session,
                controller_id=controller_id,
                channel=channel,
                purpose_id=purpose.id,
                at=at,
            )
            person = load_person(
                session,
                address_id=address_id,
                controller_id=controller_id,
                channel=channel,
                purpose_id=purpose.id,
            )
            found[Asked(address_id, purpose.id)] = decide(person, scope)
    return found
