"""What stands between an address and a controller's confirmation, or between a press and consent.

A confirmation goes to nobody who is blocked, unless they unsubscribed from this controller
themselves: then the request may be their own new act, and only the press from the address itself
makes it one. An objection, a complaint, a bounce, a hold, and what holds at every controller are no
such thing.
"""

from datetime import datetime

from sqlalchemy import Select, exists, select
from sqlalchemy.orm import Session

from sender.store.consents import ConsentEvent
from sender.store.contacts import Contact, ContactPoint
from sender.store.sign_ups import SignUp
from sender.store.suppressions import Block, SuppressionEvent
from sender.vocabulary import (
    EVERY,
    EVERY_CHANNEL,
    BlockCause,
    ConsentKind,
    SuppressionAct,
)

_NOES = tuple(kind for kind in ConsentKind if kind.is_negative)


def is_blocked(session: Session, sign_up: SignUp) -> bool:
    """Whether something keeps messages from the address that its own holder's press cannot lift."""
    own_opt_out = (Block.controller_id == sign_up.controller_id) & (
        Block.cause == BlockCause.OPT_OUT
    )
    found = blocks_on(sign_up).where(~own_opt_out).limit(1)
    return session.scalar(found) is not None or _has_objected(session, sign_up)


def blocks_on(sign_up: SignUp) -> Select[Block]:
    """Return the query for all blocks of the address on this channel, here or everywhere."""
    return select(Block).where(
        Block.address_id == sign_up.address_id,
        Block.controller_id.in_((EVERY, sign_up.controller_id)),
        Block.channel.in_((EVERY_CHANNEL, sign_up.channel.value)),
    )


def said_no_since(session: Session, sign_up: SignUp, moment: datetime) -> bool:
    """Whether a no to what was ticked was recorded since then, to this controller or to all."""
    event, consent = SuppressionEvent, ConsentEvent
    stopped = exists().where(
        event.address_id == sign_up.address_id,
        event.act == SuppressionAct.SET,
        event.cause <= BlockCause.OPT_OUT,
        event.controller_id.is_(None) | (event.controller_id == sign_up.controller_id),
        event.channel.in_((EVERY_CHANNEL, sign_up.channel.value)),
        event.purpose_id.is_(None) | event.purpose_id.in_(sign_up.purpose_ids),
        event.recorded_at >= moment,
    )
    refused = exists().where(
        consent.address_id == sign_up.address_id,
        consent.controller_id == sign_up.controller_id,
        consent.purpose_id.in_(sign_up.purpose_ids),
        consent.kind.in_(_NOES),
        consent.recorded_at >= moment,
    )
    return bool(session.scalar(select(stopped | refused)))


def _has_objected(session: Session, sign_up: SignUp) -> bool:
    contacts = select(ContactPoint.contact_id).where(
        ContactPoint.controller_id == sign_up.controller_id,
        ContactPoint.address_id == sign_up.address_id,
    )
    objected = select(Contact.id).where(Contact.id.in_(contacts), Contact.objected_at.is_not(None))
    return session.scalar(objected.limit(1)) is not None
