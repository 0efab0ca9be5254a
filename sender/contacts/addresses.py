"""Find or make the surrogate ids under which the ledgers know addresses.

This is the one door: an address in plain gets no id, and so no message, without having been
compared with the opt-outs that came as hashes.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.clock import SystemClock
from sender.store.address_locks import lock_addresses
from sender.store.addresses import Address
from sender.store.id_lists import among
from sender.store.keys import AddressHasher, newest_fingerprint, require_unrotated
from sender.store.portable import chunks, insert_missing
from sender.suppression.foreign import any_scheme, match, open_schemes
from sender.vocabulary import Channel

__all__ = ["ensure_address_ids", "find_address_ids", "lock_addresses"]


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
    session: Session,
    hasher: AddressHasher,
    channel: Channel,
    addresses: Iterable[str],
    *,
    now: datetime | None = None,
    for_a_no: bool = False,
) -> dict[str, int]:
    """Return the ids of all these normalised addresses, making those that are new.

    Those among them that opted out by a hash in another system's list are blocked, in this very
    transaction.

    Args:
        session: a writing session.
        hasher: with the database's key.
        channel: of the addresses.
        addresses: in their one spelling.
        now: when such a block is recorded; by default the time.
        for_a_no: nothing but a no is to be recorded, and no address kept in plain. Then hashes are
            not looked at, so that a key which is missing for them keeps no opt-out out.

    Raises:
        KeyRefusedError: the key was rotated since this process was started, or opt-outs are held as
            hashes under a key that the environment lacks.
    """
    by_hash = {hasher.hash(channel, one): one for one in set(addresses)}
    found = _find(session, channel, by_hash)
    missing = {key_hash: one for key_hash, one in by_hash.items() if one not in found}
    # In one order everywhere, so that two transactions can't wait for each other's new rows.
    for some in chunks(sorted(missing)):
        rows = [{"channel": channel, "key_hash": key_hash} for key_hash in some]
        insert_missing(session, Address, rows)
    found |= _find(session, channel, missing)
    newest, has_schemes = session.execute(_STANDING).one()
    if newest != hasher.fingerprint:
        require_unrotated(session, hasher)
    if has_schemes and not for_a_no:
        held = [(row_id, channel, one) for one, row_id in sorted(found.items())]
        match(session, hasher, open_schemes(session), held, now or SystemClock().now())
    return found


_STANDING = select(newest_fingerprint(), any_scheme())


def _find(session: Session, channel: Channel, by_hash: Mapping[bytes, str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for some in chunks(by_hash):
        query = select(Address.key_hash, Address.id).where(
            Address.channel == channel, among(session, Address.key_hash, some)
        )
        found.update({by_hash[key_hash]: row_id for key_hash, row_id in session.execute(query)})
    return found
