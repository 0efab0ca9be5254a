"""The operators whose tokens open something."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.store.operators import Operator, OperatorRevocation

_NOT_REVOKED = (
    ~select(OperatorRevocation).where(OperatorRevocation.operator_id == Operator.id).exists()
)


def standing(session: Session) -> Sequence[Operator]:
    """Return every operator who was not revoked."""
    return session.scalars(select(Operator).where(_NOT_REVOKED).order_by(Operator.id)).all()


def is_registered(session: Session) -> bool:
    """Whether there is an operator at all; if so, every command asks for a token."""
    return session.scalar(select(Operator.id).where(_NOT_REVOKED).limit(1)) is not None


def standing_operator(session: Session, operator_id: int, *, lock: bool = False) -> Operator | None:
    """Return the operator if they were not revoked.

    Args:
        session: reading, or writing with `lock`.
        operator_id: whom.
        lock: let nobody revoke them before the transaction ends.
    """
    query = select(Operator).where(Operator.id == operator_id)
    if lock:
        # The lock first, then a look that sees whatever the lock waited for.
        session.execute(query.with_for_update(read=True))
    return session.scalar(query.where(_NOT_REVOKED))


def holder_of(session: Session, token_hash: bytes) -> Operator | None:
    """Return the operator with this token, if they were not revoked."""
    return session.scalar(select(Operator).where(Operator.token_hash == token_hash, _NOT_REVOKED))
