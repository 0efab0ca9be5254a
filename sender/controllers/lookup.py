"""Find a controller by its slug, and what it has."""

from collections.abc import Sequence
from difflib import get_close_matches

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.errors import NotFoundError
from sender.store.consents import Purpose
from sender.store.controllers import (
    Controller,
    ControllerFreeze,
    ControllerVersion,
    FreshnessPolicy,
    OptOutDeclaration,
    SenderIdentity,
)


def find_controller(session: Session, slug: str) -> Controller:
    """Return the controller.

    Raises:
        NotFoundError: there is none of this slug; the remedy names the nearest.
    """
    found = session.scalar(select(Controller).where(Controller.slug == slug))
    if found is not None:
        return found
    known = session.scalars(select(Controller.slug).order_by(Controller.slug)).all()
    raise unknown(f"controller {slug}", slug, known, see="sender controller list")


def unknown(what: str, name: str, known: Sequence[str], *, see: str) -> NotFoundError:
    """Return the error for a name that is not there, with the nearest that is.

    Args:
        what: what was looked for, with its name.
        name: the name as given.
        known: the names that are there.
        see: the command that lists them.
    """
    near = get_close_matches(name, known, n=1)
    remedy = f"Did you mean {near[0]}?" if near else f"See: {see}"
    return NotFoundError(f"There is no {what}.", remedy=remedy)


def all_controllers(session: Session) -> Sequence[Controller]:
    """Return every controller, by slug."""
    return session.scalars(select(Controller).order_by(Controller.slug)).all()


def current_version(session: Session, controller_id: int) -> ControllerVersion:
    """Return what the controller's messages say of it now."""
    query = (
        select(ControllerVersion)
        .where(ControllerVersion.controller_id == controller_id)
        .order_by(ControllerVersion.version.desc())
        .limit(1)
    )
    return session.scalars(query).one()


def identities(
    session: Session, controller_id: int, *, retired: bool = False
) -> Sequence[SenderIdentity]:
    """Return the sender identities in use, with `retired` all that ever were."""
    query = select(SenderIdentity).where(SenderIdentity.controller_id == controller_id)
    if not retired:
        query = query.where(SenderIdentity.retired_at.is_(None))
    return session.scalars(query.order_by(SenderIdentity.channel, SenderIdentity.id)).all()


def purposes(session: Session, controller_id: int) -> Sequence[Purpose]:
    """Return the controller's purposes, by slug."""
    query = select(Purpose).where(Purpose.controller_id == controller_id).order_by(Purpose.slug)
    return session.scalars(query).all()


def freshness_rows(session: Session, controller_id: int) -> Sequence[FreshnessPolicy]:
    """Return the policies in force: the latest of each channel and purpose."""
    query = (
        select(FreshnessPolicy)
        .where(FreshnessPolicy.controller_id == controller_id)
        .order_by(FreshnessPolicy.id)
    )
    latest = {(row.channel, row.purpose_id): row for row in session.scalars(query)}
    return list(latest.values())


def latest_freeze(session: Session, controller_id: int) -> ControllerFreeze | None:
    """Return the latest freeze, if there was one."""
    query = (
        select(ControllerFreeze)
        .where(ControllerFreeze.controller_id == controller_id)
        .order_by(ControllerFreeze.frozen_at.desc())
        .limit(1)
    )
    return session.scalar(query)


def latest_declaration(session: Session, controller_id: int) -> OptOutDeclaration | None:
    """Return the latest statement about the old system's opt-outs, if there is one."""
    query = (
        select(OptOutDeclaration)
        .where(OptOutDeclaration.controller_id == controller_id)
        .order_by(OptOutDeclaration.id.desc())
        .limit(1)
    )
    return session.scalar(query)
