"""How other systems turn an address into a hash; pure, but for a key in the environment.

Lists of opt-outs are exchanged as hashes of addresses so that nobody learns an address that they do
not have already. A hash is recognised when an address arrives that has it.
"""

import hashlib
import hmac
import re
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from sender.errors import KeyRefusedError, UsageError
from sender.vocabulary import Channel

Digest = Callable[[str], bytes]
"""Turns one spelling of an address into its hash."""


class HashAlgorithm(StrEnum):
    """How a list was hashed. `hmac-sha256` takes a key (RFC 2104), the others take none."""

    SHA256 = "sha256"
    SHA1 = "sha1"
    MD5 = "md5"
    HMAC_SHA256 = "hmac-sha256"

    @property
    def is_keyed(self) -> bool:
        """Whether it takes a key."""
        return self is HashAlgorithm.HMAC_SHA256

    @property
    def size(self) -> int:
        """How many bytes a hash has."""
        return hashlib.new(self.removeprefix("hmac-"), usedforsecurity=False).digest_size


@dataclass(frozen=True, slots=True)
class ForeignKeyValue:
    """The key of another system's hashes; it shows in no representation.

    Attributes:
        variable: the environment variable that holds it.
        secret: its bytes.
    """

    variable: str
    secret: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """What tells it from another key, and nothing of itself."""
        return hmac.digest(self.secret, _FINGERPRINT, "sha256").hex()[:32]


_FINGERPRINT: Final = b"consent-sender foreign key fingerprint"
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_HEX, _BASE64 = "hex:", "base64:"


def read_key(variable: str, environ: Mapping[str, str]) -> ForeignKeyValue:
    """Read a key: its text in UTF-8, or its bytes after `hex:` or `base64:`.

    Raises:
        UsageError: this cannot be the name of a variable.
        KeyRefusedError: it is not set, or its bytes cannot be read.
    """
    if not _VARIABLE.fullmatch(variable):
        raise UsageError(
            "A key is given by the name of the environment variable that holds it.",
            remedy="Put the key into a variable, and say: --hash-key-env OLD_SYSTEM_KEY",
        )
    text = environ.get(variable, "").strip()
    if not text:
        raise KeyRefusedError(
            f"{variable} is not set. It holds the key of opt-outs that came as hashes; without it "
            "nobody can tell whether an address is among them.",
            remedy=f"Set {variable} in the environment of every process.",
        )
    try:
        return ForeignKeyValue(variable, _bytes_of(text))
    except ValueError:
        raise KeyRefusedError(
            f"{variable} is not what its first letters say.",
            remedy="Write the key as text, as hex:… or as base64:…",
        ) from None


def _bytes_of(text: str) -> bytes:
    if text.startswith(_HEX):
        return bytes.fromhex(text.removeprefix(_HEX))
    if text.startswith(_BASE64):
        return b64decode(text.removeprefix(_BASE64), validate=True)
    return text.encode()


def digest_by(algorithm: HashAlgorithm, key: ForeignKeyValue | None) -> Digest:
    """Return what hashes as the other system did."""
    if key is not None:
        secret = key.secret
        return lambda text: hmac.digest(secret, text.encode(), "sha256")
    name = algorithm.value
    return lambda text: hashlib.new(name, text.encode(), usedforsecurity=False).digest()


def read_digest(algorithm: HashAlgorithm, text: str) -> bytes | None:
    """Return the bytes of a hash in hexadecimal or base64; None if it is none of this length."""
    text = text.strip()
    try:
        if len(text) == 2 * algorithm.size:
            return bytes.fromhex(text)
        padded = text.rstrip("=").translate(_URL_SAFE)
        found = b64decode(padded + "=" * (-len(padded) % 4), validate=True)
    except ValueError:
        return None
    return found if len(found) == algorithm.size else None


_URL_SAFE: Final = str.maketrans("-_", "+/")


def spellings(channel: Channel, address: str) -> Iterator[str]:
    """Yield the spellings of a normalised address that other systems are known to hash.

    E-mail in lower case, or all of it in upper case, the domain also in its own script; numbers
    with `+`, with `00`, with neither, and British ones with their first zero.
    """
    if channel is Channel.SMS:
        digits = address.removeprefix("+")
        yield from (address, digits, f"00{digits}")
        if digits.startswith(_BRITISH):
            yield f"0{digits.removeprefix(_BRITISH)}"
        return
    yield from (address, address.upper())
    name, _, domain = address.rpartition("@")
    if _ENCODED in domain:
        yield f"{name}@{'.'.join(_in_its_script(label) for label in domain.split('.'))}"


_BRITISH: Final = "44"
_ENCODED: Final = "xn--"


def _in_its_script(label: str) -> str:
    """Return a label of a domain as people read it (RFC 3492)."""
    if not label.startswith(_ENCODED):
        return label
    try:
        return label.removeprefix(_ENCODED).encode().decode("punycode")
    except UnicodeError:
        return label
