"""guard history: triggers that refuse to change or remove it.

Revision: 0002
Follows: 0001
"""

from alembic import op

from sender.store.append_only import APPEND_ONLY, NEVER_DELETED, guard, unguard

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in guard(
        op.get_context().dialect.name, append_only=APPEND_ONLY, never_deleted=NEVER_DELETED
    ):
        op.execute(statement)


def downgrade() -> None:
    for statement in unguard(op.get_context().dialect.name, APPEND_ONLY + NEVER_DELETED):
        op.execute(statement)
