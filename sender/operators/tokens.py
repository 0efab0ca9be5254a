"""An operator's token: 256 random bits, kept by their SHA-256 alone.

A password needs a slow, salted hash because people choose it; nobody can search 2^256 tokens, so
the quick hash is as good, and a look-up by it tells nothing about the token.
"""

import secrets
from hashlib import sha256
from typing import Final

_PREFIX: Final = "sender-"
"""So that secret scanners can know one."""
_BYTES: Final = 32


def new_token() -> str:
    """Return a token that nobody had before."""
    return _PREFIX + secrets.token_urlsafe(_BYTES)


def token_hash(token: str) -> bytes:
    """Return what is kept of a token; white space around it does not count."""
    return sha256(token.strip().encode()).digest()
