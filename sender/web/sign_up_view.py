"""The sign-up pages as their readers see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from zoneinfo import ZoneInfo

from fastapi import Response
from sqlalchemy.orm import Session

from sender.controllers.lookup import current_version
from sender.signup.confirming import LinkState, Question
from sender.signup.entries import Problem
from sender.signup.evidence import site_of
from sender.signup.open_form import OpenForm
from sender.store.controllers import ControllerVersion
from sender.vocabulary import Channel
from sender.web.masking import mask
from sender.web.opt_out_view import frame
from sender.web.page_look import environment, render
from sender.web.texts import ENGLISH, Words, channel_words

FIELD: Final = {Channel.EMAIL: "email", Channel.SMS: "mobile"}
"""What a form calls the address of a channel."""
NOTHING_WRONG: Final[Mapping[Channel | None, Problem]] = {}

_TYPE: Final = {Channel.EMAIL: "email", Channel.SMS: "tel"}
_LEGEND: Final = {Channel.EMAIL: "sign-up.email-legend", Channel.SMS: "sign-up.sms-legend"}
_LABEL: Final = {Channel.EMAIL: "sign-up.email-label", Channel.SMS: "sign-up.sms-label"}
_PROBLEM: Final = {
    Problem.NOTHING_TICKED: "problem.nothing-ticked",
    Problem.ADDRESS_MISSING: "problem.address-missing",
    Problem.NOT_MOBILE: "problem.not-mobile",
    Problem.FROM_ABROAD: "problem.from-abroad",
    Problem.NOT_TICKED: "problem.not-ticked",
}
_MALFORMED: Final = {
    Channel.EMAIL: "problem.email-malformed",
    Channel.SMS: "problem.number-malformed",
}
_STATES: Final = {
    LinkState.ASKING: ("sign-up-confirm", HTTPStatus.OK),
    LinkState.CONFIRMED: ("sign-up-confirmed", HTTPStatus.OK),
    LinkState.DISOWNED: ("disowned", HTTPStatus.OK),
    LinkState.OVER: ("sign-up-over", HTTPStatus.GONE),
    LinkState.CLOSED: ("sign-up-not-now", HTTPStatus.GONE),
}


@dataclass(frozen=True, slots=True)
class Part:
    """What a form asks for on one channel."""

    name: str
    type: str
    legend: str
    label: str
    boxes: tuple[tuple[str, str], ...]
    typed: str
    problem: str


def form_page(
    session: Session,
    offered: OpenForm,
    address: str,
    *,
    key: str = "sign-up",
    typed: Mapping[Channel, str] | None = None,
    problems: Mapping[Channel | None, Problem] = NOTHING_WRONG,
    status: HTTPStatus = HTTPStatus.OK,
) -> Response:
    """Return the form; the boxes are always empty.

    Args:
        session: any open session.
        offered: what it offers now.
        address: our own address of the form, in full.
        key: the beginning of its `title` and `lead`.
        typed: addresses as they were filled in, to be corrected.
        problems: what was wrong with them.
        status: of the response.
    """
    version = current_version(session, offered.controller.id)
    say = _words(version)
    values = {
        **frame(version, say, say(f"{key}.title"), say(f"{key}.lead")),
        **_fields(offered, say, typed or {}, problems),
        "action": "",
        "is_answer": key != "sign-up",
        "problem": problem_text(None, problems.get(None)),
        "share": offered.form.site or address,
    }
    return render("sign_up.html", values, colour=version.brand_colour, status=status)


def snippet(session: Session, offered: OpenForm, address: str) -> str:
    """Return the form as HTML for a page of the controller's own; it needs no script."""
    say = _words(current_version(session, offered.controller.id))
    values = {"say": say, "action": address, **_fields(offered, say, {}, NOTHING_WRONG)}
    template = environment().get_template("sign_up_form.html")
    return str(template.module.form(**values)) + "\n"  # type: ignore[attr-defined]  # a macro


def asked_page(session: Session, offered: OpenForm, address: str) -> Response:
    """Return the answer to every sign-up that was understood, whatever becomes of it."""
    version = current_version(session, offered.controller.id)
    return _told_page(version, "sign-up-asked", share=offered.form.site or address)


def full_page(session: Session, offered: OpenForm) -> Response:
    """Return the answer where a day's sign-ups are used up."""
    version = current_version(session, offered.controller.id)
    return _told_page(version, "sign-up-full", status=HTTPStatus.TOO_MANY_REQUESTS)


def closed_page() -> Response:
    """Return the page for a form that is not there, or not open."""
    say = Words(ENGLISH, {})
    values = frame(None, say, say("sign-up-closed.title"), say("sign-up-closed.lead"))
    return render("way_out.html", {**values, "offices": []}, status=HTTPStatus.NOT_FOUND)


def confirm_page(
    session: Session, question: Question, public_url: str, *, is_answer: bool
) -> Response:
    """Return the page of a confirmation's link.

    Args:
        session: any open session.
        question: what the link leads to now.
        public_url: our own address.
        is_answer: whether a button was pressed.
    """
    sign_up = question.sign_up
    version = current_version(session, sign_up.controller_id)
    site = site_of(session, sign_up, public_url)
    local = sign_up.requested_at.astimezone(ZoneInfo(version.time_zone))
    say = _words(version, sign_up.channel)
    shown = {
        "address": mask(sign_up.channel, sign_up.address)
        if sign_up.address
        else ENGLISH["address.unknown"],
        "day": f"{local.day} {local:%B %Y}, {local:%H:%M}",
        "site": site,
    }
    say = Words(ENGLISH, {**say.values, **shown})
    key, status = _STATES[question.state]
    values = {
        **frame(version, say, say(f"{key}.title"), say(f"{key}.lead")),
        "is_answer": is_answer or question.state is not LinkState.ASKING,
        "wording": question.notice.wording if question.state is LinkState.ASKING else "",
        "purposes": question.purposes if question.state is LinkState.ASKING else (),
        "may_disown": question.state in {LinkState.ASKING, LinkState.OVER, LinkState.CLOSED},
        "share": site if question.state is LinkState.CONFIRMED else "",
    }
    return render("sign_up_confirm.html", values, colour=version.brand_colour, status=status)


def problem_text(channel: Channel | None, problem: Problem | None) -> str:
    """Return what is wrong, for the person; empty where nothing is."""
    if problem is None:
        return ""
    if problem is Problem.ADDRESS_MALFORMED:
        return ENGLISH[_MALFORMED[channel or Channel.EMAIL]]
    return ENGLISH[_PROBLEM[problem]]


def _told_page(
    version: ControllerVersion, key: str, *, share: str = "", status: HTTPStatus = HTTPStatus.OK
) -> Response:
    say = _words(version)
    values = {
        **frame(version, say, say(f"{key}.title"), say(f"{key}.lead")),
        "note": say("sign-up-asked.nothing") if share else "",
        "share": share,
    }
    return render("sign_up_asked.html", values, colour=version.brand_colour, status=status)


def _fields(
    offered: OpenForm,
    say: Words,
    typed: Mapping[Channel, str],
    problems: Mapping[Channel | None, Problem],
) -> dict[str, Any]:
    return {
        "notice": offered.notice,
        "parts": [
            Part(
                name=FIELD[channel],
                type=_TYPE[channel],
                legend=say(_LEGEND[channel]),
                label=say(_LABEL[channel]),
                boxes=tuple(
                    (
                        box.value,
                        say(
                            "sign-up.box",
                            **channel_words(ENGLISH, channel),
                            purpose=box.title,
                        ),
                    )
                    for box in offered.of(channel)
                ),
                typed=typed.get(channel, ""),
                problem=problem_text(channel, problems.get(channel)),
            )
            for channel in offered.channels
        ],
    }


def _words(version: ControllerVersion, channel: Channel = Channel.EMAIL) -> Words:
    values = {"name": version.name, "email": version.contact_email}
    return Words(ENGLISH, {**channel_words(ENGLISH, channel), **values})
