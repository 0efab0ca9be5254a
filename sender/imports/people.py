"""The people of one chunk: those who are known already, and those whom its rows bring."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from sender.contacts.addresses import lock_addresses
from sender.contacts.merged import merged_references, survivors
from sender.imports.basis import Told
from sender.imports.layout import ADDRESS_COLUMNS, PERSON_COLUMNS
from sender.imports.problem import Problem
from sender.imports.reading import Storage
from sender.imports.rows import Row
from sender.imports.values import JsonValue
from sender.store.bulk import insert_many
from sender.store.contacts import Contact, ContactPoint
from sender.store.erased_references import kept_reference
from sender.store.id_lists import among
from sender.store.keys import AddressHasher, require_unrotated
from sender.store.portable import chunks, insert_rows, table_of
from sender.vocabulary import Channel, ContactSource

_COLUMN_OF: Final = {channel: column for column, channel in ADDRESS_COLUMNS.items()}


@dataclass(slots=True, eq=False)
class Person:
    """One contact of the controller, or one that is about to be.

    Attributes:
        id: of the contact; None until it is written.
        fields: columns of `contact` by name, filled in or None.
        attributes: the controller's own data.
        points: every address id that they have, with its channel.
        blank: those among them that are known by their hash alone.
        new_points: addresses that are about to be added.
        plain: addresses that are about to be written in plain, new or not.
        merged_refs: references of contacts that were found to be the same person.
        objected_at: when they objected, if they did.
        objects: whether a row tells of an objection, or names an address under one.
        is_erased: whether an erasure emptied the contact.
        is_changed: whether the contact's own row has to be written.
    """

    id: int | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, JsonValue] = field(default_factory=dict)
    points: dict[int, Channel] = field(default_factory=dict)
    blank: set[int] = field(default_factory=set)
    new_points: dict[int, Channel] = field(default_factory=dict)
    plain: dict[int, str] = field(default_factory=dict)
    merged_refs: set[str] = field(default_factory=set)
    objected_at: datetime | None = None
    objects: bool = False
    is_erased: bool = False
    is_changed: bool = False

    @property
    def source(self) -> ContactSource:
        """Where their details came from."""
        source: ContactSource = self.fields.get("source") or ContactSource.DIRECT
        return source

    @property
    def is_bare(self) -> bool:
        """Whether no more is held of them than a no needs, or nothing yet."""
        details = any(self.fields.get(name) is not None for name in _DETAILS)
        has_plain = not self.blank.issuperset(self.points)
        return not (self.is_erased or details or self.attributes or has_plain)

    @property
    def is_kept(self) -> bool:
        """Whether a contact is needed; a no to one address holds by that address's hash alone.

        It is where later rows may mean the person by something else than that one address: by
        their reference, by another address, or, after an objection, by any that they bring.
        """
        names = len(self.points) + (self.fields.get("external_ref") is not None)
        objected = self.objects or self.objected_at is not None
        return self.id is not None or not self.is_bare or objected or names > 1

    def keep_for(self, storage: Storage) -> None:
        """Note what they are kept for without consent, and until when (guidance ¶83)."""
        self.fields.update(retained_for=storage.purpose, retain_until=storage.until)
        self.is_changed = True

    def take(self, told: Told, address_ids: dict[Channel, int]) -> bool:
        """Merge what a row tells into what is known and tell whether that changed anything.

        Cells that are filled in overwrite; attributes are merged; addresses are added, and those
        known by their hash alone become plain where the row may give them.
        """
        fields = {name: value for name, value in told.fields.items() if value != self._get(name)}
        if fields.get("external_ref") in self.merged_refs:
            del fields["external_ref"]  # the kept contact's own stays
        attributes = {**self.attributes, **told.attributes}
        added = {
            row_id: channel for channel, row_id in address_ids.items() if row_id not in self.points
        }
        blank = self.blank | added.keys()
        plain = {
            address_ids[channel]: address
            for channel, address in told.plain.items()
            if address_ids[channel] in blank
        }
        if not (fields or added or plain) and attributes == self.attributes:
            return False
        if "source" in fields or "source_detail" in fields:
            fields["source_told_at"] = None  # a new source has to be told anew (guidance ¶76-77)
        self.is_changed = self.is_changed or bool(fields) or attributes != self.attributes
        self.fields.update(fields)
        self.attributes = attributes
        self.points.update(added)
        self.new_points.update(added)
        self.plain.update(plain)
        self.blank = blank - plain.keys()
        return True

    def sole_address(self, channel: Channel) -> int | None:
        """Return the only address of theirs on a channel; None if there is none or several."""
        found = [row_id for row_id, other in self.points.items() if other is channel]
        return found[0] if len(found) == 1 else None

    def _get(self, name: str) -> Any:
        return self.source if name == "source" else self.fields.get(name)


class People:
    """The people whom one chunk is about, found by reference and by address.

    Args:
        session: a writing session.
        hasher: with the database's key.
        controller_id: whose people; nobody else's are looked at.
    """

    def __init__(self, session: Session, hasher: AddressHasher, controller_id: int) -> None:
        self._session = session
        self._hasher = hasher
        self._controller_id = controller_id
        self._of_erased: dict[str, str] = {}
        self._by_ref: dict[str, Person] = {}
        self._by_address: dict[int, Person] = {}
        self._contact_ids: list[int] = []
        self.everybody: list[Person] = []

    def lock(self, refs: Sequence[str], address_ids: Sequence[int]) -> list[int]:
        """Make writers about the chunk's people wait, and return all their addresses' ids.

        Contacts are locked before addresses, and each in id order, as objections do it: two
        transactions that took them the other way round would wait for each other for ever.

        Raises:
            KeyRefusedError: the key was rotated since this process was started.
        """
        self._of_erased = {
            kept_reference(self._hasher, self._controller_id, ref): ref for ref in refs
        }
        self._contact_ids = sorted(
            self._ids_by_ref([*refs, *self._of_erased]) | self._ids_by_address(address_ids)
        )
        known = set(address_ids)
        for some in chunks(self._contact_ids):
            locked = select(Contact.id).where(self._among(Contact.id, some)).order_by(Contact.id)
            self._session.execute(locked.with_for_update(key_share=True)).all()
            points = select(ContactPoint.address_id).where(
                self._among(ContactPoint.contact_id, some)
            )
            known.update(self._session.scalars(points))
        lock_addresses(self._session, known)
        require_unrotated(self._session, self._hasher)
        return sorted(known)

    def load(self) -> None:
        """Read everybody who was locked."""
        by_id: dict[int, Person] = {}
        for some in chunks(self._contact_ids):
            query = select(Contact.__table__).where(self._among(Contact.id, some))
            for contact in self._session.execute(query).mappings():
                by_id[contact["id"]] = self._known(dict(contact))
            self._load_points(some, by_id)
            for into, reference in merged_references(self._session, some):
                by_id[into].merged_refs.add(reference)
                self._by_ref[self._as_told(reference)] = by_id[into]

    def _load_points(self, contact_ids: Sequence[int], by_id: dict[int, Person]) -> None:
        point = ContactPoint
        query = select(
            point.contact_id, point.address_id, point.channel, point.address.is_(None)
        ).where(self._among(point.contact_id, contact_ids))
        for contact_id, address_id, channel, is_blank in self._session.execute(query):
            person = by_id[contact_id]
            person.points[address_id] = channel
            self._by_address[address_id] = person
            if is_blank:
                person.blank.add(address_id)

    def matched(self, row: Row, address_ids: dict[Channel, int]) -> list[Person]:
        """Return everybody whom the row's reference or addresses belong to."""
        found = [self._by_address.get(row_id) for row_id in address_ids.values()]
        if row.external_ref is not None:
            found.insert(0, self._by_ref.get(row.external_ref))
        return list(dict.fromkeys(person for person in found if person is not None))

    def new(self) -> Person:
        """Return somebody who was not known."""
        person = Person(is_changed=True)
        self.everybody.append(person)
        return person

    def index(self, person: Person) -> None:
        """Let later rows find this person by what the last row told."""
        if (ref := person.fields.get("external_ref")) is not None:
            self._by_ref[ref] = person
        self._by_address.update(dict.fromkeys(person.points, person))

    def write(self, now: datetime) -> None:
        """Write new and changed people and their addresses; not whom nothing needs but a no."""
        kept = [person for person in self.everybody if person.is_kept]
        self._insert([person for person in kept if person.id is None], now)
        changed = [
            {"id": person.id, "updated_at": now, **_columns(person)}
            for person in kept
            if person.is_changed
        ]
        if changed:
            self._session.execute(update(Contact), changed)
        points = [row for person in kept for row in self._points(person, now)]
        if points:
            insert_many(self._session, table_of(ContactPoint), points)
        self._spell(kept, now)

    def _insert(self, people: list[Person], now: datetime) -> None:
        if not people:
            return
        fixed = {
            "controller_id": self._controller_id,
            "created_at": now,
            "updated_at": now,
            "erased_at": None,
        }
        ids = insert_rows(
            self._session, Contact, [{**fixed, **_columns(person)} for person in people]
        )
        for person, row_id in zip(people, ids, strict=True):
            person.id = row_id
            person.is_changed = False

    def _points(self, person: Person, now: datetime) -> Iterable[dict[str, Any]]:
        for address_id, channel in person.new_points.items():
            yield {
                "controller_id": self._controller_id,
                "contact_id": person.id,
                "channel": channel,
                "address_id": address_id,
                "address": person.plain.get(address_id),
                "created_at": now,
            }

    def _spell(self, people: Sequence[Person], now: datetime) -> None:
        """Write addresses in plain that were known by their hash alone: held from now on."""
        spelled = [
            {"of_address": address_id, "in_plain": address}
            for person in people
            for address_id, address in person.plain.items()
            if address_id not in person.new_points
        ]
        if not spelled:
            return
        point = table_of(ContactPoint)
        statement = (
            update(point)
            .where(
                point.c.controller_id == self._controller_id,
                point.c.address_id == bindparam("of_address"),
            )
            .values(address=bindparam("in_plain"), created_at=now)
        )
        self._session.execute(statement, spelled)

    def _among(self, of: InstrumentedAttribute[Any], values: Sequence[Any]) -> ColumnElement[bool]:
        return among(self._session, of, values)

    def _ids_by_ref(self, refs: Sequence[str]) -> set[int]:
        found: set[int] = set()
        for some in chunks(refs):
            query = select(Contact.id).where(
                Contact.controller_id == self._controller_id,
                self._among(Contact.external_ref, some),
            )
            found.update(self._session.scalars(query))
        merged = survivors(self._session, found)
        return {merged.get(contact_id, contact_id) for contact_id in found}

    def _ids_by_address(self, address_ids: Sequence[int]) -> set[int]:
        found: set[int] = set()
        for some in chunks(address_ids):
            query = select(ContactPoint.contact_id).where(
                ContactPoint.controller_id == self._controller_id,
                self._among(ContactPoint.address_id, some),
            )
            found.update(self._session.scalars(query))
        return found

    def _known(self, contact: dict[str, Any]) -> Person:
        person = Person(
            id=contact["id"],
            fields={name: contact[name] for name in _FIELDS},
            attributes=dict(contact["attributes"]),
            objected_at=contact["objected_at"],
            is_erased=contact["erased_at"] is not None,
        )
        self.everybody.append(person)
        if contact["external_ref"] is not None:
            self._by_ref[self._as_told(contact["external_ref"])] = person
        return person

    def _as_told(self, reference: str) -> str:
        """Return the reference as a row of the chunk has it, of an erased person too."""
        return self._of_erased.get(reference, reference)


def conflict(row: Row, address_ids: dict[Channel, int], people: Sequence[Person]) -> Problem | None:
    """Return why a row cannot be about one person, or None where it can."""
    if len(people) > 1:
        return _belongs_elsewhere(people[1], address_ids)
    if not people:
        return None
    if people[0].is_erased:
        return _ERASED
    known_as = people[0].fields.get("external_ref")
    names = {known_as, *people[0].merged_refs}
    if None not in {known_as, row.external_ref} and row.external_ref not in names:
        return _belongs_elsewhere(people[0], address_ids)
    return None


_FIELDS: Final = (*PERSON_COLUMNS, "source_told_at", "retained_for", "retain_until")
_DETAILS: Final = frozenset(_FIELDS) - {"external_ref", "source"}
"""What nobody needs to respect a no. The source is never empty, and says nothing of the person."""

_ERASED: Final = Problem(
    "",
    "This person's details were erased; an import does not bring them back.",
    "Leave the row out. Should they come back themselves, record that act by itself.",
)


def _belongs_elsewhere(other: Person, address_ids: dict[Channel, int]) -> Problem:
    column = next(
        _COLUMN_OF[each] for each, row_id in address_ids.items() if row_id in other.points
    )
    return Problem(
        column,
        "This address belongs to another contact of this controller.",
        "Give each address to one person: correct external_ref, or empty this cell.",
    )


def _columns(person: Person) -> dict[str, Any]:
    columns = {name: person.fields.get(name) for name in _FIELDS}
    return {
        **columns,
        "source": person.source,
        "attributes": person.attributes,
        "objected_at": person.objected_at,
    }
