"""The policy in SQL and the policy in Python are one policy."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Boolean, FromClause, cast, literal, null, select
from sqlalchemy.orm import Session

from sender.consent.eligibility import (
    AddressRange,
    People,
    any_of,
    decisions,
    same_or_between,
)
from sender.consent.freshness import FreshnessPolicy, months_before
from sender.consent.ledger import ConsentAct, record
from sender.consent.person import load_person
from sender.consent.policy import Scope, decide
from sender.consent.scopes import load_scope
from sender.contacts.addresses import ensure_address_ids
from sender.store.addresses import Address
from sender.store.consents import Notice
from sender.store.contacts import ContactPoint
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
    Reason,
)
from tests.support.factory import (
    HASHER,
    NOW,
    OPERATOR,
    Organisation,
    add_batch,
    add_contact,
    add_controller,
    add_freeze,
    add_freshness,
    add_identity,
    add_notice,
    add_point,
    add_purpose,
    address_id_of,
    block,
    establish,
    new_address,
    record_consent,
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
)


@contextmanager
def world_in(store: Store) -> Iterator[tuple[Session, World]]:
    """Open a transaction with the world in it, and roll it back afterwards."""
    with Session(store.engine, expire_on_commit=False) as session:
        yield session, _world(session)
        session.rollback()


def _world(session: Session) -> World:
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


def _settle(
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


def _scopes(world: World, question: Question) -> list[Scope]:
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
        )
        for number in range(wanted)
    ]


def _people(world: World, question: Question, ids: Sequence[int]) -> People:
    within = same_or_between(min(ids) - 1, max(ids)) if question.by_range else any_of(ids)
    if question.knows_contact:
        return People(_contact_rows(world.bodies[0].id, question.channel, within), within)
    return People(_plain_rows(question.channel, within), within)


def _contact_rows(controller_id: int, channel: Channel, within: AddressRange) -> FromClause:
    return (
        select(
            ContactPoint.id.label("key"),
            ContactPoint.address_id,
            ContactPoint.address.is_not(None).label("has_address"),
            ContactPoint.contact_id,
        )
        .where(
            ContactPoint.controller_id == controller_id,
            ContactPoint.channel == channel,
            within(ContactPoint.__table__.c.address_id),
        )
        .subquery("people")
    )


def _plain_rows(channel: Channel, within: AddressRange) -> FromClause:
    return (
        select(
            Address.id.label("key"),
            Address.id.label("address_id"),
            literal(True).label("has_address"),
        )
        .where(Address.channel == channel, within(Address.__table__.c.id))
        .subquery("people")
    )


Answer = tuple[Reason | None, int | None, tuple[int | None, ...]]
"""The reason, whose rule refused, and the events relied on (empty where refused)."""


def _by_sql(session: Session, people: People, scopes: Sequence[Scope]) -> dict[int, Answer]:
    answers: dict[int, Answer] = {}
    for row in session.execute(decisions(people, scopes)).mappings():
        events = tuple(row[f"event_{number}"] for number in range(len(scopes)))
        assert row["address_id"] not in answers, "one row a person"
        refused = row["reason"] is not None
        answers[row["address_id"]] = (row["reason"], row["refused_by"], () if refused else events)
    return answers


def _by_python(session: Session, people: People, scopes: Sequence[Scope]) -> dict[int, Answer]:
    asked = session.execute(select(people.rows.c.address_id, people.rows.c.has_address)).all()
    return {
        address_id: _explained(session, address_id, scopes, has_address=bool(has_address))
        for address_id, has_address in asked
    }


def _explained(
    session: Session, address_id: int, scopes: Sequence[Scope], *, has_address: bool
) -> Answer:
    relied_on: list[int | None] = []
    for scope in scopes:
        person = load_person(
            session,
            address_id=address_id,
            controller_id=scope.controller_id,
            channel=scope.channel,
            purpose_id=scope.purpose_id,
            has_address=has_address,
        )
        decision = decide(person, scope)
        if decision.refusal is not None:
            return decision.refusal, scope.controller_id, ()
        relied_on.append(decision.consent_event_id)
    return None, None, tuple(relied_on)


@settings(max_examples=25)
@given(question=QUESTIONS, people=st.lists(PEOPLE, min_size=8, max_size=24))
def test_sql_and_python_decide_alike(
    store: Store, question: Question, people: list[Somebody]
) -> None:
    with world_in(store) as (session, world):
        settled = _settle(session, world, question, people)
        asked = _people(world, question, [where.asked for where in settled])
        scopes = _scopes(world, question)
        assert _by_sql(session, asked, scopes) == _by_python(session, asked, scopes)


def _ask(session: Session, body: Organisation, address_id: int, **changed: Any) -> Reason | None:
    """Return what both ways say of one address at one body, having held them equal."""
    scope = load_scope(
        session,
        controller_id=body.id,
        channel=Channel.EMAIL,
        purpose_id=body.purpose.id,
        at=NOW,
    )
    scope = replace(scope, **changed)
    people = People(_plain_rows(Channel.EMAIL, any_of([address_id])), any_of([address_id]))
    by_sql = _by_sql(session, people, [scope])
    assert by_sql == _by_python(session, people, [scope])
    return by_sql[address_id][0]


def test_somebody_with_live_consent_is_allowed(store: Store) -> None:
    with store.write() as session:
        body = establish(session)
        address_id = address_id_of(session)
        assert _ask(session, body, address_id) is Reason.NO_CONSENT
        record_consent(session, body, address_id)
        assert _ask(session, body, address_id) is None


def test_an_unknown_address_counts_as_none(store: Store) -> None:
    """A row that cannot say whether it has an address is refused, not waved through."""
    with store.write() as session:
        body = establish(session)
        address_id = address_id_of(session)
        record_consent(session, body, address_id)
        within = any_of([address_id])
        unsure = cast(null(), Boolean)
        rows = select(
            Address.id.label("key"), Address.id.label("address_id"), unsure.label("has_address")
        ).where(within(Address.__table__.c.id))
        scope = load_scope(
            session,
            controller_id=body.id,
            channel=Channel.EMAIL,
            purpose_id=body.purpose.id,
            at=NOW,
        )
        answers = _by_sql(session, People(rows.subquery("people"), within), [scope])
        assert answers[address_id][0] is Reason.INVALID_ADDRESS


def test_consent_to_the_party_is_none_to_its_candidate(store: Store) -> None:
    with store.write() as session:
        party, candidate = establish(session, "party"), establish(session, "candidate")
        address_id = address_id_of(session)
        event_id = record_consent(session, party, address_id)
        scopes = [
            load_scope(
                session,
                controller_id=body.id,
                channel=Channel.EMAIL,
                purpose_id=body.purpose.id,
                at=NOW,
                instigates=body is party,
            )
            for body in (party, candidate)
        ]
        people = People(_plain_rows(Channel.EMAIL, any_of([address_id])), any_of([address_id]))
        refused: Answer = (Reason.NO_CONSENT, candidate.id, ())
        assert _by_sql(session, people, scopes) == {address_id: refused}
        second = record_consent(session, candidate, address_id)
        allowed: Answer = (None, None, (event_id, second))
        assert _by_sql(session, people, scopes) == {address_id: allowed}


class TestScopes:
    """What the database says of a controller reaches the policy."""

    def test_a_controller_without_identity_on_the_channel_may_not_write(self, store: Store) -> None:
        with store.write() as session:
            controller = add_controller(session, "riverside")
            purpose = add_purpose(session, controller, "campaign-news")
            add_identity(session, controller, Channel.SMS)
            add_identity(session, controller, Channel.EMAIL, retired_at=NOW)

            def has_identity(channel: Channel, *, instigates: bool = True) -> bool:
                return load_scope(
                    session,
                    controller_id=controller.id,
                    channel=channel,
                    purpose_id=purpose.id,
                    at=NOW,
                    instigates=instigates,
                ).has_sender_identity

            assert has_identity(Channel.SMS)
            assert not has_identity(Channel.EMAIL)
            assert has_identity(Channel.EMAIL, instigates=False)

    def test_the_latest_freeze_counts_and_only_its_own_controllers(self, store: Store) -> None:
        with store.write() as session:
            frozen, free = establish(session, "frozen"), establish(session, "free")
            add_freeze(session, frozen.controller, FREEZE)
            add_freeze(session, frozen.controller, FREEZE - timedelta(days=1))
            address_id = address_id_of(session)
            for body in (frozen, free):
                record_consent(session, body, address_id, occurred_at=FREEZE)
            assert _ask(session, frozen, address_id) is Reason.CONTROLLER_FROZEN
            assert _ask(session, free, address_id) is None
            newer = add_notice(session, frozen.controller, version=2, shown_from=FREEZE + TICK)
            record_consent(session, frozen, address_id, occurred_at=FREEZE + TICK, notice=newer)
            assert _ask(session, frozen, address_id) is None

    @pytest.mark.parametrize(
        ("rows", "hold_months"),
        [
            ([], 24),
            ([(None, None, 12)], 12),
            ([(None, None, 12), (None, None, 13)], 13),
            ([(Channel.EMAIL, None, 6), (None, None, 12)], 6),
            ([(Channel.SMS, None, 6), (None, None, 12)], 12),
            ([(None, True, 5), (Channel.EMAIL, None, 6)], 5),
            ([(Channel.EMAIL, True, 4), (None, True, 5)], 4),
            ([(None, False, 5)], 24),
        ],
    )
    def test_the_most_specific_freshness_rules(
        self,
        store: Store,
        rows: list[tuple[Channel | None, bool | None, int]],
        hold_months: int,
    ) -> None:
        """In `rows` a purpose is None (all), True (the one asked about) or False (another)."""
        with store.write() as session:
            body = establish(session)
            purposes = {True: body.purpose, False: add_purpose(session, body.controller, "else")}
            for channel, purpose, months in rows:
                add_freshness(
                    session,
                    body.controller,
                    warn_months=1,
                    hold_months=months,
                    channel=channel,
                    purpose=None if purpose is None else purposes[purpose],
                )
            scope = load_scope(
                session,
                controller_id=body.id,
                channel=Channel.EMAIL,
                purpose_id=body.purpose.id,
                at=NOW,
            )
            assert scope.freshness.hold_months == hold_months

    def test_another_controllers_freshness_does_not_count(self, store: Store) -> None:
        with store.write() as session:
            strict, body = establish(session, "strict"), establish(session, "lenient")
            add_freshness(session, strict.controller, warn_months=1, hold_months=1)
            address_id = address_id_of(session)
            for one in (strict, body):
                record_consent(session, one, address_id, occurred_at=NOW - timedelta(days=60))
            assert _ask(session, strict, address_id) is Reason.STALE
            assert _ask(session, body, address_id) is None


def test_no_ledger_row_is_overlooked_for_lying_outside_the_range(store: Store) -> None:
    with store.write() as session:
        body = establish(session)
        low, mid, high = (address_id_of(session) for _ in range(3))
        for address_id in (low, mid, high):
            record_consent(session, body, address_id)
            block(session, address_id)
        within = same_or_between(low, mid)
        scope = load_scope(
            session,
            controller_id=body.id,
            channel=Channel.EMAIL,
            purpose_id=body.purpose.id,
            at=NOW,
        )
        answers = _by_sql(session, People(_plain_rows(Channel.EMAIL, within), within), [scope])
        assert {address: answer[0] for address, answer in answers.items()} == {
            mid: Reason.SUPPRESSED
        }
