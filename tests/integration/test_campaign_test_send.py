"""A test goes to a confirmed address on the controller's list, marked, and is no run of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from sender.campaigns.launch import prepare_launch, prepare_resume
from sender.campaigns.test_send import send_test
from sender.delivery.progress import Ending
from sender.errors import ProviderError, RefusedError, SettingsError
from sender.store.campaigns import Run
from sender.store.contacts import TestAddress
from sender.store.engine import Store
from sender.vocabulary import Channel, RunState
from tests.fakes.ses import SesFake, error_answer
from tests.fakes.twilio import TwilioFake
from tests.support.campaign_folder import CREDENTIALS, Office, open_office, written_to
from tests.support.factory import address_id_of, block, establish

TESTER = "tester@riverside.example.org"
NUMBER = "+447700900777"


@pytest.fixture
def ses() -> Iterator[SesFake]:
    with SesFake() as running:
        yield running


@pytest.fixture
def twilio() -> Iterator[TwilioFake]:
    with TwilioFake() as running:
        yield running


@pytest.fixture
def office(
    store: Store, tmp_path: Path, ses: SesFake, twilio: TwilioFake, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Office]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with open_office(store, tmp_path, ses=ses, twilio=twilio, people=3) as opened:
        yield opened


def put_on_list(
    office: Office,
    address: str = TESTER,
    *,
    channel: Channel = Channel.EMAIL,
    verified: bool = True,
    controller_id: int | None = None,
) -> int:
    now = office.context.clock.now()
    with office.store.write() as session:
        address_id = address_id_of(session, address, channel)
        session.add(
            TestAddress(
                controller_id=controller_id or office.organisation.id,
                address_id=address_id,
                address=address,
                code_hash=bytes(32),
                added_at=now,
                verified_at=now if verified else None,
            )
        )
        return address_id


def test_one_marked_message_goes_to_the_confirmed_address(office: Office, ses: SesFake) -> None:
    put_on_list(office)
    result = send_test(office.context, office.email(), TESTER, {"first_name": "Tess"})
    assert (result.accepted, result.ending) == (True, Ending.FINISHED)
    assert [one.message["to"] for one in ses.messages] == [[TESTER]]
    message = ses.messages[0].message
    assert message["subject"].startswith("[TEST]")
    assert "Dear Tess" in message["html"]
    assert "List-Unsubscribe" in message["headers"]


def test_a_text_message_is_marked_too(office: Office, twilio: TwilioFake) -> None:
    put_on_list(office, NUMBER, channel=Channel.SMS)
    assert send_test(office.context, office.sms(), NUMBER).accepted
    assert [one.message["To"] for one in twilio.messages] == [NUMBER]
    assert twilio.messages[0].message["Body"].startswith("[TEST]")


@pytest.mark.parametrize("dialect", ["sqlite"])
class TestRefusals:
    def test_an_address_that_is_not_listed(self, office: Office, ses: SesFake) -> None:
        with pytest.raises(RefusedError, match="is not on the test list of riverside") as caught:
            send_test(office.context, office.email(), office.addresses[Channel.EMAIL][0])
        assert "test-address add riverside" in caught.value.remedy
        assert ses.messages == []
        assert office.deliveries() == 0

    def test_an_address_that_was_not_confirmed(self, office: Office, ses: SesFake) -> None:
        put_on_list(office, verified=False)
        with pytest.raises(RefusedError, match="has not been confirmed of riverside") as caught:
            send_test(office.context, office.email(), TESTER)
        assert "test-address confirm riverside" in caught.value.remedy
        assert ses.messages == []

    def test_another_controller_s_list(self, office: Office, ses: SesFake) -> None:
        with office.store.write() as session:
            other = establish(session, "elsewhere")
        put_on_list(office, controller_id=other.id)
        with pytest.raises(RefusedError, match="is not on the test list"):
            send_test(office.context, office.email(), TESTER)
        assert ses.messages == []

    def test_an_address_whose_holder_opted_out(self, office: Office, ses: SesFake) -> None:
        address_id = put_on_list(office)
        with office.store.write() as session:
            block(session, address_id, controller=office.organisation.controller)
        result = send_test(office.context, office.email(), TESTER)
        assert (result.accepted, result.because) == (False, "suppressed")
        assert ses.messages == []

    def test_a_message_that_cannot_be_made(self, office: Office, ses: SesFake) -> None:
        put_on_list(office)
        office.write("letter.html", "<p>{{ recipient.first_name }}</p>")
        result = send_test(office.context, office.email(), TESTER)
        assert (result.accepted, result.because) == (False, "rendering")
        assert ses.messages == []

    def test_an_account_that_cannot_be_used(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put_on_list(office)
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(ProviderError, match="AWS_SECRET_ACCESS_KEY"):
            send_test(office.context, office.email(), TESTER)
        assert office.open_runs() == []
        assert office.deliveries() == 0

    def test_no_way_to_make_a_link(self, office: Office) -> None:
        put_on_list(office)
        settings = office.context.settings.model_copy(update={"public_url": None})
        object.__setattr__(office.context, "settings", settings)
        with pytest.raises(SettingsError, match="SENDER_PUBLIC_URL"):
            send_test(office.context, office.email(), TESTER)
        assert office.open_runs() == []

    def test_a_provider_that_stops_leaves_no_open_run(self, office: Office, ses: SesFake) -> None:
        put_on_list(office)
        definition = office.email()
        account, bulk = None, error_answer(400, "AccountSuspendedException", "Suspended.")
        ses.script.extend([account, bulk])
        result = send_test(office.context, definition, TESTER)
        assert (result.accepted, result.ending) == (False, Ending.STOPPED)
        assert "AccountSuspendedException" in result.because
        assert office.open_runs() == []


def test_a_test_is_no_run_of_the_campaign(office: Office, ses: SesFake) -> None:
    put_on_list(office, office.addresses[Channel.EMAIL][0])
    test = send_test(office.context, office.email(), office.addresses[Channel.EMAIL][0])
    launch = prepare_launch(office.context, office.email())
    assert (launch.continues, launch.plan.recipients) == (False, 3)
    launch.confirm()
    launch.dispatch()
    launch.close()
    assert written_to(ses)[office.addresses[Channel.EMAIL][0]] == 2  # the test and the campaign
    with office.store.read() as session:
        runs = session.scalars(select(Run).order_by(Run.id)).all()
        assert [(run.is_test, run.state) for run in runs] == [
            (True, RunState.FINISHED),
            (False, RunState.FINISHED),
        ]
        assert runs[0].id == test.run_id


def test_an_open_test_is_never_resumed_as_a_launch(office: Office, ses: SesFake) -> None:
    put_on_list(office)
    run_id = send_test(office.context, office.email(), TESTER).run_id
    with office.store.write() as session:
        session.get_one(Run, run_id).state = RunState.PAUSED  # as if its process had died
    with pytest.raises(RefusedError, match=f"Run {run_id} was a test; a test is not resumed"):
        prepare_resume(office.context, run_id)
    assert len(ses.messages) == 1
    with office.store.read() as session:
        assert len(session.scalars(select(Run)).all()) == 1
