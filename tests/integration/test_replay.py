"""What a restored backup lost comes back by a replay; nothing is widened, nothing twice."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from sender.consent.checking import check_history
from sender.consent.objection import Objection, record_objection
from sender.errors import RefusedError
from sender.store.audit import AuditEvent
from sender.store.consents import ConsentState, Purpose
from sender.store.contacts import Contact
from sender.store.engine import Store
from sender.store.journal_entries import Refused
from sender.store.journal_marks import JournalMark
from sender.store.suppressions import Block, SuppressionEvent
from sender.suppression.journal import require_up_to_date
from sender.suppression.ledger import BlockScope, release, suppress
from sender.vocabulary import (
    EVERY_CHANNEL,
    BlockCause,
    Channel,
    ConsentKind,
)
from tests.support.backups import Backup, backup_of
from tests.support.factory import (
    NOW,
    add_contact,
    add_controller,
    add_point,
    add_purpose,
    address_id_of,
    block,
    record_consent,
)
from tests.support.journal_desk import Desk, later


@pytest.fixture
def desk(store: Store, tmp_path: Path) -> Desk:
    return Desk(store, tmp_path / "opt-outs.journal")


@pytest.fixture
def backup(desk: Desk) -> Iterator[Backup]:
    with backup_of(desk.store) as taken:
        yield taken


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


def test_a_no_that_was_told_late_holds_although_an_older_one_was_lifted_since(
    desk: Desk, backup: Backup
) -> None:
    """A letter that lay about, a late complaint, an old system's list."""
    written_at = desk.opt_out()
    desk.opt_in()
    backup.take()
    with desk.store.write() as session:
        letter = desk.act(address_id_of(session, "ann@example.org"), written_at, source="letter")
        suppress(session, [letter], later())
    expected = desk.blocks()
    assert len(expected) == 1
    backup.restore()
    assert desk.replay().overtaken == 0
    assert desk.blocks() == expected
    assert desk.replay().lacking.noes == 0


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


def test_a_replay_that_breaks_off_goes_on_where_it_was(
    desk: Desk, backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(_lines: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sender.suppression.journal.LINES_AT_ONCE", 2)
    for number in range(6):
        desk.opt_out(f"person{number}@example.org")
    backup.restore()
    with pytest.raises(KeyboardInterrupt):
        desk.replay(progress=break_off)
    assert len(desk.blocks()) == 2
    assert desk.is_behind()
    assert desk.replay().lacking.noes == 4
    assert len(desk.blocks()) == 6


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
        hold: dict[str, Any] = {"cause": BlockCause.HOLD, "by_person": False}
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
        with pytest.raises(RefusedError, match=r"newtown\. Nothing was changed"):
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
