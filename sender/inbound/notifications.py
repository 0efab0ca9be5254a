"""Keep what a provider told us, once, however often and by however many ways it is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from sender.store.inbound import InboundNotification
from sender.store.portable import insert_for
from sender.vocabulary import Arrival, ProviderName

_LONGEST_NAME = 200
_LONGEST_TYPE = 64


@dataclass(frozen=True, slots=True)
class Arrived:
    """How a notification came.

    Attributes:
        account_id: the provider account that it concerns; None where that is not known.
        by: through a webhook, a mailbox, or because we asked.
        at: when.
        keep_for: how long what came is kept as it came, without addresses.
    """

    account_id: int | None
    by: Arrival
    at: datetime
    keep_for: timedelta


@dataclass(frozen=True, slots=True)
class Kept:
    """A notification in the database; `again` if it was there before, in another transaction."""

    notification_id: int
    again: bool
    suppression_event_ids: tuple[int, ...] = ()


def keep(
    session: Session,
    provider: ProviderName,
    name: str,
    *,
    raw_type: str,
    payload: Mapping[str, Any],
    arrived: Arrived,
) -> Kept:
    """Keep it unless it is kept already.

    Of two that arrive at the same time under one name, the second waits for the first to commit, or
    takes its place if that fails.

    Args:
        session: a writing session.
        provider: who told it.
        name: the same whenever it is told again.
        raw_type: the provider's word for it.
        payload: what came, without addresses.
        arrived: how.
    """
    statement = (
        insert_for(session, InboundNotification)
        .values(
            provider=provider,
            name=name[:_LONGEST_NAME],
            account_id=arrived.account_id,
            arrived_by=arrived.by,
            raw_type=raw_type[:_LONGEST_TYPE],
            received_at=arrived.at,
            payload=dict(payload),
            erase_after=arrived.at + arrived.keep_for,
        )
        .on_conflict_do_nothing(index_elements=["provider", "name"])
        .returning(InboundNotification.id)
    )
    new_id = session.scalar(statement)
    if new_id is not None:
        return Kept(new_id, again=False)
    query = select(InboundNotification).where(
        InboundNotification.provider == provider, InboundNotification.name == name[:_LONGEST_NAME]
    )
    row = session.scalars(query).one()
    return Kept(row.id, again=True, suppression_event_ids=tuple(row.suppression_event_ids or ()))


def note_suppressed(session: Session, kept: Kept, event_ids: Sequence[int]) -> None:
    """Write down which suppression events the notification caused."""
    if event_ids:
        session.execute(
            update(InboundNotification)
            .where(InboundNotification.id == kept.notification_id)
            .values(suppression_event_ids=list(event_ids))
        )
