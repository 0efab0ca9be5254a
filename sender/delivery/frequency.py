"""Frequency caps: at most so many marketing messages to a person in so many days.

A cap is looked at under locks on the person's addresses, so that of two runs at the same moment
the second sees what the first marked. Locks are taken in id order, as by everything that writes a
no, and before any delivery is locked: nobody waits for somebody who waits for them.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Final

from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import Select, bindparam, func, or_, select, text, true
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from sender.contacts.addresses import lock_addresses
from sender.controllers.sending_policy import FrequencyCap, caps_of
from sender.delivery.planning import HANDED_OVER
from sender.store.base import UtcDateTime
from sender.store.campaigns import Run
from sender.store.contacts import ContactPoint
from sender.store.controllers import SendingPolicy
from sender.store.deliveries import Delivery
from sender.store.id_lists import given_ids, id_list
from sender.store.journal_marks import LostMessage, LostRun
from sender.vocabulary import CampaignKind, Channel

_GIVE_WAY_AFTER: Final = timedelta(milliseconds=800)
"""How long a look waits for others' locks on its people. After a second it is too old anyhow,
and PostgreSQL would look for a ring of waiters and let one of them fail: a no, perhaps."""


class PeopleBusyError(Exception):
    """Others hold the people's addresses; look again later."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody about to be written to.

    Attributes:
        delivery_id: the message.
        address_id: where it goes.
        contact_id: whose address it is, where it is a contact's; all addresses of a contact are one
            person's.
    """

    delivery_id: int
    address_id: int
    contact_id: int | None


OverTheCap = Callable[[Iterable[Person]], set[int]]
"""Returns the deliveries that must not go, of those that otherwise may. Of several to one person
the ones of the lowest ids go."""


def caps_on(session: Session, run: Run, people: Sequence[Person], at: datetime) -> OverTheCap:
    """Count what these people have had; return who of them has had as many as may be.

    What counts: messages of the controller's marketing runs, no tests, which a provider has or may
    have. Research and service runs are neither capped nor counted.

    Args:
        session: a writing session without locks on deliveries. The people's addresses stay locked
            until it ends.
        run: the run that is about to send.
        people: who is about to be marked.
        at: the moment of the last look.

    Raises:
        PeopleBusyError: somebody else had them locked for too long; the transaction is over.
    """
    if run.is_test or run.kind not in {None, CampaignKind.MARKETING} or not people:
        return _nobody
    caps = caps_of(session.scalar(_CAPS, {"controller": run.controller_id}))
    if not caps:
        return _nobody
    across = any(cap.across_channels for cap in caps)
    persons = _Persons(people, run.channel)
    persons.learn_points(session, across=across)
    _lock(session, persons.who_of)
    persons.learn_points(session, across=across)  # what was added while the locks were waited for
    since = at - timedelta(days=max(cap.days for cap in caps))
    tally = _Tally(caps, run.channel, at)
    for address_id, sent_at in _sent(session, run.controller_id, persons.who_of, since, at):
        tally.add(persons.who_of[address_id], persons.channel_of[address_id], sent_at)

    def over(going: Iterable[Person]) -> set[int]:
        return {
            person.delivery_id
            for person in sorted(going, key=lambda one: one.delivery_id)
            if not tally.let_go(persons.who_of[person.address_id])
        }

    return over


def _nobody(_going: Iterable[Person]) -> set[int]:
    return set()


def _lock(session: Session, address_ids: Collection[int]) -> None:
    if session.get_bind().dialect.name == "sqlite":
        return  # where the transaction is the only writer
    milliseconds = _GIVE_WAY_AFTER // timedelta(milliseconds=1)
    session.execute(text(f"SET LOCAL lock_timeout = {milliseconds}"))
    try:
        lock_addresses(session, address_ids)
    except OperationalError as error:
        if isinstance(error.orig, LockNotAvailable | DeadlockDetected):
            raise PeopleBusyError from None
        raise


class _Persons:
    """Whose address each is: a contact's id, or below 0 for an address that is no contact's."""

    def __init__(self, people: Sequence[Person], channel: Channel) -> None:
        self.channel = channel
        self.contact_ids = {one.contact_id for one in people if one.contact_id is not None}
        self.who_of = {
            one.address_id: -one.address_id if one.contact_id is None else one.contact_id
            for one in people
        }
        self.channel_of = dict.fromkeys(self.who_of, channel)

    def learn_points(self, session: Session, *, across: bool) -> None:
        """Add the contacts' other addresses, of all channels or of this one."""
        if not self.contact_ids:
            return
        dialect = session.get_bind().dialect.name
        wanted = {"contacts": id_list(dialect, self.contact_ids)}
        for contact_id, address_id, channel in session.execute(_points_query(dialect), wanted):
            if across or channel is self.channel:
                self.who_of[address_id] = contact_id
                self.channel_of[address_id] = channel


class _Tally:
    """How many messages each person has had, and the rule on one more."""

    def __init__(self, caps: Sequence[FrequencyCap], channel: Channel, at: datetime) -> None:
        self.caps = [(cap, at - timedelta(days=cap.days)) for cap in caps]
        self.channel = channel
        self.at = at
        self.sent: Mapping[int, list[tuple[Channel, datetime]]] = defaultdict(list)

    def add(self, who: int, channel: Channel, sent_at: datetime) -> None:
        self.sent[who].append((channel, sent_at))

    def let_go(self, who: int) -> bool:
        """Tell whether one more may go to this person now, and count it if so."""
        if any(self._is_reached(who, cap, since) for cap, since in self.caps):
            return False
        self.add(who, self.channel, self.at)
        return True

    def _is_reached(self, who: int, cap: FrequencyCap, since: datetime) -> bool:
        counted = [
            1
            for channel, sent_at in self.sent[who]
            if sent_at > since and (cap.across_channels or channel is self.channel)
        ]
        return len(counted) >= cap.messages


def _sent(
    session: Session,
    controller_id: int,
    address_ids: Collection[int],
    since: datetime,
    at: datetime,
) -> Iterator[tuple[int, datetime]]:
    """Yield address and moment of each message that counts."""
    dialect = session.get_bind().dialect.name
    wanted = {"controller": controller_id, "since": since, "at": at}
    addresses = {"addresses": id_list(dialect, address_ids)}
    for address_id, sent_at in session.execute(_sent_query(dialect), wanted | addresses):
        yield address_id, sent_at
    lost = dict(session.execute(_LOST_RUNS, wanted).all())
    if lost:
        forgotten = {"runs": list(lost), "addresses": list(address_ids)}
        for address_id, run_id in session.execute(_LOST_MESSAGES, forgotten):
            yield address_id, lost[run_id]


_CAPS: Final = (
    select(SendingPolicy.frequency_caps)
    .where(SendingPolicy.controller_id == bindparam("controller"))
    .order_by(SendingPolicy.id.desc())
    .limit(1)
)

_LOST_RUNS: Final = select(LostRun.id, LostRun.recorded_at).where(
    LostRun.controller_id == bindparam("controller"),
    LostRun.recorded_at > bindparam("since", type_=UtcDateTime()),
)

_LOST_MESSAGES: Final = select(LostMessage.address_id, LostMessage.lost_run_id).where(
    LostMessage.lost_run_id.in_(bindparam("runs", expanding=True)),
    LostMessage.address_id.in_(bindparam("addresses", expanding=True)),
)


@cache
def _points_query(dialect: str) -> Select[int, int, Channel]:
    contact_id = given_ids(dialect, "contacts")
    return select(ContactPoint.contact_id, ContactPoint.address_id, ContactPoint.channel).join_from(
        ContactPoint, contact_id.table, ContactPoint.contact_id == contact_id
    )


@cache
def _sent_query(dialect: str) -> Select[int, datetime]:
    """Return the query of address and moment: one look into an index for each address and run.

    As a join, a database without fresh statistics would read whole runs. The provider may have told
    of a message before our own record of it; of what a restored backup forgot, no time is known at
    all, and it counts as of now.
    """
    recent = (
        select(Run.id)
        .where(
            Run.controller_id == bindparam("controller"),
            Run.is_test.is_(False),
            or_(Run.kind.is_(None), Run.kind == CampaignKind.MARKETING),
            or_(Run.ended_at.is_(None), Run.ended_at > bindparam("since", type_=UtcDateTime())),
        )
        .cte("recent")
        .prefix_with("MATERIALIZED")
    )
    address_id = given_ids(dialect, "addresses")
    now = bindparam("at", type_=UtcDateTime())
    sent_at = (
        select(func.coalesce(Delivery.dispatched_at, Delivery.accepted_at, now))
        .where(
            Delivery.run_id == recent.c.id,
            Delivery.address_id == address_id,
            Delivery.state.in_(HANDED_OVER),
        )
        .scalar_subquery()
    )
    found = (
        select(address_id.label("address_id"), sent_at.label("sent_at"))
        .select_from(address_id.table)
        .join(recent, true())
        .cte("found")
        .prefix_with("MATERIALIZED")
    )
    return select(found.c.address_id, found.c.sent_at).where(found.c.sent_at.is_not(None))
