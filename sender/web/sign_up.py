"""The sign-up pages: `/s/{controller}/{form}`, and the confirmation's link `/c/{token}`.

GET changes nothing, because scanners and previews follow links; only the page's own button agrees.
A form on another site may post here without a script; its answer is our page.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from sender.context import Context
from sender.signup.entries import Filled
from sender.vocabulary import Channel
from sender.web import sign_up_api
from sender.web.answers import try_again
from sender.web.sign_up_desk import Answered, ConfirmLinkDesk, Outcome, SignUpDesk
from sender.web.sign_up_limits import Clients, DailyCount
from sender.web.sign_up_view import FIELD, asked_page, closed_page, form_page, full_page
from sender.web.strikes import struck

_FORM: Final = "application/x-www-form-urlencoded"
_FIELDS: Final = 100
_LONGEST_NUMBER: Final = 9
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    HTTPStatus.NOT_FOUND: {"description": "No such form or link, or the form is not open."},
    HTTPStatus.GONE: {
        "description": "The link is too old, overtaken by a no, or of a closed form."
    },
    HTTPStatus.CONFLICT: {"description": "The wording has changed since; the form anew."},
    HTTPStatus.UNPROCESSABLE_ENTITY: {"description": "Something is missing or not right."},
    HTTPStatus.SERVICE_UNAVAILABLE: {"description": "Nothing was recorded; try again."},
}
_OWN_FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "description": "The page's own form.",
        "content": {
            _FORM: {"schema": {"type": "object", "additionalProperties": {"type": "string"}}}
        },
    }
}

Fields = Mapping[str, Sequence[str]]


def routes(context: Context) -> APIRouter:
    """Return the routes of the sign-up pages and of the JSON endpoint.

    Raises:
        SettingsError: the public address, the token keys or the proxies are missing or malformed.
    """
    clients = Clients(context)
    desk = SignUpDesk(context, DailyCount(context.clock))
    router = APIRouter(tags=["sign-up"], default_response_class=HTMLResponse, responses=_ANSWERS)
    _add_forms(router, _Forms(context, desk), clients)
    _add_links(router, ConfirmLinkDesk(context))
    router.include_router(sign_up_api.routes(context, desk, clients))
    return router


def _add_forms(router: APIRouter, forms: "_Forms", clients: Clients) -> None:
    async def show_form(controller: str, form: str) -> Response:
        """Show the wording, and an empty box for each channel and purpose; changes nothing."""
        return await run_in_threadpool(forms.show, controller, form)

    async def submit_form(controller: str, form: str, request: Request) -> Response:
        """Take a sign-up in; the answer is the same for every address."""
        fields = await _fields(request)
        client = clients.of(request)
        return await run_in_threadpool(forms.submit, controller, form, fields, client)

    path = "/s/{controller}/{form}"
    router.get(path)(show_form)
    router.head(path, include_in_schema=False)(show_form)
    router.post(path, openapi_extra=_OWN_FORM)(submit_form)


def _add_links(router: APIRouter, desk: ConfirmLinkDesk) -> None:
    async def show_link(token: str) -> Response:
        """Show what would be agreed to; changes nothing."""
        return await run_in_threadpool(desk.show, token)

    async def press_link(token: str, request: Request) -> Response:
        """Record that the holder of the address agrees, or that it was not they."""
        if struck(request) and not desk.knows(token):
            return try_again(HTTPStatus.TOO_MANY_REQUESTS)
        [act, *_] = (await _fields(request)).get("act", [""])
        return await run_in_threadpool(desk.press, token, act)

    path = "/c/{token}"
    router.get(path)(show_link)
    router.head(path, include_in_schema=False)(show_link)
    router.post(path, openapi_extra=_OWN_FORM)(press_link)


class _Forms:
    """Turns what became of a sign-up into a page."""

    def __init__(self, context: Context, desk: SignUpDesk) -> None:
        self._context = context
        self._desk = desk

    def show(self, controller: str, form: str) -> Response:
        offered = self._desk.offered((controller, form))
        if offered is None:
            return closed_page()
        with self._context.store.read() as session:
            return form_page(session, offered, self._address(controller, form))

    def submit(self, controller: str, form: str, fields: Fields, client: str) -> Response:
        filled = _filled(fields)
        version = _number(fields.get("notice", [""]))
        answered = self._desk.submit((controller, form), filled, version, client)
        return self._page(answered, filled, self._address(controller, form))

    def _page(self, answered: Answered, filled: Filled, address: str) -> Response:
        offered = answered.offered
        if offered is None:
            return closed_page()
        with self._context.store.read() as session:
            if answered.outcome is Outcome.ASKED:
                return asked_page(session, offered, address)
            if answered.outcome is Outcome.FULL:
                return full_page(session, offered)
            is_changed = answered.outcome is Outcome.CHANGED
            return form_page(
                session,
                offered,
                address,
                key="sign-up-changed" if is_changed else "sign-up-wrong",
                typed=filled.addresses,
                problems=answered.examined.problems,
                status=HTTPStatus.CONFLICT if is_changed else HTTPStatus.UNPROCESSABLE_ENTITY,
            )

    def _address(self, controller: str, form: str) -> str:
        return f"{self._desk.public_url}/s/{controller}/{form}"


def _filled(fields: Fields) -> Filled:
    addresses = {channel: fields.get(FIELD[channel], [""])[0] for channel in Channel}
    return Filled(addresses, frozenset(fields.get("agree", [])))


def _number(texts: Sequence[str]) -> int:
    """Return the version of the wording that was shown; 0, which is none, for anything else."""
    text = texts[0]
    is_number = text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER
    return int(text) if is_number else 0


async def _fields(request: Request) -> Fields:
    body = await request.body()
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != _FORM:
        return {}
    try:
        return parse_qs(
            body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_FIELDS
        )
    except ValueError:
        return {}
