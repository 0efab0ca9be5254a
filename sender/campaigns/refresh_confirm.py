"""The answer to a refresh campaign: a person confirms, on a page, that messages are still wanted.

It renews a consent that counts, and none other: whoever opted out, objected, withdrew or went stale
meanwhile, or belongs to a controller that was frozen, is told that the link no longer works.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.consent.ledger import ConsentAct, record
from sender.consent.notices import latest_notice
from sender.consent.objection import lock_people
from sender.consent.person import load_person
from sender.consent.policy import decide
from sender.consent.scopes import load_scope
from sender.inbound.opt_out import OPERATOR
from sender.inbound.opt_out_message import LinkedMessage, may_agree_to
from sender.store.campaigns import Run
from sender.store.consents import ConsentEvent, Notice
from sender.store.deliveries import Delivery
from sender.vocabulary import ConsentKind

CONFIRM_WITHIN: Final = timedelta(days=60)
"""How long the link of a message works."""

METHOD: Final = "confirm-page"


@dataclass(frozen=True, slots=True)
class Renewal:
    """What the person would confirm.

    Attributes:
        notice_id: the wording that is shown, and recorded.
        wording: its exact words.
        is_done: whether this message's link was used already.
    """

    notice_id: int
    wording: str
    is_done: bool = False


def read_renewal(session: Session, message: LinkedMessage, now: datetime) -> Renewal | None:
    """Return what the link of this message offers now; None where it offers nothing.

    The wording is the latest version of the notice that the consent rests on, if it is shown now
    and names this controller, channel and purpose (guidance ¶25, ¶55).
    """
    if not _asks(session, message, now):
        return None
    event_id = _live_event(session, message, now)
    if event_id is None:
        return None
    event = session.get_one(ConsentEvent, event_id)
    notice = None if event.notice_id is None else session.get(Notice, event.notice_id)
    if notice is None:
        return None
    latest = latest_notice(session, notice.controller_id, notice.slug) or notice
    if not may_agree_to(session, latest, message, now):
        return None
    return Renewal(latest.id, latest.wording, is_done=_is_used(session, message))


def confirm(
    session: Session, message: LinkedMessage, notice_id: int, now: datetime
) -> Renewal | None:
    """Record that the person reconfirmed, with the wording seen; return it, or None if refused.

    Confirmed twice, it is recorded once.

    Args:
        session: a writing session.
        message: of the link.
        notice_id: the wording that the page showed; another one since then is shown first.
        now: the moment of the press.
    """
    lock_people(session, message.controller_id, [message.address_id])
    renewal = read_renewal(session, message, now)
    if renewal is None or renewal.is_done or renewal.notice_id != notice_id:
        return renewal
    record(session, [_act(message, notice_id, now)], now)
    return replace(renewal, is_done=True)


def _asks(session: Session, message: LinkedMessage, now: datetime) -> bool:
    """Whether the message asked for it, and not too long ago."""
    run = session.get_one(Run, message.run_id)
    if run.expiring_days is None or run.is_test:
        return False
    sent_at = session.get_one(Delivery, message.delivery_id).dispatched_at
    return sent_at is not None and now - sent_at <= CONFIRM_WITHIN


def _live_event(session: Session, message: LinkedMessage, now: datetime) -> int | None:
    scope = load_scope(
        session,
        controller_id=message.controller_id,
        channel=message.channel,
        purpose_id=message.purpose_id,
        at=now,
        instigates=False,
    )
    person = load_person(
        session,
        address_id=message.address_id,
        controller_id=message.controller_id,
        channel=message.channel,
        purpose_id=message.purpose_id,
    )
    return decide(person, scope).consent_event_id


def _is_used(session: Session, message: LinkedMessage) -> bool:
    used = select(ConsentEvent.id).where(
        ConsentEvent.address_id == message.address_id,
        ConsentEvent.controller_id == message.controller_id,
        ConsentEvent.purpose_id == message.purpose_id,
        ConsentEvent.kind == ConsentKind.RECONFIRMED,
        ConsentEvent.source == _source(message),
    )
    return session.scalar(used.limit(1)) is not None


def _source(message: LinkedMessage) -> str:
    return f"run {message.run_id}, message {message.delivery_id}"


def _act(message: LinkedMessage, notice_id: int, now: datetime) -> ConsentAct:
    return ConsentAct(
        controller_id=message.controller_id,
        purpose_id=message.purpose_id,
        address_id=message.address_id,
        kind=ConsentKind.RECONFIRMED,
        occurred_at=now,
        method=METHOD,
        source=_source(message),
        operator=OPERATOR,
        notice_id=notice_id,
        evidence={"delivery": message.delivery_id},
    )
