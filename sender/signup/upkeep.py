"""What somebody has to do again and again: send what is due, erase what was not confirmed."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, delete, select, update
from sqlalchemy.orm import Session

from sender.context import Context
from sender.signup.confirmation import send_due
from sender.signup.confirming import CONFIRM_WITHIN
from sender.store.sign_ups import SignUp

AT_ONCE = 1_000
"""Rows a transaction: the write lock of SQLite stays short."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What was done: confirmations that a provider took, and requests that were erased."""

    sent: int
    erased: int


def keep_sign_ups(context: Context) -> Kept:
    """Erase what is past its time, then send what is due. Safe at several places at once."""
    erased = 0
    while done := _erase_some(context):
        erased += done
    return Kept(sent=send_due(context), erased=erased)


def _erase_some(context: Context) -> int:
    now = context.clock.now()
    with context.store.read() as session:
        if session.scalar(_past(now).limit(1)) is None:
            return 0
    with context.store.write() as session:
        return erase_unconfirmed(session, now)


def erase_unconfirmed(session: Session, now: datetime) -> int:
    """Erase addresses that nobody confirmed within seven days; return of how many rows.

    A row whose link was sent stays without its address, so that the link can say that it is over
    and can still be used to say no.
    """
    some = session.scalars(_past(now).limit(AT_ONCE)).all()
    session.execute(update(SignUp).where(SignUp.id.in_(some)).values(address=None, due_at=None))
    session.execute(update(SignUp).where(SignUp.beside_id.in_(some)).values(beside_id=None))
    session.execute(delete(SignUp).where(SignUp.id.in_(some), SignUp.reply_id.is_(None)))
    return len(some)


def _past(now: datetime) -> Select[int]:
    return select(SignUp.id).where(
        SignUp.requested_at <= now - CONFIRM_WITHIN,
        SignUp.address.is_not(None) | SignUp.reply_id.is_(None),
    )
