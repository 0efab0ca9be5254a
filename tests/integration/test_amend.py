"""Amending a paused run: pending people get the new text, nobody both, every delivery knows."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from sender.campaigns.amend import amend, preview_amendment
from sender.campaigns.launch import prepare_launch
from sender.campaigns.report import report_run
from sender.delivery.progress import Ending
from sender.delivery.runs import pause
from sender.errors import RefusedError, SenderError
from sender.store.campaigns import CampaignVersion
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.toml.source import FileErrors
from sender.vocabulary import Channel, RunState
from tests.fakes.ses import SesFake
from tests.support.campaign_folder import (
    CREDENTIALS,
    LETTER,
    Office,
    carry_out,
    on_bulk_call,
    open_office,
    written_to,
)
from tests.support.factory import OPERATOR

CORRECTED = LETTER.replace("Saturday", "Sunday")


@pytest.fixture
def ses() -> Iterator[SesFake]:
    with SesFake() as running:
        running.account.rate = 5_000.0
        yield running


@pytest.fixture
def office(
    store: Store, tmp_path: Path, ses: SesFake, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Office]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with open_office(store, tmp_path, ses=ses) as opened:
        opened.one_call_at_a_time()
        yield opened


def launch_and_pause(office: Office, ses: SesFake, *, people: int, sent: int) -> int:
    """Launch to `people`, and pause when `sent` of them, a multiple of 50, were taken."""
    office.add_people(Channel.EMAIL, people)
    launch = prepare_launch(office.context, office.email())

    def pause_it() -> None:
        with office.store.write() as session:
            pause(session, launch.run_id, now=office.context.clock.now(), operator=OPERATOR)

    on_bulk_call(ses, sent // 50, pause_it)
    assert carry_out(launch)[1] is Ending.PAUSED
    assert len(ses.messages) == sent
    return launch.run_id


def test_400_of_1000_get_the_first_text_and_600_the_second(office: Office, ses: SesFake) -> None:
    run_id = launch_and_pause(office, ses, people=1_000, sent=400)
    office.write("letter.html", CORRECTED)
    done = amend(office.context, run_id, office.email())
    assert (done.run_id, done.version) == (run_id, 2)
    assert "-<p>Dear {{ recipient.first_name | default('friend') }}, come along on Sat" in done.diff
    assert "+<p>Dear {{ recipient.first_name | default('friend') }}, come along on Sun" in done.diff
    assert office.resume(run_id) is Ending.FINISHED

    assert written_to(ses) == Counter(office.addresses[Channel.EMAIL])
    texts = Counter("Sunday" in one.message["html"] for one in ses.messages)
    assert texts == {False: 400, True: 600}
    with office.store.read() as session:
        assert report_run(session, run_id).versions == {1: 400, 2: 600}
        recorded = dict(
            session.execute(
                select(Delivery.id, CampaignVersion.version).join(
                    CampaignVersion, CampaignVersion.id == Delivery.version_id
                )
            ).all()
        )
    assert all(
        recorded[one.delivery_id] == (2 if "Sunday" in one.message["html"] else 1)
        for one in ses.messages
    )


@pytest.mark.parametrize("dialect", ["sqlite"])
class TestRefusals:
    def test_what_is_no_text(self, office: Office, ses: SesFake) -> None:
        run_id = launch_and_pause(office, ses, people=100, sent=50)
        soon = office.context.clock.now() + timedelta(days=2)
        cases: list[tuple[dict[str, Any], str]] = [
            ({"max_recipients": 7}, "campaign.toml:5: max_recipients: cannot be changed while"),
            ({"expires_at": soon}, "campaign.toml:8: expires_at: cannot be changed while"),
            ({"fresh_within_months": 6}, "campaign.toml:8: fresh_within_months: cannot be"),
            ({"more": '[audience]\nwhere = { field = "postcode", equals = "N1" }'},
             "campaign.toml:8: audience: cannot be changed"),
        ]  # fmt: skip
        for changed, told in cases:
            with pytest.raises(FileErrors) as caught:
                amend(office.context, run_id, office.email(**changed))
            assert told in str(caught.value)
            assert "an amendment changes text only" in str(caught.value)
        assert office.resume(run_id) is Ending.FINISHED

    def test_another_campaign_or_controller(self, office: Office, ses: SesFake) -> None:
        run_id = launch_and_pause(office, ses, people=100, sent=50)
        for changed in ({"name": "summer"}, {"controller": "elsewhere"}):
            with pytest.raises(FileErrors, match="cannot be changed while the run is open"):
                preview_amendment(office.context, run_id, office.email(**changed))

    def test_templates_that_are_wrong(self, office: Office, ses: SesFake) -> None:
        run_id = launch_and_pause(office, ses, people=100, sent=50)
        office.write("letter.html", "<p>Hello</p>\n<p>{{ recipient.nickname }}</p>")
        with pytest.raises(SenderError, match=r"letter\.html:2.*nickname"):
            amend(office.context, run_id, office.email())
        assert office.resume(run_id) is Ending.FINISHED
        assert not any("nickname" in one.message["html"] for one in ses.messages)

    def test_a_run_that_is_not_paused(self, office: Office, ses: SesFake) -> None:
        office.add_people(Channel.EMAIL, 100)
        launch = prepare_launch(office.context, office.email())
        refused: list[str] = []

        def amend_it() -> None:
            with pytest.raises(RefusedError, match="is running; only a paused run") as caught:
                amend(office.context, launch.run_id, office.email(subject="Corrected"))
            refused.append(caught.value.remedy)

        on_bulk_call(ses, 1, amend_it)
        carry_out(launch)
        assert refused == [f"Pause it with: sender campaign pause {launch.run_id}"]
        with pytest.raises(RefusedError, match="is finished; only a paused run is amended"):
            amend(office.context, launch.run_id, office.email(subject="Corrected"))
        assert office.run(launch.run_id).state is RunState.FINISHED

    def test_the_same_text_is_no_change(self, office: Office, ses: SesFake) -> None:
        run_id = launch_and_pause(office, ses, people=100, sent=50)
        assert preview_amendment(office.context, run_id, office.email()) == ""
        assert amend(office.context, run_id, office.email()).version == 1

    def test_a_preview_changes_nothing(self, office: Office, ses: SesFake) -> None:
        run_id = launch_and_pause(office, ses, people=100, sent=50)
        diff = preview_amendment(office.context, run_id, office.email(subject="Corrected"))
        assert '-subject = "Come along"' in diff
        assert '+subject = "Corrected"' in diff
        assert office.resume(run_id) is Ending.FINISHED
        assert {one.message["subject"] for one in ses.messages} == {"Come along"}
