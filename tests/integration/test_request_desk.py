"""The desk: what people ask is written down, takes effect, and is answered in time."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from sender.alerts.standing import raise_due_alerts
from sender.context import Context
from sender.controllers.lookup import find_controller
from sender.errors import NotFoundError, RefusedError
from sender.store.audit import AuditEvent
from sender.store.contacts import Contact
from sender.store.engine import Store
from sender.store.inbound import Alert, InboxMessage
from sender.store.requests import SubjectRequest
from sender.store.sign_ups import SignUp
from sender.store.suppressions import Block
from sender.subjects.desk import (
    Listed,
    NewRequest,
    Outcome,
    RequestKind,
    acknowledge,
    close_request,
    list_requests,
    open_request,
)
from sender.subjects.erase import erase
from sender.subjects.whom import Asked
from sender.vocabulary import BlockCause, Channel
from tests.support.factory import NOW, add_contact, establish
from tests.support.held import Held, hold
from tests.support.web_context import SteppedClock, web_context

TODAY = NOW.date()
"""Thursday 7 May 2026; a month later is a Sunday."""


@dataclass(frozen=True)
class World:
    """Ann at riverside, and a desk."""

    context: Context
    ann: Held
    elsewhere: Held

    def open(self, kind: RequestKind, **changed: Any) -> Listed:
        about: dict[str, Any] = {"address": (Channel.EMAIL, self.ann.address), **changed}
        new = NewRequest(controller="riverside", kind=kind, received_on=TODAY)
        return open_request(self.context, NewRequest(**{**_fields(new), **about}))

    def wait(self, days: int) -> None:
        clock = self.context.clock
        assert isinstance(clock, SteppedClock)
        clock.wall += timedelta(days=days)

    def listed(self, **options: Any) -> list[Listed]:
        with self.context.store.read() as session:
            return list_requests(session, now=self.context.clock.now(), **options)

    def alerts(self) -> list[tuple[str, str]]:
        raise_due_alerts(self.context)
        with self.context.store.read() as session:
            query = select(Alert.kind, Alert.subject).where(Alert.resolved_at.is_(None))
            return [(kind, subject) for kind, subject in session.execute(query)]


def _fields(new: NewRequest) -> dict[str, Any]:
    return {name: getattr(new, name) for name in NewRequest.__dataclass_fields__}


@pytest.fixture
def world(store: Store) -> World:
    context = web_context(store)
    with store.write() as session:
        riverside, candidate = establish(session, "riverside"), establish(session, "candidate")
        ann = hold(session, riverside, candidate, "Annotated")
        elsewhere = hold(session, candidate, riverside, "Annotated")
        for row in session.scalars(select(SubjectRequest)):
            row.closed_at = NOW
    return World(context, ann, elsewhere)


def test_a_request_knows_its_person_and_its_last_day(world: World) -> None:
    row = world.open(RequestKind.ACCESS, messages=[world.ann.sent.id])
    assert (row.deadline, row.is_overdue) == (date(2026, 6, 8), False)
    assert (row.who, row.messages) == (
        "Dr Annotated FirstAnnotated LastAnnotated",
        (world.ann.sent.id,),
    )
    assert world.listed() == [row]


def test_the_most_urgent_stands_first_and_the_overdue_says_so(world: World) -> None:
    late = world.open(RequestKind.ACCESS)
    urgent = world.open(RequestKind.COMPLAINT)
    assert urgent.deadline == TODAY + timedelta(days=29)
    assert [row.id for row in world.listed()] == [urgent.id, late.id]
    world.wait(30)
    assert [row.is_overdue for row in world.listed()] == [True, False]


def test_an_objection_takes_effect_when_it_is_opened(world: World) -> None:
    world.open(RequestKind.OBJECTION)
    with world.context.store.read() as session:
        objected = set(
            session.scalars(select(Block.address_id).where(Block.cause == BlockCause.OBJECTION))
        )
        assert objected == {world.ann.email.address_id, world.ann.sms.address_id}
        assert session.get_one(Contact, world.ann.contact.id).objected_at is not None


def test_an_objection_by_letter_of_somebody_without_an_address_waits_for_one(world: World) -> None:
    with world.context.store.write() as session:
        contact = add_contact(session, find_controller(session, "riverside"), last_name="Letter")
    world.open(RequestKind.OBJECTION, address=None, contact_id=contact.id)
    with world.context.store.read() as session:
        assert session.get_one(Contact, contact.id).objected_at is not None


def test_an_objection_that_could_not_take_effect_is_not_taken(world: World) -> None:
    with pytest.raises(RefusedError, match="Nothing says who asks"):
        world.open(RequestKind.OBJECTION, address=None, requester="A neighbour")
    assert world.listed() == []


def test_a_letter_may_name_nobody_that_is_known(world: World) -> None:
    assert world.open(RequestKind.ACCESS, address=None, requester="Mr X").who == "Mr X"
    with pytest.raises(RefusedError):
        world.open(RequestKind.ACCESS, address=None)


def test_another_controllers_people_and_messages_are_not_to_be_had(world: World) -> None:
    with pytest.raises(NotFoundError):
        world.open(RequestKind.ACCESS, address=None, contact_id=world.elsewhere.contact.id)
    with pytest.raises(NotFoundError):
        world.open(RequestKind.COMPLAINT, messages=[world.elsewhere.sent.id])
    with pytest.raises(RefusedError):
        world.open(RequestKind.ACCESS, received_on=TODAY + timedelta(days=1))


def test_access_needs_to_know_who_asks(world: World) -> None:
    row = world.open(RequestKind.ACCESS)
    with pytest.raises(RefusedError, match="known who asks"):
        close_request(world.context, row.id, outcome=Outcome.DONE, answer="Sent")
    done = close_request(
        world.context, row.id, outcome=Outcome.DONE, answer="Sent", identity_check="by phone"
    )
    assert (done.outcome, done.deadline) == ("done", None)
    assert world.listed() == []
    assert done.id in [one.id for one in world.listed(everything=True)]
    with pytest.raises(RefusedError, match="is closed"):
        close_request(world.context, row.id, outcome=Outcome.REFUSED, answer="No")


def test_an_answer_is_always_noted(world: World) -> None:
    row = world.open(RequestKind.OBJECTION)
    with pytest.raises(RefusedError, match="with its answer"):
        close_request(world.context, row.id, outcome=Outcome.DONE, answer=" ")


def test_a_complaint_is_acknowledged_before_it_is_done(world: World) -> None:
    row = world.open(RequestKind.COMPLAINT)
    with pytest.raises(RefusedError, match="not acknowledged"):
        close_request(world.context, row.id, outcome=Outcome.DONE, answer="Sorry")
    for day in (TODAY - timedelta(days=1), TODAY + timedelta(days=1)):
        with pytest.raises(RefusedError, match="cannot be meant"):
            acknowledge(world.context, row.id, on=day)
    assert acknowledge(world.context, row.id, on=TODAY).deadline == date(2026, 6, 8)
    close_request(world.context, row.id, outcome=Outcome.DONE, answer="Sorry")


def test_an_erasure_is_done_once_the_person_is_erased_and_then_names_nobody(world: World) -> None:
    row = world.open(RequestKind.ERASURE, words="Forget me", identity_check="by phone")
    with pytest.raises(RefusedError, match="still there"):
        close_request(world.context, row.id, outcome=Outcome.DONE, answer="Done")
    erase(world.context, Asked(Channel.EMAIL, world.ann.address, "riverside"))
    with world.context.store.read() as session:
        kept = session.get_one(SubjectRequest, row.id)
        assert (kept.words, kept.identity_check) == (None, None)
    close_request(
        world.context, row.id, outcome=Outcome.DONE, answer="Done", identity_check="by phone"
    )


@pytest.mark.parametrize(("table", "column"), [(InboxMessage, "body"), (SignUp, "address")])
def test_an_erasure_is_not_done_while_what_came_in_since_is_held(
    world: World, table: type[InboxMessage | SignUp], column: str
) -> None:
    row = world.open(RequestKind.ERASURE)
    erase(world.context, Asked(Channel.EMAIL, world.ann.address, "riverside"))
    with world.context.store.write() as session:
        theirs = table.address_id == world.ann.email.address_id
        assert session.scalars(select(table.id).where(theirs)).all()
        session.execute(update(table).where(theirs).values({column: "in plain"}))
    answer: dict[str, Any] = {"outcome": Outcome.DONE, "answer": "Gone", "identity_check": "Phone"}
    with pytest.raises(RefusedError, match="still there"):
        close_request(world.context, row.id, **answer)
    erase(world.context, Asked(Channel.EMAIL, world.ann.address, "riverside"))
    close_request(world.context, row.id, **answer)


def test_an_erasure_that_names_nobody_who_could_be_erased_is_not_done(world: World) -> None:
    row = world.open(RequestKind.ERASURE, address=None, requester="A. Annotated")
    with pytest.raises(RefusedError, match="whom to erase"):
        close_request(
            world.context, row.id, outcome=Outcome.DONE, answer="Gone", identity_check="by phone"
        )
    close_request(world.context, row.id, outcome=Outcome.REFUSED, answer="We do not know you")


def test_the_operators_are_told_three_days_before_and_again_when_it_is_late(world: World) -> None:
    row = world.open(RequestKind.ACCESS)
    assert world.alerts() == []
    world.wait((date(2026, 6, 8) - TODAY).days - 4)
    assert world.alerts() == []
    world.wait(1)
    assert world.alerts() == [("request.due", f"request {row.id}")]
    world.wait(3)
    assert world.alerts() == [("request.due", f"request {row.id}")], "today is the last day"
    world.wait(1)
    assert world.alerts() == [("request.overdue", f"request {row.id}")]
    close_request(world.context, row.id, outcome=Outcome.REFUSED, answer="Not the person")
    assert world.alerts() == []


def test_the_audit_trail_names_nobody(world: World) -> None:
    row = world.open(RequestKind.ACCESS, words="What do you know of me?", requester="Ann")
    close_request(world.context, row.id, outcome=Outcome.REFUSED, answer="No")
    with world.context.store.read() as session:
        query = select(AuditEvent.details).where(AuditEvent.action.startswith("request."))
        assert session.scalars(query).all() == [
            {"request": row.id, "kind": "access", "address_id": world.ann.email.address_id},
            {
                "request": row.id,
                "kind": "access",
                "outcome": "refused",
                "address_id": world.ann.email.address_id,
            },
        ]


def test_one_controllers_desk_does_not_show_anothers(world: World) -> None:
    world.open(RequestKind.ACCESS)
    assert world.listed(slug="candidate") == []
    assert len(world.listed(slug="riverside")) == 1
