"""Test addresses: a code goes to the address, and only its holder's code lets tests be sent there.

The code's message is a `reply`: fixed, not marketing, at most one for an address a day and ten for
a controller a day. It is written down before it is handed over: a crash can't send it twice.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from sender.campaigns.codes import MAX_FAILURES, hash_code, is_code, new_code
from sender.campaigns.reply_mail import PreparedReply, hand_over, reply_email, reply_sms
from sender.contacts.addresses import ensure_address_ids, find_address_ids
from sender.context import Context
from sender.controllers.lookup import current_version, find_controller, identities, unknown
from sender.errors import NotFoundError, RefusedError
from sender.rendering.message import RenderedMessage
from sender.store import audit_trail
from sender.store.contacts import TestAddress
from sender.store.controllers import ControllerVersion, ProviderAccount, SenderIdentity
from sender.store.deliveries import Reply
from sender.store.suppressions import Block
from sender.vocabulary import EVERY, EVERY_CHANNEL, Channel

KIND: Final = "test-address"
DAY: Final = timedelta(days=1)
PER_CONTROLLER_A_DAY: Final = 10


def add(
    context: Context, slug: str, channel: Channel, address: str, *, identity_name: str = ""
) -> None:
    """Send a fresh code to the address, from one of the controller's own sender identities.

    Args:
        context: the opened installation.
        slug: the controller.
        channel: of the address.
        address: normalised.
        identity_name: the sender identity; the first of the channel if empty.

    Raises:
        NotFoundError: no such controller, or it has no such identity on this channel.
        RefusedError: the address is confirmed already, opted out, or had its code for today; or
            the controller sent its ten for today.
        ProviderError: the provider did not take the message.
    """
    now = context.clock.now()
    code = new_code()
    with context.store.write() as session:
        controller = find_controller(session, slug)
        identity = _identity(session, controller.id, slug, channel, identity_name)
        address_id = ensure_address_ids(session, context.hasher, channel, [address])[address]
        _require_allowed(session, controller.id, address_id, channel, now)
        fresh = _fresh_code(context, controller.id, code, now)
        _remember(session, controller.id, address_id, address, fresh)
        reply = Reply(controller_id=controller.id, address_id=address_id, kind=KIND, sent_at=now)
        session.add(reply)
        _audit(session, context, controller.id, "test_address.add", now)
        session.flush()
        message = _message(current_version(session, controller.id), identity, address, code)
        prepared = PreparedReply(
            session.get_one(ProviderAccount, identity.provider_account_id),
            reply.id,
            slug,
            message,
            now,
        )
    hand_over(context, prepared)


def confirm(context: Context, slug: str, channel: Channel, address: str, code: str) -> None:
    """Make the address a test address if the code is the one that was sent there.

    Raises:
        NotFoundError: no code was ever sent there by this controller.
        RefusedError: the code is wrong, older than a day, or was tried wrongly five times.
    """
    now = context.clock.now()
    with context.store.write() as session:
        row = _row(session, context, slug, channel, address)
        if row.verified_at is not None:
            return
        if row.failures >= MAX_FAILURES or now - row.added_at > DAY:
            raise RefusedError(
                "This code can no longer be used.",
                remedy="Send another: sender controller test-address add",
            )
        right = is_code(row.code_hash, _code_hash(context, row.controller_id, code))
        if right:
            row.verified_at = now
            _audit(session, context, row.controller_id, "test_address.confirm", now)
        else:
            row.failures += 1
        left = MAX_FAILURES - row.failures
    if not right:  # after the commit: a wrong try must count
        raise RefusedError(
            "That is not the code that was sent there.", remedy=f"Tries left: {left}."
        )


def listed(context: Context, slug: str) -> list[dict[str, Any]]:
    """Return the controller's test addresses: address, added, confirmed."""
    with context.store.read() as session:
        controller = find_controller(session, slug)
        query = select(TestAddress).where(TestAddress.controller_id == controller.id)
        return [
            {"address": row.address, "added": row.added_at, "confirmed": row.verified_at}
            for row in session.scalars(query.order_by(TestAddress.id))
        ]


def _identity(
    session: Session, controller_id: int, slug: str, channel: Channel, name: str
) -> SenderIdentity:
    known = [row for row in identities(session, controller_id) if row.channel is channel]
    for row in known:
        if name in {"", row.name}:
            return row
    see = f"sender controller show {slug}"
    what = f"sender identity {name or f'for {channel}'} of controller {slug}"
    raise unknown(what, name, [row.name for row in known], see=see)


def _require_allowed(
    session: Session, controller_id: int, address_id: int, channel: Channel, now: datetime
) -> None:
    blocked = select(Block.event_id).where(
        Block.address_id == address_id,
        Block.controller_id.in_((EVERY, controller_id)),
        Block.channel.in_((EVERY_CHANNEL, channel.value)),
    )
    if session.scalar(blocked.limit(1)) is not None:
        raise RefusedError(
            "This address is blocked: its holder opted out, or it does not work.",
            remedy="Choose another.",
        )
    codes = (
        select(func.count()).select_from(Reply).where(Reply.kind == KIND, Reply.sent_at > now - DAY)
    )
    if session.scalar(codes.where(Reply.address_id == address_id)):
        raise RefusedError(
            "A code was sent to this address within the last day.",
            remedy="Use that one, or wait until tomorrow.",
        )
    sent = session.scalar(codes.where(Reply.controller_id == controller_id)) or 0
    if sent >= PER_CONTROLLER_A_DAY:
        raise RefusedError(
            f"This controller sent {sent} codes within the last day; more are not allowed.",
            remedy="Wait until tomorrow.",
        )


def _fresh_code(context: Context, controller_id: int, code: str, now: datetime) -> dict[str, Any]:
    return {
        "code_hash": _code_hash(context, controller_id, code),
        "failures": 0,
        "added_at": now,
        "verified_at": None,
    }


def _remember(
    session: Session, controller_id: int, address_id: int, address: str, fresh: dict[str, Any]
) -> None:
    key = (TestAddress.controller_id == controller_id) & (TestAddress.address_id == address_id)
    row = session.scalar(select(TestAddress).where(key))
    if row is None:
        columns = {"controller_id": controller_id, "address_id": address_id, "address": address}
        session.add(TestAddress(**columns, **fresh))
    elif row.verified_at is not None:
        raise RefusedError("This address is confirmed already.")
    else:
        session.execute(update(TestAddress).where(key).values(**fresh))


def _code_hash(context: Context, controller_id: int, code: str) -> bytes:
    return hash_code(context.hasher, KIND, controller_id, code)


def _row(
    session: Session, context: Context, slug: str, channel: Channel, address: str
) -> TestAddress:
    controller = find_controller(session, slug)
    known = find_address_ids(session, context.hasher, channel, [address])
    row = session.scalar(
        select(TestAddress).where(
            TestAddress.controller_id == controller.id,
            TestAddress.address_id == known.get(address, 0),
        )
    )
    if row is None:
        raise NotFoundError(
            f"Controller {slug} never sent a code to this address.",
            remedy=f"See: sender controller test-address list {slug}",
        )
    return row


def _audit(
    session: Session, context: Context, controller_id: int, action: str, now: datetime
) -> None:
    audit_trail.record(
        session, now=now, operator=context.operator, action=action, controller_id=controller_id
    )


def _message(
    version: ControllerVersion, identity: SenderIdentity, address: str, code: str
) -> RenderedMessage:
    first = f"{version.name}: your code is {code}."
    if identity.channel is Channel.SMS:
        return reply_sms(identity, address, first + " Give it to whoever asked to send you tests.")
    why = (
        f"Somebody at {version.name} asked to send test messages to you. If you agree, give them "
        "this code. If not, do nothing: no test will be sent to you."
    )
    subject = f"Your code for test messages from {version.name}"
    return reply_email(version, identity, address, subject, f"{first}\n\n{why}")
