"""Send what asks for the confirmation of a sign-up, at most once an act, also after a crash.

A sign-up that is due is claimed in one transaction, which writes down the reply and the `requested`
events; only then it is handed over. Whoever is killed in between leaves a claim that nobody takes
up again: the person may ask anew after thirty days, and is never written to twice. One that the
provider clearly did not take is due again. What is not due yet, or was never begun, waits in the
database, and whichever process keeps house next sends it.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from sender.campaigns.reply_mail import (
    InDoubtError,
    PreparedReply,
    TurnedDownError,
    hand_over,
)
from sender.consent.ledger import ConsentAct, record
from sender.consent.objection import lock_people
from sender.contacts.addresses import ensure_address_ids
from sender.contacts.mailbox import mailbox_of
from sender.context import Context
from sender.controllers.lookup import current_version
from sender.errors import ProviderError, SenderError
from sender.signup.evidence import (
    ASKED_BY,
    OPERATOR,
    shared_evidence,
    site_of,
    source_of,
)
from sender.signup.open_form import identity_for, is_form_open, is_still_offered
from sender.signup.standing import is_blocked, said_no_since
from sender.signup.texts import Asked, confirmation
from sender.signup.tokens import make_token
from sender.store.alert_book import keep_raised
from sender.store.controllers import Controller, ProviderAccount, SenderIdentity
from sender.store.deliveries import Reply
from sender.store.sign_ups import SignUp
from sender.suppression.journal import require_up_to_date
from sender.suppression.links import public_address, token_keys
from sender.vocabulary import Channel, ConsentKind

KIND: Final = "sign-up-confirmation"
ONE_WITHIN: Final = timedelta(days=30)
"""One confirmation for a mailbox or number, over all controllers.

Else a form could be made to fill one mailbox, whose every spelling with a plus sign is an address.
"""
TRY_AGAIN_AFTER: Final = timedelta(minutes=10)
TRY_FOR: Final = timedelta(days=1)
"""How long after the request a confirmation may still be sent."""
AT_ONCE: Final = 50
NOT_SENT: Final = "sign_up.not_sent"
"""The alert: confirmations do not go out."""


def send_due(context: Context) -> int:
    """Send the confirmations that are due, oldest first; return how many the provider took.

    After a restored backup nothing is sent before its journal was replayed.
    """
    now = context.clock.now()
    due = select(SignUp.id).where(SignUp.due_at <= now).order_by(SignUp.due_at, SignUp.id)
    with context.store.read() as session:
        waiting = session.scalars(due.limit(AT_ONCE)).all()
    if not waiting:
        return 0
    try:
        require_up_to_date(context.store, now)
    except SenderError as error:
        _tell(context, "every controller", error)
        return 0
    return sum(_send(context, sign_up_id) for sign_up_id in waiting)


def _send(context: Context, sign_up_id: int) -> bool:
    with context.store.write() as session:
        prepared = _prepare(session, context, sign_up_id)
    if prepared is None:
        return False
    try:
        hand_over(context, prepared)
    except InDoubtError as error:
        _tell(context, prepared.controller_slug, error)
    except ProviderError as error:
        _after_refusal(context, sign_up_id, for_good=isinstance(error, TurnedDownError))
        _tell(context, prepared.controller_slug, error)
    else:
        _note_sent(context, sign_up_id)
        return True
    return False


def _prepare(session: Session, context: Context, sign_up_id: int) -> PreparedReply | None:
    """Claim it and return the message; None where none may be sent, which ends it."""
    now = context.clock.now()
    seen = session.get(SignUp, sign_up_id)
    if seen is None or seen.address is None:
        return None
    mailbox_id = _mailbox_id(session, context, seen.channel, seen.address)
    sign_up = _claimed(session, seen, mailbox_id, now)
    if sign_up is None:
        return None
    identity = identity_for(session, sign_up.controller_id, sign_up.channel)
    is_asked = _had_one(session, mailbox_id, sign_up.reply_id, now)
    if identity is None or is_asked or not _may_send(session, sign_up, now):
        _give_up(session, sign_up)
        return None
    reply = _reply(session, sign_up, mailbox_id, now)
    sign_up.due_at, sign_up.reply_id = None, reply.id
    session.flush()
    return _message(session, context, sign_up, identity, now)


def _mailbox_id(session: Session, context: Context, channel: Channel, address: str) -> int:
    """Return the ledgers' number of the plainest spelling, which is not itself written to."""
    plainest = mailbox_of(address) if channel is Channel.EMAIL else address
    return ensure_address_ids(session, context.hasher, channel, [plainest], for_a_no=True)[plainest]


def _claimed(session: Session, seen: SignUp, mailbox_id: int, now: datetime) -> SignUp | None:
    """Lock the person, then the row, as an erasure does; None if somebody else was quicker."""
    lock_people(session, seen.controller_id, [seen.address_id, mailbox_id])
    return session.scalar(
        select(SignUp)
        .where(SignUp.id == seen.id, SignUp.due_at <= now, SignUp.address.is_not(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def _may_send(session: Session, sign_up: SignUp, now: datetime) -> bool:
    return (
        now - sign_up.requested_at <= TRY_FOR
        and is_form_open(session, sign_up)
        and is_still_offered(session, sign_up, now)
        and not is_blocked(session, sign_up)
        and not said_no_since(session, sign_up, sign_up.requested_at)
    )


def _had_one(session: Session, mailbox_id: int, own_id: int | None, now: datetime) -> bool:
    """Whether the mailbox got one lately, other than by an earlier try of this very reply."""
    earlier = select(Reply.id).where(
        Reply.address_id == mailbox_id,
        Reply.kind == KIND,
        Reply.sent_at > now - ONE_WITHIN,
        Reply.id.is_distinct_from(own_id),
    )
    return session.scalar(earlier.limit(1)) is not None


def _give_up(session: Session, sign_up: SignUp) -> None:
    """Let nothing of it wait: its address goes, and a reply that was never taken does not count."""
    reply_id = sign_up.reply_id
    sign_up.due_at = sign_up.address = sign_up.reply_id = None
    session.flush()
    if reply_id is not None:
        session.execute(delete(Reply).where(Reply.id == reply_id))


def _reply(session: Session, sign_up: SignUp, mailbox_id: int, now: datetime) -> Reply:
    """Return the row of the confirmation; the first try writes it, with the `requested` events.

    It counts for the mailbox; the sign-up says by which spelling it was reached.
    """
    if sign_up.reply_id is not None:
        reply = session.get_one(Reply, sign_up.reply_id)
        reply.sent_at = now
        return reply
    record(session, _requested(session, sign_up), now)
    reply = Reply(
        controller_id=sign_up.controller_id,
        address_id=mailbox_id,
        kind=KIND,
        sent_at=now,
    )
    session.add(reply)
    session.flush()
    return reply


def _requested(session: Session, sign_up: SignUp) -> list[ConsentAct]:
    evidence = shared_evidence(session, sign_up)
    return [
        ConsentAct(
            controller_id=sign_up.controller_id,
            purpose_id=purpose_id,
            address_id=sign_up.address_id,
            kind=ConsentKind.REQUESTED,
            occurred_at=sign_up.requested_at,
            method=ASKED_BY,
            source=source_of(session, sign_up),
            operator=OPERATOR,
            notice_id=sign_up.notice_id,
            evidence=evidence,
        )
        for purpose_id in sign_up.purpose_ids
    ]


def _message(
    session: Session, context: Context, sign_up: SignUp, identity: SenderIdentity, now: datetime
) -> PreparedReply:
    assert sign_up.address is not None
    assert sign_up.reply_id is not None
    public_url = public_address(context.settings)
    token = make_token(token_keys(context.settings), sign_up.id, sign_up.salt)
    asked = Asked(
        site=site_of(session, sign_up, public_url),
        at=sign_up.requested_at,
        link=f"{public_url}/c/{token}",
    )
    version = current_version(session, sign_up.controller_id)
    return PreparedReply(
        account=session.get_one(ProviderAccount, identity.provider_account_id),
        reply_id=sign_up.reply_id,
        controller_slug=session.get_one(Controller, sign_up.controller_id).slug,
        message=confirmation(version, identity, sign_up.address, asked),
        written_at=now,
    )


def _note_sent(context: Context, sign_up_id: int) -> None:
    with context.store.write() as session:
        sign_up = session.get(SignUp, sign_up_id, with_for_update=True)
        if sign_up is not None:
            sign_up.sent_at = context.clock.now()


def _after_refusal(context: Context, sign_up_id: int, *, for_good: bool) -> None:
    """Let a confirmation that the provider clearly did not take be due again, or give it up."""
    with context.store.write() as session:
        sign_up = session.get(SignUp, sign_up_id, with_for_update=True)
        if sign_up is None or sign_up.address is None:
            return
        if for_good:
            _give_up(session, sign_up)
        else:
            sign_up.due_at = context.clock.now() + TRY_AGAIN_AFTER


def _tell(context: Context, subject: str, error: SenderError) -> None:
    with context.store.write() as session:
        details = {"because": error.problem, "remedy": error.remedy}
        keep_raised(session, NOT_SENT, subject, now=context.clock.now(), details=details)
