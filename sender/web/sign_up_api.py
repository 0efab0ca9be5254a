"""Sign-up for programs: `POST /api/sign-up`, and what a form offers, both as JSON.

The rules are those of the page. A browser's script may use it from the web origins that the form's
file lists; another origin is refused before anything is looked at.
"""

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from sender.context import Context
from sender.controllers.lookup import current_version
from sender.signup.entries import Filled
from sender.signup.open_form import OpenForm, allowed_origins
from sender.vocabulary import Channel
from sender.web.sign_up_desk import Answered, Outcome, SignUpDesk
from sender.web.sign_up_limits import Clients
from sender.web.sign_up_view import FIELD, problem_text
from sender.web.texts import ENGLISH

_PREFLIGHT_SECONDS: Final = 600
_KEYS: Final = {
    Outcome.ASKED: "sign-up-asked.lead",
    Outcome.CHANGED: "sign-up-changed.lead",
    Outcome.WRONG: "sign-up-wrong.lead",
    Outcome.CLOSED: "sign-up-closed.lead",
}
_STATUSES: Final = {
    Outcome.ASKED: HTTPStatus.ACCEPTED,
    Outcome.CHANGED: HTTPStatus.CONFLICT,
    Outcome.WRONG: HTTPStatus.UNPROCESSABLE_ENTITY,
    Outcome.CLOSED: HTTPStatus.NOT_FOUND,
    Outcome.FULL: HTTPStatus.TOO_MANY_REQUESTS,
}
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    HTTPStatus.FORBIDDEN: {"description": "The form does not allow this web origin."},
    HTTPStatus.NOT_FOUND: {"description": "No such form, or it is not open."},
    HTTPStatus.CONFLICT: {"description": "The wording has changed since."},
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: {"description": "The body is not application/json."},
    HTTPStatus.UNPROCESSABLE_ENTITY: {"description": "Something is missing or not right."},
}

Slug = Annotated[str, Field(max_length=64)]
Typed = Annotated[str, Field(max_length=1_000)]


class SignUpBody(BaseModel):
    """What a program sends.

    Attributes:
        controller: its slug.
        form: its slug.
        notice: the version of the wording that the person saw.
        agree: the boxes that the person ticked, e.g. `email:campaign-news`.
        email: as typed.
        mobile: as typed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    controller: Slug
    form: Slug
    notice: Annotated[int, Field(ge=1, le=10**9)]
    agree: Annotated[list[Typed], Field(max_length=100)]
    email: Typed = ""
    mobile: Typed = ""


def routes(context: Context, desk: SignUpDesk, clients: Clients) -> APIRouter:
    """Return the routes of the JSON endpoint."""
    router = APIRouter(default_response_class=JSONResponse, responses=_ANSWERS)
    api = _Api(context, desk)

    async def sign_up(body: SignUpBody, request: Request) -> Response:
        """Take a sign-up in; the answer is the same for every address."""
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media != "application/json":  # so that no other site's form can post it
            return _told(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, None, {"status": "not-json"})
        origin = request.headers.get("origin")
        return await run_in_threadpool(api.submit, body, origin, clients.of(request))

    async def offered(controller: Slug, form: Slug, request: Request) -> Response:
        """Return the wording, its version and the boxes of a form."""
        origin = request.headers.get("origin")
        return await run_in_threadpool(api.offered, controller, form, origin)

    async def preflight(request: Request) -> Response:
        origin = request.headers.get("origin", "")
        return await run_in_threadpool(api.preflight, origin)

    path = "/api/sign-up"
    router.post(path, status_code=HTTPStatus.ACCEPTED)(sign_up)
    router.options(path, include_in_schema=False)(preflight)
    router.get(path + "/{controller}/{form}")(offered)
    return router


class _Api:
    """Turns what became of a sign-up into JSON."""

    def __init__(self, context: Context, desk: SignUpDesk) -> None:
        self._context = context
        self._desk = desk

    def submit(self, body: SignUpBody, origin: str | None, client: str) -> Response:
        form = (body.controller, body.form)
        known = self._desk.offered(form)
        if known is not None and not _may_use(known, origin):
            return _told(HTTPStatus.FORBIDDEN, None, {"status": "origin-refused"})
        typed = {Channel.EMAIL: body.email, Channel.SMS: body.mobile}
        filled = Filled(typed, frozenset(body.agree))
        answered = self._desk.submit(form, filled, body.notice, client)
        return _told(_STATUSES[answered.outcome], origin, self._document(answered))

    def offered(self, controller: str, form: str, origin: str | None) -> Response:
        offered = self._desk.offered((controller, form))
        if offered is None:
            document = self._document(Answered(Outcome.CLOSED))
            return _told(HTTPStatus.NOT_FOUND, None, document)
        if not _may_use(offered, origin):
            return _told(HTTPStatus.FORBIDDEN, None, {"status": "origin-refused"})
        return _told(HTTPStatus.OK, origin, self._description(offered))

    def preflight(self, origin: str) -> Response:
        """Answer what a browser asks before it posts JSON to another origin (Fetch, CORS)."""
        with self._context.store.read() as session:
            is_allowed = origin in allowed_origins(session)
        answer = Response(status_code=HTTPStatus.NO_CONTENT)
        answer.headers["Vary"] = "Origin"
        if is_allowed:
            answer.headers["Access-Control-Allow-Origin"] = origin
            answer.headers["Access-Control-Allow-Methods"] = "POST"
            answer.headers["Access-Control-Allow-Headers"] = "Content-Type"
            answer.headers["Access-Control-Max-Age"] = str(_PREFLIGHT_SECONDS)
        return answer

    def _document(self, answered: Answered) -> dict[str, Any]:
        document: dict[str, Any] = {
            "status": answered.outcome.value,
            "message": self._message(answered),
        }
        problems = answered.examined.problems
        if problems:
            document["problems"] = [
                {
                    "field": "agree" if channel is None else FIELD[channel],
                    "code": problem.value,
                    "message": problem_text(channel, problem),
                }
                for channel, problem in problems.items()
            ]
        return document

    def _message(self, answered: Answered) -> str:
        if answered.outcome is not Outcome.FULL or answered.offered is None:
            return ENGLISH[_KEYS[answered.outcome]]
        with self._context.store.read() as session:
            version = current_version(session, answered.offered.controller.id)
        return ENGLISH["sign-up-full.lead"].format(email=version.contact_email)

    def _description(self, offered: OpenForm) -> dict[str, Any]:
        notice = offered.notice
        return {
            "controller": offered.controller.slug,
            "form": offered.form.slug,
            "notice": notice.version,
            "wording": notice.wording,
            "privacy_notice_url": notice.privacy_notice_url,
            "boxes": [
                {"agree": box.value, "field": FIELD[box.channel], "about": box.title}
                for box in offered.boxes
            ],
        }


def _may_use(offered: OpenForm, origin: str | None) -> bool:
    """Whether a script of this origin may; what is no browser names none."""
    return origin is None or origin in offered.form.origins


def _told(status: HTTPStatus, origin: str | None, document: dict[str, Any]) -> Response:
    answer = JSONResponse(document, status_code=status)
    answer.headers["Vary"] = "Origin"
    if origin is not None:
        answer.headers["Access-Control-Allow-Origin"] = origin
    return answer
