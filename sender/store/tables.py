"""All tables in one import, for Alembic and for code that needs the whole schema."""

from sender.store import (
    addresses,
    audit,
    campaigns,
    consents,
    contact_changes,
    contacts,
    controllers,
    deliveries,
    foreign_hashes,
    inbound,
    journal_marks,
    operators,
    refreshes,
    requests,
    schedules,
    sign_ups,
    suppressions,
)
from sender.store.base import Base

metadata = Base.metadata

__all__ = [
    "addresses",
    "audit",
    "campaigns",
    "consents",
    "contact_changes",
    "contacts",
    "controllers",
    "deliveries",
    "foreign_hashes",
    "inbound",
    "journal_marks",
    "metadata",
    "operators",
    "refreshes",
    "requests",
    "schedules",
    "sign_ups",
    "suppressions",
]
