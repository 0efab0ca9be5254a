"""Amazon SES's webhook: bounces, complaints, deliveries and the rest, through Amazon SNS.

    POST → topic on the list? → signature (or, with raw delivery, the secret) → what type?
        Notification → kept once, suppressed first, the delivery told of it
        SubscriptionConfirmation → confirmed
        UnsubscribeConfirmation → an alert: nobody may end it unseen

Answers: 200 after the commit; 400 for what is no SNS message; 401 where a secret is asked for; 403
for what is not proven to come from a listed topic; 503 (by the application) for whatever failed
here, a certificate that cannot be fetched among it. SNS sends again after a 5xx and not after a 4xx
(https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html).
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

from cryptography.x509 import Certificate
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import select

from sender.campaigns.accounts import account_settings
from sender.context import Context
from sender.inbound.receive import receive
from sender.providers.events import Notification
from sender.providers.ses.events import read_event
from sender.providers.ses.fetch import Fetch, fetch
from sender.providers.ses.raw_delivery import (
    SecretMissingError,
    SecretRefusedError,
    is_raw,
    read_raw,
)
from sender.providers.ses.sns import (
    Envelope,
    MalformedEnvelopeError,
    MessageType,
    SignatureRefusedError,
    UnsignedMessageError,
    parse_envelope,
    require_signature,
)
from sender.providers.ses.sns_certificates import CertificateRefusedError, SnsCertificates
from sender.providers.ses.sns_hosts import ForeignUrlError, require_sns_url
from sender.providers.ses.topics import ForeignTopicError, ListeningAccount, accounts_of_topic
from sender.store.alert_book import raise_alert
from sender.store.controllers import ProviderAccount
from sender.vocabulary import Arrival, EventKind, ProviderName
from sender.web.answers import plain
from sender.web.metrics import EVENTS, OPT_OUTS, REFUSED

PATH: Final = "/webhooks/ses"
UNSUBSCRIBED_ALERT: Final = "ses.unsubscribed_topic"

_NAME: Final = ProviderName.SES.value
_WAYS: Final = {EventKind.COMPLAINED: "complaint", EventKind.OPTED_OUT: "ses-subscription"}

_REFUSALS: Final[dict[type[Exception], tuple[HTTPStatus, str]]] = {
    MalformedEnvelopeError: (HTTPStatus.BAD_REQUEST, "malformed"),
    SecretMissingError: (HTTPStatus.UNAUTHORIZED, "secret missing"),
    SecretRefusedError: (HTTPStatus.FORBIDDEN, "secret"),
    UnsignedMessageError: (HTTPStatus.FORBIDDEN, "unsigned"),
    ForeignTopicError: (HTTPStatus.FORBIDDEN, "topic"),
    ForeignUrlError: (HTTPStatus.FORBIDDEN, "url"),
    CertificateRefusedError: (HTTPStatus.FORBIDDEN, "certificate"),
    SignatureRefusedError: (HTTPStatus.FORBIDDEN, "signature"),
}

_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "A message of Amazon SNS; with raw delivery the event of SES itself.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "Kept, confirmed, or known already."},
    400: {"description": "No message of Amazon SNS."},
    401: {"description": "Raw delivery without the endpoint's secret."},
    403: {"description": "Not proven to come from a topic that is listened to."},
    503: {"description": "Nothing is kept; send it again."},
}


def routes(
    context: Context, get: Fetch = fetch, roots: Sequence[Certificate] | None = None
) -> APIRouter:
    """Return the webhook of Amazon SES.

    Args:
        context: the opened installation.
        get: how certificates are fetched and subscriptions confirmed.
        roots: whom to trust as issuers of SNS's certificates; by default the web's usual ones.
    """
    router = APIRouter()
    desk = _Desk(context, SnsCertificates(get, roots), get)

    @router.post(
        PATH,
        name="ses",
        operation_id="ses",
        response_class=Response,
        responses=_ANSWERS,
        openapi_extra=_BODY,
    )
    async def take(request: Request) -> Response:
        body = await request.body()
        try:
            await run_in_threadpool(desk.take, body, request.headers)
        except tuple(_REFUSALS) as error:
            return _refused(error)
        return Response(status_code=HTTPStatus.OK)

    return router


@dataclass(frozen=True, slots=True)
class _Desk:
    """Takes messages in; what it returns from is committed."""

    context: Context
    certificates: SnsCertificates
    get: Fetch

    def take(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Take one request in; raise one of the refusals, or whatever failed."""
        listening = self._accounts()
        if is_raw(headers):
            raw = read_raw(body, headers, listening)
            self._receive(read_event(raw.message_id, raw.text), raw.accounts)
            return
        envelope = parse_envelope(body)
        # The list first: a topic that nobody listens to makes us fetch nothing.
        accounts = accounts_of_topic(envelope.topic_arn, listening)
        require_signature(envelope, self.certificates, self.context.clock.now())
        self._take_proven(envelope, accounts)

    def _take_proven(self, envelope: Envelope, accounts: Sequence[ListeningAccount]) -> None:
        match envelope.type:
            case MessageType.NOTIFICATION:
                self._receive(read_event(envelope.message_id, envelope.message), accounts)
            case MessageType.SUBSCRIPTION:
                require_sns_url(envelope.subscribe_url)
                self.get(envelope.subscribe_url)
            case MessageType.UNSUBSCRIBED:
                self._note_unsubscribed(envelope.topic_arn)

    def _receive(self, notification: Notification, accounts: Sequence[ListeningAccount]) -> None:
        settings = self.context.settings
        with self.context.store.write() as session:
            received = receive(
                session,
                self.context.hasher,
                notification,
                account_id=accounts[0].id if len(accounts) == 1 else None,
                arrived_by=Arrival.WEBHOOK,
                now=self.context.clock.now(),
                keep_for=timedelta(days=settings.event_retention_days),
            )
        _count(notification, again=received.again)

    def _note_unsubscribed(self, topic_arn: str) -> None:
        with self.context.store.write() as session:
            raise_alert(session, UNSUBSCRIBED_ALERT, topic_arn, now=self.context.clock.now())

    def _accounts(self) -> list[ListeningAccount]:
        query = (
            select(ProviderAccount)
            .where(ProviderAccount.provider == ProviderName.SES)
            .order_by(ProviderAccount.id)
        )
        with self.context.store.read() as session:
            return [
                ListeningAccount.of(row.id, account_settings(row, self.context), os.environ)
                for row in session.scalars(query)
            ]


def _count(notification: Notification, *, again: bool) -> None:
    for event in notification.events:
        EVENTS.labels(provider=_NAME, kind=event.kind.value, again=str(again).lower()).inc()
        if event.kind in _WAYS and not again:
            OPT_OUTS.labels(way=_WAYS[event.kind]).inc()


def _refused(error: Exception) -> Response:
    status, why = _REFUSALS[type(error)]
    REFUSED.labels(route=_NAME, why=why).inc()
    answer = plain(status)
    if status is HTTPStatus.UNAUTHORIZED:
        answer.headers["WWW-Authenticate"] = 'Basic realm="Amazon SNS"'
    return answer
