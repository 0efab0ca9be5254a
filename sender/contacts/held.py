"""What an open request is about stays until it is answered, however old it is.

Whoever asks to see their data, to have it put right or complains must find what was there when they
asked. A request that names no address, contact or message holds nothing: nobody knows whose it is.
"""

from typing import Any, Final

from sqlalchemy import ColumnElement, CompoundSelect, Select, func, select, tuple_, union

from sender.store.contacts import ContactPoint
from sender.store.deliveries import Delivery
from sender.store.requests import SubjectRequest, SubjectRequestDelivery

HOLDING: Final = ("access", "rectification", "complaint")
"""Words of `sender.subjects.desk.RequestKind` whose answer is in what is held."""

_NOBODY: Final = 0
"""Stands for a missing number, so that no comparison is with NULL, which is neither yes nor no."""


def is_held(controller_id: Any, address_id: Any) -> ColumnElement[bool]:
    """Whether an open request to the controller is about the person of this address."""
    own = tuple_(controller_id, func.coalesce(address_id, _NOBODY))
    return own.in_(select(_HELD.c.controller_id, _HELD.c.address_id))


def is_held_anywhere(address_id: Any) -> ColumnElement[bool]:
    """Whether an open request to whichever controller is about the person of this address."""
    return func.coalesce(address_id, _NOBODY).in_(held_addresses())


def held_addresses() -> Select[int]:
    """Return the addresses of everybody whom an open request is about, at any controller."""
    return select(_HELD.c.address_id)


def held_contacts() -> Select[int]:
    """Return the contacts whom an open request is about."""
    return select(_HELD_CONTACTS.c.contact_id)


def _contacts() -> CompoundSelect[Any]:
    point = ContactPoint
    by_number: Select[Any] = select(SubjectRequest.contact_id).where(
        _holds(), SubjectRequest.contact_id.is_not(None)
    )
    by_address: Select[Any] = select(point.contact_id).where(
        tuple_(point.controller_id, point.address_id).in_(
            select(_NAMED.c.controller_id, _NAMED.c.address_id)
        )
    )
    return union(by_number, by_address)


def _pairs() -> CompoundSelect[Any]:
    """Return controller and address of everybody whom an open request is about."""
    point = ContactPoint
    theirs: Select[Any, Any] = select(point.controller_id, point.address_id).where(
        point.contact_id.in_(held_contacts())
    )
    return union(select(_NAMED.c.controller_id, _NAMED.c.address_id), theirs)


def _named_addresses() -> CompoundSelect[Any]:
    """Return controller and address where a request names the address, or a message to it."""
    request, link = SubjectRequest, SubjectRequestDelivery
    said: Select[Any, Any] = select(request.controller_id, request.address_id).where(
        _holds(), request.address_id.is_not(None)
    )
    written_to: Select[Any, Any] = (
        select(request.controller_id, Delivery.address_id)
        .join(link, link.request_id == request.id)
        .join(Delivery, Delivery.id == link.delivery_id)
        .where(_holds())
    )
    return union(said, written_to)


def _holds() -> ColumnElement[bool]:
    return SubjectRequest.closed_at.is_(None) & SubjectRequest.kind.in_(HOLDING)


_NAMED: Final = _named_addresses().cte("named")
_HELD_CONTACTS: Final = _contacts().cte("held_contacts")
_HELD: Final = _pairs().cte("held")
"""One object each, so that a statement that asks several times says it once.

Joined by `in`, never by `join`: SQLite then looks each up by its index instead of reading all.
"""
