"""Look through a controller's contacts for addresses to doubt and for people held twice."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from sender.contacts.hygiene import AddressFlag, flags
from sender.store.contacts import Contact, ContactPoint
from sender.vocabulary import Channel

ROWS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Doubtful:
    """An address with flags, and whose it is."""

    contact_id: int
    external_ref: str | None
    channel: Channel
    address: str = field(repr=False)
    flags: tuple[AddressFlag, ...]


@dataclass(frozen=True, slots=True)
class Twins:
    """Contacts of one name at one postcode: one person held twice, or father and daughter."""

    contact_ids: tuple[int, ...]
    external_refs: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found.

    Attributes:
        addresses: how many were looked at.
        counts: addresses by flag, all of them.
        doubtful: the first of them.
        groups: how many groups of twins there are.
        twins: the first of them.
    """

    addresses: int
    counts: Counter[AddressFlag]
    doubtful: tuple[Doubtful, ...]
    groups: int
    twins: tuple[Twins, ...]


def examine(session: Session, controller_id: int, *, most: int) -> Examined:
    """Look at every address and name of one controller, in flat memory; nothing is changed.

    Whoever objected, and whoever was erased, is left alone: they are not to be profiled (¶72).

    Args:
        session: a reading session.
        controller_id: whose contacts; nobody else's are looked at.
        most: how many addresses, and how many groups of twins, are returned; counted are all.
    """
    looked_at, counts = 0, Counter[AddressFlag]()
    doubtful: list[Doubtful] = []
    for one in _addresses(session, controller_id):
        looked_at += 1
        counts.update(one.flags)
        if one.flags and len(doubtful) < most:
            doubtful.append(one)
    groups = 0
    twins: list[Twins] = []
    for found in _twins(session, controller_id):
        groups += 1
        if len(twins) < most:
            twins.append(found)
    return Examined(looked_at, counts, tuple(doubtful), groups, tuple(twins))


def _looked_at(controller_id: int) -> ColumnElement[bool]:
    return (
        (Contact.controller_id == controller_id)
        & Contact.objected_at.is_(None)
        & Contact.erased_at.is_(None)
    )


def _addresses(session: Session, controller_id: int) -> Iterator[Doubtful]:
    query = (
        select(Contact.id, Contact.external_ref, ContactPoint.channel, ContactPoint.address)
        .join(ContactPoint, ContactPoint.contact_id == Contact.id)
        .where(_looked_at(controller_id), ContactPoint.address.is_not(None))
        .order_by(Contact.id, ContactPoint.id)
        .execution_options(yield_per=ROWS_AT_ONCE)
    )
    for contact_id, external_ref, channel, address in session.execute(query):
        if address is not None:
            yield Doubtful(contact_id, external_ref, channel, address, flags(channel, address))


def _twins(session: Session, controller_id: int) -> Iterator[Twins]:
    """Yield the groups by name; the names of one group stand together, so that none is kept."""
    first, last = func.lower(Contact.first_name), func.lower(Contact.last_name)
    home = func.replace(func.lower(Contact.postcode), " ", "")
    alike = (
        select(first.label("first"), last.label("last"), home.label("home"))
        .where(_looked_at(controller_id))
        .group_by(first, last, home)
        .having(func.count() > 1)
        .subquery("alike")
    )
    query = (
        select(Contact.id, Contact.external_ref, alike.c.first, alike.c.last, alike.c.home)
        .join(alike, (first == alike.c.first) & (last == alike.c.last) & (home == alike.c.home))
        .where(_looked_at(controller_id))
        .order_by(alike.c.last, alike.c.first, alike.c.home, Contact.id)
        .execution_options(yield_per=ROWS_AT_ONCE)
    )
    key, members = None, list[tuple[int, str | None]]()
    for contact_id, external_ref, *person in session.execute(query):
        if person != key:
            yield from _group(members)
            key, members = person, []
        members.append((contact_id, external_ref))
    yield from _group(members)


def _group(members: list[tuple[int, str | None]]) -> Iterator[Twins]:
    if members:
        ids, refs = zip(*members, strict=True)
        yield Twins(tuple(ids), tuple(refs))
