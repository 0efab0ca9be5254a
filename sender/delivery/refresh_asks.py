"""Ask a person to reconfirm at most once a period, however many runs do so at the same time."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, or_
from sqlalchemy.orm import Session

from sender.delivery.frequency import Person
from sender.store.campaigns import Run
from sender.store.portable import chunks, insert_for, table_of
from sender.store.refreshes import RefreshAsk


def asked_already(session: Session, run: Run, going: Iterable[Person], at: datetime) -> set[int]:
    """Note who is asked now; return the deliveries that must not go, their people having been.

    The period is the run's own `expiring_within`, or that of the run that asked before, whichever
    is longer. A row is one address and purpose; of two runs the second waits for the first one's
    transaction and then finds its row. A message that came back unsent is no second one.

    Args:
        session: the writing session of the last look.
        run: the run that is about to send; runs that ask nothing are left alone.
        going: who may go otherwise, each address once.
        at: the moment of the last look.
    """
    if run.expiring_days is None or run.is_test:
        return set()
    period = timedelta(days=run.expiring_days)
    people = sorted(going, key=lambda one: one.address_id)  # one order, so that no two runs block
    let_go: set[int] = set()
    for some in chunks(people, 500):
        rows = [_row(run, person, at, period) for person in some]
        let_go.update(session.scalars(_statement(session, at, period).values(rows)))
    return {person.delivery_id for person in people if person.address_id not in let_go}


def _row(run: Run, person: Person, at: datetime, period: timedelta) -> dict[str, Any]:
    return {
        "purpose_id": run.purpose_id,
        "address_id": person.address_id,
        "delivery_id": person.delivery_id,
        "asked_at": at,
        "quiet_until": at + period,
    }


def _statement(session: Session, at: datetime, period: timedelta) -> Any:
    insert, kept = insert_for(session, RefreshAsk), table_of(RefreshAsk).c
    given = insert.excluded
    return insert.on_conflict_do_update(
        index_elements=["purpose_id", "address_id"],
        set_={name: given[name] for name in ("delivery_id", "asked_at", "quiet_until")},
        where=or_(
            kept.delivery_id == given.delivery_id,
            and_(kept.quiet_until <= at, kept.asked_at <= at - period),
        ),
    ).returning(kept.address_id)
