"""What one controller has that the rows of a file may name: purposes, notices, its time zone."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.contacts.filter import nearest
from sender.errors import NotFoundError
from sender.store.consents import Notice, Purpose
from sender.store.controllers import Controller, ControllerFreeze, ControllerVersion

DEFAULT_ZONE = ZoneInfo("Europe/London")


@dataclass(frozen=True, slots=True)
class NoticeFacts:
    """What one version of a wording named, and when it was shown."""

    id: int
    version: int
    channels: frozenset[str]
    purposes: frozenset[str]
    controllers: frozenset[str]
    pre_ticked: bool
    bundled: bool
    shown_from: datetime
    shown_until: datetime | None


@dataclass(frozen=True, slots=True)
class ImportContext:
    """One controller, as its imports see it. Nothing of another controller is in here.

    Attributes:
        controller_id: whose contacts the file is for.
        slug: its name in commands and notices.
        zone: the zone of times without an offset.
        purposes: ids by slug.
        notices: versions by slug, oldest first.
        frozen_at: since when it is frozen, if it is.
    """

    controller_id: int
    slug: str
    zone: ZoneInfo
    purposes: dict[str, int]
    notices: dict[str, list[NoticeFacts]]
    frozen_at: datetime | None = None


def load_context(session: Session, slug: str) -> ImportContext:
    """Read what the controller has.

    Raises:
        NotFoundError: there is no such controller; the remedy names the nearest.
    """
    controller_id = session.scalar(select(Controller.id).where(Controller.slug == slug))
    if controller_id is None:
        raise _unknown_controller(session, slug)
    query = select(Purpose.slug, Purpose.id).where(Purpose.controller_id == controller_id)
    purposes = {name: row_id for name, row_id in session.execute(query)}  # noqa: C416 # rows are no pairs to mypy
    return ImportContext(
        controller_id,
        slug,
        _zone(session, controller_id),
        purposes,
        _notices(session, controller_id),
        session.scalar(
            select(func.max(ControllerFreeze.frozen_at)).where(
                ControllerFreeze.controller_id == controller_id
            )
        ),
    )


def _unknown_controller(session: Session, slug: str) -> NotFoundError:
    near = nearest(slug, list(session.scalars(select(Controller.slug))))
    remedy = f"Did you mean {near}?" if near else "See: sender controller list"
    return NotFoundError(f"There is no controller {slug}.", remedy=remedy)


def _zone(session: Session, controller_id: int) -> ZoneInfo:
    name = session.scalar(
        select(ControllerVersion.time_zone)
        .where(ControllerVersion.controller_id == controller_id)
        .order_by(ControllerVersion.version.desc())
        .limit(1)
    )
    return DEFAULT_ZONE if name is None else ZoneInfo(name)


def _notices(session: Session, controller_id: int) -> dict[str, list[NoticeFacts]]:
    query = select(Notice).where(Notice.controller_id == controller_id).order_by(Notice.version)
    found: dict[str, list[NoticeFacts]] = defaultdict(list)
    for notice in session.scalars(query):
        facts = NoticeFacts(
            notice.id,
            notice.version,
            frozenset(notice.channels),
            frozenset(notice.purposes),
            frozenset(notice.controllers),
            notice.pre_ticked,
            notice.bundled,
            notice.shown_from,
            notice.shown_until,
        )
        found[notice.slug].append(facts)
    return dict(found)
