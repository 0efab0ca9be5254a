"""reconfirmation campaigns: whose consent a run asks about, and who was asked when.

Revision: 0007
Follows: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

MOMENTS_OF_RUN = ("expiring_fresh_after", "expiring_stale_by", "expiring_ended_by")


def upgrade() -> None:
    op.add_column(
        "run",
        sa.Column(
            "expiring_days", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
    )
    for name in MOMENTS_OF_RUN:
        op.add_column("run", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "refresh_ask",
        sa.Column(
            "purpose_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "address_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "delivery_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("quiet_until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["purpose_id"], ["purpose.id"], name=op.f("fk_refresh_ask_purpose_id_purpose")
        ),
        sa.ForeignKeyConstraint(
            ["address_id"], ["address.id"], name=op.f("fk_refresh_ask_address_id_address")
        ),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["delivery.id"], name=op.f("fk_refresh_ask_delivery_id_delivery")
        ),
        sa.PrimaryKeyConstraint("purpose_id", "address_id", name=op.f("pk_refresh_ask")),
    )
    op.create_index(op.f("ix_refresh_ask_address_id"), "refresh_ask", ["address_id"])


def downgrade() -> None:
    op.drop_table("refresh_ask")
    for name in reversed(MOMENTS_OF_RUN):
        op.drop_column("run", name)
    op.drop_column("run", "expiring_days")
