"""The policy in SQL and the policy in Python are one policy."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
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
    moments,
    same_or_between,
)
from sender.consent.person import load_person
from sender.consent.policy import Scope, decide
from sender.consent.scopes import load_scope
from sender.store.addresses import Address
from sender.store.contacts import ContactPoint
from sender.store.engine import Store
from sender.vocabulary import (
    Channel,
    Reason,
)
from tests.support.factory import (
    NOW,
    Organisation,
    address_id_of,
    block,
    establish,
    record_consent,
)
from tests.support.histories import (
    ON_EVERY_LIMIT,
    PEOPLE,
    PLAIN_QUESTION,
    QUESTIONS,
    TICK,
    WITH_EVERY_BLOCK,
    WITH_EVERY_WORD,
    Question,
    Somebody,
    World,
    scopes_of,
    settle,
    world_in,
)


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


FROZEN = {"frozen": (True, False), "knows_contact": True}
LATELY = WITH_EVERY_BLOCK[0].acts[0]
AGREED_WITH_BOTH_OR_ONE = [
    replace(WITH_EVERY_BLOCK[0], acts=[replace(LATELY, about=one) for one in bodies], barriers=())
    for bodies in ([(0, 0), (1, 0)], [(0, 0)], [(1, 0)])
]

Answer = tuple[Reason | None, int | None, tuple[int | None, ...]]
"""The reason, whose rule refused, and the events relied on (empty where refused)."""


def _of_another_time(scopes: Sequence[Scope]) -> list[Scope]:
    """Return the scopes as a statement was made for them earlier, to be used again now."""
    earlier = NOW - timedelta(days=4000)
    return [
        replace(
            scope,
            at=earlier,
            frozen_at=scope.frozen_at and earlier,
            closes_at=scope.closes_at and earlier,
        )
        for scope in scopes
    ]


def _by_sql(
    session: Session,
    people: People,
    scopes: Sequence[Scope],
    times: Mapping[str, datetime] | None = None,
) -> dict[int, Answer]:
    answers: dict[int, Answer] = {}
    for row in session.execute(decisions(people, scopes), times).mappings():
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
        settled = settle(session, world, question, people)
        asked = _people(world, question, [where.asked for where in settled])
        scopes = scopes_of(world, question)
        assert _by_sql(session, asked, scopes) == _by_python(session, asked, scopes)


@pytest.mark.parametrize(
    ("people", "changed"),
    [
        pytest.param(ON_EVERY_LIMIT, {}, id="limits"),
        pytest.param(ON_EVERY_LIMIT, FROZEN, id="limits of a frozen controller"),
        pytest.param(ON_EVERY_LIMIT, {"closes_at": NOW + TICK}, id="purpose about to close"),
        pytest.param(WITH_EVERY_WORD, {"closes_at": NOW}, id="words for a closed purpose"),
        pytest.param(WITH_EVERY_BLOCK, {}, id="blocks"),
        pytest.param(WITH_EVERY_WORD, {}, id="words"),
        pytest.param(AGREED_WITH_BOTH_OR_ONE, {"second_body": True}, id="two bodies"),
        pytest.param(
            AGREED_WITH_BOTH_OR_ONE,
            {"second_body": True, "frozen": (False, True)},
            id="a frozen body that is spoken for",
        ),
    ],
)
def test_sql_and_python_agree_on_every_limit_block_and_word(
    store: Store,
    people: list[Somebody],
    changed: Mapping[str, Any],
) -> None:
    question = replace(PLAIN_QUESTION, **changed)
    with world_in(store) as (session, world):
        settled = settle(session, world, question, people)
        asked = _people(world, question, [where.asked for where in settled])
        scopes = scopes_of(world, question)
        answers = _by_sql(session, asked, scopes)
        assert answers == _by_python(session, asked, scopes)
        assert answers == _by_sql(session, asked, _of_another_time(scopes), moments(scopes))
        assert len({reason for reason, *_ in answers.values()}) > 1


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
