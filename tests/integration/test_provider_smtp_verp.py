"""With `verp`, the envelope sender of each message says, signed, which message it is."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from sender.controllers.accounts_file import AccountEntry
from sender.errors import SenderError
from sender.providers.account import AccountSettings
from sender.providers.registry import open_provider
from sender.providers.smtp.verp import Sent, read_verp
from sender.suppression.tokens import TokenKeys
from sender.vocabulary import ProviderName
from tests.fakes.outgoing import NEVER, ManualClock, email
from tests.fakes.smtp import SmtpFake

SECRETS = "2:" + "ef" * 32
ENVIRON = {"SENDER_TOKEN_KEYS": SECRETS}
BOUNCES = "bounces@party.example"


@pytest.fixture
def fake() -> Iterator[SmtpFake]:
    with SmtpFake() as running:
        yield running


def envelope_senders(
    fake: SmtpFake, *delivery_ids: int, environ: dict[str, str] | None = None, **options: str
) -> list[str]:
    where = {"host": "127.0.0.1", "port": str(fake.port), "security": "none", "helo_name": "c"}
    settings = AccountSettings("mta", ProviderName.SMTP, options={**where, **options})
    known = ENVIRON if environ is None else environ
    provider = open_provider(settings, known, ManualClock(), timedelta(seconds=5))
    try:
        provider.send([email(one) for one in delivery_ids], NEVER)
    finally:
        provider.close()
    return [one.message["sender"] for one in fake.messages]


def test_each_message_has_a_return_path_of_its_own(fake: SmtpFake) -> None:
    found = envelope_senders(fake, 34, 35, verp="yes", envelope_sender=BOUNCES)
    keys = TokenKeys.parse(SECRETS)
    assert [read_verp(one, keys) for one in found] == [Sent(34, 7), Sent(35, 7)]
    assert all(one.startswith("bounces+") and one.endswith("@party.example") for one in found)
    authors = {one.message["mail"]["From"].addresses[0].addr_spec for one in fake.messages}
    assert authors == {"news@party.example"}


def test_a_reply_that_is_no_delivery_goes_out_under_the_plain_one(fake: SmtpFake) -> None:
    assert envelope_senders(fake, -5, verp="yes", envelope_sender=BOUNCES) == [BOUNCES]


def test_without_the_option_the_envelope_sender_is_as_it_is_set(fake: SmtpFake) -> None:
    assert envelope_senders(fake, 34, envelope_sender=BOUNCES) == [BOUNCES]


@pytest.mark.parametrize(
    ("options", "environ"),
    [
        ({}, ENVIRON),
        ({"envelope_sender": "a-mailbox-with-a-name-that-is-long@party.example"}, ENVIRON),
        ({"envelope_sender": "no-mailbox"}, ENVIRON),
        ({"envelope_sender": BOUNCES}, {}),
        ({"envelope_sender": BOUNCES}, {"SENDER_TOKEN_KEYS": "1:short"}),
        ({"envelope_sender": BOUNCES, "verp": "perhaps"}, ENVIRON),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_sent(
    fake: SmtpFake, options: dict[str, str], environ: dict[str, str]
) -> None:
    with pytest.raises(SenderError, match=r"verp|envelope_sender|SENDER_TOKEN_KEYS"):
        envelope_senders(fake, 34, environ=environ, **{"verp": "yes", **options})
    assert fake.messages == []


def test_a_controller_file_may_switch_it_on() -> None:
    options = {"host": "mail.party.example", "envelope_sender": BOUNCES, "verp": True}
    entry = AccountEntry.model_validate({"name": "mta", "provider": "smtp", "options": options})
    assert entry.options["verp"] == "yes"
