"""what providers and people tell us: notifications, events, replies, alerts, journal marks.

Revision: 0002
Follows: 0001
"""

import sqlalchemy as sa
from alembic import op

from sender.store.append_only import guard

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# As guarded at this revision; a later revision guards the tables that it adds.
APPEND_ONLY = ("objection_pass_on",)
NEVER_DELETED = ("inbound_event", "inbound_notification")


def upgrade() -> None:
    op.create_table(
        "alert",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("details", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("times", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
        sa.UniqueConstraint("kind", "subject", name=op.f("uq_alert_kind_subject")),
    )
    op.create_table(
        "journal_mark",
        sa.Column("journal", sa.String(length=32), nullable=False),
        sa.Column(
            "checked_bytes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("journal", name=op.f("pk_journal_mark")),
    )
    op.create_table(
        "inbound_notification",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("arrived_by", sa.String(length=32), nullable=False),
        sa.Column("raw_type", sa.String(length=64), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("payload", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("suppression_event_ids", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("erase_after", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["provider_account.id"],
            name=op.f("fk_inbound_notification_account_id_provider_account"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbound_notification")),
        sa.UniqueConstraint("provider", "name", name=op.f("uq_inbound_notification_provider_name")),
    )
    op.create_index(
        "ix_inbound_notification_erase_after",
        "inbound_notification",
        ["erase_after"],
        unique=False,
        sqlite_where=sa.text("payload IS NOT NULL"),
        postgresql_where=sa.text("payload IS NOT NULL"),
    )

    op.create_table(
        "lost_run",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "controller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("campaign_name", sa.String(length=100), nullable=False),
        sa.Column("run_key", sa.String(length=32), nullable=False),
        sa.Column("messages", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["controller_id"], ["controller.id"], name=op.f("fk_lost_run_controller_id_controller")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lost_run")),
        sa.UniqueConstraint(
            "controller_id",
            "campaign_name",
            "run_key",
            name=op.f("uq_lost_run_controller_id_campaign_name_run_key"),
        ),
    )
    op.create_table(
        "lost_message",
        sa.Column(
            "lost_run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "address_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["address_id"], ["address.id"], name=op.f("fk_lost_message_address_id_address")
        ),
        sa.ForeignKeyConstraint(
            ["lost_run_id"], ["lost_run.id"], name=op.f("fk_lost_message_lost_run_id_lost_run")
        ),
        sa.PrimaryKeyConstraint("lost_run_id", "address_id", name=op.f("pk_lost_message")),
    )
    op.create_table(
        "objection_pass_on",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "from_controller_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column(
            "to_controller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "address_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("passed_on", sa.Boolean(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column(
            "delivery_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.ForeignKeyConstraint(
            ["address_id"], ["address.id"], name=op.f("fk_objection_pass_on_address_id_address")
        ),
        sa.ForeignKeyConstraint(
            ["from_controller_id"],
            ["controller.id"],
            name=op.f("fk_objection_pass_on_from_controller_id_controller"),
        ),
        sa.ForeignKeyConstraint(
            ["to_controller_id"],
            ["controller.id"],
            name=op.f("fk_objection_pass_on_to_controller_id_controller"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_objection_pass_on")),
    )
    op.create_index(
        op.f("ix_objection_pass_on_address_id"), "objection_pass_on", ["address_id"], unique=False
    )
    op.create_index(
        op.f("ix_objection_pass_on_from_controller_id"),
        "objection_pass_on",
        ["from_controller_id"],
        unique=False,
    )

    op.create_table(
        "reconciliation",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("found", sa.JSON(none_as_null=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["provider_account.id"],
            name=op.f("fk_reconciliation_account_id_provider_account"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliation")),
    )
    op.create_index(
        op.f("ix_reconciliation_account_id"), "reconciliation", ["account_id"], unique=False
    )

    op.create_table(
        "inbound_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "notification_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("raw_type", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=200), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "delivery_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "address_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("provider_message_id", sa.String(length=200), nullable=True),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["address_id"], ["address.id"], name=op.f("fk_inbound_event_address_id_address")
        ),
        sa.ForeignKeyConstraint(
            ["notification_id"],
            ["inbound_notification.id"],
            name=op.f("fk_inbound_event_notification_id_inbound_notification"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbound_event")),
    )
    op.create_index(
        "ix_inbound_event_address", "inbound_event", ["address_id", "occurred_at"], unique=False
    )
    op.create_index("ix_inbound_event_delivery_id", "inbound_event", ["delivery_id"], unique=False)
    op.create_index(
        op.f("ix_inbound_event_notification_id"), "inbound_event", ["notification_id"], unique=False
    )
    op.create_index(
        "ix_inbound_event_waiting",
        "inbound_event",
        ["provider_message_id"],
        unique=False,
        sqlite_where=sa.text("applied_at IS NULL"),
        postgresql_where=sa.text("applied_at IS NULL"),
    )

    op.create_table(
        "inbox_message",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "notification_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "controller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "address_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("meaning", sa.String(length=32), nullable=False),
        sa.Column(
            "hold_event_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("decided_as", sa.String(length=32), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.String(length=200), nullable=True),
        sa.Column("erase_after", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["address_id"], ["address.id"], name=op.f("fk_inbox_message_address_id_address")
        ),
        sa.ForeignKeyConstraint(
            ["controller_id"],
            ["controller.id"],
            name=op.f("fk_inbox_message_controller_id_controller"),
        ),
        sa.ForeignKeyConstraint(
            ["hold_event_id"],
            ["suppression_event.id"],
            name=op.f("fk_inbox_message_hold_event_id_suppression_event"),
        ),
        sa.ForeignKeyConstraint(
            ["notification_id"],
            ["inbound_notification.id"],
            name=op.f("fk_inbox_message_notification_id_inbound_notification"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox_message")),
    )
    op.create_index("ix_inbox_message_address_id", "inbox_message", ["address_id"], unique=False)
    op.create_index(
        "ix_inbox_message_controller",
        "inbox_message",
        ["controller_id", "received_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_inbox_message_notification_id"), "inbox_message", ["notification_id"], unique=False
    )

    op.add_column(
        "controller_version", sa.Column("brand_colour", sa.String(length=7), nullable=True)
    )

    with op.batch_alter_table("reply", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "notification_id",
                sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
                nullable=True,
            )
        )
        batch_op.create_index(
            batch_op.f("ix_reply_notification_id"), ["notification_id"], unique=False
        )
        batch_op.create_foreign_key(
            batch_op.f("fk_reply_notification_id_inbound_notification"),
            "inbound_notification",
            ["notification_id"],
            ["id"],
        )

    op.add_column("run", sa.Column("link_salt", sa.LargeBinary(length=16), nullable=True))
    op.add_column("run", sa.Column("restored_at", sa.DateTime(timezone=True), nullable=True))

    for statement in guard(
        op.get_bind().dialect.name, append_only=APPEND_ONLY, never_deleted=NEVER_DELETED
    ):
        op.execute(statement)


def downgrade() -> None:
    """Their triggers go with the tables."""
    op.drop_column("run", "restored_at")
    op.drop_column("run", "link_salt")
    with op.batch_alter_table("reply") as batch_op:
        batch_op.drop_constraint(
            batch_op.f("fk_reply_notification_id_inbound_notification"), type_="foreignkey"
        )
        batch_op.drop_index(batch_op.f("ix_reply_notification_id"))
        batch_op.drop_column("notification_id")
    op.drop_column("controller_version", "brand_colour")
    for table in (
        "inbox_message",
        "inbound_event",
        "reconciliation",
        "objection_pass_on",
        "lost_message",
        "lost_run",
        "inbound_notification",
        "journal_mark",
        "alert",
    ):
        op.drop_table(table)
