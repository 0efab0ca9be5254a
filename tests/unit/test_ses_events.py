import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.providers.events import Notification, ProviderEvent
from sender.providers.ses.events import read_event
from sender.providers.ses.scrub import TEXT
from sender.vocabulary import BlockCause, Channel, EventKind, ProviderName

DATA = Path(__file__).parent / "data" / "ses"
PAYLOADS = sorted(p for p in DATA.glob("*.json") if not p.name.startswith("envelope-"))
MESSAGE_ID = "0102019f3c5a7e11-5b1c2d3e-0a1b-4c2d-9e3f-a1b2c3d4e5f6-000000"
RECIPIENT = ("recipient@example.com",)
JANE_AND_RICHARD = ("jane@example.com", "richard@example.com")


@dataclass(frozen=True)
class Expected:
    kind: EventKind
    code: str = ""
    block: BlockCause | None = None
    whom: tuple[str | None, ...] = RECIPIENT
    transient: bool = False
    delivery_id: int | None = None


def simulator(name: str) -> tuple[str]:
    return (f"{name}@simulator.amazonses.com",)


def bounced(code: str, **changed: Any) -> Expected:
    return Expected(EventKind.BOUNCED, code, BlockCause.BOUNCE, **changed)


def counted(code: str, **changed: Any) -> Expected:
    return Expected(EventKind.BOUNCED, code, transient=True, **changed)


def complained(code: str, **changed: Any) -> Expected:
    return Expected(EventKind.COMPLAINED, code, BlockCause.COMPLAINT, **changed)


EXPECTED = {
    "bounce-addresses-in-odd-forms": bounced(
        "Permanent/NoEmail",
        whom=("jane@example.com", "richard@example.com", "mary@example.com"),
        delivery_id=4711,
    ),
    "bounce-attachment-rejected": counted("Transient/AttachmentRejected"),
    "bounce-invented-subtype": counted("Transient/SRETeamEatenByDinosaurs"),
    "bounce-mailbox-full": counted("Transient/MailboxFull", delivery_id=4711),
    "bounce-on-account-suppression-list": bounced(
        "Permanent/OnAccountSuppressionList", delivery_id=4711
    ),
    "bounce-suppressed": bounced("Permanent/Suppressed"),
    "bounce-two-recipients-sparse": bounced("Permanent/General", whom=JANE_AND_RICHARD),
    "bounce-undetermined": counted("Undetermined/Undetermined", delivery_id=4711),
    "complaint-not-spam": Expected(EventKind.UNKNOWN, "complaint/not-spam", delivery_id=4711),
    "complaint-on-account-suppression-list": complained(
        "complaint/OnAccountSuppressionList", whom=simulator("suppressionlist+blocked")
    ),
    "delivery-of-another-service": Expected(EventKind.DELIVERED, delivery_id=4711),
    "event-bounce-permanent": bounced("Permanent/General", delivery_id=4711),
    "event-click": Expected(EventKind.CLICKED, delivery_id=4711),
    "event-complaint-abuse": complained("complaint/abuse", delivery_id=4711),
    "event-delivery": Expected(EventKind.DELIVERED, delivery_id=4711),
    "event-delivery-delay": Expected(
        EventKind.DEFERRED, "TransientCommunicationFailure", delivery_id=4711
    ),
    "event-open": Expected(EventKind.OPENED, delivery_id=4711),
    "event-reject": Expected(EventKind.REJECTED, "Bad content", delivery_id=4711),
    "event-rendering-failure": Expected(EventKind.FAILED, delivery_id=4711),
    "event-send": Expected(EventKind.SENT, delivery_id=4711),
    "event-subscription-opt-in": Expected(
        EventKind.UNKNOWN, "subscription/SubscriptionPage", delivery_id=4711
    ),
    "event-subscription-topic-opt-out": Expected(
        EventKind.OPTED_OUT,
        "subscription/SubscriptionPage",
        BlockCause.OPT_OUT,
        delivery_id=4711,
    ),
    "event-subscription-unsubscribe-all": Expected(
        EventKind.OPTED_OUT,
        "subscription/UnsubscribeHeader",
        BlockCause.OPT_OUT,
        delivery_id=4711,
    ),
    "notification-bounce-with-dsn": bounced("Permanent/General", whom=("jane@example.com",)),
    "notification-bounce-without-dsn": bounced("Permanent/General", whom=JANE_AND_RICHARD),
    "notification-complaint-with-feedback": complained(
        "complaint/abuse", whom=("richard@example.com",)
    ),
    "notification-complaint-without-feedback": complained(
        "complaint/unspecified", whom=("richard@example.com",)
    ),
    "notification-delivery": Expected(EventKind.DELIVERED, whom=("jane@example.com",)),
    "notification-received": Expected(EventKind.UNKNOWN, whom=("office@example.com",)),
    "simulator-bounce": bounced("Permanent/General", whom=simulator("bounce")),
    "simulator-complaint": complained("complaint/abuse", whom=simulator("complaint")),
    "simulator-out-of-office-bounce": counted("Transient/General", whom=simulator("ooto")),
    "simulator-out-of-office-delivery": Expected(EventKind.DELIVERED, whom=simulator("ooto")),
    "simulator-success": Expected(EventKind.DELIVERED, whom=simulator("success")),
    "simulator-suppression-list": bounced("Permanent/General", whom=simulator("suppressionlist")),
    "topic-subscription-succeeded": Expected(EventKind.UNKNOWN, whom=(None,)),
    "type-of-the-future": Expected(EventKind.UNKNOWN, delivery_id=4711),
}


def read(document: Mapping[str, Any] | str) -> Notification:
    text = document if isinstance(document, str) else json.dumps(document)
    return read_event("22b80b92", text)


def only(document: Mapping[str, Any]) -> ProviderEvent:
    (event,) = read(document).events
    return event


def bounce_of(**changed: Any) -> dict[str, Any]:
    bounce = {
        "bounceType": "Permanent",
        "bounceSubType": "General",
        "bouncedRecipients": [{"emailAddress": "jane@example.com"}],
    }
    return {"eventType": "Bounce", "bounce": bounce, "mail": changed}


def test_every_payload_is_expected() -> None:
    assert {path.stem for path in PAYLOADS} == set(EXPECTED)
    assert len(PAYLOADS) >= 25


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.stem)
def test_a_payload_says_what_happened_to_whom(path: Path) -> None:
    expected = EXPECTED[path.stem]
    notification = read(path.read_text())

    assert notification.provider is ProviderName.SES
    assert notification.name == "22b80b92"
    assert tuple(event.address for event in notification.events) == expected.whom
    for event in notification.events:
        assert (event.kind, event.code, event.block) == (
            expected.kind,
            expected.code,
            expected.block,
        )
        assert event.transient is expected.transient
        assert event.delivery_id == expected.delivery_id
        assert event.channel is Channel.EMAIL
        assert event.raw_type == notification.raw_type


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.stem)
def test_what_is_kept_of_a_payload_names_nobody(path: Path) -> None:
    text = path.read_text()
    kept = json.dumps(read(text).payload)
    personal = set(re.findall(r"[\w.+-]+@[\w.-]+", text)) | {
        *("Jane", "Doe", "Mary", "Richard", "News from", "A question", "Mozilla", "192.0.2."),
        *("user unknown", "User unknown", "over quota", "example.com", "simulator"),
    }

    assert not [one for one in personal if one.lower() in kept.lower()]
    assert "@" not in kept


def test_codes_times_and_numbers_are_kept() -> None:
    payload = read((DATA / "event-bounce-permanent.json").read_text()).payload

    assert payload["eventType"] == "Bounce"
    assert payload["bounce"]["bounceType"] == "Permanent"
    assert payload["bounce"]["bouncedRecipients"] == [
        {"emailAddress": TEXT, "action": "failed", "status": "5.1.1", "diagnosticCode": TEXT}
    ]
    assert payload["mail"]["messageId"] == MESSAGE_ID
    assert payload["mail"]["tags"]["delivery-id"] == ["4711"]
    assert payload["mail"]["headersTruncated"] is False
    assert "headers" not in payload["mail"]


def test_fields_of_the_future_leave_their_place_but_not_their_text() -> None:
    payload = read((DATA / "type-of-the-future.json").read_text()).payload

    assert payload["foreseen"] == {
        "timestamp": "2026-04-21T11:41:02.669Z",
        "recipients": [TEXT],
        "confidence": 0.75,
        "note": TEXT,
        "nested": {"who": TEXT, "by": [TEXT]},
    }


def test_an_event_has_the_time_of_what_happened() -> None:
    happened = datetime(2026, 4, 21, 11, 41, 2, 669_000, tzinfo=UTC)
    sent = datetime(2026, 4, 21, 11, 40, 2, 12_000, tzinfo=UTC)

    def time_of(name: str) -> datetime | None:
        return only(json.loads((DATA / f"{name}.json").read_text())).occurred_at

    assert time_of("event-bounce-permanent") == happened
    assert time_of("event-send") == sent
    assert time_of("delivery-of-another-service") == datetime(
        2026, 4, 21, 11, 41, 2, 841_080, tzinfo=UTC
    )


def test_an_event_tells_the_message_the_run_and_the_sender() -> None:
    event = only(json.loads((DATA / "event-complaint-abuse.json").read_text()))

    assert event.provider_message_id == MESSAGE_ID
    assert (event.delivery_id, event.run_id) == (4711, 12)
    assert event.sender == "news@example.com"


def test_the_numbers_of_replies_stay_negative() -> None:
    event = only(bounce_of(tags={"delivery-id": ["-9"], "run-id": "0"}))

    assert (event.delivery_id, event.run_id) == (-9, 0)


@pytest.mark.parametrize(
    "value", [[], {}, None, True, 7, "", "x", ["x"], [7], ["1" * 30], ["1\n"], ["٣"], [["1"]]]
)
def test_a_tag_that_is_no_number_is_no_delivery(value: object) -> None:
    assert only(bounce_of(tags={"delivery-id": value})).delivery_id is None


def test_the_sender_is_found_in_the_headers_too() -> None:
    event = only(bounce_of(commonHeaders={"from": ["The Party <News@Example.com>"]}))

    assert event.sender == "news@example.com"


@pytest.mark.parametrize(
    "written",
    [
        "jane@example.com",
        "JANE@EXAMPLE.COM",
        " <jane@example.com> ",
        "Jane Doe <jane@example.com>",
        '"Doe, Jane" <Jane@example.com>',
        "=?utf-8?q?J=C3=A4ne?= <jane@example.com>",
        "rfc822;jane@example.com",
        "RFC822; Jane@Example.com",
        "utf-8;jane@example.com",
        "mailto:jane@example.com",
        "jane@example.com (Jane)",
    ],
)
def test_an_address_is_found_in_whatever_form_it_is_reported(written: str) -> None:
    document = bounce_of()
    document["bounce"]["bouncedRecipients"] = [{"emailAddress": written}]

    assert only(document).address == "jane@example.com"


def test_an_event_without_recipients_concerns_all_that_the_mail_went_to() -> None:
    document = bounce_of(destination=["jane@example.com", "Mary <mary@example.com>"])
    document["bounce"]["bouncedRecipients"] = []

    events = read(document).events

    assert [event.address for event in events] == ["jane@example.com", "mary@example.com"]
    assert {event.block for event in events} == {BlockCause.BOUNCE}


def test_an_event_without_any_address_still_tells_of_its_delivery() -> None:
    event = only({"eventType": "Delivery", "mail": {"tags": {"delivery-id": ["5"]}}})

    assert (event.address, event.delivery_id) == (None, 5)


def test_a_bounce_of_an_unknown_type_is_counted_and_blocks_nobody() -> None:
    document = bounce_of()
    document["bounce"]["bounceType"] = "Sideways"

    event = only(document)

    assert (event.kind, event.block, event.transient) == (EventKind.BOUNCED, None, True)


@pytest.mark.parametrize("said", ["not-spam", "Not-Spam"])
def test_taking_a_message_out_of_the_spam_folder_is_no_complaint(said: str) -> None:
    complaint = {"complaintFeedbackType": said}
    event = only({"eventType": "Complaint", "complaint": complaint, "mail": {}})

    assert (event.kind, event.block) == (EventKind.UNKNOWN, None)


@pytest.mark.parametrize("said", ["abuse", "auth-failure", "fraud", "other", "virus", "x", None, 7])
def test_every_other_complaint_is_one(said: object) -> None:
    complaint = {"complaintFeedbackType": said}
    event = only({"eventType": "Complaint", "complaint": complaint, "mail": {}})

    assert (event.kind, event.block) == (EventKind.COMPLAINED, BlockCause.COMPLAINT)


@pytest.mark.parametrize("said", ["true", 1, None, False])
def test_only_a_true_unsubscribe_all_is_one(said: object) -> None:
    preferences = {"newTopicPreferences": {"unsubscribeAll": said}}
    event = only({"eventType": "Subscription", "subscription": preferences, "mail": {}})

    assert (event.kind, event.block) == (EventKind.UNKNOWN, None)


def test_a_topic_that_was_refused_before_is_no_new_opt_out() -> None:
    refused = {"topicSubscriptionStatus": [{"topicName": "a", "subscriptionStatus": "OptOut"}]}
    both = {"newTopicPreferences": refused, "oldTopicPreferences": refused}

    assert only({"eventType": "Subscription", "subscription": both}).block is None


@pytest.mark.parametrize("word", ["Rendering Failure", "RenderingFailure", "rendering failure"])
def test_a_message_that_could_not_be_rendered_failed(word: str) -> None:
    assert only({"eventType": word, "mail": {}}).kind is EventKind.FAILED


def test_the_text_that_validates_a_topic_is_kept_as_unknown() -> None:
    notification = read((DATA / "topic-validated.txt").read_text())

    assert [event.kind for event in notification.events] == [EventKind.UNKNOWN]
    assert notification.raw_type == "text"
    assert notification.payload == {"characters": 65}


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "7", '"jane@example.com"', "{", "{}", "[" * 100_000, '{"a":' * 100_000],
)
def test_what_is_no_event_is_kept_as_unknown(text: str) -> None:
    notification = read(text)

    assert [event.kind for event in notification.events] == [EventKind.UNKNOWN]
    assert "@" not in json.dumps(notification.payload)


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 400, "-" + "9" * 30]
)
def test_numbers_that_a_database_refuses_are_not_kept(number: str) -> None:
    payload = read(f'{{"eventType": "Send", "send": {{"odd": {number}}}}}').payload

    assert payload["send"] == {"odd": TEXT}


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(
        [
            *("Bounce", "Complaint", "Permanent", "jane@example.com", "<jane@example.com>"),
            *("2026-04-21T11:40:02.012Z", "0001-01-01T00:00:00+23:59", "4711", "OptOut", "\ud800"),
        ]
    )
)
keys = st.sampled_from(
    [
        *("eventType", "notificationType", "mail", "bounce", "complaint", "delivery", "open"),
        *("subscription", "failure", "deliveryDelay", "tags", "delivery-id", "destination"),
        *("bouncedRecipients", "complainedRecipients", "recipients", "emailAddress", "timestamp"),
        *("newTopicPreferences", "unsubscribeAll", "topicSubscriptionStatus", "source", "from"),
        *("commonHeaders", "messageId", "bounceType", "complaintFeedbackType"),
    ]
)
documents = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(keys | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=30,
)
events = st.fixed_dictionaries(
    {"eventType": st.sampled_from(["Bounce", "Complaint", "Subscription", "Open"]) | leaves},
    optional=dict.fromkeys(("mail", "bounce", "complaint", "subscription", "open"), documents),
)


@given(documents | events)
def test_whatever_comes_is_read_without_an_error(document: object) -> None:
    notification = read_event("name", json.dumps(document))

    assert notification.events
    for event in notification.events:
        assert event.occurred_at is None or event.occurred_at.tzinfo is UTC
        for text in (event.address, event.sender, event.code, event.provider_message_id):
            assert "\0" not in (text or "").encode().decode()
    kept = json.dumps(notification.payload, allow_nan=False)
    assert "@" not in kept
    assert "\\u" not in kept


@given(st.text())
def test_whatever_text_comes_is_read_without_an_error(text: str) -> None:
    assert read_event("name", text).events
