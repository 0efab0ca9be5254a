"""Find or make the surrogate ids under which the ledgers know addresses."""

from collections.abc import Iterable, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.store.addresses import Address
from sender.store.keys import AddressHasher, require_unrotated
from sender.store.portable import chunks, insert_missing
from sender.vocabulary import Channel


def find_address_ids(
    session: Session, hasher: AddressHasher, channel: Channel, addresses: Iterable[str]
) -> dict[str, int]:
    """Return the ids of those normalised addresses that the ledgers know.

    Raises:
        KeyRefusedError: the key was rotated since this process was started.
    """
    found = _find(session, channel, {hasher.hash(channel, one): one for one in set(addresses)})
    require_unrotated(session, hasher)
    return found


def ensure_address_ids(
    session: Session, hasher: AddressHasher, channel: Channel, addresses: Iterable[str]
) -> dict[str, int]:
    """Return the ids of all these normalised addresses, making those that are new.

    Raises:
        KeyRefusedError: the key was rotated since this process was started.
    """
    by_hash = {hasher.hash(channel, one): one for one in set(addresses)}
    found = _find(session, channel, by_hash)
    missing = {key_hash: one for key_hash, one in by_hash.items() if one not in found}
    # In one order everywhere, so that two transactions can't wait for each other's new rows.
    for some in chunks(sorted(missing)):
        rows = [{"channel": channel, "key_hash": key_hash} for key_hash in some]
        insert_missing(session, Address, rows)
    found |= _find(session, channel, missing)
    require_unrotated(session, hasher)
    return found


def _find(session: Session, channel: Channel, by_hash: Mapping[bytes, str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for some in chunks(by_hash):
        query = select(Address.key_hash, Address.id).where(
            Address.channel == channel, Address.key_hash.in_(some)
        )
        found.update({by_hash[key_hash]: row_id for key_hash, row_id in session.execute(query)})
    return found


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
            .where(Address.id.in_(some))
            .order_by(Address.id)
            .with_for_update(key_share=True)
        )
        session.execute(query).all()
