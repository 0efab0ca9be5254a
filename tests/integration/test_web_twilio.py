"""Texts that come in by Twilio's webhook, signed as Twilio signs, over real HTTP."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from xml.etree import ElementTree as ET

import pytest
import requests
from sqlalchemy import text

from sender.store.engine import Store, open_store
from sender.web import twilio
from sender.web.app import assemble
from sender.web.limits import Limits
from sender.web.metrics import OPT_OUTS, REFUSED
from tests.fakes.twilio_webhooks import MESSAGES, STATUS, TwilioWebhooks, message_sid, sign
from tests.support.twilio_world import (
    ACCOUNT,
    ENVIRON,
    NEW,
    NUMBER,
    OLD,
    OTHER_NUMBER,
    OTHERS,
    PERSON,
    World,
    counted,
    twilio_world,
)
from tests.support.web_context import PUBLIC_URL, web_context
from tests.support.web_server import serve

ON_ONE_DATABASE = pytest.mark.parametrize("dialect", ["sqlite"])
"""Where the database is not the matter."""


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TWILIO_AUTH_TOKEN", raising=False)
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def world(store: Store) -> Iterator[World]:
    with twilio_world(store) as opened:
        yield opened


def answer_of(response: requests.Response) -> str | None:
    """The text that Twilio would send back."""
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/xml")
    document = ET.fromstring(response.content)
    assert document.tag == "Response"
    return document.findtext("Message")


# What people text


def test_a_stop_is_in_force_when_it_is_acknowledged(world: World) -> None:
    before = counted(OPT_OUTS, way="text")

    assert answer_of(world.twilio.text("STOP")) is None
    assert world.blocks() == world.stopped(world.party)
    (kept,) = world.notifications()
    assert kept.account_id == world.account_ids[0]
    assert counted(OPT_OUTS, way="text") == before + 1


@ON_ONE_DATABASE
def test_our_own_answer_is_well_formed_twiml(world: World) -> None:
    answer = answer_of(world.twilio.text("please stop texting me"))

    assert answer is not None
    assert "Party & <Sons>" in answer
    assert world.blocks() == world.stopped(world.party)


@pytest.mark.parametrize("digest", ["sha1", "sha256"])
@pytest.mark.parametrize("token", [NEW, OLD])
def test_old_and_new_token_and_both_schemes_are_good(world: World, token: str, digest: str) -> None:
    answer_of(world.twilio.signed_with(token, digest).text("STOP"))
    assert world.blocks() == world.stopped(world.party)


def test_a_stop_that_is_told_again_is_acknowledged_and_changes_nothing(world: World) -> None:
    sid = message_sid()
    answers = [answer_of(world.twilio.text("please stop texting me", sid=sid)) for _ in range(3)]
    assert [answer is None for answer in answers] == [False, True, True]
    assert len(world.notifications()) == 1
    assert world.sets() == 1


def test_of_one_stop_told_many_times_at_once_each_is_acknowledged(world: World) -> None:
    sid = message_sid()
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: world.twilio.text("STOP", sid=sid), range(16)))

    assert {answer.status_code for answer in answers} == {200}
    assert len(world.notifications()) == 1
    assert world.sets() == 1
    assert world.blocks() == world.stopped(world.party)


def test_a_stop_to_a_number_of_nobody_stops_who_sends_through_the_account(world: World) -> None:
    answer_of(world.twilio.text("STOP", to="+447700900999"))
    assert world.blocks() == world.stopped(world.party)


def test_a_stop_of_an_account_that_is_not_known_stops_everybody(world: World) -> None:
    subaccount = "AC" + "9" * 32
    answer_of(world.twilio.text("STOP", to="+447700900999", AccountSid=subaccount))

    assert {scope[0] for scope in world.blocks()} == {0}
    assert world.notifications()[0].account_id is None


@pytest.mark.parametrize(
    ("body", "sender"),
    [
        ("STOP\0", PERSON),
        ("stop \N{OCTAGONAL SIGN}", PERSON),
        ("STOP", "whatsapp:" + PERSON),
        ("STOP", "+442079460018"),
        ("STOP", "60300"),
        ("Stop", "ExampleGB"),
    ],
    ids=["nul", "emoji", "whatsapp", "landline", "short code", "name"],
)
def test_no_stop_is_lost_for_how_it_is_written_or_from_where(
    world: World, body: str, sender: str
) -> None:
    answer_of(world.twilio.text(body, sender=sender))
    assert world.blocks() == world.stopped(world.party)


@ON_ONE_DATABASE
def test_a_stop_on_the_path_of_the_statuses_is_a_stop(world: World) -> None:
    fields = {"MessageSid": "SM1", "From": PERSON, "To": NUMBER, "Body": "STOP"}
    pairs = [*fields.items(), ("AccountSid", ACCOUNT), ("SmsStatus", "received")]

    answer_of(world.twilio.post(STATUS, pairs))
    assert world.blocks() == world.stopped(world.party)


def test_a_newer_start_lifts_the_stop(world: World) -> None:
    answer_of(world.twilio.text("STOP"))
    answer_of(world.twilio.text("START"))
    assert world.blocks() == world.stopped(world.party)

    world.clock.wall += timedelta(minutes=1)
    answer_of(world.twilio.text("START"))
    assert world.blocks() == set()


# Who may say so


FORM = [
    ("MessageSid", "SM1"),
    ("AccountSid", ACCOUNT),
    ("From", PERSON),
    ("To", NUMBER),
    ("Body", "STOP"),
]
GOOD = sign(f"{PUBLIC_URL}{MESSAGES}", FORM, NEW)
SETTINGS = "X-Twilio-Webhooks-Signature-Settings"


@ON_ONE_DATABASE
@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"X-Twilio-Signature": ""}, "unsigned"),
        ({"X-Twilio-Signature": "not base64!"}, "signature"),
        ({"X-Twilio-Signature": sign(f"{PUBLIC_URL}{MESSAGES}", FORM, "guess")}, "signature"),
        ({"X-Twilio-Signature": sign(f"{PUBLIC_URL}{STATUS}", FORM, NEW)}, "signature"),
        ({"X-Twilio-Signature": sign(f"{PUBLIC_URL}{MESSAGES}", FORM[:-1], NEW)}, "signature"),
        ({"X-Twilio-Signature": sign(f"{PUBLIC_URL}{MESSAGES}", FORM, OTHERS)}, "account"),
        ({"X-Twilio-Signature": GOOD, SETTINGS: "algorithm=HMAC_SHA256"}, "signature"),
        ({"X-Twilio-Signature": GOOD, SETTINGS: "algorithm=HMAC_MD5"}, "signature"),
        (
            {"X-Twilio-Signature": sign(f"{PUBLIC_URL}{MESSAGES}", FORM, NEW, "sha256")},
            "signature",
        ),
    ],
    ids=[
        "missing",
        "malformed",
        "guessed",
        "of another path",
        "of another form",
        "of another account",
        "of another scheme",
        "of no scheme",
        "downgraded",
    ],
)
def test_what_twilio_did_not_sign_says_nothing(
    world: World, headers: dict[str, str], why: str
) -> None:
    before = counted(REFUSED, route="twilio", why=why)

    answer = world.twilio.post(MESSAGES, FORM, headers)

    assert answer.status_code == 403
    assert PERSON not in answer.text
    assert world.untouched()
    assert counted(REFUSED, route="twilio", why=why) == before + 1


@ON_ONE_DATABASE
def test_the_form_of_these_refusals_is_good_when_twilio_signed_it(world: World) -> None:
    assert world.twilio.post(MESSAGES, FORM, {"X-Twilio-Signature": GOOD}).status_code == 200
    assert world.blocks() == world.stopped(world.party)


@ON_ONE_DATABASE
def test_the_public_address_is_what_counts_behind_a_proxy(world: World) -> None:
    proxied = {
        "Host": "10.6.0.35",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-For": "203.0.113.7",
        "Forwarded": "host=evil.example;proto=http",
    }
    answer_of(world.twilio.text("STOP", headers=proxied))
    assert world.blocks() == world.stopped(world.party)

    inside = TwilioWebhooks(world.twilio.base_url, world.twilio.base_url, NEW, ACCOUNT)
    evil = TwilioWebhooks(world.twilio.base_url, "https://evil.example", NEW, ACCOUNT)
    assert inside.text("STOP").status_code == 403
    assert evil.text("STOP", headers=proxied).status_code == 403


def test_the_owner_of_one_account_speaks_for_nobody_elses_people(world: World) -> None:
    answer_of(world.twilio.text("STOP"))
    forged = TwilioWebhooks(world.twilio.base_url, PUBLIC_URL, OTHERS, ACCOUNT)

    assert forged.text("START").status_code == 403
    assert world.blocks() == world.stopped(world.party)
    answer_of(world.of_charity.text("STOP", to=OTHER_NUMBER))
    assert world.blocks() == world.stopped(world.party, world.charity)


@ON_ONE_DATABASE
def test_signed_nonsense_is_told_so(world: World) -> None:
    for path in (MESSAGES, STATUS):
        for pairs in ([("AccountSid", ACCOUNT)], [("AccountSid", ACCOUNT), ("Body", "STOP")]):
            assert world.twilio.post(path, pairs).status_code == 400
    assert world.twilio.post(STATUS, []).status_code == 400
    assert world.untouched()


@ON_ONE_DATABASE
def test_only_a_post_is_a_webhook(world: World) -> None:
    for path in (MESSAGES, STATUS):
        assert requests.get(f"{world.twilio.base_url}{path}", timeout=30).status_code == 405


# What failed here


def test_what_failed_is_told_again_and_counts_then(world: World) -> None:
    with world.store.write() as session:
        session.execute(text("ALTER TABLE inbound_notification RENAME TO mislaid"))
    refused = world.twilio.text("STOP", sid="SM1")
    status = world.twilio.status("SM2", "failed", code="21610")

    assert refused.status_code == status.status_code == 503
    assert refused.headers["Retry-After"]
    assert world.blocks() == set()
    with world.store.write() as session:
        session.execute(text("ALTER TABLE mislaid RENAME TO inbound_notification"))
    answer_of(world.twilio.text("STOP", sid="SM1"))
    assert world.blocks() == world.stopped(world.party)


@ON_ONE_DATABASE
def test_a_secret_that_is_not_set_refuses_nobody_for_good(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PARTY_NEW")
    assert world.twilio.text("STOP").status_code == 503
    assert world.twilio.text("STOP", headers={"X-Twilio-Signature": ""}).status_code == 403
    answer_of(world.twilio.signed_with(OLD).text("STOP"))
    monkeypatch.setenv("PARTY_NEW", NEW)
    answer_of(world.twilio.text("STOP"))
    assert world.twilio.signed_with("guess").text("STOP").status_code == 403


def test_without_a_database_what_is_not_signed_is_refused_and_the_rest_comes_again(
    sqlite_url: str,
) -> None:
    store = open_store(sqlite_url)
    context = web_context(store)
    with store.write() as session:
        session.execute(text("DROP TABLE sender_identity"))
        session.execute(text("ALTER TABLE provider_account RENAME TO mislaid"))
    with serve(assemble(context, [twilio.routes(context)], Limits())) as url:
        webhooks = TwilioWebhooks(url, PUBLIC_URL, NEW, ACCOUNT)
        assert webhooks.text("STOP", headers={"X-Twilio-Signature": ""}).status_code == 403
        assert webhooks.text("STOP").status_code == 503
    store.close()


@ON_ONE_DATABASE
def test_nothing_personal_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG", logger="sender"), caplog.at_level("DEBUG", logger="uvicorn"):
        world.twilio.text("please stop, says Ann")
        world.twilio.text("STOP", headers={"X-Twilio-Signature": "x"})
        world.twilio.status("SM1", "failed", code="21610")
    assert "900456" not in caplog.text
    assert "Ann" not in caplog.text
    assert NEW not in caplog.text
