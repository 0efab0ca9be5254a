"""Noes of people that were lifted since. What somebody had agreed to before them stays over.

Whoever lifted a no asked for something that was named to them: by a sign-up for what they ticked.
A yes that is told only afterwards, of before the no, was in no question then; maybe its purpose did
not even exist.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from sender.store.id_lists import among
from sender.store.portable import chunks
from sender.store.suppressions import SuppressionEvent
from sender.vocabulary import EVERY_CHANNEL, BlockCause, Channel, SuppressionAct


@dataclass(frozen=True, slots=True)
class LiftedNo:
    """A no of a person's own that is in force no more.

    Attributes:
        address_id: at which it was said.
        channel: of which messages, or `*`.
        purpose_id: of which purpose; None for all.
        said_at: when the person said it.
    """

    address_id: int
    channel: str
    purpose_id: int | None
    said_at: datetime

    def covers(self, channel: Channel, purpose_id: int) -> bool:
        """Whether it was about these messages, among others."""
        return self.channel in {EVERY_CHANNEL, channel.value} and self.purpose_id in {
            None,
            purpose_id,
        }


def lifted_noes(
    session: Session, controller_id: int, address_ids: Collection[int]
) -> list[LiftedNo]:
    """Return the noes at these addresses, to the controller or to all, that were lifted since."""
    said, lifting = SuppressionEvent, aliased(SuppressionEvent)
    query = (
        select(said.address_id, said.channel, said.purpose_id, said.occurred_at)
        .join(
            lifting,
            (lifting.address_id == said.address_id)
            & lifting.controller_id.is_not_distinct_from(said.controller_id)
            & (lifting.channel == said.channel)
            & lifting.purpose_id.is_not_distinct_from(said.purpose_id)
            & (lifting.cause == said.cause)
            & (lifting.id > said.id),
        )
        .where(
            lifting.act == SuppressionAct.RELEASE,
            said.act == SuppressionAct.SET,
            said.cause <= BlockCause.OPT_OUT,
            said.controller_id.is_(None) | (said.controller_id == controller_id),
        )
        .distinct()
    )
    return [
        LiftedNo(*row)
        for some in chunks(address_ids)
        for row in session.execute(query.where(among(session, said.address_id, some)))
    ]
