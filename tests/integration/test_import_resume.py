"""An import that died goes on where it was, and ends as if it had not died."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from sender.errors import RefusedError
from sender.imports import chunk as chunk_module
from sender.imports import contacts as contacts_module
from sender.imports import course as course_module
from sender.imports import opt_outs as opt_outs_module
from sender.imports.approval import revoke_batch
from sender.imports.contacts import import_contacts
from sender.imports.counts import Counts, ImportReport
from sender.imports.reading import Reading
from sender.store.addresses import Address
from sender.store.audit import AuditEvent
from sender.store.chain import LEDGERS
from sender.store.chain_check import verify
from sender.store.consents import ConsentEvent, ConsentState
from sender.store.contacts import Contact, ContactPoint, ImportBatch
from sender.store.engine import open_store
from sender.store.suppressions import Block, SuppressionEvent
from sender.vocabulary import ConsentKind
from tests.support.databases import SqliteDatabases
from tests.support.import_world import HASHER, KEPT, FixedClock, World, build_world

COLUMNS = (
    "external_ref,email,first_name,consent_purpose,consent_channel,consent_notice,consent_at,"
    "consent_method,consent_source,opt_out,opt_out_at\n"
)


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    store = open_store(database_url)
    yield build_world(store, tmp_path)
    store.close()


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contacts_module, "ROWS_A_CHUNK", 10)
    monkeypatch.setattr(opt_outs_module, "ROWS_A_CHUNK", 10)


@pytest.fixture
def databases(request: pytest.FixtureRequest) -> SqliteDatabases:
    return cast("SqliteDatabases", request.getfixturevalue("_sqlite_databases"))


class Killed(BaseException):
    """Nobody handles it, as nobody handles a kill -9."""


def die_at(monkeypatch: pytest.MonkeyPatch, place: Any, name: str, number: int) -> None:
    """Let the so-many-th call of a function be the process's last."""
    inner, calls = getattr(place, name), iter(range(1, 1_000_000))

    def watched(*arguments: Any, **named: Any) -> Any:
        if next(calls) == number:
            raise Killed
        return inner(*arguments, **named)

    monkeypatch.setattr(place, name, watched)


def person(number: int) -> str:
    """Return a row; some are wrong, some repeat somebody, some opt out."""
    who = number % 37 if number % 5 == 0 else number
    agreed = "campaign-news,email,web-form,2026-05-07,web-form,/join"
    if number % 7 == 0:
        return f"R{who},person{who}@example.org,Jo{number},,,,,,,email,2026-05-01\n"
    if number % 11 == 0:
        return f"R{who},not an address,Jo,{agreed.replace('web-form', 'nothing', 1)},,\n"
    return f"R{who},person{who}@example.org,Jo{who},{agreed},,\n"


PEOPLE = COLUMNS + "".join(person(number) for number in range(100))
OPT_OUTS = "email,opt_out_at\n" + "".join(
    f"{'nope' if number % 9 == 0 else f'person{number % 40}@example.org'},\n"
    for number in range(100)
)


def state_of(world: World) -> dict[str, list[Any]]:
    """Return what a file leaves behind, without numbers that follow from the course of things."""
    return {
        "people": sorted(
            world.all(select(Contact.external_ref, Contact.first_name, Contact.objected_at)),
            key=repr,
        ),
        "points": sorted(world.all(select(ContactPoint.address))),
        "consents": about_whom(world, ConsentEvent, ConsentEvent.kind, ConsentEvent.occurred_at),
        "states": about_whom(world, ConsentState, ConsentState.status),
        "noes": about_whom(world, SuppressionEvent, SuppressionEvent.occurred_at),
        "blocks": about_whom(world, Block, Block.cause, Block.channel),
    }


def about_whom(world: World, model: Any, *columns: Any) -> list[Any]:
    query = select(Address.key_hash, *columns).join(Address, Address.id == model.address_id)
    return sorted(world.all(query))


def rejected(report: ImportReport) -> list[dict[str, str]]:
    assert report.rejects_path is not None
    with report.rejects_path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


MOMENTS = {
    "before a chunk": (contacts_module, "bring_in", 4),
    "in a chunk, before its people are written": (chunk_module, "suppress", 4),
    "in a chunk, before its consents are written": (chunk_module, "record", 4),
    "when a chunk is written but not committed": (course_module, "note_rows", 4),
    "before the first chunk": (contacts_module, "bring_in", 1),
    "before the batch is closed": (course_module, "close_batch", 1),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_it_ends_as_if_it_had_not_died(
    world: World,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    moment: str,
    dialect: str,
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        die_at(patched, *MOMENTS[moment])
        with pytest.raises(Killed):
            world.bring_in(PEOPLE, approved=False)
    resumed = world.bring_in(PEOPLE)
    [(batches,)] = world.all(select(func.count()).select_from(ImportBatch))
    assert batches == 1
    after = state_of(world)
    databases = request.getfixturevalue(f"_{dialect.replace('postgresql', 'postgres')}_databases")
    url = databases.create_migrated()
    (tmp_path / "other").mkdir()
    store = open_store(url)
    other = build_world(store, tmp_path / "other")
    whole = other.bring_in(PEOPLE)
    assert resumed.counts == whole.counts
    assert rejected(resumed) == rejected(whole)
    assert resumed.groups == whole.groups
    assert resumed.rejects_path is not None
    assert resumed.rejects_path.name == "people.rejects.csv"
    assert after == state_of(other)
    store.close()
    databases.drop(url)
    with world.store.read() as session:
        assert [each for ledger in LEDGERS for each in verify(session, ledger)] == []
    actions = [action for (action,) in world.all(select(AuditEvent.action))]
    assert actions.count("contacts.import.resume") == 1
    assert actions.count("contacts.import.finish") == 1


def test_a_list_of_opt_outs_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rehearsed = world.opt_out(OPT_OUTS, dry_run=True)
    with monkeypatch.context() as patched:
        die_at(patched, opt_outs_module, "suppress", 6)
        with pytest.raises(Killed):
            world.opt_out(OPT_OUTS, rejects_path=world.folder / "wrong.csv")
    [(done, finished)] = world.all(select(ImportBatch.rows_done, ImportBatch.finished_at))
    assert (done, finished) == (50, None)
    resumed = world.opt_out(OPT_OUTS)
    assert resumed.counts == rehearsed.counts
    assert resumed.rejects_path == world.folder / "wrong.csv"
    assert len(rejected(resumed)) == rehearsed.counts.problems


@given(deaths=st.lists(st.integers(1, 6), max_size=4))
@settings(max_examples=15)
def test_however_often_it_dies(
    deaths: list[int],
    tmp_path_factory: pytest.TempPathFactory,
    databases: SqliteDatabases,
) -> None:
    folder = tmp_path_factory.mktemp("often")
    store = open_store(databases.create_migrated())
    world = build_world(store, folder)
    whole = world.bring_in(PEOPLE, dry_run=True)
    for number in deaths:
        with pytest.MonkeyPatch.context() as patched:
            die_at(patched, contacts_module, "bring_in", number)
            try:
                world.bring_in(PEOPLE, approved=False, rejects_path=folder / "rejects.csv")
            except Killed:
                continue
            break
    last = world.all(select(ImportBatch.counts).where(ImportBatch.finished_at.is_not(None)))
    if not last:
        assert world.bring_in(PEOPLE, approved=False).counts == whole.counts
        assert world.all(select(func.count()).select_from(ImportBatch)) == [(1,)]
    else:
        assert last == [(whole.counts.as_dict(),)]
    store.close()


def bring_in_as(world: World, operator: str, **options: Any) -> ImportReport:
    return import_contacts(
        world.store,
        HASHER,
        world.clock,
        controller_slug="acton",
        path=world.write("people.csv", PEOPLE),
        operator=operator,
        **{"storage": KEPT, **options},
    )


def kill_half_way(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        die_at(patched, contacts_module, "bring_in", 6)
        with pytest.raises(Killed):
            bring_in_as(world, "tester")


def test_somebody_else_begins_anew_and_brings_every_yes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else who approves it would not know who brought the first half in."""
    kill_half_way(world, monkeypatch)
    whole = bring_in_as(world, "olive")
    assert whole.counts.rows == 100
    assert whole.counts.consents_recorded > 0
    assert whole.batch_id is not None
    world.approve(whole.batch_id)
    agreed = world.all(
        select(ConsentEvent.address_id)
        .where(ConsentEvent.kind == ConsentKind.GIVEN, ConsentEvent.batch_id == whole.batch_id)
        .distinct()
    )
    standing = world.all(
        select(ConsentState.address_id).where(ConsentState.status == ConsentKind.GIVEN)
    )
    assert len(standing) == len(agreed)


@pytest.mark.parametrize(
    "changed", [{"reading": Reading(country="GB")}, {"storage": None}, {"dry_run": True}]
)
def test_a_file_that_is_read_otherwise_begins_anew(
    world: World, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any]
) -> None:
    kill_half_way(world, monkeypatch)
    other = bring_in_as(world, "tester", **changed)
    assert other.counts.rows == 100
    assert other.counts.unchanged > 0
    [(first, finished), *_] = world.all(
        select(ImportBatch.rows_done, ImportBatch.finished_at).order_by(ImportBatch.id)
    )
    assert (first, finished) == (50, None)


def test_one_that_was_revoked_is_not_taken_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_half_way(world, monkeypatch)
    [(batch_id,)] = world.all(select(ImportBatch.id))
    revoke_batch(
        world.store,
        world.clock,
        controller_id=world.controller_id(),
        batch_id=batch_id,
        operator="another",
        because="the wrong file",
    )
    anew = bring_in_as(world, "tester")
    assert anew.batch_id != batch_id
    assert anew.counts.rows == 100


def test_a_yes_of_a_revoked_import_comes_again_with_the_corrected_file(world: World) -> None:
    first = world.bring_in(PEOPLE)
    assert first.batch_id is not None
    revoke_batch(
        world.store,
        world.clock,
        controller_id=world.controller_id(),
        batch_id=first.batch_id,
        operator="another",
        because="the wrong notice",
    )
    again = world.bring_in(PEOPLE + person(100), approved=False)
    assert again.counts.consents_recorded > first.counts.consents_recorded * 0.9
    no = select(ConsentState.address_id).where(ConsentState.status == ConsentKind.GIVEN)
    assert world.all(no) == []
    assert again.batch_id is not None
    world.approve(again.batch_id)
    assert world.all(no) != []


def test_two_processes_do_not_both_bring_a_row_in(world: World) -> None:
    """The second takes the first one's batch up while that lives; only one of them goes on."""
    done: list[Counts] = []

    def between(rows: int, _total: int) -> None:
        if rows == 30 and not done:
            done.append(bring_in_as(world, "tester").counts)

    with pytest.raises(RefusedError, match="Another process"):
        bring_in_as(world, "tester", progress=between)
    [whole] = done
    assert whole.rows == 100
    assert world.all(select(ImportBatch.rows_done, ImportBatch.counts)) == [(100, whole.as_dict())]


def test_rejects_that_are_gone_do_not_keep_it_from_going_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_half_way(world, monkeypatch)
    (world.folder / "people.rejects.csv").unlink()
    resumed = bring_in_as(world, "tester")
    assert resumed.counts.rows == 100
    lines = {int(row["reject.line"]) for row in rejected(resumed)}
    assert lines
    assert min(lines) > 50


def test_a_batch_of_before_there_were_resumptions_is_left_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_half_way(world, monkeypatch)
    with world.store.write() as session:
        session.execute(update(ImportBatch).values(reading_hash=None))
    assert bring_in_as(world, "tester").counts.rows == 100
    assert world.all(select(func.count()).select_from(ImportBatch)) == [(2,)]


def test_a_new_clock_changes_nothing_of_what_was_done(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_half_way(world, monkeypatch)
    before = world.all(select(ConsentEvent.id, ConsentEvent.row_hash))
    assert isinstance(world.clock, FixedClock)
    world.clock.sleep(86_400)
    bring_in_as(world, "tester")
    after = world.all(select(ConsentEvent.id, ConsentEvent.row_hash))
    assert set(before) <= set(after)
