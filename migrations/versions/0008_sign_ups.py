"""sign-up forms, and sign-ups that wait for their confirmation.

Revision: 0008
Follows: 0007
"""

import sqlalchemy as sa
from alembic import op

from sender.store.append_only import guard

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# As guarded at this revision; a later revision guards the tables that it adds.
APPEND_ONLY = ("sign_up_form",)


def _moment(name: str, *, nullable: bool = False) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "sign_up_form",
        sa.Column("id", key, nullable=False),
        sa.Column("controller_id", key, nullable=False),
        sa.Column("slug", sa.String(length=64), nullable=False),
        sa.Column("version", key, nullable=False),
        sa.Column("notice_slug", sa.String(length=100), nullable=False),
        sa.Column("site", sa.String(length=500), nullable=True),
        sa.Column("origins", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("most_a_day", sa.Integer(), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        _moment("recorded_at"),
        sa.Column("operator", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["controller_id"],
            ["controller.id"],
            name=op.f("fk_sign_up_form_controller_id_controller"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_up_form")),
        sa.UniqueConstraint(
            "controller_id",
            "slug",
            "version",
            name=op.f("uq_sign_up_form_controller_id_slug_version"),
        ),
    )
    op.create_table(
        "sign_up",
        sa.Column("id", key, nullable=False),
        sa.Column("form_id", key, nullable=False),
        sa.Column("controller_id", key, nullable=False),
        sa.Column("notice_id", key, nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("address_id", key, nullable=False),
        sa.Column("address", sa.String(length=320), nullable=True),
        sa.Column("purpose_ids", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("beside_id", key, nullable=True),
        sa.Column("salt", sa.LargeBinary(length=4), nullable=False),
        _moment("requested_at"),
        _moment("due_at", nullable=True),
        sa.Column("reply_id", key, nullable=True),
        _moment("sent_at", nullable=True),
        _moment("confirmed_at", nullable=True),
        _moment("disowned_at", nullable=True),
        sa.ForeignKeyConstraint(
            ["form_id"], ["sign_up_form.id"], name=op.f("fk_sign_up_form_id_sign_up_form")
        ),
        sa.ForeignKeyConstraint(
            ["controller_id"], ["controller.id"], name=op.f("fk_sign_up_controller_id_controller")
        ),
        sa.ForeignKeyConstraint(
            ["notice_id"], ["notice.id"], name=op.f("fk_sign_up_notice_id_notice")
        ),
        sa.ForeignKeyConstraint(
            ["address_id"], ["address.id"], name=op.f("fk_sign_up_address_id_address")
        ),
        sa.ForeignKeyConstraint(
            ["beside_id"], ["sign_up.id"], name=op.f("fk_sign_up_beside_id_sign_up")
        ),
        sa.ForeignKeyConstraint(["reply_id"], ["reply.id"], name=op.f("fk_sign_up_reply_id_reply")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_up")),
    )
    op.create_index(
        "ix_sign_up_due_at",
        "sign_up",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index("ix_sign_up_requested_at", "sign_up", ["requested_at"], unique=False)
    op.create_index("ix_sign_up_address_id", "sign_up", ["address_id"], unique=False)
    for statement in guard(op.get_bind().dialect.name, append_only=APPEND_ONLY, never_deleted=()):
        op.execute(statement)


def downgrade() -> None:
    """Its triggers go with the table."""
    op.drop_table("sign_up")
    op.drop_table("sign_up_form")
