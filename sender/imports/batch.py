"""The record of one import: its batch, how far it got, and who began and ended it.

Where an import is, and what became of its rows, is written in the transaction of the rows. So an
import that died is taken up behind its last whole chunk, and no row is brought in twice.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session

from sender.errors import RefusedError
from sender.imports.counts import Counts
from sender.imports.csv_file import CsvFile
from sender.imports.rejects import Kept
from sender.store.audit_trail import record
from sender.store.contacts import ImportBatch

_NAME_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Errand:
    """Whose import this is, of what, and how it is read.

    Attributes:
        action: what is done, for the audit trail: `contacts.import`, `suppress.import`.
        controller_id: for whom.
        operator: who brings the file in.
        file: which.
        reading: everything else that decides what becomes of a row.
    """

    action: str
    controller_id: int
    operator: str
    file: CsvFile
    reading: Mapping[str, Any]

    @property
    def reading_hash(self) -> bytes:
        """The same for two imports that do the same to a row."""
        told = {"action": self.action, **self.reading}
        return sha256(json.dumps(told, default=_plain, sort_keys=True).encode()).digest()


@dataclass(slots=True)
class Progressing:
    """An import under way.

    Attributes:
        batch_id: its batch.
        rows_done: how many records of the file are written.
        tally: what became of these.
        rejects: where their rejects are, if they are anywhere.
    """

    batch_id: int
    rows_done: int = 0
    tally: Counter[str] = field(default_factory=Counter)
    rejects: Kept | None = None


def begin_batch(
    session: Session, errand: Errand, now: datetime, *, anew: bool = False
) -> Progressing:
    """Note that an import begins, or goes on where it died.

    An import is taken up by whoever began it, with the same file, read alike: whoever approves it
    must know that the other brought all of it in.

    Args:
        session: a writing session.
        errand: the import.
        now: the time.
        anew: begin at the first row, whatever there is.
    """
    unfinished = None if anew else _unfinished(session, errand)
    if unfinished is not None:
        where = {"batch": unfinished.id, "rows_done": unfinished.rows_done}
        _audit(session, errand, "resume", where, now)
        return _as_it_was(unfinished)
    batch = ImportBatch(
        controller_id=errand.controller_id,
        file_name=errand.file.path.name[-_NAME_LENGTH:],
        file_hash=errand.file.sha256,
        operator=errand.operator,
        started_at=now,
        finished_at=None,
        counts={},
        reading_hash=errand.reading_hash,
        rows_done=0,
    )
    session.add(batch)
    session.flush()
    details = {
        "batch": batch.id, "sha256": errand.file.sha256.hex(), "rows": errand.file.rows,
    }  # fmt: skip
    _audit(session, errand, "start", details, now)
    return Progressing(batch.id)


def claim_rows(session: Session, course: Progressing, rows: int) -> None:
    """Take the next rows for this process, in the transaction that writes them.

    Raises:
        RefusedError: another process brings the same file in and was first.
    """
    claimed = session.execute(
        update(ImportBatch)
        .where(ImportBatch.id == course.batch_id, ImportBatch.rows_done == course.rows_done)
        .where(ImportBatch.finished_at.is_(None))
        .values(rows_done=course.rows_done + rows)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(claimed, CursorResult)
    if claimed.rowcount != 1:
        raise RefusedError(
            "Another process is bringing this file in.",
            remedy="Let it finish; then this import has nothing left to do.",
        )


def note_rows(
    session: Session, course: Progressing, tally: Counter[str], rejects: Kept | None
) -> None:
    """Write down what became of all rows so far, in the transaction that writes the last ones."""
    session.execute(
        update(ImportBatch)
        .where(ImportBatch.id == course.batch_id)
        .values(
            counts=dict(tally),
            rejects_file=None if rejects is None else str(rejects.path.absolute()),
            rejects_bytes=None if rejects is None else rejects.bytes,
        )
        .execution_options(synchronize_session=False)
    )


def close_batch(
    session: Session, errand: Errand, batch_id: int, counts: Counts, now: datetime
) -> None:
    """Note that an import ended, with its numbers."""
    numbers = counts.as_dict()
    session.execute(
        update(ImportBatch)
        .where(ImportBatch.id == batch_id)
        .values(finished_at=now, counts=numbers)
        .execution_options(synchronize_session=False)
    )
    _audit(session, errand, "finish", {"batch": batch_id, **numbers}, now)


def _unfinished(session: Session, errand: Errand) -> ImportBatch | None:
    return session.scalar(
        select(ImportBatch)
        .where(
            ImportBatch.controller_id == errand.controller_id,
            ImportBatch.file_hash == errand.file.sha256,
            ImportBatch.reading_hash == errand.reading_hash,
            ImportBatch.operator == errand.operator,
            ImportBatch.finished_at.is_(None),
            ImportBatch.revoked_at.is_(None),
        )
        .order_by(ImportBatch.id.desc())
        .limit(1)
    )


def _as_it_was(batch: ImportBatch) -> Progressing:
    rejects = None
    if batch.rejects_file is not None and batch.rejects_bytes is not None:
        rejects = Kept(Path(batch.rejects_file), batch.rejects_bytes)
    return Progressing(batch.id, batch.rows_done, Counter(batch.counts), rejects)


def _audit(
    session: Session, errand: Errand, what: str, details: dict[str, Any], now: datetime
) -> None:
    record(
        session,
        now=now,
        operator=errand.operator,
        action=f"{errand.action}.{what}",
        controller_id=errand.controller_id,
        details=details,
    )


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} does not say how a file is read")
