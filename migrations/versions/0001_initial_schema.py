"""initial schema, with the guards over its history.

Revision: 0001
Follows:
"""

import sqlalchemy as sa
from alembic import op

from sender.store.append_only import guard, unguard

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# As guarded at this revision; a later revision guards the tables that it adds.
APPEND_ONLY = (
    "consent_event",
    "suppression_event",
    "audit_event",
    "controller_version",
    "controller_freeze",
    "opt_out_declaration",
    "freshness_policy",
    "notice",
    "campaign_version",
    "delivery_reliance",
    "hash_key",
)
NEVER_DELETED = (
    "address",
    "campaign",
    "chain",
    "controller",
    "delivery",
    "import_batch",
    "provider_account",
    "purpose",
    "run",
    "run_body",
    "sender_identity",
)


def upgrade() -> None:
    op.create_table(
        "address",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_address")),
        sa.UniqueConstraint("channel", "key_hash", name=op.f("uq_address_channel_key_hash")),
    )
    op.create_table(
        "chain",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("ledger", sa.String(length=32), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_by", sa.String(length=200), nullable=False),
        sa.Column("head_seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("head_hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chain")),
    )
    op.create_table(
        "controller",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("slug", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_controller")),
        sa.UniqueConstraint("slug", name=op.f("uq_controller_slug")),
    )
    op.create_table(
        "hash_key",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hash_key")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_hash_key_fingerprint")),
    )
    op.create_table(
        "provider_account",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("options", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_account")),
        sa.UniqueConstraint("name", name=op.f("uq_provider_account_name")),
    )
    op.create_table(
        "rate_limit",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("arrival_at_seconds", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_rate_limit")),
    )
    op.create_table(
        "audit_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("chain_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("operator", sa.String(length=200), nullable=False),
        sa.Column("action", sa.String(length=100), nullable=False),
        sa.Column(
            "controller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("details", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("payload_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("row_hash", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["chain_id"], ["chain.id"], name=op.f("fk_audit_event_chain_id_chain")
        ),
        sa.ForeignKeyConstraint(
            ["controller_id"],
            ["controller.id"],
            name=op.f("fk_audit_event_controller_id_controller"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_event")),
        sa.UniqueConstraint("chain_id", "seq", name=op.f("uq_audit_event_chain_id_seq")),
    )
    with op.batch_alter_table("audit_event", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_audit_event_controller_id"), ["controller_id"], unique=False
        )

    op.create_table(
        "campaign",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "controller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["controller_id"], ["controller.id"], name=op.f("fk_campaign_controller_id_controller")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign")),
        sa.UniqueConstraint("controller_id", "name", name=op.f("uq_campaign_controller_id_name")),
    )
    op.create_table(
        "contact",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "controller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("external_ref", sa.String(length=200), nullable=True),
        sa.Column("title", sa.String(length=64), nullable=True),
        sa.Column("first_name", sa.String(length=200), nullable=True),
        sa.Column("last_name", sa.String(length=200), nullable=True),
        sa.Column("postcode", sa.String(length=16), nullable=True),
        sa.Column("locale", sa.String(length=16), nullable=True),
        sa.Column("time_zone", sa.String(length=64), nullable=True),
        sa.Column("attributes", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("source_detail", sa.String(length=500), nullable=True),
        sa.Column("source_told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("objected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["controller_id"], ["controller.id"], name=op.f("fk_contact_controller_id_controller")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact")),
        sa.UniqueConstraint(
            "controller_id", "external_ref", name=op.f("uq_contact_controller_id_external_ref")
        ),
    )
    op.create_table(
        "controller_freeze",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "controller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("operator", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["controller_id"],
            ["controller.id"],
            name=op.f("fk_controller_freeze_controller_id_controller"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_controller_freeze")),
    )
    with op.batch_alter_table("controller_freeze", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_controller_freeze_controller_id"), ["controller_id"], unique=False
        )

    op.create_table(
        "controller_version",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "controller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("version", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("operator", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("postal_address", sa.String(length=500), nullable=False),
        sa.Column("contact_email", sa.String(length=320), nullable=False),
        sa.Column("contact_phone", sa.String(length=32), nullable=True),
        sa.Column("website", sa.String(length=500), nullable=True),
        sa.Column("privacy_notice_url", sa.String(length=500), nullable=False),
        sa.Column("promoter_name", sa.String(length=200), nullable=True),
        sa.Column("promoter_address", sa.String(length=500), nullable=True),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("relatives", sa.JSON(none_as_null=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["controller_id"],
            ["controller.id"],
            name=op.f("fk_controller_version_controller_id_controller"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_controller_version")),
        sa.UniqueConstraint(
            "controller_id", "version", name=op.f("uq_controller_version_controller_id_version")
        ),
    )
    op.create_table(
        "import_batch",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "controller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("file_name", sa.String(length=255), nullable=False),
        sa.Column("file_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("operator", sa.String(length=200), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("counts", sa.JSON(none_as_null=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["controller_id"],
            ["controller.id"],
            name=op.f("fk_import_batch_controller_id_controller"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_batch")),
    )
    with op.batch_alter_table("import_batch", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_import_batch_controller_id"), ["controller_id"], unique=False
        )

    op.create_table(
        "notice",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "controller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("slug", sa.String(length=100), nullable=False),
        sa.Column("version", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("wording", sa.Text(), nullable=False),
        sa.Column("privacy_notice_url", sa.String(length=500), nullable=False),
        sa.Column("channels", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("purposes", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("controllers", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("pre_ticked", sa.Boolean(), nullable=False),
        sa.Column("bundled", sa.Boolean(), nullable=False),
        sa.Column("shown_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("shown_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("operator", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["controller_id"], ["controller.id"], name=op.f("fk_notice_controller_id_controller")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
        sa.UniqueConstraint(
            "controller_id", "slug", "version", name=op.f("uq_notice_controller_id_slug_version")
        ),
    )
    op.create_table(
        "opt_out_declaration",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "controller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("statement", sa.String(length=32), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("operator", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["controller_id"],
            ["controller.id"],
            name=op.f("fk_opt_out_declaration_controller_id_controller"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_opt_out_declaration")),
    )
    with op.batch_alter_table("opt_out_declaration", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_opt_out_declaration_controller_id"), ["controller_id"], unique=False
        )

    op.create_table(
        "purpose",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "controller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("slug", sa.String(length=100), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["controller_id"], ["controller.id"], name=op.f("fk_purpose_controller_id_controller")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_purpose")),
        sa.UniqueConstraint("controller_id", "slug", name=op.f("uq_purpose_controller_id_slug")),
    )
    op.create_table(
        "reply",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "controller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "address_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["address_id"], ["address.id"], name=op.f("fk_reply_address_id_address")
        ),
        sa.ForeignKeyConstraint(
            ["controller_id"], ["controller.id"], name=op.f("fk_reply_controller_id_controller")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reply")),
    )
    with op.batch_alter_table("reply", schema=None) as batch_op:
        batch_op.create_index(
            "ix_reply_address_kind", ["address_id", "kind", "sent_at"], unique=False
        )

    op.create_table(
        "sender_identity",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "controller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "provider_account_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.Column("display_name", sa.String(length=200), nullable=False),
        sa.Column("reply_to", sa.String(length=320), nullable=True),
        sa.Column("opt_out_style", sa.String(length=32), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["controller_id"],
            ["controller.id"],
            name=op.f("fk_sender_identity_controller_id_controller"),
        ),
        sa.ForeignKeyConstraint(
            ["provider_account_id"],
            ["provider_account.id"],
            name=op.f("fk_sender_identity_provider_account_id_provider_account"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sender_identity")),
        sa.UniqueConstraint(
            "controller_id",
            "channel",
            "name",
            "recorded_at",
            name=op.f("uq_sender_identity_controller_id_channel_name_recorded_at"),
        ),
    )
    with op.batch_alter_table("sender_identity", schema=None) as batch_op:
        batch_op.create_index(
            "ix_sender_identity_channel_address", ["channel", "address"], unique=False
        )

    op.create_table(
        "test_address",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "controller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "address_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("failures", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["address_id"], ["address.id"], name=op.f("fk_test_address_address_id_address")
        ),
        sa.ForeignKeyConstraint(
            ["controller_id"],
            ["controller.id"],
            name=op.f("fk_test_address_controller_id_controller"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_test_address")),
        sa.UniqueConstraint(
            "controller_id", "address_id", name=op.f("uq_test_address_controller_id_address_id")
        ),
    )
    with op.batch_alter_table("test_address", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_test_address_address_id"), ["address_id"], unique=False
        )

    op.create_table(
        "audit_payload",
        sa.Column("event_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("salt", sa.LargeBinary(length=16), nullable=False),
        sa.Column("payload", sa.JSON(none_as_null=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"], ["audit_event.id"], name=op.f("fk_audit_payload_event_id_audit_event")
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_audit_payload")),
    )
    op.create_table(
        "campaign_version",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "campaign_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("version", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("files", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("operator", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name=op.f("fk_campaign_version_campaign_id_campaign")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign_version")),
        sa.UniqueConstraint(
            "campaign_id", "version", name=op.f("uq_campaign_version_campaign_id_version")
        ),
    )
    op.create_table(
        "consent_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("chain_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "controller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "purpose_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "address_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("method", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("notice_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("lawful_basis", sa.String(length=32), nullable=False),
        sa.Column("flaw", sa.String(length=32), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("batch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("operator", sa.String(length=200), nullable=False),
        sa.Column("payload_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("row_hash", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["address_id"], ["address.id"], name=op.f("fk_consent_event_address_id_address")
        ),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["import_batch.id"], name=op.f("fk_consent_event_batch_id_import_batch")
        ),
        sa.ForeignKeyConstraint(
            ["chain_id"], ["chain.id"], name=op.f("fk_consent_event_chain_id_chain")
        ),
        sa.ForeignKeyConstraint(
            ["controller_id"],
            ["controller.id"],
            name=op.f("fk_consent_event_controller_id_controller"),
        ),
        sa.ForeignKeyConstraint(
            ["notice_id"], ["notice.id"], name=op.f("fk_consent_event_notice_id_notice")
        ),
        sa.ForeignKeyConstraint(
            ["purpose_id"], ["purpose.id"], name=op.f("fk_consent_event_purpose_id_purpose")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_event")),
        sa.UniqueConstraint("chain_id", "seq", name=op.f("uq_consent_event_chain_id_seq")),
    )
    with op.batch_alter_table("consent_event", schema=None) as batch_op:
        batch_op.create_index(
            "ix_consent_event_key", ["address_id", "controller_id", "purpose_id"], unique=False
        )

    op.create_table(
        "contact_point",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "controller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "contact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column(
            "address_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("address", sa.String(length=320), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["address_id"], ["address.id"], name=op.f("fk_contact_point_address_id_address")
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contact.id"], name=op.f("fk_contact_point_contact_id_contact")
        ),
        sa.ForeignKeyConstraint(
            ["controller_id"],
            ["controller.id"],
            name=op.f("fk_contact_point_controller_id_controller"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact_point")),
        sa.UniqueConstraint(
            "controller_id", "address_id", name=op.f("uq_contact_point_controller_id_address_id")
        ),
    )
    with op.batch_alter_table("contact_point", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_contact_point_address_id"), ["address_id"], unique=False
        )
        batch_op.create_index(
            "ix_contact_point_audience", ["controller_id", "channel", "address_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_contact_point_contact_id"), ["contact_id"], unique=False
        )

    op.create_table(
        "freshness_policy",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "controller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("channel", sa.String(length=32), nullable=True),
        sa.Column(
            "purpose_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "warn_months", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "hold_months", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("operator", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["controller_id"],
            ["controller.id"],
            name=op.f("fk_freshness_policy_controller_id_controller"),
        ),
        sa.ForeignKeyConstraint(
            ["purpose_id"], ["purpose.id"], name=op.f("fk_freshness_policy_purpose_id_purpose")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_freshness_policy")),
    )
    with op.batch_alter_table("freshness_policy", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_freshness_policy_controller_id"), ["controller_id"], unique=False
        )

    op.create_table(
        "consent_payload",
        sa.Column("event_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("salt", sa.LargeBinary(length=16), nullable=False),
        sa.Column("payload", sa.JSON(none_as_null=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["consent_event.id"],
            name=op.f("fk_consent_payload_event_id_consent_event"),
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_consent_payload")),
    )
    op.create_table(
        "consent_state",
        sa.Column(
            "controller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "purpose_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "address_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("event_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("last_affirmative_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("flaw", sa.String(length=32), nullable=False),
        sa.Column("notice_shown_from", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["address_id"], ["address.id"], name=op.f("fk_consent_state_address_id_address")
        ),
        sa.ForeignKeyConstraint(
            ["controller_id"],
            ["controller.id"],
            name=op.f("fk_consent_state_controller_id_controller"),
        ),
        sa.ForeignKeyConstraint(
            ["event_id"], ["consent_event.id"], name=op.f("fk_consent_state_event_id_consent_event")
        ),
        sa.ForeignKeyConstraint(
            ["purpose_id"], ["purpose.id"], name=op.f("fk_consent_state_purpose_id_purpose")
        ),
        sa.PrimaryKeyConstraint(
            "controller_id", "purpose_id", "address_id", name=op.f("pk_consent_state")
        ),
    )
    with op.batch_alter_table("consent_state", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_consent_state_address_id"), ["address_id"], unique=False
        )

    op.create_table(
        "run",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "campaign_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("is_test", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("stopped_because", sa.String(length=500), nullable=True),
        sa.Column("deferred_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "version_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "controller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "controller_version_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column(
            "sender_identity_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column(
            "purpose_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column(
            "fresh_within_months",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "planned_through", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "plan_ends_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("exclude_sent", sa.Boolean(), nullable=False),
        sa.Column("operator", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name=op.f("fk_run_campaign_id_campaign")
        ),
        sa.ForeignKeyConstraint(
            ["controller_id"], ["controller.id"], name=op.f("fk_run_controller_id_controller")
        ),
        sa.ForeignKeyConstraint(
            ["controller_version_id"],
            ["controller_version.id"],
            name=op.f("fk_run_controller_version_id_controller_version"),
        ),
        sa.ForeignKeyConstraint(
            ["purpose_id"], ["purpose.id"], name=op.f("fk_run_purpose_id_purpose")
        ),
        sa.ForeignKeyConstraint(
            ["sender_identity_id"],
            ["sender_identity.id"],
            name=op.f("fk_run_sender_identity_id_sender_identity"),
        ),
        sa.ForeignKeyConstraint(
            ["version_id"], ["campaign_version.id"], name=op.f("fk_run_version_id_campaign_version")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
        sa.UniqueConstraint("campaign_id", "number", name=op.f("uq_run_campaign_id_number")),
    )
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_run_controller_id"), ["controller_id"], unique=False)

    op.create_table(
        "dispatcher",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column(
            "process_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_dispatcher_run_id_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispatcher")),
    )
    with op.batch_alter_table("dispatcher", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_dispatcher_run_id"), ["run_id"], unique=False)

    op.create_table(
        "run_body",
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "controller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "controller_version_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column(
            "purpose_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["controller_id"], ["controller.id"], name=op.f("fk_run_body_controller_id_controller")
        ),
        sa.ForeignKeyConstraint(
            ["controller_version_id"],
            ["controller_version.id"],
            name=op.f("fk_run_body_controller_version_id_controller_version"),
        ),
        sa.ForeignKeyConstraint(
            ["purpose_id"], ["purpose.id"], name=op.f("fk_run_body_purpose_id_purpose")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_run_body_run_id_run")),
        sa.PrimaryKeyConstraint("run_id", "controller_id", name=op.f("pk_run_body")),
    )
    op.create_table(
        "source_refusal",
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("count", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_source_refusal_run_id_run")),
        sa.PrimaryKeyConstraint("run_id", "reason", name=op.f("pk_source_refusal")),
    )
    op.create_table(
        "staged_recipient",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "address_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("address", sa.String(length=320), nullable=True),
        sa.Column("attributes", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("erase_after", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["address_id"], ["address.id"], name=op.f("fk_staged_recipient_address_id_address")
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["run.id"], name=op.f("fk_staged_recipient_run_id_run")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staged_recipient")),
        sa.UniqueConstraint(
            "run_id", "address_id", name=op.f("uq_staged_recipient_run_id_address_id")
        ),
    )
    with op.batch_alter_table("staged_recipient", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_staged_recipient_address_id"), ["address_id"], unique=False
        )

    op.create_table(
        "delivery",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "address_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "contact_point_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "staged_recipient_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
        ),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column(
            "refused_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "consent_event_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "version_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column(
            "controller_version_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
        ),
        sa.Column(
            "dispatcher_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dispatched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("bounced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("complained_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opted_out_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("provider_message_id", sa.String(length=200), nullable=True),
        sa.Column("provider_code", sa.String(length=200), nullable=True),
        sa.Column("segments", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("message_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("values", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["address_id"], ["address.id"], name=op.f("fk_delivery_address_id_address")
        ),
        sa.ForeignKeyConstraint(
            ["consent_event_id"],
            ["consent_event.id"],
            name=op.f("fk_delivery_consent_event_id_consent_event"),
        ),
        sa.ForeignKeyConstraint(
            ["contact_point_id"],
            ["contact_point.id"],
            name=op.f("fk_delivery_contact_point_id_contact_point"),
        ),
        sa.ForeignKeyConstraint(
            ["controller_version_id"],
            ["controller_version.id"],
            name=op.f("fk_delivery_controller_version_id_controller_version"),
        ),
        sa.ForeignKeyConstraint(
            ["dispatcher_id"], ["dispatcher.id"], name=op.f("fk_delivery_dispatcher_id_dispatcher")
        ),
        sa.ForeignKeyConstraint(
            ["refused_by_id"], ["controller.id"], name=op.f("fk_delivery_refused_by_id_controller")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_delivery_run_id_run")),
        sa.ForeignKeyConstraint(
            ["staged_recipient_id"],
            ["staged_recipient.id"],
            name=op.f("fk_delivery_staged_recipient_id_staged_recipient"),
        ),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["campaign_version.id"],
            name=op.f("fk_delivery_version_id_campaign_version"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
        sa.UniqueConstraint("run_id", "address_id", name=op.f("uq_delivery_run_id_address_id")),
    )
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_delivery_address_id"), ["address_id"], unique=False)
        batch_op.create_index(
            "ix_delivery_pending",
            ["run_id", "id"],
            unique=False,
            sqlite_where=sa.text("state = 'pending'"),
            postgresql_where=sa.text("state = 'pending'"),
        )
        batch_op.create_index(
            batch_op.f("ix_delivery_provider_message_id"), ["provider_message_id"], unique=False
        )
        batch_op.create_index(
            "ix_delivery_unsettled",
            ["run_id"],
            unique=False,
            sqlite_where=sa.text("state IN ('dispatching', 'unknown')"),
            postgresql_where=sa.text("state IN ('dispatching', 'unknown')"),
        )

    op.create_table(
        "delivery_reliance",
        sa.Column(
            "delivery_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "controller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("dispatched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "consent_event_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["consent_event_id"],
            ["consent_event.id"],
            name=op.f("fk_delivery_reliance_consent_event_id_consent_event"),
        ),
        sa.ForeignKeyConstraint(
            ["controller_id"],
            ["controller.id"],
            name=op.f("fk_delivery_reliance_controller_id_controller"),
        ),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["delivery.id"], name=op.f("fk_delivery_reliance_delivery_id_delivery")
        ),
        sa.PrimaryKeyConstraint(
            "delivery_id", "controller_id", "dispatched_at", name=op.f("pk_delivery_reliance")
        ),
    )
    op.create_table(
        "suppression_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("chain_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("act", sa.String(length=32), nullable=False),
        sa.Column("cause", sa.SmallInteger(), nullable=False),
        sa.Column(
            "address_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "controller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column(
            "purpose_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("by_person", sa.Boolean(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column(
            "delivery_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("batch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("operator", sa.String(length=200), nullable=False),
        sa.Column("payload_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("row_hash", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["address_id"], ["address.id"], name=op.f("fk_suppression_event_address_id_address")
        ),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["import_batch.id"],
            name=op.f("fk_suppression_event_batch_id_import_batch"),
        ),
        sa.ForeignKeyConstraint(
            ["chain_id"], ["chain.id"], name=op.f("fk_suppression_event_chain_id_chain")
        ),
        sa.ForeignKeyConstraint(
            ["controller_id"],
            ["controller.id"],
            name=op.f("fk_suppression_event_controller_id_controller"),
        ),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["delivery.id"], name=op.f("fk_suppression_event_delivery_id_delivery")
        ),
        sa.ForeignKeyConstraint(
            ["purpose_id"], ["purpose.id"], name=op.f("fk_suppression_event_purpose_id_purpose")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suppression_event")),
        sa.UniqueConstraint("chain_id", "seq", name=op.f("uq_suppression_event_chain_id_seq")),
    )
    with op.batch_alter_table("suppression_event", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_suppression_event_address_id"), ["address_id"], unique=False
        )

    op.create_table(
        "block",
        sa.Column(
            "address_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "controller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column(
            "purpose_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("cause", sa.SmallInteger(), nullable=False),
        sa.Column("event_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["address_id"], ["address.id"], name=op.f("fk_block_address_id_address")
        ),
        sa.ForeignKeyConstraint(
            ["event_id"], ["suppression_event.id"], name=op.f("fk_block_event_id_suppression_event")
        ),
        sa.PrimaryKeyConstraint(
            "address_id", "controller_id", "channel", "purpose_id", "cause", name=op.f("pk_block")
        ),
    )
    op.create_table(
        "suppression_payload",
        sa.Column("event_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("salt", sa.LargeBinary(length=16), nullable=False),
        sa.Column("payload", sa.JSON(none_as_null=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["suppression_event.id"],
            name=op.f("fk_suppression_payload_event_id_suppression_event"),
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_suppression_payload")),
    )

    for statement in guard(
        op.get_context().dialect.name, append_only=APPEND_ONLY, never_deleted=NEVER_DELETED
    ):
        op.execute(statement)


def downgrade() -> None:
    for statement in unguard(op.get_context().dialect.name, APPEND_ONLY + NEVER_DELETED):
        op.execute(statement)
    op.drop_table("suppression_payload")
    op.drop_table("block")
    with op.batch_alter_table("suppression_event", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_suppression_event_address_id"))

    op.drop_table("suppression_event")
    op.drop_table("delivery_reliance")
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_delivery_unsettled",
            sqlite_where=sa.text("state IN ('dispatching', 'unknown')"),
            postgresql_where=sa.text("state IN ('dispatching', 'unknown')"),
        )
        batch_op.drop_index(batch_op.f("ix_delivery_provider_message_id"))
        batch_op.drop_index(
            "ix_delivery_pending",
            sqlite_where=sa.text("state = 'pending'"),
            postgresql_where=sa.text("state = 'pending'"),
        )
        batch_op.drop_index(batch_op.f("ix_delivery_address_id"))

    op.drop_table("delivery")
    with op.batch_alter_table("staged_recipient", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_staged_recipient_address_id"))

    op.drop_table("staged_recipient")
    op.drop_table("source_refusal")
    op.drop_table("run_body")
    with op.batch_alter_table("dispatcher", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_dispatcher_run_id"))

    op.drop_table("dispatcher")
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_run_controller_id"))

    op.drop_table("run")
    with op.batch_alter_table("consent_state", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_consent_state_address_id"))

    op.drop_table("consent_state")
    op.drop_table("consent_payload")
    with op.batch_alter_table("freshness_policy", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_freshness_policy_controller_id"))

    op.drop_table("freshness_policy")
    with op.batch_alter_table("contact_point", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_contact_point_contact_id"))
        batch_op.drop_index("ix_contact_point_audience")
        batch_op.drop_index(batch_op.f("ix_contact_point_address_id"))

    op.drop_table("contact_point")
    with op.batch_alter_table("consent_event", schema=None) as batch_op:
        batch_op.drop_index("ix_consent_event_key")

    op.drop_table("consent_event")
    op.drop_table("campaign_version")
    op.drop_table("audit_payload")
    with op.batch_alter_table("test_address", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_test_address_address_id"))

    op.drop_table("test_address")
    with op.batch_alter_table("sender_identity", schema=None) as batch_op:
        batch_op.drop_index("ix_sender_identity_channel_address")

    op.drop_table("sender_identity")
    with op.batch_alter_table("reply", schema=None) as batch_op:
        batch_op.drop_index("ix_reply_address_kind")

    op.drop_table("reply")
    op.drop_table("purpose")
    with op.batch_alter_table("opt_out_declaration", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_opt_out_declaration_controller_id"))

    op.drop_table("opt_out_declaration")
    op.drop_table("notice")
    with op.batch_alter_table("import_batch", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_import_batch_controller_id"))

    op.drop_table("import_batch")
    op.drop_table("controller_version")
    with op.batch_alter_table("controller_freeze", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_controller_freeze_controller_id"))

    op.drop_table("controller_freeze")
    op.drop_table("contact")
    op.drop_table("campaign")
    with op.batch_alter_table("audit_event", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_audit_event_controller_id"))

    op.drop_table("audit_event")
    op.drop_table("rate_limit")
    op.drop_table("provider_account")
    op.drop_table("hash_key")
    op.drop_table("controller")
    op.drop_table("chain")
    op.drop_table("address")
