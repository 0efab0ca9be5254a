"""Twilio's webhooks: what people text back, and what became of messages.

    POST → signature → a person's words? → suppressed first, kept, answered in TwiML
                     → a status?         → kept once, the delivery told of it

Answers: 200 or 204 after the commit; 403 for what Twilio did not sign, of which nothing is read;
400 for a signed form that names no message; 503 (by the application) for whatever failed here.
Twilio tries again only where the webhook's address asks for it (docs/providers.md).
"""

import html
import os
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import select

from sender.campaigns.accounts import account_settings
from sender.context import Context
from sender.inbound.receive import receive
from sender.inbound.replies import take_reply
from sender.providers.twilio.events import (
    IDEMPOTENCY_HEADER,
    UnreadableFormError,
    is_persons_text,
    persons_reply,
    status_notification,
)
from sender.providers.twilio.signature import (
    ForgedError,
    SignedForm,
    WebhookAccount,
    accounts_behind,
)
from sender.store.controllers import ProviderAccount
from sender.vocabulary import Arrival, BlockCause, EventKind, ProviderName, ReplyMeaning
from sender.web.answers import plain
from sender.web.metrics import EVENTS, OPT_OUTS, REFUSED
from sender.web.public import public_url_of

MESSAGES_PATH = "/webhooks/twilio/messages"
STATUS_PATH = "/webhooks/twilio/status"

_XML = "text/xml"
_NAME = ProviderName.TWILIO.value
_KINDS = {
    ReplyMeaning.STOP: EventKind.OPTED_OUT,
    ReplyMeaning.START: EventKind.OPTED_IN,
}

_FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "required": ["MessageSid", "AccountSid"],
                    "properties": {
                        name: {"type": "string"}
                        for name in (
                            "MessageSid",
                            "AccountSid",
                            "MessagingServiceSid",
                            "From",
                            "To",
                            "Body",
                            "OptOutType",
                            "SmsStatus",
                            "MessageStatus",
                            "ErrorCode",
                        )
                    },
                    "additionalProperties": {"type": "string"},
                }
            }
        },
    },
    "parameters": [
        {
            "in": "header",
            "name": "X-Twilio-Signature",
            "required": True,
            "schema": {"type": "string"},
            "description": "Over the public URL and the form, by the account's token or key.",
        }
    ],
}

_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "A person's words are kept.", "content": {_XML: {}}},
    204: {"description": "A status is kept."},
    400: {"description": "A signed form that names no message."},
    403: {"description": "Not signed by Twilio."},
    503: {"description": "Nothing is kept; tell it again."},
}


def routes(context: Context) -> APIRouter:
    """Return Twilio's two webhooks; each takes what was meant for the other."""
    router = APIRouter()

    async def take(request: Request) -> Response:
        body = await request.body()
        try:
            form = SignedForm.read(public_url_of(request, context), request.headers, body)
            token = request.headers.get(IDEMPOTENCY_HEADER)
            return await run_in_threadpool(_take, context, form, token)
        except ForgedError as error:
            REFUSED.labels(route=_NAME, why=error.why).inc()
            return plain(HTTPStatus.FORBIDDEN)
        except UnreadableFormError:
            REFUSED.labels(route=_NAME, why="unreadable").inc()
            return plain(HTTPStatus.BAD_REQUEST)

    for path, name in ((MESSAGES_PATH, "twilio_messages"), (STATUS_PATH, "twilio_status")):
        router.add_api_route(
            path,
            take,
            methods=["POST"],
            name=name,
            operation_id=name,
            response_class=Response,
            responses=_ANSWERS,
            openapi_extra=_FORM,
        )
    return router


def _take(context: Context, form: SignedForm, token: str | None) -> Response:
    account_ids = accounts_behind(form, _accounts(context))
    if is_persons_text(form.fields):
        return _take_text(context, form, account_ids)
    return _take_status(context, form, account_ids, token)


def _accounts(context: Context) -> list[WebhookAccount]:
    query = select(ProviderAccount).where(ProviderAccount.provider == ProviderName.TWILIO)
    with context.store.read() as session:
        return [
            WebhookAccount.of(row.id, account_settings(row, context), os.environ)
            for row in session.scalars(query)
        ]


def _take_text(context: Context, form: SignedForm, account_ids: tuple[int, ...]) -> Response:
    reply = persons_reply(form.fields, account_ids)
    with context.store.write() as session:
        taken = take_reply(session, context, reply, context.clock.now())
    if kind := _KINDS.get(taken.meaning):
        EVENTS.labels(provider=_NAME, kind=kind.value, again=str(taken.again).lower()).inc()
    if taken.meaning is ReplyMeaning.STOP and not taken.again:
        OPT_OUTS.labels(way="text").inc()
    return Response(_twiml(taken.answer), media_type=_XML)


def _take_status(
    context: Context, form: SignedForm, account_ids: tuple[int, ...], token: str | None
) -> Response:
    notification = status_notification(form.fields, form.query, token)
    with context.store.write() as session:
        received = receive(
            session,
            context.hasher,
            notification,
            account_id=account_ids[0] if len(account_ids) == 1 else None,
            arrived_by=Arrival.WEBHOOK,
            now=context.clock.now(),
            keep_for=timedelta(days=context.settings.event_retention_days),
        )
    for event in notification.events:
        labels = {"kind": event.kind.value, "again": str(received.again).lower()}
        EVENTS.labels(provider=_NAME, **labels).inc()
        if event.block is BlockCause.OPT_OUT and not received.again:
            OPT_OUTS.labels(way="provider").inc()
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _twiml(answer: str | None) -> str:
    """Return TwiML that answers with a text, or with nothing.

    https://www.twilio.com/docs/messaging/twiml
    """
    if answer is None:
        return "<Response/>"
    return f"<Response><Message>{html.escape(answer, quote=False)}</Message></Response>"
