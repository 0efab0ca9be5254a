"""The key that turns addresses into ledger hashes, and the database's memory of it."""

import hashlib
import hmac
from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from sender.errors import KeyRefusedError
from sender.store.addresses import HashKey
from sender.vocabulary import Channel


class AddressHasher:
    """HMAC-SHA-256 of normalised addresses under `SENDER_HASH_KEY`.

    Args:
        key: at least 32 bytes; the settings refuse shorter ones.
    """

    def __init__(self, key: bytes) -> None:
        self._keyed = hmac.new(key, digestmod=hashlib.sha256)
        self.fingerprint = self._digest(b"consent-sender hash key fingerprint").hex()[:32]

    def hash(self, channel: Channel, address: str) -> bytes:
        """Return the 32-byte hash of an address that is already normalised."""
        return self._digest(f"address\0{channel.value}\0{address}".encode())

    def _digest(self, message: bytes) -> bytes:
        keyed = self._keyed.copy()
        keyed.update(message)
        return keyed.digest()


def register_key(session: Session, hasher: AddressHasher, now: datetime) -> None:
    """Make this key the database's own if it has none yet; otherwise require it.

    Raises:
        KeyRefusedError: the database has another key.
    """
    if session.get_bind().dialect.name == "postgresql":  # two first commands, each with its own key
        session.execute(text("LOCK TABLE hash_key IN SHARE ROW EXCLUSIVE MODE"))
    if session.scalar(select(HashKey.id).limit(1)) is None:
        session.add(HashKey(fingerprint=hasher.fingerprint, registered_at=now))
    else:
        require_key(session, hasher)


def database_name(session: Session) -> str:
    """Return a name of this database that its backups share, and no other database has.

    It is made of its first key and when that was registered, to the microsecond.
    """
    first = session.scalars(select(HashKey).order_by(HashKey.id).limit(1)).one()
    known_by = f"{first.fingerprint} {first.registered_at.isoformat()}"
    return hashlib.sha256(known_by.encode()).hexdigest()[:32]


def require_key(session: Session, hasher: AddressHasher) -> None:
    """Refuse a key that this database does not know.

    A wrong key would find no block and no consent for anybody: it must not get as far as looking.

    Raises:
        KeyRefusedError: the key is not the one that the database was made with.
    """
    known = session.scalar(select(HashKey.id).where(HashKey.fingerprint == hasher.fingerprint))
    if known is None:
        raise KeyRefusedError(
            "SENDER_HASH_KEY is not the key that this database was made with.",
            remedy="Set the right key, or point SENDER_DATABASE_URL at the database it belongs to.",
        )
