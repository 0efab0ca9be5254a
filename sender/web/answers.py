"""Short plain answers, for what never reaches a page or a webhook."""

from http import HTTPStatus

from starlette.responses import PlainTextResponse

RETRY_AFTER_SECONDS = 30

_FAILED = "This did not work just now. Please try again in a minute.\n"


def plain(status: HTTPStatus, text: str = "", *, close: bool = False) -> PlainTextResponse:
    """Return an answer of one line; the status's own phrase where no text is given.

    Args:
        status: the status.
        text: for people.
        close: whether the connection ends with it, because the rest of the request is not read.
    """
    headers = {"Connection": "close"} if close else None
    return PlainTextResponse(text or f"{status.phrase}.\n", status, headers)


def try_again(status: HTTPStatus = HTTPStatus.SERVICE_UNAVAILABLE) -> PlainTextResponse:
    """Return the answer that makes providers and mail programs try again (RFC 9110, 10.2.3)."""
    answer = plain(status, _FAILED)
    answer.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return answer
