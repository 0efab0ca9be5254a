"""The pages of refresh campaigns: `/k/{token}`, by which a person confirms a consent anew.

GET changes nothing, because scanners and previews follow links; POST records the confirmation only
with the fields of the page's own form, so no mail program gives consent for anybody.
"""

from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from sender.context import Context
from sender.web.answers import try_again
from sender.web.confirm_desk import ConfirmDesk
from sender.web.strikes import struck

_FORM: Final = "application/x-www-form-urlencoded"
_FIELDS: Final = 10
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    HTTPStatus.NOT_FOUND: {"description": "Not our link; a page with other ways to turn to."},
    HTTPStatus.GONE: {"description": "Too old, not a message that asked, or overtaken by a no."},
    HTTPStatus.SERVICE_UNAVAILABLE: {"description": "Nothing was recorded; try again."},
}
_OWN_FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "description": "The page's own form; any other body records nothing.",
        "content": {
            _FORM: {"schema": {"type": "object", "additionalProperties": {"type": "string"}}}
        },
    }
}


def routes(context: Context) -> APIRouter:
    """Return the routes of the confirm pages.

    Raises:
        SettingsError: the public address or the token keys are missing or malformed.
    """
    desk = ConfirmDesk(context)
    router = APIRouter(tags=["confirm"], default_response_class=HTMLResponse, responses=_ANSWERS)

    async def show(token: str) -> Response:
        """Show what would be confirmed, in the words of the notice; changes nothing."""
        return await run_in_threadpool(desk.show, token)

    async def press(token: str, request: Request) -> Response:
        """Record that the person confirmed, once."""
        if struck(request) and not desk.knows(token):
            return try_again(HTTPStatus.TOO_MANY_REQUESTS)
        return await run_in_threadpool(desk.press, token, await _notice_id(request))

    router.get("/k/{token}")(show)
    router.head("/k/{token}", include_in_schema=False)(show)
    router.post("/k/{token}", openapi_extra=_OWN_FORM)(press)
    return router


async def _notice_id(request: Request) -> int | None:
    """Return the wording that the page's own form names; None for any other body."""
    body = await request.body()
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != _FORM:
        return None
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=_FIELDS)
    except ValueError:
        return None
    [text, *more] = fields.get("notice", [""])
    is_number = text.isascii() and text.isdigit() and len(text) <= _FIELDS
    return int(text) if is_number and not more and fields.get("act") == ["confirm"] else None
