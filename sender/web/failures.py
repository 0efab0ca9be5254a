"""What nobody foresaw is answered 503, so that providers and mail programs try again."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sender.logs import place_of
from sender.web.answers import try_again
from sender.web.logs import LOG
from sender.web.records import request_id_of, route_of


class Failures:
    """Turns any exception into 503 with Retry-After; the log gets its type and place alone.

    An opt-out whose transaction failed must be told again, and only a 5xx makes SNS, Twilio and
    mail programs do that. The exception's text may hold personal data.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        begun = False

        async def watching(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, watching)
        except Exception as error:  # noqa: BLE001  # the last line of defence; see the docstring
            report_failure(scope, error)
            if not begun:
                await try_again()(scope, receive, send)


def report_failure(scope: Scope, error: BaseException) -> None:
    """Write down that a request failed, by type and place."""
    LOG.error(
        "failed",
        route=route_of(scope),
        request=request_id_of(scope),
        error=type(error).__name__,
        at=place_of(error),
    )
