import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from sender.errors import ProviderError
from sender.providers.account import AccountSettings
from sender.providers.events import Notification
from sender.providers.ses.pull import suppressed_destinations
from sender.store.keys import AddressHasher
from sender.vocabulary import BlockCause, EventKind, ProviderName
from tests.fakes.http import Fault
from tests.fakes.loop import unused_port
from tests.fakes.ses import SesFake, Suppressed, error_answer
from tests.support.factory import HASHER

ENVIRON = {
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrEXAMPLE",
    "AWS_REGION": "eu-west-2",
}
SINCE = datetime(2026, 4, 1, tzinfo=UTC)
LATER = SINCE + timedelta(days=3, milliseconds=120)


@pytest.fixture
def fake() -> Iterator[SesFake]:
    with SesFake() as running:
        yield running


def pull(
    fake: SesFake | None,
    *,
    since: datetime = SINCE,
    hasher: AddressHasher = HASHER,
    environ: dict[str, str] = ENVIRON,
) -> list[Notification]:
    url = fake.url if fake else f"http://127.0.0.1:{unused_port()}"
    settings = AccountSettings("main", ProviderName.SES, endpoint_url=url)
    return list(suppressed_destinations(settings, environ, timedelta(seconds=5), since, hasher))


def test_a_bounce_and_a_complaint_block_as_their_webhook_would_have(fake: SesFake) -> None:
    fake.suppressed = [
        Suppressed("Jane@Example.com", "BOUNCE", LATER),
        Suppressed("mary@example.com", "COMPLAINT", LATER),
        Suppressed("richard@example.com", "FORESEEN", LATER),
    ]

    events = [one.events[0] for one in pull(fake)]

    assert [(one.address, one.kind, one.block, one.code) for one in events] == [
        (
            "jane@example.com",
            EventKind.BOUNCED,
            BlockCause.BOUNCE,
            "suppression-list/BOUNCE",
        ),
        (
            "mary@example.com",
            EventKind.COMPLAINED,
            BlockCause.COMPLAINT,
            "suppression-list/COMPLAINT",
        ),
        (
            "richard@example.com",
            EventKind.BOUNCED,
            BlockCause.BOUNCE,
            "suppression-list/FORESEEN",
        ),
    ]
    assert {one.occurred_at for one in events} == {LATER}
    assert {one.delivery_id for one in events} == {None}


def test_all_pages_are_read(fake: SesFake) -> None:
    addresses = [f"person{number}@example.com" for number in range(25)]
    fake.suppressed = [Suppressed(address, "BOUNCE", LATER) for address in addresses]
    fake.page_size = 10

    assert [one.events[0].address for one in pull(fake)] == addresses
    assert len(fake.requests) == 3


def test_only_what_is_new_is_asked_for(fake: SesFake) -> None:
    before = SINCE - timedelta(seconds=1)
    fake.suppressed = [
        Suppressed("old@example.com", "BOUNCE", before),
        Suppressed("new@example.com", "BOUNCE", SINCE),
    ]
    elsewhere = SINCE.astimezone(timezone(timedelta(hours=5)))

    for since in (SINCE, elsewhere):
        assert [one.events[0].address for one in pull(fake, since=since)] == ["new@example.com"]


def test_a_name_is_the_same_again_and_another_when_it_happened_again(fake: SesFake) -> None:
    fake.suppressed = [Suppressed("jane@example.com", "BOUNCE", LATER)]
    (first,), (again,) = pull(fake), pull(fake)

    fake.suppressed = [Suppressed("jane@example.com", "BOUNCE", LATER + timedelta(seconds=1))]
    (renewed,) = pull(fake)

    assert first == again
    assert first.name != renewed.name


def test_a_name_tells_nobody_the_address_who_lacks_the_key(fake: SesFake) -> None:
    fake.suppressed = [Suppressed("jane@example.com", "BOUNCE", LATER)]

    (mine,) = pull(fake)
    (theirs,) = pull(fake, hasher=AddressHasher(bytes(32)))

    assert mine.name != theirs.name
    assert mine.name.startswith("suppressed:")
    assert len(mine.name) <= 200
    assert "example" not in json.dumps([mine.name, dict(mine.payload)])


def test_an_address_that_cannot_be_one_is_still_kept(fake: SesFake) -> None:
    fake.suppressed = [Suppressed("not an address", "BOUNCE", LATER)]

    (notification,) = pull(fake)

    assert notification.events[0].address is None


def test_a_passing_fault_is_tried_again(fake: SesFake) -> None:
    fake.suppressed = [Suppressed("jane@example.com", "BOUNCE", LATER)]
    busy = error_answer(429, "TooManyRequestsException", "Too many requests")
    fake.script.extend([Fault.HANG_UP, busy, None])

    assert len(pull(fake)) == 1
    assert len(fake.requests) == 3


def test_refused_credentials_say_what_is_needed(fake: SesFake) -> None:
    fake.known_key = "AKIAOTHER"

    with pytest.raises(ProviderError, match="ListSuppressedDestinations") as refused:
        pull(fake)

    assert "ses:ListSuppressedDestinations" in refused.value.remedy


def test_missing_credentials_and_an_unreachable_service_are_told() -> None:
    with pytest.raises(ProviderError, match="AWS_ACCESS_KEY_ID"):
        pull(None, environ={})
    with pytest.raises(ProviderError, match="cannot be reached"):
        pull(None)
