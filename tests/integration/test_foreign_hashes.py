"""Opt-outs that came as hashes stop whoever has such an address, whenever and however it comes."""

import hashlib
import hmac
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from sender.consent import recording
from sender.consent.history import Subject
from sender.contacts.addresses import ensure_address_ids
from sender.contacts.normalise import normalise
from sender.errors import DatabaseError, FileError, KeyRefusedError, UsageError
from sender.imports.counts import ImportReport
from sender.imports.hashed_list import Hashed
from sender.store.addresses import Address
from sender.store.campaigns import StagedRecipient
from sender.store.chain import LEDGERS
from sender.store.chain_check import verify
from sender.store.contacts import Contact, ContactPoint, TestAddress
from sender.store.controllers import OptOutDeclaration
from sender.store.engine import Store, open_store
from sender.store.foreign_hashes import ForeignHash, ForeignScheme
from sender.store.key_ring import keys_to_add, rewrite
from sender.store.keys import AddressHasher, add_keys
from sender.store.suppressions import Block, SuppressionEvent
from sender.suppression import foreign
from sender.suppression.foreign_digests import HashAlgorithm, digest_by, read_key
from sender.suppression.ledger import BlockScope, Suppression, release
from sender.vocabulary import EVERY, BlockCause, Channel
from tests.support.databases import SqliteDatabases
from tests.support.import_world import HASHER, NOW, World, build_world

KEY = "a key of the old system"
VARIABLE = "OLD_SYSTEM_KEY"
ANN, JO = "ann@example.org", "jo@example.org"
MOBILE = "+447400123456"
SHA256 = Hashed(HashAlgorithm.SHA256)
KEYED = Hashed(HashAlgorithm.HMAC_SHA256, read_key(VARIABLE, {VARIABLE: KEY}))
NEW_KEY = bytes([9]) * 32


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    store = open_store(database_url)
    yield build_world(store, tmp_path)
    store.close()


@pytest.fixture(autouse=True)
def _key_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)


@pytest.fixture
def databases(request: pytest.FixtureRequest) -> SqliteDatabases:
    return cast("SqliteDatabases", request.getfixturevalue("_sqlite_databases"))


def digest(hashed: Hashed, text: str) -> str:
    if hashed.key is not None:
        return hmac.new(KEY.encode(), text.encode(), "sha256").hexdigest()
    return hashlib.new(hashed.algorithm, text.encode()).hexdigest()


def hold(world: World, *texts: str, hashed: Hashed = SHA256, **options: Any) -> ImportReport:
    content = "".join(f"{digest(hashed, one)}\n" for one in texts)
    return world.opt_out(content, hashed=hashed, **options)


def blocked(world: World) -> set[tuple[int, str, int]]:
    return set(world.all(select(Block.address_id, Block.channel, Block.controller_id)))


def is_blocked(world: World, address: str, controller: str = "acton") -> bool:
    channel = "email" if "@" in address else "sms"
    row = (world.address_id(address), channel, world.controller_id(controller))
    return row in blocked(world)


def arrive(world: World, address: str, hasher: AddressHasher = HASHER) -> int:
    channel = Channel.EMAIL if "@" in address else Channel.SMS
    with world.store.write() as session:
        return ensure_address_ids(session, hasher, channel, [address], now=NOW)[address]


@pytest.mark.parametrize("hashed", [Hashed(one) for one in HashAlgorithm if not one.is_keyed])
def test_an_address_that_arrives_later_is_blocked_at_once(world: World, hashed: Hashed) -> None:
    report = hold(world, ANN, "447400123456", hashed=hashed)
    assert (report.counts.created, report.counts.opt_outs_recorded) == (2, 2)
    assert report.counts.hashes_matched == 0
    assert blocked(world) == set()
    arrive(world, JO)
    assert blocked(world) == set()
    arrive(world, ANN)
    arrive(world, MOBILE)
    assert is_blocked(world, ANN)
    assert is_blocked(world, MOBILE)
    [(cause, by_person, source, batch)] = world.all(
        select(
            SuppressionEvent.cause,
            SuppressionEvent.by_person,
            SuppressionEvent.source,
            SuppressionEvent.batch_id,
        ).where(SuppressionEvent.address_id == world.address_id(ANN))
    )
    assert (cause, by_person, source, batch) == (
        BlockCause.OPT_OUT, True, "import", report.batch_id,
    )  # fmt: skip
    assert set(world.all(select(Block.purpose_id))) == {(EVERY,)}


def test_keyed_hashes_are_matched_by_the_key_in_the_environment(world: World) -> None:
    hold(world, ANN, hashed=KEYED)
    arrive(world, ANN)
    assert is_blocked(world, ANN)


def test_the_key_and_the_hashes_are_not_in_the_database(world: World) -> None:
    hold(world, ANN, hashed=KEYED)
    hold(world, ANN)
    stored = {row for (row,) in world.all(select(ForeignHash.key_hash))}
    assert len(stored) == 2
    assert not stored & {bytes.fromhex(digest(one, ANN)) for one in (KEYED, SHA256)}
    for row in world.all(select(ForeignScheme.__table__)):
        assert KEY not in repr(row)


PEOPLE = "email,mobile,opt_out\nann@example.org,07400 123456,\njo@example.org,,\n"


def test_addresses_that_are_held_already_are_blocked_by_the_import(world: World) -> None:
    world.bring_in(PEOPLE)
    report = hold(world, ANN, "07400123456", "who@example.org")
    assert report.counts.hashes_matched == 2
    assert is_blocked(world, ANN)
    assert is_blocked(world, MOBILE)
    assert not is_blocked(world, JO)


def test_all_that_are_held_are_looked_through(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign, "CHUNK", 2)
    people = [f"person{number}@example.org" for number in range(7)]
    world.bring_in("\n".join(("email,opt_out", *(f"{one}," for one in people))) + "\n")
    assert hold(world, *people).counts.hashes_matched == len(people)
    assert all(is_blocked(world, one) for one in people)


def test_addresses_are_found_wherever_they_are_held_in_plain() -> None:
    models = {table.name for table in foreign.tables_in_plain()}
    assert models >= {one.__tablename__ for one in (ContactPoint, StagedRecipient, TestAddress)}


def test_an_address_that_was_known_by_its_hash_alone_is_blocked_when_it_comes(
    world: World,
) -> None:
    """As after an erasure, a replayed journal, or a list of opt-outs from one channel."""
    world.opt_out(f"{ANN}\n", controller="barnet")
    hold(world, ANN)
    assert not is_blocked(world, ANN)
    world.bring_in(PEOPLE)
    assert is_blocked(world, ANN)


def test_it_holds_at_the_controllers_that_are_named_and_at_no_other(world: World) -> None:
    hold(world, ANN, controller="barnet")
    arrive(world, ANN)
    assert is_blocked(world, ANN, "barnet")
    assert not is_blocked(world, ANN, "acton")


def test_the_same_list_again_changes_nothing(world: World) -> None:
    world.bring_in(PEOPLE)
    first = hold(world, ANN, "who@example.org")
    events = world.all(select(SuppressionEvent.id))
    rows = world.all(select(ForeignHash.id))
    again = hold(world, ANN, "who@example.org", "who@example.org")
    assert (first.counts.created, first.counts.unchanged) == (2, 0)
    assert (again.counts.created, again.counts.unchanged) == (0, 3)
    assert world.all(select(SuppressionEvent.id)) == events
    assert world.all(select(ForeignHash.id)) == rows


def came_back(session: Session, address_id: int, controller_id: int, at: datetime) -> None:
    act = Suppression(
        scope=BlockScope(address_id, controller_id, "email"),
        cause=BlockCause.OPT_OUT,
        occurred_at=at,
        source="web",
        by_person=True,
        operator="web",
    )
    release(session, act, at)


def test_who_came_back_by_their_own_act_is_not_blocked_by_the_old_hash_again(world: World) -> None:
    content = f"hash,opt_out_at\n{digest(SHA256, ANN)},2024-05-07\n"
    world.opt_out(content, hashed=SHA256)
    address_id = arrive(world, ANN)
    with world.store.write() as session:
        came_back(session, address_id, world.controller_id(), NOW)
    arrive(world, ANN)
    world.clock.sleep(3_600)
    world.opt_out(content, hashed=SHA256)
    assert not is_blocked(world, ANN)
    newer = content.replace("2024-05-07", "2026-11-21T12:30Z")
    assert world.opt_out(newer, hashed=SHA256).counts.created == 1
    assert is_blocked(world, ANN)


def test_time_and_source_are_kept_until_the_address_comes(world: World) -> None:
    row = f"email_hash,opt_out_at,opt_out_source\n{digest(SHA256, ANN)},2024-05-07T09:00Z,Mailer\n"
    world.opt_out(row, hashed=SHA256)
    arrive(world, ANN)
    told = world.all(
        select(SuppressionEvent.occurred_at, SuppressionEvent.recorded_at, SuppressionEvent.source)
    )
    assert told == [(datetime(2024, 5, 7, 9, tzinfo=UTC), NOW, "import: Mailer")]


def test_what_is_no_such_hash_is_told_and_the_others_taken(world: World) -> None:
    content = f"email\n{digest(SHA256, ANN)}\nann@example.org\n{'0' * 32}\n"
    report = world.opt_out(content, hashed=SHA256, rejects_path=world.folder / "wrong.csv")
    assert (report.counts.created, report.counts.rejected) == (1, 2)
    assert "64 hexadecimal digits" in (world.folder / "wrong.csv").read_text()


def test_a_list_without_hashes_is_refused(world: World) -> None:
    with pytest.raises(FileError):
        world.opt_out("name\nann\n", hashed=SHA256)


@pytest.mark.parametrize(
    ("algorithm", "key"), [(HashAlgorithm.HMAC_SHA256, None), (HashAlgorithm.SHA1, KEYED.key)]
)
def test_a_key_belongs_to_the_algorithm_that_takes_one(algorithm: HashAlgorithm, key: Any) -> None:
    with pytest.raises(UsageError):
        Hashed(algorithm, key)


def test_hashes_alone_declare_no_old_opt_outs_imported(world: World) -> None:
    """Nobody sees whether they were made as was said."""
    hold(world, ANN)
    assert world.all(select(OptOutDeclaration.id)) == []


def test_a_dry_run_tells_the_same_and_leaves_nothing(world: World) -> None:
    world.bring_in(PEOPLE)
    rehearsed = hold(world, ANN, "who@example.org", dry_run=True)
    assert world.all(select(ForeignHash.id)) == []
    assert world.all(select(ForeignScheme.id)) == []
    assert blocked(world) == set()
    assert hold(world, ANN, "who@example.org").counts == rehearsed.counts


class TestWithoutItsKey:
    """While a list is held whose key is missing, nobody can tell who is on it."""

    @pytest.fixture(autouse=True)
    def _held(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        hold(world, ANN, hashed=KEYED)
        monkeypatch.delenv(VARIABLE)

    def test_no_address_comes_in(self, world: World) -> None:
        with pytest.raises(KeyRefusedError, match=VARIABLE):
            world.bring_in(PEOPLE)
        assert world.all(select(ContactPoint.id)) == []
        with pytest.raises(KeyRefusedError):
            arrive(world, JO)
        assert world.all(select(Address.id)) == []

    def test_another_key_is_as_bad(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(VARIABLE, "another key")
        with pytest.raises(KeyRefusedError, match="is not the key"):
            arrive(world, ANN)

    def test_a_no_is_taken_all_the_same(self, world: World) -> None:
        world.opt_out(f"{JO}\n")
        act = recording.Act(NOW, "letter", "letter", "tester", NOW)
        with world.store.write() as session:
            recording.object_to_all(session, HASHER, Subject("acton", Channel.EMAIL, ANN), act)
        assert is_blocked(world, JO)

    def test_whoever_came_by_a_no_alone_is_blocked_when_they_come_in_plain(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.opt_out(f"{ANN}\n", controller="barnet")
        monkeypatch.setenv(VARIABLE, KEY)
        world.bring_in(PEOPLE)
        assert is_blocked(world, ANN)

    def test_a_key_may_move_to_another_variable(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MOVED", KEY)
        moved = Hashed(HashAlgorithm.HMAC_SHA256, read_key("MOVED", {"MOVED": KEY}))
        hold(world, JO, hashed=moved)
        arrive(world, ANN)
        assert is_blocked(world, ANN)
        assert world.all(select(ForeignScheme.key_variable)) == [("MOVED",)]


def test_a_rotation_of_the_address_key_loses_none(world: World) -> None:
    world.bring_in(PEOPLE)
    hold(world, ANN, "who@example.org", hashed=KEYED)
    hold(world, "mo@example.org")
    ring = AddressHasher(NEW_KEY, bytes(range(32)))
    with world.store.write() as session:
        adding = keys_to_add(session, ring)
        rewrite(session, ring, adding.newest, lambda _rows: None)
        add_keys(session, adding.fingerprints, NOW)
    for address in ("who@example.org", "mo@example.org"):
        address_id = arrive(world, address, ring)
        assert (address_id, "email", world.controller_id()) in blocked(world)
    with world.store.write() as session, pytest.raises(KeyRefusedError):
        ensure_address_ids(session, HASHER, Channel.EMAIL, ["lu@example.org"])


def test_the_history_stays_whole(world: World) -> None:
    hold(world, ANN, MOBILE)
    world.bring_in(PEOPLE)
    with world.store.read() as session:
        assert [each for ledger in LEDGERS for each in verify(session, ledger)] == []


@pytest.mark.parametrize("dialect", ["postgresql"])
def test_an_address_that_comes_in_during_the_import_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was looked at before the hashes were there, and is committed after they were."""
    monkeypatch.setattr(foreign, "_ATTEMPTS", 2)
    monkeypatch.setattr(foreign, "_MOMENT", timedelta(seconds=1))
    with Session(world.store.engine) as slow, slow.begin():
        ensure_address_ids(slow, HASHER, Channel.EMAIL, [ANN])
        with pytest.raises(DatabaseError, match="bringing addresses in"):
            hold(world, ANN)
        contact = Contact(
            controller_id=world.controller_id(), attributes={}, source="direct",
            created_at=NOW, updated_at=NOW,
        )  # fmt: skip
        slow.add(contact)
        slow.flush()
        slow.add(
            ContactPoint(
                controller_id=contact.controller_id,
                contact_id=contact.id,
                channel=Channel.EMAIL,
                address_id=ensure_address_ids(slow, HASHER, Channel.EMAIL, [ANN])[ANN],
                address=ANN,
                created_at=NOW,
            )
        )
    report = hold(world, ANN)
    assert (report.counts.created, report.counts.hashes_matched) == (1, 1)
    assert is_blocked(world, ANN)


ROUTES: dict[str, Callable[[World, str], object]] = {
    "an import of people": lambda world, address: world.bring_in(
        f"{'email' if '@' in address else 'mobile'}\n{address}\n"
    ),
    "whatever asks for an id": arrive,
}
USUAL = st.one_of(
    st.from_regex(r"[a-z0-9]{1,12}(\.[a-z0-9]{1,8})?@[a-z]{2,10}\.(org|co\.uk)", fullmatch=True),
    st.from_regex(r"\+447[45][0-9]{8}", fullmatch=True),
)


def written(address: str, how: int) -> str:
    if "@" in address:
        return address.upper() if how % 2 else address
    digits = address.removeprefix("+")
    return (address, digits, f"00{digits}", f"0{digits.removeprefix('44')}")[how % 4]


@given(
    addresses=st.lists(USUAL, min_size=1, max_size=6, unique=True),
    how=st.integers(0, 3),
    algorithm=st.sampled_from(HashAlgorithm),
    route=st.sampled_from(sorted(ROUTES)),
    before=st.booleans(),
    data=st.data(),
)
@settings(max_examples=40)
def test_nobody_whose_hash_is_held_can_be_written_to(
    *,
    addresses: list[str],
    how: int,
    algorithm: HashAlgorithm,
    route: str,
    before: bool,
    data: st.DataObject,
    tmp_path: Path,
    databases: SqliteDatabases,
) -> None:
    hashed = KEYED if algorithm.is_keyed else Hashed(algorithm)
    listed = data.draw(st.lists(st.sampled_from(addresses), unique=True))
    url = databases.create_migrated()
    store: Store = open_store(url)
    world = build_world(store, tmp_path)
    if before and route == "an import of people":
        for address in addresses:
            ROUTES[route](world, address)
    if listed:
        make = digest_by(hashed.algorithm, hashed.key)
        content = "hash\n" + "".join(f"{make(written(one, how)).hex()}\n" for one in listed)
        world.opt_out(content, hashed=hashed)
    for address in addresses:
        ROUTES[route](world, address)
    for address in addresses:
        normalised = normalise(Channel.EMAIL if "@" in address else Channel.SMS, address)
        assert is_blocked(world, normalised) == (address in listed)
    store.close()
    databases.drop(url)


def test_a_hash_that_is_held_is_never_removed(world: World) -> None:
    hold(world, ANN)
    with pytest.raises(Exception, match="history stays"), world.store.write() as session:
        session.execute(delete(ForeignHash))
