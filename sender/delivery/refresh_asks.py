"""Ask a person to reconfirm at most once a period, however many runs do so at the same time."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from sender.delivery.frequency import Person
from sender.store.campaigns import Run
from sender.store.contacts import ContactPoint
from sender.store.portable import chunks, insert_for, table_of
from sender.store.refreshes import RefreshAsk


def asked_already(session: Session, run: Run, going: Iterable[Person], at: datetime) -> set[int]:
    """Note who is asked now; return the deliveries that must not go, their people having been.

    The period is the run's own `expiring_within`, or that of the run that asked before, whichever
    is longer. A row is one address and purpose, and an ask is noted for every address that the
    person has on the run's channel; of two runs the second waits for the first one's transaction
    and then finds its row. A message that came back unsent is no second one.

    Args:
        session: the writing session of the last look.
        run: the run that is about to send; runs that ask nothing are left alone.
        going: who may go otherwise, each address once.
        at: the moment of the last look.
    """
    if run.expiring_days is None or run.is_test:
        return set()
    period = timedelta(days=run.expiring_days)
    people = sorted(going, key=lambda one: one.delivery_id, reverse=True)
    first = {_who(person): person for person in people}  # of several messages, the lowest number
    addresses = _addresses(session, run, first)
    rows = [
        _row(run, first[who], address_id, at, period)
        for address_id, who in sorted(addresses.items())  # one order, so that no two runs block
    ]
    noted: set[int] = set()
    for some in chunks(rows, 500):
        noted.update(session.scalars(_statement(session, at, period).values(some)))
    asked = {who for address_id, who in addresses.items() if address_id not in noted}
    may_go = {person.delivery_id for who, person in first.items() if who not in asked}
    return {person.delivery_id for person in people} - may_go


def _who(person: Person) -> int:
    """Return the contact's id, or one below 0 for an address that is no contact's."""
    return -person.address_id if person.contact_id is None else person.contact_id


def _addresses(session: Session, run: Run, people: Mapping[int, Person]) -> dict[int, int]:
    """Return whose each address is: those written to, and the others of the same contacts."""
    whose = {person.address_id: who for who, person in people.items()}
    point = ContactPoint
    for some in chunks(who for who in people if who > 0):
        query = select(point.address_id, point.contact_id).where(
            point.contact_id.in_(some), point.channel == run.channel
        )
        whose.update((address_id, who) for address_id, who in session.execute(query))
    return whose


def _row(
    run: Run, person: Person, address_id: int, at: datetime, period: timedelta
) -> dict[str, Any]:
    return {
        "purpose_id": run.purpose_id,
        "address_id": address_id,
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
