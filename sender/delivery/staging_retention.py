"""Erase recipients that were pulled from elsewhere once their time is up."""

from datetime import datetime

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session, aliased

from sender.contacts.held import is_held
from sender.store.campaigns import Run, StagedRecipient
from sender.vocabulary import RunState

_OVER = (RunState.FINISHED, RunState.CANCELLED)


def erase_expired(session: Session, now: datetime) -> int:
    """Empty the staged recipients whose retention time has passed; return how many.

    The rows stay, without address and attributes: deliveries refer to them. A run that is still
    open keeps its recipients until it is over; an open request, whoever it is about.
    """
    erased = session.execute(
        update(StagedRecipient).where(is_expired(now)).values(address=None, attributes={})
    )
    return erased.rowcount  # type: ignore[attr-defined,no-any-return]  # an UPDATE's result has it


def is_expired(now: datetime) -> ColumnElement[bool]:
    """Whether a recipient is to be emptied: the time is up, the run over, and nobody asks."""
    staged, run = StagedRecipient, aliased(Run)
    closed = select(Run.id).where(Run.state.in_(_OVER))
    whose = select(run.controller_id).where(run.id == staged.run_id).scalar_subquery()
    past = (staged.erase_after <= now) & staged.address.is_not(None)
    return past & staged.run_id.in_(closed) & ~is_held(whose, staged.address_id)
