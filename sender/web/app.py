"""The application: the routes of all web modules behind the same guards."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

from anyio.to_thread import current_default_thread_limiter
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from sender.context import Context
from sender.web import confirm, health, pages, ses, sign_up, twilio
from sender.web.answers import plain
from sender.web.failures import Failures
from sender.web.headers import SecurityHeaders
from sender.web.housekeeping import keep_house
from sender.web.limits import Limits
from sender.web.records import RequestRecords
from sender.web.strikes import RateLimits, trusted_networks
from sender.web.under_way import UnderWay
from sender.web.whole_request import WholeRequest

_DESCRIPTION: Final = """\
Opt-out and sign-up pages for people, and webhooks for providers. A 2xx is said only after the
commit; a 5xx means that nothing counts yet and that the same request should come again. There is
no login: a page's credential is the token in its address, a webhook's the provider's signature.
"""
_COMMON_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": {
        "description": "Refused: malformed (400), forged (403), unknown (404), too slow (408), too"
        " large (413, 431), or too many requests of one client that do no good (429)."
    },
    503: {"description": "It did not work, or there is too much work; see Retry-After."},
}


def create_app(context: Context, limits: Limits | None = None) -> FastAPI:
    """Return the whole application.

    Args:
        context: the opened installation.
        limits: the usual ones where none are given.

    Raises:
        SettingsError: SENDER_TRUSTED_PROXIES is malformed.
    """
    modules = (pages, confirm, sign_up, ses, twilio, health)
    routers = [module.routes(context) for module in modules]
    return assemble(context, routers, limits or Limits())


def assemble(context: Context, routers: Sequence[APIRouter], limits: Limits) -> FastAPI:
    """Return an application of these routes, behind all guards.

    From the outside in: each request is named, timed and written down; each answer gets its
    headers; what fails is answered 503; the request is read whole, within bounds; looks are
    limited by client; work is limited in number and time.

    Args:
        context: the opened installation.
        routers: of the web modules.
        limits: how much and how long.

    Raises:
        SettingsError: SENDER_TRUSTED_PROXIES is malformed.
    """
    proxies = trusted_networks(context.settings.trusted_proxies)
    app = FastAPI(
        title="sender",
        version=version("consent-sender"),
        description=_DESCRIPTION,
        responses=_COMMON_ANSWERS,
        openapi_url=None,  # `sender web --openapi` prints it; strangers need no map
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # Starlette would build the address from the Host header
        lifespan=_lifespan(context, limits),
        middleware=[
            Middleware(RequestRecords, clock=context.clock),
            Middleware(SecurityHeaders),
            Middleware(Failures),
            Middleware(WholeRequest, limits=limits),
            Middleware(RateLimits, clock=context.clock, limits=limits, proxies=proxies),
            Middleware(UnderWay, limits=limits),
        ],
        exception_handlers={
            HTTPException: _refused,
            RequestValidationError: _malformed,
        },
    )
    for router in routers:
        app.include_router(router)
    return app


def _lifespan(
    context: Context, limits: Limits
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        current_default_thread_limiter().total_tokens = limits.threads
        house = asyncio.create_task(keep_house(context))
        yield
        house.cancel()
        with suppress(asyncio.CancelledError):
            await house

    return lifespan


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    answer = plain(HTTPStatus(error.status_code))
    answer.headers.update(error.headers or {})
    return answer


async def _malformed(_request: Request, _error: Exception) -> Response:
    """Answer without FastAPI's list of faults, which repeats what was sent."""
    return plain(HTTPStatus.BAD_REQUEST)
