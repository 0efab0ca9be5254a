"""Add, list and revoke operators. Rows are written once; a name is never given again."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from sender.context import Context
from sender.controllers.lookup import find_controller, unknown
from sender.errors import RefusedError, UsageError
from sender.operators.authority import require
from sender.operators.roles import Role
from sender.operators.standing import is_registered, standing, standing_operator
from sender.operators.tokens import new_token, token_hash
from sender.store.audit_trail import record as audit
from sender.store.controllers import Controller
from sender.store.operators import Operator, OperatorRevocation

_NAME: Final = re.compile(r"[^\W_](?:[\w .'\-]{0,98}[\w.])?")
"""No colon: `service:` is for processes that no operator started by a token."""


@dataclass(frozen=True, slots=True)
class OperatorLine:
    """An operator as the list shows them.

    Attributes:
        controllers: slugs; None: all.
        revoked_at: since when the token opens nothing; None: it does.
    """

    name: str
    roles: tuple[str, ...]
    controllers: tuple[str, ...] | None
    added_at: datetime
    added_by: str
    revoked_at: datetime | None


def add_operator(
    context: Context,
    name: str,
    roles: Collection[Role],
    controllers: Sequence[str] = (),
) -> str:
    """Register an operator and return the token, which can never be shown again.

    The first one must be an officer at all controllers, so that somebody can add the others.

    Args:
        context: the installation; who acts must be such an officer, once there is one.
        name: as the audit trail will say it.
        roles: at least one.
        controllers: slugs; empty: all controllers, also later ones.

    Raises:
        NotFoundError: there is no controller of one of these slugs.
        RefusedError: the name was given before, or who acts may not do this.
        UsageError: the name cannot be used, or there is no role.
    """
    _require_usable(name, roles)
    now = context.clock.now()
    with context.store.write() as session:
        _lock(session)
        ids = sorted({find_controller(session, slug).id for slug in controllers}) or None
        _require_may_add(session, context, roles, ids)
        _require_new(session, name)
        token = new_token()
        row = Operator(
            name=name,
            token_hash=token_hash(token),
            roles=sorted(role.value for role in roles),
            controllers=ids,
            added_at=now,
            added_by=context.operator,
        )
        session.add(row)
        session.flush()
        details = {"operator": row.id, "roles": row.roles, "controllers": ids}
        audit(session, now=now, operator=context.operator, action="operator.add", details=details)
    return token


def revoke_operator(session: Session, context: Context, name: str) -> Operator:
    """Let an operator's token open nothing any more, from this transaction on; return the row.

    Their schedules are the caller's to pause, in the same transaction.

    Raises:
        NotFoundError: there is no such operator.
        RefusedError: already revoked, the last officer at all controllers, or who acts may not.
    """
    now = context.clock.now()
    _lock(session)
    require(context, Role.OFFICER, session=session)
    row = _find(session, name)
    others = [one for one in standing(session) if one.id != row.id]
    if standing_operator(session, row.id) is None:
        raise RefusedError(f"{row.name} was revoked already.")
    if not any(_may_add(one) for one in others):
        raise RefusedError(
            f"{row.name} is the last officer at all controllers; nobody could add operators.",
            remedy="Add another first: sender operator add NAME --role officer",
        )
    session.add(OperatorRevocation(operator_id=row.id, revoked_at=now, revoked_by=context.operator))
    audit(
        session, now=now, operator=context.operator, action="operator.revoke",
        details={"operator": row.id},
    )  # fmt: skip
    session.flush()
    return row


def list_operators(session: Session) -> list[OperatorLine]:
    """Return every operator there ever was, in the order in which they came."""
    slugs = {row.id: row.slug for row in session.scalars(select(Controller))}
    ended = {row.operator_id: row.revoked_at for row in session.scalars(select(OperatorRevocation))}
    return [
        OperatorLine(
            row.name,
            tuple(row.roles),
            None if row.controllers is None else tuple(slugs[one] for one in row.controllers),
            row.added_at,
            row.added_by,
            ended.get(row.id),
        )
        for row in session.scalars(select(Operator).order_by(Operator.id))
    ]


def _require_usable(name: str, roles: Collection[Role]) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(
            "This name cannot be used for an operator.",
            remedy="Up to 100 letters, digits, spaces, dots and hyphens, beginning with a letter.",
        )
    if not roles:
        raise UsageError(
            "An operator needs a role.", remedy=f"Add --role: {', '.join(Role)}; several may be."
        )


def _require_may_add(
    session: Session, context: Context, roles: Collection[Role], controllers: list[int] | None
) -> None:
    if is_registered(session):
        require(context, Role.OFFICER, session=session)
    elif Role.OFFICER not in roles or controllers is not None:
        raise RefusedError(
            "The first operator must be an officer at all controllers, to add the others.",
            remedy="Add --role officer and no --controller. One person may have every role.",
        )


def _require_new(session: Session, name: str) -> None:
    wanted = name.casefold()
    if any(known.casefold() == wanted for known in session.scalars(select(Operator.name))):
        raise RefusedError(
            f"There is or was an operator {name} already.",
            remedy="A name is given once, so that the audit trail stays clear. Choose another.",
        )


def _may_add(row: Operator) -> bool:
    return Role.OFFICER in row.roles and row.controllers is None


def _find(session: Session, name: str) -> Operator:
    row = session.scalar(select(Operator).where(Operator.name == name))
    if row is not None:
        return row
    known = session.scalars(select(Operator.name)).all()
    raise unknown(f"operator {name}", name, known, see="sender operator list")


def _lock(session: Session) -> None:
    """One addition or revocation at a time: two officers could revoke each other."""
    if session.get_bind().dialect.name == "postgresql":  # SQLite has one writer anyhow
        session.execute(text('LOCK TABLE "operator" IN EXCLUSIVE MODE'))
