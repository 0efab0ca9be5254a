"""Erase recipients that were pulled from elsewhere once their time is up."""

from datetime import datetime

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from sender.store.campaigns import Run, StagedRecipient
from sender.vocabulary import RunState

_OVER = (RunState.FINISHED, RunState.CANCELLED)


def erase_expired(session: Session, now: datetime) -> int:
    """Empty the staged recipients whose retention time has passed; return how many.

    The rows stay, without address and attributes: deliveries refer to them. A run that is still
    open keeps its recipients until it is over.
    """
    closed = select(Run.id).where(Run.state.in_(_OVER))
    erased = session.execute(
        update(StagedRecipient)
        .where(_expired(now), StagedRecipient.run_id.in_(closed))
        .values(address=None, attributes={})
    )
    return erased.rowcount  # type: ignore[attr-defined,no-any-return]  # an UPDATE's result has it


def _expired(now: datetime) -> ColumnElement[bool]:
    return (StagedRecipient.erase_after <= now) & StagedRecipient.address.is_not(None)
