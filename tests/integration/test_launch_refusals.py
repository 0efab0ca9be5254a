"""What a launch refuses, in exact words, and that nothing is left half-launched by it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from sender.campaigns.launch import prepare_launch
from sender.clock import SystemClock
from sender.context import open_context
from sender.errors import (
    DatabaseError,
    KeyRefusedError,
    ProviderError,
    RefusedError,
    SenderError,
    SettingsError,
)
from sender.store.engine import Store
from sender.toml.source import FileErrors
from sender.vocabulary import Channel
from tests.fakes.ses import SesFake
from tests.fakes.twilio import TwilioFake
from tests.support.campaign_folder import CREDENTIALS, Office, open_office, settings_for
from tests.support.factory import add_declaration, add_identity, establish

SQLITE = pytest.mark.parametrize("dialect", ["sqlite"])
"""For refusals that do not depend on the database."""


@dataclass
class Ends:
    """The office and both providers' ends."""

    office: Office
    ses: SesFake
    twilio: TwilioFake

    @contextmanager
    def refused(self, kind: type[SenderError], *texts: str) -> Iterator[None]:
        """Expect a refusal with these texts, and no trace of a launch."""
        with pytest.raises(kind) as caught:
            yield
        for text in texts:
            assert text in str(caught.value)
        assert self.office.open_runs() == []
        assert self.office.deliveries() == 0
        assert self.ses.messages == self.twilio.messages == []

    def launch(self, channel: Channel = Channel.EMAIL, more: str = "", **changed: Any) -> None:
        definition = (
            self.office.sms(more, **changed)
            if channel is Channel.SMS
            else self.office.email(more, **changed)
        )
        prepare_launch(self.office.context, definition).close()


@pytest.fixture
def ends(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ends]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with (
        SesFake() as ses,
        TwilioFake() as twilio,
        open_office(store, tmp_path, ses=ses, twilio=twilio, people=30, texters=5) as office,
    ):
        yield Ends(office, ses, twilio)


def test_a_good_file_is_not_refused(ends: Ends) -> None:
    ends.launch()
    assert ends.office.open_runs() == []


def test_more_people_than_the_file_allows(ends: Ends) -> None:
    limit = "campaign.toml:5: max_recipients: is 29; 30 people may be written to. Raise it or"
    with ends.refused(FileErrors, limit):
        ends.launch(max_recipients=29)


def test_more_people_than_allowed_by_the_time_of_the_yes(ends: Ends) -> None:
    launch = prepare_launch(ends.office.context, ends.office.email(max_recipients=30))
    ends.office.add_people(Channel.EMAIL, 3, prefix="late")
    with pytest.raises(RefusedError, match="33 people may be written to by now") as caught:
        launch.confirm()
    launch.close()
    assert "Nothing was sent." in str(caught.value)
    assert ends.office.open_runs() == []
    assert ends.office.counts(launch.run_id).pending == 0
    assert ends.ses.messages == []


@SQLITE
@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (
            {"controller": "riversid"},
            (
                "campaign.toml:2: controller: there is no controller 'riversid'. "
                "Did you mean riverside?"
            ),
        ),
        (
            {"purpose": "campaign-new"},
            (
                "campaign.toml:4: purpose: riverside has no purpose 'campaign-new'. "
                "Did you mean campaign-news?"
            ),
        ),
        (
            {"sender": "maine"},
            "campaign.toml:8: sender: riverside has no sender identity 'maine'. There are: main.",
        ),
        (
            {"on_behalf_of": ["jones"]},
            (
                "campaign.toml:8: on_behalf_of[1]: there is no controller 'jones'. "
                "Add it with: sender controller add FILE.toml"
            ),
        ),
        (
            {"fresh_within_months": 36},
            (
                "campaign.toml:8: fresh_within_months: is looser than the policy of riverside, "
                "24 months; a campaign can only be stricter. Lower it or take it out."
            ),
        ),
    ],
)
def test_names_that_are_not_there(ends: Ends, changed: dict[str, Any], told: str) -> None:
    with ends.refused(FileErrors, told):
        ends.launch(**changed)


@SQLITE
def test_several_identities_and_none(ends: Ends) -> None:
    with ends.office.store.write() as session:
        add_identity(
            session, ends.office.organisation.controller, Channel.EMAIL, name="second",
            address="second@riverside.example.org",
        )  # fmt: skip
    with ends.refused(FileErrors, "several sender identities", "main, second"):
        ends.launch()


@SQLITE
def test_a_campaign_whose_time_has_passed(ends: Ends) -> None:
    now = ends.office.context.clock.now()
    with ends.refused(FileErrors, "campaign.toml:8: expires_at: has passed."):
        ends.launch(expires_at=now - timedelta(seconds=1))


@SQLITE
def test_a_campaign_that_cannot_be_done_in_time(ends: Ends) -> None:
    ends.ses.account.rate = 1.0
    now = ends.office.context.clock.now()
    told = "campaign.toml:8: expires_at: comes before the run would be done, at about"
    with ends.refused(FileErrors, told):
        ends.launch(expires_at=now + timedelta(seconds=20))


@SQLITE
def test_a_text_message_of_too_many_parts(ends: Ends) -> None:
    ends.office.write("text.txt", "{{ sender_name }}: " + "come along, " * 40)
    told = "text.txt: sms-too-many-segments: The message has 4 parts (GSM-7); at most 2 are allowed"
    with ends.refused(FileErrors, told, "raise max_segments"):
        ends.launch(Channel.SMS, max_segments=2)


@SQLITE
def test_one_person_s_text_message_of_too_many_parts(ends: Ends) -> None:
    ends.office.write("text.txt", "{{ sender_name }}: go to {{ recipient.hall | default('') }}")
    ends.office.add_people(Channel.SMS, 1, prefix="+4477008", attributes={"hall": "the hall " * 50})
    with ends.refused(RefusedError, "first 6 people", "(1)", "sender campaign check FILE"):
        ends.launch(Channel.SMS, max_segments=2)


@SQLITE
def test_nobody_said_what_became_of_the_old_opt_outs(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_office(store, tmp_path, people=2, declared=False) as office:
        told = "Nobody has said what became of the opt-outs that riverside received"
        with pytest.raises(RefusedError, match=told) as caught:
            prepare_launch(office.context, office.email())
        assert "sender controller declare riverside" in caught.value.remedy
        assert office.open_runs() == []


@SQLITE
def test_nobody_said_what_became_of_the_old_opt_outs_of_a_body_spoken_for(ends: Ends) -> None:
    with ends.office.store.write() as session:
        jones = establish(session, "jones")
    with ends.refused(RefusedError, "opt-outs that jones received"):
        ends.launch(on_behalf_of=["jones"])
    with ends.office.store.write() as session:
        add_declaration(session, jones.controller)
    ends.launch(on_behalf_of=["jones"])


@SQLITE
def test_an_account_in_the_sandbox(ends: Ends) -> None:
    ends.ses.account.production = False
    with ends.refused(ProviderError, "account ses is in sandbox mode", "production access"):
        ends.launch()
    ends.twilio.account_type = "Trial"
    with ends.refused(ProviderError, "account twilio is in sandbox mode"):
        ends.launch(Channel.SMS)


@SQLITE
def test_an_account_that_may_not_send(ends: Ends) -> None:
    ends.ses.account.sending_enabled = False
    with ends.refused(ProviderError, "account ses may not send"):
        ends.launch()
    ends.twilio.account_status = "suspended"
    with ends.refused(ProviderError, "account twilio may not send", "suspended"):
        ends.launch(Channel.SMS)


@SQLITE
def test_credentials_that_are_missing(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("TWILIO_AUTH_TOKEN")
    told = "the environment variable AWS_SECRET_ACCESS_KEY is not set. Set AWS_SECRET_ACCESS_KEY"
    with ends.refused(ProviderError, told):
        ends.launch()
    with ends.refused(ProviderError, "TWILIO_AUTH_TOKEN is not set"):
        ends.launch(Channel.SMS)


@SQLITE
def test_credentials_that_are_refused(ends: Ends) -> None:
    ends.ses.known_key = "AKIAOTHER"
    with ends.refused(ProviderError, "account ses", "AWS_ACCESS_KEY_ID"):
        ends.launch()
    ends.twilio.known_token = "another"
    with ends.refused(ProviderError, "account twilio", "TWILIO_AUTH_TOKEN"):
        ends.launch(Channel.SMS)


@SQLITE
def test_a_field_that_one_kind_of_people_lacks(ends: Ends) -> None:
    ends.office.add_people(Channel.EMAIL, 1, prefix="named", attributes={"nickname": "Bo"})
    ends.office.write("letter.html", "<p>Hello</p>\n<p>{{ recipient.nickname }}</p>\n")
    with ends.refused(FileErrors, "letter.html:2", "nickname", "default("):
        ends.launch()


@SQLITE
def test_a_template_that_does_not_parse(ends: Ends) -> None:
    ends.office.write("letter.html", "<p>Hello</p>\n<p>{% if recipient.first_name %}Hi</p>\n")
    with ends.refused(SenderError, "letter.html:"):
        ends.launch()


@SQLITE
def test_a_message_that_hides_who_writes(ends: Ends) -> None:
    ends.office.write("letter.html", "<style>.identity,p{display:none}</style><p>Hello</p>")
    with ends.refused(SenderError):
        ends.launch()


@SQLITE
@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"public_url": None}, "SENDER_PUBLIC_URL is not set to an https address."),
        ({"public_url": "http://out.example.org"}, "SENDER_PUBLIC_URL is not set to an https"),
        ({"token_keys": None}, "SENDER_TOKEN_KEYS is not set."),
        ({"token_keys": SecretStr("1:short")}, "SENDER_TOKEN_KEYS"),
    ],
)
def test_no_way_to_make_opt_out_links(ends: Ends, changed: dict[str, Any], told: str) -> None:
    office = ends.office
    office.context = replace(office.context, settings=settings_for(office.folder, **changed))
    with ends.refused(SettingsError, told):
        ends.launch()


@SQLITE
def test_an_audience_whose_database_is_not_named(ends: Ends) -> None:
    ends.office.write("people.sql", "SELECT email FROM people")
    source = (
        '[audience.source]\nurl_env = "CRM_DATABASE_URL"\nquery = "people.sql"\naddress = "email"'
    )
    with ends.refused(SettingsError, "CRM_DATABASE_URL is not set", "SQLAlchemy URL"):
        ends.launch(more=source)


def test_a_database_that_is_not_migrated(empty_database_url: str, tmp_path: Path) -> None:
    settings = settings_for(tmp_path, database_url=empty_database_url)
    with (
        pytest.raises(DatabaseError, match="sender db upgrade"),
        open_context(settings),
    ):
        pass


def test_a_valid_key_that_is_not_this_database_s(
    ends: Ends, database_url: str, tmp_path: Path
) -> None:
    other = SecretStr("77" * 32)
    settings = settings_for(tmp_path, database_url=database_url, hash_key=other)
    with pytest.raises(KeyRefusedError) as caught, open_context(settings):
        pass
    assert "77" * 4 not in str(caught.value)


def test_a_clock_that_is_far_off(ends: Ends, database_url: str, tmp_path: Path) -> None:
    class Behind(SystemClock):
        def now(self) -> Any:
            return super().now() - timedelta(minutes=10)

    ends.launch()  # leaves rows in the audit trail, the only clock that a file has
    settings = settings_for(tmp_path, database_url=database_url)
    with pytest.raises(DatabaseError, match="NTP"), open_context(settings, Behind()):
        pass


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
@pytest.mark.parametrize("off_by", [timedelta(seconds=15), timedelta(seconds=-15)])
def test_a_clock_that_is_not_the_servers(
    ends: Ends, database_url: str, tmp_path: Path, off_by: timedelta
) -> None:
    """Half of what makes others take a silent sender for gone."""

    class Off(SystemClock):
        def now(self) -> Any:
            return super().now() + off_by

    ends.launch()
    settings = settings_for(tmp_path, database_url=database_url)
    with pytest.raises(DatabaseError, match="disagree"), open_context(settings, Off()):
        pass
