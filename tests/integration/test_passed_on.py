"""An objection by letter is passed on by the person's answer, and by nothing else (¶74)."""

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from sender.consent.objection import Objection, record_objection
from sender.context import Context
from sender.controllers.lookup import find_controller
from sender.errors import RefusedError
from sender.store.engine import Store
from sender.store.suppressions import Block
from sender.subjects.passed_on import Answer, Entry, list_passed_on, record_answer
from sender.suppression.ledger import BlockScope, Suppression, release
from sender.vocabulary import BlockCause, Channel
from tests.support.factory import (
    NOW,
    OPERATOR,
    add_contact,
    add_controller_version,
    add_point,
    establish,
)
from tests.support.web_context import web_context

YES = Answer(
    channel=Channel.EMAIL,
    address="ann@example.org",
    told="riverside",
    other="party",
    passed_on=True,
    answered_at=NOW,
    source="letter",
)


@dataclass(frozen=True)
class World:
    """Ann at riverside, whose relative is the party."""

    context: Context
    addresses: frozenset[int]

    def objected_at_the_party(self) -> frozenset[int]:
        with self.context.store.read() as session:
            query = select(Block.address_id).where(
                Block.controller_id == find_controller(session, "party").id,
                Block.cause == BlockCause.OBJECTION,
            )
            return frozenset(session.scalars(query))

    def register(self, slug: str = "riverside") -> list[Entry]:
        with self.context.store.read() as session:
            return list_passed_on(session, slug)


@pytest.fixture
def world(store: Store) -> World:
    context = web_context(store)
    with store.write() as session:
        body = establish(session, "riverside")
        for slug in ("party", "jones"):
            establish(session, slug)
        add_controller_version(session, body.controller, version=2, relatives=["party"])
        contact = add_contact(session, body.controller)
        email = add_point(session, contact, "ann@example.org")
        number = add_point(session, contact, channel=Channel.SMS)
        objection = Objection(
            controller_id=body.id,
            address_id=email.address_id,
            occurred_at=NOW,
            source="letter",
            operator=OPERATOR,
        )
        record_objection(session, objection, NOW)
    return World(context, frozenset({email.address_id, number.address_id}))


def test_a_yes_objects_at_the_other_body_for_every_address(world: World) -> None:
    assert world.objected_at_the_party() == frozenset()
    record_answer(world.context, YES)
    assert world.objected_at_the_party() == world.addresses
    (entry,) = world.register()
    assert (entry.told, entry.other, entry.passed_on, entry.holds) == (
        "riverside",
        "party",
        True,
        True,
    )
    assert world.register("party") == [entry]
    assert world.register("jones") == []


def test_the_objection_there_is_as_old_as_the_answer(world: World) -> None:
    answered_at = NOW - timedelta(days=2)
    record_answer(world.context, replace(YES, answered_at=answered_at))
    with world.context.store.read() as session:
        party = find_controller(session, "party").id
        there = session.scalars(select(Block.set_at).where(Block.controller_id == party))
        assert {*there} == {answered_at}


def test_the_register_says_whether_it_still_holds(world: World) -> None:
    record_answer(world.context, YES)
    later = NOW + timedelta(days=1)
    with world.context.store.write() as session:
        party = find_controller(session, "party").id
        for address_id in world.addresses:
            lifted = Suppression(
                scope=BlockScope(address_id, party),
                cause=BlockCause.OBJECTION,
                occurred_at=later,
                source="letter",
                by_person=True,
                operator=OPERATOR,
            )
            release(session, lifted, later)
    (entry,) = world.register()
    assert (entry.passed_on, entry.holds) == (True, False)


def test_a_no_is_kept_and_blocks_nobody(world: World) -> None:
    record_answer(world.context, replace(YES, passed_on=False))
    assert world.objected_at_the_party() == frozenset()
    (entry,) = world.register()
    assert (entry.passed_on, entry.holds) == (False, False)


def test_nobody_is_blocked_at_a_body_that_is_no_relative(world: World) -> None:
    with pytest.raises(RefusedError, match="none of the relatives"):
        record_answer(world.context, replace(YES, other="jones"))
    assert world.register("jones") == []


def test_only_an_objection_can_be_passed_on(world: World) -> None:
    with pytest.raises(RefusedError, match="No objection"):
        record_answer(world.context, replace(YES, address="ben@example.org"))
    with pytest.raises(RefusedError, match="future"):
        record_answer(world.context, replace(YES, answered_at=NOW + timedelta(days=1)))
    assert world.register() == []
