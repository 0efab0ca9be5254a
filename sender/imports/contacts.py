"""Import people, their attributes, consents and opt-outs from a CSV file.

An import never lifts a no: its acts carry their batch, which the fold of consents weighs, every no
of a chunk is recorded before its yeses, and nothing here releases a block.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from sender.clock import Clock
from sender.imports.batch import close_batch, open_batch
from sender.imports.chunk import ImportScope, bring_in
from sender.imports.context import ImportContext, load_context
from sender.imports.counts import ImportReport, counts_of
from sender.imports.csv_file import CsvFile, survey
from sender.imports.reading import Reading, Storage
from sender.imports.rehearsal import Transactions, transactions
from sender.imports.rejects import RejectsFile, Seen, default_path
from sender.imports.rows import Form, Row, form_of, read_row
from sender.store.engine import Store
from sender.store.keys import AddressHasher, require_key
from sender.store.portable import chunks

ROWS_A_CHUNK = 2_000
"""Rows a transaction: enough to be quick, few enough that opt-outs hardly wait for it."""

Progress = Callable[[int, int], None]
"""Called after each chunk with the rows that are done and all rows."""

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

    Each chunk of rows is written whole or not at all. After a crash, or at any time, the same file
    can be brought in again: what is there stays as it is. The rejects file is written in a dry run
    too.

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
        KeyRefusedError: the hasher's key is not this database's.
    """
    reading = reading or Reading()
    file = survey(path, reading.encoding)
    form = form_of(file, reading)
    with store.read() as session:
        require_key(session, hasher)
        context = load_context(session, controller_slug)
    with (
        transactions(store, dry_run=dry_run) as begin,
        RejectsFile(rejects_path or default_path(path), file.header) as rejects,
    ):
        run = _Import(
            begin=begin,
            hasher=hasher,
            clock=clock,
            context=context,
            operator=operator,
            file=file,
            form=form,
            storage=storage,
        )
        report = run.bring_in(rejects, progress)
    return replace(report, batch_id=None) if dry_run else report


@dataclass(frozen=True, slots=True)
class _Import:
    begin: Transactions
    hasher: AddressHasher
    clock: Clock
    context: ImportContext
    operator: str
    file: CsvFile
    form: Form
    storage: Storage | None

    def bring_in(self, rejects: RejectsFile, progress: Progress | None) -> ImportReport:
        batch_id = self._open()
        tally: Counter[str] = Counter()
        for rows in chunks(self._rows(), ROWS_A_CHUNK):
            tally.update(self._bring_in_chunk(batch_id, rows))
            tally["rows"] += len(rows)
            for row in rows:
                self._reject(rejects, row)
            rejects.flush()
            if progress is not None:
                progress(tally["rows"], self.file.rows)
        return self._close(batch_id, tally, rejects)

    def _rows(self) -> Iterator[Row]:
        for record in self.file.records():
            yield read_row(record, self.form, self.context, self.clock.now())

    def _reject(self, rejects: RejectsFile, row: Row) -> None:
        """Note what is wrong by the file's own names of its columns."""
        told = [replace(one, column=self.form.column(one.column)) for one in row.problems]
        rejects.add(row.record, told, Seen(row.form, row.day))

    def _bring_in_chunk(self, batch_id: int, rows: list[Row]) -> Counter[str]:
        scope = ImportScope(
            self.context, self.hasher, batch_id, self.operator, self.clock.now(), self.storage
        )
        with self.begin() as session:
            return bring_in(session, scope, rows)

    def _open(self) -> int:
        with self.begin() as session:
            return open_batch(
                session,
                file=self.file,
                action=_ACTION,
                controller_id=self.context.controller_id,
                operator=self.operator,
                now=self.clock.now(),
            )

    def _close(self, batch_id: int, tally: Counter[str], rejects: RejectsFile) -> ImportReport:
        counts = counts_of(tally)
        with self.begin() as session:
            close_batch(
                session,
                batch_id=batch_id,
                action=_ACTION,
                controller_id=self.context.controller_id,
                operator=self.operator,
                now=self.clock.now(),
                counts=counts,
            )
        return ImportReport(batch_id, counts, rejects.path, rejects.groups)
