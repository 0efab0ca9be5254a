"""The opt-out pages: `/u/{token}`, and the confirmation of a return.

GET changes nothing, because scanners and previews follow links (RFC 8058, section 1). POST needs no
cookie, no login and no second step: the token is the credential. It is answered without a redirect,
after the commit; an exception that nobody foresees becomes a 503 in the application's handler, so
that a mail program tries again.
"""

from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from sender.context import Context
from sender.web.answers import try_again
from sender.web.opt_out_desk import Desk, Fields
from sender.web.strikes import struck

_FORM: Final = "application/x-www-form-urlencoded"

_PAGES: Final[dict[int | str, dict[str, Any]]] = {
    HTTPStatus.NOT_FOUND: {"description": "Not our link; a page with another way out."},
    HTTPStatus.SERVICE_UNAVAILABLE: {"description": "Nothing was recorded; try again."},
}
_GONE: Final[dict[int | str, dict[str, Any]]] = {
    HTTPStatus.GONE: {"description": "Too old, or overtaken by a newer no."}
}
_ONE_CLICK: Final[dict[str, Any]] = {
    "requestBody": {
        "description": "`List-Unsubscribe=One-Click` (RFC 8058), or the page's own form.",
        "content": {
            media: {"schema": {"type": "object", "additionalProperties": {"type": "string"}}}
            for media in (_FORM, "multipart/form-data")
        },
    }
}


def routes(context: Context) -> APIRouter:
    """Return the routes of the opt-out pages.

    Raises:
        SettingsError: the public address or the token keys are missing or malformed.
    """
    desk = Desk(context)
    router = APIRouter(tags=["opt-out"], default_response_class=HTMLResponse, responses=_PAGES)

    async def show(token: str) -> Response:
        """Show whose message it was and what can be stopped; changes nothing."""
        return await run_in_threadpool(desk.show, token)

    async def press(token: str, request: Request) -> Response:
        """Stop messages, at once and for good (RFC 8058), or do what a button of the page says."""
        if struck(request) and not desk.knows(token):
            return try_again(HTTPStatus.TOO_MANY_REQUESTS)
        return await run_in_threadpool(desk.press, token, await _fields(request))

    async def show_return(token: str, ticket: str) -> Response:
        """Ask whether messages are really wanted again; changes nothing."""
        return await run_in_threadpool(desk.show_return, token, ticket)

    async def press_return(token: str, ticket: str, request: Request) -> Response:
        """Lift what the person stopped, confirmed from the address itself."""
        if struck(request) and not desk.knows(token):
            return try_again(HTTPStatus.TOO_MANY_REQUESTS)
        return await run_in_threadpool(desk.press_return, token, ticket)

    for path, see, do, more in (
        ("/u/{token}", show, press, {}),
        ("/u/{token}/return/{ticket}", show_return, press_return, _GONE),
    ):
        router.get(path, responses=more)(see)
        router.head(path, include_in_schema=False)(see)
        router.post(path, responses=more, openapi_extra=_ONE_CLICK if do is press else None)(do)
    damaged = "/u/{token:path}"  # a link that was broken on its way still gets a page
    for add, handler in ((router.get, show), (router.head, show), (router.post, press)):
        add(damaged, include_in_schema=False)(handler)
    return router


async def _fields(request: Request) -> Fields:
    """Return the fields of the page's own form.

    The browser sends it urlencoded. All else comes from mail programs, whose every POST is a stop,
    whatever it holds: there is nothing in it that would have to be read.
    """
    body = await request.body()
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != _FORM:
        return {}
    return parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
