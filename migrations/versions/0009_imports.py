"""imports that can be taken up again, and opt-outs that come as hashes.

Revision: 0009
Follows: 0008
"""

import sqlalchemy as sa
from alembic import op

from sender.store.append_only import guard

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# As guarded at this revision; a later revision guards the tables that it adds.
NEVER_DELETED = ("foreign_hash", "foreign_scheme")

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("import_batch", sa.Column("reading_hash", sa.LargeBinary(32), nullable=True))
    op.add_column(
        "import_batch", sa.Column("rows_done", KEY, server_default=sa.text("0"), nullable=False)
    )
    op.add_column("import_batch", sa.Column("rejects_file", sa.Text(), nullable=True))
    op.add_column("import_batch", sa.Column("rejects_bytes", KEY, nullable=True))
    op.create_table(
        "foreign_scheme",
        sa.Column("id", KEY, nullable=False),
        sa.Column("algorithm", sa.String(length=32), nullable=False),
        sa.Column("key_fingerprint", sa.String(length=32), nullable=False),
        sa.Column("key_variable", sa.String(length=200), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("operator", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_foreign_scheme")),
        sa.UniqueConstraint(
            "algorithm", "key_fingerprint", name=op.f("uq_foreign_scheme_algorithm_key_fingerprint")
        ),
    )
    op.create_table(
        "foreign_hash",
        sa.Column("id", KEY, nullable=False),
        sa.Column("scheme_id", KEY, nullable=False),
        sa.Column("key_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("controller_id", KEY, nullable=False),
        sa.Column("batch_id", KEY, nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("address_id", KEY, nullable=True),
        sa.Column("matched_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["scheme_id"],
            ["foreign_scheme.id"],
            name=op.f("fk_foreign_hash_scheme_id_foreign_scheme"),
        ),
        sa.ForeignKeyConstraint(
            ["controller_id"],
            ["controller.id"],
            name=op.f("fk_foreign_hash_controller_id_controller"),
        ),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["import_batch.id"], name=op.f("fk_foreign_hash_batch_id_import_batch")
        ),
        sa.ForeignKeyConstraint(
            ["address_id"], ["address.id"], name=op.f("fk_foreign_hash_address_id_address")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_foreign_hash")),
        sa.UniqueConstraint(
            "scheme_id",
            "key_hash",
            "controller_id",
            name=op.f("uq_foreign_hash_scheme_id_key_hash_controller_id"),
        ),
    )
    op.create_index(
        "ix_foreign_hash_address_id",
        "foreign_hash",
        ["address_id"],
        unique=False,
        sqlite_where=sa.text("address_id IS NOT NULL"),
        postgresql_where=sa.text("address_id IS NOT NULL"),
    )
    for statement in guard(op.get_bind().dialect.name, append_only=(), never_deleted=NEVER_DELETED):
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("foreign_hash")
    op.drop_table("foreign_scheme")
    for name in ("rejects_bytes", "rejects_file", "rows_done", "reading_hash"):
        op.drop_column("import_batch", name)
