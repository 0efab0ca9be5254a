"""Doctor looks whether an alert would reach anybody, and lists what stands."""

from typing import Any

import pytest
from pydantic import SecretStr

from sender.alerts.notify import notify_operators
from sender.campaigns.doctor_alerts import MOST_ALERTS, examine_alerts
from sender.campaigns.findings import Finding, Health
from sender.store.alert_book import raise_alert
from sender.store.engine import Store
from sender.store.inbound import Alert
from sender.vocabulary import ProviderName
from tests.fakes.loop import unused_port
from tests.support.factory import NOW, add_account
from tests.support.web_context import web_context

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"])

WEBHOOK = {"alert_webhook_url": SecretStr("https://chat.example.com/hook")}
MAIL = {"alert_emails": "olive@example.com, oscar@example.com", "alert_account": "main"}


def examined(store: Store, **settings: Any) -> list[Finding]:
    return list(examine_alerts(web_context(store, **settings)))


def test_an_installation_that_tells_nobody_is_warned(store: Store) -> None:
    [found] = examined(store)
    assert found.health is Health.ATTENTION
    assert "SENDER_ALERT_EMAILS" in found.remedy


def test_the_ways_are_named_without_addresses(store: Store) -> None:
    with store.write() as session:
        add_account(session, "main", provider=ProviderName.SES)
    [found] = examined(store, **WEBHOOK, **MAIL)
    assert found.health is Health.WELL
    assert "a webhook, 2 by e-mail" in found.detail
    assert "example.com" not in found.detail


@pytest.mark.parametrize("provider", [None, ProviderName.TWILIO])
def test_mail_needs_an_account_that_can_write_it(
    store: Store, provider: ProviderName | None
) -> None:
    if provider is not None:
        with store.write() as session:
            add_account(session, "main", provider=provider)
    [found] = examined(store, **WEBHOOK, **MAIL)
    assert found.health is Health.BROKEN
    assert "SENDER_ALERT_ACCOUNT" in found.detail


def test_a_way_that_failed_is_said_until_it_works_or_nothing_stands(store: Store) -> None:
    gone = {"alert_webhook_url": SecretStr(f"http://127.0.0.1:{unused_port()}/s3cret")}
    context = web_context(store, **gone)
    with store.write() as session:
        for number in range(2):
            raise_alert(session, "test.alert", f"number {number}", now=NOW)
    notify_operators(context)
    [failed] = [one for one in examined(store, **gone) if "failed" in one.detail]
    assert failed.detail.startswith("webhook failed at 2026-05-07T09:00+00:00")
    assert "s3cret" not in failed.detail
    with store.write() as session:
        for alert in session.query(Alert):
            alert.resolved_at = NOW
    assert len(examined(store, **gone)) == 1


def test_alerts_are_listed_until_they_are_resolved(store: Store) -> None:
    with store.write() as session:
        for _ in range(3):
            raise_alert(
                session, "opt_out.row_missing", "delivery 7", now=NOW, details={"remedy": "Look."}
            )
        for number in range(MOST_ALERTS):
            raise_alert(session, "test.alert", f"number {number}", now=NOW)
    assert len(examined(store)) == 1 + MOST_ALERTS
    with store.write() as session:
        for alert in session.query(Alert).where(Alert.kind == "test.alert"):
            alert.resolved_at = NOW
    [_, found] = examined(store)
    assert (found.what, found.health) == ("alert opt_out.row_missing", Health.ATTENTION)
    assert found.detail.startswith("delivery 7: 3 times")
    assert found.remedy == "Look."
