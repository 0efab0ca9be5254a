"""One person's details out of two records of them; pure, but for the rows it writes to.

- The kept record's details stay; the other's fill in what it lacks, attribute by attribute.
- Where details came from: the source that asks more care counts: casework, then others, then the
  person (guidance ¶28, ¶76-77). It brings its own words, and whether the person was told.
- Kept for a time: the earlier end (guidance ¶83).
- What is not kept is returned, for the audit trail's erasable side.
"""

from datetime import date
from typing import Any, Final

from sender.store.contacts import Contact
from sender.vocabulary import ContactSource

_PERSONAL: Final = ("title", "first_name", "last_name", "postcode", "locale", "time_zone")
_CARE: Final = (ContactSource.CASEWORK, ContactSource.THIRD_PARTY, ContactSource.DIRECT)
"""The one that asks most care first."""


def join_details(kept: Contact, other: Contact) -> dict[str, Any]:
    """Fill the kept contact from the other, empty that one, and return what was not kept.

    The other keeps its reference, by which the next import knows whom it means; the caller hands it
    over where the kept contact has none.
    """
    dropped = {name: getattr(other, name) for name in _PERSONAL if _differs(kept, other, name)}
    for name in _PERSONAL:
        setattr(kept, name, getattr(kept, name) or getattr(other, name))
    attributes = {
        name: value
        for name, value in other.attributes.items()
        if kept.attributes.get(name, value) != value
    }
    kept.attributes = {**other.attributes, **kept.attributes}
    _join_source(kept, other)
    _join_retention(kept, other)
    kept.created_at = min(kept.created_at, other.created_at)
    _empty(other)
    return {**dropped, **({"attributes": attributes} if attributes else {})}


def _differs(kept: Contact, other: Contact, name: str) -> bool:
    theirs = getattr(other, name)
    return theirs is not None and (getattr(kept, name) or theirs) != theirs


def _join_source(kept: Contact, other: Contact) -> None:
    if _CARE.index(other.source) < _CARE.index(kept.source):
        kept.source, kept.source_detail = other.source, other.source_detail
        kept.source_told_at = other.source_told_at


def _join_retention(kept: Contact, other: Contact) -> None:
    if (other.retain_until or date.max) < (kept.retain_until or date.max):
        kept.retained_for, kept.retain_until = other.retained_for, other.retain_until


def _empty(contact: Contact) -> None:
    for name in (*_PERSONAL, "source_detail", "retained_for", "retain_until"):
        setattr(contact, name, None)
    contact.attributes = {}
