"""Opt-outs that came as hashes, while not all addresses that are held were compared with them.

An import of hashes ends with that comparison; one that is under way, or died, has not got there.
Until it has, whoever is about to be written to is compared at the last look, which is then taken
again. Afterwards there is nothing left to find: an address that arrives is compared as it arrives.
"""

from collections.abc import Iterable
from datetime import datetime

from sender.delivery.recipients import Addressee
from sender.store.engine import Store
from sender.store.keys import AddressHasher, require_unrotated
from sender.suppression.foreign import match, open_schemes
from sender.vocabulary import Channel


def block_listed(
    store: Store,
    hasher: AddressHasher,
    channel: Channel,
    people: Iterable[Addressee],
    now: datetime,
) -> None:
    """Block those of these people who are on a list of hashes that waits for its comparison.

    In a transaction of its own, before the one that marks: a block locks its address, and a look
    under a cap takes the locks of all its people in one order.

    Raises:
        KeyRefusedError: the environment lacks the key of such a list, so nobody can tell who is on
            it; or our own key was rotated since this process was started.
    """
    held = [(one.address_id, channel, one.address) for one in people if one.address is not None]
    with store.write() as session:
        match(session, hasher, open_schemes(session), sorted(held), now)
        require_unrotated(session, hasher)
