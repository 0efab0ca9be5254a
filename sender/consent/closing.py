"""Close a purpose: a local issue is over, and with it what people agreed to hear of it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.consent.purposes import find_purpose
from sender.consent.scopes import closes_at
from sender.controllers.lookup import find_controller, purposes
from sender.errors import RefusedError
from sender.store import audit_trail
from sender.store.consents import ConsentState
from sender.store.requests import PurposeClosure
from sender.vocabulary import ConsentKind


@dataclass(frozen=True, slots=True)
class Listed:
    """A purpose, and from when on it is over.

    Attributes:
        purpose: its slug.
        title: what people are told it is.
        closes_at: from then on no consent to it counts; None while it is open.
        agreed: addresses with a yes on record, live or not.
    """

    purpose: str
    title: str
    closes_at: datetime | None
    agreed: int


def close_purpose(
    session: Session,
    slug: str,
    purpose: str,
    *,
    at: datetime,
    reason: str,
    operator: str,
    now: datetime,
) -> datetime:
    """Let no consent to the purpose count from a moment on (guidance ¶52-53); return the moment.

    There is no reopening: another issue is another purpose, to which people agree anew. A purpose
    can be closed again only to end it sooner.

    Args:
        session: a writing session.
        slug: the controller.
        purpose: its slug.
        at: from when on; a moment in the past counts as now.
        reason: why, kept for good.
        operator: who closes it.
        now: when it is recorded.

    Raises:
        NotFoundError: no such controller or purpose.
        RefusedError: no reason is given, or it closes by then anyway.
    """
    controller = find_controller(session, slug)
    asked = find_purpose(session, controller, purpose)
    if not reason.strip():
        raise RefusedError("A closure needs its reason.", remedy='Add --reason "…".')
    standing, moment = closes_at(session, asked.id), max(at, now)
    if standing is not None and standing <= moment:
        raise RefusedError(
            f"Purpose {purpose} of {slug} is closed from {standing:%Y-%m-%d %H:%M}Z on.",
            remedy="Nothing is to be done; it cannot be reopened or put off.",
        )
    session.add(
        PurposeClosure(
            purpose_id=asked.id,
            closes_at=moment,
            reason=reason.strip(),
            recorded_at=now,
            operator=operator,
        )
    )
    audit_trail.record(
        session,
        now=now,
        operator=operator,
        action="purpose.close",
        controller_id=controller.id,
        details={"purpose": purpose, "closes_at": moment.isoformat()},
    )
    return moment


def list_purposes(session: Session, slug: str) -> list[Listed]:
    """Return the controller's purposes, by slug.

    Raises:
        NotFoundError: there is no such controller.
    """
    controller = find_controller(session, slug)
    return [
        Listed(row.slug, row.title, closes_at(session, row.id), _agreed(session, row.id))
        for row in purposes(session, controller.id)
    ]


def _agreed(session: Session, purpose_id: int) -> int:
    yes = (ConsentKind.GIVEN, ConsentKind.RECONFIRMED)
    query = select(func.count()).where(
        ConsentState.purpose_id == purpose_id, ConsentState.status.in_(yes)
    )
    return session.scalar(query) or 0
