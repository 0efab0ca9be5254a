"""Files that would have a no lost or a yes made up: whatever they try, nobody is written to."""

import csv
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from sender.consent.ledger import ConsentAct, record
from sender.consent.objection import Objection, record_objection
from sender.contacts.addresses import ensure_address_ids
from sender.errors import UsageError
from sender.imports.contacts import import_contacts
from sender.imports.counts import ImportReport
from sender.imports.mapping import read_mapping
from sender.imports.reading import Reading, Storage
from sender.store.consents import ConsentState, Notice
from sender.store.contacts import Contact
from sender.store.engine import open_store
from sender.store.suppressions import Block
from sender.suppression.ledger import BlockScope, Suppression, release, suppress
from sender.toml.source import FileErrors
from sender.vocabulary import BlockCause, Channel, ConsentKind, Reason
from tests.support.import_world import HASHER, NOW, World, build_world

CONSENT = "consent_purpose,consent_channel,consent_notice,consent_at,consent_method,consent_source"
YES = "campaign-news,email,web-form,2026-05-07,web-form,/join"
JO = "jo@example.org"
PURPOSE = "purpose:campaign-news"
EVIDENCE = (
    "consent_purpose=campaign-news",
    "consent_notice=web-form",
    "consent_method=web-form",
    "consent_source=/join",
)


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    store = open_store(database_url)
    yield build_world(store, tmp_path)
    store.close()


def jo_says(
    world: World, kind: ConsentKind, at: datetime, *, recorded: datetime | None = None
) -> None:
    """Record an act of Jo's own."""
    with world.store.write() as session:
        address_id = ensure_address_ids(session, HASHER, Channel.EMAIL, [JO])[JO]
        notice = session.scalars(select(Notice.id).where(Notice.slug == "web-form")).first()
        act = ConsentAct(
            controller_id=world.controller_id(),
            purpose_id=world.purpose_id("campaign-news"),
            address_id=address_id,
            kind=kind,
            occurred_at=at,
            method="paper",
            source="box 7",
            operator="tester",
            notice_id=notice,
        )
        record(session, [act], recorded or world.clock.now())


def jo_objects(world: World) -> None:
    with world.store.write() as session:
        address_id = ensure_address_ids(session, HASHER, Channel.EMAIL, [JO])[JO]
        now = world.clock.now()
        objection = Objection(world.controller_id(), address_id, now, "page", "tester")
        record_objection(session, objection, now)


def jo_lifts(world: World, cause: BlockCause, channel: str) -> None:
    """Lift a block, and the mark of an objection, by an act of Jo's own."""
    with world.store.write() as session:
        scope = BlockScope(world.address_id(JO), world.controller_id(), channel)
        now = world.clock.now()
        act = Suppression(scope, cause, now, "page", by_person=True, operator="tester")
        release(session, act, now)
        session.execute(update(Contact).values(objected_at=None))


def by_preset(world: World, preset: str, content: str, *maps: str) -> ImportReport:
    fixed = [one for one in maps if one.startswith("consent_")]
    named = [one for one in maps if not one.startswith("consent_")]
    report = import_contacts(
        world.store,
        HASHER,
        world.clock,
        controller_slug="acton",
        path=world.write("export.csv", content),
        operator="tester",
        reading=Reading(read_mapping(named, [*EVIDENCE, *fixed]), preset),
        storage=Storage("canvassing", date(2028, 1, 1)),
    )
    assert report.batch_id is not None
    world.approve(report.batch_id)
    return report


def told(report: ImportReport) -> list[str]:
    assert report.rejects_path is not None
    with report.rejects_path.open(encoding="utf-8", newline="") as file:
        return [row["reject.column"] for row in csv.DictReader(file)]


def test_one_column_is_not_two_of_ours() -> None:
    with pytest.raises(UsageError, match="opt_out"):
        read_mapping(["Status=opt_out", "status=attr.state"])
    assert read_mapping(["Status=opt_out", "status=opt_out"]).columns == {"status": "opt_out"}


def test_neither_is_it_in_a_mapping_file(world: World) -> None:
    path = world.write("map.toml", '[columns]\n"Status" = "opt_out"\n"status" = "attr.state"\n')
    with pytest.raises((UsageError, FileErrors)):
        read_mapping([str(path)])


def test_a_channel_fixed_for_all_rows_does_not_widen_what_an_export_says(world: World) -> None:
    content = (
        "nationbuilder_id,first_name,email,email_opt_in,do_not_contact,mobile_number,"
        "mobile_opt_in\n1,Jo,jo@example.org,,,07400123456,Y\n"
    )
    fixed = ("consent_channel=email sms", "consent_at=2026-05-07")
    by_preset(world, "nationbuilder", content, *fixed)
    assert world.refusal("07400123456") is None
    assert world.refusal(JO) is Reason.WRONG_CHANNEL


def test_an_opt_out_column_of_our_own_is_never_passed_over_in_an_export(world: World) -> None:
    content = (
        "Email Address,OPTIN_TIME,CONFIRM_TIME,Opt out\n"
        "jo@example.org,2026-05-07 10:00:00,2026-05-07 10:00:00,email\n"
    )
    by_preset(world, "mailchimp", content)
    assert world.refusal(JO) is Reason.SUPPRESSED


def test_somebody_in_an_audience_who_never_opted_in_did_not_agree(world: World) -> None:
    content = "Email Address,OPTIN_TIME,CONFIRM_TIME\njo@example.org,,\n"
    by_preset(world, "mailchimp", content, "consent_at=2026-05-07")
    assert world.refusal(JO) is Reason.NO_CONSENT


def test_who_left_an_export_without_an_address_is_found_by_the_reference(world: World) -> None:
    world.bring_in(f"external_ref,email,{CONSENT}\n1,jo@example.org,{YES}\n")
    content = (
        "nationbuilder_id,email,email_opt_in,do_not_contact,unsubscribed_at\n1,,,,2026-06-01\n"
    )
    by_preset(world, "nationbuilder", content)
    assert world.refusal(JO) is Reason.SUPPRESSED


@pytest.mark.parametrize("said", ["yes", "TRUE", "x", "Unsubscribed", "1"])
def test_a_no_that_does_not_say_of_what_is_one_to_every_channel(world: World, said: str) -> None:
    world.bring_in(f"external_ref,email,{CONSENT}\n1,jo@example.org,{YES}\n")
    report = world.bring_in(f"external_ref,opt_out,{CONSENT}\n1,{said},{YES}\n")
    assert world.refusal(JO) is Reason.SUPPRESSED
    assert "opt_out" in told(report)
    assert report.counts.consents_recorded == 0


def test_a_word_that_is_no_opt_out_blocks_nobody(world: World) -> None:
    world.bring_in(f"email,{CONSENT}\njo@example.org,{YES}\n")
    report = world.bring_in("email,opt_out\njo@example.org,no\n")
    assert told(report) == ["opt_out"]
    assert world.refusal(JO) is None


def test_a_yes_beside_an_address_that_cannot_be_meant_is_not_the_old_addresss(world: World) -> None:
    world.bring_in("external_ref,email\n1,jo@example.org\n")
    report = world.bring_in(f"external_ref,email,{CONSENT}\n1,jo@@new.example,{YES}\n")
    assert report.counts.consents_recorded == 0
    assert world.refusal(JO) is Reason.NO_CONSENT


def test_a_yes_without_an_address_is_that_of_the_persons_only_one(world: World) -> None:
    world.bring_in("external_ref,email\n1,jo@example.org\n")
    world.bring_in(f"external_ref,{CONSENT}\n1,{YES}\n")
    assert world.refusal(JO) is None


def test_an_objection_of_a_reference_that_nobody_has_is_told(world: World) -> None:
    world.bring_in("external_ref,email\n007,jo@example.org\n")
    report = world.bring_in("external_ref,opt_out\n7,all\n")
    assert told(report) == ["external_ref"]
    again = world.bring_in(f"external_ref,mobile,{CONSENT}\n7,07400123456,{YES}\n")
    assert again.counts.objections_carried == 1


def test_a_no_is_not_lost_behind_a_yes_that_waits_for_approval(world: World) -> None:
    """The older no makes the state a no; approval would have let the yes win over both."""
    report = world.bring_in(f"email,{CONSENT}\njo@example.org,{YES}\n", approved=False)
    jo_says(world, ConsentKind.WITHDRAWN, datetime(2023, 5, 1, tzinfo=UTC))
    world.bring_in(f"email,opt_out\njo@example.org,{PURPOSE}\n")
    assert report.batch_id is not None
    world.approve(report.batch_id)
    assert world.refusal(JO) is Reason.WITHDRAWN


def test_an_objection_ends_a_yes_that_waits_for_approval(world: World) -> None:
    report = world.bring_in(f"email,{CONSENT}\njo@example.org,{YES}\n", approved=False)
    jo_objects(world)
    assert report.batch_id is not None
    world.approve(report.batch_id)
    world.clock.sleep(60)
    jo_lifts(world, BlockCause.OBJECTION, "*")
    assert world.refusal(JO) is Reason.OBJECTED
    assert world.all(select(ConsentState.status)) == [(ConsentKind.OBJECTED,)]


def test_a_second_objection_ends_what_was_agreed_since_the_first(world: World) -> None:
    world.bring_in(f"email,{CONSENT}\njo@example.org,{YES}\n")
    jo_objects(world)
    world.clock.sleep(60)
    jo_lifts(world, BlockCause.OBJECTION, "*")
    world.clock.sleep(60)
    jo_says(world, ConsentKind.GIVEN, world.clock.now())
    assert world.refusal(JO) is None
    world.clock.sleep(60)
    world.bring_in("email,opt_out\njo@example.org,all\n")
    assert world.refusal(JO) is Reason.OBJECTED
    world.clock.sleep(60)
    jo_lifts(world, BlockCause.OBJECTION, "*")
    assert world.refusal(JO) is Reason.OBJECTED
    assert world.all(select(ConsentState.status)) == [(ConsentKind.OBJECTED,)]


def test_a_no_of_a_day_on_which_one_was_lifted_is_a_new_one(world: World) -> None:
    """STOP in the morning, START at noon, and a list that says: opted out on that day."""
    day = datetime(2026, 5, 7, 9, tzinfo=UTC)
    world.clock.at = day
    content = f"email,opt_out,opt_out_at\njo@example.org,email,{day:%Y-%m-%d}\n"
    with world.store.write() as session:
        address_id = ensure_address_ids(session, HASHER, Channel.EMAIL, [JO])[JO]
        scope = BlockScope(address_id, world.controller_id(), "email")
        act = Suppression(scope, BlockCause.OPT_OUT, day, "stop", by_person=True, operator="t")
        suppress(session, [act], day)
    world.clock.sleep(3 * 3600)
    jo_lifts(world, BlockCause.OPT_OUT, "email")
    world.clock.at = NOW
    assert world.bring_in(content).counts.opt_outs_recorded == 1
    assert world.all(select(Block.cause)) == [(BlockCause.OPT_OUT,)]
    jo_lifts(world, BlockCause.OPT_OUT, "email")  # on a later day, and so after this very no
    world.clock.sleep(60)
    assert world.bring_in(content).counts.opt_outs_unchanged == 1
    assert world.all(select(Block.cause)) == []


def test_a_withdrawal_of_a_day_on_which_they_agreed_again_is_a_new_one(world: World) -> None:
    day = datetime(2026, 5, 7, 9, tzinfo=UTC)
    content = f"email,opt_out,opt_out_at\njo@example.org,{PURPOSE},{day:%Y-%m-%d}\n"
    jo_says(world, ConsentKind.WITHDRAWN, day)
    jo_says(world, ConsentKind.GIVEN, day + timedelta(hours=3))
    assert world.bring_in(content).counts.opt_outs_recorded == 1
    assert world.refusal(JO) is Reason.WITHDRAWN
    assert world.bring_in(content).counts.opt_outs_unchanged == 1


def test_a_no_of_the_hour_that_comes_twice_is_not_before_a_yes_of_that_hour(world: World) -> None:
    jo_says(world, ConsentKind.GIVEN, datetime(2026, 10, 25, 1, 10, tzinfo=UTC))
    content = f"email,opt_out,opt_out_at\njo@example.org,{PURPOSE},2026-10-25 01:50\n"
    world.bring_in(content)
    assert world.refusal(JO) is Reason.WITHDRAWN
    assert world.bring_in(content).counts.opt_outs_recorded == 0


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("no", ["email", "all", PURPOSE])
def test_rows_of_one_file_that_contradict_each_other_are_a_no(
    world: World, monkeypatch: pytest.MonkeyPatch, order: int, no: str
) -> None:
    monkeypatch.setattr("sender.imports.contacts.ROWS_A_CHUNK", 1)
    rows = [f"jo@example.org,,,{YES}\n", f"JO@Example.org,{no},2026-05-07,,,,,,\n"]
    world.bring_in(f"email,opt_out,opt_out_at,{CONSENT}\n" + "".join(rows[::order]))
    assert world.refusal(JO) in {Reason.SUPPRESSED, Reason.OBJECTED, Reason.WITHDRAWN}


@pytest.mark.parametrize(
    "written", ["7400123456", "447400123456", "00447400123456", "'07400123456"]
)
def test_an_opt_out_of_a_mangled_number_is_found(world: World, written: str) -> None:
    world.bring_in(f"mobile,{CONSENT}\n07400123456,{YES.replace('email', 'sms')}\n")
    world.opt_out(f"mobile\n{written}\n")
    assert world.refusal("07400123456") is Reason.SUPPRESSED


@pytest.mark.parametrize("how", ["page", PURPOSE])
def test_a_new_address_does_not_bring_an_old_yes_back(world: World, how: str) -> None:
    """Unsubscribed at the old address; the other system changed it, and exports the yes of then."""
    world.bring_in(f"external_ref,email,{CONSENT}\n1,jo@example.org,{YES}\n")
    world.clock.sleep(60)
    if how == PURPOSE:
        jo_says(world, ConsentKind.WITHDRAWN, world.clock.now())
    else:
        with world.store.write() as session:
            scope = BlockScope(world.address_id(JO), world.controller_id(), "email")
            now = world.clock.now()
            act = Suppression(scope, BlockCause.OPT_OUT, now, how, by_person=True, operator="t")
            suppress(session, [act], now)
    world.bring_in("external_ref,email\n1,jo@new.example\n")
    report = world.bring_in(f"external_ref,email,{CONSENT}\n1,jo@new.example,{YES}\n")
    assert told(report) == ["consent_at"]
    assert world.refusal("jo@new.example") is Reason.NO_CONSENT
    world.clock.sleep(2 * 86_400)
    later = YES.replace("2026-05-07", "2026-11-22")
    world.bring_in(f"external_ref,email,{CONSENT}\n1,jo@new.example,{later}\n")
    assert world.refusal("jo@new.example") is None


def test_a_yes_of_ones_own_at_another_address_stays(world: World) -> None:
    world.bring_in("external_ref,email\n1,jo@example.org\n1,second@example.org\n")
    jo_says(world, ConsentKind.GIVEN, datetime(2026, 5, 7, tzinfo=UTC))
    with world.store.write() as session:
        scope = BlockScope(world.address_id("second@example.org"), world.controller_id(), "email")
        act = Suppression(scope, BlockCause.OPT_OUT, NOW, "page", by_person=True, operator="t")
        suppress(session, [act], NOW)
    world.bring_in(f"email,{CONSENT}\njo@example.org,{YES.replace('05-07', '05-06')}\n")
    assert world.refusal(JO) is None


def test_a_no_is_not_lost_behind_a_yes_of_an_import_that_broke_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sender.imports.contacts.ROWS_A_CHUNK", 1)
    content = f"email,{CONSENT}\njo@example.org,{YES}\nann@example.org,{YES}\n"

    def die(_rows: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.bring_in(content, progress=die)
    jo_says(world, ConsentKind.WITHDRAWN, datetime(2023, 5, 1, tzinfo=UTC))
    world.bring_in(f"email,opt_out\njo@example.org,{PURPOSE}\n", name="opt-outs-of-today.csv")
    world.bring_in(content)
    assert world.refusal("ann@example.org") is None
    assert world.refusal(JO) is Reason.WITHDRAWN
