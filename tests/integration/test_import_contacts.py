"""Import of contacts: who is brought in, merged, refused; nothing is lost or repeated."""

import csv
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from sender.errors import FileError, KeyRefusedError, NotFoundError
from sender.imports import contacts as module
from sender.imports.contacts import import_contacts
from sender.store.audit import AuditEvent
from sender.store.chain import LEDGERS
from sender.store.chain_check import verify
from sender.store.consents import ConsentEvent, ConsentState
from sender.store.contacts import Contact, ContactPoint, ImportBatch
from sender.store.engine import open_store
from sender.store.keys import AddressHasher
from sender.store.suppressions import Block, SuppressionEvent
from sender.vocabulary import ConsentFlaw, ConsentKind, ContactSource
from tests.support.import_world import HASHER, KEPT, NOW, FixedClock, World, build_world

HEADER = (
    "external_ref,title,first_name,last_name,postcode,locale,time_zone,source,source_detail,"
    "email,mobile,attr.ward,attr.age:number,attr.member:boolean,attr.joined:date\n"
)
JO = "A1,Ms,Jo,Bloggs,SW1A 1AA,en_GB,Europe/London,,,Jo@Example.org,07400 123456,Abbey,41,yes,"


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    store = open_store(database_url)
    yield build_world(store, tmp_path)
    store.close()


def rejects(path: Path | None) -> list[dict[str, str]]:
    assert path is not None
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def consent_row(**changed: str) -> str:
    cells = {
        "email": "jo@example.org",
        "mobile": "07400 123456",
        "consent_purpose": "campaign-news",
        "consent_channel": "email",
        "consent_notice": "web-form",
        "consent_at": "2026-05-07",
        "consent_method": "web-form",
        "consent_source": "https://acton.example/join",
    } | changed
    return ",".join(cells) + "\n" + ",".join(cells.values()) + "\n"


def snapshot(world: World) -> dict[str, list[Any]]:
    tables = (Contact, ContactPoint, ConsentEvent, ConsentState, SuppressionEvent, Block)
    return {
        table.__tablename__: sorted(map(repr, world.all(select(table.__table__))))
        for table in tables
    }


def test_person_with_addresses_and_attributes_is_created(world: World) -> None:
    report = world.bring_in(HEADER + JO + "2024-02-29\n")
    jo = world.contact_of("jo@example.org")
    assert jo is not None
    assert (jo.external_ref, jo.title, jo.first_name, jo.last_name) == ("A1", "Ms", "Jo", "Bloggs")
    assert (jo.postcode, jo.locale, jo.time_zone) == ("SW1A 1AA", "en-GB", "Europe/London")
    assert jo.source is ContactSource.DIRECT
    assert jo.attributes == {"ward": "Abbey", "age": 41, "member": True, "joined": "2024-02-29"}
    mobile = world.contact_of("+447400123456")
    assert mobile is not None
    assert mobile.id == jo.id
    assert (report.counts.rows, report.counts.created) == (1, 1)
    assert report.rejects_path is None


def test_same_file_again_changes_nothing(world: World) -> None:
    content = consent_row(opt_out="sms purpose:fundraising", opt_out_at="2026-06-01")
    first = world.bring_in(content)
    before = snapshot(world)
    world.clock.sleep(86_400)
    again = world.bring_in(content)
    assert (first.counts.created, first.counts.consents_recorded) == (1, 1)
    assert first.counts.opt_outs_recorded == 2
    assert (again.counts.unchanged, again.counts.consents_unchanged) == (1, 1)
    assert again.counts.opt_outs_unchanged == 2
    assert snapshot(world) == before


def test_undated_opt_outs_again_change_nothing(world: World) -> None:
    content = "email,opt_out\njo@example.org,all\nmo@example.org,email purpose:fundraising\n"
    world.bring_in(content)
    before = snapshot(world)
    world.clock.sleep(86_400)
    again = world.bring_in(content)
    assert (again.counts.unchanged, again.counts.opt_outs_unchanged) == (2, 3)
    assert snapshot(world) == before


def test_rows_of_one_person_merge_by_reference_and_by_address(world: World) -> None:
    report = world.bring_in(
        "external_ref,email,mobile,first_name,attr.a,attr.b\n"
        "A1,jo@example.org,,Jo,1,\n"
        "A1,,07400123456,,,2\n"
        ",JO@example.org,,Joanna,,\n"
    )
    assert (report.counts.created, report.counts.merged) == (1, 2)
    jo = world.contact_of("07400123456")
    assert jo is not None
    assert (jo.first_name, jo.attributes) == ("Joanna", {"a": "1", "b": "2"})


def test_later_file_fills_in_and_overwrites_but_does_not_empty(world: World) -> None:
    world.bring_in("email,first_name,last_name,attr.a,attr.b\njo@example.org,Jo,Bloggs,1,2\n")
    report = world.bring_in(
        "external_ref,email,first_name,last_name,attr.a\nA1,jo@example.org,Joanna,,3\n"
    )
    jo = world.contact_of("jo@example.org")
    assert jo is not None
    assert (jo.external_ref, jo.first_name, jo.last_name) == ("A1", "Joanna", "Bloggs")
    assert jo.attributes == {"a": "3", "b": "2"}
    assert report.counts.merged == 1


def test_one_address_at_two_controllers_is_two_people(world: World) -> None:
    world.bring_in("external_ref,email,first_name\nA1,jo@example.org,Jo\n")
    world.bring_in("external_ref,email,first_name\nA1,jo@example.org,J.\n", controller="barnet")
    acton = world.contact_of("jo@example.org", "acton")
    barnet = world.contact_of("jo@example.org", "barnet")
    assert acton is not None
    assert barnet is not None
    assert (acton.first_name, barnet.first_name) == ("Jo", "J.")


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("B1,jo@example.org,", "email"),
        ("A1,mo@example.org,", "email"),
        (",jo@example.org,07400222222", "mobile"),
    ],
)
def test_address_of_somebody_else_is_a_conflict(world: World, row: str, column: str) -> None:
    world.bring_in("external_ref,email,mobile\nA1,jo@example.org,\nB1,mo@example.org,07400222222\n")
    report = world.bring_in(f"external_ref,email,mobile\n{row}\n")
    assert report.counts.rejected == 1
    [reject] = rejects(report.rejects_path)
    assert reject["reject.column"] == column
    assert "another contact" in reject["reject.problem"]


def test_rejects_tell_line_column_problem_and_remedy(world: World) -> None:
    report = world.bring_in(
        "first_name,email,mobile,attr.age:number\n"
        '"two\nlines",jo@example.org,,\n'
        "Jo,not an address,07400123456,\n"
        "Jo,jo@example.org,020 7946 0000,x\n"
        "Jo,,,\n"
        "Jo,jo@example.org\n"
    )
    found = [(one["reject.line"], one["reject.column"]) for one in rejects(report.rejects_path)]
    assert found == [
        ("2", "first_name"),
        ("4", "email"),
        ("5", "attr.age:number"),
        ("5", "mobile"),
        ("6", ""),
        ("7", ""),
    ]
    assert all(one["reject.remedy"] for one in rejects(report.rejects_path))
    assert (report.counts.rejected, report.counts.created, report.counts.problems) == (4, 1, 6)


def test_rejects_cannot_run_in_a_spreadsheet_and_can_be_brought_in_again(world: World) -> None:
    report = world.bring_in(
        "first_name,mobile,attr.age:number\n=1+1,+447400123456,forty\n@x,\t07400123457,-\n"
    )
    assert report.rejects_path is not None
    written = rejects(report.rejects_path)
    assert [one["first_name"] for one in written] == ["'=1+1", "'@x"]
    assert [one["mobile"] for one in written] == ["'+447400123456", "'\t07400123457"]
    mended = report.rejects_path.read_text(encoding="utf-8").replace("forty", "40")
    again = world.bring_in(mended, name="mended.csv")
    assert (again.counts.created, again.counts.rejected) == (1, 1)
    jo = world.contact_of("07400123456")
    assert jo is not None
    assert (jo.first_name, jo.attributes) == ("=1+1", {"age": 40})


def test_rejects_take_no_other_files_place(world: World) -> None:
    taken = world.write("people.rejects.csv", "mine")
    report = world.bring_in("email\nnope\n")
    assert taken.read_text() == "mine"
    assert report.rejects_path == world.folder / "people.rejects-2.csv"
    assert report.rejects_path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("changed", "flaw"),
    [
        ({}, ConsentFlaw.NONE),
        ({"consent_method": "Casework"}, ConsentFlaw.CASEWORK),
        ({"consent_notice": "bought"}, ConsentFlaw.THIRD_PARTY),
        ({"consent_notice": "email-only", "consent_channel": "sms"}, ConsentFlaw.CHANNEL_NOT_NAMED),
        (
            {"consent_notice": "news-only", "consent_purpose": "fundraising"},
            ConsentFlaw.PURPOSE_NOT_NAMED,
        ),
        ({"source": "casework"}, ConsentFlaw.NONE),
        ({"source": "casework", "consent_notice": "bought"}, ConsentFlaw.CASEWORK),
    ],
)
def test_consent_says_what_the_wording_did_not_name(
    world: World, changed: dict[str, str], flaw: ConsentFlaw
) -> None:
    report = world.bring_in(consent_row(**changed))
    assert report.counts.consents_recorded == 1
    assert world.all(select(ConsentState.flaw)) == [(flaw,)]


@pytest.mark.parametrize(
    ("changed", "column", "problem"),
    [
        ({"consent_notice": "web-from"}, "consent_notice", "no such notice"),
        ({"consent_notice": "web-form@3"}, "consent_notice", "no such version"),
        ({"consent_notice": "web-form@2", "consent_at": "2024-06-01"}, "consent_notice", "shown"),
        ({"consent_notice": "old-form"}, "consent_notice", "not shown"),
        ({"consent_at": "2021-06-01"}, "consent_notice", "not shown"),
        ({"consent_notice": "ticked"}, "consent_notice", "ticked"),
        ({"consent_notice": "bundled"}, "consent_notice", "bundled"),
        ({"consent_purpose": "campaign-mews"}, "consent_purpose", "no such purpose"),
        ({"consent_channel": "post"}, "consent_channel", "not known"),
        ({"consent_at": "2026-11-22"}, "consent_at", "future"),
        ({"consent_at": "03/04/2025"}, "consent_at", "more than one date"),
        ({"consent_at": "2026-02-30"}, "consent_at", "no such day"),
        ({"consent_at": ""}, "consent_at", "cannot be shown"),
        ({"consent_method": ""}, "consent_method", "cannot be shown"),
        ({"consent_source": ""}, "consent_source", "cannot be shown"),
        ({"consent_method": "unknown"}, "consent_method", "cannot be shown"),
        ({"consent_source": "NULL"}, "consent_source", "cannot be shown"),
        ({"consent_until": "2026-05-06"}, "consent_until", "before it begins"),
        ({"mobile": "", "consent_channel": "sms"}, "consent_channel", "no address"),
    ],
)
def test_consent_that_proves_nothing_is_refused_and_the_person_is_taken(
    world: World, changed: dict[str, str], column: str, problem: str
) -> None:
    report = world.bring_in(consent_row(**changed))
    assert (report.counts.created, report.counts.consents_recorded) == (1, 0)
    assert world.all(select(ConsentEvent.id)) == []
    [reject] = rejects(report.rejects_path)
    assert reject["reject.column"] == column
    assert problem in reject["reject.problem"]


def test_unknown_words_come_with_the_nearest(world: World) -> None:
    report = world.bring_in(consent_row(consent_purpose="campaign-mews"))
    assert "campaign-news" in rejects(report.rejects_path)[0]["reject.remedy"]
    with pytest.raises(FileError, match=r"emial: .*not known.*Did you mean email"):
        world.bring_in("emial\njo@example.org\n")
    with pytest.raises(NotFoundError, match="acton"):
        world.bring_in("email\njo@example.org\n", controller="actom")


@pytest.mark.parametrize(
    ("written", "at"),
    [
        ("2026-05-07", datetime(2026, 5, 6, 23, tzinfo=UTC)),
        ("2026-05-07 18:30", datetime(2026, 5, 7, 17, 30, tzinfo=UTC)),
        ("2026-01-07T18:30:15", datetime(2026, 1, 7, 18, 30, 15, tzinfo=UTC)),
        ("2026-05-07T18:30:00+05:30", datetime(2026, 5, 7, 13, tzinfo=UTC)),
        ("2026-05-07T18:30Z", datetime(2026, 5, 7, 18, 30, tzinfo=UTC)),
    ],
)
def test_times_without_offset_are_the_controllers_own(
    world: World, written: str, at: datetime
) -> None:
    world.bring_in(consent_row(consent_at=written))
    assert world.all(select(ConsentEvent.occurred_at)) == [(at,)]


def test_notice_without_version_is_the_one_shown_then(world: World) -> None:
    for at in ("2024-12-31", "2025-01-01"):
        world.bring_in(consent_row(consent_at=at))
    notices = world.all(select(ConsentEvent.notice_id).order_by(ConsentEvent.id))
    assert len(set(notices)) == 2


def test_end_date_of_consent_takes_that_day_in(world: World) -> None:
    world.bring_in(consent_row(consent_until="2027-05-06"))
    [(ends_at,)] = world.all(select(ConsentState.ends_at))
    assert ends_at == datetime(2027, 5, 6, 22, 59, 59, 999_999, tzinfo=UTC)


def test_dry_run_tells_the_same_and_leaves_nothing(world: World) -> None:
    world.bring_in("external_ref,email\nA1,jo@example.org\n")
    content = (
        "external_ref,email,first_name,opt_out\n"
        "A1,jo@example.org,,\nB1,mo@example.org,Mo,\nB1,mo@example.org,Mo,\n"
        "C1,nope,,\nA1,mo@example.org,,\nD1,di@example.org,,all\nA1,,Jo,\n,di@example.org,,\n"
    )
    before = snapshot(world)
    batches = world.all(select(func.count()).select_from(ImportBatch))
    rehearsed = world.bring_in(content, dry_run=True)
    assert snapshot(world) == before
    assert world.all(select(func.count()).select_from(ImportBatch)) == batches
    assert rehearsed.batch_id is None
    real = world.bring_in(content)
    assert rehearsed.counts == real.counts
    assert real.batch_id is not None


def test_chunks_are_whole_and_a_crash_is_made_good_by_the_same_file(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS_A_CHUNK", 10)
    content = "external_ref,email\n" + "".join(f"R{i},p{i}@example.org\n" for i in range(35))

    class StoppedError(Exception):
        pass

    def stop(done: int, _total: int) -> None:
        if done == 20:
            raise StoppedError

    with pytest.raises(StoppedError):
        world.bring_in(content, progress=stop)
    assert world.all(select(func.count()).select_from(Contact)) == [(20,)]
    told: list[tuple[int, int]] = []
    again = world.bring_in(content, progress=lambda done, total: told.append((done, total)))
    assert (again.counts.unchanged, again.counts.created) == (0, 35)
    assert told == [(30, 35), (35, 35)]
    finished = world.all(select(ImportBatch.finished_at).order_by(ImportBatch.id))
    assert finished == [(NOW,)]


def test_batch_and_audit_trail_tell_who_and_how_many_but_not_whom(world: World) -> None:
    report = world.bring_in(consent_row(), approved=False)
    [(counts, name)] = world.all(select(ImportBatch.counts, ImportBatch.file_name))
    assert counts == report.counts.as_dict()
    assert name == "people.csv"
    actions = world.all(
        select(AuditEvent.action, AuditEvent.operator, AuditEvent.details).where(
            AuditEvent.action.like("contacts.%")
        )
    )
    assert [action for action, _, _ in actions] == [
        "contacts.import.start",
        "contacts.import.finish",
    ]
    assert {operator for _, operator, _ in actions} == {"tester"}
    assert "example" not in str([details for _, _, details in actions])
    assert world.all(select(ConsentEvent.batch_id)) == [(report.batch_id,)]


def test_ledgers_verify_after_an_import(world: World) -> None:
    world.bring_in(consent_row(opt_out="all"))
    with world.store.read() as session:
        assert [broken for ledger in LEDGERS for broken in verify(session, ledger)] == []


def test_opt_out_of_a_refused_row_is_taken(world: World) -> None:
    report = world.bring_in(
        "email,attr.age:number,opt_out,opt_out_at\njo@example.org,forty,email,03/04/2025\n"
    )
    assert (report.counts.rejected, report.counts.opt_outs_recorded) == (1, 1)
    assert world.all(select(Block.address_id, Block.channel, Block.set_at)) == [
        (world.address_id("jo@example.org"), "email", NOW)
    ]
    assert world.all(select(Contact.id)) == []


@pytest.mark.parametrize(
    "words", ["stop", "Unsubscribe", "Opted Out", "do not contact", "no marketing", "FALSE TRUE"]
)
def test_opt_out_in_words_that_are_not_known_is_one_to_every_channel(
    world: World, words: str
) -> None:
    report = world.bring_in(consent_row(opt_out=words))
    assert set(world.all(select(Block.address_id, Block.channel))) == {
        (world.address_id("jo@example.org"), "email"),
        (world.address_id("07400123456"), "sms"),
    }
    assert world.all(select(ConsentEvent.id)) == []
    told = {one["reject.column"] for one in rejects(report.rejects_path)}
    assert told == {"opt_out", "consent_purpose"}


@pytest.mark.parametrize("words", ["no", "FALSE", "FALSE FALSE", "0", "n/a", "Opted in", "opt-in"])
def test_word_that_says_that_nobody_opted_out_is_none_and_told(world: World, words: str) -> None:
    report = world.bring_in(consent_row(opt_out=words))
    assert world.all(select(Block.address_id)) == []
    assert {one["reject.column"] for one in rejects(report.rejects_path)} == {
        "opt_out",
        "consent_purpose",
    }


def test_space_inside_an_email_address_is_not_guessed_away(world: World) -> None:
    report = world.bring_in(consent_row(email="jo bloggs@example.org"))
    assert report.counts.consents_recorded == 0
    [first, _] = rejects(report.rejects_path)
    assert first["reject.column"] == "email"
    assert "space" in first["reject.problem"]
    world.bring_in("email,opt_out\njo bloggs@example.org,email\n")
    assert world.all(select(Block.address_id)) == [(world.address_id("jobloggs@example.org"),)]


def test_space_beside_the_at_sign_is_none_inside(world: World) -> None:
    report = world.bring_in(consent_row(email="jo@ example. org"))
    assert report.counts.consents_recorded == 1
    assert report.rejects_path is None


def test_opt_outs_of_a_conflicting_row_reach_everybody_in_it(world: World) -> None:
    world.bring_in("external_ref,email\nA1,jo@example.org\nB1,mo@example.org\n")
    report = world.bring_in(
        "external_ref,email,mobile,opt_out\nA1,mo@example.org,07400123456,all\n"
    )
    assert report.counts.rejected == 1
    blocked = {address for (address,) in world.all(select(Block.address_id))}
    assert blocked == {
        world.address_id(one) for one in ("jo@example.org", "mo@example.org", "07400123456")
    }
    assert all(at is not None for (at,) in world.all(select(Contact.objected_at)))


def test_opt_out_without_an_address_to_hold_on_to_is_told(world: World) -> None:
    report = world.bring_in("email,opt_out\njo@example.org,sms\nmo@example.org,purpose:news\n")
    told = [(one["reject.line"], one["reject.column"]) for one in rejects(report.rejects_path)]
    assert told == [("2", "opt_out"), ("3", "opt_out")]


def test_withdrawal_of_a_purpose_ends_that_purpose_on_every_channel(world: World) -> None:
    for channel in ("email", "sms"):
        for purpose in ("campaign-news", "fundraising"):
            world.bring_in(consent_row(consent_channel=channel, consent_purpose=purpose))
    world.bring_in("email,opt_out\njo@example.org,purpose:fundraising\n")
    states = world.all(select(ConsentState.purpose_id, ConsentState.status))
    news, funds = world.purpose_id("campaign-news"), world.purpose_id("fundraising")
    assert sorted(states) == sorted(
        [(news, ConsentKind.GIVEN)] * 2 + [(funds, ConsentKind.WITHDRAWN)] * 2
    )
    assert world.all(select(Block.address_id)) == []


def test_new_source_has_to_be_told_anew(world: World) -> None:
    world.bring_in("email,source,source_detail\njo@example.org,third party,Petitions Ltd\n")
    with world.store.write() as session:
        contact = session.scalars(select(Contact)).one()
        contact.source_told_at = NOW
    world.bring_in("email,source,source_detail\njo@example.org,third-party,Lists Ltd\n")
    jo = world.contact_of("jo@example.org")
    assert jo is not None
    assert (jo.source_detail, jo.source_told_at) == ("Lists Ltd", None)


def test_third_party_has_to_be_named(world: World) -> None:
    report = world.bring_in("email,source\njo@example.org,third_party\n")
    assert rejects(report.rejects_path)[0]["reject.column"] == "source_detail"
    assert report.counts.rejected == 1


@pytest.mark.parametrize(
    ("content", "where", "problem"),
    [
        (b"email,first_name\njo@example.org,Zo\xeb\n", ":2", "UTF-8"),
        ("email\njo@example.org\n".encode("utf-16-le"), ":1", "NUL"),
        (b"", "", "empty"),
        (b'email,first_name\njo@example.org,"Jo\n', ":2", "quoting"),
        (b"email,email\n", ":1", "twice"),
        (b"email,attr.a:text,attr.a:number\n", ":1", "twice"),
        (b"email,attr.a:nmber\n", ":1", "Did you mean number"),
        (b"first_name\nJo\n", ":1", "who a row is about"),
        (b"email,\n", ":1", "no name"),
    ],
)
def test_file_that_cannot_be_meant_brings_in_nothing(
    world: World, content: bytes, where: str, problem: str
) -> None:
    path = world.folder / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(FileError) as caught:
        import_contacts(
            world.store,
            HASHER,
            world.clock,
            controller_slug="acton",
            path=path,
            operator="tester",
        )
    assert f"bad.csv{where}: " in str(caught.value)
    assert problem in str(caught.value)
    assert world.all(select(ImportBatch.id)) == []


def test_missing_file_is_named(world: World) -> None:
    with pytest.raises(FileError, match=r"gone\.csv: .*cannot be read"):
        import_contacts(
            world.store,
            HASHER,
            FixedClock(),
            controller_slug="acton",
            path=world.folder / "gone.csv",
            operator="tester",
        )


@pytest.mark.parametrize(
    "content",
    ["\ufeffemail;first_name\r\njo@example.org;Jo\r\n", "email\tfirst_name\njo@example.org\tJo"],
)
def test_semicolons_tabs_and_byte_order_marks_are_understood(world: World, content: str) -> None:
    world.bring_in(content)
    jo = world.contact_of("jo@example.org")
    assert jo is not None
    assert jo.first_name == "Jo"


def test_wrong_key_brings_in_nothing(world: World) -> None:
    with pytest.raises(KeyRefusedError):
        import_contacts(
            world.store,
            AddressHasher(bytes(32)),
            world.clock,
            controller_slug="acton",
            path=world.write("people.csv", "email\njo@example.org\n"),
            operator="tester",
        )


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_memory_does_not_grow_with_the_file(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS_A_CHUNK", 200)

    def peak(people: int) -> int:
        rows = "".join(f"{people}-{number}@example.org,Jo\n" for number in range(people))
        path = world.write("many.csv", "email,first_name\n" + rows)
        tracemalloc.start()
        import_contacts(
            world.store,
            HASHER,
            world.clock,
            controller_slug="acton",
            path=path,
            operator="tester",
            storage=KEPT,
        )
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(200)  # fills caches
    assert peak(2_000) < 2 * peak(400)
