"""Runs from a restored backup wait for a record of what was sent; lost ones repeat nobody."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, event, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from sender.campaigns.launch import prepare_launch
from sender.campaigns.test_send import send_test
from sender.clock import SystemClock
from sender.delivery.last_look import Look, look_and_mark
from sender.delivery.outcomes import take_back
from sender.delivery.progress import Ending
from sender.delivery.recovery import start_dispatcher
from sender.delivery.replay_sent import SentAgain, write_down
from sender.delivery.restored import has_lost_runs
from sender.delivery.runs import get_run, move, pause
from sender.errors import RefusedError
from sender.store.campaigns import Dispatcher, Run, RunPart
from sender.store.controllers import ProviderAccount
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.store.inbound import Reconciliation
from sender.store.journal import JournalError, JournalFile
from sender.store.journal_entries import Sent, read_entry
from sender.store.journal_marks import LostRun
from sender.suppression.journal import require_whole
from sender.vocabulary import Channel, DeliveryState, ProviderName, Reason, RunState
from tests.fakes.ses import SesFake
from tests.fakes.twilio import TwilioFake
from tests.support.backups import backup_of, journal_at
from tests.support.campaign_folder import (
    CREDENTIALS,
    Office,
    on_bulk_call,
    open_office,
    written_to,
)
from tests.support.factory import OPERATOR, address_id_of, block
from tests.support.journal_desk import keep_journal, replay

PEOPLE = 70
BATCH = 50
STRANGER = "stranger@example.org"


@pytest.fixture
def office(
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ses: SesFake,
    twilio: TwilioFake,
) -> Iterator[Office]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with open_office(
        store, tmp_path, ses=ses, twilio=twilio, people=PEOPLE, texters=3, clock=Unhurried()
    ) as opened:
        keep_journal(opened)
        opened.one_call_at_a_time()
        yield opened


class Unhurried(SystemClock):
    """A second of deadlines lasts a minute: no batch is given back because the machine is busy."""

    def monotonic(self) -> float:
        return super().monotonic() / 60


def send_one_batch(office: Office, ses: SesFake) -> int:
    """Launch an e-mail campaign, and pause it at its first call."""
    on_bulk_call(ses, 1, partial(pause_all, office))
    run_id, ending = office.launch(office.email())
    assert ending is Ending.PAUSED
    return run_id


def pause_all(office: Office) -> None:
    now = office.context.clock.now()
    with office.store.write() as session:
        for run_id in session.scalars(select(Run.id).where(Run.state == RunState.RUNNING)):
            pause(session, run_id, now=now, operator=OPERATOR)


def states(office: Office, run_id: int) -> dict[DeliveryState, int]:
    return dict(office.counts(run_id).by_state)


def prepare(office: Office) -> int:
    """Launch without sending anything: the run is ready, everybody pending."""
    launch = prepare_launch(office.context, office.email())
    launch.confirm()
    launch.close()
    return launch.run_id


def test_a_batch_is_in_the_journal_before_the_provider_is_called(
    office: Office, ses: SesFake
) -> None:
    seen: list[int] = []

    def look() -> None:
        file = JournalFile(office.folder / "opt-outs.journal")
        entries = [read_entry(line) for _, line in file.lines(0)]
        seen.append(sum(len(one.messages) for one in entries if isinstance(one, Sent)))

    on_bulk_call(ses, 1, look)
    office.launch(office.email())
    assert seen == [BATCH]
    require_whole(office.store)


def test_what_was_sent_after_the_backup_is_unknown_and_not_sent_again(
    office: Office, ses: SesFake
) -> None:
    run_id = prepare(office)
    with backup_of(office.store) as backup:
        on_bulk_call(ses, 1, partial(pause_all, office))
        assert office.resume(run_id) is Ending.PAUSED
        backup.restore()
        with pytest.raises(RefusedError, match=f"{BATCH} sent messages"):
            office.resume(run_id)
        done = replay(office)
    assert (done.sent.unknown, done.held_runs) == (BATCH, [run_id])
    run = office.run(run_id)
    assert (run.state, run.stopped_because) == (RunState.PAUSED, "restored from a backup")
    assert states(office, run_id) == {DeliveryState.UNKNOWN: BATCH, DeliveryState.PENDING: 20}
    assert office.resume(run_id) is Ending.FINISHED
    assert set(written_to(ses).values()) == {1}
    assert len(written_to(ses)) == PEOPLE


def test_a_replay_that_is_done_twice_leaves_the_runs_alone(office: Office, ses: SesFake) -> None:
    run_id = prepare(office)
    with backup_of(office.store) as backup:
        on_bulk_call(ses, 1, partial(pause_all, office))
        office.resume(run_id)
        backup.restore()
        replay(office)
    restored_at = office.run(run_id).restored_at
    assert replay(office).held_runs == []
    assert office.run(run_id).restored_at == restored_at


def test_no_way_of_sending_is_left_open(office: Office, ses: SesFake) -> None:
    definition = office.email()
    ready = prepare_launch(office.context, definition)
    ready.confirm()
    with backup_of(office.store) as backup:
        with office.store.write() as session:
            block(session, address_id_of(session, STRANGER))
        backup.restore()
        for attempt in (
            ready.dispatch,
            lambda: office.resume(ready.run_id),
            lambda: office.launch(definition),
            lambda: send_test(office.context, definition, "olive@example.org"),
        ):
            with pytest.raises(RefusedError, match="behind its journal"):
                attempt()
    ready.close()
    assert ses.messages == []


def test_a_text_run_waits_for_the_provider_s_record(office: Office, twilio: TwilioFake) -> None:
    launch = prepare_launch(office.context, office.sms())
    launch.confirm()
    launch.close()
    with backup_of(office.store) as backup:
        with office.store.write() as session:
            block(session, address_id_of(session, STRANGER))
        backup.restore()
        replay(office)
    reconcile(office, finished=False)
    with pytest.raises(RefusedError, match="provider's record") as refused:
        office.resume(launch.run_id)
    assert refused.value.remedy == "Run: sender reconcile"
    with pytest.raises(RefusedError, match="provider's record"):
        office.launch(office.sms())
    reconcile(office, finished=True)
    assert office.resume(launch.run_id) is Ending.FINISHED
    assert len(twilio.messages) == 3


def reconcile(office: Office, *, finished: bool) -> None:
    now = office.context.clock.now()
    with office.store.write() as session:
        account = session.scalars(
            select(ProviderAccount).where(ProviderAccount.provider == ProviderName.TWILIO)
        ).one()
        session.add(
            Reconciliation(
                account_id=account.id,
                started_at=now,
                finished_at=now if finished else None,
                found={},
            )
        )


def test_a_lost_campaign_leaves_out_whom_it_wrote_to(office: Office, ses: SesFake) -> None:
    with backup_of(office.store) as backup:
        send_one_batch(office, ses)
        backup.restore()
        done = replay(office)
    assert list(done.sent.lost.values()) == [BATCH]
    with office.store.read() as session:
        lost = session.scalars(select(LostRun)).one()
        assert (lost.campaign_name, lost.messages) == ("spring", BATCH)
    run_id, ending = office.launch(office.email())
    assert ending is Ending.FINISHED
    assert office.counts(run_id).by_reason[Reason.ALREADY_SENT] == BATCH
    assert set(written_to(ses).values()) == {1}
    assert len(written_to(ses)) == PEOPLE


def test_another_campaign_leaves_nobody_out(office: Office, ses: SesFake) -> None:
    with backup_of(office.store) as backup:
        send_one_batch(office, ses)
        backup.restore()
        replay(office)
    run_id, _ = office.launch(office.email(name="autumn"))
    assert office.counts(run_id).handed_over == PEOPLE


def test_people_who_were_planned_after_the_backup(office: Office, ses: SesFake) -> None:
    """The run was still being planned in the backup: its people come back under their numbers."""
    with office.store.write() as session:  # so that the first number is nobody's message
        block(session, address_id_of(session, office.addresses[Channel.EMAIL][0]))
    launch = prepare_launch(office.context, office.email())
    with backup_of(office.store) as backup:
        on_bulk_call(ses, 1, partial(pause_all, office))
        launch.confirm()
        launch.dispatch()
        sent = {one.delivery_id for one in ses.messages}
        backup.restore()
        assert office.counts(launch.run_id).planned == 0
        replay(office)
    launch.close()
    assert states(office, launch.run_id) == {DeliveryState.UNKNOWN: BATCH}
    with office.store.read() as session:
        assert set(session.scalars(select(Delivery.id))) == sent
    run_id, ending = office.launch(office.email())
    assert (run_id, ending) == (launch.run_id, Ending.FINISHED)
    assert office.counts(run_id).planned == PEOPLE
    assert set(written_to(ses).values()) == {1}
    assert len(written_to(ses)) == PEOPLE - 1


def test_a_message_that_was_given_back_is_no_sign_of_a_restore(
    office: Office, ses: SesFake
) -> None:
    first = min(delivery_ids(office, prepare(office)))
    ses.entry_failures[first] = ("TRANSIENT_FAILURE", "try later")
    on_bulk_call(ses, 2, partial(pause_all, office))
    run_id = office.run(1).id
    office.resume(run_id)
    with office.store.read() as session:
        assert session.get_one(Delivery, first).state is DeliveryState.PENDING
    require_whole(office.store)


def delivery_ids(office: Office, run_id: int) -> list[int]:
    with office.store.read() as session:
        return list(session.scalars(select(Delivery.id).where(Delivery.run_id == run_id)))


def test_a_run_that_is_being_sent_must_be_stopped_first(office: Office) -> None:
    run_id = prepare(office)
    now = office.context.clock.now()
    with office.store.write() as session:
        run = session.get_one(Run, run_id)
        move(session, run, RunState.RUNNING, now=now, operator=OPERATOR)
        session.add(
            Dispatcher(
                run_id=run_id, host="elsewhere", process_id=1, started_at=now, heartbeat_at=now
            )
        )
    with backup_of(office.store) as backup:
        with office.store.write() as session:
            block(session, address_id_of(session, STRANGER))
        backup.restore()
        with pytest.raises(RefusedError, match="process 1 on elsewhere"):
            replay(office)
        with office.store.write() as session:
            session.execute(update(Dispatcher).values(ended_at=now))
        assert replay(office).held_runs == [run_id]


class TestWithoutTheJournal:
    """The old file is gone, so nothing tells who was written to since."""

    def test_whoever_may_have_been_written_to_is_unknown(self, office: Office) -> None:
        run_id = prepare(office)
        name = self._lose_journal(office)
        with pytest.raises(RefusedError, match=name):
            office.resume(run_id)
        assert replay(office, without=[name]).held_runs == [run_id]
        assert states(office, run_id) == {DeliveryState.UNKNOWN: PEOPLE}

    def test_unless_somebody_vouches_that_nobody_was(self, office: Office, ses: SesFake) -> None:
        run_id = prepare(office)
        name = self._lose_journal(office)
        replay(office, without=[name], nobody_was_sent=True)
        assert office.resume(run_id) is Ending.FINISHED
        assert len(written_to(ses)) == PEOPLE

    def test_a_run_that_was_being_planned_is_cancelled(self, office: Office) -> None:
        launch = prepare_launch(office.context, office.email())
        launch.provider.close()
        name = self._lose_journal(office)
        replay(office, without=[name])
        assert office.run(launch.run_id).state is RunState.CANCELLED

    def _lose_journal(self, office: Office) -> str:
        with office.store.write() as session:
            block(session, address_id_of(session, STRANGER))
        journal = office.store.journal
        assert journal is not None
        office.store.journal = journal_at(office.folder / "new.journal", journal.owner)
        return JournalFile(journal.path).header().name


def test_a_batch_that_cannot_be_journaled_is_not_sent(
    office: Office, ses: SesFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = prepare(office)
    journal = office.store.journal
    assert journal is not None
    launch = prepare_launch(office.context, office.email())
    monkeypatch.setattr(journal, "path", office.folder / "nowhere" / "opt-outs.journal")
    with pytest.raises(JournalError):
        launch.dispatch()
    launch.close()
    assert ses.messages == []
    assert states(office, run_id) == {DeliveryState.PENDING: PEOPLE}
    assert office.run(run_id).state is RunState.PAUSED
    monkeypatch.undo()
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    assert office.resume(run_id) is Ending.FINISHED
    assert len(written_to(ses)) == PEOPLE


def test_a_lost_test_keeps_nobody_from_the_campaign(office: Office) -> None:
    now = office.context.clock.now()
    entry = Sent(
        "ab" * 16, "riverside", "spring", Channel.EMAIL, True, now, ((1, bytes(32)),)
    )  # a test
    sent = SentAgain()
    with office.store.write() as session:
        write_down(session, entry, sent, now)
        assert not has_lost_runs(session, office.organisation.id, "spring")
    assert (sent.unknown, sent.lost) == (0, {})


def test_a_dispatcher_from_before_the_restore_has_no_say(office: Office, ses: SesFake) -> None:
    """It goes on in a database that does not know it, which its operator forgot to stop."""
    launch = prepare_launch(office.context, office.email())
    launch.confirm()

    def forget() -> None:
        with office.store.write() as session:
            session.execute(update(Delivery).values(dispatcher_id=None))
            session.execute(update(RunPart).values(dispatcher_id=None))
            session.execute(delete(Dispatcher))

    on_bulk_call(ses, 1, forget)
    assert launch.dispatch() is Ending.INTERRUPTED
    launch.close()
    assert len(ses.messages) == BATCH


def cut_off() -> OperationalError:
    return OperationalError("COMMIT", {}, ConnectionError())


def _once(raised: Exception) -> Callable[..., None]:
    """Return what raises at its first call alone."""
    left = [raised]

    def call(*_: object, **__: object) -> None:
        if left:
            raise left.pop()

    return call


def test_a_batch_whose_journal_the_database_does_not_know_is_not_sent(
    office: Office, ses: SesFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = prepare(office)
    launch = prepare_launch(office.context, office.email())
    monkeypatch.setattr(office.store, "_introduced", None)
    monkeypatch.setattr("sender.store.engine.introduce", _once(cut_off()))
    with pytest.raises(JournalError, match="told of its journal"):
        launch.dispatch()
    launch.close()
    assert ses.messages == []
    assert states(office, run_id) == {DeliveryState.PENDING: PEOPLE}
    assert office.resume(run_id) is Ending.FINISHED
    assert len(written_to(ses)) == PEOPLE


def test_a_mark_whose_commit_was_not_answered_is_taken_back(
    office: Office, ses: SesFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = prepare(office)
    launch = prepare_launch(office.context, office.email())
    fail, marked = _once(cut_off()), []

    def look(session: Session, **named: Any) -> Look:
        marked.append(look_and_mark(session, **named))
        return marked[-1]

    def after_commit(_session: Session) -> None:
        if marked:
            fail()

    monkeypatch.setattr("sender.delivery.batch.look_and_mark", look)
    event.listen(Session, "after_commit", after_commit)
    try:
        with pytest.raises(OperationalError):
            launch.dispatch()
    finally:
        event.remove(Session, "after_commit", after_commit)
    launch.close()
    assert ses.messages == []
    assert states(office, run_id) == {DeliveryState.PENDING: PEOPLE}
    assert office.resume(run_id) is Ending.FINISHED
    assert len(written_to(ses)) == PEOPLE


def test_only_that_very_mark_is_taken_back(office: Office) -> None:
    run_id = prepare(office)
    with office.store.write() as session:
        run, now = get_run(session, run_id), office.context.clock.now()
        dispatcher_id = start_dispatcher(session, run_id, now)
        ids = list(session.scalars(select(Delivery.id).where(Delivery.run_id == run_id)))
        session.execute(
            update(Delivery).values(
                state=DeliveryState.DISPATCHING, dispatcher_id=dispatcher_id, dispatched_at=now
            )
        )
        other = now - timedelta(microseconds=1)
        take_back(session, run, dispatcher_id, ids, marked_at=other, now=now)
    assert states(office, run_id) == {DeliveryState.DISPATCHING: PEOPLE}
    with office.store.write() as session:
        take_back(session, run, dispatcher_id, ids[:1], marked_at=now, now=now)
    assert states(office, run_id) == {
        DeliveryState.DISPATCHING: PEOPLE - 1, DeliveryState.PENDING: 1,
    }  # fmt: skip
