"""Is the database whole: what its schema came with, and imports that did not end."""

from collections.abc import Iterator
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.campaigns.findings import Finding, Health
from sender.store.contacts import ImportBatch
from sender.store.controllers import Controller
from sender.store.engine import Store
from sender.store.foreign_hashes import ForeignHash
from sender.store.schema_check import missing_parts

_MOST_NAMED: Final = 10


def examine_database(store: Store) -> Iterator[Finding]:
    """Yield what is found about the schema, and about lists of hashes that wait for their end."""
    with store.read() as session:
        yield _schema(missing_parts(session.connection()))
        yield from _unfinished_lists(session)


def _schema(missing: list[str]) -> Finding:
    if not missing:
        return Finding("schema", Health.WELL, "Every key, index and guard is there.")
    named = ", ".join(missing[:_MOST_NAMED])
    more = len(missing) - _MOST_NAMED
    return Finding(
        "schema",
        Health.BROKEN,
        f"Missing, or not as sender db upgrade makes it: {named}"
        + (f" and {more:,} more." if more > 0 else "."),
        "Find out who took it away, put it back (docs/data-model.md says how), then run: "
        "sender db check",
    )


def _unfinished_lists(session: Session) -> Iterator[Finding]:
    has_hashes = select(ForeignHash.id).where(ForeignHash.batch_id == ImportBatch.id)
    query = (
        select(ImportBatch.id, Controller.slug)
        .join(Controller, Controller.id == ImportBatch.controller_id)
        .where(ImportBatch.finished_at.is_(None), has_hashes.exists())
        .order_by(ImportBatch.id)
    )
    for batch_id, slug in session.execute(query):
        yield Finding(
            "list of hashes",
            Health.ATTENTION,
            f"Import {batch_id} at {slug} has not ended. What it brought is looked for at each "
            "last look; what it had not read yet is known to nobody.",
            "If it does not run any more, bring the same list in again: it goes on from there.",
        )
