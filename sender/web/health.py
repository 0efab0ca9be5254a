"""Whether the process is up and can work, and what it has counted; no details for strangers."""

import hmac
from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from sqlalchemy.exc import SQLAlchemyError

from sender.context import Context
from sender.errors import SenderError
from sender.monitoring.gauges import DatabaseGauges
from sender.store.keys import require_key
from sender.store.schema import require_current
from sender.web.answers import plain
from sender.web.logs import LOG
from sender.web.metrics import REGISTRY

FRESH_SECONDS = 1.0
"""How long one look at the database answers for /readyz: anybody may ask, as often as they like."""


class Readiness:
    """Whether an opt-out could be committed now, as far as can be told without one."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._looked_at = float("-inf")
        self._ready = False

    def look(self) -> bool:
        """Look, unless somebody did within the last second."""
        now = self._context.clock.monotonic()
        if now - self._looked_at >= FRESH_SECONDS:
            self._ready = self._look()
            self._looked_at = now
        return self._ready

    def _look(self) -> bool:
        try:
            require_current(self._context.store)
            with self._context.store.read() as session:
                require_key(session, self._context.hasher)
            if self._context.store.journal is not None:
                self._context.store.journal.require_writable()
        except (SQLAlchemyError, SenderError) as error:
            LOG.error("not_ready", error=type(error).__name__)
            return False
        return True


def routes(context: Context) -> APIRouter:
    """Return the routes that monitoring asks."""
    router = APIRouter(tags=["monitoring"])
    readiness = Readiness(context)

    @router.head("/healthz", include_in_schema=False)
    @router.get("/healthz", response_class=PlainTextResponse)
    async def healthz() -> Response:
        """Answer 200 while the process is up, whatever else is down."""
        return plain(HTTPStatus.OK)

    @router.head("/readyz", include_in_schema=False)
    @router.get("/readyz", response_class=PlainTextResponse)
    async def readyz() -> Response:
        """Answer 200 when database and journal can take an opt-out; else 503."""
        ready = await run_in_threadpool(readiness.look)
        return plain(HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)

    @router.get("/metrics", response_class=PlainTextResponse)
    async def metrics(request: Request) -> Response:
        """Answer with counts for Prometheus, to whoever has the token; to others 404."""
        if not _may_read_metrics(request, context):
            return plain(HTTPStatus.NOT_FOUND)
        document = await run_in_threadpool(generate_latest, metrics_registry(context))
        return Response(document, media_type=CONTENT_TYPE_LATEST)

    return router


def metrics_registry(context: Context) -> CollectorRegistry:
    """Return what this process has counted, together with what the database is asked."""
    registry = CollectorRegistry()
    registry.register(REGISTRY)
    registry.register(DatabaseGauges(context))
    return registry


def _may_read_metrics(request: Request, context: Context) -> bool:
    token = context.settings.metrics_token
    if token is None or not token.get_secret_value():
        return False
    expected = f"Bearer {token.get_secret_value()}".encode()
    given = request.headers.get("authorization", "").encode()
    return hmac.compare_digest(given, expected)
