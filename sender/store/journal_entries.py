"""What stands in the journal: each no, each release, and who was handed to a provider.

A session notes what it wrote; before the commit the lines are made of what then stands in the
database, so what a savepoint took back leaves no line. No line holds an address, a name or a text:
people stand there by the ledgers' keyed hash, beside the fingerprint of the newest key of then.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from typing import Any

from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from sender.store.addresses import Address
from sender.store.campaigns import Campaign, Run
from sender.store.consents import ConsentEvent, Purpose
from sender.store.controllers import Controller
from sender.store.deliveries import Delivery
from sender.store.id_lists import id_list, is_given
from sender.store.keys import newest_fingerprint
from sender.store.portable import chunks
from sender.store.suppressions import SuppressionEvent
from sender.vocabulary import BlockCause, Channel, ConsentKind, SuppressionAct

HASH_BYTES = 16
"""Of an event's row hash: enough to tell it from the one that took its number after a restore."""

ERASURE = "erasure"
"""The source of the block that an erasure sets."""

REPLAYED = "replay:"
"""Begins the source of what was brought back from a journal."""

_NOTES = "journal"

_HashOf = Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class Person:
    """An address by its keyed hash."""

    channel: Channel
    key_hash: bytes


@dataclass(frozen=True, slots=True)
class Suppressed:
    """One suppression event; None and `*` stand for all, as in the ledger.

    `recorded_at` may be long after `occurred_at`: a letter, a late complaint, an old list.
    """

    event_id: int
    row_hash: bytes
    act: SuppressionAct
    person: Person
    controller: str | None
    channel: str
    purpose: str | None
    cause: BlockCause
    occurred_at: datetime
    recorded_at: datetime
    source: str
    by_person: bool
    delivery_id: int | None

    @property
    def is_erasure(self) -> bool:
        """Whether the block came with the erasure of the person."""
        return self.source.removeprefix(REPLAYED) == ERASURE


@dataclass(frozen=True, slots=True)
class Refused:
    """One consent event that says no."""

    event_id: int
    row_hash: bytes
    kind: ConsentKind
    person: Person
    controller: str
    purpose: str
    occurred_at: datetime
    method: str
    source: str


@dataclass(frozen=True, slots=True)
class Sent:
    """Deliveries of one run that were marked to be handed to a provider, in one transaction.

    Attributes:
        run_key: the run's link salt, hexadecimal: run numbers come again after a restore.
        controller: its slug.
        campaign: the campaign's name.
        channel: of the addresses.
        is_test: whether the run was a test.
        at: when they were marked.
        messages: delivery id and keyed hash of the address, each.
    """

    run_key: str
    controller: str
    campaign: str
    channel: Channel
    is_test: bool
    at: datetime
    messages: tuple[tuple[int, bytes], ...]


Entry = Suppressed | Refused | Sent

Lift = Callable[[bytes, str | None], bytes]
"""Turns a hash, and the fingerprint of the key that its line names, into the hash of today."""


@dataclass(slots=True)
class Notes:
    """What a transaction has written that belongs into the journal."""

    suppressions: list[int] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)
    marked: list[tuple[int, datetime, list[int]]] = field(default_factory=list)


def notebook() -> dict[str, Notes]:
    """Return the `info` of a session whose writing goes into a journal."""
    return {_NOTES: Notes()}


def note_suppressions(session: Session, event_ids: Sequence[int]) -> None:
    """Let these suppression events be journaled when the transaction is committed."""
    if (notes := _notes(session)) is not None:
        notes.suppressions.extend(event_ids)


def note_refusals(session: Session, event_ids: Sequence[int]) -> None:
    """Let these consent events, which say no, be journaled when the transaction is committed."""
    if (notes := _notes(session)) is not None:
        notes.refusals.extend(event_ids)


def note_marked(session: Session, run_id: int, delivery_ids: Sequence[int], at: datetime) -> None:
    """Let it be journaled that these deliveries of a run are handed to a provider from `at` on."""
    notes = _notes(session)
    if notes is not None and delivery_ids:
        notes.marked.append((run_id, at, list(delivery_ids)))


def noted_lines(session: Session) -> list[str]:
    """Return the lines of what was noted and is there, in order; called just before the commit."""
    notes = _notes(session)
    if notes is None or not session.in_transaction():
        return []
    session.flush()
    lines = [_suppressed(row) for row in _rows(session, _SUPPRESSIONS, notes.suppressions)]
    lines += [_refused(row) for row in _rows(session, _REFUSALS, notes.refusals)]
    lines += [line for one in notes.marked for line in _sent(session, *one)]
    return [json.dumps(line, separators=(",", ":")) for line in lines]


def _as_written(key_hash: bytes, _written_under: str | None) -> bytes:
    return key_hash


def read_entry(line: bytes, lift: Lift = _as_written) -> Entry | None:
    """Return what a line says; None if it is torn or damaged.

    Raises:
        KeyRefusedError: from `lift`, for a hash under a key that is not known.
    """
    try:
        values = json.loads(line)
        return _READERS[values["is"]](values, partial(_lifted, lift, values.get("key")))
    except (ValueError, TypeError, KeyError):
        return None


def _notes(session: Session) -> Notes | None:
    notes: Notes | None = session.info.get(_NOTES)
    return notes


def _rows(session: Session, statement: Any, ids: Sequence[int]) -> Iterator[Any]:
    for some in chunks(ids):
        yield from session.connection().execute(statement, {_IDS: some})


_IDS = "ids"
_GIVEN: Any = bindparam(_IDS, expanding=True)
# Made once: making such a statement costs more than running it.
_SUPPRESSIONS: Any = (
    select(
        SuppressionEvent.id, SuppressionEvent.row_hash, SuppressionEvent.act,
        SuppressionEvent.channel, SuppressionEvent.cause, SuppressionEvent.occurred_at,
        SuppressionEvent.recorded_at, SuppressionEvent.source, SuppressionEvent.by_person,
        SuppressionEvent.delivery_id,
        Address.channel.label("kind"), Address.key_hash, newest_fingerprint().label("key"),
        Controller.slug.label("controller"),
        Purpose.slug.label("purpose"),
    )
    .join(Address, Address.id == SuppressionEvent.address_id)
    .outerjoin(Controller, Controller.id == SuppressionEvent.controller_id)
    .outerjoin(Purpose, Purpose.id == SuppressionEvent.purpose_id)
    .where(SuppressionEvent.id.in_(_GIVEN))
    .order_by(SuppressionEvent.id)
)  # fmt: skip
_REFUSALS: Any = (
    select(
        ConsentEvent.id, ConsentEvent.row_hash, ConsentEvent.kind, ConsentEvent.occurred_at,
        ConsentEvent.method, ConsentEvent.source, Address.channel, Address.key_hash,
        newest_fingerprint().label("key"),
        Controller.slug.label("controller"), Purpose.slug.label("purpose"),
    )
    .join(Address, Address.id == ConsentEvent.address_id)
    .join(Controller, Controller.id == ConsentEvent.controller_id)
    .join(Purpose, Purpose.id == ConsentEvent.purpose_id)
    .where(ConsentEvent.id.in_(_GIVEN))
    .order_by(ConsentEvent.id)
)  # fmt: skip


@cache
def _people(dialect: str) -> Select[int, bytes, str]:
    return (
        select(Delivery.id, Address.key_hash, newest_fingerprint())
        .join(Address, Address.id == Delivery.address_id)
        .where(is_given(dialect, _IDS, Delivery.__table__.c.id))
        .order_by(Delivery.id)
    )


def _suppressed(row: Any) -> dict[str, Any]:
    return {
        "is": "suppressed",
        "id": row.id,
        "hash": _text(row.row_hash[:HASH_BYTES]),
        "act": row.act,
        "key": row.key,
        "to": [row.kind, _text(row.key_hash)],
        "controller": row.controller,
        "channel": row.channel,
        "purpose": row.purpose,
        "cause": row.cause.name,
        "at": row.occurred_at.isoformat(),
        "recorded": row.recorded_at.isoformat(),
        "source": row.source,
        "by_person": row.by_person,
        "delivery": row.delivery_id,
    }


def _refused(row: Any) -> dict[str, Any]:
    return {
        "is": "refused",
        "id": row.id,
        "hash": _text(row.row_hash[:HASH_BYTES]),
        "kind": row.kind,
        "key": row.key,
        "to": [row.channel, _text(row.key_hash)],
        "controller": row.controller,
        "purpose": row.purpose,
        "at": row.occurred_at.isoformat(),
        "method": row.method,
        "source": row.source,
    }


def _sent(
    session: Session, run_id: int, at: datetime, delivery_ids: Sequence[int]
) -> Iterator[dict[str, Any]]:
    query = (
        select(Run.link_salt, Run.channel, Run.is_test, Controller.slug, Campaign.name)
        .join(Controller, Controller.id == Run.controller_id)
        .join(Campaign, Campaign.id == Run.campaign_id)
        .where(Run.id == run_id)
    )
    run = session.execute(query).one()
    if run.link_salt is None:
        return  # opened before there were salts: nothing would tell it from another run
    dialect = session.get_bind().dialect.name
    given = {_IDS: id_list(dialect, delivery_ids)}
    people = session.connection().execute(_people(dialect), given).all()
    yield {
        "is": "sent",
        "run": run.link_salt.hex(),
        "controller": run.slug,
        "campaign": run.name,
        "channel": run.channel,
        "test": run.is_test,
        "at": at.isoformat(),
        "key": people[0][2] if people else None,
        "to": [[delivery_id, _text(key_hash)] for delivery_id, key_hash, _ in people],
    }


def _read_suppressed(values: Mapping[str, Any], hash_of: _HashOf) -> Suppressed:
    return Suppressed(
        event_id=values["id"],
        row_hash=b64decode(values["hash"]),
        act=SuppressionAct(values["act"]),
        person=_person(values["to"], hash_of),
        controller=values["controller"],
        channel=values["channel"],
        purpose=values["purpose"],
        cause=BlockCause[values["cause"]],
        occurred_at=datetime.fromisoformat(values["at"]),
        recorded_at=datetime.fromisoformat(values.get("recorded", values["at"])),
        source=values["source"],
        by_person=values["by_person"],
        delivery_id=values["delivery"],
    )


def _read_refused(values: Mapping[str, Any], hash_of: _HashOf) -> Refused:
    return Refused(
        event_id=values["id"],
        row_hash=b64decode(values["hash"]),
        kind=ConsentKind(values["kind"]),
        person=_person(values["to"], hash_of),
        controller=values["controller"],
        purpose=values["purpose"],
        occurred_at=datetime.fromisoformat(values["at"]),
        method=values["method"],
        source=values["source"],
    )


def _read_sent(values: Mapping[str, Any], hash_of: _HashOf) -> Sent:
    return Sent(
        run_key=values["run"],
        controller=values["controller"],
        campaign=values["campaign"],
        channel=Channel(values["channel"]),
        is_test=values["test"],
        at=datetime.fromisoformat(values["at"]),
        messages=tuple((number, hash_of(key_hash)) for number, key_hash in values["to"]),
    )


_READERS: dict[str, Callable[[Mapping[str, Any], _HashOf], Entry]] = {
    "suppressed": _read_suppressed,
    "refused": _read_refused,
    "sent": _read_sent,
}


def _person(value: Sequence[str], hash_of: _HashOf) -> Person:
    channel, key_hash = value
    return Person(Channel(channel), hash_of(key_hash))


def _lifted(lift: Lift, written_under: str | None, key_hash: str) -> bytes:
    return lift(b64decode(key_hash), written_under)


def _text(data: bytes) -> str:
    return b64encode(data).decode()
