"""changed addresses and merged contacts.

Revision: 0010
Follows: 0009
"""

import sqlalchemy as sa
from alembic import op

from sender.store.append_only import guard

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# As guarded at this revision; a later revision guards the tables that it adds.
APPEND_ONLY = ("contact_point_move",)
NEVER_DELETED = ("address_move", "contact_merge")


def upgrade() -> None:
    _contact_merge()
    _contact_point_move()
    _address_move()
    dialect = op.get_bind().dialect.name
    for statement in guard(dialect, append_only=APPEND_ONLY, never_deleted=NEVER_DELETED):
        op.execute(statement)


def downgrade() -> None:
    """Their triggers go with the tables."""
    op.drop_table("address_move")
    op.drop_table("contact_point_move")
    op.drop_table("contact_merge")


def _key() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _points_at(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}_{target}")
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=name)


def _contact_merge() -> None:
    table = "contact_merge"
    op.create_table(
        table,
        sa.Column("id", _key(), nullable=False),
        sa.Column("merged_contact_id", _key(), nullable=False),
        sa.Column("into_contact_id", _key(), nullable=False),
        sa.Column("merged_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("operator", sa.String(length=200), nullable=False),
        _points_at(table, "merged_contact_id", "contact"),
        _points_at(table, "into_contact_id", "contact"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact_merge")),
        sa.UniqueConstraint("merged_contact_id", name=op.f("uq_contact_merge_merged_contact_id")),
    )
    op.create_index(op.f("ix_contact_merge_into_contact_id"), table, ["into_contact_id"])


def _contact_point_move() -> None:
    table = "contact_point_move"
    op.create_table(
        table,
        sa.Column("id", _key(), nullable=False),
        sa.Column("contact_point_id", _key(), nullable=False),
        sa.Column("from_contact_id", _key(), nullable=False),
        sa.Column("to_contact_id", _key(), nullable=False),
        sa.Column("moved_at", sa.DateTime(timezone=True), nullable=False),
        _points_at(table, "contact_point_id", "contact_point"),
        _points_at(table, "from_contact_id", "contact"),
        _points_at(table, "to_contact_id", "contact"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact_point_move")),
    )
    for column in ("contact_point_id", "from_contact_id"):
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column])


def _address_move() -> None:
    table = "address_move"
    op.create_table(
        table,
        sa.Column("id", _key(), nullable=False),
        sa.Column("controller_id", _key(), nullable=False),
        sa.Column("old_address_id", _key(), nullable=False),
        sa.Column("new_address_id", _key(), nullable=False),
        sa.Column("request_id", _key(), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("operator", sa.String(length=200), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("code_sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", _key(), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirmed_by", sa.String(length=200), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        _points_at(table, "controller_id", "controller"),
        _points_at(table, "old_address_id", "address"),
        _points_at(table, "new_address_id", "address"),
        _points_at(table, "request_id", "subject_request"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_address_move")),
    )
    op.create_index("ix_address_move_old", table, ["old_address_id", "controller_id"])
    op.create_index("ix_address_move_new", table, ["new_address_id", "controller_id"])
