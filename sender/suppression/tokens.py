"""Personal opt-out tokens: short, without personal data, valid as long as the delivery's row.

A token is 128 bits in 22 base62 characters: key id (8 bits), delivery id (56 bits) and two pieces
of HMAC-SHA-256 (truncation: RFC 2104, section 5): 40 bits over both, and 24 bits over both and the
salt of the delivery's run. The first piece alone tells that the token is ours, also when the row is
gone; the second, that the row is the one it was made for: after a restored backup a delivery's
number may have come again, for another person. Guessing one needs 2^63 tries at a rate-limited
page; a hit opts one person out of mail that can be asked for again.
"""

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from sender.errors import SenderError, SettingsError

TOKEN_LENGTH = 22
HIGHEST_DELIVERY_ID = 2**56 - 1
MINIMUM_SECRET_BYTES = 32
"""HMAC-SHA-256 keys shorter than the hash weaken it (RFC 2104, section 3)."""

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS = {character: value for value, character in enumerate(_ALPHABET)}
_PAIR_OF = [first + second for first in _ALPHABET for second in _ALPHABET]
_PAIRS = len(_PAIR_OF)
_DOMAIN = b"sender opt-out token, version 1\0"
_TICKET_DOMAIN = b"sender ticket, version 1\0"
_OWN_BYTES = 5
_MAC_BYTES = 8
_HIGHEST_KEY_ID = 255
_ABSENT_KEY = bytes(MINIMUM_SECRET_BYTES)

_REMEDY = (
    "SENDER_TOKEN_KEYS holds id:secret pairs, comma-separated, newest first: id 0 to 255, secret "
    "at least 64 hexadecimal digits."
)


class TokenRefusedError(SenderError):
    """The token was not made with one of our keys; the message never repeats it."""


@dataclass(frozen=True, slots=True, repr=False)
class TokenKeys:
    """A ring of keys: the first signs, all verify."""

    signing_id: int
    secrets: dict[int, bytes]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `2:hexsecret,1:hexsecret`, newest first.

        Raises:
            SettingsError: malformed, too short or an id twice; never repeats a secret.
        """
        pairs = [_parse_pair(pair) for pair in text.split(",")]
        ring = dict(pairs)
        if len(ring) != len(pairs):
            raise SettingsError("SENDER_TOKEN_KEYS has a key id twice.", remedy=_REMEDY)
        return cls(pairs[0][0], ring)

    def make(self, delivery_id: int, link_salt: bytes | None) -> str:
        """Return the delivery's token: always the same 22 letters and digits for one key.

        Args:
            delivery_id: the delivery.
            link_salt: of its run; None for a run from before there were salts.

        Raises:
            ValueError: the id is not in 0 .. 2^56 - 1.
        """
        if not 0 <= delivery_id <= HIGHEST_DELIVERY_ID:
            raise ValueError("A delivery id has 56 bits.")
        payload = bytes([self.signing_id]) + delivery_id.to_bytes(7)
        secret = self.secrets[self.signing_id]
        return _encode(payload + _own(secret, payload) + _of_row(secret, payload, link_salt))

    def read(self, token: str) -> "OptOutToken":
        """Return what the token says; the comparison takes the same time for every wrong MAC.

        Raises:
            TokenRefusedError: the token is malformed, forged or of a key that is gone.
        """
        data = _decode(token)
        payload, mac = data[:-_MAC_BYTES], data[-_MAC_BYTES:]
        secret = self.secrets.get(payload[0], _ABSENT_KEY)
        matches = hmac.compare_digest(mac[:_OWN_BYTES], _own(secret, payload))
        if not matches or payload[0] not in self.secrets:
            raise TokenRefusedError("This opt-out link was not made by this sender.")
        return OptOutToken(int.from_bytes(payload[1:]), payload, mac[_OWN_BYTES:], secret)

    def sign(self, use: str, message: bytes) -> bytes:
        """Return 16 bytes that only a holder of the newest key can make.

        Args:
            use: what the signature is for; one made for another use never verifies.
            message: what is signed.
        """
        return _ticket(self.secrets[self.signing_id], use, message)

    def signed(self, use: str, message: bytes, signature: bytes) -> bool:
        """Whether one of the keys made this signature, for this use."""
        found = [
            hmac.compare_digest(signature, _ticket(secret, use, message))
            for secret in self.secrets.values()
        ]
        return any(found)


@dataclass(frozen=True, slots=True, repr=False)
class OptOutToken:
    """A token of ours; whether it speaks for the row of its delivery, `is_for` tells."""

    delivery_id: int
    _payload: bytes
    _tail: bytes
    _secret: bytes

    def is_for(self, link_salt: bytes | None) -> bool:
        """Whether it was made for a delivery of the run with this salt."""
        return hmac.compare_digest(self._tail, _of_row(self._secret, self._payload, link_salt))


def _parse_pair(pair: str) -> tuple[int, bytes]:
    key_id, colon, secret = pair.strip().partition(":")
    try:
        number, key = int(key_id), bytes.fromhex(secret)
    except ValueError:
        raise SettingsError("SENDER_TOKEN_KEYS is malformed.", remedy=_REMEDY) from None
    if not colon or not 0 <= number <= _HIGHEST_KEY_ID or len(key) < MINIMUM_SECRET_BYTES:
        raise SettingsError("SENDER_TOKEN_KEYS has a pair that is too short.", remedy=_REMEDY)
    return number, key


def _own(secret: bytes, payload: bytes) -> bytes:
    return hmac.digest(secret, _DOMAIN + payload, sha256)[:_OWN_BYTES]


def _of_row(secret: bytes, payload: bytes, link_salt: bytes | None) -> bytes:
    whole = hmac.digest(secret, _DOMAIN + payload + (link_salt or b""), sha256)
    return whole[_OWN_BYTES:_MAC_BYTES]


def _ticket(secret: bytes, use: str, message: bytes) -> bytes:
    return hmac.digest(secret, _TICKET_DOMAIN + use.encode() + b"\0" + message, sha256)[:16]


def _encode(data: bytes) -> str:
    number = int.from_bytes(data)
    pairs = []
    for _ in range(TOKEN_LENGTH // 2):
        number, pair = divmod(number, _PAIRS)
        pairs.append(_PAIR_OF[pair])
    return "".join(reversed(pairs))


def _decode(token: str) -> bytes:
    number = 0
    for character in token if len(token) == TOKEN_LENGTH else "-":
        if character not in _DIGITS:
            raise TokenRefusedError("This opt-out link is incomplete or damaged.")
        number = number * 62 + _DIGITS[character]
    if number >= 1 << 128:
        raise TokenRefusedError("This opt-out link is incomplete or damaged.")
    return number.to_bytes(16)
