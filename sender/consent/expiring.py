"""Which consents soon can no longer be relied on (guidance ¶57)."""

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TextIO

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.consent.freshness import stale_from
from sender.consent.live import live_consents, over_by
from sender.consent.policy import Scope
from sender.consent.scopes import load_scope
from sender.controllers.lookup import find_controller, purposes
from sender.spreadsheet import harmless
from sender.store.contacts import Contact, ContactPoint
from sender.vocabulary import Channel

MOST_DAYS = 3650
"""The longest time that can be asked about."""

_TIME = re.compile(r"([1-9][0-9]{0,3})([dw]?)")


@dataclass(frozen=True, slots=True)
class Expiring:
    """A yes that soon can no longer be relied on.

    Attributes:
        contact: the person's name.
        address: in plain.
        channel: how they may be written to.
        purpose: about what, by its slug.
        last_yes_at: their last affirmative act.
        until: the first moment at which it no longer counts.
        because: `stale`, or `ended` where the person or the wording set an end.
    """

    contact: str
    address: str
    channel: Channel
    purpose: str
    last_yes_at: datetime
    until: datetime
    because: str


def read_days(text: str) -> timedelta | None:
    """Return the time that `60d`, `8w` or `60` (days) stands for; None where it is none of these.

    It is at least a day and at most `MOST_DAYS`.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return None
    days = int(match[1]) * (7 if match[2] == "w" else 1)
    return timedelta(days=days) if days <= MOST_DAYS else None


def write_csv(out: TextIO, people: Iterable[Expiring]) -> None:
    """Write the people as CSV (RFC 4180), times in UTC.

    A cell that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    writer = csv.writer(out)
    writer.writerow(["person", "address", "channel", "purpose", "last_yes_at", "until", "because"])
    for one in people:
        moments = [moment.astimezone(UTC).isoformat() for moment in (one.last_yes_at, one.until)]
        cells = [one.contact, one.address, one.channel.value, one.purpose, *moments, one.because]
        writer.writerow([harmless(cell) for cell in cells])


def expiring(
    session: Session, controller_slug: str, *, now: datetime, within: timedelta
) -> list[Expiring]:
    """Return the consents that are live now and stale or ended within the time, soonest first.

    Live is what the policy of `sender.consent.eligibility` allows now, a sender identity apart.
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
                instigates=False,
            )
            found.extend(_of_scope(session, scope, purpose.slug, now + within))
    return sorted(found, key=lambda one: (one.until, one.address))


def _of_scope(session: Session, scope: Scope, purpose: str, then: datetime) -> list[Expiring]:
    live = live_consents(scope)
    query = (
        select(Contact, ContactPoint.address, live.c.last_affirmative_at, live.c.ends_at)
        .join(ContactPoint, ContactPoint.id == live.c.point_id)
        .join(Contact, Contact.id == ContactPoint.contact_id)
        .where(over_by(live, replace(scope, at=then)))
    )
    found = []
    for contact, address, last_yes_at, ends_at in session.execute(query):
        stale_at = stale_from(last_yes_at, scope.freshness.hold_months)
        ends = (stale_at, ends_at, scope.closes_at)
        until = min(end for end in ends if end is not None)
        because = "stale" if until == stale_at else "ended"
        name = _name(contact)
        found.append(Expiring(name, address, scope.channel, purpose, last_yes_at, until, because))
    return found


def _name(contact: Contact) -> str:
    parts = (contact.title, contact.first_name, contact.last_name)
    return " ".join(part for part in parts if part)
