"""Each no is journaled before it is acknowledged, and a database that was set back is noticed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from sender.errors import RefusedError
from sender.store.audit import AuditEvent
from sender.store.engine import Store
from sender.store.journal import JournalError, JournalFile, Owner
from sender.store.journal_entries import Suppressed
from sender.store.journal_marks import marks
from sender.store.keys import AddressHasher
from sender.suppression.journal import remember, require_up_to_date, require_whole
from sender.vocabulary import (
    BlockCause,
    Channel,
    SuppressionAct,
)
from tests.support.backups import OWNER, Backup, backup_of, journal_at
from tests.support.factory import (
    HASHER,
    NOW,
    address_id_of,
    block,
)
from tests.support.journal_desk import Desk


@pytest.fixture
def desk(store: Store, tmp_path: Path) -> Desk:
    return Desk(store, tmp_path / "opt-outs.journal")


@pytest.fixture
def backup(desk: Desk) -> Iterator[Backup]:
    with backup_of(desk.store) as taken:
        yield taken


def test_a_no_is_in_the_journal_when_its_transaction_returns(desk: Desk) -> None:
    at = desk.opt_out()
    (entry,) = desk.entries
    assert isinstance(entry, Suppressed)
    assert (entry.controller, entry.channel, entry.purpose) == ("riverside", "email", None)
    assert (entry.cause, entry.act) == (BlockCause.OPT_OUT, SuppressionAct.SET)
    assert (entry.occurred_at, entry.source, entry.by_person) == (at, "one-click", True)
    assert entry.person.key_hash == HASHER.hash(Channel.EMAIL, "ann@example.org")


def test_no_line_holds_an_address(desk: Desk) -> None:
    desk.opt_out("ann@example.org")
    assert b"example" not in desk.path.read_bytes()


def break_off(desk: Desk) -> None:
    with desk.store.write() as session:
        block(session, address_id_of(session))
        raise RuntimeError


def test_what_is_rolled_back_leaves_no_line(desk: Desk) -> None:
    with pytest.raises(RuntimeError):
        break_off(desk)
    assert not desk.path.exists()


def test_what_a_savepoint_took_back_leaves_no_line(desk: Desk) -> None:
    with desk.store.write() as session:
        ann, ben = address_id_of(session), address_id_of(session)
        block(session, ann)
        savepoint = session.begin_nested()
        block(session, ben)
        savepoint.rollback()
    assert len(desk.entries) == 1
    assert not desk.is_behind()


def test_what_a_session_rolled_back_itself_leaves_no_line(desk: Desk) -> None:
    with desk.store.write() as session:
        block(session, address_id_of(session))
        session.rollback()
    assert not desk.path.exists()


def test_what_cannot_be_journaled_is_not_acknowledged(desk: Desk, tmp_path: Path) -> None:
    desk.store.journal = journal_at(tmp_path / "nowhere" / "opt-outs.journal")
    with pytest.raises(JournalError):
        desk.opt_out()
    assert len(desk.blocks()) == 1  # committed all the same: nobody is written to who said no


def test_what_is_told_again_is_journaled_again(desk: Desk, tmp_path: Path) -> None:
    journal = desk.store.journal
    desk.store.journal = None  # the process dies between its commit and its line
    with desk.store.write() as session:
        event_id = block(session, address_id_of(session))
    desk.store.journal = journal
    with desk.store.write() as session:
        remember(session, [event_id])
    assert len(desk.entries) == 1
    assert not desk.is_behind()


def test_a_database_that_was_not_restored_is_never_behind(desk: Desk) -> None:
    desk.opt_out()
    desk.opt_in()
    require_up_to_date(desk.store, NOW)
    with desk.store.read() as session:
        assert list(marks(session).values()) == [desk.path.stat().st_size]
    desk.opt_out()
    assert require_whole(desk.store) == {
        JournalFile(desk.path).header().name: desk.path.stat().st_size
    }


def test_only_what_is_new_is_read(desk: Desk) -> None:
    desk.opt_out()
    require_up_to_date(desk.store, NOW)
    size = desk.path.stat().st_size
    header = len(desk.path.read_bytes().split(b"\n")[0]) + 1
    spoilt = desk.path.read_bytes()[:header] + b"x" * (size - header - 1) + b"\n"
    desk.path.write_bytes(spoilt)
    assert require_whole(desk.store) == {}


def test_a_journal_that_lost_its_end_is_refused(desk: Desk) -> None:
    desk.opt_out()
    require_up_to_date(desk.store, NOW)
    desk.path.write_bytes(desk.path.read_bytes()[:-10])
    with pytest.raises(RefusedError, match="shorter"):
        require_whole(desk.store)


class TestWhichJournal:
    def test_a_restore_on_a_machine_without_the_journal_is_noticed(
        self, desk: Desk, tmp_path: Path
    ) -> None:
        desk.opt_out()
        name = JournalFile(desk.path).header().name
        require_up_to_date(desk.store, NOW)
        desk.store.journal = journal_at(tmp_path / "new-machine.journal")
        with pytest.raises(RefusedError, match=f"journal {name} before"):
            require_up_to_date(desk.store, NOW)
        desk.opt_out("ben@example.org")  # does not make the new file the whole one
        with pytest.raises(RefusedError, match=f"journal {name} before"):
            require_up_to_date(desk.store, NOW)
        with pytest.raises(RefusedError, match="also knows the journal"):
            desk.replay()
        desk.replay(desk.path)
        require_up_to_date(desk.store, NOW)

    def test_or_is_said_to_be_gone_for_good(self, desk: Desk, tmp_path: Path) -> None:
        desk.opt_out()
        name = JournalFile(desk.path).header().name
        desk.store.journal = journal_at(tmp_path / "new-machine.journal")
        desk.replay(without=[name])
        require_up_to_date(desk.store, NOW)
        with desk.store.read() as session:
            assert name not in marks(session)
            details = session.scalars(
                select(AuditEvent.details).where(AuditEvent.action == "journal.replay")
            ).one()
        assert details["without"] == [name]

    def test_one_that_was_moved_away_beside_it_is_followed_by_a_new_one(self, desk: Desk) -> None:
        desk.opt_out()
        desk.path.rename(desk.path.with_name("opt-outs.journal.2026-11"))
        require_up_to_date(desk.store, NOW)
        desk.opt_out("ben@example.org")
        require_up_to_date(desk.store, NOW)

    def test_both_are_replayed(self, desk: Desk, backup: Backup) -> None:
        desk.opt_out()
        desk.path.rename(desk.path.with_name("opt-outs.journal.2026-11"))
        desk.opt_out("ben@example.org")
        backup.restore()
        assert desk.replay().journals == 2
        assert len(desk.blocks()) == 2

    def test_a_journal_of_another_key_is_refused(self, desk: Desk, tmp_path: Path) -> None:
        foreign = journal_at(
            tmp_path / "foreign.journal", Owner(AddressHasher(bytes(32)), "11" * 16)
        )
        foreign.append(["{}"])
        with pytest.raises(JournalError, match="a key that SENDER_HASH_KEY lacks"):
            desk.replay(foreign.path)

    def test_a_new_database_takes_what_a_lost_one_had(
        self, desk: Desk, backup: Backup, tmp_path: Path
    ) -> None:
        desk.opt_out()
        backup.restore()
        desk.store.journal = journal_at(tmp_path / "new.journal", Owner(OWNER.hasher, "11" * 16))
        assert desk.replay(desk.path).lacking.noes == 1
        assert len(desk.blocks()) == 1

    def test_a_journal_that_is_off_tells_nothing(self, desk: Desk) -> None:
        desk.store.journal = None
        require_up_to_date(desk.store, NOW)
        with pytest.raises(JournalError, match="is off"):
            desk.replay()

    def test_damaged_lines_are_told_and_hide_no_other(self, desk: Desk, backup: Backup) -> None:
        desk.opt_out("ann@example.org")
        with desk.path.open("ab") as file:
            file.write(b'{"is":"suppre')
        desk.opt_out("ben@example.org")
        backup.restore()
        done = desk.replay()
        assert (done.lacking.damaged, done.lacking.noes) == (1, 2)
        assert len(desk.blocks()) == 2
