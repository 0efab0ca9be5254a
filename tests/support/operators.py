"""Operators for tests: rows, and contexts that are theirs."""

from dataclasses import replace
from hashlib import sha256

from pydantic import SecretStr
from sqlalchemy.orm import Session

from sender.context import Context
from sender.operators.authentication import authenticated
from sender.operators.registry import add_operator
from sender.operators.roles import Role
from sender.store.campaigns import Campaign, CampaignVersion
from sender.store.operators import CampaignApproval, Operator, OperatorRevocation
from sender.vocabulary import CampaignKind
from tests.support.factory import NOW, OPERATOR


def add_operator_row(session: Session, name: str) -> Operator:
    """Add an operator whose token is their name."""
    row = Operator(
        name=name,
        token_hash=sha256(name.encode()).digest(),
        roles=[Role.LAUNCH.value],
        controllers=None,
        added_at=NOW,
        added_by=OPERATOR,
    )
    session.add(row)
    session.flush()
    return row


def add_revocation_row(session: Session, operator: Operator) -> None:
    """Revoke an operator."""
    session.add(OperatorRevocation(operator_id=operator.id, revoked_at=NOW, revoked_by=OPERATOR))
    session.flush()


def add_approval_row(session: Session, version: CampaignVersion, operator: Operator) -> None:
    """Let an operator approve a campaign's text."""
    campaign = session.get_one(Campaign, version.campaign_id)
    row = CampaignApproval(
        controller_id=campaign.controller_id,
        campaign_id=campaign.id,
        content_hash=version.content_hash,
        kind=CampaignKind.MARKETING,
        flags=[],
        operator_id=operator.id,
        operator=operator.name,
        approved_at=NOW,
    )
    session.add(row)
    session.flush()


def with_token(context: Context, token: str) -> Context:
    """Return the context of whoever has this token."""
    settings = context.settings.model_copy(update={"operator_token": SecretStr(token)})
    return authenticated(replace(context, settings=settings))


def enter(officer: Context, name: str, *roles: Role, at: tuple[str, ...] = ()) -> Context:
    """Register an operator and return their context; the first has every role."""
    return with_token(officer, add_operator(officer, name, roles or tuple(Role), at))
