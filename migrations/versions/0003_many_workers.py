"""many workers: parts of runs, workers, shared rates, schedules, policies of sending.

Revision: 0003
Follows: 0002
"""

import sqlalchemy as sa
from alembic import op

from sender.store.append_only import guard

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# As guarded at this revision; a later revision guards the tables that it adds.
APPEND_ONLY = ("sending_policy",)
NEVER_DELETED = ("schedule", "schedule_occurrence")

EVENTS_OF_THE_BRAKE = ("hard_bounced", "complained", "opted_out")

# What was planned of a run that is open becomes one part; the rest is cut up as it is planned.
PARTS_OF_OPEN_RUNS = """
INSERT INTO run_part (run_id, above, through, planned_at)
SELECT id, 0, planned_through, created_at FROM run
WHERE planned_through > 0 AND state NOT IN ('cancelled', 'finished')
"""


def upgrade() -> None:
    op.create_table(
        "worker",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column(
            "process_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("slots", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker")),
    )
    op.create_table(
        "account_quota",
        sa.Column(
            "account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("allowed", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("remaining", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column(
            "taken",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            server_default=sa.text("0"),
            nullable=False,
        ),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rate_per_second", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["provider_account.id"],
            name=op.f("fk_account_quota_account_id_provider_account"),
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_account_quota")),
    )
    op.create_table(
        "sending_policy",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "controller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("window", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("frequency_caps", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("brake", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("operator", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["controller_id"],
            ["controller.id"],
            name=op.f("fk_sending_policy_controller_id_controller"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sending_policy")),
    )
    op.create_index(
        op.f("ix_sending_policy_controller_id"), "sending_policy", ["controller_id"], unique=False
    )

    op.create_table(
        "schedule",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "controller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "campaign_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "version_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("file_path", sa.String(length=1000), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("because", sa.String(length=500), nullable=True),
        sa.Column(
            "late_by_seconds", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("considered_through", sa.DateTime(timezone=True), nullable=False),
        sa.Column("operator", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name=op.f("fk_schedule_campaign_id_campaign")
        ),
        sa.ForeignKeyConstraint(
            ["controller_id"], ["controller.id"], name=op.f("fk_schedule_controller_id_controller")
        ),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["campaign_version.id"],
            name=op.f("fk_schedule_version_id_campaign_version"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule")),
    )
    op.create_index(op.f("ix_schedule_campaign_id"), "schedule", ["campaign_id"], unique=False)
    op.create_index(op.f("ix_schedule_controller_id"), "schedule", ["controller_id"], unique=False)
    op.create_index(
        "uq_schedule_campaign_standing",
        "schedule",
        ["campaign_id"],
        unique=True,
        sqlite_where=sa.text("state NOT IN ('removed', 'ended')"),
        postgresql_where=sa.text("state NOT IN ('removed', 'ended')"),
    )

    op.create_table(
        "rate_claim",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("weight", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        sa.Column("wanted_at_seconds", sa.Double(), nullable=False),
        sa.Column("arrival_at_seconds", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_rate_claim_run_id_run")),
        sa.PrimaryKeyConstraint("name", "run_id", name=op.f("pk_rate_claim")),
    )
    op.create_table(
        "schedule_occurrence",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "schedule_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=True),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("because", sa.String(length=500), nullable=True),
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("audience", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["run.id"], name=op.f("fk_schedule_occurrence_run_id_run")
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"],
            ["schedule.id"],
            name=op.f("fk_schedule_occurrence_schedule_id_schedule"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule_occurrence")),
        sa.UniqueConstraint(
            "schedule_id", "due_at", name=op.f("uq_schedule_occurrence_schedule_id_due_at")
        ),
    )
    op.create_index(
        op.f("ix_schedule_occurrence_run_id"), "schedule_occurrence", ["run_id"], unique=False
    )

    op.create_table(
        "run_part",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("above", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("through", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("planned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "dispatcher_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("ready_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["dispatcher_id"], ["dispatcher.id"], name=op.f("fk_run_part_dispatcher_id_dispatcher")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_run_part_run_id_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run_part")),
        sa.UniqueConstraint("run_id", "above", name=op.f("uq_run_part_run_id_above")),
    )
    op.create_index(op.f("ix_run_part_dispatcher_id"), "run_part", ["dispatcher_id"], unique=False)
    op.create_index(
        "ix_run_part_open",
        "run_part",
        ["run_id", "above"],
        unique=False,
        sqlite_where=sa.text("done_at IS NULL"),
        postgresql_where=sa.text("done_at IS NULL"),
    )

    op.create_table(
        "run_brake",
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepting_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("judged_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "accepted_before", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_run_brake_run_id_run")),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_run_brake")),
    )
    op.create_table(
        "alert_telling",
        sa.Column("alert_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("way", sa.String(length=64), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "told_times", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("problem", sa.String(length=500), nullable=True),
        sa.ForeignKeyConstraint(
            ["alert_id"], ["alert.id"], name=op.f("fk_alert_telling_alert_id_alert")
        ),
        sa.PrimaryKeyConstraint("alert_id", "way", name=op.f("pk_alert_telling")),
    )

    op.add_column("inbound_event", sa.Column("block", sa.SmallInteger(), nullable=True))
    op.create_index(
        "ix_inbound_notification_heard",
        "inbound_notification",
        ["provider", "account_id", "received_at"],
        unique=False,
        sqlite_where=sa.text("arrived_by = 'webhook'"),
        postgresql_where=sa.text("arrived_by = 'webhook'"),
    )

    op.add_column(
        "delivery", sa.Column("hard_bounced_at", sa.DateTime(timezone=True), nullable=True)
    )
    for what in EVENTS_OF_THE_BRAKE:
        op.create_index(
            f"ix_delivery_{what}",
            "delivery",
            ["run_id", "dispatched_at"],
            unique=False,
            sqlite_where=sa.text(f"{what}_at IS NOT NULL"),
            postgresql_where=sa.text(f"{what}_at IS NOT NULL"),
        )

    op.add_column(
        "dispatcher",
        sa.Column("place", sa.String(length=32), server_default="", nullable=False),
    )
    op.add_column(
        "dispatcher",
        sa.Column("worker_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
    )
    op.add_column(
        "dispatcher",
        sa.Column(
            "accepted",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            server_default=sa.text("0"),
            nullable=False,
        ),
    )

    op.add_column("rate_limit", sa.Column("slowed_to", sa.Double(), nullable=True))
    op.add_column("rate_limit", sa.Column("slowed_at_seconds", sa.Double(), nullable=True))

    op.add_column("run", sa.Column("kind", sa.String(length=32), nullable=True))
    op.add_column(
        "run",
        sa.Column(
            "unanswered", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
    )
    op.add_column(
        "run",
        sa.Column(
            "window_opens", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
    )
    op.add_column(
        "run",
        sa.Column(
            "window_closes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
    )
    op.add_column("run", sa.Column("priority", sa.String(length=32), nullable=True))
    op.add_column(
        "run",
        sa.Column("weight", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
    )
    op.add_column("run", sa.Column("audience_day", sa.Date(), nullable=True))
    op.add_column(
        "run",
        sa.Column(
            "most_recipients", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
    )
    op.add_column(
        "run",
        sa.Column(
            "recipients_planned",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
        ),
    )

    op.execute(PARTS_OF_OPEN_RUNS)
    for statement in guard(
        op.get_bind().dialect.name, append_only=APPEND_ONLY, never_deleted=NEVER_DELETED
    ):
        op.execute(statement)


def downgrade() -> None:
    """Their triggers go with the tables."""
    for column in (
        "unanswered",
        "recipients_planned",
        "most_recipients",
        "audience_day",
        "weight",
        "priority",
        "window_closes",
        "window_opens",
        "kind",
    ):
        op.drop_column("run", column)
    op.drop_column("rate_limit", "slowed_at_seconds")
    op.drop_column("rate_limit", "slowed_to")
    op.drop_column("dispatcher", "accepted")
    op.drop_column("dispatcher", "worker_id")
    op.drop_column("dispatcher", "place")
    for what in EVENTS_OF_THE_BRAKE:
        op.drop_index(f"ix_delivery_{what}", "delivery")
    op.drop_column("delivery", "hard_bounced_at")
    op.drop_index("ix_inbound_notification_heard", "inbound_notification")
    op.drop_column("inbound_event", "block")
    for table in (
        "alert_telling",
        "run_brake",
        "run_part",
        "schedule_occurrence",
        "rate_claim",
        "schedule",
        "sending_policy",
        "account_quota",
        "worker",
    ):
        op.drop_table(table)
