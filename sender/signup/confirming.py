"""The press that agrees, and the press that says "that was not me".

A press from the address itself is the second step: it records `given`, with the evidence of both,
and lifts what the person's own unsubscribe had set, as far as it concerns what they ticked. While
the form is closed, maybe for somebody's attack on it, a press agrees to nothing. "Not me" blocks
the address at every controller, at once and however old the link is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from sender.consent.ledger import ConsentAct, record
from sender.consent.objection import Objection, lock_people, record_objection
from sender.contacts.addresses import lock_addresses
from sender.controllers.lookup import purposes
from sender.errors import SenderError
from sender.inbound.opt_out_return import lift_blocks
from sender.signup.evidence import (
    CONFIRMED_BY,
    OPERATOR,
    requested_events,
    shared_evidence,
    source_of,
)
from sender.signup.open_form import is_form_open, is_still_offered
from sender.signup.people import take_in
from sender.signup.standing import blocks_on, is_blocked, said_no_since
from sender.signup.texts import LASTS_DAYS
from sender.signup.tokens import read_token
from sender.store.consents import Notice
from sender.store.contacts import Contact, ContactPoint
from sender.store.journal_entries import note_suppressions
from sender.store.sign_ups import SignUp
from sender.store.suppressions import SuppressionEvent
from sender.suppression.ledger import BlockScope, Suppression, suppress
from sender.suppression.tokens import TokenKeys
from sender.vocabulary import EVERY, BlockCause, ConsentKind, SuppressionAct

CONFIRM_WITHIN: Final = timedelta(days=LASTS_DAYS)
CONFIRMED: Final = "sign-up-confirmed"
"""The source of the releases, and of what stays stopped beside them."""
NOT_ME: Final = "sign-up-not-me"
"""The source of the block at every controller."""


class SignUpMissingError(SenderError):
    """The link is ours, but the sign-up that it was made for is not in this database.

    Attributes:
        sign_up_id: the number that the link names.
    """

    def __init__(self, sign_up_id: int) -> None:
        super().__init__("The sign-up of a confirmation link is not in the database.")
        self.sign_up_id = sign_up_id


class LinkState(StrEnum):
    """What a confirmation link leads to."""

    ASKING = "asking"
    CONFIRMED = "confirmed"
    DISOWNED = "disowned"
    OVER = "over"
    """Too old, or overtaken: nothing can be agreed to by it any more."""
    CLOSED = "closed"
    """The form that it came from was closed: nothing can be agreed to by it now."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a link asks.

    Attributes:
        state: what it leads to.
        sign_up: the row.
        notice: the wording that was shown, and is agreed to by the press.
        purposes: what was ticked, as people read it.
    """

    state: LinkState
    sign_up: SignUp
    notice: Notice
    purposes: tuple[str, ...]


def find_sign_up(session: Session, keys: TokenKeys, token: str) -> SignUp:
    """Return the sign-up that the token was made for.

    Raises:
        TokenRefusedError: the token is not ours.
        SignUpMissingError: it is, but the sign-up is not here.
    """
    told = read_token(keys, token)
    sign_up = session.get(SignUp, told.sign_up_id)
    if sign_up is None or sign_up.salt != told.salt:
        raise SignUpMissingError(told.sign_up_id)
    return sign_up


def read_question(session: Session, sign_up: SignUp, now: datetime) -> Question:
    """Return what the link asks now."""
    titles = {row.id: row.title for row in purposes(session, sign_up.controller_id)}
    return Question(
        state=_state(session, sign_up, now),
        sign_up=sign_up,
        notice=session.get_one(Notice, sign_up.notice_id),
        purposes=tuple(titles[one] for one in sign_up.purpose_ids),
    )


def confirm(session: Session, sign_up: SignUp, now: datetime) -> None:
    """Record that the holder of the address agreed.

    Pressed again, too late, or while the form is closed, it does nothing.

    Raises:
        RefusedError: what the person set was set again at this very moment.
    """
    locked = _lock(session, sign_up)
    if locked is None or _state(session, locked, now) is not LinkState.ASKING:
        return
    _lift(session, locked, now)
    take_in(session, locked, now)
    record(session, _given(session, locked, now), now)
    locked.confirmed_at = now
    locked.address = None
    session.flush()


def disown(session: Session, sign_up: SignUp, now: datetime) -> bool:
    """Block the address at every controller, whatever the link led to; whether that was news.

    At each controller that knows the address it is an objection, which covers the whole person
    (guidance ¶71-73).
    """
    known = _lock_everywhere(session, sign_up.address_id)
    locked = session.get_one(SignUp, sign_up.id, with_for_update=True, populate_existing=True)
    if locked.disowned_at is not None:  # the journal may have failed the first time
        note_suppressions(session, session.scalars(_disowned_by(locked)).all())
        return False
    _object(session, locked, known, now)
    locked.disowned_at = now
    locked.address = locked.due_at = None
    session.flush()
    return True


def _state(session: Session, sign_up: SignUp, now: datetime) -> LinkState:
    if sign_up.disowned_at is not None:
        return LinkState.DISOWNED
    if sign_up.confirmed_at is not None:
        is_overtaken = said_no_since(session, sign_up, sign_up.confirmed_at)
        return LinkState.OVER if is_overtaken else LinkState.CONFIRMED
    is_asking = (
        sign_up.address is not None
        and now - sign_up.requested_at <= CONFIRM_WITHIN
        and is_still_offered(session, sign_up, now)
        and not is_blocked(session, sign_up)
        and not said_no_since(session, sign_up, sign_up.requested_at)
    )
    if not is_asking:
        return LinkState.OVER
    return LinkState.ASKING if is_form_open(session, sign_up) else LinkState.CLOSED


def _lock(session: Session, sign_up: SignUp) -> SignUp | None:
    """Lock the people of this press, then the row, as an erasure does."""
    beside = select(SignUp.address_id).where(SignUp.id == sign_up.beside_id)
    others = select(SignUp.address_id).where(SignUp.beside_id == sign_up.id)
    address_ids = [sign_up.address_id, *session.scalars(beside), *session.scalars(others)]
    lock_people(session, sign_up.controller_id, address_ids)
    return session.get(SignUp, sign_up.id, with_for_update=True, populate_existing=True)


def _lift(session: Session, sign_up: SignUp, now: datetime) -> None:
    """Lift the person's own unsubscribe for what they ticked; for the rest it goes on."""
    concerned = [
        block
        for block in session.scalars(blocks_on(sign_up))
        if block.purpose_id == EVERY or block.purpose_id in sign_up.purpose_ids
    ]
    lift_blocks(session, concerned, now, source=CONFIRMED)
    if any(block.purpose_id == EVERY for block in concerned):
        suppress(session, _kept(session, sign_up, now), now)


def _kept(session: Session, sign_up: SignUp, now: datetime) -> list[Suppression]:
    others = {row.id for row in purposes(session, sign_up.controller_id)}
    return [
        Suppression(
            scope=BlockScope(
                sign_up.address_id, sign_up.controller_id, sign_up.channel.value, purpose_id
            ),
            cause=BlockCause.OPT_OUT,
            occurred_at=now,
            source=CONFIRMED,
            by_person=True,
            operator=OPERATOR,
        )
        for purpose_id in sorted(others.difference(sign_up.purpose_ids))
    ]


def _given(session: Session, sign_up: SignUp, now: datetime) -> list[ConsentAct]:
    requested = requested_events(session, sign_up)
    shared = {**shared_evidence(session, sign_up), "confirmed_at": now.isoformat()}
    return [
        ConsentAct(
            controller_id=sign_up.controller_id,
            purpose_id=purpose_id,
            address_id=sign_up.address_id,
            kind=ConsentKind.GIVEN,
            occurred_at=now,
            method=CONFIRMED_BY,
            source=source_of(session, sign_up),
            operator=OPERATOR,
            notice_id=sign_up.notice_id,
            evidence={**shared, "requested_event": requested.get(purpose_id)},
        )
        for purpose_id in sign_up.purpose_ids
    ]


def _lock_everywhere(session: Session, address_id: int) -> Sequence[int]:
    """Lock the people behind the address at all controllers, and return these.

    Contacts before addresses, each in id order, as whoever writes about one of them does it.
    """
    point = ContactPoint
    found = select(point.contact_id).where(point.address_id == address_id)
    contacts = select(Contact).where(Contact.id.in_(found)).order_by(Contact.id)
    known = session.scalars(contacts.with_for_update(key_share=True)).all()
    theirs = select(point.address_id).where(point.contact_id.in_([one.id for one in known]))
    lock_addresses(session, {address_id, *session.scalars(theirs)})
    return [one.controller_id for one in known]


def _object(session: Session, sign_up: SignUp, known: Sequence[int], now: datetime) -> None:
    everywhere = Suppression(
        scope=BlockScope(sign_up.address_id, None),
        cause=BlockCause.OBJECTION,
        occurred_at=now,
        source=NOT_ME,
        by_person=True,
        operator=OPERATOR,
    )
    suppress(session, [everywhere], now)
    for controller_id in sorted({*known, sign_up.controller_id}):
        objection = Objection(controller_id, sign_up.address_id, now, NOT_ME, OPERATOR)
        record_objection(session, objection, now)


def _disowned_by(sign_up: SignUp) -> Select[int]:
    """Return the query for all that the press set, at the person's other addresses too."""
    event, point = SuppressionEvent, ContactPoint
    people = select(point.contact_id).where(point.address_id == sign_up.address_id)
    theirs = select(point.address_id).where(point.contact_id.in_(people))
    return select(event.id).where(
        (event.address_id == sign_up.address_id) | event.address_id.in_(theirs),
        event.act == SuppressionAct.SET,
        event.source == NOT_ME,
        event.occurred_at == sign_up.disowned_at,
    )
