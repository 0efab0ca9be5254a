"""What an operator signs for a controller: a freeze, and what became of old opt-outs."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.controllers.lookup import find_controller
from sender.errors import RefusedError
from sender.store import audit_trail
from sender.store.contacts import ImportBatch
from sender.store.controllers import ControllerFreeze, OptOutDeclaration


class OptOutStatement(StrEnum):
    """What became of the opt-outs that the system used before this one held."""

    IMPORTED = "imported"
    NONE_EXIST = "none_exist"


def freeze(session: Session, slug: str, *, reason: str, operator: str, now: datetime) -> None:
    """From now on only consent given afterwards counts (guidance ¶84-86). It cannot be undone.

    Raises:
        NotFoundError: there is no such controller.
        RefusedError: no reason is given.
    """
    controller = find_controller(session, slug)
    if not reason.strip():
        raise RefusedError("A freeze needs its reason.", remedy='Add --reason "…".')
    session.add(
        ControllerFreeze(
            controller_id=controller.id, frozen_at=now, reason=reason.strip(), operator=operator
        )
    )
    audit_trail.record(
        session, now=now, operator=operator, action="controller.freeze", controller_id=controller.id
    )


def declare_opt_outs(
    session: Session, slug: str, *, statement: OptOutStatement, operator: str, now: datetime
) -> None:
    """Sign what became of the old system's opt-outs; no live run is launched without it.

    Raises:
        NotFoundError: there is no such controller.
        RefusedError: `imported` is signed, and nothing ever was.
    """
    controller = find_controller(session, slug)
    if statement is OptOutStatement.IMPORTED and not _has_imported(session, controller.id):
        raise RefusedError(
            f"Nothing was ever imported for {slug}.",
            remedy=f"Bring its opt-outs in first: sender suppress import FILE --controller {slug}",
        )
    session.add(
        OptOutDeclaration(
            controller_id=controller.id,
            statement=statement.value,
            recorded_at=now,
            operator=operator,
        )
    )
    audit_trail.record(
        session,
        now=now,
        operator=operator,
        action="controller.declare_opt_outs",
        controller_id=controller.id,
        details={"statement": statement.value},
    )


def _has_imported(session: Session, controller_id: int) -> bool:
    query = select(ImportBatch.id).where(ImportBatch.controller_id == controller_id).limit(1)
    return session.scalar(query) is not None
