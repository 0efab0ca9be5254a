"""The opt-out pages as their readers see them: which words, which buttons."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from fastapi import Response
from sqlalchemy.orm import Session

from sender.controllers.file import is_alphanumeric_sender
from sender.controllers.lookup import current_version
from sender.inbound.opt_out_message import LinkedMessage, Standing, Stopped, read_standing
from sender.inbound.opt_out_pass_on import bodies_to_ask_about
from sender.inbound.opt_out_return import Offer
from sender.inbound.opt_out_way_out import office_of, offices
from sender.store.controllers import ControllerVersion, SenderIdentity
from sender.vocabulary import Channel
from sender.web.masking import mask
from sender.web.page_look import render
from sender.web.texts import ENGLISH, Words, channel_words

RETRY_AFTER_SECONDS: Final = 300

_OFFERS: Final = {
    Stopped.NOTHING: frozenset({"stop", "purpose", "everything"}),
    Stopped.PURPOSE: frozenset({"stop", "everything"}),
    Stopped.CHANNEL: frozenset({"everything"}),
    Stopped.EVERYTHING: frozenset[str](),
}
"""The buttons by what is stopped now; a ticket adds the undo, and the narrowing of a stop."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a press.

    Attributes:
        outcome: the last part of its `title.` and `lead.`; empty where what is stopped now says it.
        counted: how it counts in the metrics; empty where it stopped nothing new.
        event_id: the suppression event of this very visit, for the undo.
        names: of the bodies that were told.
        asks_bodies: whether the page may go on to ask about other bodies.
    """

    outcome: str = ""
    counted: str = ""
    event_id: int | None = None
    names: str = ""
    asks_bodies: bool = True


def opt_out_page(
    session: Session, message: LinkedMessage, answer: Answer | None, *, visit: str, ticket: str
) -> Response:
    """Return the page of a link.

    Args:
        session: any open session.
        message: of the link.
        answer: what became of a press; None where there was none.
        visit: the random word that this browser's presses are known by.
        ticket: for the undo; empty where nothing can be undone.
    """
    standing = read_standing(session, message)
    version = current_version(session, message.controller_id)
    say = words(message, version)
    done = answer or Answer()
    key = done.outcome or standing.stopped.value
    offers = _offers(standing, ticket)
    is_asking = answer is None and standing.stopped is Stopped.NOTHING
    asks_bodies = done.asks_bodies and standing.stopped is Stopped.EVERYTHING
    returns = not ticket and done.outcome != "return-asked"
    values = {
        **frame(version, say, say(f"title.{key}"), say(f"lead.{key}", names=done.names)),
        "is_answer": answer is not None,
        "is_asking": is_asking,
        "offers": offers,
        "has_choices": bool(offers - ({"stop", "undo"} if is_asking else {"undo"})),
        "bodies": bodies_to_ask_about(session, message) if asks_bodies else (),
        "way_back": _way_back(session, message, standing) if returns else "",
        "visit": visit,
        "ticket": ticket,
    }
    return render("opt_out.html", values, colour=version.brand_colour)


def return_page(session: Session, message: LinkedMessage, offer: Offer) -> Response:
    """Return the page that asks whether messages are really wanted again."""
    return _return_page(session, message, "back", offer=offer)


def returned_page(session: Session, message: LinkedMessage, offer: Offer) -> Response:
    """Return the page after it was confirmed."""
    lead = "returned.consent-lacks" if offer.consent_lacks else "returned.lead"
    return _return_page(session, message, "returned", lead=lead, is_answer=True)


def not_returned_page(session: Session, message: LinkedMessage) -> Response:
    """Return the page for a confirmation that is too old, or overtaken by a newer no."""
    return _return_page(session, message, "not-returned", status=HTTPStatus.GONE, is_answer=True)


def unknown_page(session: Session) -> Response:
    """Return the page for a link that is not ours, with other ways to turn to."""
    return _way_out_page(session, "unknown", HTTPStatus.NOT_FOUND)


def unavailable_page(session: Session) -> Response:
    """Return the page for a link of ours whose message is not here; mail programs try again."""
    again = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return _way_out_page(session, "unavailable", HTTPStatus.SERVICE_UNAVAILABLE, again)


def preview_page() -> Response:
    """Return the page for the link of a preview, which belongs to nobody."""
    return _bare_page("preview")


def one_click_page() -> Response:
    """Return the answer to a mail program, which shows it to nobody."""
    return _bare_page("one-click")


def _bare_page(key: str) -> Response:
    say = Words(ENGLISH, {})
    values = frame(None, say, say(f"{key}.title"), say(f"{key}.lead"))
    return render("way_out.html", {**values, "offices": []})


def _return_page(
    session: Session,
    message: LinkedMessage,
    key: str,
    *,
    lead: str = "",
    offer: Offer | None = None,
    status: HTTPStatus = HTTPStatus.OK,
    is_answer: bool = False,
) -> Response:
    version = current_version(session, message.controller_id)
    say = words(message, version)
    values = {
        **frame(version, say, say(f"{key}.title"), say(lead or f"{key}.lead")),
        "is_answer": is_answer,
        "offer": offer,
    }
    return render("return.html", values, colour=version.brand_colour, status=status)


def _way_out_page(
    session: Session, key: str, status: HTTPStatus, headers: dict[str, str] | None = None
) -> Response:
    say = Words(ENGLISH, {})
    values = frame(None, say, say(f"{key}.title"), say(f"{key}.lead"))
    values["offices"] = offices(session)
    return render("way_out.html", values, status=status, headers=headers)


def frame(version: ControllerVersion | None, say: Words, title: str, lead: str) -> dict[str, Any]:
    """Return what every page needs."""
    return {
        "say": say,
        "title": title,
        "lead": lead,
        "office": office_of(version) if version else None,
        "website": version.website if version else None,
        "privacy_notice": version.privacy_notice_url if version else None,
    }


def words(message: LinkedMessage, version: ControllerVersion) -> Words:
    """Return what says the texts of a page about this message."""
    known = message.address is not None
    values = {
        **channel_words(ENGLISH, message.channel),
        "name": version.name,
        "purpose": message.purpose_title,
        "email": version.contact_email,
        "address": mask(message.channel, message.address or "")
        if known
        else ENGLISH["address.unknown"],
    }
    return Words(ENGLISH, values)


def _offers(standing: Standing, ticket: str) -> frozenset[str]:
    offers = _OFFERS[standing.stopped]
    if not ticket:
        return offers
    narrower = {"purpose"} if standing.stopped is Stopped.CHANNEL else set()
    return offers | narrower | {"undo"}


def _way_back(session: Session, message: LinkedMessage, standing: Standing) -> str:
    """Return how the reader can ask for messages again: `mail`, `text` or `write`; or not at all.

    An SMS sender that is a name takes no START.
    """
    if standing.stopped is Stopped.NOTHING:
        return ""
    if not standing.returnable:
        return "write"
    if message.channel is Channel.EMAIL:
        return "mail" if message.address else "write"
    identity = session.get_one(SenderIdentity, message.identity_id)
    return "write" if is_alphanumeric_sender(identity.address) else "text"
