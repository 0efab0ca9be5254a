"""The database's own guard over history: triggers that refuse to change or remove rows.

SQLite's `REPLACE` deletes rows without firing delete triggers unless a connection turned
`recursive_triggers` on, and PostgreSQL's `TRUNCATE` fires no row triggers. Both are guarded here:
the first by refusing inserts over an existing key, the second by a statement trigger.
Out of reach: whoever may drop a trigger or is PostgreSQL's superuser (the hash chains tell), and,
for the rows that stay but may change, a `REPLACE` by another key than the primary one from a
foreign SQLite connection that left `recursive_triggers` off.

Alembic's batch mode on SQLite rebuilds a table without its triggers: a migration that alters one of
these tables must call `guard` again. `tests/integration/test_append_only.py` tries every forbidden
write at every revision.
"""

from collections.abc import Iterator

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
    "campaign_approval",
    "contact_point_move",
    "delivery_reliance",
    "hash_key",
    "objection_pass_on",
    "operator",
    "operator_revocation",
    "purpose_closure",
    "retention_policy",
    "sending_policy",
    "sign_up_form",
)
"""Tables whose rows are written once."""

NEVER_DELETED = (
    "address",
    "address_move",
    "campaign",
    "chain",
    "contact_merge",
    "controller",
    "delivery",
    "foreign_hash",
    "foreign_scheme",
    "import_batch",
    "inbound_event",
    "inbound_notification",
    "provider_account",
    "purpose",
    "run",
    "run_body",
    "schedule",
    "schedule_occurrence",
    "sender_identity",
    "subject_request",
)
"""Tables whose rows may change but stay."""

CHAINED = ("consent_event", "suppression_event", "audit_event")
"""Append-only tables that also carry a hash chain."""


def guard(
    dialect: str, *, append_only: tuple[str, ...], never_deleted: tuple[str, ...]
) -> list[str]:
    """Return the DDL that protects the tables on this dialect (`sqlite` or `postgresql`)."""
    builder = _sqlite_guard if dialect == "sqlite" else _postgresql_guard
    statements = [] if dialect == "sqlite" else [_POSTGRESQL_FUNCTION]
    for table in append_only:
        statements.extend(builder(table, ("UPDATE", "DELETE")))
    for table in never_deleted:
        statements.extend(builder(table, ("DELETE",)))
    return statements


def unguard(dialect: str, tables: tuple[str, ...]) -> list[str]:
    """Return the DDL that removes the guards, for a downgrade."""
    if dialect == "sqlite":
        verbs = ("update", "delete", "replace")
        return [f"DROP TRIGGER IF EXISTS {table}_no_{verb}" for table in tables for verb in verbs]
    verbs = ("update", "delete", "truncate")
    drops = [
        f"DROP TRIGGER IF EXISTS {table}_no_{verb} ON {table}" for table in tables for verb in verbs
    ]
    return [*drops, "DROP FUNCTION IF EXISTS sender_refuse_change()"]


_POSTGRESQL_FUNCTION = """
CREATE OR REPLACE FUNCTION sender_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: its history stays', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$
"""


def _postgresql_guard(table: str, verbs: tuple[str, ...]) -> Iterator[str]:
    for verb in verbs:
        yield (
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION sender_refuse_change()"
        )
    yield (
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION sender_refuse_change()"
    )


def _sqlite_guard(table: str, verbs: tuple[str, ...]) -> Iterator[str]:
    for verb in verbs:
        yield (
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{verb} on {table} is refused: its history stays'); END"
        )
    taken = _SQLITE_KEYS.get(table, "id = NEW.id")
    exists = f"EXISTS (SELECT 1 FROM {table} WHERE {taken})"  # noqa: S608  # our own names only
    yield (
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {exists} "
        f"BEGIN SELECT RAISE(ABORT, 'REPLACE on {table} is refused: its history stays'); END"
    )


_CHAIN_KEY = "id = NEW.id OR (chain_id = NEW.chain_id AND seq = NEW.seq)"

_NAMED_VERSION = (
    "id = NEW.id OR (controller_id = NEW.controller_id AND slug = NEW.slug"
    " AND version = NEW.version)"
)

_SQLITE_KEYS = {
    "contact_merge": "id = NEW.id OR merged_contact_id = NEW.merged_contact_id",
    **dict.fromkeys(CHAINED, _CHAIN_KEY),
    "controller_version": (
        "id = NEW.id OR (controller_id = NEW.controller_id AND version = NEW.version)"
    ),
    "notice": _NAMED_VERSION,
    "sign_up_form": _NAMED_VERSION,
    "campaign_version": (
        "id = NEW.id OR (campaign_id = NEW.campaign_id AND version = NEW.version)"
    ),
    "operator": "id = NEW.id OR name = NEW.name OR token_hash = NEW.token_hash",
    "operator_revocation": "id = NEW.id OR operator_id = NEW.operator_id",
    "hash_key": "id = NEW.id OR fingerprint = NEW.fingerprint",
    "delivery_reliance": (
        "rowid = NEW.rowid OR (delivery_id = NEW.delivery_id"
        " AND controller_id = NEW.controller_id AND dispatched_at = NEW.dispatched_at)"
    ),
    "run_body": (
        "rowid = NEW.rowid OR (run_id = NEW.run_id AND controller_id = NEW.controller_id)"
    ),
    "controller": "id = NEW.id OR slug = NEW.slug",
    "provider_account": "id = NEW.id OR name = NEW.name",
}
