"""Of whom a file tells only a no, no more is kept than the no needs; and it counts as before."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from sender.consent.history import Subject
from sender.contacts.find import find_by_address
from sender.context import Context
from sender.evidence.gather import gather
from sender.evidence.records import Held
from sender.imports import chunk, contacts
from sender.imports.approval import look_at_batch
from sender.imports.basis import Told
from sender.imports.counts import ImportReport
from sender.imports.rows import Row
from sender.settings import Settings
from sender.signup.people import take_in
from sender.store.addresses import Address
from sender.store.consents import ConsentEvent, ConsentState
from sender.store.contacts import Contact, ContactPoint
from sender.store.engine import open_store
from sender.store.erased_references import is_kept
from sender.store.migrate import upgrade
from sender.store.sign_ups import SignUp
from sender.store.suppressions import Block
from sender.subjects.erase import erase
from sender.subjects.export import export
from sender.subjects.whom import Asked
from sender.vocabulary import BlockCause, Channel, Reason
from tests.support.held import where_found
from tests.support.import_world import HASHER, KEPT, NOW, PURPOSES, World, build_world

CONSENT = "consent_purpose,consent_channel,consent_notice,consent_at,consent_method,consent_source"
BY_EMAIL = "campaign-news,email,web-form,2026-05-07,web-form,/join"
BY_SMS = "campaign-news,sms,web-form,2026-05-07,web-form,/join"
HEADER = f"external_ref,email,mobile,first_name,postcode,attr.ward,opt_out,opt_out_at,{CONSENT}\n"
DETAILS = "Josephine,SW1A 1AA,Abbey"
JO, MOBILE = "jo@example.org", "+447400123456"
NOTHING = ",,,,,"
WORDS = ("josephine", "sw1a", "abbey", "example.org", "+4474")
"""What may stand nowhere while a no alone is kept."""


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    store = open_store(database_url)
    yield build_world(store, tmp_path)
    store.close()


def line(
    ref: str = "",
    email: str = "",
    mobile: str = "",
    *,
    no: str = "",
    at: str = "",
    yes: str = "",
    details: str = DETAILS,
) -> str:
    return f"{ref},{email},{mobile},{details},{no},{at},{yes or NOTHING}\n"


def bring(world: World, *lines: str, **options: Any) -> ImportReport:
    options.setdefault("storage", None)
    return world.bring_in(HEADER + "".join(lines), **options)


def found(world: World, *words: str) -> set[str]:
    with world.store.read() as session:
        return where_found(session, *(words or WORDS))


def people(world: World) -> list[tuple[str | None, str | None]]:
    return world.all(select(Contact.external_ref, Contact.first_name).order_by(Contact.id))


def plain(world: World) -> set[str | None]:
    return {address for (address,) in world.all(select(ContactPoint.address))}


def test_a_no_to_one_address_leaves_no_contact(world: World) -> None:
    report = bring(world, line(email=JO, no="email"), line(mobile=MOBILE, no="sms"))
    assert (report.counts.created, report.counts.opt_outs_recorded) == (2, 2)
    assert report.counts.noes_alone == 2
    assert people(world) == []
    assert found(world) == set()
    assert set(world.all(select(Block.address_id, Block.channel))) == {
        (world.address_id(JO), "email"),
        (world.address_id(MOBILE), "sms"),
    }


def test_the_same_noes_again_change_nothing(world: World) -> None:
    lines = line(email=JO, no="email"), line("A1", mobile=MOBILE, no="all", at="2026-01-01")
    bring(world, *lines)
    again = bring(world, *lines)
    assert (again.counts.unchanged, again.counts.created, again.counts.merged) == (2, 0, 0)
    assert (again.counts.opt_outs_recorded, again.counts.opt_outs_unchanged) == (0, 2)
    assert again.counts.noes_alone == 2


@pytest.mark.parametrize("no", ["email", "all", "purpose:campaign-news", "email sms", "yes"])
def test_with_a_reference_that_is_all_that_the_contact_holds(world: World, no: str) -> None:
    bring(world, line("A1", JO, MOBILE, no=no))
    assert people(world) == [("A1", None)]
    assert plain(world) == {None}
    assert found(world) == set()
    [jo] = world.all(select(Contact.postcode, Contact.attributes, Contact.retain_until))
    assert jo == (None, {}, None)


def test_an_objection_binds_later_rows_by_its_reference_alone(world: World) -> None:
    bring(world, line("A1", no="all"))
    assert people(world) == [("A1", None)]
    bring(world, line("A1", mobile=MOBILE, yes=BY_SMS))
    assert world.refusal(MOBILE) is Reason.OBJECTED


def test_an_objection_by_one_address_reaches_the_next_one(world: World) -> None:
    bring(world, line(email=JO, no="all"))
    assert world.all(select(Contact.objected_at)) == [(NOW,)]
    report = bring(world, line(email=JO, mobile=MOBILE))
    assert report.counts.objections_carried == 1
    assert report.counts.noes_alone == 1
    assert found(world) == set()
    bring(world, line(mobile=MOBILE, yes=BY_SMS))
    assert world.refusal(MOBILE) is Reason.OBJECTED


def test_an_opt_out_follows_to_an_address_that_comes_with_a_yes_of_before(world: World) -> None:
    bring(world, line("A1", JO, no="email", at="2026-06-01"))
    report = bring(world, line("A1", "second@example.org", yes=BY_EMAIL))
    assert report.counts.consents_recorded == 0
    assert world.refusal("second@example.org") is Reason.NO_CONSENT


def test_a_yes_fills_the_person_as_if_they_were_new(world: World) -> None:
    bring(world, line("A1", JO, MOBILE, no="email", details="Elder,OX1 1AA,Elder"))
    world.clock.sleep(60)
    report = bring(world, line("A1", JO, MOBILE, yes=BY_SMS))
    assert (report.counts.merged, report.counts.noes_alone) == (1, 0)
    assert people(world) == [("A1", "Josephine")]
    assert plain(world) == {JO, MOBILE}
    assert found(world, "elder", "ox1") == set()
    assert world.refusal(MOBILE) is None
    assert world.refusal(JO) is Reason.SUPPRESSED
    held = world.all(select(ContactPoint.created_at))
    assert {at for (at,) in held} == {world.clock.now()}, "in plain only from now on"


def test_an_objected_person_with_a_yes_is_filled_and_stays_objected(world: World) -> None:
    bring(world, line(email=JO, no="all"))
    bring(world, line(email=JO, yes=BY_EMAIL))
    assert plain(world) == {JO}
    assert world.refusal(JO) is Reason.OBJECTED


@pytest.mark.parametrize("rows_a_chunk", [1, 2_000])
@pytest.mark.parametrize("yes_first", [True, False])
def test_a_yes_and_a_no_in_one_file_end_alike_in_any_order_and_chunk(
    world: World, monkeypatch: pytest.MonkeyPatch, rows_a_chunk: int, *, yes_first: bool
) -> None:
    monkeypatch.setattr(contacts, "ROWS_A_CHUNK", rows_a_chunk)
    no = line("A1", JO, no="email", details="Elder,OX1 1AA,Elder")
    lines = [line("A1", JO, yes=BY_EMAIL), no]
    if not yes_first:
        lines.reverse()
    bring(world, *lines)
    assert world.refusal(JO) is Reason.SUPPRESSED
    assert plain(world) == {JO}
    if not yes_first:
        assert people(world) == [("A1", "Josephine")]


@pytest.mark.parametrize("rows_a_chunk", [1, 2_000])
def test_what_is_linked_does_not_hang_on_chunks(
    world: World, monkeypatch: pytest.MonkeyPatch, rows_a_chunk: int
) -> None:
    monkeypatch.setattr(contacts, "ROWS_A_CHUNK", rows_a_chunk)
    report = bring(
        world,
        line(email=JO, no="email"),
        line(email=JO, mobile=MOBILE),
        line("A1", "bo@example.org", no="email"),
        line("A1", mobile="+447400222222"),
        line("B1", no="all"),
        line("B1", "di@example.org"),
    )
    assert report.counts.rejected == 1
    assert people(world) == [("A1", None), ("B1", None)]
    assert len(world.all(select(ContactPoint.id))) == 3
    assert found(world) == set()


def test_one_channel_refused_and_the_other_agreed_keeps_the_refused_one_by_hash(
    world: World,
) -> None:
    bring(world, line("A1", JO, MOBILE, no="email", yes=BY_SMS))
    assert people(world) == [("A1", "Josephine")]
    assert plain(world) == {None, MOBILE}
    assert world.refusal(MOBILE) is None
    assert found(world, JO) == set()
    bring(world, line("A1", JO))
    assert plain(world) == {JO, MOBILE}, "whoever is on file is filled in by a row without a no"


def test_a_purpose_refused_and_another_agreed_keeps_the_address(world: World) -> None:
    bring(world, line("A1", JO, no="purpose:fundraising", yes=BY_EMAIL))
    assert plain(world) == {JO}
    assert world.refusal(JO) is None


@pytest.mark.parametrize("no", ["email", "all", "purpose:campaign-news"])
def test_a_yes_that_the_same_row_takes_back_is_no_reason_to_keep_anything(
    world: World, no: str
) -> None:
    report = bring(world, line("A1", JO, no=no, at="2020-01-01", yes=BY_EMAIL))
    assert found(world) == set()
    assert report.counts.consents_recorded == 1
    assert world.refusal(JO) is not None
    assert report.batch_id is not None
    with world.store.read() as session:
        [sample] = look_at_batch(session, world.controller_id(), report.batch_id).sample
    assert (sample.name, sample.address, sample.channel) == ("", "not kept", Channel.EMAIL)


def test_a_sample_shows_a_yes_without_any_contact_too(world: World) -> None:
    report = bring(world, line(email=JO, no="email", yes=BY_EMAIL))
    assert report.batch_id is not None
    with world.store.read() as session:
        [sample] = look_at_batch(session, world.controller_id(), report.batch_id).sample
    assert sample.address == "not kept"


def test_a_no_with_nothing_to_hold_on_to_is_rejected(world: World) -> None:
    report = bring(world, line("A1", no="email"), line(email="bo@example.org", no="sms"))
    assert (report.counts.rejected, report.counts.noes_alone) == (2, 0)
    assert people(world) == []


def test_a_bounce_alone_is_taken_and_nobody_is_stored(world: World) -> None:
    report = bring(world, line("A1", JO, no="bounce:email"))
    assert (report.counts.rejected, report.counts.opt_outs_recorded) == (1, 1)
    assert people(world) == []
    assert world.all(select(Block.cause)) == [(BlockCause.BOUNCE,)]


def test_a_row_without_yes_or_no_is_told_and_only_links(world: World) -> None:
    bring(world, line("A1", JO, no="email"))
    report = bring(world, line("A1", mobile=MOBILE))
    assert (report.counts.merged, report.counts.problems) == (1, 1)
    assert report.rejects_path is not None
    assert "not stored" in report.rejects_path.read_text()
    assert found(world) == set()


def test_a_yes_for_an_address_known_by_its_hash_asks_for_the_address(world: World) -> None:
    bring(world, line("A1", JO, MOBILE, no="email", yes=BY_SMS))
    report = bring(world, line("A1", yes=BY_EMAIL.replace("05-07", "11-20")))
    assert report.rejects_path is not None
    assert "by its hash alone" in report.rejects_path.read_text()
    assert plain(world) == {None, MOBILE}


def test_whoever_is_on_file_stays_as_they_are(world: World) -> None:
    bring(world, line("A1", JO, yes=BY_EMAIL))
    bring(world, line("A1", JO, no="all", details=",,"))
    assert people(world) == [("A1", "Josephine")]
    assert plain(world) == {JO}
    assert world.refusal(JO) is Reason.OBJECTED


def test_a_purpose_that_is_told_keeps_everything(world: World) -> None:
    bring(world, line("A1", JO, no="all"))
    report = bring(world, line("A1", JO, no="all"), storage=KEPT)
    assert report.counts.noes_alone == 0
    assert plain(world) == {JO}
    kept = world.all(select(Contact.first_name, Contact.retained_for, Contact.retain_until))
    assert kept == [("Josephine", "canvassing", date(2028, 1, 1))]


def test_a_dry_run_tells_the_same(world: World) -> None:
    lines = (
        line("A1", JO, no="all"),
        line(email="bo@example.org", no="email"),
        line("A1", JO, yes=BY_EMAIL),
        line("C1", no="email"),
    )
    assert bring(world, *lines, dry_run=True).counts == bring(world, *lines).counts


def test_an_import_that_died_ends_as_one_that_did_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contacts, "ROWS_A_CHUNK", 2)

    class StoppedError(Exception):
        pass

    def stop(done: int, _rows: int) -> None:
        if done == 2:
            raise StoppedError

    lines = (
        line("A1", JO, no="email"),
        line("B1", "bo@example.org", no="all"),
        line("A1", JO, MOBILE, yes=BY_SMS),
        line("B1", "bo@example.org", no="all"),
    )
    with pytest.raises(StoppedError):
        bring(world, *lines, progress=stop)
    assert found(world) == set()
    counts = bring(world, *lines).counts
    assert (counts.created, counts.merged, counts.unchanged, counts.noes_alone) == (2, 1, 1, 3)
    assert people(world) == [("A1", "Josephine"), ("B1", None)]


def test_many_rows_take_the_fast_way_in(world: World) -> None:
    many = range(150)
    bring(world, *(line(f"R{n}", f"p{n}@example.org", no="email") for n in many))
    assert found(world) == set()
    bring(world, *(line(f"R{n}", f"p{n}@example.org", yes=BY_EMAIL) for n in many))
    assert plain(world) == {f"p{n}@example.org" for n in many}


def test_the_persons_rights_hold_for_whom_a_no_alone_is_kept(world: World) -> None:
    bring(world, line("A1", JO, MOBILE, no="all"), line(email="bo@example.org", no="email"))
    context = Context(Settings(), world.store, HASHER, world.clock, "tester")
    with world.store.read() as session:
        [jo] = find_by_address(session, HASHER, world.controller_id(), Channel.EMAIL, JO)
        evidence = gather(session, HASHER, Subject("acton", Channel.EMAIL, JO), NOW)
    assert (jo.external_ref, jo.addresses, jo.objected_at) == ("A1", (), NOW)
    assert evidence.contact is not None
    assert evidence.contact.address_is is Held.NONE
    assert any("not kept" in said for said in evidence.gone)
    for address in (JO, "bo@example.org"):
        asked = Asked(Channel.EMAIL, address, "acton")
        [held] = export(context, asked).controllers
        assert held.sections
        erase(context, asked)
        again = bring(world, line(email=address, yes=BY_EMAIL))
        assert again.counts.consents_recorded in {0, 1}
        assert world.refusal(address) is not None
    told = world.all(select(Contact.external_ref).where(Contact.external_ref.is_not(None)))
    assert [is_kept(reference) for (reference,) in told] == [True], "of whoever objected, a hash"


def test_who_signs_up_stays_the_person_whose_noes_are_known(world: World) -> None:
    bring(world, line("A1", JO, MOBILE, no="email"))
    sign_up = SignUp(
        controller_id=world.controller_id(),
        channel=Channel.EMAIL,
        address_id=world.address_id(JO),
        address=JO,
    )
    with world.store.write() as session:
        take_in(session, sign_up, NOW)
    assert people(world) == [("A1", None)]
    assert plain(world) == {None, JO}


_examples = count()
_NOES = ["email", "sms", "all", "purpose:campaign-news", "bounce:email email"]
_AT = ["", "2023-01-01", "2026-06-01"]
_rows = st.fixed_dictionaries(
    {
        "ref": st.booleans(),
        "email": st.sampled_from(["", "one", "two"]),
        "mobile": st.booleans(),
        "no": st.sampled_from(["", *_NOES]),
        "at": st.sampled_from(_AT),
        "yes": st.sampled_from(["", BY_EMAIL, BY_SMS, BY_EMAIL.replace("05-07", "10-01")]),
    }
).filter(lambda row: bool(row["no"] or row["yes"]))
_files = st.tuples(st.lists(_rows, min_size=1, max_size=4), st.lists(_rows, min_size=1, max_size=4))


def _lines(rows: list[dict[str, Any]], example: int) -> list[str]:
    return [
        line(
            f"R{example}" if row["ref"] else "",
            f"{row['email']}.{example}@example.org" if row["email"] else "",
            f"+4474{example:08d}" if row["mobile"] else "",
            no=row["no"],
            at=row["at"],
            yes=row["yes"],
        )
        for row in rows
    ]


@contextmanager
def everything_stored() -> Iterator[None]:
    """Take all that a row tells, whatever it tells: as imports did before."""

    def whole(row: Row, *, is_stored: bool = True) -> Told:
        del is_stored
        return Told(row.fields, row.attributes, row.addresses)

    with patch.object(chunk, "no_alone", whole), patch.object(chunk, "everything", whole):
        yield


@pytest.fixture
def twin(world: World, tmp_path: Path) -> Iterator[World]:
    """Yield a second world in which everything is stored."""
    folder = tmp_path / "twin"
    folder.mkdir()
    url = f"sqlite:///{folder / 'twin.sqlite3'}"
    upgrade(url)
    store = open_store(url)
    yield replace(build_world(store, folder), clock=world.clock)
    store.close()


@pytest.mark.parametrize("dialect", ["sqlite"])
@settings(max_examples=12)
@given(files=_files)
def test_nobody_is_decided_on_otherwise_than_if_everything_were_stored(
    world: World, twin: World, files: tuple[list[dict[str, Any]], list[dict[str, Any]]]
) -> None:
    example = next(_examples)
    addresses = [f"{one}.{example}@example.org" for one in ("one", "two")]
    addresses.append(f"+4474{example:08d}")
    before, before_twin = _noes(world), _noes(twin)
    for rows in files:
        lines = _lines(rows, example)
        ours = bring(world, *lines)
        with everything_stored():
            theirs = bring(twin, *lines)
        # Two contacts stored for nothing but a no may make a later row of both a conflict.
        assume(_conflicts(theirs) == _conflicts(ours))
    every = [row for rows in files for row in rows]
    names_own = all(row["email"] if row["yes"] != BY_SMS else row["mobile"] for row in every)
    for address in addresses:
        for purpose in PURPOSES:
            was = _allowed(twin, address, purpose)
            now = _allowed(world, address, purpose)
            assert now <= was
            assert now == was or not names_own
    assert _noes(world) - before == _noes(twin) - before_twin


@pytest.mark.parametrize("dialect", ["sqlite"])
@settings(max_examples=10)
@given(files=_files)
def test_noes_alone_leave_no_detail_in_any_table(
    world: World, files: tuple[list[dict[str, Any]], list[dict[str, Any]]]
) -> None:
    example = next(_examples)
    for rows in files:
        told = [{**row, "yes": row["yes"] if row["no"] == "all" else ""} for row in rows]
        bring(world, *_lines([row for row in told if row["no"]], example))
    assert found(world) == set()


def _conflicts(report: ImportReport) -> int:
    if report.rejects_path is None:
        return 0
    return report.rejects_path.read_text(encoding="utf-8").count("belongs to another contact")


def _allowed(world: World, address: str, purpose: str) -> bool:
    channel = Channel.EMAIL if "@" in address else Channel.SMS
    with world.store.read() as session:
        known = HASHER.hash(channel, address)
        if session.scalar(select(Address.id).where(Address.key_hash == known)) is None:
            return False
    return world.refusal(address, purpose) is None


def _noes(world: World) -> Counter[str]:
    """Return all blocks and all that the ledger of consents says, by the hash of the address."""
    blocks = select(Address.key_hash, Block.channel, Block.cause, Block.set_at)
    states = select(Address.key_hash, ConsentState.purpose_id, ConsentState.status)
    events = select(Address.key_hash, ConsentEvent.kind, ConsentEvent.occurred_at)
    found = [
        *world.all(blocks.join(Block, Block.address_id == Address.id)),
        *world.all(states.join(ConsentState, ConsentState.address_id == Address.id)),
        *world.all(events.join(ConsentEvent, ConsentEvent.address_id == Address.id)),
    ]
    return Counter(map(repr, found))
