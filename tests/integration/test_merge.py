"""Two contacts that are one person: each no of either holds for both, and no yes is made."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.consent.checking import Fault, check_history
from sender.consent.objection import Objection, record_objection
from sender.contacts.find import find_people
from sender.context import Context
from sender.errors import NotFoundError, RefusedError
from sender.evidence.changes import changes_of
from sender.evidence.past import Question, decide_then
from sender.store.audit import AuditEvent, AuditPayload
from sender.store.consents import ConsentEvent, ConsentState
from sender.store.contact_changes import ContactMerge, ContactPointMove
from sender.store.contacts import Contact, ContactPoint
from sender.store.engine import Store
from sender.store.requests import SubjectRequest
from sender.store.suppressions import Block, SuppressionEvent
from sender.subjects.desk import NewRequest, RequestKind, open_request
from sender.subjects.erase import erase
from sender.subjects.export import export
from sender.subjects.merge import merge_contacts
from sender.subjects.whom import Asked
from sender.vocabulary import BlockCause, Channel, ConsentKind, ContactSource, Reason
from tests.support.factory import (
    NOW,
    Organisation,
    add_contact,
    add_point,
    add_request,
    block,
    establish,
    record_consent,
)
from tests.support.histories import Somebody, two_bodies
from tests.support.histories import World as Histories
from tests.support.one_person import (
    CHANNELS,
    KNOWN_PEOPLE,
    LATER,
    Held,
    allowed,
    context_of,
    hold,
    hold_in_force,
    noes,
)

DAY = timedelta(days=1)


@pytest.fixture
def context(store: Store, tmp_path: Path) -> Context:
    return context_of(store, tmp_path)


@pytest.fixture
def party(store: Store) -> Organisation:
    with store.write() as session:
        return establish(session)


class Twins:
    """Ann twice: by one e-mail address each, both with a yes."""

    def __init__(self, session: Session, party: Organisation, **columns: Any) -> None:
        self.contacts = [
            add_contact(session, party.controller, external_ref=ref, **columns)
            for ref in ("crm-1", "crm-2")
        ]
        self.points = [add_point(session, contact) for contact in self.contacts]
        for point in self.points:
            record_consent(session, party, point.address_id)

    @property
    def ids(self) -> tuple[int, int]:
        return self.contacts[0].id, self.contacts[1].id

    @property
    def address_ids(self) -> list[int]:
        return [point.address_id for point in self.points]


@pytest.fixture
def twins(store: Store, party: Organisation) -> Twins:
    with store.write() as session:
        return Twins(session, party)


def may_write(context: Context, twins: Twins) -> list[bool]:
    with context.store.read() as session:
        found = {address_id for address_id, _ in allowed(session, twins.address_ids)}
    return [address_id in found for address_id in twins.address_ids]


def count(context: Context, table: Any) -> int:
    with context.store.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def faults(context: Context) -> tuple[Fault, ...]:
    with context.store.read() as session:
        return check_history(session, lambda _: None).faults


@pytest.fixture
def world(store: Store) -> Histories:
    """Two controllers, for the histories of all examples."""
    with store.write() as session:
        return two_bodies(session)


@settings(max_examples=25)
@given(channel=CHANNELS, people=st.tuples(KNOWN_PEOPLE, KNOWN_PEOPLE), swap=st.booleans())
def test_nobody_who_could_not_be_written_to_can_be_afterwards(
    store: Store,
    world: Histories,
    tmp_path: Path,
    channel: Channel,
    people: Sequence[Somebody],
    *,
    swap: bool,
) -> None:
    context = context_of(store, tmp_path)
    with store.write() as session:
        held = hold(session, world, channel, people)
    own = [one for one in held if one.contact_id is not None]
    ids = [address_id for one in held for address_id in (one.address_id, one.other_id)]
    body = world.bodies[0]
    with store.read() as session:
        before = allowed(session, ids)
        said = [noes(session, body.id, _theirs(session, one), world.purposes[0]) for one in own]
        waits = hold_in_force(session, body.id, [x for one in own for x in _theirs(session, one)])
    kept, other = (own[1], own[0]) if swap else (own[0], own[1])
    assert kept.contact_id is not None
    assert other.contact_id is not None
    if waits:
        with pytest.raises(RefusedError, match="waits"):
            merge_contacts(context, body.controller.slug, kept.contact_id, other.contact_id)
        return
    merge_contacts(context, body.controller.slug, kept.contact_id, other.contact_id)
    with store.read() as session:
        after = allowed(session, ids)
        theirs = session.execute(
            select(ContactPoint.address_id, ContactPoint.channel).where(
                ContactPoint.contact_id == kept.contact_id
            )
        ).all()
    assert after <= before
    for address_id, point_channel in theirs:
        for purpose_id in world.purposes[0]:
            if (point_channel, purpose_id) in said[0] | said[1]:
                assert (address_id, purpose_id) not in after
    elsewhere = set(world.purposes[1])
    assert {one for one in before if one[1] in elsewhere} == {
        one for one in after if one[1] in elsewhere
    }


def _theirs(session: Session, held: Held) -> list[int]:
    query = select(ContactPoint.address_id).where(ContactPoint.contact_id == held.contact_id)
    return list(session.scalars(query))


def test_an_objection_of_either_holds_for_every_address_of_both(
    context: Context, party: Organisation, twins: Twins
) -> None:
    with context.store.write() as session:
        record_objection(
            session,
            Objection(party.id, twins.address_ids[1], NOW - DAY, "letter", "olive"),
            NOW,
        )
    assert may_write(context, twins) == [True, False]
    done = merge_contacts(context, "riverside", *twins.ids)
    assert may_write(context, twins) == [False, False]
    assert done.objected
    assert [(one.contact, one.reason) for one in done.stricter] == [(twins.ids[0], Reason.OBJECTED)]
    with context.store.read() as session:
        kept = session.get_one(Contact, twins.ids[0])
        assert kept.objected_at == NOW - DAY
        blocks = session.scalars(select(Block).where(Block.cause == BlockCause.OBJECTION)).all()
        assert {(one.address_id, one.set_at) for one in blocks} == {
            (address_id, NOW - DAY) for address_id in twins.address_ids
        }
        states = session.scalars(select(ConsentState)).all()
        assert {one.status for one in states} == {ConsentKind.OBJECTED}


def test_an_objection_afterwards_by_either_address_holds_for_the_person(
    context: Context, party: Organisation, twins: Twins
) -> None:
    merge_contacts(context, "riverside", *twins.ids)
    assert may_write(context, twins) == [True, True]
    with context.store.write() as session:
        record_objection(
            session, Objection(party.id, twins.address_ids[1], LATER, "letter", "olive"), LATER
        )
    assert may_write(context, twins) == [False, False]


def test_a_contact_without_address_brings_its_objection(
    context: Context, party: Organisation
) -> None:
    with context.store.write() as session:
        kept = add_contact(session, party.controller)
        other = add_contact(session, party.controller, objected_at=NOW)
    assert merge_contacts(context, "riverside", kept.id, other.id).objected
    with context.store.read() as session:
        assert session.get_one(Contact, kept.id).objected_at == NOW


def test_an_opt_out_of_a_channel_keeps_to_it(
    context: Context, party: Organisation, twins: Twins
) -> None:
    with context.store.write() as session:
        point = add_point(session, twins.contacts[0], channel=Channel.SMS)
        record_consent(session, party, point.address_id)
        block(session, twins.address_ids[1], controller=party.controller, channel="email")
    done = merge_contacts(context, "riverside", *twins.ids)
    assert may_write(context, twins) == [False, False]
    assert done.blocks == 1
    with context.store.read() as session:
        assert {one for one, _ in allowed(session, [point.address_id])} == {point.address_id}


def test_a_withdrawal_counts_even_against_a_later_yes_of_the_other_record(
    context: Context, party: Organisation, twins: Twins
) -> None:
    with context.store.write() as session:
        old = record_consent(
            session,
            party,
            twins.address_ids[1],
            kind=ConsentKind.WITHDRAWN,
            occurred_at=NOW - 29 * DAY,
        )
        record_consent(session, party, twins.address_ids[0], occurred_at=NOW - DAY)
    merge_contacts(context, "riverside", *twins.ids)
    assert may_write(context, twins) == [False, False]
    with context.store.read() as session:
        carried = session.scalars(select(ConsentEvent).order_by(ConsentEvent.id.desc())).first()
        assert carried is not None
        assert (carried.kind, carried.source) == (ConsentKind.WITHDRAWN, f"merge: event {old}")
    with context.store.write() as session:
        record_consent(
            session, party, twins.address_ids[0], occurred_at=LATER + DAY, now=LATER + DAY
        )
    with context.store.read() as session:
        state = session.get_one(ConsentState, (party.id, party.purpose.id, twins.address_ids[0]))
        assert state.status is ConsentKind.GIVEN


def test_what_bounced_says_nothing_about_the_other_mailbox(
    context: Context, party: Organisation, twins: Twins
) -> None:
    with context.store.write() as session:
        block(session, twins.address_ids[1], cause=BlockCause.BOUNCE, controller=party.controller)
    merge_contacts(context, "riverside", *twins.ids)
    assert may_write(context, twins) == [True, False]


def test_a_dry_run_says_the_same_and_changes_nothing(
    context: Context, party: Organisation, twins: Twins
) -> None:
    with context.store.write() as session:
        block(session, twins.address_ids[1], controller=party.controller)
    tables = (SuppressionEvent, ConsentEvent, AuditEvent, ContactMerge, ContactPointMove)
    before = [count(context, table) for table in tables]
    tried = merge_contacts(context, "riverside", *twins.ids, dry_run=True)
    assert [count(context, table) for table in tables] == before
    assert may_write(context, twins) == [True, False]
    assert merge_contacts(context, "riverside", *twins.ids) == tried
    assert faults(context) == ()


def test_details_are_filled_in_and_what_is_not_kept_is_in_the_erasable_trail(
    context: Context, party: Organisation
) -> None:
    with context.store.write() as session:
        kept = add_contact(
            session, party.controller, first_name="Ann", attributes={"ward": "North", "age": 40}
        )
        other = add_contact(
            session,
            party.controller,
            external_ref="crm-2",
            first_name="Anne",
            last_name="Okafor",
            attributes={"ward": "South", "street": "High Street"},
            source=ContactSource.CASEWORK,
            source_detail="a surgery",
            retain_until=NOW.date(),
            retained_for="casework",
        )
        add_point(session, kept)
    done = merge_contacts(context, "riverside", kept.id, other.id)
    assert done.not_kept == ("attributes", "first_name")
    with context.store.read() as session:
        row, empty = session.get_one(Contact, kept.id), session.get_one(Contact, other.id)
        assert (row.first_name, row.last_name, row.external_ref) == ("Ann", "Okafor", "crm-2")
        assert row.attributes == {"ward": "North", "age": 40, "street": "High Street"}
        assert (row.source, row.source_detail) == (ContactSource.CASEWORK, "a surgery")
        assert (row.retain_until, row.retained_for) == (NOW.date(), "casework")
        assert (empty.first_name, empty.external_ref, empty.attributes) == (None, None, {})
        payload = session.scalars(select(AuditPayload)).one().payload
        assert payload == {"not_kept": {"first_name": "Anne", "attributes": {"ward": "South"}}}


def test_what_cannot_be_merged_is_refused(
    context: Context, party: Organisation, twins: Twins
) -> None:
    kept, other = twins.ids
    with pytest.raises(RefusedError, match="one contact already"):
        merge_contacts(context, "riverside", kept, kept)
    with pytest.raises(NotFoundError):
        merge_contacts(context, "riverside", kept, (Channel.EMAIL, "nobody@example.org"))
    with context.store.write() as session:
        elsewhere = establish(session, "hillside")
        stranger = add_contact(session, elsewhere.controller)
        erased = add_contact(session, party.controller)
        erased.erased_at = NOW
        waiting = add_contact(session, party.controller)
        block(session, add_point(session, waiting).address_id, cause=BlockCause.HOLD)
    with pytest.raises(NotFoundError):
        merge_contacts(context, "riverside", kept, stranger.id)
    with pytest.raises(RefusedError, match="erased"):
        merge_contacts(context, "riverside", kept, erased.id)
    with pytest.raises(RefusedError, match="waits"):
        merge_contacts(context, "riverside", kept, waiting.id)
    merge_contacts(context, "riverside", kept, other)
    with pytest.raises(RefusedError, match="one contact already"):
        merge_contacts(context, "riverside", kept, other)


def test_the_merged_reference_leads_to_the_person(
    context: Context, party: Organisation, twins: Twins
) -> None:
    kept, other = twins.ids
    with context.store.write() as session:
        third = add_contact(session, party.controller, external_ref="crm-3")
        twins.contacts[1].first_name = "Ann"
        add_request(session, twins.points[1])
    merge_contacts(context, "riverside", kept, other)
    merge_contacts(context, "riverside", third.id, kept)
    with context.store.read() as session:
        for reference in ("crm-1", "crm-2", "crm-3"):
            (found,) = find_people(session, party.id, reference, limit=5)
            assert found.id == third.id
        merges = {row.merged_contact_id: row.into_contact_id
                  for row in session.scalars(select(ContactMerge))}  # fmt: skip
        assert merges == {kept: third.id, other: third.id}
        assert set(session.scalars(select(SubjectRequest.contact_id))) == {third.id}
    objection = NewRequest("riverside", RequestKind.OBJECTION, NOW.date(), contact_id=other)
    open_request(context, objection)
    assert may_write(context, twins) == [False, False]


def test_what_was_decided_before_is_decided_the_same_again(
    context: Context, party: Organisation, twins: Twins
) -> None:
    """A message to one address before the merge isn't judged by an objection at the other."""
    with context.store.write() as session:
        record_objection(
            session, Objection(party.id, twins.address_ids[1], NOW - DAY, "letter", "olive"), NOW
        )
    asked = [
        Question(address_id, party.id, Channel.EMAIL, party.purpose.id, then)
        for then in (NOW, LATER)
        for address_id in twins.address_ids
    ]
    merge_contacts(context, "riverside", *twins.ids)
    with context.store.read() as session:
        assert [decide_then(session, one).refusal for one in asked] == [
            None,
            Reason.OBJECTED,
            Reason.OBJECTED,
            Reason.OBJECTED,
        ]


def test_the_person_sees_both_records_and_both_are_erased(
    context: Context, party: Organisation, twins: Twins
) -> None:
    with context.store.write() as session:
        for contact, name in zip(twins.contacts, ("Ann", "Anne"), strict=True):
            session.get_one(Contact, contact.id).first_name = name
        address = twins.points[1].address
    assert address is not None
    merge_contacts(context, "riverside", *twins.ids)
    asked = Asked(Channel.EMAIL, address, "riverside")
    (held,) = export(context, asked).controllers
    tables = {section.table: section.rows for section in held.sections}
    assert len(tables["contact"]) == 2
    assert len(tables["contact_merge"]) == len(tables["contact_point_move"]) == 1
    assert any("Anne" in str(row) for row in tables["audit_payload"])
    with context.store.read() as session:
        (sentence,) = changes_of(session, party.id, twins.address_ids[1])
    kept, other = twins.ids
    assert f"contact {other}" in sentence
    assert f"the same person as {kept}." in sentence
    erase(context, asked)
    with context.store.read() as session:
        rows = session.scalars(select(Contact)).all()
        assert all(row.erased_at is not None and row.external_ref is None for row in rows)
        assert session.scalars(select(AuditPayload)).all() == []
    assert faults(context) == ()
