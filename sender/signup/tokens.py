"""Tokens of confirmation links: a sign-up's number and salt, signed.

40 letters and digits of base32: number (40 bits), salt (32 bits), and 128 bits of HMAC-SHA-256 for
this use alone, under the ring of keys that opt-out links are signed with. A token of another route
has another length and another signature, so none is worth anything on the other.
"""

import base64
import binascii
import secrets
from dataclasses import dataclass
from typing import Final

from sender.suppression.tokens import TokenKeys, TokenRefusedError

TOKEN_LENGTH: Final = 40
SALT_BYTES: Final = 4
_NUMBER_BYTES: Final = 5
_TOLD_BYTES: Final = _NUMBER_BYTES + SALT_BYTES
_USE: Final = "sign-up"


@dataclass(frozen=True, slots=True)
class SignUpToken:
    """What a token of ours says; whether the row is the one it was made for, the salt tells."""

    sign_up_id: int
    salt: bytes


def new_salt() -> bytes:
    """Return a fresh salt for one sign-up."""
    return secrets.token_bytes(SALT_BYTES)


def make_token(keys: TokenKeys, sign_up_id: int, salt: bytes) -> str:
    """Return the token of a sign-up, in lower case."""
    told = sign_up_id.to_bytes(_NUMBER_BYTES) + salt
    return base64.b32encode(told + keys.sign(_USE, told)).decode().lower()


def read_token(keys: TokenKeys, token: str) -> SignUpToken:
    """Return what a token says.

    Raises:
        TokenRefusedError: it is malformed, forged or of a key that is gone.
    """
    try:
        data = base64.b32decode(token, casefold=True) if len(token) == TOKEN_LENGTH else b""
    except (binascii.Error, ValueError):
        data = b""
    told = data[:_TOLD_BYTES]
    if not data or not keys.signed(_USE, told, data[_TOLD_BYTES:]):
        raise TokenRefusedError("This confirmation link was not made by this sender.")
    return SignUpToken(int.from_bytes(told[:_NUMBER_BYTES]), told[_NUMBER_BYTES:])
