"""Bring the rows of a file in, chunk by chunk; taken up where it died, and the same for all files.

Each chunk is one transaction, which first claims its rows, then writes them, and notes in the end
what became of them and how long the rejects file is. So after a crash the counts, the rejects and
the rows agree.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, Protocol, TypeVar

from sqlalchemy.orm import Session

from sender.clock import Clock
from sender.imports.batch import (
    Errand,
    Progressing,
    begin_batch,
    claim_rows,
    close_batch,
    note_rows,
)
from sender.imports.counts import Counts, ImportReport, counts_of
from sender.imports.csv_file import Record
from sender.imports.rehearsal import Transactions
from sender.imports.rejects import RejectsFile
from sender.store.portable import chunks

Progress = Callable[[int, int], None]
"""Called after each chunk with the rows that are done and all rows."""

R = TypeVar("R")


class Flow(Protocol[R]):
    """What one kind of import does with a file."""

    @property
    def rows_a_chunk(self) -> int:
        """How many rows one transaction takes."""

    def records(self) -> Iterator[Record]:
        """Yield the file's records."""

    def read(self, record: Record) -> R:
        """Return a row as it is written; looks nothing up."""

    def write(self, session: Session, batch_id: int, rows: Sequence[R]) -> Counter[str]:
        """Write rows and return what became of them; what is wrong is noted in the rows."""

    def reject(self, rejects: RejectsFile, row: R) -> None:
        """Write down what is wrong with a row, if anything is."""

    def conclude(self, begin: Transactions, batch_id: int) -> Counter[str]:
        """Do what is to be done once all rows are there; return what that adds to the counts."""

    def finish(self, session: Session, counts: Counts) -> None:
        """Put on record what the whole import means, in the transaction that ends its batch."""


@dataclass(frozen=True, slots=True)
class Course(Generic[R]):
    """One import of one file.

    Attributes:
        begin: opens its transactions.
        clock: tells when.
        errand: whose it is.
        flow: what is done.
        rows: how many there are.
        is_rehearsal: a dry run; it takes nothing up.
    """

    begin: Transactions
    clock: Clock
    errand: Errand
    flow: Flow[R]
    rows: int
    is_rehearsal: bool

    def run(self, rejects: RejectsFile, progress: Progress | None) -> ImportReport:
        """Bring the rest of the file in and close the batch.

        Raises:
            RefusedError: another process brings the same file in.
        """
        with self.begin() as session:
            course = begin_batch(session, self.errand, self.clock.now(), anew=self.is_rehearsal)
        for records in chunks(
            islice(self.flow.records(), course.rows_done, None), self.flow.rows_a_chunk
        ):
            self._chunk(course, [self.flow.read(record) for record in records], rejects)
            if progress is not None:
                progress(course.rows_done, self.rows)
        if course.rejects is not None and rejects.path is None:
            rejects.take_up(course.rejects)
        counts = counts_of(course.tally + self.flow.conclude(self.begin, course.batch_id))
        with self.begin() as session:
            claim_rows(session, course, 0)
            self.flow.finish(session, counts)
            close_batch(session, self.errand, course.batch_id, counts, self.clock.now())
        return ImportReport(
            None if self.is_rehearsal else course.batch_id, counts, rejects.path, rejects.groups
        )

    def _chunk(self, course: Progressing, rows: Sequence[R], rejects: RejectsFile) -> None:
        with self.begin() as session:
            claim_rows(session, course, len(rows))
            if course.rejects is not None and rejects.path is None:
                rejects.take_up(course.rejects)
            tally = course.tally + self.flow.write(session, course.batch_id, rows)
            tally["rows"] += len(rows)
            for row in rows:
                self.flow.reject(rejects, row)
            kept = rejects.flush()
            note_rows(session, course, tally, kept)
        course.tally, course.rejects = tally, kept
        course.rows_done += len(rows)
