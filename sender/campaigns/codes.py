"""Codes that show who reads an address: sent there, and given back by whoever reads it."""

import hmac
import secrets
from typing import Final

from sender.store.keys import AddressHasher
from sender.vocabulary import Channel

MAX_FAILURES: Final = 5
"""Wrong tries after which the right code is none any more."""

_LENGTH: Final = 8
_LETTERS: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Without 0, 1, I and O, which people mix up: 40 bits, five tries."""


def new_code() -> str:
    """Return a fresh code of eight letters and figures."""
    return "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))


def hash_code(hasher: AddressHasher, use: str, controller_id: int, code: str) -> bytes:
    """Return a keyed hash: 40 bits alone could be tried out by whoever reads the database.

    Args:
        hasher: with the database's key.
        use: what the code is for; the code of one use is none for another.
        controller_id: who sent it.
        code: as sent, or as people write it: case and space around it don't matter.
    """
    return hasher.hash(Channel.EMAIL, f"{use} code\0{controller_id}\0{code.strip().upper()}")


def is_code(known: bytes, given: bytes) -> bool:
    """Whether both hashes are one; the time taken tells nothing."""
    return hmac.compare_digest(known, given)
