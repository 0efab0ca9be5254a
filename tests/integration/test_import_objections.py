"""An import never lifts a no, and an objection reaches every address of the person."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from sender.consent.checking import check_history
from sender.consent.objection import Objection, record_objection
from sender.consent.person import load_person
from sender.consent.policy import decide
from sender.consent.scopes import load_scope
from sender.contacts.addresses import ensure_address_ids
from sender.context import Context
from sender.evidence.retention import erase_expired
from sender.settings import Settings
from sender.store.consents import ConsentEvent, ConsentState
from sender.store.contacts import Contact, ContactPoint
from sender.store.controllers import Controller
from sender.store.engine import open_store
from sender.store.suppressions import Block, SuppressionEvent
from sender.suppression.ledger import BlockScope, Suppression, release, suppress
from sender.vocabulary import EVERY_CHANNEL, BlockCause, Channel, ConsentKind, Reason
from tests.support.factory import add_identity
from tests.support.import_world import HASHER, NOW, PURPOSES, World, build_world

CONSENT = "consent_purpose,consent_channel,consent_notice,consent_at,consent_method,consent_source"
BY_EMAIL = "campaign-news,email,web-form,2026-05-07,web-form,https://acton.example/join"
BY_SMS = "campaign-news,sms,web-form,2026-05-07,web-form,https://acton.example/join"


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    store = open_store(database_url)
    found = build_world(store, tmp_path)
    with store.write() as session:
        controller = session.scalars(select(Controller).where(Controller.slug == "acton")).one()
        for channel in Channel:
            add_identity(session, controller, channel)
    yield found
    store.close()


def reason(world: World, address: str, purpose: str = "campaign-news") -> Reason | None:
    channel = Channel.EMAIL if "@" in address else Channel.SMS
    controller_id, purpose_id = world.controller_id(), world.purpose_id(purpose)
    address_id = world.address_id(address)
    with world.store.read() as session:
        person = load_person(
            session,
            address_id=address_id,
            controller_id=controller_id,
            channel=channel,
            purpose_id=purpose_id,
        )
        scope = load_scope(
            session,
            controller_id=controller_id,
            channel=channel,
            purpose_id=purpose_id,
            at=world.clock.now(),
        )
    return decide(person, scope).refusal


def object_by_email(world: World, address: str = "jo@example.org") -> None:
    with world.store.write() as session:
        ids = ensure_address_ids(session, HASHER, Channel.EMAIL, [address])
        objection = Objection(
            controller_id=session.scalars(
                select(Controller.id).where(Controller.slug == "acton")
            ).one(),
            address_id=ids[address],
            occurred_at=NOW,
            source="page",
            operator="tester",
        )
        record_objection(session, objection, NOW)


def test_person_with_consent_may_be_written_to(world: World) -> None:
    world.bring_in(f"email,{CONSENT}\njo@example.org,{BY_EMAIL}\n")
    assert reason(world, "jo@example.org") is None


def test_object_by_email_then_import_the_same_persons_new_mobile(world: World) -> None:
    world.bring_in(f"email,{CONSENT}\njo@example.org,{BY_EMAIL}\n")
    object_by_email(world)
    report = world.bring_in(f"email,mobile,{CONSENT}\njo@example.org,07400123456,{BY_SMS}\n")
    assert reason(world, "07400123456") is Reason.OBJECTED
    assert report.counts.objections_carried == 1
    assert (world.address_id("07400123456"), EVERY_CHANNEL) in world.all(
        select(Block.address_id, Block.channel)
    )


def test_object_by_email_then_import_the_mobile_by_reference_alone(world: World) -> None:
    world.bring_in("external_ref,email\nA1,jo@example.org\n")
    object_by_email(world)
    world.bring_in(f"external_ref,mobile,{CONSENT}\nA1,07400123456,{BY_SMS}\n")
    assert reason(world, "07400123456") is Reason.OBJECTED


def test_objection_without_a_contact_marks_the_contact_that_comes_later(world: World) -> None:
    object_by_email(world)
    world.bring_in(f"email,mobile,{CONSENT}\njo@example.org,07400123456,{BY_SMS}\n")
    jo = world.contact_of("07400123456")
    assert jo is not None
    assert jo.objected_at == NOW
    assert reason(world, "07400123456") is Reason.OBJECTED


def test_objection_to_every_controller_reaches_the_new_mobile(world: World) -> None:
    with world.store.write() as session:
        ids = ensure_address_ids(session, HASHER, Channel.EMAIL, ["jo@example.org"])
        scope = BlockScope(ids["jo@example.org"], None)
        act = Suppression(scope, BlockCause.OBJECTION, NOW, "letter", by_person=True, operator="t")
        suppress(session, [act], NOW)
    world.bring_in(f"email,mobile,{CONSENT}\njo@example.org,07400123456,{BY_SMS}\n")
    assert reason(world, "07400123456") is Reason.OBJECTED


@pytest.mark.parametrize("objected_before", [True, False])
def test_erased_person_is_not_brought_back_and_stays_objected(
    world: World, *, objected_before: bool
) -> None:
    world.bring_in("external_ref,email,first_name\nA1,jo@example.org,Jo\n")
    if objected_before:
        object_by_email(world)
    with world.store.write() as session:
        session.execute(update(Contact).values(external_ref=None, first_name=None, erased_at=NOW))
        session.execute(update(ContactPoint).values(address=None))
    report = world.bring_in(
        f"email,mobile,first_name,{CONSENT}\njo@example.org,07400123456,Jo,{BY_SMS}\n"
    )
    assert report.counts.rejected == 1
    assert world.all(select(Contact.first_name)) == [(None,)]
    assert world.all(select(ContactPoint.address)) == [(None,)]
    if objected_before:
        fresh = world.bring_in(f"mobile,{CONSENT}\n07400123456,{BY_SMS}\n")
        assert fresh.counts.created == 1
        assert reason(world, "07400123456") is Reason.OBJECTED


@pytest.mark.parametrize("objected", [True, False])
def test_objection_outlives_the_date_until_which_somebody_was_kept(
    world: World, *, objected: bool
) -> None:
    """The reference is the one thing by which the next file's new address is known as theirs."""
    world.bring_in("external_ref,email,first_name\nA1,jo@example.org,Jo\n")
    if objected:
        object_by_email(world)
    with world.store.write() as session:
        past = world.clock.now().date() - timedelta(days=1)
        session.execute(update(Contact).values(retain_until=past))
    erase_expired(Context(Settings(), world.store, HASHER, world.clock, "tester"))
    ((name, reference),) = world.all(select(Contact.first_name, Contact.external_ref))
    assert (name, reference) == (None, "A1" if objected else None)
    report = world.bring_in(f"external_ref,mobile,{CONSENT}\nA1,07400123456,{BY_SMS}\n")
    assert report.counts.created == (0 if objected else 1)
    assert report.counts.rejected == (1 if objected else 0)


def test_objection_in_the_file_reaches_addresses_of_other_rows_and_files(world: World) -> None:
    world.bring_in(f"external_ref,mobile,{CONSENT}\nA1,07400123456,{BY_SMS}\n")
    report = world.bring_in(
        f"external_ref,email,opt_out,{CONSENT}\n"
        f"A1,jo@example.org,,{BY_EMAIL}\nA1,,all,,,,,,\nA1,second@example.org,,{BY_EMAIL}\n"
    )
    assert report.counts.opt_outs_recorded == 1
    for address in ("07400123456", "jo@example.org", "second@example.org"):
        assert reason(world, address) is Reason.OBJECTED
    statuses = {status for (status,) in world.all(select(ConsentState.status))}
    assert statuses == {ConsentKind.OBJECTED}


def test_imported_yes_stays_beaten_after_the_person_lifts_the_objection(world: World) -> None:
    object_by_email(world)
    world.bring_in(f"email,{CONSENT}\njo@example.org,{BY_EMAIL}\n")
    with world.store.write() as session:
        scope = BlockScope(session.scalars(select(Block.address_id)).one(), 1)
        later = NOW + timedelta(seconds=1)
        act = Suppression(scope, BlockCause.OBJECTION, later, "page", by_person=True, operator="t")
        release(session, act, later)
        session.execute(update(Contact).values(objected_at=None))
    assert reason(world, "jo@example.org") is Reason.OBJECTED
    assert world.all(select(ConsentState.status)) == [(ConsentKind.OBJECTED,)]


def test_opt_out_in_a_later_row_beats_the_yes_of_an_earlier_one(world: World) -> None:
    world.bring_in(
        f"email,opt_out,opt_out_at,{CONSENT}\n"
        f"jo@example.org,,,{BY_EMAIL}\njo@example.org,purpose:campaign-news,2025-01-01,,,,,,\n"
    )
    assert reason(world, "jo@example.org") is Reason.WITHDRAWN


@pytest.mark.parametrize("opt_out", ["email", "all", "purpose:campaign-news"])
def test_later_yes_in_a_file_lifts_nothing(world: World, opt_out: str) -> None:
    world.bring_in(f"email,opt_out,opt_out_at\njo@example.org,{opt_out},2023-01-01\n")
    before = reason(world, "jo@example.org")
    world.bring_in(f"email,{CONSENT}\njo@example.org,{BY_EMAIL}\n")
    assert before is not None
    assert reason(world, "jo@example.org") in {
        Reason.SUPPRESSED,
        Reason.OBJECTED,
        Reason.WITHDRAWN,
    }


def test_opt_out_of_a_channel_holds_for_all_addresses_on_it_and_no_other(world: World) -> None:
    world.bring_in(
        "external_ref,email,mobile\nA1,jo@example.org,07400123456\nA1,second@example.org,\n"
    )
    world.bring_in("external_ref,opt_out,opt_out_source\nA1,email,old CRM\n")
    blocked = world.all(select(Block.address_id, Block.channel, Block.cause))
    assert sorted(blocked) == sorted(
        (world.address_id(one), "email", BlockCause.OPT_OUT)
        for one in ("jo@example.org", "second@example.org")
    )
    sources = world.all(select(SuppressionEvent.source, SuppressionEvent.by_person))
    assert set(sources) == {("import: old CRM", True)}


def test_opt_out_that_the_person_lifted_is_not_set_again_by_the_same_file(world: World) -> None:
    content = "email,opt_out,opt_out_at\njo@example.org,email,2024-05-07\n"
    world.bring_in(content)
    with world.store.write() as session:
        scope = BlockScope(session.scalars(select(Block.address_id)).one(), 1, "email")
        act = Suppression(scope, BlockCause.OPT_OUT, NOW, "page", by_person=True, operator="t")
        release(session, act, NOW)
    assert world.bring_in(content).counts.opt_outs_unchanged == 1
    assert world.all(select(Block.address_id)) == []


def test_objection_to_one_controller_is_none_to_another(world: World) -> None:
    world.bring_in("email\njo@example.org\n", controller="barnet")
    world.bring_in("email,opt_out\njo@example.org,all\n")
    barnet = world.contact_of("jo@example.org", "barnet")
    assert barnet is not None
    assert barnet.objected_at is None
    assert world.all(select(Block.controller_id)) == [(world.controller_id("acton"),)]


_examples = count()

rows = st.fixed_dictionaries(
    {
        "who": st.integers(0, 2),
        "has_ref": st.booleans(),
        "has_email": st.booleans(),
        "has_mobile": st.booleans(),
        "opt_out": st.sampled_from(["", "", "email", "sms", "all", "purpose:campaign-news"]),
        "opt_out_at": st.sampled_from(["", "2023-01-01", "2026-06-01"]),
        "consent": st.sampled_from(["", BY_EMAIL, BY_SMS, BY_EMAIL.replace("05-07", "10-01")]),
        "wrong": st.booleans(),
    }
)


@pytest.mark.parametrize("dialect", ["sqlite"])
@settings(max_examples=10)
@given(files=st.lists(st.lists(rows, min_size=1, max_size=5), min_size=1, max_size=4))
def test_no_import_lifts_a_no_that_stood_before_it(
    world: World, files: list[list[dict[str, object]]]
) -> None:
    example = next(_examples)
    addresses = [f"{who}.{example}@example.org" for who in range(3)]
    addresses += [f"+4474{example:05d}{who:03d}" for who in range(3)]
    no = {Reason.OBJECTED, Reason.SUPPRESSED, Reason.WITHDRAWN}
    before: dict[tuple[str, str], Reason | None] = {}
    world.bring_in("email,mobile\n" + "".join(f"{one}\n" for one in _pairs(addresses)))
    for file in files:
        lines = [_line(row, example) for row in file]
        content = f"external_ref,email,mobile,attr.n:number,opt_out,opt_out_at,{CONSENT}\n"
        world.bring_in(content + "\n".join(lines) + "\n")
        recorded = _events(world)
        again = world.bring_in(content + "\n".join(lines) + "\n")
        assert _events(world) == recorded
        assert again.counts.opt_outs_recorded + again.counts.consents_recorded == 0
        after = {
            (one, purpose): reason(world, one, purpose) for one in addresses for purpose in PURPOSES
        }
        assert all(after[key] in no for key, was in before.items() if was in no)
        before = after
        world.clock.sleep(60)
    with world.store.read() as session:
        assert check_history(session, lambda _table: None).faults == ()
        objected = (
            select(ContactPoint.address_id)
            .join(Contact, Contact.id == ContactPoint.contact_id)
            .where(Contact.objected_at.is_not(None))
        )
        blocked = select(Block.address_id).where(Block.cause == BlockCause.OBJECTION)
        assert set(session.scalars(objected)) <= set(session.scalars(blocked))


def _events(world: World) -> int:
    tables = (ConsentEvent, SuppressionEvent)
    return sum(len(world.all(select(table.id))) for table in tables)


def _pairs(addresses: list[str]) -> list[str]:
    return [f"{email},{mobile}" for email, mobile in zip(addresses[:3], addresses[3:], strict=True)]


def _line(row: dict[str, object], example: int) -> str:
    who = row["who"]
    cells = [
        f"R{who}.{example}" if row["has_ref"] else "",
        f"{who}.{example}@example.org" if row["has_email"] else "",
        f"+4474{example:05d}{who:03d}" if row["has_mobile"] else "",
        "many" if row["wrong"] else "",
        str(row["opt_out"]),
        str(row["opt_out_at"]),
        str(row["consent"]) or ",,,,,",
    ]
    return ",".join(cells)


@pytest.mark.parametrize("mobile", ["", "07400123456"])
def test_refused_row_again_counts_no_new_opt_out(world: World, mobile: str) -> None:
    world.bring_in(f"external_ref,mobile\nA1,{mobile}\n")
    content = "external_ref,attr.n:number,opt_out\nA1,many,all\n"
    first = world.bring_in(content)
    again = world.bring_in(content)
    assert (first.counts.opt_outs_recorded, first.counts.opt_outs_unchanged) == (1, 0)
    assert (again.counts.opt_outs_recorded, again.counts.opt_outs_unchanged) == (0, 1)
    assert world.all(select(Contact.objected_at)) == [(NOW,)]


def test_no_of_a_refused_row_counts_for_somebody_whom_a_later_row_brings(world: World) -> None:
    content = "external_ref,email,attr.n:number,opt_out\nA1,,many,email\nA1,jo@example.org,1,\n"
    first = world.bring_in(content)
    assert reason(world, "jo@example.org") is Reason.SUPPRESSED
    assert first.counts.opt_outs_recorded == 1
    assert world.bring_in(content).counts.opt_outs_recorded == 0


def test_a_no_without_a_date_counts_beside_an_older_one_with_a_date(world: World) -> None:
    world.bring_in(f"email,{CONSENT}\njo@example.org,{BY_EMAIL}\n")
    content = (
        "email,opt_out,opt_out_at\njo@example.org,purpose:campaign-news,2023-01-01\n"
        "jo@example.org,purpose:campaign-news,\n"
    )
    world.bring_in(content)
    assert reason(world, "jo@example.org") is Reason.WITHDRAWN
    assert world.bring_in(content).counts.opt_outs_recorded == 0
