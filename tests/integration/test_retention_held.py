"""What an open request is about stays, however old, until it is answered."""

from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.consent.freshness import months_before
from sender.contacts.held import HOLDING
from sender.context import Context
from sender.delivery.staging_retention import erase_expired as erase_staged
from sender.evidence.retention import count_expired, erase_expired
from sender.inbound.retention import erase_expired as erase_inbound
from sender.settings import Settings
from sender.store import audit_trail
from sender.store.campaigns import Run, StagedRecipient
from sender.store.contacts import Contact, ContactPoint
from sender.store.controllers import Controller
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.store.inbound import InboundNotification, InboxMessage
from sender.store.requests import SubjectRequest, SubjectRequestDelivery
from sender.subjects.desk import RequestKind
from sender.vocabulary import (
    Channel,
    ConsentKind,
    DeliveryState,
    EventKind,
    ReplyMeaning,
    RunState,
)
from tests.support.factory import (
    HASHER,
    NOW,
    OPERATOR,
    Organisation,
    add_campaign,
    add_contact,
    add_delivery,
    add_event,
    add_point,
    add_request,
    add_run,
    block,
    establish,
    record_consent,
)
from tests.support.import_world import FixedClock

LONG_AGO = months_before(NOW, 100)
OWNED = ("audit", "consent", "opt_outs", "people", "replies", "staging", "values")
"""The rules whose rows are one controller's. What providers told is nobody's."""


@dataclass(frozen=True)
class Old:
    """A person of whom a controller holds something by every rule, all of it past its time."""

    contact: Contact
    point: ContactPoint
    sent: Delivery


@dataclass(frozen=True)
class World:
    """Ann at two controllers under one address, and a neighbour at the first."""

    context: Context
    ann: Old
    ann_elsewhere: Old
    neighbour: Old

    def due(self) -> dict[str, dict[str, int]]:
        """Return how much would be erased, by rule and controller."""
        return {one.name: dict(one.rows) for one in count_expired(self.context)}


def everything(*, riverside: int, hilltop: int = 1) -> dict[str, dict[str, int]]:
    """Return what is due when so many people of each controller are held by nothing."""
    people = {"hilltop": hilltop, "riverside": riverside}
    rows = {slug: number for slug, number in people.items() if number}
    told = 2 * sum(rows.values())
    return {**dict.fromkeys(OWNED, rows), "notifications": {"-": told}}


def add_old(session: Session, body: Organisation, address: str) -> Old:
    """Add a person, one old row of each kind, and an event of a message to them."""
    contact = add_contact(session, body.controller, retain_until=LONG_AGO.date())
    point = add_point(session, contact, address)
    event_id = record_consent(
        session,
        body,
        point.address_id,
        kind=ConsentKind.WITHDRAWN,
        occurred_at=LONG_AGO,
        now=LONG_AGO,
        evidence={"seen": "form"},
    )
    version = add_campaign(session, body.controller, f"campaign-{contact.id}")[1]
    run = add_run(session, body, version, state=RunState.FINISHED)
    sent = add_delivery(
        session,
        run,
        point,
        state=DeliveryState.ACCEPTED,
        consent_event_id=event_id,
        dispatched_at=LONG_AGO,
        values={"first_name": "Ann"},
    )
    session.add(
        StagedRecipient(
            run_id=run.id,
            address_id=point.address_id,
            address=address,
            attributes={},
            erase_after=LONG_AGO,
        )
    )
    _add_told(session, run, sent)
    _add_letter(session, point.address_id, body.controller)
    session.flush()
    return Old(contact, point, sent)


def _add_letter(session: Session, address_id: int, controller: Controller | None = None) -> None:
    """Add an opt-out by letter of long ago, with its words, and an audit record that names Ann."""
    block(
        session,
        address_id,
        controller=controller,
        occurred_at=LONG_AGO,
        personal={"words": "no more"},
        now=LONG_AGO,
    )
    audit_trail.record(
        session,
        now=LONG_AGO,
        operator=OPERATOR,
        action="test.old",
        controller_id=controller.id if controller else None,
        details={"address_id": address_id},
        personal={"who": "Ann"},
    )


def _add_told(session: Session, run: Run, sent: Delivery) -> None:
    """Add what a provider told of the message by its number alone, and what the person wrote."""
    happened = add_event(session, run, sent.address_id, delivery_id=sent.id)
    happened.address_id = None
    wrote = add_event(session, run, sent.address_id, kind=EventKind.OPENED)
    wrote.address_id = None
    for event in (happened, wrote):
        told = session.get_one(InboundNotification, event.notification_id)
        told.payload, told.erase_after = {"told": 1}, LONG_AGO
    session.add(
        InboxMessage(
            notification_id=wrote.notification_id,
            controller_id=run.controller_id,
            address_id=sent.address_id,
            channel=Channel.EMAIL,
            received_at=LONG_AGO,
            body="Who are you?",
            meaning=ReplyMeaning.OTHER,
            erase_after=LONG_AGO,
        )
    )


@pytest.fixture
def world(store: Store) -> World:
    context = Context(Settings(), store, HASHER, FixedClock(NOW), OPERATOR)
    with store.write() as session:
        body, other = establish(session), establish(session, "hilltop")
        return World(
            context,
            ann=add_old(session, body, "ann@example.org"),
            ann_elsewhere=add_old(session, other, "ann@example.org"),
            neighbour=add_old(session, body, "bo@example.org"),
        )


def ask(world: World, **columns: Any) -> int:
    """Open a request of Ann's to the first controller; `columns` say what it names of her."""
    with world.context.store.write() as session:
        return add_request(session, world.ann.point, **columns).id


def change(world: World, request_id: int, **columns: Any) -> None:
    with world.context.store.write() as session:
        row = session.get_one(SubjectRequest, request_id)
        for name, value in columns.items():
            setattr(row, name, value)


def hold_ann(world: World) -> None:
    """Require that what is left to erase is everything but hers at that controller.

    What providers told names no controller: all that they told of her address is held.
    """
    assert world.due() == {**everything(riverside=1), "notifications": {"-": 2}}


def test_without_a_request_everything_is_due(world: World) -> None:
    assert world.due() == everything(riverside=2)


@pytest.mark.parametrize("kind", ["access", "rectification", "complaint"])
def test_it_holds_its_person_at_its_controller_until_it_is_answered(
    world: World, kind: str
) -> None:
    request_id = ask(world, kind=kind)
    hold_ann(world)
    erase_expired(world.context)
    assert not any(world.due().values())
    change(world, request_id, closed_at=NOW)
    left = everything(riverside=1, hilltop=0)
    assert world.due() == {**left, "notifications": {"-": 4}}


@pytest.mark.parametrize("kind", ["erasure", "objection"])
def test_what_is_not_answered_from_the_records_holds_nothing(world: World, kind: str) -> None:
    ask(world, kind=kind)
    assert world.due() == everything(riverside=2)


def test_it_may_name_the_address_the_contact_or_a_message(world: World) -> None:
    request_id = ask(world)
    change(world, request_id, contact_id=None)
    hold_ann(world)
    change(world, request_id, contact_id=world.ann.contact.id, address_id=None)
    hold_ann(world)
    change(world, request_id, contact_id=None)
    assert world.due() == everything(riverside=2), "nobody knows whose it is"
    with world.context.store.write() as session:
        session.add(SubjectRequestDelivery(request_id=request_id, delivery_id=world.ann.sent.id))
    hold_ann(world)


def test_it_holds_what_is_under_another_address_of_the_person_too(world: World) -> None:
    with world.context.store.write() as session:
        other = add_point(session, world.ann.contact, "ann@example.com")
        add_request(session, other)
    hold_ann(world)


def test_it_holds_what_is_no_one_controllers(world: World) -> None:
    with world.context.store.write() as session:
        for old in (world.ann, world.neighbour):
            _add_letter(session, old.point.address_id)
    due = world.due()
    assert (due["opt_outs"]["-"], due["audit"]["-"]) == (2, 2)
    ask(world)
    due = world.due()
    assert (due["opt_outs"]["-"], due["audit"]["-"]) == (1, 1)


def test_what_erases_by_itself_holds_it_too(world: World) -> None:
    ask(world)
    with world.context.store.write() as session:
        assert erase_staged(session, NOW) == 2
        erased = erase_inbound(session, NOW)
        assert (erased.replies, erased.notifications) == (2, 2)
    with world.context.store.read() as session:
        [staged] = session.scalars(
            select(StagedRecipient).where(StagedRecipient.address.is_not(None))
        )
        assert staged.run_id == world.ann.sent.run_id


def test_the_kinds_are_those_of_the_desk() -> None:
    assert set(RequestKind) == {*HOLDING, "erasure", "objection"}
