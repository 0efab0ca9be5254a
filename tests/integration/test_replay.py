"""A restored backup is noticed, refuses to send, and gets back what it lost; nothing is widened."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlalchemy import func, select

from sender.clock import SystemClock
from sender.consent.checking import check_history
from sender.consent.objection import Objection, record_objection
from sender.delivery.replay import Replay, Replayed
from sender.errors import RefusedError
from sender.store.audit import AuditEvent
from sender.store.consents import ConsentState, Purpose
from sender.store.contacts import Contact
from sender.store.engine import Store
from sender.store.journal import JournalError, JournalFile, Owner
from sender.store.journal_entries import Refused, Suppressed, read_entry
from sender.store.journal_marks import JournalMark, marks
from sender.store.suppressions import Block, SuppressionEvent
from sender.suppression.journal import remember, require_up_to_date, require_whole
from sender.suppression.ledger import BlockScope, Suppression, release, suppress
from sender.vocabulary import (
    EVERY_CHANNEL,
    BlockCause,
    Channel,
    ConsentKind,
    SuppressionAct,
)
from tests.support.backups import OWNER, Backup, backup_of, journal_at
from tests.support.factory import (
    HASHER,
    NOW,
    Organisation,
    add_contact,
    add_controller,
    add_point,
    add_purpose,
    address_id_of,
    block,
    establish,
    record_consent,
)

_minutes = count(1)


class Desk:
    """One organisation whose database has a journal and a backup."""

    def __init__(self, store: Store, path: Path) -> None:
        self.store = store
        self.path = path
        self.clock = SystemClock()
        with store.write() as session:
            self.organisation: Organisation = establish(session, "riverside")
        store.journal = journal_at(path)

    @property
    def entries(self) -> list[object]:
        return [read_entry(line) for _, line in JournalFile(self.path).lines(0)]

    def act(self, address_id: int, at: datetime, **changed: object) -> Suppression:
        values: dict[str, object] = {
            "scope": BlockScope(address_id, self.organisation.id, "email"),
            "cause": BlockCause.OPT_OUT,
            "occurred_at": at,
            "source": "one-click",
            "by_person": True,
            "operator": "page",
        }
        return Suppression(**{**values, **changed})  # type: ignore[arg-type]  # as they are named

    def opt_out(self, address: str = "ann@example.org", **changed: object) -> datetime:
        at = later()
        with self.store.write() as session:
            suppress(session, [self.act(address_id_of(session, address), at, **changed)], at)
        return at

    def opt_in(self, address: str = "ann@example.org", **changed: object) -> None:
        at = later()
        with self.store.write() as session:
            release(session, self.act(address_id_of(session, address), at, **changed), at)

    def replay(self, *files: Path, dry_run: bool = False, **options: object) -> Replayed:
        replay = Replay(
            self.store,
            self.clock,
            "olive",
            OWNER.key,
            files=files,
            **options,  # type: ignore[arg-type]  # as they are named
        )
        return replay.run(dry_run=dry_run)

    def blocks(self) -> set[tuple[object, ...]]:
        with self.store.read() as session:
            return {
                (row.address_id, row.controller_id, row.channel, row.purpose_id, row.cause)
                for row in session.scalars(select(Block))
            }

    def is_behind(self) -> bool:
        try:
            require_whole(self.store)
        except RefusedError as error:
            assert "behind its journal" in error.problem
            return True
        return False


def later() -> datetime:
    return NOW + timedelta(minutes=next(_minutes))


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


def test_what_is_rolled_back_leaves_no_line(desk: Desk) -> None:
    with pytest.raises(RuntimeError), desk.store.write() as session:
        block(session, address_id_of(session))
        raise RuntimeError
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


def test_a_restored_backup_is_behind_until_it_is_replayed(desk: Desk, backup: Backup) -> None:
    desk.opt_out("ann@example.org")
    expected = desk.blocks()
    backup.restore()
    assert desk.blocks() == set()
    with pytest.raises(RefusedError, match=r"lacks 1 opt-outs.*older backup"):
        require_up_to_date(desk.store, NOW)
    done = desk.replay()
    assert (done.lacking.noes, done.overtaken) == (1, 0)
    assert desk.blocks() == expected
    require_up_to_date(desk.store, NOW)
    with desk.store.read() as session:
        event = session.scalars(select(SuppressionEvent)).one()
        assert (event.source, event.operator) == ("replay:one-click", "olive")


def test_it_is_behind_although_the_numbers_came_again(desk: Desk, backup: Backup) -> None:
    desk.opt_out("ann@example.org")
    backup.restore()
    desk.opt_out("ben@example.org")  # is event 1 again
    assert desk.is_behind()
    desk.replay()
    assert len(desk.blocks()) == 2


def test_an_opt_out_on_a_restored_database_is_taken_before_the_replay(
    desk: Desk, backup: Backup
) -> None:
    desk.opt_out("ann@example.org")
    backup.restore()
    desk.opt_out("ann@example.org")
    done = desk.replay()
    assert (done.lacking.noes, done.overtaken) == (1, 1)  # the newer no stands for both
    assert len(desk.blocks()) == 1


def test_a_dry_run_changes_nothing(desk: Desk, backup: Backup) -> None:
    desk.opt_out()
    backup.restore()
    assert desk.replay(dry_run=True).lacking.noes == 1
    assert desk.blocks() == set()
    assert desk.is_behind()


def test_a_second_replay_changes_nothing_more(desk: Desk, backup: Backup) -> None:
    desk.opt_out()
    backup.restore()
    desk.replay()
    again = desk.replay()
    assert not again.lacking.is_behind
    with desk.store.read() as session:
        assert session.scalar(select(func.count()).select_from(SuppressionEvent)) == 1


def test_a_replay_whose_marks_were_lost_changes_nothing_more(desk: Desk, backup: Backup) -> None:
    desk.opt_out()
    backup.restore()
    desk.replay()
    with desk.store.write() as session:
        session.query(JournalMark).delete()
    done = desk.replay()
    assert (done.lacking.noes, done.overtaken) == (1, 1)
    with desk.store.read() as session:
        assert session.scalar(select(func.count()).select_from(SuppressionEvent)) == 1


def test_the_same_backup_restored_twice(desk: Desk, backup: Backup) -> None:
    desk.opt_out("ann@example.org")
    backup.restore()
    desk.replay()
    desk.opt_out("ben@example.org")
    expected = desk.blocks()
    backup.restore()
    assert desk.is_behind()
    desk.replay()
    assert len(desk.blocks()) == len(expected) == 2
    assert not desk.is_behind()


def test_the_history_holds_after_a_replay(desk: Desk, backup: Backup) -> None:
    desk.opt_out()
    desk.opt_in()
    desk.opt_out("ben@example.org", cause=BlockCause.BOUNCE, by_person=False)
    backup.restore()
    desk.replay()
    with desk.store.read() as session:
        assert check_history(session, lambda _table: None).faults == ()
        actions = session.scalars(select(AuditEvent.action)).all()
    assert "journal.replay" in actions


class TestReleases:
    def test_a_person_s_release_comes_back(self, desk: Desk, backup: Backup) -> None:
        desk.opt_out()
        desk.opt_in()
        backup.restore()
        done = desk.replay()
        assert (done.lacking.noes, done.lacking.releases) == (1, 1)
        assert desk.blocks() == set()

    def test_a_release_of_a_block_that_the_backup_has(self, desk: Desk) -> None:
        desk.opt_out()
        with backup_of(desk.store) as backup:
            desk.opt_in()
            backup.restore()
            assert len(desk.blocks()) == 1
            desk.replay()
        assert desk.blocks() == set()

    def test_a_release_lifts_no_newer_no(self, desk: Desk) -> None:
        desk.opt_out()
        with backup_of(desk.store) as backup:
            desk.opt_in()
            backup.restore()
            desk.opt_out()
            desk.replay()
        assert len(desk.blocks()) == 1

    def test_a_lost_no_undoes_no_newer_yes(self, desk: Desk, backup: Backup) -> None:
        desk.opt_out()
        backup.restore()
        desk.opt_in()
        done = desk.replay()
        assert (done.lacking.noes, done.overtaken) == (1, 1)
        assert desk.blocks() == set()

    def test_an_operator_s_release_without_its_evidence_is_left_out(self, desk: Desk) -> None:
        hold = {"cause": BlockCause.HOLD, "by_person": False}
        desk.opt_out(**hold)
        with backup_of(desk.store) as backup:
            desk.opt_in(**hold, personal={"evidence": "the reply was no opt-out"})
            assert desk.blocks() == set()
            backup.restore()
            assert desk.replay().releases_left_out == 1
        assert len(desk.blocks()) == 1


class TestObjections:
    def test_it_marks_the_contact_and_blocks_every_address_again(
        self, desk: Desk, store: Store
    ) -> None:
        with store.write() as session:
            contact = add_contact(session, desk.organisation.controller)
            points = [
                add_point(session, contact),
                add_point(session, contact, channel=Channel.SMS),
            ]
            for point in points:
                record_consent(session, desk.organisation, point.address_id)
        with backup_of(store) as backup:
            self._object(desk, points[0].address_id)
            expected = desk.blocks()
            backup.restore()
            desk.replay()
        assert desk.blocks() == expected
        with store.read() as session:
            assert session.get_one(Contact, contact.id).objected_at == NOW
            statuses = set(session.scalars(select(ConsentState.status)))
        assert statuses == {ConsentKind.OBJECTED}

    def test_one_that_was_undone_marks_nobody(self, desk: Desk, store: Store) -> None:
        with store.write() as session:
            contact = add_contact(session, desk.organisation.controller)
            point = add_point(session, contact)
        with backup_of(store) as backup:
            self._object(desk, point.address_id)
            with store.write() as session:
                scope = BlockScope(point.address_id, desk.organisation.id)
                act = desk.act(point.address_id, later(), scope=scope, cause=BlockCause.OBJECTION)
                release(session, act, later())
            backup.restore()
            desk.replay()
        assert desk.blocks() == set()
        with store.read() as session:
            assert session.get_one(Contact, contact.id).objected_at is None

    def _object(self, desk: Desk, address_id: int) -> None:
        with desk.store.write() as session:
            record_objection(
                session,
                Objection(
                    controller_id=desk.organisation.id,
                    address_id=address_id,
                    occurred_at=NOW,
                    source="page",
                    operator="page",
                ),
                NOW,
            )


class TestWithdrawals:
    @pytest.mark.parametrize("kind", [ConsentKind.WITHDRAWN, ConsentKind.REFUSED])
    def test_a_no_to_one_purpose_comes_back(
        self, desk: Desk, store: Store, kind: ConsentKind
    ) -> None:
        with store.write() as session:
            address_id = address_id_of(session, "ann@example.org")
            record_consent(session, desk.organisation, address_id)
        with backup_of(store) as backup:
            with store.write() as session:
                record_consent(session, desk.organisation, address_id, kind=kind, occurred_at=NOW)
            assert isinstance(desk.entries[-1], Refused)
            backup.restore()
            assert desk.is_behind()
            desk.replay()
        with store.read() as session:
            assert session.scalars(select(ConsentState.status)).one() is kind
        assert not desk.is_behind()

    def test_a_yes_is_in_no_journal(self, desk: Desk, store: Store) -> None:
        with store.write() as session:
            record_consent(session, desk.organisation, address_id_of(session))
        assert not desk.path.exists()


class TestWhatTheBackupLacks:
    def test_an_address_and_a_purpose_are_made_again(self, desk: Desk, backup: Backup) -> None:
        with desk.store.write() as session:
            purpose = add_purpose(session, desk.organisation.controller, "fundraising")
            block(
                session,
                address_id_of(session, "new@example.org"),
                controller=desk.organisation.controller,
                purpose=purpose,
            )
        backup.restore()
        desk.replay()
        with desk.store.read() as session:
            purpose_id = session.scalars(
                select(Purpose.id).where(Purpose.slug == "fundraising")
            ).one()
            blocked = session.scalars(select(Block)).one()
            known = address_id_of(session, "new@example.org")
        assert (blocked.address_id, blocked.purpose_id) == (known, purpose_id)

    def test_a_controller_must_be_added_again_first(self, desk: Desk, backup: Backup) -> None:
        self._opt_out_from_new_controller(desk)
        desk.opt_out("ann@example.org")
        backup.restore()
        with pytest.raises(RefusedError, match="newtown. Nothing was changed"):
            desk.replay()
        assert desk.blocks() == set()
        with desk.store.write() as session:
            add_controller(session, "newtown")
        desk.replay()
        assert len(desk.blocks()) == 2
        assert not desk.is_behind()

    def test_or_its_opt_outs_hold_everywhere(self, desk: Desk, backup: Backup) -> None:
        self._opt_out_from_new_controller(desk)
        backup.restore()
        desk.replay(block_everywhere=True)
        ((_, controller_id, channel, _, _),) = desk.blocks()
        assert (controller_id, channel) == (0, EVERY_CHANNEL)
        assert not desk.is_behind()

    def test_a_release_from_a_lost_controller_lifts_no_block_of_all(
        self, desk: Desk, store: Store
    ) -> None:
        with store.write() as session:
            ann = address_id_of(session, "ann@example.org")
            block(session, ann)  # at all controllers
        with backup_of(store) as backup:
            with store.write() as session:
                other = add_controller(session, "newtown")
                scope = BlockScope(ann, other.id)
                release(session, desk.act(ann, later(), scope=scope), later())
            backup.restore()
            assert desk.replay(block_everywhere=True).releases_left_out == 1
        assert len(desk.blocks()) == 1

    def _opt_out_from_new_controller(self, desk: Desk) -> None:
        with desk.store.write() as session:
            other = add_controller(session, "newtown")
            block(session, address_id_of(session, "ben@example.org"), controller=other)


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
        foreign = journal_at(tmp_path / "foreign.journal", Owner("00" * 16, "11" * 16))
        foreign.append(["{}"])
        with pytest.raises(JournalError, match="another SENDER_HASH_KEY"):
            desk.replay(foreign.path)

    def test_a_new_database_takes_what_a_lost_one_had(
        self, desk: Desk, backup: Backup, tmp_path: Path
    ) -> None:
        desk.opt_out()
        backup.restore()
        desk.store.journal = journal_at(tmp_path / "new.journal", Owner(OWNER.key, "11" * 16))
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


PEOPLE = ("ann@example.org", "ben@example.org")
PERSONS = (BlockCause.OPT_OUT, BlockCause.COMPLAINT)
OPERATORS = (BlockCause.BOUNCE, BlockCause.HOLD)
Key = tuple[str, BlockCause, str]


@st.composite
def _acts(draw: st.DrawFn) -> tuple[str, Key | None]:
    what = draw(
        st.sampled_from(["set", "set", "set", "release", "release", "backup", "restore", "replay"])
    )
    if what not in {"set", "release"}:
        return what, None
    person, cause = draw(st.sampled_from(PEOPLE)), draw(st.sampled_from((*PERSONS, *OPERATORS)))
    return what, (person, cause, draw(st.sampled_from(["email", "*"])))


@pytest.fixture
def pristine(desk: Desk) -> Iterator[Backup]:
    with backup_of(desk.store) as taken:
        yield taken


@given(acts=st.lists(_acts(), max_size=25))
@examples(max_examples=20)
def test_whatever_was_acknowledged_and_not_taken_back_is_blocked_in_the_end(
    desk: Desk, backup: Backup, pristine: Backup, acts: list[tuple[str, Key | None]]
) -> None:
    """Any order of noes, releases, backups, restores and replays."""
    pristine.restore()
    backup.take()
    desk.path.unlink(missing_ok=True)
    assert desk.store.journal is not None
    desk.store.journal = journal_at(desk.path)
    expected: set[Key] = set()
    set_ever: set[Key] = set()
    for what, key in acts:
        if key is not None:
            (expected.add if what == "set" else expected.discard)(key)
            set_ever |= {key} if what == "set" else set()
            _do(desk, what, key)
        elif what == "replay":
            desk.replay()
        else:
            backup.take() if what == "backup" else backup.restore()
    if desk.is_behind():
        desk.replay()
    found = _blocks(desk)
    assert expected <= found <= set_ever
    assert {key for key in found if key[1] in PERSONS} == {
        key for key in expected if key[1] in PERSONS
    }


def _do(desk: Desk, what: str, key: Key) -> None:
    person, cause, channel = key
    at = later()
    by_person = cause in PERSONS
    with desk.store.write() as session:
        address_id = address_id_of(session, person)
        scope = BlockScope(address_id, desk.organisation.id, channel)
        personal = None if by_person else {"evidence": "it works again"}
        act = desk.act(
            address_id, at, scope=scope, cause=cause, by_person=by_person, personal=personal
        )
        if what == "set":
            suppress(session, [act], at)
        else:
            release(session, act, at)


def _blocks(desk: Desk) -> set[Key]:
    with desk.store.write() as session:
        names = {address_id_of(session, person): person for person in PEOPLE}
        rows = session.scalars(select(Block)).all()
    return {(names[row.address_id], row.cause, row.channel) for row in rows}
