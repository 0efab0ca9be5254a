"""Where a person can turn to when a link leads nowhere: who sends, and how to reach them."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.store.controllers import ControllerVersion, SenderIdentity

MOST_NAMED = 20
"""More than a screenful helps nobody."""


@dataclass(frozen=True, slots=True)
class Office:
    """How to reach a controller, as its messages say."""

    name: str
    postal_address: str
    email: str
    phone: str | None


def offices(session: Session) -> list[Office]:
    """Return the controllers that send, by name, at most twenty."""
    latest = (
        select(func.max(ControllerVersion.id))
        .where(
            ControllerVersion.controller_id.in_(
                select(SenderIdentity.controller_id).where(SenderIdentity.retired_at.is_(None))
            )
        )
        .group_by(ControllerVersion.controller_id)
    )
    rows = session.scalars(
        select(ControllerVersion)
        .where(ControllerVersion.id.in_(latest))
        .order_by(ControllerVersion.name)
        .limit(MOST_NAMED)
    )
    return [office_of(row) for row in rows]


def office_of(version: ControllerVersion) -> Office:
    """Return how to reach this controller."""
    return Office(
        version.name, version.postal_address, version.contact_email, version.contact_phone
    )
