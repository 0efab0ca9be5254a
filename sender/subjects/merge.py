"""Merge two contacts that are one person: every no of either holds, no yes is made.

It works within one controller. The kept contact gets the other's addresses; the other stays as an
empty row under its own reference, so that history and the next import know whom it means.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from sender.contacts.addresses import find_address_ids, lock_addresses
from sender.contacts.merged import move_points, record_merge, survivors
from sender.context import Context
from sender.controllers.lookup import find_controller, purposes
from sender.errors import NotFoundError, RefusedError
from sender.store import audit_trail
from sender.store.contacts import Contact, ContactPoint
from sender.store.controllers import Controller
from sender.store.keys import AddressHasher
from sender.store.suppressions import Block
from sender.subjects.details import join_details
from sender.subjects.holding_still import hold_controller
from sender.subjects.noes import (
    Addresses,
    Carriage,
    Carried,
    carry_noes,
    object_again,
    objections_of,
)
from sender.subjects.verdicts import Verdicts, verdicts_on
from sender.vocabulary import EVERY, BlockCause, Channel, Reason

ACTION: Final = "merge"
"""The source of what a merge records, and the method of its refusals."""

WhichContact = int | tuple[Channel, str]
"""A contact's number, or one of its addresses: its channel, and it normalised."""


@dataclass(frozen=True, slots=True)
class Stricter:
    """An address that was written to for a purpose, and no longer is."""

    contact: int
    channel: Channel
    purpose: str
    reason: Reason
    sentence: str


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge did, or would do.

    Attributes:
        kept: the contact that stays.
        merged: the one that is empty now.
        addresses: how many came with it.
        blocks: how many were set for a no of the other side.
        refusals: likewise, refusals of one purpose.
        objected: whether the person objects to everything.
        stricter: what is no longer sent.
        not_kept: the names of details in which both differed; the kept contact's stay.
    """

    kept: int
    merged: int
    addresses: int
    blocks: int
    refusals: int
    objected: bool
    stricter: tuple[Stricter, ...]
    not_kept: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Pair:
    controller: Controller
    kept: Contact
    other: Contact
    kept_addresses: Addresses
    other_addresses: Addresses

    @property
    def addresses(self) -> Addresses:
        return {**self.kept_addresses, **self.other_addresses}


def merge_contacts(
    context: Context, slug: str, kept: WhichContact, other: WhichContact, *, dry_run: bool = False
) -> Merged:
    """Merge the other contact into the kept one; a dry run takes every step and undoes them.

    Raises:
        NotFoundError: there is no such controller or contact.
        RefusedError: they are one already, one was erased, or a reply of theirs waits to be read.
    """
    with context.store.write() as session:
        pair = _pair(session, context.hasher, slug, kept, other)
        attempt = session.begin_nested()
        merged = _merge(session, context, pair, context.clock.now())
        if dry_run:
            attempt.rollback()
        else:
            attempt.commit()
    return merged


def _pair(
    session: Session, hasher: AddressHasher, slug: str, kept: WhichContact, other: WhichContact
) -> _Pair:
    controller = find_controller(session, slug)
    hold_controller(session, controller.id)
    ids = [_contact_id(session, hasher, controller, one) for one in (kept, other)]
    contacts = _locked(session, ids)
    addresses = [_addresses(session, row_id) for row_id in ids]
    lock_addresses(session, {**addresses[0], **addresses[1]})
    pair = _Pair(controller, contacts[ids[0]], contacts[ids[1]], *addresses)
    _require_mergeable(session, pair)
    return pair


def _contact_id(
    session: Session, hasher: AddressHasher, controller: Controller, which: WhichContact
) -> int:
    if isinstance(which, int):
        found = survivors(session, [which]).get(which, which)
        contact = session.get(Contact, found)
        if contact is not None and contact.controller_id == controller.id:
            return contact.id
    else:
        channel, address = which
        known = find_address_ids(session, hasher, channel, [address])
        point = select(ContactPoint.contact_id).where(
            ContactPoint.controller_id == controller.id,
            ContactPoint.address_id == known.get(address, 0),
        )
        if (contact_id := session.scalar(point)) is not None:
            return contact_id
    raise NotFoundError(
        f"{controller.slug} has no such contact.",
        remedy=f"See: sender contacts twins -c {controller.slug}",
    )


def _locked(session: Session, contact_ids: Collection[int]) -> dict[int, Contact]:
    query = select(Contact).where(Contact.id.in_(contact_ids)).order_by(Contact.id)
    locked = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    return {row.id: row for row in session.scalars(locked)}


def _addresses(session: Session, contact_id: int) -> Addresses:
    point = ContactPoint
    query = select(point.address_id, point.channel).where(point.contact_id == contact_id)
    return {row.address_id: row.channel for row in session.execute(query)}


def _require_mergeable(session: Session, pair: _Pair) -> None:
    if pair.kept.id == pair.other.id:
        raise RefusedError("That is one contact already.")
    if pair.kept.erased_at is not None or pair.other.erased_at is not None:
        raise RefusedError(
            "One of them was erased: nothing is left to tell that they are one person.",
            remedy="Leave it. What the erased one had opted out of holds.",
        )
    held = select(Block.event_id).where(
        Block.address_id.in_(pair.addresses),
        Block.controller_id.in_((EVERY, pair.controller.id)),
        Block.cause == BlockCause.HOLD,
    )
    if session.scalar(held.limit(1)) is not None:
        raise RefusedError(
            "A reply of one of them waits for somebody to read it.",
            remedy=f"Decide it first: sender inbox list -c {pair.controller.slug}",
        )


def _merge(session: Session, context: Context, pair: _Pair, now: datetime) -> Merged:
    controller_id = pair.controller.id
    before = verdicts_on(session, controller_id, pair.addresses, now)
    carriage = Carriage(controller_id, ACTION, context.operator, now)
    moments = _objections(session, pair)
    move_points(session, pair.other.id, pair.kept.id, now)
    carried = _carry(session, carriage, pair)
    _object(session, carriage, pair, moments)
    dropped = _join(session, context, pair, now)
    after = verdicts_on(session, controller_id, pair.addresses, now)
    _require_not_looser(before, after)
    merged = Merged(
        kept=pair.kept.id,
        merged=pair.other.id,
        addresses=len(pair.other_addresses),
        blocks=carried.blocks,
        refusals=carried.refusals,
        objected=bool(moments),
        stricter=tuple(_stricter(session, pair, before, after)),
        not_kept=tuple(sorted(dropped)),
    )
    _audit(session, context, pair, merged, dropped=dropped, now=now)
    return merged


def _objections(session: Session, pair: _Pair) -> set[datetime]:
    controller_id = pair.controller.id
    return objections_of(session, controller_id, pair.kept, pair.kept_addresses) | objections_of(
        session, controller_id, pair.other, pair.other_addresses
    )


def _carry(session: Session, carriage: Carriage, pair: _Pair) -> Carried:
    there = carry_noes(session, carriage, pair.kept_addresses, pair.other_addresses)
    return there + carry_noes(session, carriage, pair.other_addresses, pair.kept_addresses)


def _object(session: Session, carriage: Carriage, pair: _Pair, moments: set[datetime]) -> None:
    """Object for the whole person, also where no address of theirs is known (guidance ¶72)."""
    if not moments:
        return
    if pair.addresses:
        object_again(session, carriage, min(pair.addresses), moments)
    session.execute(
        update(Contact)
        .where(Contact.id == pair.kept.id, Contact.objected_at.is_(None))
        .values(objected_at=min(moments))
    )


def _join(session: Session, context: Context, pair: _Pair, now: datetime) -> dict[str, Any]:
    kept, other = pair.kept, pair.other
    dropped = join_details(kept, other)
    kept.updated_at = other.updated_at = now
    if kept.external_ref is None and other.external_ref is not None:
        reference, other.external_ref = other.external_ref, None
        session.flush()  # a reference is never on two rows
        kept.external_ref = reference
    record_merge(session, other.id, kept.id, operator=context.operator, now=now)
    return dropped


def _require_not_looser(before: Verdicts, after: Verdicts) -> None:
    """Fail closed: a merge that lets a message through is none."""
    if any(after[asked].allowed and not decision.allowed for asked, decision in before.items()):
        raise RefusedError(
            "After this merge somebody could be written to who could not before; nothing was done.",
            remedy="Report this: it is a fault of the program.",
        )


def _stricter(session: Session, pair: _Pair, before: Verdicts, after: Verdicts) -> list[Stricter]:
    slugs = {row.id: row.slug for row in purposes(session, pair.controller.id)}
    found = []
    for asked, decision in before.items():
        now = after[asked]
        if decision.allowed and now.refusal is not None:
            is_kept = asked.address_id in pair.kept_addresses
            found.append(
                Stricter(
                    contact=pair.kept.id if is_kept else pair.other.id,
                    channel=pair.addresses[asked.address_id],
                    purpose=slugs[asked.purpose_id],
                    reason=now.refusal,
                    sentence=now.sentence,
                )
            )
    return found


def _audit(
    session: Session,
    context: Context,
    pair: _Pair,
    merged: Merged,
    *,
    dropped: dict[str, Any],
    now: datetime,
) -> None:
    details: dict[str, Any] = {
        "kept": merged.kept,
        "merged": merged.merged,
        "addresses": merged.addresses,
        "blocks": merged.blocks,
        "refusals": merged.refusals,
        "objected": merged.objected,
    }
    if pair.addresses:
        details["address_id"] = min(pair.addresses)
    audit_trail.record(
        session,
        now=now,
        operator=context.operator,
        action="contacts.merge",
        controller_id=pair.controller.id,
        details=details,
        # Found for an erasure by an address; without one nothing personal may be kept.
        personal={"not_kept": dropped} if dropped and pair.addresses else None,
    )
