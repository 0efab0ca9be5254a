"""Where people's addresses moved to, as their noes follow them."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session

from sender.store.address_locks import lock_addresses
from sender.store.contact_changes import AddressMove
from sender.store.portable import chunks


class At(NamedTuple):
    """An address as one controller knows it."""

    controller_id: int
    address_id: int


def lock_with_successors(
    session: Session, address_ids: Collection[int]
) -> Mapping[int, Collection[At]]:
    """Lock the addresses and those that they moved to, and return where each moved to.

    They are read again once they are locked: whoever records a move holds the old address, so none
    is missed.
    """
    moved = successors(session, address_ids)
    locked: set[int] = set()
    while wanted := {*address_ids, *_ends(moved)} - locked:
        lock_addresses(session, wanted)
        locked |= wanted
        moved = successors(session, address_ids)
    return moved


def successors(session: Session, address_ids: Collection[int]) -> dict[int, set[At]]:
    """Return where each of these addresses moved to, and where that moved on to, by controller."""
    return _followed(session, address_ids, AddressMove.old_address_id, AddressMove.new_address_id)


def predecessors(session: Session, controller_id: int, address_id: int) -> set[int]:
    """Return the addresses of the same person before, where the person confirmed the change."""
    found = _followed(
        session,
        [address_id],
        AddressMove.new_address_id,
        AddressMove.old_address_id,
        confirmed_only=True,
    )
    return {at.address_id for at in found.get(address_id, ()) if at.controller_id == controller_id}


def _followed(
    session: Session,
    address_ids: Collection[int],
    start: InstrumentedAttribute[int],
    end: InstrumentedAttribute[int],
    *,
    confirmed_only: bool = False,
) -> dict[int, set[At]]:
    steps: dict[At, set[int]] = defaultdict(set)
    asked: set[int] = set()
    while wanted := {*address_ids, *(one for ends in steps.values() for one in ends)} - asked:
        for some in chunks(sorted(wanted)):
            query = select(AddressMove.controller_id, start, end).where(
                start.in_(some), AddressMove.ended_at.is_(None)
            )
            if confirmed_only:
                query = query.where(AddressMove.confirmed_at.is_not(None))
            for controller_id, first, last in session.execute(query):
                steps[At(controller_id, first)].add(last)
        asked |= wanted
    if not steps:
        return {}
    return {one: reached for one in set(address_ids) if (reached := _reached(steps, one))}


def _reached(steps: Mapping[At, Collection[int]], address_id: int) -> set[At]:
    """Return all that can be reached from an address, whatever circles there are."""
    found: set[At] = set()
    ahead = [at for at in steps if at.address_id == address_id]
    while ahead:
        here = ahead.pop()
        onward = {At(here.controller_id, one) for one in steps.get(here, ())} - found
        found |= onward
        ahead.extend(onward)
    return {at for at in found if at.address_id != address_id}


def _ends(moved: Mapping[int, Collection[At]]) -> set[int]:
    return {at.address_id for ends in moved.values() for at in ends}
