"""The record of one import: its batch, and who began and ended it in the audit trail."""

from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from sender.imports.counts import Counts
from sender.imports.csv_file import CsvFile
from sender.store.audit_trail import record
from sender.store.contacts import ImportBatch

_NAME_LENGTH = 255


def open_batch(
    session: Session,
    *,
    file: CsvFile,
    action: str,
    controller_id: int,
    operator: str,
    now: datetime,
) -> int:
    """Note that an import begins and return its batch; what crashes leaves it without an end."""
    batch = ImportBatch(
        controller_id=controller_id,
        file_name=file.path.name[-_NAME_LENGTH:],
        file_hash=file.sha256,
        operator=operator,
        started_at=now,
        finished_at=None,
        counts={},
    )
    session.add(batch)
    session.flush()
    details = {"batch": batch.id, "sha256": file.sha256.hex(), "rows": file.rows}
    record(
        session,
        now=now,
        operator=operator,
        action=f"{action}.start",
        controller_id=controller_id,
        details=details,
    )
    return batch.id


def close_batch(
    session: Session,
    *,
    batch_id: int,
    action: str,
    controller_id: int,
    operator: str,
    now: datetime,
    counts: Counts,
) -> None:
    """Note that an import ended, with its numbers."""
    numbers = counts.as_dict()
    session.execute(
        update(ImportBatch)
        .where(ImportBatch.id == batch_id)
        .values(finished_at=now, counts=numbers)
    )
    record(
        session,
        now=now,
        operator=operator,
        action=f"{action}.finish",
        controller_id=controller_id,
        details={"batch": batch_id, **numbers},
    )
