"""Whose message was it, when the message itself is not on record?"""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.store.controllers import SenderIdentity
from sender.vocabulary import Channel


def controllers_of_sender(session: Session, channel: Channel, address: str) -> list[int]:
    """Return the controllers that write, or ever wrote, under this From address or number."""
    query = select(SenderIdentity.controller_id).where(
        SenderIdentity.channel == channel, SenderIdentity.address == address
    )
    return sorted(set(session.scalars(query)))


def controllers_of_accounts(session: Session, account_ids: Iterable[int]) -> list[int]:
    """Return the controllers that send, or ever sent, through one of these accounts."""
    query = select(SenderIdentity.controller_id).where(
        SenderIdentity.provider_account_id.in_(list(account_ids))
    )
    return sorted(set(session.scalars(query)))
