"""The references of erased people who had objected: kept as keyed hashes, in the same column.

By it alone a later file with a new address of theirs is known to be about them (guidance ¶72). It
is made for one controller, so that the same reference at two bodies says nothing.
"""

import re
from typing import Final

from sender.store.keys import AddressHasher

PREFIX: Final = "erased:"
_KEPT: Final = re.compile(rf"{PREFIX}([0-9a-f]{{64}})")


def kept_reference(hasher: AddressHasher, controller_id: int, reference: str) -> str:
    """Return what is kept of a reference once its person is erased; of that, the same again."""
    if is_kept(reference):
        return reference
    return PREFIX + hasher.hash_reference(controller_id, reference).hex()


def is_kept(reference: str | None) -> bool:
    """Whether this is what is kept of a reference, and none itself."""
    return reference is not None and _KEPT.fullmatch(reference) is not None


def shown(reference: str | None) -> str | None:
    """Return a reference as people are shown it: hashes say nothing to them."""
    return None if is_kept(reference) else reference


def lifted_reference(hasher: AddressHasher, kept: str, written_under: str) -> str:
    """Return what became of a kept reference that was made when this key was the newest.

    Raises:
        KeyRefusedError: the ring does not have this key in this place.
    """
    before = bytes.fromhex(kept.removeprefix(PREFIX))
    return PREFIX + hasher.lift(before, written_under).hex()
