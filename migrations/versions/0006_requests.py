"""requests of people, closed purposes.

Revision: 0006
Follows: 0005
"""

import sqlalchemy as sa
from alembic import op

from sender.store.append_only import guard

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# As guarded at this revision; a later revision guards the tables that it adds.
APPEND_ONLY = ("purpose_closure",)
NEVER_DELETED = ("subject_request",)


def upgrade() -> None:
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "subject_request",
        sa.Column("id", key, nullable=False),
        sa.Column("controller_id", key, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("address_id", key, nullable=True),
        sa.Column("contact_id", key, nullable=True),
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("acknowledge_by", sa.Date(), nullable=True),
        sa.Column("acknowledged_on", sa.Date(), nullable=True),
        sa.Column("requester", sa.String(length=320), nullable=True),
        sa.Column("words", sa.Text(), nullable=True),
        sa.Column("identity_check", sa.String(length=500), nullable=True),
        sa.Column("outcome", sa.String(length=32), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_by", sa.String(length=200), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(
            ["controller_id"],
            ["controller.id"],
            name=op.f("fk_subject_request_controller_id_controller"),
        ),
        sa.ForeignKeyConstraint(
            ["address_id"], ["address.id"], name=op.f("fk_subject_request_address_id_address")
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contact.id"], name=op.f("fk_subject_request_contact_id_contact")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subject_request")),
    )
    op.create_index(
        op.f("ix_subject_request_address_id"), "subject_request", ["address_id"], unique=False
    )
    op.create_index(
        op.f("ix_subject_request_contact_id"), "subject_request", ["contact_id"], unique=False
    )
    op.create_index(
        "ix_subject_request_controller",
        "subject_request",
        ["controller_id", "due_on"],
        unique=False,
    )
    op.create_table(
        "subject_request_delivery",
        sa.Column("request_id", key, nullable=False),
        sa.Column("delivery_id", key, nullable=False),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["subject_request.id"],
            name=op.f("fk_subject_request_delivery_request_id_subject_request"),
        ),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["delivery.id"],
            name=op.f("fk_subject_request_delivery_delivery_id_delivery"),
        ),
        sa.PrimaryKeyConstraint(
            "request_id", "delivery_id", name=op.f("pk_subject_request_delivery")
        ),
    )
    op.create_index(
        op.f("ix_subject_request_delivery_delivery_id"),
        "subject_request_delivery",
        ["delivery_id"],
        unique=False,
    )
    op.create_table(
        "purpose_closure",
        sa.Column("id", key, nullable=False),
        sa.Column("purpose_id", key, nullable=False),
        sa.Column("closes_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("operator", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["purpose_id"], ["purpose.id"], name=op.f("fk_purpose_closure_purpose_id_purpose")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_purpose_closure")),
    )
    op.create_index(
        op.f("ix_purpose_closure_purpose_id"), "purpose_closure", ["purpose_id"], unique=False
    )
    dialect = op.get_bind().dialect.name
    for statement in guard(dialect, append_only=APPEND_ONLY, never_deleted=NEVER_DELETED):
        op.execute(statement)


def downgrade() -> None:
    """Their triggers go with the tables."""
    op.drop_table("purpose_closure")
    op.drop_table("subject_request_delivery")
    op.drop_table("subject_request")
