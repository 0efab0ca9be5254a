"""Import a list of opt-outs that has hashes of addresses instead of addresses."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.clock import Clock
from sender.contacts.addresses import lock_addresses
from sender.errors import UsageError
from sender.imports.address_list import AddressColumn, ListLayout, cell, list_layout
from sender.imports.context import ImportContext
from sender.imports.counts import Counts
from sender.imports.csv_file import CsvFile, Record
from sender.imports.ledgers import Ledgers
from sender.imports.list_row import ListRow, row_of
from sender.imports.problem import Problem
from sender.imports.rehearsal import Transactions
from sender.imports.rejects import RejectsFile
from sender.store.addresses import Address
from sender.store.foreign_hashes import ForeignHash
from sender.store.id_lists import among
from sender.store.keys import AddressHasher, require_unrotated
from sender.store.portable import chunks, insert_missing
from sender.suppression.foreign import (
    Scheme,
    ensure_scheme,
    match,
    next_held,
    tables_in_plain,
    wait_for_arrivals,
)
from sender.suppression.foreign_digests import ForeignKeyValue, HashAlgorithm, read_digest
from sender.suppression.ledger import BlockScope, Suppression, suppress
from sender.vocabulary import BlockCause, Channel

_COLUMNS: Final = frozenset(
    {"hash", "email_hash", "mobile_hash", "phone_hash", "sha256", "sha1", "md5", "hmac"}
)
"""Names of columns of hashes, beside those that a list of addresses may have."""


@dataclass(frozen=True, slots=True)
class Hashed:
    """How a list was hashed.

    Attributes:
        algorithm: by which.
        key: the key, where the algorithm takes one.

    Raises:
        UsageError: there is a key too many, or one is missing.
    """

    algorithm: HashAlgorithm
    key: ForeignKeyValue | None = None

    def __post_init__(self) -> None:
        if self.algorithm.is_keyed and self.key is None:
            raise UsageError(
                f"{self.algorithm} takes a key.",
                remedy="Say which environment variable holds it: --hash-key-env OLD_SYSTEM_KEY",
            )
        if self.key is not None and not self.algorithm.is_keyed:
            raise UsageError(
                f"{self.algorithm} takes no key.",
                remedy="Leave --hash-key-env out, or say --hash hmac-sha256.",
            )

    @property
    def told(self) -> tuple[str, str]:
        """What tells this way of hashing from another, without the key."""
        return self.algorithm.value, "" if self.key is None else self.key.fingerprint


def hashed_layout(file: CsvFile, hashed: Hashed) -> ListLayout:
    """Read the first line of a list of hashes: names of columns, or the first hash.

    Raises:
        FileError: it is neither.
    """
    if len(file.header) == 1 and read_digest(hashed.algorithm, file.header[0]) is not None:
        return ListLayout((AddressColumn("", 0, None),), None, None, has_header=False)
    names = [name.lower().replace(" ", "_") for name in file.header]
    named = tuple(
        AddressColumn(name, place, None) for place, name in enumerate(names) if name in _COLUMNS
    )
    return list_layout(file, named)


@dataclass(frozen=True, slots=True)
class Given:
    """A list of hashes, as it is given.

    Attributes:
        file: the list.
        layout: where hashes, times and sources stand.
        channel: take only columns of this channel.
        hashed: how it was hashed.
        rows_a_chunk: how many rows one transaction takes.
    """

    file: CsvFile
    layout: ListLayout
    channel: Channel | None
    hashed: Hashed
    rows_a_chunk: int


@dataclass(frozen=True, slots=True)
class HashedList:
    """A flow of hashes into what is held until such an address arrives."""

    hasher: AddressHasher
    clock: Clock
    context: ImportContext
    operator: str
    given: Given
    is_rehearsal: bool

    @property
    def rows_a_chunk(self) -> int:
        """How many rows one transaction takes."""
        return self.given.rows_a_chunk

    def records(self) -> Iterator[Record]:
        """Yield the list's rows."""
        return self.given.file.records(with_header=not self.given.layout.has_header)

    def read(self, record: Record) -> ListRow:
        """Return a row with the hashes in it."""
        row = row_of(record, self.given.layout, self.context.zone, self.clock.now())
        for column in self.given.layout.addresses:
            text = cell(record, column.place)
            if not text or (
                self.given.channel and column.channel not in {None, self.given.channel}
            ):
                continue
            digest = read_digest(self.given.hashed.algorithm, text)
            if digest is None:
                row.problems.append(_no_hash(column.name, self.given.hashed.algorithm))
            else:
                row.digests.append(digest)
        if not row.digests and not row.problems and self.given.channel is None:
            row.problems.append(_NO_HASH_AT_ALL)
        return row

    def write(self, session: Session, batch_id: int, rows: Sequence[ListRow]) -> Counter[str]:
        """Hold the hashes; those that were found to be somebody's before are opt-outs of theirs."""
        scheme = self._scheme(session)
        hashes = {one: self.hasher.hash_foreign(one) for row in rows for one in row.digests}
        known = self._known(session, scheme, list(hashes.values()))
        people = sorted(one for one in known.values() if one is not None)
        lock_addresses(session, people)
        ledgers = Ledgers(session, self.context.controller_id, people)
        chunk = _Chunk(known, _channels(session, people), ledgers)
        tally: Counter[str] = Counter()
        for row in rows:
            fresh = [chunk.take(hashes[one], row) for one in row.digests]
            tally.update(row.tally(sum(fresh)))
        now = self.clock.now()
        suppress(session, [self._act(*one, batch_id) for one in chunk.noes], now)
        self._hold(session, scheme, chunk.new, batch_id)
        require_unrotated(session, self.hasher)
        return tally

    def reject(self, rejects: RejectsFile, row: ListRow) -> None:
        """Write down what is wrong with a row."""
        rejects.add(row.record, row.problems)

    def finish(self, session: Session, counts: Counts) -> None:
        """Declare nothing: that hashes were made as somebody said shows when they are found."""

    def conclude(self, begin: Transactions, batch_id: int) -> Counter[str]:
        """Find whose hashes these are among all addresses that are held in plain.

        Returns how many of this list are.

        Raises:
            DatabaseError: addresses are being brought in all the time.
        """
        if not self.is_rehearsal:
            wait_for_arrivals(begin, self.clock)
        for table in tables_in_plain():
            after: list[object] = []
            while True:
                with begin() as session:
                    held, after = next_held(session, table, after)
                    schemes = [self._scheme(session)]
                    match(session, self.hasher, schemes, held, self.clock.now())
                if not after:
                    break
        of_this = select(func.count()).where(
            ForeignHash.batch_id == batch_id, ForeignHash.address_id.is_not(None)
        )
        with begin() as session:
            return Counter({"hashes_matched": session.scalar(of_this) or 0})

    def _scheme(self, session: Session) -> Scheme:
        hashed = self.given.hashed
        return ensure_scheme(session, hashed.algorithm, hashed.key, self.operator, self.clock.now())

    def _known(
        self, session: Session, scheme: Scheme, key_hashes: Sequence[bytes]
    ) -> dict[bytes, int | None]:
        found: dict[bytes, int | None] = {}
        for some in chunks(key_hashes):
            query = select(ForeignHash.key_hash, ForeignHash.address_id).where(
                ForeignHash.scheme_id == scheme.id,
                ForeignHash.controller_id == self.context.controller_id,
                among(session, ForeignHash.key_hash, some),
            )
            found.update((key_hash, row_id) for key_hash, row_id in session.execute(query))
        return found

    def _act(self, address_id: int, channel: Channel, row: ListRow, batch_id: int) -> Suppression:
        return Suppression(
            scope=BlockScope(address_id, self.context.controller_id, channel),
            cause=BlockCause.OPT_OUT,
            occurred_at=row.opt_out.at,
            source=row.opt_out.source,
            by_person=True,
            operator=self.operator,
            batch_id=batch_id,
        )

    def _hold(
        self, session: Session, scheme: Scheme, new: dict[bytes, ListRow], batch_id: int
    ) -> None:
        now = self.clock.now()
        rows = [
            {
                "scheme_id": scheme.id,
                "key_hash": key_hash,
                "controller_id": self.context.controller_id,
                "batch_id": batch_id,
                "occurred_at": row.opt_out.at,
                "recorded_at": now,
                "source": row.opt_out.source,
            }
            for key_hash, row in sorted(new.items(), key=lambda one: one[0])
        ]
        for some in chunks(rows):
            insert_missing(session, ForeignHash, some)


@dataclass(slots=True)
class _Chunk:
    """What the rows of one chunk come to.

    Attributes:
        known: hashes that are held, with whose they were found to be.
        channels: of these people's addresses.
        ledgers: what these people have said.
        noes: opt-outs of people who are known, each with its row.
        new: hashes that are to be held, with their row.
    """

    known: dict[bytes, int | None]
    channels: dict[int, Channel]
    ledgers: Ledgers
    noes: list[tuple[int, Channel, ListRow]] = field(default_factory=list)
    new: dict[bytes, ListRow] = field(default_factory=dict)

    def take(self, key_hash: bytes, row: ListRow) -> bool:
        """Take one hash of a row; return whether it is a new opt-out."""
        address_id = self.known.get(key_hash)
        if address_id is None:
            is_new = key_hash not in self.known and key_hash not in self.new
            if is_new:
                self.new[key_hash] = row
            return is_new
        channel = self.channels[address_id]
        if self.ledgers.knows(address_id, channel, row.opt_out):
            return False
        self.ledgers.note(address_id, channel, row.opt_out)
        self.noes.append((address_id, channel, row))
        return True


def _channels(session: Session, ids: Sequence[int]) -> dict[int, Channel]:
    found: dict[int, Channel] = {}
    for some in chunks(ids):
        query = select(Address.id, Address.channel).where(among(session, Address.id, some))
        found.update((row_id, channel) for row_id, channel in session.execute(query))
    return found


_NO_HASH_AT_ALL = Problem("", "The row has no hash.", "Fill one in, or leave the row out.")


def _no_hash(column: str, algorithm: HashAlgorithm) -> Problem:
    return Problem(
        column,
        f"This is no {algorithm} hash.",
        f"It has {2 * algorithm.size} hexadecimal digits, or {algorithm.size} bytes in base64. "
        "Addresses go into a list of their own.",
    )
