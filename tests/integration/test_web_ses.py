import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import func, select, text

from sender.context import Context
from sender.providers.ses.fetch import UnreachableError
from sender.store.contacts import Contact
from sender.store.controllers import ProviderAccount
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.store.inbound import Alert, InboundEvent, InboundNotification
from sender.store.suppressions import Block, SuppressionEvent
from sender.vocabulary import (
    EVERY,
    EVERY_CHANNEL,
    BlockCause,
    Channel,
    DeliveryState,
    EventKind,
    ProviderName,
)
from sender.web.app import assemble
from sender.web.limits import Limits
from sender.web.metrics import EVENTS, REFUSED
from sender.web.ses import PATH, UNSUBSCRIBED_ALERT, routes
from tests.fakes.sns import CERTIFICATE_URL, ISSUER_URL, SUBSCRIBE_URL, TOPIC, SnsFake
from tests.support.factory import (
    Organisation,
    add_account,
    add_campaign,
    add_contact,
    add_delivery,
    add_identity,
    add_point,
    add_run,
    address_id_of,
    establish,
)
from tests.support.web_context import web_context
from tests.support.web_server import serve

DATA = Path(__file__).parents[1] / "unit" / "data" / "ses"
PERSON = "recipient@example.com"
OTHER_TOPIC = "arn:aws:sns:eu-west-2:123456789012:other-events"
FOREIGN_TOPIC = "arn:aws:sns:eu-west-2:999999999999:ses-events"
MESSAGE_ID = "0102019f3c5a7e11-5b1c2d3e-0a1b-4c2d-9e3f-a1b2c3d4e5f6-000000"
SECRET = "a long secret made by chance"


@dataclass
class World:
    """One controller that sent one message through SES, and the webhook over real HTTP."""

    context: Context
    sns: SnsFake
    url: str
    organisation: Organisation
    contact_id: int
    address_id: int
    delivery_id: int
    run_id: int

    @property
    def store(self) -> Store:
        return self.context.store

    def post(self, body: bytes, **headers: str) -> requests.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        every = {"Content-Type": "text/plain; charset=UTF-8", **named}
        return requests.post(
            self.url + PATH, data=body, headers=every, timeout=30, allow_redirects=False
        )

    def tell(self, event: Mapping[str, Any], **changed: Any) -> requests.Response:
        return self.post(self.sns.event(event, **changed))

    def tell_raw(
        self,
        event: Mapping[str, Any],
        *,
        secret: str | None,
        topic: str = TOPIC,
        message_id: str = "11111111-2222-3333-4444-555555555555",
    ) -> requests.Response:
        headers = {
            "x_amz_sns_rawdelivery": "true",
            "x_amz_sns_topic_arn": topic,
            "x_amz_sns_message_id": message_id,
        }
        return requests.post(
            self.url + PATH,
            data=json.dumps(event).encode(),
            headers={name.replace("_", "-"): value for name, value in headers.items()},
            auth=None if secret is None else ("sns", secret),
            timeout=30,
        )

    def event(self, name: str, *, tagged: bool = True) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text())
        tags = document["mail"].setdefault("tags", {})
        tags.pop("delivery-id", None)
        tags.pop("run-id", None)
        if tagged:
            tags |= {"delivery-id": [str(self.delivery_id)], "run-id": [str(self.run_id)]}
        return document

    def blocks(self, address_id: int | None = None) -> set[tuple[int, str, BlockCause]]:
        query = select(Block.controller_id, Block.channel, Block.cause).where(
            Block.address_id == (address_id or self.address_id)
        )
        with self.store.read() as session:
            return {(row[0], row[1], row[2]) for row in session.execute(query)}

    def count(self, table: type[Any]) -> int:
        with self.store.read() as session:
            return session.scalar(select(func.count()).select_from(table)) or 0

    def kinds(self) -> list[EventKind]:
        with self.store.read() as session:
            return list(session.scalars(select(InboundEvent.kind).order_by(InboundEvent.id)))

    def delivery(self) -> Delivery:
        with self.store.read() as session:
            return session.get_one(Delivery, self.delivery_id)

    def set_account(self, name: str, **options: Any) -> int:
        """Add an SES account, or change its options; return its id."""
        with self.store.write() as session:
            account = add_account(session, name, provider=ProviderName.SES)
            account.options = options
            return account.id


@pytest.fixture
def world(store: Store) -> Iterator[World]:
    context, sns = web_context(store), SnsFake()
    with store.write() as session:
        organisation = establish(session)
        account = add_account(
            session, "ses-main", provider=ProviderName.SES, options={"topic_arns": [TOPIC]}
        )
        identity = add_identity(
            session,
            organisation.controller,
            Channel.EMAIL,
            account=account,
            address="news@example.com",
            name="ses",
        )
        contact = add_contact(session, organisation.controller)
        point = add_point(session, contact, PERSON)
        through_ses = replace(organisation, identities={Channel.EMAIL: identity})
        run = add_run(session, through_ses, add_campaign(session, organisation.controller)[1])
        delivery = add_delivery(
            session, run, point, state=DeliveryState.ACCEPTED, provider_message_id=MESSAGE_ID
        )
        ids = (contact.id, point.address_id, delivery.id, run.id)
    app = assemble(context, [routes(context, sns, sns.roots)], Limits())
    with serve(app) as url:
        yield World(context, sns, url, organisation, *ids)


def refused(why: str) -> float:
    return float(REFUSED.labels(route="ses", why=why)._value.get())


# What is proven


def test_a_complaint_is_an_objection_at_the_controller_of_the_message(world: World) -> None:
    answer = world.tell(world.event("event-complaint-abuse"))

    assert (answer.status_code, answer.content) == (200, b"")
    assert (world.organisation.id, EVERY_CHANNEL, BlockCause.OBJECTION) in world.blocks()
    assert {controller for controller, *_ in world.blocks()} == {world.organisation.id}
    with world.store.read() as session:
        assert session.get_one(Contact, world.contact_id).objected_at is not None
    assert world.delivery().complained_at is not None


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_permanent_bounce_stops_messages_to_the_address(world: World, version: str) -> None:
    answer = world.tell(world.event("event-bounce-permanent"), SignatureVersion=version)

    assert answer.status_code == 200
    assert {cause for *_, cause in world.blocks()} == {BlockCause.BOUNCE}
    assert world.delivery().bounced_at is not None


def test_a_message_told_again_changes_nothing(world: World) -> None:
    body = world.sns.event(world.event("event-complaint-abuse"))
    counted = EVENTS.labels(provider="ses", kind="complained", again="true")._value
    before = counted.get()

    assert world.post(body).status_code == 200
    set_before = world.count(SuppressionEvent)
    assert [world.post(body).status_code for _ in range(3)] == [200, 200, 200]

    assert world.count(InboundNotification) == 1
    assert world.count(SuppressionEvent) == set_before
    assert counted.get() == before + 3


def test_a_message_told_at_the_same_time_is_kept_once(world: World) -> None:
    body = world.sns.event(world.event("event-bounce-permanent"))

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: world.post(body).status_code, range(8)))

    assert answers == [200] * 8
    assert world.count(InboundNotification) == 1
    assert world.count(SuppressionEvent) == 1


def test_an_older_notification_finds_its_message_by_the_providers_name(world: World) -> None:
    document = world.event("simulator-complaint", tagged=False)
    document["complaint"]["complainedRecipients"] = [{"emailAddress": PERSON}]

    assert world.tell(document).status_code == 200

    assert {controller for controller, *_ in world.blocks()} == {world.organisation.id}
    assert world.delivery().complained_at is not None


def test_a_message_that_is_not_on_record_is_its_senders(world: World) -> None:
    document = world.event("event-bounce-permanent", tagged=False)
    document["mail"]["messageId"] = "another"
    document["mail"]["source"] = "Riverside <News@Example.com>"
    document["bounce"]["bouncedRecipients"] = [{"emailAddress": "Nobody@Example.com"}]

    assert world.tell(document).status_code == 200

    with world.store.write() as session:
        nobody = address_id_of(session, "nobody@example.com")
    assert {controller for controller, *_ in world.blocks(nobody)} == {world.organisation.id}


def test_every_recipient_of_an_event_is_stopped(world: World) -> None:
    document = world.event("notification-bounce-without-dsn", tagged=False)
    document["mail"]["messageId"] = "another"

    assert world.tell(document).status_code == 200

    for plain in ("jane@example.com", "richard@example.com"):
        with world.store.write() as session:
            one = address_id_of(session, plain)
        assert {cause for *_, cause in world.blocks(one)} == {BlockCause.BOUNCE}


def test_a_topic_of_two_accounts_tells_of_neither(world: World) -> None:
    world.set_account("ses-second", topic_arns=[TOPIC])

    assert world.tell(world.event("event-send")).status_code == 200

    with world.store.read() as session:
        row = session.scalars(select(InboundNotification)).one()
        assert row.account_id is None


def test_a_notification_is_of_the_account_that_lists_its_topic(world: World) -> None:
    second = world.set_account("ses-second", topic_arns=[OTHER_TOPIC])

    assert world.tell(world.event("event-send"), TopicArn=OTHER_TOPIC).status_code == 200

    with world.store.read() as session:
        row = session.scalars(select(InboundNotification)).one()
        assert (row.account_id, row.provider) == (second, ProviderName.SES)


def test_every_known_shape_is_taken_and_names_nobody(world: World) -> None:
    paths = [p for p in sorted(DATA.glob("*.json")) if not p.name.startswith("envelope-")]
    texts = [path.read_text() for path in [*paths, DATA / "topic-validated.txt"]]

    answers = [world.post(world.sns.event(one)).status_code for one in texts]

    assert answers == [200] * len(texts)
    with world.store.read() as session:
        kept = list(session.scalars(select(InboundNotification)))
        assert len(kept) == len(texts)
        assert not [row.id for row in kept if "@" in json.dumps(row.payload)]
        events = session.scalars(select(InboundEvent))
        assert not [row.id for row in events if "@" in f"{row.code}{row.raw_type}"]


def test_the_header_with_the_type_is_not_believed(world: World) -> None:
    body = world.sns.event(world.event("event-bounce-permanent"))

    answer = world.post(body, x_amz_sns_message_type="UnsubscribeConfirmation")

    assert answer.status_code == 200
    assert world.kinds() == [EventKind.BOUNCED]


def test_the_text_that_validates_a_topic_is_taken(world: World) -> None:
    body = world.sns.event("Successfully validated SNS topic for Amazon SES event publishing.")

    assert world.post(body).status_code == 200
    assert world.kinds() == [EventKind.UNKNOWN]


# What is not


@pytest.mark.parametrize("dialect", ["sqlite"])  # nothing is written
def test_a_foreign_topic_is_refused_however_well_it_is_signed(world: World) -> None:
    before = refused("topic")

    for kind in ("Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"):
        assert world.post(world.sns.body(kind, TopicArn=FOREIGN_TOPIC)).status_code == 403

    assert refused("topic") == before + 3
    assert world.sns.fetched == []
    assert world.count(InboundNotification) + world.count(Alert) == 0


def test_a_topic_that_was_taken_off_the_list_is_refused_at_once(world: World) -> None:
    body = world.sns.event(world.event("event-send"))
    with world.store.write() as session:
        session.scalars(
            select(ProviderAccount).where(ProviderAccount.name == "ses-main")
        ).one().options = {}

    assert world.post(body).status_code == 403


@pytest.mark.parametrize("dialect", ["sqlite"])  # nothing is written
def test_only_accounts_of_ses_listen(world: World) -> None:
    with world.store.write() as session:
        account = add_account(session, "text", provider=ProviderName.TWILIO)
        account.options = {"topic_arns": [FOREIGN_TOPIC]}

    assert world.post(world.sns.body(TopicArn=FOREIGN_TOPIC)).status_code == 403


@pytest.mark.parametrize("dialect", ["sqlite"])  # nothing is written
def test_a_changed_message_is_refused(world: World) -> None:
    message = world.sns.message(Message=json.dumps(world.event("event-complaint-abuse")))
    other = world.sns.message(Message="other", Timestamp="2026")
    before = refused("signature")

    for field in ("Message", "MessageId", "Timestamp", "Signature"):
        changed = message | {field: other[field]}
        assert world.post(json.dumps(changed).encode()).status_code == 403

    assert refused("signature") == before + 4
    assert world.blocks() == set()
    assert world.count(InboundNotification) == 0


@pytest.mark.parametrize("dialect", ["sqlite"])  # nothing is written
def test_a_certificate_that_does_not_hold_is_refused(world: World) -> None:
    world.sns.pages[CERTIFICATE_URL] = b"<html>"
    before = refused("certificate")

    assert world.post(world.sns.body()).status_code == 403
    assert refused("certificate") == before + 1


@pytest.mark.parametrize("dialect", ["sqlite"])  # nothing is written
def test_a_certificate_elsewhere_is_refused_and_not_fetched(world: World) -> None:
    url = CERTIFICATE_URL.replace(".com/", ".com.evil.example/")

    assert world.post(world.sns.body(SigningCertURL=url)).status_code == 403
    assert world.sns.fetched == []


@pytest.mark.parametrize("dialect", ["sqlite"])  # nothing is written
def test_what_is_no_message_is_malformed(world: World) -> None:
    for body in (b"", b"{", b"[]", b"\xff", b'{"Type": "Foreseen"}'):
        assert world.post(body).status_code == 400


@pytest.mark.parametrize("dialect", ["sqlite"])  # nothing is written
def test_a_bare_event_is_refused(world: World) -> None:
    body = json.dumps(world.event("event-complaint-abuse")).encode()

    assert world.post(body).status_code == 403
    assert world.blocks() == set()


# Subscriptions


@pytest.mark.parametrize("dialect", ["sqlite"])  # nothing is written
def test_a_subscription_of_a_listed_topic_is_confirmed(world: World) -> None:
    assert world.post(world.sns.body("SubscriptionConfirmation")).status_code == 200

    assert world.sns.fetched == [CERTIFICATE_URL, ISSUER_URL, SUBSCRIBE_URL]
    assert world.count(InboundNotification) == 0


@pytest.mark.parametrize("dialect", ["sqlite"])  # nothing is written
def test_a_subscription_is_confirmed_at_amazon_only(world: World) -> None:
    elsewhere = "https://sns.eu-west-2.amazonaws.com.evil.example/?Action=ConfirmSubscription"

    answer = world.post(world.sns.body("SubscriptionConfirmation", SubscribeURL=elsewhere))

    assert answer.status_code == 403
    assert elsewhere not in world.sns.fetched


@pytest.mark.parametrize("dialect", ["sqlite"])  # nothing is written
def test_a_confirmation_that_fails_is_asked_for_again(world: World) -> None:
    body = world.sns.body("SubscriptionConfirmation")
    page = world.sns.pages[SUBSCRIBE_URL]
    world.sns.pages[SUBSCRIBE_URL] = UnreachableError("down")

    assert world.post(body).status_code == 503

    world.sns.pages[SUBSCRIBE_URL] = page
    assert world.post(body).status_code == 200


def test_the_end_of_a_subscription_raises_an_alert_and_is_not_undone(world: World) -> None:
    assert world.post(world.sns.body("UnsubscribeConfirmation")).status_code == 200

    assert SUBSCRIBE_URL not in world.sns.fetched
    with world.store.read() as session:
        alert = session.scalars(select(Alert)).one()
        assert (alert.kind, alert.subject, alert.times) == (UNSUBSCRIBED_ALERT, TOPIC, 1)


# What fails here


@pytest.mark.parametrize("url", [CERTIFICATE_URL, ISSUER_URL])
def test_a_certificate_that_cannot_be_fetched_now_is_asked_for_again(
    world: World, url: str
) -> None:
    body = world.sns.event(world.event("event-complaint-abuse"))
    page = world.sns.pages.pop(url)

    answer = world.post(body)

    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert world.count(InboundNotification) == 0
    world.sns.pages[url] = page
    assert world.post(body).status_code == 200
    assert world.blocks() != set()


def test_a_failing_database_is_told_again_and_loses_nothing(world: World) -> None:
    body = world.sns.event(world.event("event-complaint-abuse"))
    with world.store.write() as session:
        session.execute(text("ALTER TABLE inbound_event RENAME TO inbound_event_away"))

    assert world.post(body).status_code == 503

    assert world.blocks() == set()
    with world.store.write() as session:
        session.execute(text("ALTER TABLE inbound_event_away RENAME TO inbound_event"))
    assert world.post(body).status_code == 200
    assert world.blocks() != set()


# Raw delivery


@pytest.fixture
def raw(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("SES_HOOK_NEW", SECRET)
    monkeypatch.setenv("SES_HOOK_OLD", "the secret before it")
    monkeypatch.setenv("SES_HOOK_EMPTY", "")
    world.set_account(
        "ses-main",
        topic_arns=[TOPIC],
        webhook_secret_variables=["SES_HOOK_NEW", "SES_HOOK_OLD", "SES_HOOK_EMPTY"],
    )
    return world


@pytest.mark.parametrize("dialect", ["sqlite"])  # nothing is written
def test_a_raw_message_is_refused_where_no_secret_is_set(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SES_HOOK_EMPTY", " ")
    world.set_account(
        "ses-main",
        topic_arns=[TOPIC],
        webhook_secret_variables=["SES_HOOK_EMPTY", "SES_HOOK_UNSET"],
    )
    before = refused("unsigned")

    for secret in (None, "", SECRET):
        answer = world.tell_raw(world.event("event-complaint-abuse"), secret=secret)
        assert answer.status_code == 403

    assert refused("unsigned") == before + 3
    assert world.blocks() == set()


@pytest.mark.parametrize("dialect", ["sqlite"])  # nothing is written
def test_a_raw_message_without_secret_is_asked_for_it(raw: World) -> None:
    answer = raw.tell_raw(raw.event("event-complaint-abuse"), secret=None)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert raw.count(InboundNotification) == 0


@pytest.mark.parametrize("secret", [SECRET, "the secret before it"])
def test_a_raw_message_with_the_secret_is_believed(raw: World, secret: str) -> None:
    document = raw.event("event-complaint-abuse")

    answers = [raw.tell_raw(document, secret=secret).status_code for _ in range(2)]

    assert answers == [200, 200]
    assert raw.count(InboundNotification) == 1
    assert {controller for controller, *_ in raw.blocks()} == {raw.organisation.id}
    assert raw.sns.fetched == []


@pytest.mark.parametrize("dialect", ["sqlite"])  # nothing is written
def test_a_raw_message_with_a_wrong_secret_is_refused(raw: World) -> None:
    before = refused("secret")

    for secret in ("", "x", SECRET + " ", SECRET.upper(), "é", SECRET[:-1]):
        answer = raw.tell_raw(raw.event("event-complaint-abuse"), secret=secret)
        assert answer.status_code == 403

    assert refused("secret") == before + 6
    assert raw.blocks() == set()


@pytest.mark.parametrize("dialect", ["sqlite"])  # nothing is written
def test_a_malformed_secret_is_refused(raw: World) -> None:
    for authorization in (
        *(
            "x",
            "Basic",
            "Basic !",
            "Basic eA==",
            f"Bearer {SECRET}",
            "Basic /////w==",
            "Basic Og==",
        ),
    ):
        answer = raw.post(
            b"{}",
            x_amz_sns_rawdelivery="true",
            x_amz_sns_topic_arn=TOPIC,
            x_amz_sns_message_id="1",
            authorization=authorization,
        )
        assert answer.status_code == 403


@pytest.mark.parametrize("dialect", ["sqlite"])  # nothing is written
def test_a_secret_opens_its_own_accounts_topics_only(
    raw: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SES_HOOK_SECOND", "a secret of another account")
    raw.set_account(
        "ses-second", topic_arns=[OTHER_TOPIC], webhook_secret_variables=["SES_HOOK_SECOND"]
    )
    document = raw.event("event-complaint-abuse")

    assert raw.tell_raw(document, secret=SECRET, topic=OTHER_TOPIC).status_code == 403
    assert raw.tell_raw(document, secret=SECRET, topic="").status_code == 403
    assert raw.tell_raw(document, secret=SECRET, topic=TOPIC).status_code == 200


@pytest.mark.parametrize("dialect", ["sqlite"])  # nothing is written
def test_a_raw_message_needs_a_name(raw: World) -> None:
    for message_id in ("", "x" * 201, "a b", "a/b"):
        answer = raw.tell_raw(raw.event("event-send"), secret=SECRET, message_id=message_id)
        assert answer.status_code == 400


def test_a_raw_message_that_is_no_event_is_kept_as_unknown(raw: World) -> None:
    answer = requests.post(
        raw.url + PATH,
        data=b"Successfully validated SNS topic for Amazon SES event publishing.",
        headers={
            "x-amz-sns-rawdelivery": "true",
            "x-amz-sns-topic-arn": TOPIC,
            "x-amz-sns-message-id": "abc",
        },
        auth=("anybody", SECRET),
        timeout=30,
    )

    assert answer.status_code == 200
    assert raw.kinds() == [EventKind.UNKNOWN]


def test_a_signed_message_needs_no_secret(raw: World) -> None:
    assert raw.tell(raw.event("event-send")).status_code == 200


def test_a_block_for_everybody_is_never_set_by_an_event_with_a_sender(world: World) -> None:
    for name in ("event-bounce-permanent", "event-complaint-abuse", "bounce-suppressed"):
        assert world.tell(world.event(name)).status_code == 200

    with world.store.read() as session:
        assert EVERY not in set(session.scalars(select(Block.controller_id)))
