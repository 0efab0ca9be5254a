"""Contacts of one controller that may be one person: for certain, or by a hint only.

Whoever objected is among them: a twin who is still written to is what the objection has to reach
(guidance ¶72). Whoever was erased or merged already is not.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, or_, select
from sqlalchemy.orm import Session

from sender.store.contact_changes import ContactMerge
from sender.store.contacts import Contact, ContactPoint
from sender.vocabulary import Channel

ROWS_AT_ONCE = 5_000


class Likeness(StrEnum):
    """What two contacts have in common."""

    SAME_MAILBOX = "same_mailbox"
    """Their addresses are spellings of one mailbox, as its provider defines them: for certain."""
    SAME_NAME_AND_POSTCODE = "same_name_and_postcode"
    """A hint: father and daughter may share both."""

    @property
    def is_certain(self) -> bool:
        """Whether the mail of both comes to one place."""
        return self is Likeness.SAME_MAILBOX


@dataclass(frozen=True, slots=True)
class Twin:
    """One contact of a group."""

    contact_id: int
    external_ref: str | None
    objected: bool


@dataclass(frozen=True, slots=True)
class Twins:
    """Contacts that are alike."""

    likeness: Likeness
    contacts: tuple[Twin, ...]


def find_twins(session: Session, controller_id: int) -> Iterator[Twins]:
    """Yield the groups of one controller, the certain ones first, in flat memory."""
    yield from _groups(session, Likeness.SAME_MAILBOX, _by_mailbox(session, controller_id))
    yield from _groups(session, Likeness.SAME_NAME_AND_POSTCODE, _by_name(controller_id))


def _looked_at(controller_id: int) -> ColumnElement[bool]:
    merged = select(ContactMerge.merged_contact_id)
    return (
        (Contact.controller_id == controller_id)
        & Contact.erased_at.is_(None)
        & Contact.id.not_in(merged)
    )


def _by_mailbox(session: Session, controller_id: int) -> Select[Any]:
    """Return the query for contacts whose Gmail addresses differ in spelling only.

    Dots in the name don't matter there (support.google.com/mail/answer/7436150), nor what follows a
    plus sign; googlemail.com is gmail.com. Other providers tell such spellings apart, or don't say.
    """
    mailbox = _gmail_name(session, ContactPoint.address)
    spellings = (
        select(Contact.id, mailbox.label("mailbox"))
        .join(ContactPoint, ContactPoint.contact_id == Contact.id)
        .where(
            _looked_at(controller_id),
            ContactPoint.channel == Channel.EMAIL,
            or_(
                ContactPoint.address.endswith("@gmail.com"),
                ContactPoint.address.endswith("@googlemail.com"),
            ),
        )
        .distinct()
        .subquery("spellings")
    )
    shared = (
        select(spellings.c.mailbox)
        .group_by(spellings.c.mailbox)
        .having(func.count() > 1)
        .subquery("shared")
    )
    return (
        select(Contact.id, Contact.external_ref, Contact.objected_at, spellings.c.mailbox)
        .join(spellings, spellings.c.id == Contact.id)
        .join(shared, shared.c.mailbox == spellings.c.mailbox)
        .order_by(spellings.c.mailbox, Contact.id)
    )


def _gmail_name(session: Session, address: Any) -> ColumnElement[str]:
    place = func.instr if session.get_bind().dialect.name == "sqlite" else func.strpos
    whole = func.substr(address, 1, place(address, "@") - 1)
    plus = place(whole, "+")
    name = case((plus > 0, func.substr(whole, 1, plus - 1)), else_=whole)
    return func.replace(name, ".", "")


def _by_name(controller_id: int) -> Select[Any]:
    first, last = func.lower(Contact.first_name), func.lower(Contact.last_name)
    home = func.replace(func.lower(Contact.postcode), " ", "")
    alike = (
        select(first.label("first"), last.label("last"), home.label("home"))
        .where(_looked_at(controller_id))
        .group_by(first, last, home)
        .having(func.count() > 1)
        .subquery("alike")
    )
    return (
        select(
            Contact.id,
            Contact.external_ref,
            Contact.objected_at,
            alike.c.last,
            alike.c.first,
            alike.c.home,
        )
        .join(alike, (first == alike.c.first) & (last == alike.c.last) & (home == alike.c.home))
        .where(_looked_at(controller_id))
        .order_by(alike.c.last, alike.c.first, alike.c.home, Contact.id)
    )


def _groups(session: Session, likeness: Likeness, query: Select[Any]) -> Iterator[Twins]:
    """Yield the groups; the rows of one stand together, so that none is kept for long."""
    key, members = None, list[Twin]()
    rows = session.execute(query.execution_options(yield_per=ROWS_AT_ONCE))
    for contact_id, external_ref, objected_at, *common in rows:
        if common != key:
            yield from _group(likeness, members)
            key, members = common, []
        members.append(Twin(contact_id, external_ref, objected_at is not None))
    yield from _group(likeness, members)


def _group(likeness: Likeness, members: Iterable[Twin]) -> Iterator[Twins]:
    if found := tuple(members):
        yield Twins(likeness, found)
