import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from sender.errors import ProviderError
from sender.providers.account import AccountSettings
from sender.providers.twilio.events import (
    UnreadableFormError,
    persons_reply,
    status_notification,
)
from sender.providers.twilio.pull import inbound_messages, message_outcomes
from sender.vocabulary import BlockCause, EventKind, ProviderName
from tests.fakes.http import Answer, Fault
from tests.fakes.loop import unused_port
from tests.fakes.twilio import TwilioFake, error_answer

ACCOUNT = "AC" + "0" * 32
ENVIRON = {"TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_AUTH_TOKEN": "tokenEXAMPLE"}
NOON = datetime(2026, 4, 21, 12, tzinfo=UTC)
TIMEOUT = timedelta(seconds=5)
PERSON, NUMBER = "+447700900456", "+447700900123"
Pull = Callable[..., Any]
EACH = pytest.mark.parametrize("pull", [inbound_messages, message_outcomes])


@pytest.fixture
def fake() -> Iterator[TwilioFake]:
    with TwilioFake() as running:
        yield running


def account(url: str) -> AccountSettings:
    return AccountSettings("texts", ProviderName.TWILIO, endpoint_url=url)


def pulled(
    pull: Pull, fake: TwilioFake, since: datetime = NOON, environ: dict[str, str] = ENVIRON
) -> list[Any]:
    return list(pull(account(fake.url), environ, TIMEOUT, since))


def test_what_people_wrote_comes_as_their_words_over_all_pages(fake: TwilioFake) -> None:
    fake.page_limit = 2
    for minute in range(7):
        fake.note(sid=f"SM{minute}", body=f"word {minute}", at=NOON + timedelta(minutes=minute))
        fake.note(direction="outbound-api", status="delivered", from_=NUMBER, to=PERSON)
        fake.note(direction="outbound-reply", status="sent", from_=NUMBER, to=PERSON)

    replies = pulled(inbound_messages, fake)

    assert [(one.name, one.body) for one in replies] == [
        (f"SM{minute}", f"word {minute}") for minute in reversed(range(7))
    ]
    assert {(one.address, one.to, one.opt_out_type) for one in replies} == {
        (PERSON, (NUMBER,), None)
    }
    assert replies[0].occurred_at == NOON + timedelta(minutes=6)
    assert len(fake.requests) == 11


def test_a_page_asks_for_much_and_for_whole_days(fake: TwilioFake) -> None:
    pulled(inbound_messages, fake, since=datetime(2026, 4, 21, 0, 30, tzinfo=UTC))

    query = parse_qs(urlsplit(fake.requests[0].path).query)
    assert query["PageSize"] == ["1000"]
    assert query["DateSent>"] == ["2026-04-20"]


def test_older_messages_are_left_out_but_for_a_day(fake: TwilioFake) -> None:
    for days in (30, 2, 1, 0):
        fake.note(sid=f"SM{days}", at=NOON - timedelta(days=days))

    assert [one.name for one in reversed(pulled(inbound_messages, fake))] == ["SM1", "SM0"]


def test_outcomes_say_what_became_of_each_message(fake: TwilioFake) -> None:
    fake.note(sid="SM9", body="STOP")
    for number, (status, code) in enumerate(
        [("queued", None), ("delivered", None), ("undelivered", 30005), ("failed", 21610)]
    ):
        fake.note(
            sid=f"SM{number}",
            direction="outbound-api",
            status=status,
            error_code=code,
            from_=NUMBER,
            to=f"+44770090000{number}",
            price="-0.0400",
            at=NOON + timedelta(minutes=number),
        )

    told = pulled(message_outcomes, fake)
    events = [one.events[0] for one in told]

    assert [one.name for one in told] == [
        "SM3:failed:21610",
        "SM2:undelivered:30005",
        "SM1:delivered",
        "SM0:queued",
    ]
    assert [(event.kind, event.block) for event in events] == [
        (EventKind.FAILED, BlockCause.OPT_OUT),
        (EventKind.BOUNCED, BlockCause.INVALID),
        (EventKind.DELIVERED, None),
        (EventKind.SENT, None),
    ]
    assert [event.provider_message_id for event in events] == ["SM3", "SM2", "SM1", "SM0"]
    assert events[0].address == "+447700900003"
    assert events[0].sender == NUMBER
    assert events[0].occurred_at == NOON + timedelta(minutes=3)
    assert events[0].delivery_id is None
    assert told[0].payload["Price"] == "-0.0400"
    assert "+4477" not in str([dict(one.payload) for one in told])


def test_what_is_pulled_has_the_name_that_its_webhook_had(fake: TwilioFake) -> None:
    fake.note(sid="SM1", body="STOP")
    fake.note(sid="SM2", direction="outbound-api", status="undelivered", error_code=30003)
    text = {
        "MessageSid": "SM1",
        "From": PERSON,
        "To": NUMBER,
        "Body": "STOP",
        "SmsStatus": "received",
    }
    status = {"MessageSid": "SM2", "MessageStatus": "undelivered", "ErrorCode": "30003"}

    assert pulled(inbound_messages, fake)[0].name == persons_reply(text).name
    assert (
        pulled(message_outcomes, fake)[0].name
        == status_notification(status, {"delivery": "5"}, "a-token").name
    )


def test_a_message_without_a_name_is_told_of_and_not_passed_over(fake: TwilioFake) -> None:
    fake.note(sid=None)
    with pytest.raises(UnreadableFormError):
        pulled(inbound_messages, fake)


@EACH
def test_refused_credentials_are_an_error_that_says_what_to_do(
    fake: TwilioFake, pull: Pull
) -> None:
    fake.known_token = "another"
    with pytest.raises(ProviderError, match=r"texts.*401") as caught:
        pulled(pull, fake)
    assert "token" in caught.value.remedy
    assert "tokenEXAMPLE" not in str(caught.value)
    with pytest.raises(ProviderError, match="TWILIO_AUTH_TOKEN"):
        pulled(pull, fake, environ={"TWILIO_ACCOUNT_SID": ACCOUNT})


@EACH
@pytest.mark.parametrize(
    "step",
    [
        error_answer(503, 20503),
        error_answer(429, 20429),
        Answer.nonsense(200),
        Answer.html(502),
        Answer.from_json(200, {"what": 1, "is": 2}),
        Fault.RESET,
        Fault.TRUNCATED,
        Fault.HANG_UP,
    ],
    ids=["503", "429", "nonsense", "html", "no page", "reset", "truncated", "hang up"],
)
def test_a_list_that_breaks_off_is_an_error_and_not_an_end(
    fake: TwilioFake, pull: Pull, step: Answer | Fault
) -> None:
    fake.page_limit = 1
    for direction in ("inbound", "outbound-api") * 2:
        fake.note(direction=direction, status="sent", body="secret words")
    fake.script.extend([None, None, step])

    with pytest.raises(ProviderError) as caught:
        pulled(pull, fake)
    assert "secret" not in str(caught.value)
    assert "4477" not in str(caught.value)


@EACH
def test_an_account_that_cannot_be_reached_is_an_error(pull: Pull) -> None:
    with pytest.raises(ProviderError, match="cannot be reached"):
        list(pull(account(f"http://127.0.0.1:{unused_port()}"), ENVIRON, TIMEOUT, NOON))


def test_nothing_personal_is_logged(fake: TwilioFake, caplog: pytest.LogCaptureFixture) -> None:
    fake.note(body="Secret text")
    with caplog.at_level(logging.DEBUG):
        pulled(inbound_messages, fake)
    assert "900456" not in caplog.text
    assert "Secret" not in caplog.text


def test_the_connection_is_closed_when_nobody_reads_on(fake: TwilioFake) -> None:
    fake.page_limit = 1
    for _ in range(3):
        fake.note(body="x")
    replies = inbound_messages(account(fake.url), ENVIRON, TIMEOUT, NOON)
    assert isinstance(replies, Iterator)
    next(replies)
    replies.close()  # type: ignore[attr-defined]  # a generator's
    assert len(fake.requests) == 1
