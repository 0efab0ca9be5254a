"""What Amazon SES publishes of a message, in the vocabulary of all providers.

https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html describes
those with `eventType`; the older ones with `notificationType`, which carry no tags, stand at
https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html.

Nothing that is new, missing or of another type than documented is an error: it becomes `unknown`.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parseaddr
from typing import Any, Final

from sender.contacts.normalise import AddressRefusedError, normalise
from sender.providers.events import Notification, ProviderEvent
from sender.providers.ses.scrub import code_of, scrub
from sender.vocabulary import BlockCause, Channel, EventKind, ProviderName

MAX_TYPE_CHARACTERS: Final = 64
MAX_CODE_CHARACTERS: Final = 200
MAX_RECIPIENTS: Final = 1_000
"""Of one event; SES sends to 50 recipients at most in one message."""

_INTEGER: Final = re.compile(r"-?\d{1,18}", re.ASCII)
_ADDRESS_TYPE: Final = re.compile(r"\s*(?:rfc822|utf-8|mailto)\s*[;:]\s*", re.IGNORECASE)
_ANGLED: Final = re.compile(r"<([^<>]*)>\s*\Z")
_LONGEST_ADDRESS: Final = 2_000

_NO_SPAM: Final = "not-spam"
"""complaintFeedbackType of somebody who took a message out of the spam folder."""


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What one event says, whomever it concerns."""

    kind: EventKind
    code: str = ""
    block: BlockCause | None = None
    transient: bool = False


def read_event(name: str, text: str) -> Notification:
    """Read the text of an SNS message, or the body that raw delivery sends.

    Args:
        name: SNS's MessageId.
        text: JSON of an event; SES also sends plain texts, once a topic is set up.
    """
    document = _object(text)
    if document is None:
        return _plain(name, "text", {"characters": len(text)})
    raw_type = _type_of(document)
    if raw_type is None:
        return _plain(name, "unknown", scrub(document))
    mail = _part(document, "mail")
    key, read = _READERS.get(_folded(raw_type), ("", _read_unknown))
    details = _part(document, key)
    common = _common(raw_type, read(details), details, mail)
    events = tuple(replace(common, address=one) for one in _recipients(details, mail))
    return Notification(
        provider=ProviderName.SES,
        name=name,
        raw_type=raw_type,
        events=events or (common,),
        payload=scrub(document),
    )


def _plain(name: str, raw_type: str, payload: dict[str, Any]) -> Notification:
    event = ProviderEvent(EventKind.UNKNOWN, raw_type, None, Channel.EMAIL)
    return Notification(ProviderName.SES, name, raw_type, (event,), payload)


def _common(
    raw_type: str, meaning: _Meaning, details: dict[str, Any], mail: dict[str, Any]
) -> ProviderEvent:
    """Return the event as it is for every recipient."""
    tags = _part(mail, "tags")
    return ProviderEvent(
        kind=meaning.kind,
        raw_type=raw_type,
        occurred_at=_time(details.get("timestamp")) or _time(mail.get("timestamp")),
        channel=Channel.EMAIL,
        delivery_id=_tagged(tags, "delivery-id"),
        run_id=_tagged(tags, "run-id"),
        provider_message_id=code_of(mail.get("messageId")) or None,
        code=meaning.code[:MAX_CODE_CHARACTERS],
        block=meaning.block,
        transient=meaning.transient,
        sender=_sender(mail),
    )


def _read_bounce(bounce: dict[str, Any]) -> _Meaning:
    """Permanent blocks, also when SES did not try because of its own lists; others are counted."""
    kind = code_of(bounce.get("bounceType")) or "Undetermined"
    code = f"{kind}/{code_of(bounce.get('bounceSubType')) or 'Undetermined'}"
    if _folded(kind) == "permanent":
        return _Meaning(EventKind.BOUNCED, code, BlockCause.BOUNCE)
    return _Meaning(EventKind.BOUNCED, code, transient=True)


def _read_complaint(complaint: dict[str, Any]) -> _Meaning:
    said = code_of(complaint.get("complaintFeedbackType"))
    code = f"complaint/{said or code_of(complaint.get('complaintSubType')) or 'unspecified'}"
    if said.lower() == _NO_SPAM:
        return _Meaning(EventKind.UNKNOWN, code)
    return _Meaning(EventKind.COMPLAINED, code, BlockCause.COMPLAINT)


def _read_subscription(subscription: dict[str, Any]) -> _Meaning:
    """A no to everything, or to a topic that it was not said to before, is a no.

    The topics are those of a contact list kept at SES, which stand for no purpose here: what was
    refused cannot be known, so it is the channel.
    """
    now = _part(subscription, "newTopicPreferences")
    before = _refused_topics(_part(subscription, "oldTopicPreferences"))
    source = code_of(subscription.get("source")) or "unspecified"
    if now.get("unsubscribeAll") is True or _refused_topics(now) - before:
        return _Meaning(EventKind.OPTED_OUT, f"subscription/{source}", BlockCause.OPT_OUT)
    return _Meaning(EventKind.UNKNOWN, f"subscription/{source}")


def _refused_topics(preferences: dict[str, Any]) -> set[str]:
    return {
        str(one.get("topicName"))
        for one in _objects(preferences.get("topicSubscriptionStatus"))
        if one.get("subscriptionStatus") == "OptOut"
    }


def _read_reject(reject: dict[str, Any]) -> _Meaning:
    return _Meaning(EventKind.REJECTED, code_of(reject.get("reason")))


def _read_delay(delay: dict[str, Any]) -> _Meaning:
    return _Meaning(EventKind.DEFERRED, code_of(delay.get("delayType")))


def _read_unknown(_: dict[str, Any]) -> _Meaning:
    return _Meaning(EventKind.UNKNOWN)


def _always(kind: EventKind) -> Callable[[dict[str, Any]], _Meaning]:
    return lambda _: _Meaning(kind)


_READERS: Final[dict[str, tuple[str, Callable[[dict[str, Any]], _Meaning]]]] = {
    "send": ("send", _always(EventKind.SENT)),
    "delivery": ("delivery", _always(EventKind.DELIVERED)),
    "bounce": ("bounce", _read_bounce),
    "complaint": ("complaint", _read_complaint),
    "reject": ("reject", _read_reject),
    "open": ("open", _always(EventKind.OPENED)),
    "click": ("click", _always(EventKind.CLICKED)),
    "renderingfailure": ("failure", _always(EventKind.FAILED)),
    "deliverydelay": ("deliveryDelay", _read_delay),
    "subscription": ("subscription", _read_subscription),
}
"""By folded type: the member with the details, and how they are read."""


def _recipients(details: dict[str, Any], mail: dict[str, Any]) -> list[str]:
    """Return whom the event concerns, each once: those it names, or all that the mail went to."""
    named = [
        *_addresses(details.get("bouncedRecipients")),
        *_addresses(details.get("complainedRecipients")),
        *_addresses(details.get("delayedRecipients")),
        *_addresses(details.get("recipients")),
    ]
    return list(dict.fromkeys(named or _addresses(mail.get("destination"))))


def _addresses(value: object) -> Iterator[str]:
    for one in value[:MAX_RECIPIENTS] if isinstance(value, list) else ():
        found = _address(one.get("emailAddress") if isinstance(one, dict) else one)
        if found is not None:
            yield found


def _address(value: object) -> str | None:
    """Return the normalised address; None where there is none that a message could go to.

    Receiving systems report addresses in every form: with a display name, in angle brackets, in
    capitals, or with the address type of a delivery report (RFC 3464, section 2.3.2).
    """
    if not isinstance(value, str) or len(value) > _LONGEST_ADDRESS:
        return None
    text = _ADDRESS_TYPE.sub("", value, count=1) if _ADDRESS_TYPE.match(value) else value
    angled = _ANGLED.search(text)
    for candidate in (text, angled[1] if angled else "", parseaddr(text)[1]):
        try:
            return normalise(Channel.EMAIL, candidate)
        except AddressRefusedError:
            continue
    return None


def _sender(mail: dict[str, Any]) -> str | None:
    headers = _part(mail, "commonHeaders").get("from")
    written = headers[0] if isinstance(headers, list) and headers else None
    return _address(mail.get("source")) or _address(written)


def _tagged(tags: dict[str, Any], name: str) -> int | None:
    """Return the number in a tag; SES gives the values of each tag as a list."""
    value = tags.get(name)
    first = value[0] if isinstance(value, list) and value else value
    if isinstance(first, str) and _INTEGER.fullmatch(first):
        return int(first)
    return None


def _type_of(document: dict[str, Any]) -> str | None:
    for key in ("eventType", "notificationType"):
        if found := code_of(document.get(key), MAX_TYPE_CHARACTERS):
            return found
    return None


def _folded(word: str) -> str:
    return word.replace(" ", "").lower()


def _time(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        read = datetime.fromisoformat(value)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _object(text: str) -> dict[str, Any] | None:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _part(document: dict[str, Any], name: str) -> dict[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> Iterator[dict[str, Any]]:
    for one in value if isinstance(value, list) else ():
        if isinstance(one, dict):
            yield one
