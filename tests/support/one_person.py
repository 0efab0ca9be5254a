"""Two records of one person, and what may be written to them before and after."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.context import Context
from sender.settings import Settings
from sender.store.addresses import Address
from sender.store.consents import ConsentState
from sender.store.contacts import Contact, ContactPoint
from sender.store.controllers import Controller
from sender.store.engine import Store
from sender.store.suppressions import Block
from sender.subjects.noes import REFUSALS
from sender.subjects.verdicts import verdicts_on
from sender.vocabulary import (
    EVERY,
    EVERY_CHANNEL,
    BlockCause,
    Channel,
    ConsentFlaw,
    ConsentKind,
)
from tests.support.factory import HASHER, NOW, OPERATOR
from tests.support.histories import (
    NOTICES_FROM,
    PEOPLE,
    PLAIN_QUESTION,
    Act,
    Somebody,
    World,
    settle,
)

LATER = NOW + timedelta(minutes=1)


@dataclass
class HandClock:
    """Goes only when told."""

    current: datetime = field(default=LATER)

    def now(self) -> datetime:
        return self.current

    def monotonic(self) -> float:
        return self.current.timestamp()

    def sleep(self, seconds: float) -> None:
        self.current += timedelta(seconds=seconds)


def context_of(store: Store, folder: Path, clock: HandClock | None = None) -> Context:
    """Return an installation whose messages go to a folder."""
    settings = Settings(outbox=folder / "outbox")
    return Context(settings, store, HASHER, clock or HandClock(), OPERATOR)


def known(person: Somebody) -> Somebody:
    """The same, known to the first controller at least, and not erased."""
    return replace(person, known_at=(True, person.known_at[1]), erased=False)


def agreed(person: Somebody) -> Somebody:
    """The same, who agreed to both purposes lately, and then did one thing more."""
    yeses = [
        Act(
            about=(0, purpose),
            on_other_point=on_other_point,
            kind=ConsentKind.GIVEN,
            occurred_at=NOW - timedelta(days=1),
            imported=False,
            flaw=ConsentFlaw.NONE,
            ends_at=None,
            notice=len(NOTICES_FROM) - 1,
        )
        for purpose in (0, 1)
        for on_other_point in (False, True)
    ]
    return replace(known(person), acts=[*yeses, *person.acts[:1]])


KNOWN_PEOPLE = st.one_of(PEOPLE.map(agreed), PEOPLE.map(agreed), PEOPLE.map(known))
"""Mostly people who may be written to, but for one thing: else nothing could be lost or gained."""
CHANNELS = st.sampled_from(Channel)


@dataclass(frozen=True)
class Held:
    """A person of a generated history: the address asked about, and their contacts."""

    address_id: int
    other_id: int
    contact_id: int | None


def hold(
    session: Session, world: World, channel: Channel, people: Sequence[Somebody]
) -> list[Held]:
    """Write what is known of the people; return them in order."""
    question = replace(PLAIN_QUESTION, channel=channel)
    return [
        Held(where.asked, where.other, contact_of(session, world.bodies[0].id, where.asked))
        for where in settle(session, world, question, people)
    ]


def contact_of(session: Session, controller_id: int, address_id: int) -> int | None:
    query = select(ContactPoint.contact_id).where(
        ContactPoint.controller_id == controller_id, ContactPoint.address_id == address_id
    )
    return session.scalar(query)


def allowed(session: Session, address_ids: Sequence[int]) -> set[tuple[int, int]]:
    """Return the address and purpose of everything that may be written, at every controller."""
    query = select(Address.id, Address.channel).where(Address.id.in_(address_ids))
    addresses = {row.id: row.channel for row in session.execute(query)}
    return {
        (asked.address_id, asked.purpose_id)
        for controller_id in session.scalars(select(Controller.id)).all()
        for asked, decision in verdicts_on(session, controller_id, addresses, LATER).items()
        if decision.allowed
    }


def noes(
    session: Session, controller_id: int, address_ids: Sequence[int], purpose_ids: Sequence[int]
) -> set[tuple[Channel, int]]:
    """Return each channel and purpose for which the person of these addresses said no."""
    found: set[tuple[Channel, int]] = set()
    query = select(Address.id, Address.channel).where(Address.id.in_(address_ids))
    for address_id, channel in session.execute(query).all():
        for purpose_id in purpose_ids:
            if _said_no(session, controller_id, address_id, channel, purpose_id):
                found.add((channel, purpose_id))
    if any(_objected(session, controller_id, one) for one in address_ids):
        found |= {(channel, purpose_id) for channel in Channel for purpose_id in purpose_ids}
    return found


def _said_no(
    session: Session, controller_id: int, address_id: int, channel: Channel, purpose_id: int
) -> bool:
    state = session.scalar(
        select(ConsentState.event_id).where(
            ConsentState.controller_id == controller_id,
            ConsentState.address_id == address_id,
            ConsentState.purpose_id == purpose_id,
            ConsentState.status.in_(REFUSALS),
        )
    )
    block = session.scalar(
        select(Block.event_id)
        .where(
            Block.address_id == address_id,
            Block.controller_id.in_((EVERY, controller_id)),
            Block.channel.in_((EVERY_CHANNEL, channel.value)),
            Block.purpose_id.in_((EVERY, purpose_id)),
            Block.cause <= BlockCause.OPT_OUT,
        )
        .limit(1)
    )
    return state is not None or block is not None


def _objected(session: Session, controller_id: int, address_id: int) -> bool:
    marked = session.scalar(
        select(Contact.objected_at)
        .join(ContactPoint, ContactPoint.contact_id == Contact.id)
        .where(ContactPoint.controller_id == controller_id, ContactPoint.address_id == address_id)
    )
    total = session.scalar(
        select(Block.event_id)
        .where(
            Block.address_id == address_id,
            Block.controller_id.in_((EVERY, controller_id)),
            Block.channel == EVERY_CHANNEL,
            Block.purpose_id == EVERY,
            Block.cause == BlockCause.OBJECTION,
        )
        .limit(1)
    )
    return marked is not None or total is not None


def hold_in_force(session: Session, controller_id: int, address_ids: Sequence[int]) -> bool:
    """Whether a reply from one of the addresses waits to be read."""
    query = select(Block.event_id).where(
        Block.address_id.in_(address_ids),
        Block.controller_id.in_((EVERY, controller_id)),
        Block.cause == BlockCause.HOLD,
    )
    return session.scalar(query.limit(1)) is not None


def codes_in(context: Context, address: str) -> list[str]:
    """Return the codes that lie in the outbox for an address, in order."""
    files = sorted(
        context.settings.outbox.rglob("-*.eml"), key=lambda path: path.stat().st_mtime_ns
    )
    texts = [path.read_text() for path in files]
    found = [re.search(r"your code is ([0-9A-Z]{8})", text) for text in texts if address in text]
    return [match[1] for match in found if match]
