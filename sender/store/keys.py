"""The keys that turn addresses into ledger hashes, and the database's memory of them.

The first key hashes the address, each later one the hash of the key before it. So a new key needs
only the old hashes, not the addresses, and every key is needed for ever.
"""

import hashlib
import hmac
from datetime import datetime

from sqlalchemy import ScalarSelect, select, text
from sqlalchemy.orm import Session

from sender.errors import KeyRefusedError
from sender.store.addresses import HashKey
from sender.vocabulary import Channel

_FINGERPRINT = b"consent-sender hash key fingerprint"


class AddressHasher:
    """Nested HMAC-SHA-256 of normalised addresses under the keys of `SENDER_HASH_KEY`.

    Args:
        newest: at least 32 bytes; the settings refuse shorter ones.
        older: the keys before it, newest first.

    Attributes:
        fingerprints: one for each key, oldest first. Each commits to all keys up to its own, in
            their order; none tells anything of them.
    """

    def __init__(self, newest: bytes, *older: bytes) -> None:
        oldest_first = reversed((newest, *older))
        self._keyed = [hmac.new(key, digestmod=hashlib.sha256) for key in oldest_first]
        self.fingerprints = self._all_fingerprints()

    @property
    def fingerprint(self) -> str:
        """Of the newest key, and so of the whole ring."""
        return self.fingerprints[-1]

    def hash(self, channel: Channel, address: str) -> bytes:
        """Return the 32-byte hash of an address that is already normalised."""
        return self._nested(f"address\0{channel.value}\0{address}".encode(), 0)

    def hash_foreign(self, digest: bytes) -> bytes:
        """Return the 32-byte hash by which another system's hash of an address is kept."""
        return self._nested(b"foreign\0" + digest, 0)

    def hash_reference(self, controller_id: int, reference: str) -> bytes:
        """Return the 32-byte hash by which a controller's reference of a person is known."""
        return self._nested(f"reference\0{controller_id}\0{reference}".encode(), 0)

    def lift(self, key_hash: bytes, written_under: str) -> bytes:
        """Return what became of a hash that was made when this key was the newest.

        Args:
            key_hash: of an address, of another system's hash, or of a reference.
            written_under: the fingerprint of the key.

        Raises:
            KeyRefusedError: the ring does not have this key in this place.
        """
        if written_under not in self.fingerprints:
            raise KeyRefusedError(
                "An address was hashed under a key that SENDER_HASH_KEY lacks, or has in another "
                "place.",
                remedy="Set every key, newest first, then run: sender db rotate-key",
            )
        return self._nested(key_hash, self.fingerprints.index(written_under) + 1)

    def _nested(self, message: bytes, start: int) -> bytes:
        for keyed in self._keyed[start:]:
            message = _digest(keyed, message)
        return message

    def _all_fingerprints(self) -> tuple[str, ...]:
        found: list[str] = []
        for keyed in self._keyed:
            before = found[-1].encode() if found else b""
            found.append(_digest(keyed, _FINGERPRINT + before).hex()[:32])
        return tuple(found)


def _digest(keyed: hmac.HMAC, message: bytes) -> bytes:
    own = keyed.copy()
    own.update(message)
    return own.digest()


def newest_fingerprint() -> ScalarSelect[str]:
    """Return, as part of a statement, the fingerprint of the key that the hashes are under."""
    return select(HashKey.fingerprint).order_by(HashKey.id.desc()).limit(1).scalar_subquery()


def registered(session: Session) -> tuple[str, ...]:
    """Return the fingerprints of the keys that the database knows, oldest first."""
    return tuple(session.scalars(select(HashKey.fingerprint).order_by(HashKey.id)))


def register_key(session: Session, hasher: AddressHasher, now: datetime) -> None:
    """Make these keys the database's own if it has none yet; otherwise require them.

    Raises:
        KeyRefusedError: the database has others.
    """
    if session.get_bind().dialect.name == "postgresql":  # two first commands, each with its own key
        session.execute(text("LOCK TABLE hash_key IN SHARE ROW EXCLUSIVE MODE"))
    if session.scalar(select(HashKey.id).limit(1)) is None:
        add_keys(session, hasher.fingerprints, now)
    else:
        require_key(session, hasher)


def add_keys(session: Session, fingerprints: tuple[str, ...], now: datetime) -> None:
    """Let the database know further keys, oldest first."""
    for fingerprint in fingerprints:
        session.add(HashKey(fingerprint=fingerprint, registered_at=now))
        session.flush()  # their ids tell their order


def database_name(session: Session) -> str:
    """Return a name of this database that its backups share, and no other database has.

    It is made of its first key and when that was registered, to the microsecond.
    """
    first = session.scalars(select(HashKey).order_by(HashKey.id).limit(1)).one()
    known_by = f"{first.fingerprint} {first.registered_at.isoformat()}"
    return hashlib.sha256(known_by.encode()).hexdigest()[:32]


def require_key(session: Session, hasher: AddressHasher) -> None:
    """Refuse keys that are not this database's, all of them and in their order.

    A wrong key would find no block and no consent for anybody: it must not get as far as looking.

    Raises:
        KeyRefusedError: the database was made with another key, or is a rotation behind the keys
            or ahead of them.
    """
    known = registered(session)
    if not known:
        raise _foreign()
    _require_newest(known, hasher)


def require_unrotated(session: Session, hasher: AddressHasher) -> None:
    """Refuse hashes of a process that was started before the key was rotated.

    To be called after the look-up and in its transaction: then what was looked up was under the
    database's key. Else a process that missed a rotation would find nobody, and record an opt-out
    where it stops nothing. One that looks before any key was registered is let through.

    Raises:
        KeyRefusedError: the database's newest key is another.
    """
    newest = session.scalar(select(newest_fingerprint()))
    if newest not in {None, hasher.fingerprint}:
        _require_newest(registered(session), hasher)


def _require_newest(known: tuple[str, ...], hasher: AddressHasher) -> None:
    if known[-1] == hasher.fingerprint:
        return
    if known[-1] in hasher.fingerprints:
        raise KeyRefusedError(
            "SENDER_HASH_KEY has a newer key than this database.",
            remedy="Run: sender db rotate-key",
        )
    if hasher.fingerprint in known:
        raise KeyRefusedError(
            "The key of this database was rotated, and SENDER_HASH_KEY lacks the new one.",
            remedy="Put the new key before the others, and start this program anew.",
        )
    raise _foreign()


def _foreign() -> KeyRefusedError:
    return KeyRefusedError(
        "SENDER_HASH_KEY is not the key that this database was made with.",
        remedy="Set the right keys, newest first and none left out, or point SENDER_DATABASE_URL "
        "at the database that they belong to.",
    )
