"""An erasure: what goes, what stays, and what the person's address means afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from sender.consent.checking import check_history
from sender.consent.objection import Objection, record_objection
from sender.consent.person import load_person
from sender.consent.policy import decide
from sender.consent.scopes import load_scope
from sender.context import Context
from sender.store.audit import AuditEvent
from sender.store.consents import ConsentEvent, ConsentPayload, ConsentState
from sender.store.contacts import Contact
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.store.suppressions import Block, SuppressionEvent
from sender.subjects.erase import SOURCE, erase
from sender.subjects.whom import Asked
from sender.vocabulary import BlockCause, Channel, ConsentKind, DeliveryState, Reason
from tests.support.factory import (
    HASHER,
    NOW,
    OPERATOR,
    Organisation,
    address_id_of,
    establish,
    record_consent,
)
from tests.support.held import Held, hold, where_found
from tests.support.web_context import SteppedClock, web_context

ANN, BOB = "Annotated", "Bobolink"


@dataclass(frozen=True)
class World:
    """Ann at two bodies and Bob at one, each in every table."""

    context: Context
    riverside: Organisation
    candidate: Organisation
    ann: Held
    ann_elsewhere: Held
    bob: Held

    @property
    def store(self) -> Store:
        return self.context.store


@pytest.fixture
def world(store: Store) -> World:
    context = web_context(store)
    with store.write() as session:
        riverside, candidate = establish(session, "riverside"), establish(session, "candidate")
        return World(
            context=context,
            riverside=riverside,
            candidate=candidate,
            ann=hold(session, riverside, candidate, ANN),
            ann_elsewhere=hold(session, candidate, riverside, ANN),
            bob=hold(session, riverside, candidate, BOB),
        )


def asked(held: Held, controller: str | None = "riverside") -> Asked:
    return Asked(Channel.EMAIL, held.address, controller)


def decision(session: Session, body: Organisation, address_id: int) -> Reason | None:
    scope = load_scope(
        session,
        controller_id=body.id,
        channel=Channel.EMAIL,
        purpose_id=body.purpose.id,
        at=NOW + timedelta(days=1),
    )
    person = load_person(
        session,
        address_id=address_id,
        controller_id=body.id,
        channel=Channel.EMAIL,
        purpose_id=body.purpose.id,
        has_address=True,
    )
    return decide(person, scope).refusal


def words_of(held: Held) -> tuple[str, str, str]:
    return held.mark, held.address, held.number


def personal_columns(session: Session, held: Held) -> set[str]:
    return where_found(session, *words_of(held))


def test_the_person_is_in_every_personal_column_before(world: World) -> None:
    """Else nothing would be proved by finding nothing afterwards."""
    from sender.subjects.holdings import HOLDINGS  # noqa: PLC0415  # for this test alone

    expected = {f"{one.model.__tablename__}.{name}" for one in HOLDINGS for name in one.emptied}
    removed = {"consent_payload.payload", "suppression_payload.payload", "audit_payload.payload"}
    with world.store.read() as session:
        assert personal_columns(session, world.bob) == {
            *(expected - {"sign_up.due_at"}),  # a time, which says nothing of whom
            *removed,
            "test_address.address",
        }


def test_no_value_of_theirs_is_found_anywhere_afterwards(world: World) -> None:
    erase(world.context, asked(world.ann, None))
    with world.store.read() as session:
        assert personal_columns(session, world.ann) == set()


def test_other_people_and_other_controllers_keep_all_of_theirs(world: World) -> None:
    with world.store.read() as session:
        bobs = personal_columns(session, world.bob)
        before = counts(session)
    erase(world.context, asked(world.ann))
    with world.store.read() as session:
        assert personal_columns(session, world.bob) == bobs
        assert personal_columns(session, world.ann) == bobs, "the candidate was not asked"
        assert session.get_one(Contact, world.ann_elsewhere.contact.id).first_name
        assert decision(session, world.candidate, world.ann.email.address_id) is Reason.BOUNCED
        after = counts(session)
    assert all(after[table] >= before[table] for table in ("consent_event", "delivery", "contact"))


def counts(session: Session) -> Mapping[str, int]:
    return {
        table.__tablename__: session.scalar(select(func.count()).select_from(table)) or 0
        for table in (ConsentEvent, Delivery, Contact)
    }


def test_the_history_still_holds(world: World) -> None:
    erase(world.context, asked(world.ann, None))
    with world.store.read() as session:
        assert check_history(session, lambda _table: None).faults == ()


def test_the_consent_that_a_message_relied_on_stays_as_a_bare_act(world: World) -> None:
    erase(world.context, asked(world.ann))
    with world.store.read() as session:
        acts = session.scalars(
            select(ConsentEvent).where(
                ConsentEvent.address_id == world.ann.email.address_id,
                ConsentEvent.controller_id == world.riverside.id,
            )
        ).all()
        assert [act.kind for act in acts] == [ConsentKind.GIVEN, ConsentKind.WITHDRAWN]
        assert session.get(ConsentPayload, acts[0].id) is None


def test_every_address_of_theirs_is_blocked_by_an_act_of_their_own(world: World) -> None:
    erase(world.context, asked(world.ann))
    with world.store.read() as session:
        events = session.scalars(
            select(SuppressionEvent).where(SuppressionEvent.source == SOURCE)
        ).all()
        assert {event.address_id for event in events} == {
            world.ann.email.address_id,
            world.ann.sms.address_id,
        }
        assert all(event.by_person and event.cause is BlockCause.OPT_OUT for event in events)
        assert {event.controller_id for event in events} == {world.riverside.id}


def test_an_address_that_nobody_knows_is_blocked_all_the_same(store: Store) -> None:
    context = web_context(store)
    with store.write() as session:
        body = establish(session)
    erase(context, Asked(Channel.EMAIL, "stranger@example.org", "riverside"))
    with store.write() as session:
        address_id = address_id_of(session, "stranger@example.org")
        record_consent(session, body, address_id)
        assert decision(session, body, address_id) is Reason.SUPPRESSED


def test_messages_that_wait_are_skipped_as_erased(world: World) -> None:
    done = erase(world.context, asked(world.ann))
    assert [one.skipped for one in done] == [1]
    with world.store.read() as session:
        waiting = session.get_one(Delivery, world.ann.pending.id)
        assert (waiting.state, waiting.reason) == (DeliveryState.SKIPPED, Reason.ERASED)
        sent = session.get_one(Delivery, world.ann.sent.id)
        assert (sent.state, sent.values) == (DeliveryState.ACCEPTED, None)
        elsewhere = session.get_one(Delivery, world.ann_elsewhere.pending.id)
        assert elsewhere.state is DeliveryState.PENDING


def test_whoever_objected_stays_objected(world: World) -> None:
    objection = Objection(
        controller_id=world.riverside.id,
        address_id=world.ann.email.address_id,
        occurred_at=NOW,
        source="letter",
        operator=OPERATOR,
    )
    with world.store.write() as session:
        record_objection(session, objection, NOW)
    erase(world.context, asked(world.ann))
    with world.store.read() as session:
        assert session.get_one(Contact, world.ann.contact.id).objected_at == NOW
        causes = set(
            session.scalars(select(Block.cause).where(Block.controller_id == world.riverside.id))
        )
        assert BlockCause.OBJECTION in causes
        state = session.get_one(
            ConsentState,
            (world.riverside.id, world.riverside.purpose.id, world.ann.email.address_id),
        )
        assert state.status is ConsentKind.OBJECTED


def test_no_earlier_yes_comes_back_with_a_lifted_block(world: World) -> None:
    """The block may be lifted by a START; what was agreed to before the erasure stays over."""
    erase(world.context, asked(world.ann))
    with world.store.write() as session:
        session.execute(delete(Block))
        assert decision(session, world.riverside, world.ann.email.address_id) is Reason.WITHDRAWN


def test_a_second_time_changes_nothing_but_the_audit_trail(world: World) -> None:
    erase(world.context, asked(world.ann))
    with world.store.read() as session:
        blocks = session.scalar(select(func.count()).select_from(Block))
        acts = session.scalar(select(func.count()).select_from(ConsentEvent))
        erased_at = session.get_one(Contact, world.ann.contact.id).erased_at
    clock = world.context.clock
    assert isinstance(clock, SteppedClock)
    clock.wall += timedelta(days=1)
    erase(world.context, asked(world.ann))
    with world.store.read() as session:
        assert session.scalar(select(func.count()).select_from(Block)) == blocks
        assert session.scalar(select(func.count()).select_from(ConsentEvent)) == acts
        assert session.get_one(Contact, world.ann.contact.id).erased_at == erased_at
        trail = select(func.count()).where(AuditEvent.action == "subject.erase")
        assert session.scalar(trail) == 2


def test_the_address_is_known_again_by_its_hash(world: World) -> None:
    erase(world.context, asked(world.ann))
    with world.store.write() as session:
        assert address_id_of(session, world.ann.address) == world.ann.email.address_id
        assert HASHER.hash(Channel.EMAIL, world.ann.address)
