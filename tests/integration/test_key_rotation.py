"""The key of the address hashes is rotated: nobody's yes or no is lost, at any moment."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlalchemy import select, update

from sender.campaigns.launch import prepare_launch
from sender.clock import SystemClock
from sender.consent.checking import check_history
from sender.consent.history import Subject, history_of
from sender.contacts.addresses import ensure_address_ids, find_address_ids
from sender.context import Context
from sender.delivery.key_rotation import Rotation, rotate_key
from sender.delivery.replay import Replay
from sender.errors import KeyRefusedError, RefusedError
from sender.jobs.workers import enter, leave
from sender.store import key_ring
from sender.store.addresses import Address, HashKey
from sender.store.audit import AuditEvent
from sender.store.campaigns import Dispatcher
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.store.journal import Journal, JournalFile, Owner
from sender.store.journal_entries import read_entry
from sender.store.journal_marks import LostMessage
from sender.store.keys import (
    AddressHasher,
    database_name,
    register_key,
    registered,
    require_key,
)
from sender.store.suppressions import Block
from sender.suppression.journal import require_whole
from sender.suppression.ledger import BlockScope, Suppression, suppress
from sender.vocabulary import BlockCause, Channel, DeliveryState
from tests.support.backups import Backup, backup_of
from tests.support.campaign_folder import Office, open_office
from tests.support.factory import (
    HASH_KEY,
    HASHER,
    NOW,
    OPERATOR,
    Organisation,
    add_campaign,
    add_run,
    address_id_of,
    block,
    establish,
    record_consent,
)
from tests.support.journal_desk import keep_journal, later, replay
from tests.support.twilio_world import ENVIRON, twilio_world
from tests.support.waiting import Rival
from tests.support.web_context import web_settings

SECOND, THIRD = bytes([2]) * 32, bytes([3]) * 32
TWO = AddressHasher(SECOND, HASH_KEY)
THREE = AddressHasher(THIRD, SECOND, HASH_KEY)
PEOPLE = [f"person{place}@example.org" for place in range(7)]
ANN = PEOPLE[0]


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_ring, "ROWS_AT_ONCE", 3)


@pytest.fixture
def party(store: Store) -> Organisation:
    with store.write() as session:
        register_key(session, HASHER, NOW)
        return establish(session, "riverside")


@pytest.fixture
def ids(store: Store, party: Organisation) -> dict[str, int]:
    """People who agreed; the first of them said no since."""
    with store.write() as session:
        found = {one: address_id_of(session, one) for one in PEOPLE}
        for address_id in found.values():
            record_consent(session, party, address_id)
        block(session, found[ANN])
        return found


def context_of(store: Store, hasher: AddressHasher) -> Context:
    return Context(web_settings(), store, hasher, SystemClock(), OPERATOR)


def rotate(store: Store, hasher: AddressHasher) -> Rotation:
    return rotate_key(context_of(store, hasher))


def hashes(store: Store) -> dict[int, bytes]:
    with store.read() as session:
        return dict(session.execute(select(Address.id, Address.key_hash)).all())


def test_everybody_is_found_under_the_new_key_and_the_history_holds(
    store: Store, ids: dict[str, int]
) -> None:
    assert rotate(store, TWO) == Rotation(keys=1, addresses=len(PEOPLE))
    with store.read() as session:
        require_key(session, TWO)
        assert find_address_ids(session, TWO, Channel.EMAIL, PEOPLE) == ids
        found = history_of(session, TWO, Subject("riverside", Channel.EMAIL, ANN))
        assert [one.cause for one in found.blocks] == [BlockCause.OPT_OUT]
        checked = check_history(session, lambda _table: None)
        assert not checked.faults
        audited = session.scalars(
            select(AuditEvent).where(AuditEvent.action == "hash_key.rotate")
        ).one()
        assert (audited.operator, audited.details) == (OPERATOR, {"keys": 1, "addresses": 7})


def test_every_hash_is_the_old_one_under_the_new_key(store: Store, ids: dict[str, int]) -> None:
    before = hashes(store)
    rotate(store, TWO)
    assert hashes(store) == {
        row_id: TWO.lift(old, HASHER.fingerprint) for row_id, old in before.items()
    }
    assert set(before.values()).isdisjoint(hashes(store).values())
    assert set(before) == set(ids.values())


def test_two_rotations_at_once_are_as_good_as_one_after_the_other(
    store: Store, ids: dict[str, int]
) -> None:
    """As for a backup of before both."""
    assert rotate(store, THREE) == Rotation(keys=2, addresses=len(ids))
    with store.read() as session:
        assert registered(session) == THREE.fingerprints
        assert find_address_ids(session, THREE, Channel.EMAIL, PEOPLE) == ids


def test_a_rotation_that_was_done_changes_nothing_more(store: Store, ids: dict[str, int]) -> None:
    rotate(store, TWO)
    before = hashes(store)
    assert rotate(store, TWO) == Rotation(keys=0, addresses=0)
    assert hashes(store) == before
    assert len(before) == len(ids)


def test_the_address_of_somebody_blocked_gets_no_second_row_when_it_comes_again(
    store: Store, ids: dict[str, int]
) -> None:
    for hasher in (TWO, THREE):
        rotate(store, hasher)
        with store.write() as session:
            again = ensure_address_ids(session, hasher, Channel.EMAIL, [ANN, "new@example.org"])
            assert again[ANN] == ids[ANN]
            assert session.scalar(select(Block.address_id)) == again[ANN]
    assert len(hashes(store)) == len(ids) + 1


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ((HASH_KEY, SECOND), "not the key"),
        ((THIRD, HASH_KEY, SECOND), "not the key"),
        ((THIRD, HASH_KEY), "not the key"),
        ((THIRD, SECOND), "not the key"),
        ((THIRD,), "not the key"),
        ((HASH_KEY,), "lacks the new one"),
    ],
    ids=["turned round", "wrong order", "left out", "without the oldest", "another", "too old"],
)
def test_keys_that_are_not_this_databases_in_order_are_refused(
    store: Store, ids: dict[str, int], keys: tuple[bytes, ...], problem: str
) -> None:
    rotate(store, TWO)
    before = hashes(store)
    with store.read() as session, pytest.raises(KeyRefusedError, match=problem):
        require_key(session, AddressHasher(*keys))
    with pytest.raises(KeyRefusedError, match=problem):
        rotate(store, AddressHasher(*keys))
    assert hashes(store) == before
    assert len(before) == len(ids)


def test_a_newer_key_is_refused_until_the_database_knows_it(
    store: Store, party: Organisation
) -> None:
    with store.read() as session, pytest.raises(KeyRefusedError, match="newer key") as refused:
        require_key(session, TWO)
    assert refused.value.remedy == "Run: sender db rotate-key"
    with store.write() as session, pytest.raises(KeyRefusedError, match="newer key"):
        register_key(session, TWO, NOW)
    with store.read() as session:
        assert registered(session) == HASHER.fingerprints
    assert party.id


def test_a_new_database_may_begin_with_a_whole_ring(store: Store) -> None:
    with store.write() as session:
        register_key(session, THREE, NOW)
    with store.read() as session:
        assert registered(session) == THREE.fingerprints
        require_key(session, THREE)


def test_a_process_of_before_neither_finds_nor_records_anybody(
    store: Store, ids: dict[str, int]
) -> None:
    """It would find no block, and write an opt-out down where it stops nothing."""
    rotate(store, TWO)
    for work in (find_address_ids, ensure_address_ids):
        with pytest.raises(KeyRefusedError, match="start this program anew"), store.write() as one:
            work(one, HASHER, Channel.EMAIL, [ANN, "new@example.org"])
    assert len(hashes(store)) == len(ids)


def test_a_stop_that_reaches_a_web_process_of_before_is_not_acknowledged(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    with twilio_world(store) as world:
        rotate(store, TWO)
        assert world.twilio.text("STOP").status_code == 503
        assert world.notifications() == []


@pytest.mark.parametrize("dialect", ["postgresql"])
def test_a_writer_that_the_rotation_overtakes_is_refused(store: Store, ids: dict[str, int]) -> None:
    """Its insert waits for the rotation, and would then stand under the old key."""

    def record() -> None:
        with store.write() as session:
            ensure_address_ids(session, HASHER, Channel.EMAIL, ["new@example.org"])

    rival = Rival(store, record)
    context = context_of(store, TWO)
    rotate_key(context, _once(rival.start))
    with pytest.raises(KeyRefusedError):
        rival.finish()
    assert len(hashes(store)) == len(ids)


def _once(act: Callable[[], None]) -> Callable[[int], None]:
    waiting = [act]
    return lambda _rows: waiting.pop()() if waiting else None


def test_a_rotation_that_breaks_off_has_changed_nothing_and_can_be_done_again(
    store: Store, ids: dict[str, int]
) -> None:
    before = hashes(store)

    def fail(_rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rotate_key(context_of(store, TWO), fail)
    assert hashes(store) == before
    with store.read() as session:
        require_key(session, HASHER)
    assert rotate(store, TWO).addresses == len(ids)


def test_nothing_is_rotated_beside_somebody_who_sends(store: Store, party: Organisation) -> None:
    clock = SystemClock()
    with store.write() as session:
        _, version = add_campaign(session, party.controller)
        run = add_run(session, party, version)
        row = Dispatcher(
            run_id=run.id,
            host="elsewhere",
            place="another machine",
            process_id=1,
            started_at=clock.now(),
            heartbeat_at=clock.now(),
        )
        session.add(row)
    with pytest.raises(RefusedError, match="Process 1 on elsewhere is sending"):
        rotate(store, TWO)
    with store.write() as session:
        session.get_one(Dispatcher, row.id).ended_at = clock.now()
    assert rotate(store, TWO).keys == 1


@pytest.mark.parametrize("dialect", ["postgresql"])
def test_nothing_is_rotated_beside_a_worker(store: Store, party: Organisation) -> None:
    with store.write() as session:
        worker = enter(session, 4)
    with pytest.raises(RefusedError, match="Stop every worker"):
        rotate(store, TWO)
    with store.write() as session:
        leave(session, worker)
    assert rotate(store, TWO).keys == 1
    assert party.id


def test_a_key_that_is_known_cannot_be_taken_back(store: Store, ids: dict[str, int]) -> None:
    rotate(store, TWO)
    with pytest.raises(Exception, match="its history stays"), store.write() as session:
        session.delete(session.scalars(select(HashKey).order_by(HashKey.id.desc())).first())
    assert ids


class Books:
    """A database, its journal, its last backup and the keys of the environment."""

    def __init__(self, store: Store, path: Path) -> None:
        self.store = store
        self.path = path
        self.keys = [HASH_KEY]
        self.take_journal()

    @property
    def ring(self) -> AddressHasher:
        return AddressHasher(*reversed(self.keys))

    def begin_again(self) -> None:
        self.path.unlink(missing_ok=True)
        self.keys = [HASH_KEY]
        self.take_journal()

    def take_journal(self) -> None:
        with self.store.read() as session:
            owner = Owner(self.ring, database_name(session))
        self.store.journal = Journal(self.path, owner, SystemClock())

    def new_key(self) -> None:
        self.keys.append(bytes([len(self.keys) + 1]) * 32)
        self.rotate()

    def rotate(self) -> None:
        rotate(self.store, self.ring)
        self.take_journal()

    def opt_out(self, address: str) -> None:
        with self.store.write() as session:
            found = ensure_address_ids(session, self.ring, Channel.EMAIL, [address])
            scope = BlockScope(found[address], None, "email")
            at = later()  # two acts of one time could not be told from each other
            act = Suppression(
                scope, BlockCause.OPT_OUT, at, "page", by_person=True, operator="page"
            )
            suppress(session, [act], at)

    def import_(self, address: str) -> None:
        with self.store.write() as session:
            ensure_address_ids(session, self.ring, Channel.EMAIL, [address])

    def replay(self) -> None:
        Replay(self.store, SystemClock(), OPERATOR).run(dry_run=False)

    def blocked(self) -> set[str]:
        with self.store.read() as session:
            held = set(session.scalars(select(Block.address_id)))
            found = find_address_ids(session, self.ring, Channel.EMAIL, PEOPLE)
        return {address for address, row_id in found.items() if row_id in held}


@pytest.fixture
def books(store: Store, party: Organisation, tmp_path: Path) -> Books:
    assert party.id
    return Books(store, tmp_path / "opt-outs.journal")


@pytest.fixture
def backup(books: Books) -> Iterator[Backup]:
    with backup_of(books.store) as taken:
        yield taken


@pytest.fixture
def pristine(books: Books) -> Iterator[Backup]:
    with backup_of(books.store) as taken:
        yield taken


def test_lines_of_before_and_after_a_rotation_say_under_which_key_they_are(books: Books) -> None:
    books.opt_out(ANN)
    books.new_key()
    books.opt_out(PEOPLE[1])
    keys: list[str | None] = []

    def note(key_hash: bytes, written_under: str | None) -> bytes:
        keys.append(written_under)
        return key_hash

    for _, line in JournalFile(books.path).lines(0):
        read_entry(line, note)
    assert keys == list(books.ring.fingerprints)
    assert require_whole(books.store)


def test_a_backup_of_before_is_refused_then_rotated_and_replayed(
    books: Books, backup: Backup
) -> None:
    books.opt_out(ANN)
    books.new_key()
    books.opt_out(PEOPLE[1])
    books.new_key()
    backup.restore()
    with books.store.read() as session, pytest.raises(KeyRefusedError, match="newer key"):
        require_key(session, books.ring)
    books.rotate()
    with pytest.raises(RefusedError, match="behind its journal"):
        require_whole(books.store)
    books.replay()
    assert books.blocked() == {ANN, PEOPLE[1]}
    require_whole(books.store)


def test_a_journal_of_before_the_rotation_is_replayed_into_the_rotated_database(
    books: Books, backup: Backup
) -> None:
    """The rotation came after the restore."""
    books.opt_out(ANN)
    backup.restore()
    books.new_key()
    books.replay()
    assert books.blocked() == {ANN}


def test_a_journal_with_lines_of_an_unknown_key_is_not_read_as_if_they_were_known(
    books: Books, backup: Backup
) -> None:
    books.opt_out(ANN)
    books.new_key()
    books.opt_out(PEOPLE[1])
    backup.restore()
    books.keys.pop()
    books.take_journal()
    for read in (lambda: require_whole(books.store), books.replay):
        with pytest.raises(KeyRefusedError, match="SENDER_HASH_KEY lacks"):
            read()
    assert books.blocked() == set()


def test_a_replay_that_missed_a_rotation_is_refused(books: Books, backup: Backup) -> None:
    books.opt_out(ANN)
    backup.restore()
    stale = books.store.journal
    rotate(books.store, TWO)
    books.store.journal = stale
    with pytest.raises(KeyRefusedError, match="start this program anew"):
        books.replay()
    assert hashes(books.store) == {}


def test_whom_a_lost_run_wrote_to_is_known_under_the_new_key(store: Store, tmp_path: Path) -> None:
    with open_office(store, tmp_path, people=3) as office:
        keep_journal(office)
        with backup_of(store) as before:
            run_id, _ = office.launch(office.email())
            assert office.counts(run_id).handed_over == 3
            before.restore()
            settle_under(office, TWO)
            with store.read() as session:
                told = set(session.scalars(select(LostMessage.address_id)))
            assert told == set(office.ids.values())


def test_deliveries_that_a_restored_database_forgot_become_unknown_under_the_new_key(
    store: Store, tmp_path: Path
) -> None:
    with open_office(store, tmp_path, people=3) as office:
        keep_journal(office)
        launch = prepare_launch(office.context, office.email())
        launch.confirm()
        with backup_of(store) as before:
            launch.dispatch()
            launch.close()
            before.restore()
            settle_under(office, TWO)
        with store.read() as session:
            rows = session.execute(select(Delivery.address_id, Delivery.state)).all()
        assert dict(rows) == dict.fromkeys(office.ids.values(), DeliveryState.UNKNOWN)


def settle_under(office: Office, hasher: AddressHasher) -> None:
    """Rotate and replay, as after a restore; the launcher is gone."""
    with office.store.write() as session:
        session.execute(update(Dispatcher).values(ended_at=NOW))
    rotate(office.store, hasher)
    office.context = replace(office.context, hasher=hasher)
    keep_journal(office)
    replay(office)


Step = tuple[str, str]
_steps = st.one_of(
    st.tuples(st.sampled_from(["opt out", "opt out", "import"]), st.sampled_from(PEOPLE)),
    st.tuples(st.sampled_from(["new key", "backup", "restore", "replay"]), st.just("")),
)


@given(steps=st.lists(_steps, max_size=20))
@examples(max_examples=15)
def test_whatever_happens_in_whatever_order_every_opt_out_holds_in_the_end(
    books: Books, pristine: Backup, backup: Backup, steps: list[Step]
) -> None:
    pristine.restore()
    backup.take()
    books.begin_again()
    told: set[str] = set()
    for what, address in steps:
        _do(books, backup, what, address)
        told |= {address} if what == "opt out" else set()
    if told:
        books.replay()
    assert books.blocked() == told
    assert len(hashes(books.store)) <= len({address for _, address in steps if address})


def _do(books: Books, backup: Backup, what: str, address: str) -> None:
    if what == "opt out":
        books.opt_out(address)
    elif what == "import":
        books.import_(address)
    elif what == "new key":
        books.new_key()
    elif what == "backup":
        backup.take()
    elif what == "restore":
        backup.restore()
        books.rotate()  # else every command refuses
    elif books.path.exists():
        books.replay()
