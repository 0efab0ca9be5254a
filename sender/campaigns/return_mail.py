"""The mail that asks a person who opted out whether it was they who want messages again.

It goes to the address itself, so a reader of a forwarded message cannot bring anybody back. It is a
`reply`: fixed, not marketing, at most one a day for an address and controller and three in 30 days.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.campaigns.reply_mail import PreparedReply, hand_over, reply_email
from sender.contacts.addresses import lock_addresses
from sender.context import Context
from sender.controllers.lookup import current_version, identities
from sender.errors import ProviderError
from sender.inbound.opt_out_message import LinkedMessage, Stopped, read_standing
from sender.inbound.opt_out_tickets import RETURN_WITHIN, TicketUse, make_ticket
from sender.store.alert_book import raise_alert
from sender.store.controllers import ControllerVersion, ProviderAccount, SenderIdentity
from sender.store.deliveries import Reply
from sender.store.suppressions import Block
from sender.suppression.links import public_address, token_keys
from sender.vocabulary import EVERY, BlockCause, Channel

KIND: Final = "return-confirmation"
LIMITS: Final = ((timedelta(days=1), 1), (timedelta(days=30), 3))
"""At most so many within so long, for one address and controller."""


def send_return_mail(context: Context, message: LinkedMessage, token: str) -> None:
    """Send the confirmation, if one may be sent; the caller learns nothing of it.

    A failure of the provider raises an alert: the person is told to write if nothing arrives.

    Args:
        context: the opened installation.
        message: of the opt-out link; an e-mail whose address is still held in plain.
        token: of that link, as it came.
    """
    with context.store.write() as session:
        prepared = _prepare(session, context, message, token)
    if prepared is None:
        return
    try:
        hand_over(context, prepared)
    except ProviderError as error:
        with context.store.write() as session:
            raise_alert(
                session,
                "return_mail.not_sent",
                message.controller_slug,
                now=context.clock.now(),
                details={"problem": error.problem, "remedy": error.remedy},
            )


def _prepare(
    session: Session, context: Context, message: LinkedMessage, token: str
) -> PreparedReply | None:
    now = context.clock.now()
    lock_addresses(session, [message.address_id])
    identity = _identity(session, message)
    if message.address is None or identity is None or not _may_send(session, message, now):
        return None
    reply = Reply(
        controller_id=message.controller_id,
        address_id=message.address_id,
        kind=KIND,
        sent_at=now,
    )
    session.add(reply)
    session.flush()
    ticket = make_ticket(
        token_keys(context.settings),
        TicketUse.RETURN,
        message.delivery_id,
        message.controller_id,
        now,
    )
    link = f"{public_address(context.settings)}/u/{token}/return/{ticket}"
    version = current_version(session, message.controller_id)
    account = session.get_one(ProviderAccount, identity.provider_account_id)
    mail = reply_email(version, identity, message.address, *_words(version, link))
    return PreparedReply(account, reply.id, message.controller_slug, mail, now)


def _may_send(session: Session, message: LinkedMessage, now: datetime) -> bool:
    standing = read_standing(session, message)
    return (
        message.channel is Channel.EMAIL
        and standing.stopped is not Stopped.NOTHING
        and standing.returnable
        and not _is_undeliverable(session, message)
        and all(_sent(session, message, now - span) < most for span, most in LIMITS)
    )


def _is_undeliverable(session: Session, message: LinkedMessage) -> bool:
    query = select(Block.event_id).where(
        Block.address_id == message.address_id,
        Block.controller_id.in_((EVERY, message.controller_id)),
        Block.cause.in_((BlockCause.BOUNCE, BlockCause.INVALID)),
    )
    return session.scalar(query.limit(1)) is not None


def _sent(session: Session, message: LinkedMessage, since: datetime) -> int:
    query = (
        select(func.count())
        .select_from(Reply)
        .where(
            Reply.address_id == message.address_id,
            Reply.controller_id == message.controller_id,
            Reply.kind == KIND,
            Reply.sent_at > since,
        )
    )
    return session.scalar(query) or 0


def _identity(session: Session, message: LinkedMessage) -> SenderIdentity | None:
    """Return the identity that the message went out under, or else another that is in use."""
    in_use = [
        row for row in identities(session, message.controller_id) if row.channel is message.channel
    ]
    same = [row for row in in_use if row.id == message.identity_id]
    return next(iter([*same, *in_use]), None)


def _words(version: ControllerVersion, link: str) -> tuple[str, str]:
    subject = f"Do you want messages from {version.name} again?"
    text = (
        f"Somebody who opened a message from {version.name} to this address asked for such "
        "messages again. If it was you, open this page and press the button:\n\n"
        f"{link}\n\n"
        f"The link works for {RETURN_WITHIN.days} days. If it was not you, do nothing: "
        "everything that you stopped stays stopped."
    )
    return subject, text
