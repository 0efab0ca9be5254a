"""Variable envelope return paths: the address that a bounce goes to says which message bounced.

    bounces@example.org  →  bounces+34.7.<mac>@example.org     delivery 34 of run 7

The numbers alone could be guessed, and a forged bounce would block somebody; so 80 bits of
HMAC-SHA-256 under the opt-out keys go with them (truncation: RFC 2104, section 5). Mail servers may
write a local part in either case, so the MAC is in base 32 (RFC 4648, section 6), in lower case.
The `+` is subaddressing (RFC 5233): the mailbox `bounces` gets them all.
"""

import hmac
import re
from base64 import b32encode
from typing import NamedTuple

from sender.suppression.tokens import TokenKeys

LONGEST_BASE = 18
"""Of the local part before the `+`: 64 (RFC 5321, section 4.5.3.1.1) less the longest numbers."""

_MAC_BYTES = 10
_ADDRESS = re.compile(r"[^@\s]*\+([1-9]\d{0,16})\.([1-9]\d{0,9})\.([a-z2-7]{16})@[^@\s]+")


class Sent(NamedTuple):
    """A message of ours, as its envelope named it."""

    delivery_id: int
    run_id: int


def verp_address(envelope_sender: str, sent: Sent, keys: TokenKeys) -> str:
    """Return the envelope sender of one message.

    Args:
        envelope_sender: the mailbox that bounces go to, its local part at most 18 characters.
        sent: the message.
        keys: of the opt-out links; the newest signs.
    """
    local, _, domain = envelope_sender.rpartition("@")
    mac = _mac(keys, keys.signing_id, sent)
    return f"{local}+{sent.delivery_id}.{sent.run_id}.{mac}@{domain}"


def read_verp(address: str, keys: TokenKeys) -> Sent | None:
    """Return the message that an address names, if one of the keys signed it."""
    match = _ADDRESS.fullmatch(address.lower())
    if match is None:
        return None
    sent = Sent(int(match[1]), int(match[2]))
    found = [hmac.compare_digest(_mac(keys, key_id, sent), match[3]) for key_id in keys.secrets]
    return sent if any(found) else None


def _mac(keys: TokenKeys, key_id: int, sent: Sent) -> str:
    signature = TokenKeys(key_id, keys.secrets).sign("verp", b"%d.%d" % sent)
    return b32encode(signature[:_MAC_BYTES]).decode("ascii").lower()
