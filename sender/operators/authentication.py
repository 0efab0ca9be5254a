"""Prove who acts: the token in SENDER_OPERATOR_TOKEN, or the mark of a service."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from sender.clock import Clock
from sender.context import Context, open_context
from sender.operators.authority import NotAllowedError, require_somebody
from sender.operators.standing import holder_of, is_registered
from sender.operators.tokens import token_hash
from sender.settings import Settings
from sender.store.operators import Operator

SERVICE = "service:"
"""Begins the name of a process in the audit trail; no operator's name has a colon."""
LONGEST_NAME = 200
"""Of who acted, in the audit trail."""


@contextmanager
def open_as_operator(
    settings: Settings | None = None, clock: Clock | None = None
) -> Iterator[Context]:
    """Open the installation as the operator whose token the environment holds.

    As long as no operator is registered, whoever SENDER_OPERATOR names, unproved.

    Raises:
        NotAllowedError: operators are registered, and none was proved.
        Everything that `open_context` raises.
    """
    with open_context(settings, clock) as context:
        acting = authenticated(context)
        require_somebody(acting)
        yield acting


def authenticated(context: Context) -> Context:
    """Return the context of whoever acts.

    With a token: its operator, whatever name was given beside it. Without one: the name that was
    given, marked as a service's once operators are registered; it may act where no role is needed.

    Raises:
        NotAllowedError: the token is nobody's, or was revoked.
    """
    token = context.settings.operator_token
    with context.store.read() as session:
        if token is not None and token.get_secret_value().strip():
            return _proved(context, holder_of(session, token_hash(token.get_secret_value())))
        if is_registered(session) and not context.operator.startswith(SERVICE):
            return replace(context, operator=(SERVICE + context.operator)[:LONGEST_NAME])
    return context


def _proved(context: Context, operator: Operator | None) -> Context:
    if operator is None:
        raise NotAllowedError(
            "SENDER_OPERATOR_TOKEN is nobody's token here, or was revoked.",
            remedy="Ask an officer for a new one, or take the variable out.",
        )
    return replace(context, operator=operator.name, operator_id=operator.id)
