"""To which controllers was a reply written?

What the person wrote to says it: a sender identity, also one that is no longer in use. Where that
names nobody, everybody is meant who might be.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, union
from sqlalchemy.orm import Session

from sender.inbound.controllers import controllers_of_accounts
from sender.providers.events import PersonsReply
from sender.store.campaigns import Run
from sender.store.contacts import ContactPoint
from sender.store.controllers import Controller, ControllerVersion, ProviderAccount, SenderIdentity
from sender.store.deliveries import Delivery
from sender.vocabulary import Channel

_HIGHEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Where the message that a reply answers had gone: not to the address it was written from.

    It may be another address of the same person, who reads it there or writes from here; or that of
    somebody who passed the message on.
    """

    address_id: int
    controller_id: int


@dataclass(frozen=True, slots=True)
class Recipients:
    """Whom a reply was written to.

    Attributes:
        controller_ids: rising. Empty where nobody can be named, which means every controller.
        certain: whether the recipient, or the message that it answers, names them. If not, they
            are those who send through the account that it came through.
        delivery_id: the message that it answers, if that went to this very address.
        elsewhere: where it went, if to another.
    """

    controller_ids: tuple[int, ...]
    certain: bool
    delivery_id: int | None = None
    elsewhere: Elsewhere | None = None


def recipients_of(session: Session, reply: PersonsReply, address_id: int) -> Recipients:
    """Return the controllers that the reply concerns; a number that several use concerns all.

    Args:
        session: any open session.
        reply: what the person wrote.
        address_id: the person's address.
    """
    answered = _answered(session, reply)
    of_mail = reply.channel is Channel.EMAIL
    named = set(_of_mailboxes(session, reply.to) if of_mail else _of_numbers(session, reply.to))
    if answered is not None and answered.address_id == address_id:
        found = tuple(sorted({answered.controller_id, *named}))
        return Recipients(found, certain=True, delivery_id=reply.delivery_id)
    if named:
        return Recipients(tuple(sorted(named)), certain=True, elsewhere=answered)
    likely = _of_services(session, reply.to) or controllers_of_accounts(session, reply.account_ids)
    return Recipients(tuple(likely), certain=False, elsewhere=answered)


def startable(session: Session, reply: PersonsReply, controller_ids: Sequence[int]) -> list[int]:
    """Return those of these controllers who send, or sent, through the reply's own account.

    Whoever has the secret of one account can write any recipient: that may stop, and start nobody
    else's people.
    """
    theirs = controllers_of_accounts(session, reply.account_ids)
    return [one for one in controller_ids if one in theirs]


def readers_of(session: Session, address_id: int) -> Sequence[int]:
    """Return who may have been meant by words that nobody can be named for.

    That is whoever knows the address; or every controller, because somebody has to look.
    """
    knowing = union(
        select(ContactPoint.controller_id).where(ContactPoint.address_id == address_id),
        select(Run.controller_id)
        .join(Delivery, Delivery.run_id == Run.id)
        .where(Delivery.address_id == address_id),
    )
    found = sorted(session.scalars(knowing))
    return found or session.scalars(select(Controller.id).order_by(Controller.id)).all()


def _answered(session: Session, reply: PersonsReply) -> Elsewhere | None:
    """Return where the message went that is answered, if it is known.

    After a restored backup its number may be another's: it is the reply's own if the address fits.
    """
    if reply.delivery_id is None or not 0 < reply.delivery_id <= _HIGHEST_ID:
        return None
    query = (
        select(Delivery.address_id, Run.controller_id)
        .join(Delivery, Delivery.run_id == Run.id)
        .where(Delivery.id == reply.delivery_id, Run.channel == reply.channel)
    )
    found = session.execute(query).one_or_none()
    return None if found is None else Elsewhere(found.address_id, found.controller_id)


def _of_numbers(session: Session, to: Sequence[str]) -> Sequence[int]:
    query = select(SenderIdentity.controller_id).where(
        SenderIdentity.channel == Channel.SMS, SenderIdentity.address.in_(to)
    )
    return session.scalars(query).all()


def _of_mailboxes(session: Session, to: Sequence[str]) -> Sequence[int]:
    mailboxes = [one.lower() for one in to]
    identity, version = SenderIdentity, ControllerVersion
    writing = select(identity.controller_id).where(
        identity.channel == Channel.EMAIL,
        func.lower(identity.address).in_(mailboxes) | func.lower(identity.reply_to).in_(mailboxes),
    )
    named = select(version.controller_id).where(func.lower(version.contact_email).in_(mailboxes))
    return session.scalars(union(writing, named)).all()


def _of_services(session: Session, to: Sequence[str]) -> Sequence[int]:
    """A pool number that is nobody's identity: whoever sends through the messaging service."""
    accounts = session.execute(select(ProviderAccount.id, ProviderAccount.options)).all()
    through = [
        row_id
        for row_id, options in accounts
        if options.get("options", {}).get("messaging_service_sid") in to
    ]
    return controllers_of_accounts(session, through)
