"""how long each controller keeps what shows why it wrote; what shows how an archived form looked.

Revision: 0011
Follows: 0010
"""

import sqlalchemy as sa
from alembic import op

from sender.store.append_only import guard

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# As guarded at this revision; a later revision guards the tables that it adds.
APPEND_ONLY = ("retention_policy",)


def upgrade() -> None:
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "retention_policy",
        sa.Column("id", key, nullable=False),
        sa.Column("controller_id", key, nullable=False),
        sa.Column("limitation_years", key, nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("operator", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["controller_id"],
            ["controller.id"],
            name=op.f("fk_retention_policy_controller_id_controller"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retention_policy")),
    )
    op.create_index(
        op.f("ix_retention_policy_controller_id"), "retention_policy", ["controller_id"]
    )
    with_values = sa.text('"values" IS NOT NULL')
    op.create_index(
        "ix_delivery_with_values",
        "delivery",
        ["dispatched_at"],
        sqlite_where=with_values,
        postgresql_where=with_values,
    )
    op.create_index(
        "ix_delivery_reliance_consent", "delivery_reliance", ["consent_event_id", "dispatched_at"]
    )
    dated = sa.text("retain_until IS NOT NULL")
    op.create_index(
        "ix_contact_retain_until",
        "contact",
        ["retain_until"],
        sqlite_where=dated,
        postgresql_where=dated,
    )
    op.add_column("notice", sa.Column("screenshot", sa.String(length=255), nullable=True))
    op.add_column(
        "notice", sa.Column("screenshot_sha256", sa.LargeBinary(length=32), nullable=True)
    )
    op.add_column("notice", sa.Column("signed_off_by", sa.String(length=200), nullable=True))
    for statement in guard(op.get_bind().dialect.name, append_only=APPEND_ONLY, never_deleted=()):
        op.execute(statement)


def downgrade() -> None:
    """Its triggers go with the table."""
    for name in ("signed_off_by", "screenshot_sha256", "screenshot"):
        op.drop_column("notice", name)
    op.drop_index("ix_contact_retain_until", "contact")
    op.drop_index("ix_delivery_reliance_consent", "delivery_reliance")
    op.drop_index("ix_delivery_with_values", "delivery")
    op.drop_table("retention_policy")
