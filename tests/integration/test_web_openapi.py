"""Whatever the description allows, and much that it does not, is answered without a failure."""

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.checks import not_a_server_error as no_failure
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from sender.context import Context
from sender.store.engine import Store
from sender.suppression.links import token_keys
from sender.vocabulary import DeliveryState, ProviderName
from sender.web import health, pages, ses, sign_up, twilio
from sender.web.app import assemble
from sender.web.headers import SECURITY_HEADERS
from sender.web.limits import Limits
from tests.fakes.sns import TOPIC, SnsFake
from tests.fakes.twilio_webhooks import sign
from tests.support.factory import (
    add_account,
    add_campaign,
    add_contact,
    add_delivery,
    add_point,
    add_run,
    establish,
)
from tests.support.web_context import PUBLIC_URL, web_context
from tests.support.web_server import serve

SAMPLES = [
    json.loads(path.read_text())
    for path in sorted((Path(__file__).parents[1] / "unit/data/ses").glob("event-*.json"))
]
AUTH_TOKEN = "twilio-token-EXAMPLE"
SIGNED = {"/webhooks/ses", "/webhooks/twilio/messages", "/webhooks/twilio/status"}
OPERATIONS = [
    ("GET", "/api/sign-up/{controller}/{form}"),
    ("POST", "/api/sign-up"),
    ("GET", "/c/{token}"),
    ("POST", "/c/{token}"),
    ("GET", "/healthz"),
    ("GET", "/metrics"),
    ("GET", "/readyz"),
    ("GET", "/s/{controller}/{form}"),
    ("POST", "/s/{controller}/{form}"),
    ("GET", "/u/{token}"),
    ("POST", "/u/{token}"),
    ("GET", "/u/{token}/return/{ticket}"),
    ("POST", "/u/{token}/return/{ticket}"),
    ("POST", "/webhooks/ses"),
    ("POST", "/webhooks/twilio/messages"),
    ("POST", "/webhooks/twilio/status"),
]
FORMS = {"/api/sign-up", "/c/{token}", "/s/{controller}/{form}", "/u/{token}"}
WITH_BODY = [("POST", path) for path in sorted({*FORMS, *SIGNED})]
AS_DESCRIBED = [(*operation, GenerationMode.POSITIVE) for operation in OPERATIONS]
OTHERWISE = [(*operation, GenerationMode.NEGATIVE) for operation in WITH_BODY]
CHECKS: list[CheckFunction] = [
    no_failure,
    status_code_conformance,
    content_type_conformance,
]
AnyCase = Case[Any]

OFTEN = settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@dataclass
class Signer(requests.auth.AuthBase):
    """Signs what schemathesis sends, as the provider would; every second one not."""

    sns: SnsFake = field(default_factory=SnsFake)
    signing: bool = True

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        path = urlsplit(str(request.url)).path
        if self.signing and path == "/webhooks/ses":
            request.prepare_body(self.sns.event(self._event(_text(request))), None)
        elif self.signing and path in SIGNED:
            self._sign_form(request)
        return request

    def _event(self, text: str) -> dict[str, Any] | str:
        """Return the text, or a real event in which it takes the place of one value."""
        number = sum(text.encode("utf-8", "surrogatepass"))
        if number % 4 == 0:
            return text
        event: dict[str, Any] = deepcopy(SAMPLES[number % len(SAMPLES)])
        replace_one(event, number, text)
        return event

    def _sign_form(self, request: requests.PreparedRequest) -> None:
        pairs = parse_qsl(_text(request), keep_blank_values=True)
        target = str(request.url).removeprefix(self._base(request))
        request.headers["X-Twilio-Signature"] = sign(f"{PUBLIC_URL}{target}", pairs, AUTH_TOKEN)
        request.headers["Content-Type"] = "application/x-www-form-urlencoded"

    @staticmethod
    def _base(request: requests.PreparedRequest) -> str:
        parts = urlsplit(str(request.url))
        return f"{parts.scheme}://{parts.netloc}"


def _text(request: requests.PreparedRequest) -> str:
    body = request.body or b""
    return body if isinstance(body, str) else bytes(body).decode("latin-1")


def replace_one(document: Any, number: int, text: str) -> None:
    """Put the text in the place of one value, deep in a document."""
    places = list(document) if isinstance(document, dict) else list(range(len(document)))
    place = places[number % len(places)]
    if isinstance(document[place], dict | list) and document[place]:
        replace_one(document[place], number // len(places), text)
    else:
        document[place] = text


@dataclass
class World:
    """A running server with accounts at both providers and one message that was sent."""

    url: str
    schema: BaseSchema
    token: str
    session: requests.Session
    signer: Signer
    statuses: set[int] = field(default_factory=set)

    def send(self, case: AnyCase, *, genuine: bool) -> None:
        """Send it, in the genuine half with a real token or signature, and check the answer."""
        self.signer.signing = genuine
        if genuine and case.path_parameters and "token" in case.path_parameters:
            case.path_parameters["token"] = self.token
        answer = case.call_and_validate(self.url, session=self.session, checks=CHECKS)
        self.statuses.add(answer.status_code)
        missing = {name for name in SECURITY_HEADERS if name.lower() not in answer.headers}
        assert not missing


def sent_message(context: Context) -> str:
    """Record a message that was sent, and return the token of its link."""
    with context.store.write() as session:
        for provider, options in (
            (ProviderName.SES, {"topic_arns": [TOPIC]}),
            (ProviderName.TWILIO, {"secret_variable": "SENDER_TEST_TWILIO"}),
        ):
            add_account(session, provider.value, provider=provider, options=options)
        organisation = establish(session)
        _, version = add_campaign(session, organisation.controller)
        run = add_run(session, organisation, version, link_salt=bytes(16))
        point = add_point(session, add_contact(session, organisation.controller))
        delivery = add_delivery(session, run, point, state=DeliveryState.ACCEPTED)
        return token_keys(context.settings).make(delivery.id, bytes(16))


@pytest.fixture
def world(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    monkeypatch.setenv("SENDER_TEST_TWILIO", AUTH_TOKEN)
    monkeypatch.chdir(tmp_path)
    context, signer = web_context(store, outbox=tmp_path / "outbox"), Signer()
    routers = [
        pages.routes(context),
        sign_up.routes(context),
        ses.routes(context, signer.sns, signer.sns.roots),
        twilio.routes(context),
        health.routes(context),
    ]
    limits = Limits(looks_per_minute=10**9, refusals_per_minute=10**9)
    app = assemble(context, routers, limits)
    with serve(app) as url, requests.Session() as session:
        session.auth = signer
        schema = schemathesis.openapi.from_dict(app.openapi())
        yield World(url, schema, sent_message(context), session, signer)


@pytest.mark.parametrize(("method", "path", "mode"), AS_DESCRIBED + OTHERWISE)
def test_no_request_makes_the_server_fail(
    world: World, method: str, path: str, mode: GenerationMode
) -> None:
    @OFTEN
    @given(case=world.schema[path][method].as_strategy(mode), genuine=st.booleans())
    def each(case: AnyCase, *, genuine: bool) -> None:
        world.send(case, genuine=genuine)

    each()
    assert world.statuses
    if mode.is_positive and path in SIGNED | {"/u/{token}"}:
        assert world.statuses & {200, 204}, "nothing got behind the signature"
        assert world.statuses & {400, 403, 404}


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_the_description_names_every_way_in(world: World) -> None:
    described = [
        (method.upper(), path)
        for path, operations in world.schema.raw_schema["paths"].items()
        for method in operations
        if method in {"get", "post", "put", "delete", "patch"}
    ]
    assert sorted(described) == sorted(OPERATIONS)
