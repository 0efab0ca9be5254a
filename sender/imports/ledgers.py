"""What the ledgers already say about the addresses of one chunk."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.imports.opt_out_cells import OptOut
from sender.store.consents import ConsentEvent, ConsentState
from sender.store.portable import chunks
from sender.store.suppressions import Block, SuppressionEvent
from sender.vocabulary import EVERY, EVERY_CHANNEL, BlockCause, Channel, ConsentKind, SuppressionAct

Blocked = tuple[int, str, BlockCause]
"""Address, channel (or `*`) and why."""

_HERE = (BlockCause.OPT_OUT, BlockCause.BOUNCE)


@dataclass(frozen=True, slots=True)
class KnownConsent:
    """One consent event, as far as telling it from another goes."""

    kind: ConsentKind
    occurred_at: datetime
    notice_id: int | None


class Ledgers:
    """Blocks and events of one controller about some addresses, as they are and as they become.

    Attributes:
        objected: addresses under an objection to this controller (or to all), since when.
        blocked: addresses with an opt-out from a channel (or `*`) or a bounce in force at this
            controller.
        block_times: when each of these was ever said, released or not.
        consents: consent events by address and purpose, oldest first.

    Args:
        session: a session in which the addresses are locked.
        controller_id: whose ledgers; blocks of every controller are seen too.
        address_ids: about whom.
    """

    def __init__(self, session: Session, controller_id: int, address_ids: Sequence[int]) -> None:
        self._controller_id = controller_id
        self.objected: dict[int, datetime] = {}
        self.blocked: set[Blocked] = set()
        self.block_times: dict[Blocked, list[datetime]] = defaultdict(list)
        self.consents: dict[int, dict[int, list[KnownConsent]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for some in chunks(address_ids):
            self._load_blocks(session, some)
            self._load_opt_outs(session, some)
            self._load_consents(session, some)

    def knows(self, address_id: int, channel: Channel, opt_out: OptOut) -> bool:
        """Whether this very no is in force, or was said before, released or not."""
        key = (address_id, channel.value, opt_out.cause)
        if self.blocked & {key, (address_id, EVERY_CHANNEL, opt_out.cause)}:
            return True
        return any(opt_out.is_same_time(at) for at in self.block_times[key])

    def _load_blocks(self, session: Session, address_ids: Sequence[int]) -> None:
        query = select(
            Block.address_id, Block.controller_id, Block.channel, Block.cause, Block.set_at
        ).where(
            Block.address_id.in_(address_ids),
            Block.controller_id.in_([EVERY, self._controller_id]),
            Block.purpose_id == EVERY,
            Block.cause.in_([BlockCause.OBJECTION, *_HERE]),
        )
        for address_id, controller_id, channel, cause, set_at in session.execute(query):
            if cause in _HERE and controller_id == self._controller_id:
                self.blocked.add((address_id, channel, cause))
            elif cause is BlockCause.OBJECTION and channel == EVERY_CHANNEL:
                earlier = self.objected.get(address_id, set_at)
                self.objected[address_id] = min(earlier, set_at)

    def _load_opt_outs(self, session: Session, address_ids: Sequence[int]) -> None:
        query = select(
            SuppressionEvent.address_id,
            SuppressionEvent.channel,
            SuppressionEvent.cause,
            SuppressionEvent.occurred_at,
        ).where(
            SuppressionEvent.address_id.in_(address_ids),
            SuppressionEvent.controller_id == self._controller_id,
            SuppressionEvent.purpose_id.is_(None),
            SuppressionEvent.cause.in_(_HERE),
            SuppressionEvent.act == SuppressionAct.SET,
        )
        for address_id, channel, cause, occurred_at in session.execute(query):
            self.block_times[address_id, channel, cause].append(occurred_at)

    def _load_consents(self, session: Session, address_ids: Sequence[int]) -> None:
        query = (
            select(
                ConsentEvent.address_id,
                ConsentEvent.purpose_id,
                ConsentEvent.kind,
                ConsentEvent.occurred_at,
                ConsentEvent.notice_id,
            )
            .where(
                ConsentEvent.address_id.in_(address_ids),
                ConsentEvent.controller_id == self._controller_id,
            )
            .order_by(ConsentEvent.id)
        )
        for address_id, purpose_id, kind, at, notice_id in session.execute(query):
            self.consents[address_id][purpose_id].append(KnownConsent(kind, at, notice_id))


def denied(
    session: Session, controller_id: int, address_ids: Sequence[int]
) -> set[tuple[int, int]]:
    """Return the address and purpose of every consent state that is a no at present."""
    found: set[tuple[int, int]] = set()
    for some in chunks(address_ids):
        query = select(ConsentState.address_id, ConsentState.purpose_id).where(
            ConsentState.controller_id == controller_id,
            ConsentState.address_id.in_(some),
            ConsentState.status.in_([kind for kind in ConsentKind if kind.is_negative]),
        )
        found.update((address_id, purpose_id) for address_id, purpose_id in session.execute(query))
    return found
