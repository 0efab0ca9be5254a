"""Every block that is in force at one controller, to be kept elsewhere or compared."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.store.addresses import Address
from sender.store.consents import Purpose
from sender.store.contacts import ContactPoint
from sender.store.suppressions import Block
from sender.vocabulary import EVERY, BlockCause, Channel


@dataclass(frozen=True, slots=True)
class Listed:
    """A block in force.

    Attributes:
        address: in plain where the controller still knows it, else empty.
        key_hash: the ledgers' keyed hash, hexadecimal.
        address_channel: what the address is.
        channel: the channel that is blocked; `*` is all.
        purpose: the purpose that is blocked; `*` is all.
        cause: why.
        set_at: since when.
        everywhere: whether it holds at all controllers.
    """

    address: str
    key_hash: str
    address_channel: Channel
    channel: str
    purpose: str
    cause: BlockCause
    set_at: datetime
    everywhere: bool


def list_blocks(session: Session, controller_id: int) -> Iterator[Listed]:
    """Yield the blocks that hold at this controller, those for all controllers too; streamed."""
    query = (
        select(Block, Address.channel, Address.key_hash, ContactPoint.address, Purpose.slug)
        .join(Address, Address.id == Block.address_id)
        .outerjoin(
            ContactPoint,
            (ContactPoint.address_id == Block.address_id)
            & (ContactPoint.controller_id == controller_id),
        )
        .outerjoin(Purpose, Purpose.id == Block.purpose_id)
        .where(Block.controller_id.in_((EVERY, controller_id)))
        .order_by(Block.address_id, Block.controller_id, Block.channel, Block.purpose_id)
        .execution_options(yield_per=5_000)
    )
    for block, channel, key_hash, address, purpose in session.execute(query):
        yield Listed(
            address=address or "",
            key_hash=key_hash.hex(),
            address_channel=channel,
            channel=block.channel,
            purpose=purpose or "*",
            cause=block.cause,
            set_at=block.set_at,
            everywhere=block.controller_id == EVERY,
        )
        session.expunge(block)
