"""Find a purpose of one controller by its slug."""

from sqlalchemy.orm import Session

from sender.controllers.lookup import purposes, unknown
from sender.store.consents import Purpose
from sender.store.controllers import Controller


def find_purpose(session: Session, controller: Controller, slug: str) -> Purpose:
    """Return the purpose.

    Raises:
        NotFoundError: the controller has none of this slug; the remedy names the nearest.
    """
    known = {row.slug: row for row in purposes(session, controller.id)}
    if slug in known:
        return known[slug]
    raise unknown(
        f"purpose {slug} of controller {controller.slug}",
        slug,
        sorted(known),
        see=f"sender controller show {controller.slug}",
    )
