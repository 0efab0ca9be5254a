"""import batches that wait for approval.

Revision: 0004
Follows: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MOMENTS = ("approved_at", "revoked_at", "settled_at")
WORDS = {"approved_by": 200, "revoked_by": 200, "revoked_because": 500}

# What was brought in before there were approvals counted at once, and goes on counting.
APPROVE_WHAT_COUNTS = """
UPDATE import_batch SET approved_at = COALESCE(finished_at, started_at),
    settled_at = COALESCE(finished_at, started_at), approved_by = operator
"""


def upgrade() -> None:
    for name in MOMENTS:
        op.add_column("import_batch", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    for name, length in WORDS.items():
        op.add_column("import_batch", sa.Column(name, sa.String(length=length), nullable=True))
    op.execute(APPROVE_WHAT_COUNTS)
    op.add_column("contact", sa.Column("retained_for", sa.String(length=100), nullable=True))
    op.add_column("contact", sa.Column("retain_until", sa.Date(), nullable=True))
    op.create_index(
        "ix_consent_event_batch",
        "consent_event",
        ["batch_id", "address_id"],
        unique=False,
        sqlite_where=sa.text("batch_id IS NOT NULL"),
        postgresql_where=sa.text("batch_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_consent_event_batch", "consent_event")
    op.drop_column("contact", "retain_until")
    op.drop_column("contact", "retained_for")
    for name in (*MOMENTS, *WORDS):
        op.drop_column("import_batch", name)
