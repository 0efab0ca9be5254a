"""Operators, their end, and the campaign texts that they approved. All append-only."""

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from sender.store.base import Base
from sender.vocabulary import CampaignKind


class Operator(Base):
    """A person with a token of their own. A name is given once and never again."""

    __tablename__ = "operator"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    """SHA-256 of the token; the token itself is kept nowhere."""
    roles: Mapped[list[str]]
    controllers: Mapped[list[int] | None]
    """Ids of the controllers that the roles hold at; None: at all of them, also later ones."""
    added_at: Mapped[datetime]
    added_by: Mapped[str] = mapped_column(String(200))


class OperatorRevocation(Base):
    """From this moment an operator's token opens nothing."""

    __tablename__ = "operator_revocation"

    id: Mapped[int] = mapped_column(primary_key=True)
    operator_id: Mapped[int] = mapped_column(ForeignKey("operator.id"), unique=True)
    revoked_at: Mapped[datetime]
    revoked_by: Mapped[str] = mapped_column(String(200))


class CampaignApproval(Base):
    """Somebody approved exactly this text of a campaign."""

    __tablename__ = "campaign_approval"

    id: Mapped[int] = mapped_column(primary_key=True)
    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"))
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaign.id"), index=True)
    content_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    kind: Mapped[CampaignKind]
    flags: Mapped[list[str]]
    """What the check of its kind flagged, and this approval lifted."""
    reason: Mapped[str | None] = mapped_column(String(500))
    operator_id: Mapped[int | None] = mapped_column(ForeignKey("operator.id"))
    """None where no operator was registered, and the name is not proved."""
    operator: Mapped[str] = mapped_column(String(200))
    approved_at: Mapped[datetime]
