"""The opt-outs of one address, when they took effect, and what was sent around them."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.evidence.names import Names
from sender.evidence.records import OptOut
from sender.store.suppressions import SuppressionEvent


def opt_outs_of(
    session: Session,
    names: Names,
    controller_id: int,
    address_id: int,
    sent_at: Sequence[datetime],
) -> tuple[OptOut, ...]:
    """Return every block that concerned the controller, set or lifted, in order of recording.

    Args:
        session: any open session.
        names: of controllers and purposes.
        controller_id: whose messages.
        address_id: to whom.
        sent_at: when messages of that controller were dispatched.
    """
    event = SuppressionEvent
    query = (
        select(event)
        .where(
            event.address_id == address_id,
            event.controller_id.is_(None) | (event.controller_id == controller_id),
        )
        .order_by(event.id)
    )
    return tuple(_opt_out(names, row, sent_at) for row in session.scalars(query))


def _opt_out(names: Names, row: SuppressionEvent, sent_at: Sequence[datetime]) -> OptOut:
    before = [at for at in sent_at if at <= row.recorded_at]
    after = [at for at in sent_at if at > row.recorded_at]
    return OptOut(
        event=row.id,
        act=row.act.value,
        cause=row.cause.name.lower(),
        controller=names.controller(row.controller_id),
        channel="every channel" if row.channel == "*" else row.channel,
        purpose=names.purpose(row.purpose_id),
        by_person=row.by_person,
        occurred_at=row.occurred_at,
        took_effect_at=row.recorded_at,
        source=row.source,
        operator=row.operator,
        answers_message=row.delivery_id,
        last_message_before=max(before, default=None),
        next_message_after=min(after, default=None),
        row_hash=row.row_hash,
    )
