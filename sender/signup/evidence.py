"""What a consent event of a sign-up keeps as its evidence, for each of the two steps.

When, through which form, which boxes, which words; no network address. The press from the address
itself is what proves who agreed; an IP address would prove nothing more, and would be kept for
years (guidance ¶83).
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.store.consents import ConsentEvent, Notice, Purpose
from sender.store.controllers import Controller
from sender.store.sign_ups import SignUp, SignUpForm
from sender.vocabulary import ConsentKind

OPERATOR: Final = "sender"
"""Who records what people press: nobody but the program."""

ASKED_BY: Final = "sign-up-form"
"""The method of `requested`."""

CONFIRMED_BY: Final = "double-opt-in"
"""The method of `given`."""

_LONGEST_SOURCE: Final = 200


def site_of(session: Session, sign_up: SignUp, public_url: str) -> str:
    """Return the page that the form stands on: the one that it names, or our own."""
    form = session.get_one(SignUpForm, sign_up.form_id)
    slug = session.get_one(Controller, sign_up.controller_id).slug
    return form.site or f"{public_url}/s/{slug}/{form.slug}"


def source_of(session: Session, sign_up: SignUp) -> str:
    """Return where the consent comes from: the form and its version."""
    form = session.get_one(SignUpForm, sign_up.form_id)
    return f"form {form.slug}@{form.version}, sign-up {sign_up.id}"[:_LONGEST_SOURCE]


def shared_evidence(session: Session, sign_up: SignUp) -> dict[str, Any]:
    """Return what both steps rest on: form, boxes, and the words by version and hash."""
    form = session.get_one(SignUpForm, sign_up.form_id)
    notice = session.get_one(Notice, sign_up.notice_id)
    return {
        "sign_up": sign_up.id,
        "form": f"{form.slug}@{form.version}",
        "notice": f"{notice.slug}@{notice.version}",
        "wording_sha256": sha256(notice.wording.encode()).hexdigest(),
        "boxes": [f"{sign_up.channel}:{slug}" for slug in _slugs(session, sign_up.purpose_ids)],
        "requested_at": sign_up.requested_at.isoformat(),
    }


def requested_events(session: Session, sign_up: SignUp) -> dict[int, int]:
    """Return the events that recorded the request, by purpose."""
    event = ConsentEvent
    query = select(event).where(
        event.address_id == sign_up.address_id,
        event.controller_id == sign_up.controller_id,
        event.kind == ConsentKind.REQUESTED,
        event.source == source_of(session, sign_up),
    )
    return {row.purpose_id: row.id for row in session.scalars(query)}


def _slugs(session: Session, purpose_ids: Sequence[int]) -> list[str]:
    query = select(Purpose.slug).where(Purpose.id.in_(purpose_ids)).order_by(Purpose.slug)
    return list(session.scalars(query))
