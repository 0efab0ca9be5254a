"""Doctor looks whether what comes back reaches us."""

from collections.abc import Iterator
from typing import Any

import pytest

from sender.campaigns.doctor_inbound import examine_inbound
from sender.campaigns.findings import Finding, Health
from sender.context import Context
from sender.store.controllers import ProviderAccount
from sender.store.engine import Store
from sender.vocabulary import ProviderName
from tests.fakes.ses import SesFake
from tests.support.campaign_folder import CREDENTIALS, TWILIO_ACCOUNT
from tests.support.factory import add_account
from tests.support.web_context import web_context

TOPIC = "arn:aws:sns:eu-west-2:123456789012:ses-events"
ALL = ["BOUNCE", "COMPLAINT", "RENDERING_FAILURE", "DELIVERY"]

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"])


@pytest.fixture
def context(store: Store, monkeypatch: pytest.MonkeyPatch) -> Context:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return web_context(store)


@pytest.fixture
def ses() -> Iterator[SesFake]:
    with SesFake() as running:
        yield running


def account_of(context: Context, provider: ProviderName, **options: Any) -> ProviderAccount:
    with context.store.write() as session:
        return add_account(session, "main", provider=provider, options=options)


def examined(context: Context, account: ProviderAccount, *, ask: bool = False) -> list[Finding]:
    return list(examine_inbound(account, context, ask=ask))


def ask_ses(context: Context, fake: SesFake, **options: Any) -> Finding:
    whole = {
        "endpoint_url": fake.url, "region": "eu-west-2", "topic_arns": [TOPIC],
        "options": {"configuration_set": "campaigns"}, **options,
    }  # fmt: skip
    return examined(context, account_of(context, ProviderName.SES, **whole), ask=True)[-1]


def destination(*kinds: str, topic: str = TOPIC, enabled: bool = True) -> dict[str, Any]:
    return {
        "Name": "events",
        "Enabled": enabled,
        "MatchingEventTypes": list(kinds),
        "SnsDestination": {"TopicArn": topic},
    }


def test_an_account_without_a_topic_hears_nothing(context: Context) -> None:
    [found] = examined(context, account_of(context, ProviderName.SES))
    assert found.health is Health.ATTENTION
    assert "topic_arns" in found.remedy


def test_an_account_with_a_topic_is_well(context: Context) -> None:
    account = account_of(context, ProviderName.SES, topic_arns=[TOPIC])
    assert [one.health for one in examined(context, account)] == [Health.WELL]


@pytest.mark.parametrize(
    ("there", "lacking"),
    [
        ([], "BOUNCE, COMPLAINT, RENDERING_FAILURE"),
        ([destination("BOUNCE")], "COMPLAINT, RENDERING_FAILURE"),
        ([destination(*ALL, enabled=False)], "BOUNCE"),
        ([destination(*ALL, topic=f"{TOPIC}-of-others")], "BOUNCE"),
    ],
)
def test_events_that_reach_no_listed_topic_are_missed(
    context: Context, ses: SesFake, there: list[dict[str, Any]], lacking: str
) -> None:
    ses.event_destinations["campaigns"] = there
    found = ask_ses(context, ses)
    assert found.health is Health.ATTENTION
    assert lacking in found.detail


def test_several_destinations_together_are_enough(context: Context, ses: SesFake) -> None:
    ses.event_destinations["campaigns"] = [destination(*ALL[:2]), destination(*ALL[2:])]
    assert ask_ses(context, ses).health is Health.WELL


def test_tracked_clicks_would_put_another_address_in_the_opt_out_link(
    context: Context, ses: SesFake
) -> None:
    elsewhere = {"Name": "clicks", "Enabled": True, "MatchingEventTypes": ["CLICK"]}
    ses.event_destinations["campaigns"] = [destination(*ALL), elsewhere]
    found = ask_ses(context, ses)
    assert found.health is Health.ATTENTION
    assert "opt-out link" in found.detail


def test_without_a_configuration_set_nothing_is_told(context: Context, ses: SesFake) -> None:
    assert "COMPLAINT" in ask_ses(context, ses, options={}).detail


def test_a_set_that_does_not_exist_is_named(context: Context, ses: SesFake) -> None:
    found = ask_ses(context, ses)
    assert found.health is Health.BROKEN
    assert "campaigns" in found.detail


def test_a_provider_that_cannot_be_reached_is_said(context: Context) -> None:
    with SesFake() as gone:
        pass
    assert ask_ses(context, gone).health is Health.BROKEN


def test_twilios_secrets_have_to_be_set(context: Context) -> None:
    account = account_of(
        context, ProviderName.TWILIO, webhook_secret_variables=["T_NEW", "TWILIO_AUTH_TOKEN"]
    )
    [found] = examined(context, account)
    assert found.health is Health.BROKEN
    assert "T_NEW is not set" in found.detail


def test_with_its_secrets_and_number_twilio_is_well(context: Context) -> None:
    options = {"account_sid": TWILIO_ACCOUNT}
    account = account_of(context, ProviderName.TWILIO, options=options)
    assert [one.health for one in examined(context, account)] == [Health.WELL]


def test_an_account_that_is_known_by_an_api_key_only_names_its_number(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", "SK" + "0" * 32)
    [found] = examined(context, account_of(context, ProviderName.TWILIO))
    assert found.health is Health.BROKEN
    assert "account_sid" in found.remedy
