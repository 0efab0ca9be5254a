"""The confirm pages as their readers see them."""

from http import HTTPStatus

from fastapi import Response
from sqlalchemy.orm import Session

from sender.campaigns.refresh_confirm import Renewal
from sender.controllers.lookup import current_version
from sender.inbound.opt_out_message import LinkedMessage
from sender.web.opt_out_view import frame, words
from sender.web.page_look import render


def confirm_page(session: Session, message: LinkedMessage, renewal: Renewal) -> Response:
    """Return the page that asks, with the exact wording that a press agrees to."""
    return _page(session, message, "confirm", renewal=renewal)


def confirmed_page(session: Session, message: LinkedMessage) -> Response:
    """Return the page after it was confirmed."""
    return _page(session, message, "confirmed", is_answer=True)


def not_confirmed_page(session: Session, message: LinkedMessage) -> Response:
    """Return the page of a link that offers nothing, whatever the cause."""
    return _page(session, message, "not-confirmed", status=HTTPStatus.GONE, is_answer=True)


def _page(
    session: Session,
    message: LinkedMessage,
    key: str,
    *,
    renewal: Renewal | None = None,
    status: HTTPStatus = HTTPStatus.OK,
    is_answer: bool = False,
) -> Response:
    version = current_version(session, message.controller_id)
    say = words(message, version)
    values = {
        **frame(version, say, say(f"{key}.title"), say(f"{key}.lead")),
        "is_answer": is_answer,
        "renewal": renewal,
    }
    return render("confirm.html", values, colour=version.brand_colour, status=status)
