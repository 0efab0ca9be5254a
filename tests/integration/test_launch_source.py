"""Launches whose audience comes from the organisation's own database, and for several bodies."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import create_engine, func, select, text

from sender.campaigns.definition import CampaignDefinition
from sender.campaigns.explain import explain
from sender.campaigns.launch import prepare_launch
from sender.campaigns.preview import preview
from sender.delivery import source
from sender.delivery.progress import Ending
from sender.delivery.source import forget_recipients
from sender.errors import RefusedError
from sender.store.campaigns import StagedRecipient
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.vocabulary import Channel, DeliveryState, Reason, RunState
from tests.fakes.ses import SesFake
from tests.support.campaign_folder import (
    CREDENTIALS,
    Office,
    agree,
    carry_out,
    open_office,
    written_to,
)
from tests.support.factory import add_contact, add_declaration, add_point, establish

SOURCE = """
[audience.source]
url_env = "CRM_DATABASE_URL"
query = "people.sql"
address = "email"
"""


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
    with open_office(store, tmp_path, ses=ses, people=20) as opened:
        yield opened


@dataclass
class Crm:
    """The organisation's own database, of the other kind than ours."""

    url: str

    def fill(self, rows: Sequence[tuple[str, str]]) -> None:
        engine = create_engine(self.url)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE IF NOT EXISTS person (email text, town text)"))
            if rows:
                values = [{"email": email, "town": town} for email, town in rows]
                connection.execute(text("INSERT INTO person VALUES (:email, :town)"), values)
        engine.dispose()


@pytest.fixture
def crm(request: pytest.FixtureRequest, dialect: str, monkeypatch: pytest.MonkeyPatch) -> Crm:
    other = "sqlite_url" if dialect == "postgresql" else "postgresql_url"
    url = str(request.getfixturevalue(other))
    monkeypatch.setenv("CRM_DATABASE_URL", url)
    found = Crm(url)
    found.fill([])
    return found


def from_crm(office: Office) -> CampaignDefinition:
    office.write("people.sql", "SELECT email, town FROM person;\n")
    office.write("letter.html", "<p>Come along, {{ recipient.town | default('town') }}.</p>")
    return office.email(SOURCE)


def test_consent_decides_whoever_the_other_database_names(
    office: Office, ses: SesFake, crm: Crm
) -> None:
    known = office.addresses[Channel.EMAIL]
    crm.fill(
        [
            *[(address, f"Town {place}") for place, address in enumerate(known[:8])],
            (f" {known[0].upper()} ", "Town again"),
            ("stranger1@example.org", "Elsewhere"),
            ("stranger2@example.org", "Elsewhere"),
            ("no address", "Nowhere"),
            ("", "Nowhere"),
        ]
    )
    launch = prepare_launch(office.context, from_crm(office))
    assert launch.plan.recipients == 8
    assert launch.plan.refused == {Reason.NO_CONSENT: 2}
    assert launch.plan.source_refused == {Reason.INVALID_ADDRESS: 2}
    run_id, ending = carry_out(launch)
    assert ending is Ending.FINISHED
    assert written_to(ses) == Counter(known[:8])
    towns = {one.message["to"][0]: one.message["html"] for one in ses.messages}
    assert "Town 0" in towns[known[0]]
    assert not any("Town again" in html for html in towns.values())
    counts = office.counts(run_id)
    assert counts.by_state == {DeliveryState.ACCEPTED: 8, DeliveryState.SKIPPED: 2}
    assert counts.source_refusals == {Reason.INVALID_ADDRESS: 2}
    with office.store.read() as session:
        values = session.scalars(select(Delivery.values).where(Delivery.values.is_not(None)))
        assert {json.dumps(one, sort_keys=True) for one in values} == {
            f'{{"town": "Town {place}"}}' for place in range(8)
        }


def test_a_crash_before_the_yes_reads_the_source_anew(
    office: Office, ses: SesFake, crm: Crm
) -> None:
    known = office.addresses[Channel.EMAIL]
    crm.fill([(address, "Town") for address in known[:5]])
    definition = from_crm(office)
    crashed = prepare_launch(office.context, definition)
    crashed.provider.close()
    crm.fill([(address, "Town") for address in known[5:7]])
    again = prepare_launch(office.context, definition)
    assert (again.run_id, again.continues, again.plan.recipients) == (crashed.run_id, True, 7)
    assert carry_out(again)[1] is Ending.FINISHED
    assert written_to(ses) == Counter(known[:7])


def test_a_crash_while_staging_loses_nobody(
    office: Office, ses: SesFake, crm: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = office.addresses[Channel.EMAIL]
    crm.fill([(address, "Town") for address in known])
    definition = from_crm(office)
    with monkeypatch.context() as broken:
        broken.setattr(source._Staging, "report", _die)
        with pytest.raises(ZeroDivisionError):
            prepare_launch(office.context, definition)
    assert office.open_runs() == []
    with office.store.read() as session:
        assert session.scalar(select(func.count()).select_from(StagedRecipient)) == 0
    assert office.launch(definition)[1] is Ending.FINISHED
    assert written_to(ses) == Counter(known)


def _die(_staging: object) -> None:
    raise ZeroDivisionError


def test_a_launch_whose_audience_another_launch_reads_anew_is_refused(
    office: Office, ses: SesFake, crm: Crm
) -> None:
    crm.fill([(address, "Town") for address in office.addresses[Channel.EMAIL]])
    definition = from_crm(office)
    waiting = prepare_launch(office.context, definition)
    forget_recipients(office.store, waiting.run_id)  # the other has just begun
    with pytest.raises(RefusedError, match="Another launch is reading the audience of run"):
        waiting.confirm()
    waiting.close()
    assert office.run(waiting.run_id).state is RunState.PLANNING
    assert office.launch(definition)[0] == waiting.run_id
    assert written_to(ses) == Counter(office.addresses[Channel.EMAIL])


def test_what_was_staged_for_a_declined_launch_is_forgotten(office: Office, crm: Crm) -> None:
    crm.fill([(address, "Town") for address in office.addresses[Channel.EMAIL]])
    launch = prepare_launch(office.context, from_crm(office))
    with office.store.read() as session:
        assert session.scalar(select(func.count()).select_from(StagedRecipient)) == 20
    launch.close()
    with office.store.read() as session:
        assert session.scalar(select(func.count()).select_from(StagedRecipient)) == 0


def test_a_new_run_reads_the_source_and_leaves_out_who_was_sent(
    office: Office, ses: SesFake, crm: Crm
) -> None:
    known = office.addresses[Channel.EMAIL]
    crm.fill([(address, "Town") for address in known[:5]])
    definition = from_crm(office)
    office.launch(definition)
    crm.fill([(address, "Town") for address in known[5:9]])
    launch = prepare_launch(office.context, definition, new_run=True)
    assert (launch.plan.recipients, launch.plan.refused) == (4, {Reason.ALREADY_SENT: 5})
    assert carry_out(launch)[1] is Ending.FINISHED
    assert written_to(ses) == Counter(known[:9])


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_a_preview_does_not_read_the_source(office: Office) -> None:
    with pytest.raises(RefusedError, match="pulled from another database at launch"):
        preview(office.context, from_crm(office))


class TestInternalCandidate:
    """An appeal for a candidate needs consent to the candidate, not to the party (¶26)."""

    def test_members_who_did_not_agree_to_the_candidate_are_all_refused(
        self, office: Office, ses: SesFake
    ) -> None:
        with office.store.write() as session:
            jones = establish(session, "jones")
            add_declaration(session, jones.controller)
        definition = office.email(on_behalf_of=["jones"])
        launch = prepare_launch(office.context, definition)
        assert (launch.plan.recipients, launch.plan.refused) == (0, {Reason.NO_CONSENT: 20})
        run_id, _ = carry_out(launch)
        assert ses.messages == []
        with office.store.read() as session:
            by = session.execute(
                select(Delivery.reason, Delivery.refused_by_id, func.count())
                .where(Delivery.run_id == run_id)
                .group_by(Delivery.reason, Delivery.refused_by_id)
            ).all()
        assert [tuple(row) for row in by] == [(Reason.NO_CONSENT, jones.id, 20)]
        own, candidate = explain(office.context, definition, office.addresses[Channel.EMAIL][0])
        assert own.decision.allowed
        assert (candidate.controller, candidate.decision.refusal) == ("jones", Reason.NO_CONSENT)
        with pytest.raises(RefusedError, match="jones may not write to this address"):
            preview(office.context, definition, office.addresses[Channel.EMAIL][0])

    def test_those_who_agreed_to_both_are_written_to_in_both_names(
        self, office: Office, ses: SesFake
    ) -> None:
        both = office.addresses[Channel.EMAIL][:3]
        with office.store.write() as session:
            jones = establish(session, "jones")
            add_declaration(session, jones.controller)
            for address in both:
                add_point(session, add_contact(session, jones.controller), address)
            ids = [office.ids[address] for address in both]
            agree(session, jones, ids, office.context.clock.now())
        run_id, _ = office.launch(office.email(on_behalf_of=["jones"]))
        assert written_to(ses) == Counter(both)
        assert all("Jones Association" in one.message["html"] for one in ses.messages)
        assert office.counts(run_id).by_reason == {Reason.NO_CONSENT: 17}
