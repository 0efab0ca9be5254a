"""Generated histories of many people at two controllers, and the questions to ask of them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from hypothesis import strategies as st
from sqlalchemy.orm import Session

from sender.consent.freshness import FreshnessPolicy, months_before
from sender.consent.ledger import ConsentAct, record
from sender.consent.policy import Scope
from sender.contacts.addresses import ensure_address_ids
from sender.store.consents import Notice
from sender.store.controllers import Controller
from sender.store.engine import Store
from sender.suppression.ledger import BlockScope, Suppression, release, suppress
from sender.vocabulary import (
    EVERY_CHANNEL,
    BlockCause,
    Channel,
    ConsentFlaw,
    ConsentKind,
    ContactSource,
)
from tests.support.factory import (
    HASHER,
    NOW,
    OPERATOR,
    Organisation,
    add_batch,
    add_contact,
    add_notice,
    add_point,
    add_purpose,
    establish,
    new_address,
)

TICK = timedelta(microseconds=1)
FREEZE = NOW - timedelta(days=100)
STRICT = FreshnessPolicy(warn_months=3, hold_months=6)
OTHER = {Channel.EMAIL: Channel.SMS, Channel.SMS: Channel.EMAIL}

_CUT_OFFS = (months_before(NOW, 24), months_before(NOW, 6), FREEZE)
MOMENTS = [
    *[moment + step for moment in _CUT_OFFS for step in (-TICK, timedelta(0), TICK)],
    NOW - timedelta(days=1),
    NOW - TICK,
    NOW,
]
NOTICES_FROM = [FREEZE - timedelta(days=900), FREEZE - TICK, FREEZE, FREEZE + TICK]
ENDS = [NOW - TICK, NOW, NOW + TICK, NOW - timedelta(days=1), NOW + timedelta(days=100)]


@dataclass(frozen=True)
class Act:
    """A consent event of one person: `about` is (controller 0 or 1, purpose 0 or 1)."""

    about: tuple[int, int]
    on_other_point: bool
    kind: ConsentKind
    occurred_at: datetime
    imported: bool
    flaw: ConsentFlaw
    ends_at: datetime | None
    notice: int


@dataclass(frozen=True)
class Barrier:
    """A block of one person; None stands for every controller or purpose."""

    cause: BlockCause
    controller: int | None
    channel: str
    purpose: int | None
    on_other_point: bool
    released: bool


@dataclass(frozen=True)
class Somebody:
    """One address and what is known of it at two controllers."""

    known_at: tuple[bool, bool]
    source: ContactSource
    objected: bool
    erased: bool
    has_other_point: bool
    acts: Sequence[Act]
    barriers: Sequence[Barrier]


@dataclass(frozen=True)
class Question:
    """What is asked about everybody, and how."""

    channel: Channel
    second_body: bool
    freshness: FreshnessPolicy
    frozen: tuple[bool, bool]
    has_identity: bool
    knows_contact: bool
    by_range: bool
    closes_at: datetime | None = None


@dataclass(frozen=True)
class World:
    """Two controllers with two purposes each, and wordings from before and after a freeze."""

    bodies: Sequence[Organisation]
    purposes: Sequence[Sequence[int]]
    notices: Sequence[Sequence[Notice]]
    batches: Sequence[int]


_rarely = st.integers(0, 7).map(lambda number: number == 5)
_sound = st.just(ConsentFlaw.NONE) | st.sampled_from(ConsentFlaw)
_likely_yes = st.just(ConsentKind.GIVEN) | st.sampled_from(ConsentKind)

ACTS = st.builds(
    Act,
    about=st.sampled_from([(0, 0), (0, 0), (0, 1), (1, 0), (1, 0), (1, 1)]),
    on_other_point=_rarely,
    kind=_likely_yes,
    occurred_at=st.sampled_from(MOMENTS),
    imported=st.booleans(),
    flaw=_sound,
    ends_at=st.none() | st.none() | st.sampled_from(ENDS),
    notice=st.integers(0, len(NOTICES_FROM) - 1),
)
BARRIERS = st.builds(
    Barrier,
    cause=st.sampled_from(BlockCause),
    controller=st.sampled_from([None, 0, 1]),
    channel=st.sampled_from([EVERY_CHANNEL, Channel.EMAIL.value, Channel.SMS.value]),
    purpose=st.sampled_from([None, 0, 1]),
    on_other_point=_rarely,
    released=_rarely,
)
PEOPLE = st.builds(
    Somebody,
    known_at=st.sampled_from(
        [(True, True), (True, True), (True, False), (False, True), (False,) * 2]
    ),
    source=st.sampled_from(ContactSource),
    objected=_rarely,
    erased=_rarely,
    has_other_point=st.booleans(),
    acts=st.lists(ACTS, min_size=1, max_size=5) | st.lists(ACTS, max_size=1),
    barriers=st.just([]) | st.lists(BARRIERS, min_size=1, max_size=2),
)
QUESTIONS = st.builds(
    Question,
    channel=st.sampled_from(Channel),
    second_body=st.booleans(),
    freshness=st.sampled_from([FreshnessPolicy(), STRICT]),
    frozen=st.tuples(_rarely, _rarely),
    has_identity=_rarely.map(lambda rare: not rare),
    knows_contact=st.booleans(),
    by_range=st.booleans(),
    closes_at=st.none() | st.none() | st.sampled_from(ENDS),
)


@contextmanager
def world_in(store: Store) -> Iterator[tuple[Session, World]]:
    """Open a transaction with the world in it, and roll it back afterwards."""
    with Session(store.engine, expire_on_commit=False) as session:
        yield session, two_bodies(session)
        session.rollback()


def two_bodies(session: Session) -> World:
    """Add the two controllers with all that histories of their people are about."""
    bodies = [establish(session, slug) for slug in ("riverside", "candidate")]
    second = [add_purpose(session, body.controller, "fundraising") for body in bodies]
    notices = [
        [
            add_notice(session, body.controller, version=number, shown_from=shown_from)
            for number, shown_from in enumerate(NOTICES_FROM, 2)
        ]
        for body in bodies
    ]
    return World(
        bodies=bodies,
        purposes=[(body.purpose.id, more.id) for body, more in zip(bodies, second, strict=True)],
        notices=notices,
        batches=[add_batch(session, body.controller).id for body in bodies],
    )


@dataclass(frozen=True)
class Addresses:
    """The ids of a person's address on the channel asked about, and on the other one."""

    asked: int
    other: int

    def of(self, part: Act | Barrier) -> int:
        return self.other if part.on_other_point else self.asked


def settle(
    session: Session, world: World, question: Question, people: Sequence[Somebody]
) -> list[Addresses]:
    """Write all that is known about the people, and return their addresses in order."""
    channels = (question.channel, OTHER[question.channel])
    plain = [[new_address(channel) for channel in channels] for _ in people]
    ids = [
        ensure_address_ids(session, HASHER, channel, [row[place] for row in plain])
        for place, channel in enumerate(channels)
    ]
    settled = [Addresses(ids[0][row[0]], ids[1][row[1]]) for row in plain]
    for person, texts in zip(people, plain, strict=True):
        for body, known in zip(world.bodies, person.known_at, strict=True):
            if known:
                _know(session, body.controller, person, dict(zip(channels, texts, strict=True)))
    _record_acts(session, world, people, settled)
    _set_blocks(session, world, people, settled)
    return settled


def _know(
    session: Session, controller: Controller, person: Somebody, plain: dict[Channel, str]
) -> None:
    objected_at = NOW if person.objected else None
    contact = add_contact(session, controller, source=person.source, objected_at=objected_at)
    for place, (channel, address) in enumerate(plain.items()):
        if place == 0 or person.has_other_point:
            add_point(session, contact, address, channel=channel, erased=person.erased)


def _record_acts(
    session: Session, world: World, people: Sequence[Somebody], settled: Sequence[Addresses]
) -> None:
    """Record everybody's first event, then everybody's second, and so on."""
    for number in range(max((len(person.acts) for person in people), default=0)):
        acts = [
            _consent_act(world, person.acts[number], where)
            for person, where in zip(people, settled, strict=True)
            if number < len(person.acts)
        ]
        record(session, acts, NOW)


def _consent_act(world: World, act: Act, where: Addresses) -> ConsentAct:
    body, purpose = act.about
    return ConsentAct(
        controller_id=world.bodies[body].id,
        purpose_id=world.purposes[body][purpose],
        address_id=where.of(act),
        kind=act.kind,
        occurred_at=act.occurred_at,
        method="web-form",
        source="test",
        operator=OPERATOR,
        notice_id=world.notices[body][act.notice].id,
        flaw=act.flaw,
        ends_at=act.ends_at,
        batch_id=world.batches[body] if act.imported else None,
    )


def _set_blocks(
    session: Session, world: World, people: Sequence[Somebody], settled: Sequence[Addresses]
) -> None:
    pairs = [
        (barrier, where)
        for person, where in zip(people, settled, strict=True)
        for barrier in person.barriers
    ]
    acts = [_suppression(world, barrier, where) for barrier, where in pairs]
    suppress(session, acts, NOW)
    for (barrier, _), act in zip(pairs, acts, strict=True):
        if barrier.released:
            release(session, replace(act, by_person=True, occurred_at=act.occurred_at + TICK), NOW)


def _suppression(world: World, barrier: Barrier, where: Addresses) -> Suppression:
    # A purpose belongs to a controller; for every controller, take the first one's.
    body = barrier.controller or 0
    scope = BlockScope(
        address_id=where.of(barrier),
        controller_id=None if barrier.controller is None else world.bodies[body].id,
        channel=barrier.channel,
        purpose_id=None if barrier.purpose is None else world.purposes[body][barrier.purpose],
    )
    return Suppression(
        scope, barrier.cause, NOW - timedelta(days=9), "test", by_person=True, operator=OPERATOR
    )


def scopes_of(world: World, question: Question) -> list[Scope]:
    wanted = 2 if question.second_body else 1
    return [
        Scope(
            controller_id=world.bodies[number].id,
            channel=question.channel,
            purpose_id=world.purposes[number][0],
            at=NOW,
            freshness=question.freshness,
            frozen_at=FREEZE if question.frozen[number] else None,
            has_sender_identity=question.has_identity or number > 0,
            closes_at=question.closes_at,
            is_only_named=number > 0,
        )
        for number in range(wanted)
    ]


_SOMEBODY = Somebody(
    known_at=(True, True),
    source=ContactSource.DIRECT,
    objected=False,
    erased=False,
    has_other_point=True,
    acts=(),
    barriers=(),
)
_YES = Act(
    about=(0, 0),
    on_other_point=False,
    kind=ConsentKind.GIVEN,
    occurred_at=NOW - timedelta(days=1),
    imported=False,
    flaw=ConsentFlaw.NONE,
    ends_at=None,
    notice=len(NOTICES_FROM) - 1,
)
ON_EVERY_LIMIT = [
    replace(_SOMEBODY, acts=[act])
    for act in (
        *[
            replace(_YES, occurred_at=moment, notice=notice)
            for moment in MOMENTS
            for notice in range(len(NOTICES_FROM))
        ],
        *[replace(_YES, ends_at=ends_at) for ends_at in ENDS],
    )
]
WITH_EVERY_BLOCK = [
    replace(_SOMEBODY, acts=[_YES], barriers=[barrier])
    for barrier in (
        Barrier(cause, controller, channel, purpose, on_other_point=False, released=False)
        for cause in BlockCause
        for controller in (None, 0, 1)
        for channel in (EVERY_CHANNEL, Channel.EMAIL.value, Channel.SMS.value)
        for purpose in (None, 0, 1)
    )
]
WITH_EVERY_WORD = [
    replace(_SOMEBODY, known_at=known_at, source=source, acts=[act])
    for known_at in ((True, True), (False, False))
    for source in ContactSource
    for act in (
        *[replace(_YES, kind=kind) for kind in ConsentKind],
        *[replace(_YES, flaw=flaw) for flaw in ConsentFlaw],
        replace(_YES, on_other_point=True),
        replace(_YES, about=(0, 1)),
        replace(_YES, about=(1, 0)),
    )
]
PLAIN_QUESTION = Question(
    channel=Channel.EMAIL,
    second_body=False,
    freshness=STRICT,
    frozen=(False, False),
    has_identity=True,
    knows_contact=True,
    by_range=True,
)
