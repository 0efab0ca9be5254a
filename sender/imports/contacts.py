"""Import people, their attributes, consents and opt-outs from a CSV file.

An import never lifts a no: its acts carry their batch, which the fold of consents weighs, every no
of a chunk is recorded before its yeses, and nothing here releases a block.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sender.clock import Clock
from sender.imports.batch import close_batch, open_batch
from sender.imports.chunk import ImportScope, bring_in
from sender.imports.context import ImportContext, load_context
from sender.imports.counts import ImportReport, counts_of
from sender.imports.csv_file import CsvFile, survey
from sender.imports.layout import Layout, layout_of
from sender.imports.rehearsal import Transactions, transactions
from sender.imports.rejects import RejectsFile, default_path
from sender.imports.rows import Row, read_row
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
    dry_run: bool = False,
    rejects_path: Path | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Bring in a file of people; docs/imports.md describes its columns.

    Each chunk of rows is written whole or not at all. After a crash, or at any time, the same file
    can be brought in again: what is there stays as it is. The rejects file is written in a dry run
    too.

    Raises:
        FileError: the file cannot be read or its first line not understood; nothing was written.
        NotFoundError: there is no such controller.
        KeyRefusedError: the hasher's key is not this database's.
    """
    file = survey(path)
    layout = layout_of(file)
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
        )
        report = run.bring_in(layout, rejects, progress)
    return ImportReport(None, report.counts, report.rejects_path) if dry_run else report


@dataclass(frozen=True, slots=True)
class _Import:
    begin: Transactions
    hasher: AddressHasher
    clock: Clock
    context: ImportContext
    operator: str
    file: CsvFile

    def bring_in(
        self, layout: Layout, rejects: RejectsFile, progress: Progress | None
    ) -> ImportReport:
        batch_id = self._open()
        tally: Counter[str] = Counter()
        for rows in chunks(self._rows(layout), ROWS_A_CHUNK):
            tally.update(self._bring_in_chunk(batch_id, rows))
            tally["rows"] += len(rows)
            for row in rows:
                rejects.add(row.record, row.problems)
            rejects.flush()
            if progress is not None:
                progress(tally["rows"], self.file.rows)
        return self._close(batch_id, tally, rejects)

    def _rows(self, layout: Layout) -> Iterator[Row]:
        for record in self.file.records():
            yield read_row(record, layout, self.context, self.clock.now())

    def _bring_in_chunk(self, batch_id: int, rows: list[Row]) -> Counter[str]:
        scope = ImportScope(self.context, self.hasher, batch_id, self.operator, self.clock.now())
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
        return ImportReport(batch_id, counts, rejects.path)
