"""Who is told of alerts is checked when the settings are read; what is wrong is never repeated."""

import pytest

from sender.errors import SettingsError
from sender.settings import load_settings

SECRET = "T0KEN"


@pytest.mark.parametrize(
    "url",
    [
        f"https://hooks.example.com/{SECRET}",
        "http://127.0.0.1:8080/alerts",
        "http://localhost/alerts",
        "http://[::1]/alerts",
    ],
)
def test_a_webhook_is_reached_by_https_or_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("SENDER_ALERT_WEBHOOK_URL", url)
    settings = load_settings()
    assert settings.alert_webhook_url is not None
    assert settings.alert_webhook_url.get_secret_value() == url
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    "url",
    [
        f"http://hooks.example.com/{SECRET}",
        f"http://127.0.0.1.example.com/{SECRET}",
        f"ftp://127.0.0.1/{SECRET}",
        f"https:///{SECRET}",
        f"https://[{SECRET}",
        SECRET,
    ],
)
def test_any_other_webhook_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("SENDER_ALERT_WEBHOOK_URL", url)
    with pytest.raises(SettingsError, match="SENDER_ALERT_WEBHOOK_URL") as caught:
        load_settings()
    assert SECRET not in str(caught.value)


def test_an_empty_setting_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENDER_ALERT_WEBHOOK_URL", "")
    monkeypatch.setenv("SENDER_ALERT_EMAILS", "")
    settings = load_settings()
    assert settings.alert_webhook_url is None
    assert settings.alert_addresses == ()


def test_each_address_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENDER_ALERT_EMAILS", "ann@example.com, bob@example.com,ann@example.com,")
    assert load_settings().alert_addresses == ("ann@example.com", "bob@example.com")


@pytest.mark.parametrize("text", ["ann", "ann@example.com bob@example.com", "a@b@c"])
def test_what_is_no_address_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SENDER_ALERT_EMAILS", text)
    with pytest.raises(SettingsError, match="SENDER_ALERT_EMAILS") as caught:
        load_settings()
    assert text not in str(caught.value)
