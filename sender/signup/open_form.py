"""What a public form offers at one moment: the wording, and a box for each channel and purpose.

A box is there only if a tick of it can become consent: the wording names this controller, the
channel and the purpose and is shown now, was neither ticked beforehand nor bundled, is later than
the controller's last freeze, the purpose is not over, and the controller can write on the channel
(guidance ¶25, ¶52-55, ¶84-86).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.consent.notices import latest_notice, require_valid_consent
from sender.consent.scopes import closes_at
from sender.controllers.lookup import identities, latest_freeze, purposes
from sender.errors import RefusedError
from sender.store.consents import Notice, Purpose
from sender.store.controllers import Controller, SenderIdentity
from sender.store.sign_ups import SignUp, SignUpForm
from sender.toml.model import is_slug
from sender.vocabulary import Channel


@dataclass(frozen=True, slots=True)
class Box:
    """One tick: messages of one channel for one purpose."""

    channel: Channel
    purpose_id: int
    purpose: str
    title: str

    @property
    def value(self) -> str:
        """What the form says for it, e.g. `email:campaign-news`."""
        return f"{self.channel.value}:{self.purpose}"


@dataclass(frozen=True, slots=True)
class OpenForm:
    """A form that takes sign-ups now.

    Attributes:
        form: the form.
        controller: whose it is.
        notice: the wording that is shown.
        boxes: at least one; in the wording's order, channel by channel.
    """

    form: SignUpForm
    controller: Controller
    notice: Notice
    boxes: tuple[Box, ...]

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels that there are boxes for, in their order."""
        return tuple(dict.fromkeys(box.channel for box in self.boxes))

    def of(self, channel: Channel) -> tuple[Box, ...]:
        """Return the boxes of one channel."""
        return tuple(box for box in self.boxes if box.channel is channel)


def read_open_form(
    session: Session, controller_slug: str, form_slug: str, now: datetime
) -> OpenForm | None:
    """Return what the form offers now; None where there is no such form, or it takes nothing.

    What is no slug is not looked up: PostgreSQL fails on some of what an address can hold.
    """
    if not (is_slug(controller_slug) and is_slug(form_slug)):
        return None
    controller = session.scalar(select(Controller).where(Controller.slug == controller_slug))
    form = None if controller is None else latest_form(session, controller.id, form_slug)
    if controller is None or form is None or not form.is_open:
        return None
    return open_form_of(session, controller, form, now)


def open_form_of(
    session: Session, controller: Controller, form: SignUpForm, now: datetime
) -> OpenForm | None:
    """Return what this form would offer now; None where nothing that it shows can be agreed to."""
    notice = latest_notice(session, controller.id, form.notice_slug)
    if notice is None:
        return None
    boxes = tuple(boxes_of(session, controller, notice, now))
    return OpenForm(form, controller, notice, boxes) if boxes else None


def boxes_of(
    session: Session, controller: Controller, notice: Notice, now: datetime
) -> Iterator[Box]:
    """Yield what can be agreed to by this wording now."""
    frozen = latest_freeze(session, controller.id)
    if frozen is not None and notice.shown_from <= frozen.frozen_at:
        return
    by_slug = {row.slug: row for row in purposes(session, controller.id)}
    named = [by_slug[slug] for slug in notice.purposes if slug in by_slug]
    in_use = {row.channel for row in identities(session, controller.id)}
    going_on = [row for row in named if not _is_over(session, row, now)]
    for channel in (Channel(name) for name in notice.channels):
        for purpose in going_on if channel in in_use else ():
            box = Box(channel, purpose.id, purpose.slug, purpose.title)
            if _can_be_agreed_to(notice, controller, box, now):
                yield box


def latest_form(session: Session, controller_id: int, slug: str) -> SignUpForm | None:
    """Return the latest version of a form, if there is one."""
    query = (
        select(SignUpForm)
        .where(SignUpForm.controller_id == controller_id, SignUpForm.slug == slug)
        .order_by(SignUpForm.version.desc())
        .limit(1)
    )
    return session.scalar(query)


def identity_for(session: Session, controller_id: int, channel: Channel) -> SenderIdentity | None:
    """Return the sender identity that a confirmation goes out under: the first in use."""
    found = [row for row in identities(session, controller_id) if row.channel is channel]
    return next(iter(found), None)


def allowed_origins(session: Session) -> frozenset[str]:
    """Return every web origin that some open form allows."""
    query = select(SignUpForm).order_by(SignUpForm.version)
    latest = {(row.controller_id, row.slug): row for row in session.scalars(query)}
    return frozenset(origin for row in latest.values() if row.is_open for origin in row.origins)


def is_still_offered(session: Session, sign_up: SignUp, now: datetime) -> bool:
    """Whether everything that was ticked could still be ticked, on the words that were shown."""
    controller = session.get_one(Controller, sign_up.controller_id)
    notice = session.get_one(Notice, sign_up.notice_id)
    offered = {
        box.purpose_id
        for box in boxes_of(session, controller, notice, now)
        if box.channel is sign_up.channel
    }
    return offered.issuperset(sign_up.purpose_ids)


def is_form_open(session: Session, sign_up: SignUp) -> bool:
    """Whether the form that it was entered into takes sign-ups now, by its latest version."""
    form = session.get_one(SignUpForm, sign_up.form_id)
    latest = latest_form(session, form.controller_id, form.slug)
    return latest is not None and latest.is_open


def _is_over(session: Session, purpose: Purpose, now: datetime) -> bool:
    closed_from = closes_at(session, purpose.id)
    return closed_from is not None and closed_from <= now


def _can_be_agreed_to(notice: Notice, controller: Controller, box: Box, now: datetime) -> bool:
    try:
        require_valid_consent(notice, controller, box.channel, box.purpose, now)
    except RefusedError:
        return False
    return True
