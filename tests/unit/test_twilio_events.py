from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.providers.events import Notification, PersonsReply, ProviderEvent
from sender.providers.outcome import Meaning
from sender.providers.twilio.events import (
    UnreadableFormError,
    is_persons_text,
    persons_reply,
    status_notification,
)
from sender.providers.twilio.outcomes import CODES
from sender.vocabulary import BlockCause, Channel, EventKind, ProviderName

DATA = Path(__file__).parent / "data" / "twilio"
PERSON = "+447700900456"
NUMBER = "+447700900123"
AMERICAN, AMERICAN_NUMBER = "+12025550188", "+12025550123"
SANDBOX = "+14155238886"
SERVICE = "MG" + "0" * 31 + "7"
AT = datetime(2026, 4, 21, 12, tzinfo=UTC)
Form = dict[str, str]


def form(name: str) -> Form:
    body = (DATA / f"{name}.form").read_text(encoding="utf-8").strip()
    return dict(parse_qsl(body, keep_blank_values=True, strict_parsing=True))


def status(name_or_form: str | Form, token: str | None = None, **query: str) -> Notification:
    given_form = form(name_or_form) if isinstance(name_or_form, str) else name_or_form
    return status_notification(given_form, query, token)


def event_of(notification: Notification) -> ProviderEvent:
    (event,) = notification.events
    return event


# What people write


@pytest.mark.parametrize(
    ("name", "person", "to", "body", "opt_out_type"),
    [
        ("text_gb", PERSON, (NUMBER,), "Who's on support?", None),
        ("text_us_plus_and_equals", AMERICAN, (AMERICAN_NUMBER,), "hi there, 2+3=4", None),
        (
            "text_to_a_service",
            AMERICAN,
            (AMERICAN_NUMBER, SERVICE),
            "Why do you say that? ",
            None,
        ),
        ("text_to_a_short_code", AMERICAN, ("384387",), "Msg", None),
        ("text_with_add_ons", AMERICAN, (AMERICAN_NUMBER, SERVICE), "Shsjsjskksk", None),
        ("picture_without_words", AMERICAN, (AMERICAN_NUMBER,), "", None),
        ("picture_without_body", AMERICAN, (AMERICAN_NUMBER,), "", None),
        ("stop_by_advanced_opt_out", PERSON, (NUMBER, SERVICE), "STOP", "STOP"),
        ("start_by_advanced_opt_out", PERSON, (NUMBER, SERVICE), "START", "START"),
        (
            "text_by_whatsapp",
            PERSON,
            (SANDBOX,),
            "Vou mandar está mensagem e depois... \N{BOTTLE WITH POPPING CORK}",
            None,
        ),
        ("button_by_whatsapp", PERSON, (SANDBOX,), "Konfirmasi", None),
        ("place_by_whatsapp", PERSON, (SANDBOX,), "", None),
        ("text_at_the_fallback", PERSON, (NUMBER,), "Stop", None),
        ("signed_by_twilio", "+15017122661", ("+15558675310",), "Ahoy", None),
    ],
)
def test_texts_as_twilio_posts_them_are_persons_words(
    name: str, person: str, to: tuple[str, ...], body: str, opt_out_type: str | None
) -> None:
    told = form(name)

    assert is_persons_text(told)
    assert persons_reply(told, (4,)) == PersonsReply(
        provider=ProviderName.TWILIO,
        name=told["MessageSid"],
        channel=Channel.SMS,
        address=person,
        to=to,
        body=body,
        account_ids=(4,),
        opt_out_type=opt_out_type,
    )


def text(**fields: str) -> Form:
    return {"MessageSid": "SM1", "From": PERSON, "To": NUMBER, "Body": "STOP"} | fields


@pytest.mark.parametrize(
    ("sender", "address"),
    [
        ("+44 7700 900456", PERSON),
        ("whatsapp:+447700900456", PERSON),
        ("rcs:+447700900456", PERSON),
        ("07700900456", PERSON),
        ("+442079460018", "+442079460018"),
        ("60300", "60300"),
        ("ExampleGB", "ExampleGB"),
        ("messenger:7700900456", "messenger:7700900456"),
        ("whatsapp:GB.1000000000000001", "whatsapp:GB.1000000000000001"),
        ("+99900", "+99900"),
    ],
    ids=[
        "spaced",
        "whatsapp",
        "rcs",
        "national",
        "landline",
        "short code",
        "name",
        "messenger",
        "whatsapp without a number",
        "no number",
    ],
)
def test_nobodys_stop_is_lost_for_where_it_comes_from(sender: str, address: str) -> None:
    assert persons_reply(text(From=sender)).address == address


@pytest.mark.parametrize("lacking", [("From",), ("MessageSid",)])
def test_words_of_nobody_and_words_without_a_name_are_unreadable(lacking: tuple[str, ...]) -> None:
    told = {name: value for name, value in text().items() if name not in lacking}
    assert is_persons_text(told)
    with pytest.raises(UnreadableFormError) as caught:
        persons_reply(told)
    assert PERSON not in str(caught.value)


@pytest.mark.parametrize("name", ["SmsMessageSid", "SmsSid"])
def test_older_names_of_the_message_do_as_well(name: str) -> None:
    told = {("MessageSid" if key == name else key): value for key, value in text().items()}
    del told["MessageSid"]
    assert persons_reply(told | {name: "SM7"}).name == "SM7"


def test_what_no_database_takes_is_left_out() -> None:
    reply = persons_reply(text(Body="ST\0OP \ud83d", OptOutType=" stop\0"))
    assert (reply.body, reply.opt_out_type) == ("STOP ?", "STOP")


# What became of messages


@pytest.mark.parametrize(
    ("name", "kind", "code", "block", "transient"),
    [
        ("status_sent", EventKind.SENT, "", None, False),
        ("status_sent_by_a_service", EventKind.SENT, "", None, False),
        ("status_delivered", EventKind.DELIVERED, "", None, False),
        ("status_delivered_mms", EventKind.DELIVERED, "", None, False),
        ("status_failed_30002", EventKind.FAILED, "30002", None, False),
        ("status_undelivered_30003", EventKind.BOUNCED, "30003", None, True),
        ("status_undelivered_30006", EventKind.BOUNCED, "30006", BlockCause.INVALID, False),
        ("status_undelivered_30034", EventKind.FAILED, "30034", None, False),
        ("status_failed_21610", EventKind.FAILED, "21610", BlockCause.OPT_OUT, False),
        ("status_failed_63018", EventKind.FAILED, "63018", None, False),
        ("status_not_known", EventKind.UNKNOWN, "", None, False),
        ("status_sent_by_whatsapp", EventKind.SENT, "", None, False),
        ("status_delivered_by_whatsapp", EventKind.DELIVERED, "", None, False),
        ("status_read_by_whatsapp", EventKind.DELIVERED, "", None, False),
    ],
)
def test_statuses_as_twilio_posts_them_are_outcomes(
    name: str,
    kind: EventKind,
    code: str,
    block: BlockCause | None,
    *,
    transient: bool,
) -> None:
    told = form(name)
    event = event_of(status(name))

    assert not is_persons_text(told)
    assert (event.kind, event.code, event.block, event.transient) == (kind, code, block, transient)
    assert event.provider_message_id == told["MessageSid"]
    assert event.address == (told["To"].removeprefix("whatsapp:") if "To" in told else None)
    assert event.sender == (told["From"].removeprefix("whatsapp:") if "From" in told else None)
    assert event.raw_type == told["MessageStatus"]
    assert (event.delivery_id, event.occurred_at) == (None, None)


def outcome(state: str, code: str = "", **fields: str) -> Form:
    return {"MessageSid": "SM1", "MessageStatus": state, "ErrorCode": code, "To": PERSON} | fields


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("accepted", EventKind.SENT),
        ("scheduled", EventKind.SENT),
        ("queued", EventKind.SENT),
        ("sending", EventKind.SENT),
        ("SENT", EventKind.SENT),
        ("delivered", EventKind.DELIVERED),
        ("read", EventKind.DELIVERED),
        ("undelivered", EventKind.FAILED),
        ("failed", EventKind.FAILED),
        ("canceled", EventKind.FAILED),
        ("partially_delivered", EventKind.UNKNOWN),
    ],
)
def test_each_status_has_its_kind(state: str, kind: EventKind) -> None:
    assert event_of(status(outcome(state))).kind is kind


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("state", ["failed", "undelivered"])
def test_a_code_means_in_a_callback_what_it_means_in_an_answer(code: int, state: str) -> None:
    event = event_of(status(outcome(state, str(code))))

    assert event.block is CODES[code].block
    assert event.transient == (CODES[code].meaning is Meaning.DEFERRED)
    address_at_fault = event.transient or event.block is BlockCause.INVALID
    assert event.kind is (EventKind.BOUNCED if address_at_fault else EventKind.FAILED)


def test_an_opt_out_counts_whatever_the_status_says() -> None:
    event = event_of(status(outcome("sent", "21610")))
    assert (event.kind, event.block) == (EventKind.SENT, BlockCause.OPT_OUT)


@pytest.mark.parametrize("code", ["", "0", "null", "None", "-1", "\u0663", "9" * 10, "30003 "])
def test_no_code_is_none_however_it_is_written(code: str) -> None:
    expected = "30003" if code.strip() == "30003" else ""
    assert event_of(status(outcome("failed", code))).code == expected


def test_a_status_has_one_name_however_often_it_is_told() -> None:
    first = status(outcome("failed", "30003", RawDlrDoneDate="2604211200"), token="a-token")
    again = status(outcome("Failed", "30003", To="+447700900999"), token="a-token")

    assert first.name == again.name == "SM1:failed:30003"
    names = {status(outcome(state)).name for state in ("queued", "sent", "delivered")}
    assert names == {"SM1:queued", "SM1:sent", "SM1:delivered"}
    assert status(outcome("failed", "30007")).name not in {first.name, "SM1:failed"}


def test_only_an_older_callback_says_its_status_elsewhere() -> None:
    told = {"SmsSid": "SM2", "SmsStatus": "delivered", "To": PERSON}
    assert status(told).name == "SM2:delivered"
    assert status(told | {"MessageStatus": "read"}).name == "SM2:read"


@pytest.mark.parametrize(
    ("query", "delivery_id", "run_id"),
    [
        ({"delivery": "5", "run": "7", "v": "1"}, 5, 7),
        ({"delivery": "-3", "run": "0"}, -3, 0),
        ({"delivery": "5 or 1=1", "run": "1.0"}, None, None),
        ({"delivery": "9" * 19, "run": "\u0665"}, None, None),
        ({"delivery": "", "run": "-"}, None, None),
    ],
)
def test_the_delivery_stands_in_the_query(
    query: Form, delivery_id: int | None, run_id: int | None
) -> None:
    event = event_of(status_notification(outcome("sent"), query, None, AT))
    assert (event.delivery_id, event.run_id, event.occurred_at) == (delivery_id, run_id, AT)


def test_what_is_kept_says_neither_to_whom_nor_what() -> None:
    told = form("status_read_by_whatsapp") | {
        "Body": "Dear Ann",
        "ErrorMessage": PERSON,
        "NumSegments": "2",
        "Price": "-0.0400",
        "PriceUnit": "GBP",
    }
    kept = status(told, token="5d3c").payload

    assert kept == {
        "AccountSid": told["AccountSid"],
        "MessageSid": told["MessageSid"],
        "MessageStatus": "read",
        "SmsStatus": "read",
        "NumSegments": "2",
        "Price": "-0.0400",
        "PriceUnit": "GBP",
        "ChannelPrefix": "whatsapp",
        "I-Twilio-Idempotency-Token": "5d3c",
    }


@pytest.mark.parametrize(
    "told", [{}, {"MessageStatus": "sent"}, {"MessageSid": "SM1"}, {"MessageSid": " "}]
)
def test_a_status_of_nothing_is_unreadable(told: Form) -> None:
    assert not is_persons_text(told)
    with pytest.raises(UnreadableFormError):
        status(told)


# Which of the two


@pytest.mark.parametrize(
    "told",
    [
        {"SmsStatus": "received"},
        {"MessageStatus": "receiving"},
        {"Body": ""},
        {"NumMedia": "1"},
        {"OptOutType": "STOP"},
        {"OptOutType": "STOP", "MessageStatus": "delivered"},
    ],
)
def test_words_are_words_on_whichever_path(told: Form) -> None:
    assert is_persons_text(told)


@pytest.mark.parametrize(
    "told", [{"MessageStatus": "sent", "Body": "ours"}, {"SmsStatus": "failed", "NumMedia": "1"}]
)
def test_a_status_that_quotes_our_own_words_is_no_stop(told: Form) -> None:
    assert not is_persons_text(told)


# Anything at all

NAMES = [
    "MessageSid",
    "SmsSid",
    "SmsMessageSid",
    "MessageStatus",
    "SmsStatus",
    "ErrorCode",
    "From",
    "To",
    "Body",
    "OptOutType",
    "NumMedia",
    "AccountSid",
    "MessagingServiceSid",
    "Price",
    "RawDlrDoneDate",
]
SOME = [
    "",
    "received",
    "failed",
    "21610",
    "+447700900456",
    "whatsapp:+1",
    "\0",
    "\ud83d",
    ":",
    "SM1",
]
forms = st.dictionaries(st.sampled_from(NAMES) | st.text(), st.sampled_from(SOME) | st.text())
queries = st.dictionaries(st.sampled_from(["delivery", "run"]), st.text() | st.just("12"))


def storable(value: str) -> bool:
    return "\0" not in value and value.encode("utf-8", "replace").decode() == value


@given(forms, queries, st.none() | st.text())
def test_no_form_makes_reading_fail_otherwise_than_said(
    told: Form, query: Form, token: str | None
) -> None:
    try:
        if is_persons_text(told):
            reply = persons_reply(told)
            assert reply.address
            assert reply.name
            texts = [reply.name, reply.address, reply.body, reply.opt_out_type or "", *reply.to]
        else:
            told_of = status_notification(told, query, token)
            event = event_of(told_of)
            assert told_of.name.startswith(event.provider_message_id or "?")
            assert len(told_of.raw_type) <= 64
            texts = [told_of.name, told_of.raw_type, event.address or "", event.sender or ""]
            texts += [*told_of.payload, *told_of.payload.values()]
        assert all(storable(one) for one in texts)
        assert len(texts[0]) <= 200
    except UnreadableFormError:
        said = {name for name, value in told.items() if value.replace("\0", "").strip()}
        assert not said >= {"From", "MessageSid", "MessageStatus"}
