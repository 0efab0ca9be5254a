"""Import people, their attributes, consents and opt-outs from a CSV file.

An import never lifts a no: its acts carry their batch, which the fold of consents weighs, every no
of a chunk is recorded before its yeses, and nothing here releases a block.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy.orm import Session

from sender.clock import Clock
from sender.imports.batch import Errand
from sender.imports.chunk import ImportScope, bring_in
from sender.imports.context import ImportContext, load_context
from sender.imports.counts import Counts, ImportReport
from sender.imports.course import Course, Progress
from sender.imports.csv_file import CsvFile, Record, survey
from sender.imports.reading import Reading, Storage
from sender.imports.rehearsal import Transactions, transactions
from sender.imports.rejects import RejectsFile, Seen, default_path
from sender.imports.rows import Form, Row, form_of, read_row
from sender.store.engine import Store
from sender.store.keys import AddressHasher, require_key

ROWS_A_CHUNK = 2_000
"""Rows a transaction: enough to be quick, few enough that opt-outs hardly wait for it."""

_ACTION = "contacts.import"


def import_contacts(
    store: Store,
    hasher: AddressHasher,
    clock: Clock,
    *,
    controller_slug: str,
    path: Path,
    operator: str,
    reading: Reading | None = None,
    storage: Storage | None = None,
    dry_run: bool = False,
    rejects_path: Path | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Bring in a file of people; docs/imports.md describes its columns.

    Each chunk of rows is written whole or not at all. After a crash, the same operator brings the
    same file in again, and it goes on behind the last whole chunk, with the counts and the rejects
    of what was done. At any other time too a file can be brought in again: what is there stays as
    it is. The rejects file is written in a dry run too, which begins at the first row.

    Args:
        store: the database.
        hasher: with the database's key.
        clock: tells when.
        controller_slug: whose people they are.
        path: the file.
        operator: who brings it in.
        reading: how it is read, where it is no file of our own making.
        storage: what people without consent are kept for; without it, they are not (guidance ¶83).
        dry_run: only tell what would happen.
        rejects_path: where to write what was not taken; by default beside the file.
        progress: called after each chunk.

    Raises:
        FileError: the file cannot be read or its first line not understood; nothing was written.
        NotFoundError: there is no such controller.
        RefusedError: another process is bringing the file in.
        KeyRefusedError: the hasher's key is not this database's.
    """
    reading = reading or Reading()
    file = survey(path, reading.encoding)
    form = form_of(file, reading)
    with store.read() as session:
        require_key(session, hasher)
        context = load_context(session, controller_slug)
    flow = _People(hasher, clock, context, operator, file, form, storage)
    told = {"reading": reading, "storage": storage}
    errand = Errand(_ACTION, context.controller_id, operator, file, told)
    with (
        transactions(store, dry_run=dry_run) as begin,
        RejectsFile(rejects_path or default_path(path), file.header) as rejects,
    ):
        course = Course(begin, clock, errand, flow, file.rows, is_rehearsal=dry_run)
        return course.run(rejects, progress)


@dataclass(frozen=True, slots=True)
class _People:
    """A flow of people into one controller's contacts."""

    hasher: AddressHasher
    clock: Clock
    context: ImportContext
    operator: str
    file: CsvFile
    form: Form
    storage: Storage | None

    @property
    def rows_a_chunk(self) -> int:
        return ROWS_A_CHUNK

    def records(self) -> Iterator[Record]:
        return self.file.records()

    def read(self, record: Record) -> Row:
        return read_row(record, self.form, self.context, self.clock.now())

    def write(self, session: Session, batch_id: int, rows: Sequence[Row]) -> Counter[str]:
        scope = ImportScope(
            self.context, self.hasher, batch_id, self.operator, self.clock.now(), self.storage
        )
        return bring_in(session, scope, rows)

    def reject(self, rejects: RejectsFile, row: Row) -> None:
        """Note what is wrong by the file's own names of its columns."""
        told = [replace(one, column=self.form.column(one.column)) for one in row.problems]
        rejects.add(row.record, told, Seen(row.form, row.day))

    def conclude(self, begin: Transactions, batch_id: int) -> Counter[str]:
        """Do nothing more."""
        del begin, batch_id
        return Counter()

    def finish(self, session: Session, counts: Counts) -> None:
        """Do nothing more: what the file says of consent waits for approval."""
