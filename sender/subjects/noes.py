"""Let the noes of a person's one address hold for another: after a merge, or a changed address.

Only noes are carried, and only what the person said: what bounced says nothing about another
mailbox, and what is held waits for its own reply to be read. Within one controller, and from a
channel to the same one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.consent.ledger import ConsentAct, record
from sender.consent.objection import Objection, record_objection
from sender.store.consents import ConsentState
from sender.store.contacts import Contact
from sender.store.suppressions import Block
from sender.suppression.ledger import BlockScope, Suppression, suppress
from sender.vocabulary import EVERY, EVERY_CHANNEL, BlockCause, Channel, ConsentKind

Addresses = Mapping[int, Channel]
"""The ledgers' numbers of addresses, each with its channel."""

REFUSALS: Final = (ConsentKind.REFUSED, ConsentKind.WITHDRAWN, ConsentKind.OBJECTED)
"""The noes of a consent state that the person said; an invalid record is none of theirs."""

_SAID: Final = tuple(cause for cause in BlockCause if cause.set_by_person)


@dataclass(frozen=True, slots=True)
class Carriage:
    """What carries noes from address to address.

    Attributes:
        controller_id: whose; no other's ledgers change.
        why: the act of the operator, e.g. `merge`; the source of each record, with the event that
            it rests on.
        operator: who.
        now: when.
    """

    controller_id: int
    why: str
    operator: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Carried:
    """How many records were added: blocks, and refusals of a purpose."""

    blocks: int
    refusals: int

    def __add__(self, other: "Carried") -> "Carried":
        """Return both together."""
        return Carried(self.blocks + other.blocks, self.refusals + other.refusals)


def carry_noes(
    session: Session, carriage: Carriage, sources: Addresses, targets: Addresses
) -> Carried:
    """Record at the targets each no of the sources that is not in force there; lock them first.

    A block keeps the time of the person's act. A refusal of a purpose is dated now, whatever was
    agreed to at the target before: of two records of one person the stricter counts, not the later.
    Its source names the event that says when it was said.
    """
    blocks = list(_blocks(session, carriage, sources, targets))
    suppress(session, blocks, carriage.now)
    refusals = list(_refusals(session, carriage, sources, targets))
    record(session, refusals, carriage.now)
    return Carried(len(blocks), len(refusals))


def objections_of(
    session: Session, controller_id: int, contact: Contact | None, addresses: Addresses
) -> set[datetime]:
    """Return when the person objected to this controller, as the contact and the blocks have it."""
    query = select(Block.set_at).where(
        Block.address_id.in_(addresses),
        Block.controller_id.in_((EVERY, controller_id)),
        Block.channel == EVERY_CHANNEL,
        Block.purpose_id == EVERY,
        Block.cause == BlockCause.OBJECTION,
    )
    marked = {contact.objected_at} if contact is not None and contact.objected_at else set()
    return marked | set(session.scalars(query))


def object_again(
    session: Session, carriage: Carriage, address_id: int, moments: set[datetime]
) -> None:
    """Let the objections hold for everybody and every address that this one now belongs to.

    Each keeps its time: by it the person's own way back finds what one objection covered.
    """
    for moment in sorted(moments):
        objection = Objection(
            controller_id=carriage.controller_id,
            address_id=address_id,
            occurred_at=moment,
            source=carriage.why,
            operator=carriage.operator,
        )
        record_objection(session, objection, carriage.now)


def _blocks(
    session: Session, carriage: Carriage, sources: Addresses, targets: Addresses
) -> Iterator[Suppression]:
    in_force = _in_force(session, carriage.controller_id, targets)
    for block in _said(session, carriage.controller_id, sources):
        for address_id, channel in targets.items():
            key = (address_id, block.channel, block.purpose_id, block.cause)
            if block.channel in {EVERY_CHANNEL, channel} and key not in in_force:
                in_force.add(key)
                yield _block(carriage, block, address_id)


def _said(session: Session, controller_id: int, sources: Addresses) -> list[Block]:
    """Return what the person set; objections to everything have a way of their own."""
    query = select(Block).where(
        Block.address_id.in_(sources),
        Block.controller_id.in_((EVERY, controller_id)),
        Block.cause.in_(_SAID),
    )
    return [block for block in session.scalars(query) if not _is_total_objection(block)]


def _is_total_objection(block: Block) -> bool:
    is_total = block.channel == EVERY_CHANNEL and block.purpose_id == EVERY
    return is_total and block.cause is BlockCause.OBJECTION


def _in_force(
    session: Session, controller_id: int, targets: Addresses
) -> set[tuple[int, str, int, BlockCause]]:
    query = select(Block.address_id, Block.channel, Block.purpose_id, Block.cause).where(
        Block.address_id.in_(targets), Block.controller_id.in_((EVERY, controller_id))
    )
    return {
        (address_id, channel, purpose_id, cause)
        for address_id, channel, purpose_id, cause in session.execute(query)
    }


def _block(carriage: Carriage, block: Block, address_id: int) -> Suppression:
    scope = BlockScope(address_id, carriage.controller_id, block.channel, block.purpose_id or None)
    return Suppression(
        scope=scope,
        cause=block.cause,
        occurred_at=block.set_at,
        source=f"{carriage.why}: event {block.event_id}",
        by_person=True,
        operator=carriage.operator,
    )


def _refusals(
    session: Session, carriage: Carriage, sources: Addresses, targets: Addresses
) -> Iterator[ConsentAct]:
    refused = _refused(session, carriage.controller_id, targets)
    for state in _states(session, carriage.controller_id, sources):
        for address_id, channel in targets.items():
            key = (state.purpose_id, address_id)
            if channel is sources[state.address_id] and key not in refused:
                refused.add(key)
                yield _refusal(carriage, state, address_id)


def _refused(session: Session, controller_id: int, targets: Addresses) -> set[tuple[int, int]]:
    states = _states(session, controller_id, targets)
    return {(state.purpose_id, state.address_id) for state in states}


def _states(session: Session, controller_id: int, addresses: Addresses) -> list[ConsentState]:
    query = select(ConsentState).where(
        ConsentState.controller_id == controller_id,
        ConsentState.address_id.in_(addresses),
        ConsentState.status.in_(REFUSALS),
    )
    return list(session.scalars(query.execution_options(populate_existing=True)))


def _refusal(carriage: Carriage, state: ConsentState, address_id: int) -> ConsentAct:
    return ConsentAct(
        controller_id=carriage.controller_id,
        purpose_id=state.purpose_id,
        address_id=address_id,
        kind=state.status,
        occurred_at=carriage.now,
        method=carriage.why,
        source=f"{carriage.why}: event {state.event_id}",
        operator=carriage.operator,
    )
