"""Amazon SES's events of what the fake took: posted to `sender web`, or taken in directly.

They go by SNS's raw delivery, whose secret stands in the endpoint's address; a signed envelope
proves no more here.
"""

import base64
import http.client
import json
import random
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self

from psycopg.errors import DeadlockDetected
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from sender.clock import SystemClock
from sender.inbound.receive import receive
from sender.providers.ses.events import read_event
from sender.store.controllers import ProviderAccount
from sender.vocabulary import Arrival, ProviderName
from sender.web import ses
from tests.fakes.loop import Received
from tests.fakes.sns import TOPIC
from tests.support.campaign_folder import Office
from tests.support.opt_outs import connect

SECRETS = {"SES_WEBHOOK_SECRET": "c2VjcmV0LWluLXRoZS1hZGRyZXNz"}
_IN_A_TRANSACTION = 100
_MOST_TRIES = 100_000


def listen_to_events(office: Office) -> None:
    """Let the office's SES account take events by raw delivery."""
    with office.store.write() as session:
        query = select(ProviderAccount).where(ProviderAccount.provider == ProviderName.SES)
        account = session.scalars(query).one()
        account.options = account.options | {
            "topic_arns": [TOPIC],
            "webhook_secret_variables": list(SECRETS),
        }


def event_of(message: Received, kind: str) -> dict[str, Any]:
    """Return what SES publishes of a message that it took."""
    at = SystemClock().now().isoformat()
    tags = {name: [value] for name, value in message.message["tags"].items()}
    mail = {
        "timestamp": at,
        "messageId": message.message["message_id"],
        "destination": message.message["to"],
        "tags": tags,
    }
    return {"eventType": kind, "mail": mail, kind.lower(): {"timestamp": at}}


def take_in(
    office: Office, messages: Iterable[Received], *, kinds: tuple[str, ...] = ("Send", "Delivery")
) -> None:
    """Take in what SES tells of these messages, as its webhook does.

    Many in a transaction, for speed, so that one may cross with what a web server takes in at the
    same time; as SES would, this tells it again then.
    """
    events = [(message, kind) for message in messages for kind in kinds]
    for first in range(0, len(events), _IN_A_TRANSACTION):
        some = events[first : first + _IN_A_TRANSACTION]
        while not _are_taken_in(office, some):
            pass


def _are_taken_in(office: Office, events: Iterable[tuple[Received, str]]) -> bool:
    try:
        with office.store.write() as session:
            for message, kind in events:
                name = _name(message, kind)
                receive(
                    session,
                    office.context.hasher,
                    read_event(name, json.dumps(event_of(message, kind))),
                    account_id=None,
                    arrived_by=Arrival.WEBHOOK,
                    now=office.context.clock.now(),
                    keep_for=timedelta(days=1),
                )
    except OperationalError as error:
        if isinstance(error.orig, DeadlockDetected):
            return False
        raise
    return True


def _name(message: Received, kind: str) -> str:
    return f"{kind}-{message.delivery_id}"


@dataclass
class Courier:
    """Posts events while messages are sent: early, twice, and again until they are acknowledged.

    Attributes:
        url: where `sender web` is now; it may be killed and start again elsewhere.
        taken: the provider's messages, which grow.
        chance: which of them it tells of.
        told: the deliveries whose event was acknowledged.
    """

    url: Callable[[], str]
    taken: list[Received]
    chance: random.Random
    told: set[int] = field(default_factory=set)
    errors: list[BaseException] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._place = len(self.taken)
        self._thread = threading.Thread(target=self._guarded)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(timeout=60)
        assert not self._thread.is_alive()
        assert not self.errors, self.errors

    def _guarded(self) -> None:
        try:
            while not self._over.wait(0.01):
                for message in self.taken[self._place :]:
                    self._place += 1
                    if self.chance.random() < 0.2:
                        self._tell(message)
        except BaseException as error:  # noqa: BLE001  # handed to the test's own thread
            self.errors.append(error)

    def _tell(self, message: Received) -> None:
        text = json.dumps(event_of(message, "Delivery")).encode()
        for _ in range(self.chance.choice((1, 1, 2))):
            until_acknowledged(
                self.url, ses.PATH, text, _headers(_name(message, "Delivery")), self._over
            )
        self.told.add(message.delivery_id)


def until_acknowledged(
    url: Callable[[], str],
    path: str,
    body: bytes,
    headers: dict[str, str],
    over: threading.Event,
) -> None:
    """Post, again and again while nobody is there, as providers and mail programs do."""
    for _ in range(_MOST_TRIES):
        try:
            connection = connect(url())
            try:
                connection.request("POST", path, body, headers)
                status = connection.getresponse().status
            finally:
                connection.close()
        except (OSError, http.client.HTTPException):
            if over.wait(0.02):
                return
            continue
        if status != 503:
            assert status in {200, 204}, status
            return
    raise AssertionError("never acknowledged")


def _headers(name: str) -> dict[str, str]:
    secret = base64.b64encode(f"sns:{SECRETS['SES_WEBHOOK_SECRET']}".encode()).decode()
    return {
        "Content-Type": "text/plain",
        "x-amz-sns-rawdelivery": "true",
        "x-amz-sns-topic-arn": TOPIC,
        "x-amz-sns-message-id": name,
        "Authorization": f"Basic {secret}",
    }
