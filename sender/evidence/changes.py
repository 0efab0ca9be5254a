"""What became of an address: whose it was before, and where it moved to; in sentences."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.store.contact_changes import AddressMove, ContactPointMove
from sender.store.contacts import ContactPoint


def changes_of(session: Session, controller_id: int, address_id: int) -> tuple[str, ...]:
    """Return what the controller was told of the address, in the order in which it was."""
    said = [
        *_merges(session, controller_id, address_id),
        *_moves(session, controller_id, address_id),
    ]
    return tuple(sentence for _, sentence in sorted(said, key=lambda one: one[0]))


def _merges(
    session: Session, controller_id: int, address_id: int
) -> Iterator[tuple[datetime, str]]:
    move = ContactPointMove
    query = (
        select(move)
        .join(ContactPoint, ContactPoint.id == move.contact_point_id)
        .where(ContactPoint.controller_id == controller_id, ContactPoint.address_id == address_id)
    )
    for row in session.scalars(query):
        before = f"On {_day(row.moved_at)} contact {row.from_contact_id}, whose address this was,"
        yield row.moved_at, f"{before} was found to be the same person as {row.to_contact_id}."


def _moves(session: Session, controller_id: int, address_id: int) -> Iterator[tuple[datetime, str]]:
    move = AddressMove
    is_end = (move.old_address_id == address_id) | (move.new_address_id == address_id)
    query = select(move).where(move.controller_id == controller_id, is_end)
    for row in session.scalars(query):
        told = (
            "the person was said to have left this address for another one"
            if row.old_address_id == address_id
            else "this was said to be the person's new address"
        )
        yield row.told_at, f"On {_day(row.told_at)} {told}; {_outcome(row)}."


def _outcome(move: AddressMove) -> str:
    if move.confirmed_at is not None:
        return f"confirmed on {_day(move.confirmed_at)} by the code that went to the new one"
    if move.ended_at is not None:
        return f"not confirmed, and replaced by another on {_day(move.ended_at)}"
    return "not confirmed so far"


def _day(moment: datetime) -> str:
    return f"{moment:%d %B %Y}".lstrip("0")
