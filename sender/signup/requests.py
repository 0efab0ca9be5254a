"""Take a sign-up in. Nothing is looked up about the address: that the answer tells nobody anything.

Whether a confirmation may be sent is decided afterwards (`confirmation.py`), so a request for an
address that is known, unknown or blocked does the same work and gets the same answer.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.contacts.addresses import ensure_address_ids
from sender.signup.entries import Entry
from sender.signup.open_form import OpenForm
from sender.signup.tokens import new_salt
from sender.store.keys import AddressHasher
from sender.store.sign_ups import SignUp

DAY: Final = timedelta(days=1)
MOST_A_DAY_IN_ALL: Final = 5_000
"""Sign-ups of all controllers within a day."""


def take(
    session: Session,
    hasher: AddressHasher,
    offered: OpenForm,
    entries: Sequence[Entry],
    now: datetime,
) -> bool:
    """Write a request down, one row an address; its confirmation is due at once.

    Returns False where the forms have had all that they take in a day.

    Args:
        session: a writing session.
        hasher: with the database's key.
        offered: the form as it was shown.
        entries: at least one.
        now: when.
    """
    if _is_full(session, offered, len(entries), now):
        return False
    first: SignUp | None = None
    for entry in entries:
        known = ensure_address_ids(session, hasher, entry.channel, [entry.address], now=now)
        row = SignUp(
            form_id=offered.form.id,
            controller_id=offered.controller.id,
            notice_id=offered.notice.id,
            channel=entry.channel,
            address_id=known[entry.address],
            address=entry.address,
            purpose_ids=[box.purpose_id for box in entry.boxes],
            beside_id=None if first is None else first.id,
            salt=new_salt(),
            requested_at=now,
            due_at=now,
        )
        session.add(row)
        session.flush()
        first = first or row
    return True


def _is_full(session: Session, offered: OpenForm, more: int, now: datetime) -> bool:
    """Several requests at the same moment may go beyond by as many as there are."""
    lately = select(func.count()).select_from(SignUp).where(SignUp.requested_at > now - DAY)
    of_controller = lately.where(SignUp.controller_id == offered.controller.id)
    return (session.scalar(lately) or 0) + more > MOST_A_DAY_IN_ALL or (
        session.scalar(of_controller) or 0
    ) + more > offered.form.most_a_day
