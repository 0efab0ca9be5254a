"""May a fixed text answer a person's act, and which? Each one that is given is a `reply` row.

The caller holds the lock on the address, so that two acts at once don't get one answer too many.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.inbound import reply_texts
from sender.inbound.recogniser import exact_keyword
from sender.inbound.reply_acts import ReplyAct
from sender.providers.events import PersonsReply
from sender.store.controllers import ControllerVersion, ProviderAccount
from sender.store.deliveries import Reply
from sender.store.suppressions import Block
from sender.vocabulary import EVERY, EVERY_CHANNEL, Channel

DAY: Final = timedelta(days=1)
HELP_A_DAY: Final = 3
"""Answers to HELP for one address within a day."""

STOP, START, HELP = "stop-confirmation", "start-confirmation", "help"
"""The kinds, as `reply` rows carry them."""


def provider_answers(session: Session, reply: PersonsReply) -> bool:
    """Whether Twilio acts on this text by itself: it blocks, unblocks and answers.

    It does on its own keywords, unless that is switched off for the account, which the account's
    option `answers_keywords` says (docs/providers.md).
    """
    if reply.channel is not Channel.SMS:
        return False
    if not reply.opt_out_type and exact_keyword(reply.body) is None:
        return False
    query = select(ProviderAccount.options).where(ProviderAccount.id.in_(reply.account_ids))
    told = [row.get("options", {}).get("answers_keywords") for row in session.scalars(query)]
    return not told or any(one != "no" for one in told)


def to_stop(session: Session, act: ReplyAct, notification_id: int) -> str | None:
    """Return the confirmation of a STOP: at most one a day from each controller."""
    due = [one for one in act.controller_ids if not _was_given(session, act, STOP, one)]
    return _give(session, act, notification_id, STOP, due)


def to_start(
    session: Session, act: ReplyAct, notification_id: int, lifted: Iterable[int | None]
) -> str | None:
    """Return the confirmation of a START, of those alone who may write again by it.

    Args:
        session: a writing session.
        act: the START.
        notification_id: what brought it.
        lifted: the controllers whose block it lifted.
    """
    due = [
        one
        for one in act.controller_ids
        if one in lifted
        and not _is_blocked(session, act, one)
        and not _was_given(session, act, START, one)
    ]
    return _give(session, act, notification_id, START, due)


def to_help(session: Session, act: ReplyAct, notification_id: int) -> str | None:
    """Return who the controllers are: at most three times a day for one address."""
    answered = select(func.count(func.distinct(Reply.notification_id))).where(
        Reply.kind == HELP, Reply.address_id == act.address_id, Reply.sent_at > act.now - DAY
    )
    if (session.scalar(answered) or 0) >= HELP_A_DAY:
        return None
    return _give(session, act, notification_id, HELP, act.controller_ids)


def _was_given(session: Session, act: ReplyAct, kind: str, controller_id: int) -> bool:
    query = select(Reply.id).where(
        Reply.kind == kind,
        Reply.address_id == act.address_id,
        Reply.controller_id == controller_id,
        Reply.sent_at > act.now - DAY,
    )
    return session.scalar(query.limit(1)) is not None


def _is_blocked(session: Session, act: ReplyAct, controller_id: int) -> bool:
    query = select(Block.event_id).where(
        Block.address_id == act.address_id,
        Block.controller_id.in_((EVERY, controller_id)),
        Block.channel.in_((EVERY_CHANNEL, act.channel.value)),
        Block.purpose_id == EVERY,
    )
    return session.scalar(query.limit(1)) is not None


_WORDED: Final = {
    STOP: reply_texts.stop_confirmation,
    START: reply_texts.start_confirmation,
    HELP: reply_texts.identity,
}


def _give(
    session: Session, act: ReplyAct, notification_id: int, kind: str, controller_ids: Sequence[int]
) -> str | None:
    bodies = _current_versions(session, controller_ids)
    session.add_all(
        Reply(
            controller_id=body.controller_id,
            address_id=act.address_id,
            kind=kind,
            notification_id=notification_id,
            sent_at=act.now,
        )
        for body in bodies
    )
    session.flush()
    return _WORDED[kind](bodies) if bodies else None


def _current_versions(
    session: Session, controller_ids: Sequence[int]
) -> Sequence[ControllerVersion]:
    """One that lacks a version has no name to answer with; that costs nobody's opt-out."""
    query = (
        select(ControllerVersion)
        .where(ControllerVersion.controller_id.in_(controller_ids))
        .order_by(ControllerVersion.version)
    )
    latest = {row.controller_id: row for row in session.scalars(query)}
    return [latest[one] for one in controller_ids if one in latest]
