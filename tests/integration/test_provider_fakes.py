"""The fakes as processes of their own, as the kill tests and people use them."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from sender.clock import SystemClock
from sender.providers.account import AccountSettings
from sender.providers.base import Accepted, Deferred, Outgoing
from sender.providers.registry import open_provider
from sender.vocabulary import ProviderName
from tests.fakes.outgoing import NEVER, email, sms

ROOT = Path(__file__).parents[2]
ENVIRON = {
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrEXAMPLE",
    "AWS_REGION": "eu-west-2",
    "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
    "TWILIO_AUTH_TOKEN": "token",
}


@contextmanager
def run_by_hand(name: str, *options: str) -> Iterator[str]:
    command = [sys.executable, "-m", f"tests.fakes.{name}", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGTERM)
    assert process.returncode == 0


def settings_for(name: str, url: str) -> AccountSettings:
    if name == "smtp":
        port = url.rpartition(":")[2]
        options = {"host": "127.0.0.1", "port": port, "security": "none"}
        return AccountSettings(name, ProviderName.SMTP, options=options)
    options = {"status_callback_url": "https://out.party.example/twilio"}
    return AccountSettings(name, ProviderName(name), endpoint_url=url, options=options)


@pytest.mark.parametrize("name", ["ses", "twilio", "smtp"])
def test_a_fake_run_by_hand_takes_messages_and_writes_them_down(name: str, tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    far = timedelta(days=36_500)
    batch: list[Outgoing] = (
        [sms(number, expires_in=far) for number in (1, 2)]
        if name == "twilio"
        else [email(number) for number in (1, 2)]
    )
    with run_by_hand(name, "--journal", str(journal), "--delay", "0.01") as url:
        provider = open_provider(
            settings_for(name, url), ENVIRON, SystemClock(), timedelta(seconds=5)
        )
        outcome = provider.send(batch, NEVER)
        provider.close()

    assert [type(result) for result in outcome.results] == [Accepted, Accepted]
    taken = [json.loads(line)["delivery_id"] for line in journal.read_text().splitlines()]
    assert sorted(taken) == [1, 2]


def test_a_fake_run_by_hand_enforces_its_limits() -> None:
    with run_by_hand("ses", "--daily-quota", "1") as url:
        provider = open_provider(
            settings_for("ses", url), ENVIRON, SystemClock(), timedelta(seconds=5)
        )
        outcome = provider.send([email(1), email(2)], NEVER)
        provider.close()

    assert [type(result) for result in outcome.results] == [Accepted, Deferred]
