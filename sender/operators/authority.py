"""Require that whoever acts may do it.

    require(context, Role.LAUNCH, controller_id)

As long as no operator is registered, everybody may do everything.
"""

from collections.abc import Iterable

from sqlalchemy.orm import Session

from sender.context import Context
from sender.errors import RefusedError
from sender.operators.roles import EVERY_ROLE, Role
from sender.operators.standing import is_registered, standing_operator
from sender.store.operators import Operator


class NotAllowedError(RefusedError):
    """Whoever acts has not proved who they are, or lacks the role."""


def require(
    context: Context,
    roles: Role | Iterable[Role],
    controller_id: int | None = None,
    *,
    session: Session | None = None,
) -> None:
    """Require one of the roles of whoever acts.

    Args:
        context: says who acts.
        roles: one of them is enough.
        controller_id: where; None: at all controllers.
        session: a writing session; nobody is revoked before its transaction ends.

    Raises:
        NotAllowedError: no token was given, it was revoked, or the role is missing there.
    """
    wanted = frozenset([roles]) if isinstance(roles, Role) else frozenset(roles)
    if session is not None:
        _require(session, context, wanted, controller_id, lock=True)
        return
    with context.store.read() as reading:
        _require(reading, context, wanted, controller_id, lock=False)


def require_somebody(context: Context) -> None:
    """Require that whoever acts is an operator, of whatever role, if there are any.

    Raises:
        NotAllowedError: no token was given, or it was revoked.
    """
    with context.store.read() as session:
        if is_registered(session):
            _acting(session, context, lock=False)


def may(operator: Operator, roles: Iterable[Role], controller_id: int | None) -> bool:
    """Whether the operator has one of the roles at the controller; None: at all of them."""
    if not frozenset(operator.roles) & frozenset(roles):
        return False
    return operator.controllers is None or controller_id in operator.controllers


def _require(
    session: Session,
    context: Context,
    roles: frozenset[Role],
    controller_id: int | None,
    *,
    lock: bool,
) -> None:
    if not is_registered(session):
        return
    operator = _acting(session, context, lock=lock)
    if not may(operator, roles, controller_id):
        where = "all controllers" if controller_id is None else "this controller"
        raise NotAllowedError(
            f"{operator.name} may not do this: it takes the role {_either(roles)} at {where}.",
            remedy="Ask an operator who has it; see: sender operator list",
        )


def _acting(session: Session, context: Context, *, lock: bool) -> Operator:
    operator = None
    if context.operator_id is not None:
        operator = standing_operator(session, context.operator_id, lock=lock)
    if operator is None:
        raise NotAllowedError(
            "Nobody proved who they are.",
            remedy="Set SENDER_OPERATOR_TOKEN to your own token; an officer gives it to you.",
        )
    return operator


def _either(roles: frozenset[Role]) -> str:
    if roles == EVERY_ROLE:
        return "of any kind"
    return " or ".join(role.value for role in Role if role in roles)
