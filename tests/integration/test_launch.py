"""Launch end to end: a campaign file, a real database, the real SDKs, and the fakes' own counts."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from sender.campaigns.launch import prepare_launch
from sender.delivery.progress import Ending
from sender.store.engine import Store
from sender.store.inbound import InboundNotification
from sender.vocabulary import Channel, DeliveryState, Reason, RunState
from tests.fakes.ses import SesFake
from tests.fakes.twilio import TwilioFake
from tests.support.campaign_folder import CREDENTIALS, Office, carry_out, open_office
from tests.support.factory import NOW, add_notification, block


@pytest.fixture
def office(
    store: Store, tmp_path: Path, ses: SesFake, twilio: TwilioFake, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Office]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with open_office(store, tmp_path, ses=ses, twilio=twilio, people=130, texters=70) as opened:
        yield opened


def refuse_some(office: Office, channel: Channel) -> None:
    """Block ten of the people."""
    with office.store.write() as session:
        for address in office.addresses[channel][:10]:
            block(session, office.ids[address], controller=office.organisation.controller)


def test_ses_took_what_the_plan_promised_and_the_ledger_says(office: Office, ses: SesFake) -> None:
    refuse_some(office, Channel.EMAIL)
    launch = prepare_launch(office.context, office.email())
    plan = launch.plan
    assert (plan.recipients, plan.refused) == (120, {Reason.SUPPRESSED: 10})
    assert ses.messages == []
    assert carry_out(launch) == (launch.run_id, Ending.FINISHED)
    counts = office.counts(launch.run_id)
    assert counts.by_state == {DeliveryState.ACCEPTED: 120, DeliveryState.SKIPPED: 10}
    assert counts.by_reason == plan.refused
    sent_to = Counter(address for one in ses.messages for address in one.message["to"])
    assert sent_to == Counter(office.addresses[Channel.EMAIL][10:])
    assert office.run(launch.run_id).state is RunState.FINISHED


def test_twilio_took_what_the_plan_promised_and_the_ledger_says(
    office: Office, twilio: TwilioFake
) -> None:
    refuse_some(office, Channel.SMS)
    launch = prepare_launch(office.context, office.sms())
    plan = launch.plan
    assert (plan.recipients, plan.refused) == (60, {Reason.SUPPRESSED: 10})
    assert plan.size.segments == 60
    assert carry_out(launch)[1] is Ending.FINISHED
    assert office.counts(launch.run_id).by_state == {
        DeliveryState.ACCEPTED: 60,
        DeliveryState.SKIPPED: 10,
    }
    sent_to = Counter(one.message["To"] for one in twilio.messages)
    assert sent_to == Counter(office.addresses[Channel.SMS][10:])
    assert all("STOP" in one.message["Body"] for one in twilio.messages)


def test_what_providers_told_long_ago_is_emptied(office: Office) -> None:
    with office.store.write() as session:
        row = add_notification(session, payload={"eventType": "Bounce"}, erase_after=NOW)
    office.launch(office.email())
    with office.store.read() as session:
        kept = session.get_one(InboundNotification, row.id)
        assert (kept.name, kept.payload) == (row.name, None)
