"""Is the database what its journal says, or was it set back to an older backup?

Whatever stands in a journal was committed before it was written there. So a line that the database
does not hold means one thing: the database was restored from a backup of before. Then nobody may be
written to until `sender suppress replay` has brought back what is missing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.errors import RefusedError
from sender.store.addresses import Address
from sender.store.campaigns import Run
from sender.store.consents import ConsentEvent
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.store.journal import Header, Journal, JournalFile
from sender.store.journal_entries import (
    HASH_BYTES,
    Entry,
    Refused,
    Sent,
    Suppressed,
    note_suppressions,
    read_entry,
)
from sender.store.journal_marks import NOT_ACCEPTED, marks, set_mark
from sender.store.keys import AddressHasher, require_unrotated
from sender.store.suppressions import SuppressionEvent
from sender.vocabulary import SuppressionAct

LINES_AT_ONCE = 500


def remember(session: Session, event_ids: Sequence[int]) -> None:
    """Let suppression events that are there already be journaled (again) with this transaction.

    For something that is told again: the process may have died between its commit and its line in
    the journal, and only the line makes it safe to acknowledge.
    """
    note_suppressions(session, event_ids)


@dataclass(frozen=True, slots=True)
class Read:
    """One line of a journal: the byte it ends before, and what it says; None if it is damaged."""

    end: int
    entry: Entry | None


@dataclass(slots=True)
class Comparison:
    """What a journal holds that the database does not.

    Attributes:
        end: up to where the journal was read, in bytes.
        noes: opt-outs, objections, bounces, holds, withdrawals that are missing.
        releases: releases that are missing.
        messages: messages that were handed to a provider, and the database does not know it.
        damaged: lines that cannot be read; torn ones of a crash were never acknowledged.
    """

    end: int = 0
    noes: int = 0
    releases: int = 0
    messages: int = 0
    damaged: int = 0

    @property
    def is_behind(self) -> bool:
        """Whether the database lacks anything."""
        return bool(self.noes or self.releases or self.messages)

    def add_lost(self, entry: Entry) -> None:
        """Count an entry that the database does not hold."""
        if isinstance(entry, Sent):
            self.messages += len(entry.messages)
        elif isinstance(entry, Suppressed) and entry.act is SuppressionAct.RELEASE:
            self.releases += 1
        else:
            self.noes += 1

    def __str__(self) -> str:
        """Say it in words."""
        return (
            f"{self.noes:,} opt-outs and other noes, {self.releases:,} releases and "
            f"{self.messages:,} sent messages"
        )


def require_up_to_date(store: Store, now: datetime) -> None:
    """Require that the database holds what its journal holds; then remember how far it was read.

    Raises:
        RefusedError: the database is behind its journal, or the journal that it was compared with
            before is not here.
        JournalError: the journal cannot be read, or is another database's.
    """
    read_to = require_whole(store)
    if read_to:
        with store.write() as session:
            for name, end in read_to.items():
                set_mark(session, name, end, now)


def require_whole(store: Store) -> dict[str, int]:
    """Require that the database holds what its journal holds. Reads only, and only what is new.

    Returns up to which byte each journal was read that has anything new. Without a journal nothing
    can be told.

    Raises:
        RefusedError: the database is behind its journal, or the journal that it was compared with
            before is not here.
        JournalError: the journal cannot be read, or is another database's.
        KeyRefusedError: the key was rotated since this process was started, or the journal has
            lines under a key that is not here.
    """
    if store.journal is None:
        return {}
    hasher = store.journal.owner.hasher
    with store.read() as session:
        require_unrotated(session, hasher)
        known = marks(session)
    require_known_journal(store.journal, known)
    read_to: dict[str, int] = {}
    for name, (file, _) in headers(store.journal.files()).items():
        start = known.get(name, NOT_ACCEPTED)
        found = compare_file(store, file, start, hasher)
        if found.is_behind:
            raise RefusedError(
                f"This database is behind its journal {file.path}: it lacks {found}. It was "
                "restored from an older backup.",
                remedy="Stop whatever still sends, and run: sender suppress replay",
            )
        if found.end > start:
            read_to[name] = found.end
    return read_to


def require_known_journal(journal: Journal, known: Mapping[str, int]) -> None:
    """Require that this journal, or the one that it follows, is one that the database relies on.

    A restore on a machine without the journal would else go unnoticed.

    Raises:
        RefusedError: the database relies on others only.
    """
    accepted = {name for name, checked_bytes in known.items() if checked_bytes != NOT_ACCEPTED}
    here = {file.header().name for file in journal.files()}
    if accepted and not accepted & here:
        names = ", ".join(sorted(accepted))
        raise RefusedError(
            f"This database was compared with the journal {names} before, which is not at "
            f"{journal.path}. If the database was restored, its last opt-outs stand there.",
            remedy="Bring that file back, or give it: sender suppress replay FILE. If it is gone "
            "for good: sender suppress replay --without NAME.",
        )


def compare_file(store: Store, file: JournalFile, start: int, hasher: AddressHasher) -> Comparison:
    """Compare a journal from a place on with the database. Reads only.

    Raises:
        RefusedError: the file is shorter than it was.
        JournalError: it cannot be read.
        KeyRefusedError: it has lines under a key that is not the hasher's.
    """
    require_not_shorter(file, start)
    found = Comparison(end=start)
    for some in entries(file, start, hasher):
        found.end = some[-1].end
        found.damaged += sum(one.entry is None for one in some)
        with store.read() as session:  # begun after the lines were read
            for entry in lost(session, [one.entry for one in some if one.entry is not None]):
                found.add_lost(entry)
    return found


def require_not_shorter(file: JournalFile, start: int) -> None:
    """Require that the journal still has what was read of it before.

    Raises:
        RefusedError: it has not.
    """
    if file.size() < start:
        raise RefusedError(
            f"The journal {file.path} is shorter than when it was last read.",
            remedy="Bring the whole file back.",
        )


def entries(
    file: JournalFile, start: int, hasher: AddressHasher, end: int | None = None
) -> Iterator[list[Read]]:
    """Yield the journal's lines from `start` on, up to `end`, some hundred at once.

    Whatever key a line was written under, its people stand by the hash under the newest.

    Raises:
        KeyRefusedError: a line was written under a key that is not the hasher's.
    """
    begun_under = file.header().key

    def lift(key_hash: bytes, written_under: str | None) -> bytes:
        return hasher.lift(key_hash, written_under or begun_under)

    some: list[Read] = []
    for place, line in file.lines(start):
        if end is not None and place > end:
            break
        some.append(Read(place, read_entry(line, lift)))
        if len(some) == LINES_AT_ONCE:
            yield some
            some = []
    if some:
        yield some


def lost(session: Session, found: Sequence[Entry]) -> list[Entry]:
    """Return those entries that the database does not hold, in order."""
    suppressions = _hashes(session, SuppressionEvent, found, Suppressed)
    refusals = _hashes(session, ConsentEvent, found, Refused)
    last_marks = _last_marks(session, [one for one in found if isinstance(one, Sent)])
    missing: list[Entry] = []
    for entry in found:
        if isinstance(entry, Suppressed):
            holds = suppressions.get(entry.event_id) == entry.row_hash
        elif isinstance(entry, Refused):
            holds = refusals.get(entry.event_id) == entry.row_hash
        else:
            holds = _was_marked(entry, last_marks)
        if not holds:
            missing.append(entry)
    return missing


def _hashes(
    session: Session,
    events: type[SuppressionEvent | ConsentEvent],
    found: Iterable[Entry],
    kind: type[Suppressed | Refused],
) -> dict[int, bytes]:
    """Return the row hashes of the events: numbers come again after a restore, hashes don't."""
    ids = [entry.event_id for entry in found if isinstance(entry, kind)]
    if not ids:
        return {}
    query = select(events.id, events.row_hash).where(events.id.in_(ids))
    return {row_id: row_hash[:HASH_BYTES] for row_id, row_hash in session.execute(query)}


_Place = tuple[bytes, bytes]
"""A run's link salt and the keyed hash of an address: one delivery, whatever its number."""


def _last_marks(session: Session, found: Sequence[Sent]) -> dict[_Place, Any]:
    """Return the times of the first delivery of each entry: its mark, or when it was given back."""
    if not found:
        return {}
    query = (
        select(Delivery.dispatched_at, Delivery.not_before, Run.link_salt, Address.key_hash)
        .join(Run, Run.id == Delivery.run_id)
        .join(Address, Address.id == Delivery.address_id)
        .where(
            Run.link_salt.in_({bytes.fromhex(one.run_key) for one in found}),
            Address.channel.in_({one.channel for one in found}),
            Address.key_hash.in_({one.messages[0][1] for one in found}),
        )
    )
    return {(row.link_salt, row.key_hash): row for row in session.execute(query)}


def _was_marked(entry: Sent, last_marks: Mapping[_Place, Any]) -> bool:
    """Whether the database knows of the batch, all of which was marked in one transaction.

    A message that was marked and given back has no mark any more, but a `not_before` later than it.
    """
    row = last_marks.get((bytes.fromhex(entry.run_key), entry.messages[0][1]))
    if row is None:
        return False
    given_back_at = row.not_before
    return row.dispatched_at is not None or (
        given_back_at is not None and given_back_at >= entry.at
    )


def headers(files: Iterable[JournalFile]) -> dict[str, tuple[JournalFile, Header]]:
    """Return the files by the journal's name; of two copies of one, the longer.

    Raises:
        JournalError: one of them is no journal, or cannot be read.
    """
    found: dict[str, tuple[JournalFile, Header]] = {}
    for file in files:
        header = file.header()
        if header.name not in found or found[header.name][0].size() < file.size():
            found[header.name] = (file, header)
    return found
