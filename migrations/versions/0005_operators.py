"""operators, their roles, approvals.

Revision: 0005
Follows: 0004
"""

import sqlalchemy as sa
from alembic import op

from sender.store.append_only import guard

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# As guarded at this revision; a later revision guards the tables that it adds.
APPEND_ONLY = ("operator", "operator_revocation", "campaign_approval")


def _number() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "operator",
        sa.Column("id", _number(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("roles", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("controllers", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("added_by", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator")),
        sa.UniqueConstraint("name", name=op.f("uq_operator_name")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_operator_token_hash")),
    )
    op.create_table(
        "operator_revocation",
        sa.Column("id", _number(), nullable=False),
        sa.Column("operator_id", _number(), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_by", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["operator_id"],
            ["operator.id"],
            name=op.f("fk_operator_revocation_operator_id_operator"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator_revocation")),
        sa.UniqueConstraint("operator_id", name=op.f("uq_operator_revocation_operator_id")),
    )
    op.create_table(
        "campaign_approval",
        sa.Column("id", _number(), nullable=False),
        sa.Column("controller_id", _number(), nullable=False),
        sa.Column("campaign_id", _number(), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("flags", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("operator_id", _number(), nullable=True),
        sa.Column("operator", sa.String(length=200), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["controller_id"],
            ["controller.id"],
            name=op.f("fk_campaign_approval_controller_id_controller"),
        ),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name=op.f("fk_campaign_approval_campaign_id_campaign")
        ),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operator.id"], name=op.f("fk_campaign_approval_operator_id_operator")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign_approval")),
    )
    op.create_index(
        op.f("ix_campaign_approval_campaign_id"), "campaign_approval", ["campaign_id"], unique=False
    )
    op.add_column("sending_policy", sa.Column("two_person", sa.Boolean(), nullable=True))
    for statement in guard(op.get_bind().dialect.name, append_only=APPEND_ONLY, never_deleted=()):
        op.execute(statement)


def downgrade() -> None:
    """Their triggers go with the tables."""
    op.drop_column("sending_policy", "two_person")
    for table in ("campaign_approval", "operator_revocation", "operator"):
        op.drop_table(table)
