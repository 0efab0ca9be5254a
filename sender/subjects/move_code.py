"""The code that goes to a changed address, to show that the person reads it.

It is a `reply`: fixed, not marketing, at most one for an address a day and fifty for a controller a
day.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.campaigns.reply_mail import PreparedReply, reply_email, reply_sms
from sender.controllers.lookup import current_version, identities
from sender.rendering.message import RenderedMessage
from sender.store.addresses import Address
from sender.store.controllers import Controller, ControllerVersion, ProviderAccount, SenderIdentity
from sender.store.deliveries import Reply
from sender.vocabulary import Channel

CODE_USE: Final = "address-move"
"""Of the code, and the kind of its reply."""

LASTS: Final = timedelta(days=7)
"""How long a code may be given back: it may come by letter."""

_DAY: Final = timedelta(days=1)
PER_CONTROLLER_A_DAY: Final = 50


@dataclass(frozen=True, slots=True)
class CodeTo:
    """Whose code goes where: the address by its number, and in plain."""

    controller: Controller
    address_id: int
    address: str


def why_not_now(
    session: Session, controller_id: int, address_id: int, channel: Channel, now: datetime
) -> str:
    """Return why no code can go to the address today; nothing where one can."""
    lately = (
        select(func.count())
        .select_from(Reply)
        .where(Reply.kind == CODE_USE, Reply.sent_at > now - _DAY)
    )
    if _identity(session, controller_id, channel) is None:
        return f"The controller has no sender identity for {channel} to send a code with."
    if session.scalar(lately.where(Reply.address_id == address_id)):
        return "A code was sent there within the last day: use that one, or wait until tomorrow."
    sent = session.scalar(lately.where(Reply.controller_id == controller_id)) or 0
    if sent >= PER_CONTROLLER_A_DAY:
        return f"{sent} codes were sent within the last day, and more are not: try tomorrow."
    return ""


def prepare_code(session: Session, to: CodeTo, code: str, now: datetime) -> PreparedReply:
    """Write the reply down, and return it for handing over after the commit.

    Only where `why_not_now` has nothing to say.
    """
    controller = to.controller
    identity = _identity(session, controller.id, session.get_one(Address, to.address_id).channel)
    assert identity is not None
    reply = Reply(controller_id=controller.id, address_id=to.address_id, kind=CODE_USE, sent_at=now)
    session.add(reply)
    session.flush()
    message = _message(current_version(session, controller.id), identity, to.address, code)
    account = session.get_one(ProviderAccount, identity.provider_account_id)
    return PreparedReply(account, reply.id, controller.slug, message, now)


def _identity(session: Session, controller_id: int, channel: Channel) -> SenderIdentity | None:
    in_use = (row for row in identities(session, controller_id) if row.channel is channel)
    return next(in_use, None)


def _message(
    version: ControllerVersion, identity: SenderIdentity, address: str, code: str
) -> RenderedMessage:
    first = f"{version.name}: your code is {code}."
    if identity.channel is Channel.SMS:
        return reply_sms(
            identity, address, first + " Give it to whoever you told of your new number."
        )
    text = (
        f"We were told at {version.name} that this is your address now. If it is, give this code "
        "to whoever you told. If it is not, do nothing: nothing more will be sent here for that."
    )
    subject = f"Is this your new address for {version.name}?"
    return reply_email(version, identity, address, subject, f"{first}\n\n{text}")
