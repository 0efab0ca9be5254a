"""Runs of a restored backup write to nobody twice, whatever happened after the backup."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from email.utils import format_datetime
from pathlib import Path

import pytest

from sender.campaigns.accounts import account_settings
from sender.campaigns.launch import prepare_launch
from sender.delivery.progress import Ending
from sender.delivery.runs import cancel
from sender.inbound.reconcile import Reconciled, reconcile
from sender.store.engine import Store
from sender.store.journal import JournalFile
from sender.vocabulary import Channel, DeliveryState, Reason
from tests.fakes.ses import SesFake
from tests.fakes.twilio import TwilioFake
from tests.support.backups import backup_of, journal_at
from tests.support.campaign_folder import CREDENTIALS, Office, open_office, written_to
from tests.support.factory import OPERATOR
from tests.support.journal_desk import keep_journal, replay

PEOPLE = 6


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
        store, tmp_path, ses=ses, twilio=twilio, people=PEOPLE, texters=PEOPLE
    ) as opened:
        keep_journal(opened)
        yield opened


def test_an_old_run_repeats_nobody_of_a_newer_one_that_is_lost(
    office: Office, ses: SesFake
) -> None:
    """After the backup the run was cancelled, and the campaign launched anew."""
    launch = prepare_launch(office.context, office.email())
    launch.confirm()
    launch.close()
    with backup_of(office.store) as backup:
        with office.store.write() as session:
            cancel(session, launch.run_id, now=office.context.clock.now(), operator=OPERATOR)
        assert office.launch(office.email())[1] is Ending.FINISHED
        backup.restore()
        replay(office)
    assert office.resume(launch.run_id) is Ending.FINISHED
    assert office.counts(launch.run_id).by_reason[Reason.ALREADY_SENT] == PEOPLE
    assert set(written_to(ses).values()) == {1}


def test_so_does_one_that_was_being_planned(office: Office, ses: SesFake) -> None:
    launch = prepare_launch(office.context, office.email())
    with backup_of(office.store) as backup:
        launch.close()
        assert office.launch(office.email())[1] is Ending.FINISHED
        backup.restore()
        replay(office)
    run_id, _ = office.launch(office.email())
    assert run_id == launch.run_id
    assert set(written_to(ses).values()) == {1}


def test_texts_that_only_the_provider_knows_of_are_not_sent_again(
    office: Office, twilio: TwilioFake
) -> None:
    """The journal went down with the machine; Twilio's list tells who was written to."""
    run_id = half_sent_and_restored(office, twilio)
    [asked] = [one for one in ask(office) if one.looked_at]
    assert asked.problems == []
    states = dict(office.counts(run_id).by_state)
    assert states == {DeliveryState.ACCEPTED: PEOPLE // 2, DeliveryState.PENDING: PEOPLE // 2}
    assert office.resume(run_id) is Ending.FINISHED
    assert texted(twilio) == dict.fromkeys(office.addresses[Channel.SMS], 1)


def test_where_two_runs_wait_for_a_person_who_was_written_to_neither_writes(
    office: Office, twilio: TwilioFake
) -> None:
    other = prepare(office, name="autumn")
    run_id = half_sent_and_restored(office, twilio)
    ask(office)
    for one in (run_id, other):
        assert dict(office.counts(one).by_state) == {
            DeliveryState.UNKNOWN: PEOPLE // 2,
            DeliveryState.PENDING: PEOPLE // 2,
        }
        assert office.resume(one) is Ending.FINISHED
    assert len(twilio.messages) == PEOPLE // 2 + 2 * (PEOPLE // 2)


def test_what_the_backup_knows_of_puts_nobody_in_doubt(office: Office, twilio: TwilioFake) -> None:
    office.launch(office.sms(name="winter"))
    date_record(twilio, office.context.clock.now())
    run_id = prepare(office, name="autumn")
    replay(office, without=[lose_journal(office)])
    ask(office)
    assert office.counts(run_id).pending == PEOPLE


def prepare(office: Office, **changed: str) -> int:
    """Launch texts without sending any: everybody is pending."""
    launch = prepare_launch(office.context, office.sms(**changed))
    launch.confirm()
    launch.close()
    return launch.run_id


def half_sent_and_restored(office: Office, twilio: TwilioFake) -> int:
    """Send half of a run after the backup; of that neither database nor journal is left."""
    run_id = prepare(office)
    with backup_of(office.store) as backup:
        office.resume(run_id)
        backup.restore()
    date_record(twilio, office.context.clock.now())
    del twilio.record[PEOPLE // 2 :], twilio.messages[PEOPLE // 2 :]
    replay(office, without=[lose_journal(office)])
    return run_id


def texted(twilio: TwilioFake) -> dict[str, int]:
    return Counter(one.message["To"] for one in twilio.messages)


def date_record(twilio: TwilioFake, at: datetime) -> None:
    for one in twilio.record:
        one.update(date_created=format_datetime(at), date_sent=format_datetime(at))
        one.update(date_updated=format_datetime(at))


def ask(office: Office) -> list[Reconciled]:
    return reconcile(office.context, lambda row: account_settings(row, office.context))


def lose_journal(office: Office) -> str:
    journal = office.store.journal
    assert journal is not None
    name = JournalFile(journal.path).header().name
    office.store.journal = journal_at(office.folder / "new.journal", journal.owner)
    return name
