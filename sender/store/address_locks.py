"""Make writers about the same people wait for each other."""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.store.addresses import Address
from sender.store.id_lists import among
from sender.store.portable import chunks


def lock_addresses(session: Session, address_ids: Iterable[int]) -> None:
    """Make other writers about these addresses wait until this transaction ends.

    A fold reads events and writes the state they amount to; without the lock, two folds of one
    address could each miss the other's event, and a yes could overwrite a no. Locks are taken in id
    order, so that two writers can't wait for each other. SQLite has one writer anyhow.
    """
    if session.get_bind().dialect.name == "sqlite":
        return
    for some in chunks(sorted(set(address_ids))):
        query = (
            select(Address.id)
            .where(among(session, Address.id, some))
            .order_by(Address.id)
            .with_for_update(key_share=True)
        )
        session.execute(query).all()
