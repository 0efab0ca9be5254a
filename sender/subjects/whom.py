"""Whose data is asked for: a person as one controller knows them, by one of their addresses."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.contacts.addresses import find_address_ids
from sender.contacts.merged import merged_into
from sender.controllers.lookup import all_controllers, find_controller
from sender.errors import UsageError
from sender.store.address_moves import predecessors
from sender.store.contacts import ContactPoint
from sender.store.controllers import Controller
from sender.store.keys import AddressHasher
from sender.vocabulary import Channel


@dataclass(frozen=True, slots=True)
class Asked:
    """An address that a person names to be known by.

    Attributes:
        channel: of the address.
        address: normalised.
        controller: the slug of the one controller that is asked; None for all of them.
    """

    channel: Channel
    address: str
    controller: str | None

    def require_scope(self, *, everywhere: bool) -> None:
        """Refuse to guess whether one controller or all are meant.

        Raises:
            UsageError: neither was said, or both.
        """
        if (self.controller is None) != everywhere:
            raise UsageError(
                "Say whose data is meant.", remedy="Either --controller SLUG or --all-controllers."
            )


@dataclass(frozen=True, slots=True)
class Whom:
    """A person at one controller, by the ledgers' ids.

    Attributes:
        controller_id: who holds the data; nobody else's is looked at.
        slug: its name.
        address_ids: every address of theirs there, also one that is no contact's, or was theirs.
        contact_ids: the contacts that these addresses belong to, and those merged into them.
        everywhere: whether all controllers are asked, so that rows for all of them count too.
    """

    controller_id: int
    slug: str
    address_ids: tuple[int, ...]
    contact_ids: tuple[int, ...]
    everywhere: bool = False


def find_everybody(session: Session, hasher: AddressHasher, asked: Asked) -> list[Whom]:
    """Return the person at each controller that is asked, also where nothing is held.

    Raises:
        NotFoundError: there is no such controller.
    """
    known = find_address_ids(session, hasher, asked.channel, [asked.address])
    everywhere = asked.controller is None
    return [
        find_whom(session, controller, list(known.values()), everywhere=everywhere)
        for controller in controllers_asked(session, asked)
    ]


def controllers_asked(session: Session, asked: Asked) -> Sequence[Controller]:
    """Return the controller that is asked, or all there are.

    Raises:
        NotFoundError: there is no such controller.
    """
    if asked.controller is None:
        return all_controllers(session)
    return [find_controller(session, asked.controller)]


def find_whom(
    session: Session, controller: Controller, address_ids: Sequence[int], *, everywhere: bool
) -> Whom:
    """Return the person of these addresses at the controller, with their other addresses there."""
    point = ContactPoint
    named = {*address_ids, *_before(session, controller.id, address_ids)}
    contacts = session.scalars(
        select(point.contact_id).where(
            point.controller_id == controller.id, point.address_id.in_(named)
        )
    ).all()
    theirs = session.scalars(select(point.address_id).where(point.contact_id.in_(contacts))).all()
    return Whom(
        controller_id=controller.id,
        slug=controller.slug,
        address_ids=tuple(sorted({*named, *theirs})),
        contact_ids=tuple(sorted({*contacts, *merged_into(session, contacts)})),
        everywhere=everywhere,
    )


def _before(session: Session, controller_id: int, address_ids: Sequence[int]) -> set[int]:
    """Return what the addresses were before the person changed them, and confirmed it."""
    return {
        old
        for address_id in address_ids
        for old in predecessors(session, controller_id, address_id)
    }
