"""Who objected and was erased is known again by a reference of which a keyed hash alone stays."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from sender.consent.checking import check_history
from sender.consent.objection import Objection, record_objection
from sender.contacts.addresses import ensure_address_ids
from sender.contacts.find import find_by_address, find_people
from sender.context import Context
from sender.delivery.key_rotation import rotate_key
from sender.errors import KeyRefusedError
from sender.imports.people import People
from sender.store.audit import AuditEvent
from sender.store.contacts import Contact
from sender.store.engine import open_store
from sender.store.erased_references import is_kept, kept_reference, lifted_reference, shown
from sender.store.keys import AddressHasher
from sender.store.suppressions import Block
from sender.subjects.erase import erase, erase_again
from sender.subjects.export import export
from sender.subjects.merge import merge_contacts
from sender.subjects.whom import Asked
from sender.suppression.ledger import BlockScope, Suppression, suppress
from sender.vocabulary import BlockCause, Channel
from tests.support.held import where_found
from tests.support.import_world import HASHER, NOW, World, build_world
from tests.support.web_context import web_settings

CONSENT = "consent_purpose,consent_channel,consent_notice,consent_at,consent_method,consent_source"
BY_SMS = "campaign-news,sms,web-form,2026-05-07,web-form,/join"
JO, NEW = "jo@example.org", "07400123456"
SECOND = bytes([2]) * 32
TWO = AddressHasher(SECOND, bytes(range(32)))
AGAIN = f"external_ref,mobile,{CONSENT}\nMember-1,{NEW},{BY_SMS}\n"


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    store = open_store(database_url)
    found = build_world(store, tmp_path)
    found.bring_in(f"external_ref,email\nMember-1,{JO}\nMember-2,other@example.org\n")
    yield found
    store.close()


def context_of(world: World, hasher: AddressHasher = HASHER) -> Context:
    return Context(web_settings(), world.store, hasher, world.clock, "tester")


def object_to(world: World, controller: str = "acton", address: str = JO) -> None:
    controller_id = world.controller_id(controller)
    with world.store.write() as session:
        address_id = ensure_address_ids(session, HASHER, Channel.EMAIL, [address])[address]
        record_objection(session, Objection(controller_id, address_id, NOW, "page", "tester"), NOW)


def forget(world: World, controller: str | None = "acton") -> None:
    erase(context_of(world), Asked(Channel.EMAIL, JO, controller))


def references(world: World) -> list[str | None]:
    return [row for (row,) in world.all(select(Contact.external_ref).order_by(Contact.id))]


def kept(world: World, reference: str, hasher: AddressHasher = HASHER) -> str:
    return kept_reference(hasher, world.controller_id(), reference)


def causes(world: World, address: str = NEW) -> set[BlockCause]:
    query = select(Block.cause).where(Block.address_id == world.address_id(address))
    return {cause for (cause,) in world.all(query)}


def test_a_file_with_the_reference_and_a_new_address_blocks_that_address(world: World) -> None:
    object_to(world)
    forget(world)
    report = world.bring_in(AGAIN)
    assert (report.counts.created, report.counts.rejected) == (0, 1)
    assert world.contact_of(NEW) is None
    assert causes(world) == {BlockCause.OBJECTION}
    assert report.counts.objections_carried == 1
    assert world.bring_in(AGAIN).counts.objections_carried == 0


def test_nothing_of_the_reference_is_left_in_plain(world: World) -> None:
    object_to(world)
    forget(world)
    assert references(world) == [kept(world, "Member-1"), "Member-2"]
    with world.store.read() as session:
        assert where_found(session, "Member-1", JO) == set()
        assert check_history(session, lambda _table: None).faults == ()


def test_of_whoever_did_not_object_no_reference_is_kept(world: World) -> None:
    forget(world)
    assert references(world) == [None, "Member-2"]
    assert world.bring_in(AGAIN).counts.created == 1


def test_an_objection_at_all_controllers_keeps_it_too(world: World) -> None:
    with world.store.write() as session:
        address_id = ensure_address_ids(session, HASHER, Channel.EMAIL, [JO])[JO]
        scope = BlockScope(address_id, None)
        act = Suppression(scope, BlockCause.OBJECTION, NOW, "letter", by_person=True, operator="t")
        suppress(session, [act], NOW)
    forget(world)
    world.bring_in(AGAIN)
    assert causes(world) == {BlockCause.OBJECTION}


def test_so_it_does_for_a_contact_that_was_merged(world: World) -> None:
    world.bring_in("external_ref,email\nMember-9,second@example.org\n")
    one, other = world.contact_of(JO), world.contact_of("second@example.org")
    assert one is not None
    assert other is not None
    merge_contacts(context_of(world), "acton", one.id, other.id)
    object_to(world)
    forget(world)
    assert references(world) == [
        kept(world, "Member-1"), "Member-2", kept(world, "Member-9"),
    ]  # fmt: skip
    report = world.bring_in(AGAIN.replace("Member-1", "Member-9"))
    assert report.counts.rejected == 1
    assert causes(world) == {BlockCause.OBJECTION}


def test_erased_again_it_stays_as_it_is(world: World) -> None:
    object_to(world)
    forget(world)
    before = references(world)
    forget(world)
    assert references(world) == before


def test_a_restored_person_is_emptied_alike(world: World) -> None:
    object_to(world)
    with world.store.write() as session:
        address_id = ensure_address_ids(session, HASHER, Channel.EMAIL, [JO])[JO]
        erase_again(session, world.controller_id(), address_id, "tester", NOW, hasher=HASHER)
    assert references(world) == [kept(world, "Member-1"), "Member-2"]


def test_the_same_reference_at_another_body_is_nobodys_there(world: World) -> None:
    object_to(world)
    forget(world)
    report = world.bring_in(AGAIN, controller="barnet")
    assert report.counts.created == 1
    assert world.refusal(NEW, controller="barnet") is None
    ids = [world.controller_id(one) for one in ("acton", "barnet")]
    assert kept_reference(HASHER, ids[0], "Member-1") != kept_reference(HASHER, ids[1], "Member-1")


def test_a_new_key_finds_the_person_still(world: World) -> None:
    object_to(world)
    forget(world)
    world.bring_in(f"external_ref,email\n{'erased:' + 'ab' * 31},living@example.org\n")
    rotate_key(context_of(world, TWO))
    assert references(world)[:2] == [kept(world, "Member-1", TWO), "Member-2"]
    assert references(world)[2] == "erased:" + "ab" * 31
    with world.store.write() as session:
        people = People(session, TWO, world.controller_id())
        people.lock(["Member-1"], [])
        people.load()
        assert [one.is_erased for one in people.everybody] == [True]


def test_a_process_of_before_the_new_key_finds_and_keeps_nothing(world: World) -> None:
    object_to(world)
    rotate_key(context_of(world, TWO))
    with pytest.raises(KeyRefusedError), world.store.write() as session:
        People(session, HASHER, world.controller_id()).lock(["Member-1"], [])
    with pytest.raises(KeyRefusedError), world.store.write() as session:
        erase_again(session, world.controller_id(), 1, "tester", NOW, hasher=HASHER)
    assert references(world) == ["Member-1", "Member-2"]


def test_it_is_shown_nowhere(world: World) -> None:
    object_to(world)
    forget(world)
    context = context_of(world)
    everything = export(context, Asked(Channel.EMAIL, JO, "acton"))
    assert "erased:" not in str(everything)
    with world.store.read() as session:
        acton = world.controller_id()
        [found] = find_by_address(session, HASHER, acton, Channel.EMAIL, JO)
        assert found.external_ref is None
        assert find_people(session, acton, "Member-1", limit=5) == []
        assert "erased:" not in str(session.scalars(select(AuditEvent.details)).all())


def test_a_file_cannot_name_somebody_by_what_is_kept(world: World) -> None:
    object_to(world)
    forget(world)
    told = kept(world, "Member-1")
    report = world.bring_in(f"external_ref,email,opt_out\n{told},mo@example.org,email\n")
    assert (report.counts.rejected, report.counts.opt_outs_recorded) == (1, 1)
    assert report.counts.objections_carried == 0
    assert causes(world, "mo@example.org") == {BlockCause.OPT_OUT}


def test_it_fits_its_column(world: World) -> None:
    longest = "x" * 200
    with world.store.write() as session:
        session.execute(
            update(Contact).where(Contact.external_ref == "Member-1").values(external_ref=longest)
        )
    object_to(world)
    forget(world)
    assert references(world)[0] == kept(world, longest)


@given(reference=st.text(min_size=1, max_size=200), controller_id=st.integers(1, 99))
def test_what_is_kept_is_told_from_every_reference(reference: str, controller_id: int) -> None:
    made = kept_reference(HASHER, controller_id, reference)
    assert is_kept(made)
    assert not is_kept(reference)
    assert (shown(made), shown(reference)) == (None, reference)
    assert kept_reference(HASHER, controller_id, made) == made
    lifted = lifted_reference(TWO, made, HASHER.fingerprint)
    assert lifted == kept_reference(TWO, controller_id, reference)
