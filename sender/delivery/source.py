"""Pull a run's recipients from the organisation's own database into the run's staging table.

Only addresses and attributes come from there. Whether somebody may be written to is decided here,
by this controller's own ledgers: somebody unknown to them has no consent.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from sender.clock import Clock
from sender.contacts.addresses import ensure_address_ids
from sender.contacts.filter import nearest
from sender.contacts.normalise import AddressRefusedError, normalise
from sender.delivery.json_values import UnfitValueError, json_value
from sender.delivery.source_database import SourceError, open_source
from sender.errors import NotFoundError, RefusedError
from sender.store.campaigns import Run, SourceRefusal, StagedRecipient
from sender.store.contact_changes import ContactMerge
from sender.store.contacts import Contact, ContactPoint
from sender.store.engine import Store
from sender.store.keys import AddressHasher, require_key
from sender.store.portable import insert_missing, upsert
from sender.vocabulary import Channel, Reason

DEFAULT_BATCH_SIZE = 2_000
_DELETED_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class SourceReport:
    """What became of the rows: rows = staged + duplicates + all that were refused.

    Attributes:
        rows: rows of the query.
        staged: people who are staged now, each with a different address.
        duplicates: rows with an address that an earlier row had; the first row's attributes count.
        refused: rows without a usable address, or with a reference that the controller's contacts
            do not have on this channel, by reason.
    """

    rows: int
    staged: int
    duplicates: int
    refused: Mapping[Reason, int]


def stage_recipients(
    store: Store,
    hasher: AddressHasher,
    clock: Clock,
    *,
    run_id: int,
    channel: Channel,
    controller_id: int,
    url: str,
    query_sql: str,
    query_name: str,
    address_column: str | None = None,
    reference_column: str | None = None,
    attribute_columns: Sequence[str] | None = None,
    erase_after: datetime,
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> SourceReport:
    """Stream the query's rows into the staging table, each batch in a transaction of its own.

    Until planning begins it can be called again: it begins anew. Addresses are staged in their one
    spelling. Attributes become JSON (see `json_values`).

    Args:
        store: our database.
        hasher: with our database's key.
        clock: tells whether anything may be kept at all.
        run_id: the run that is being prepared.
        channel: on which it writes.
        controller_id: whose run it is; references are looked up among its contacts only.
        url: of the organisation's database; read only, never shown.
        query_sql: one SELECT.
        query_name: the file that the query stands in, for errors.
        address_column: the column with the address.
        reference_column: or the column with the contact's external reference. A contact with
            several addresses on the channel is reached by the one that was learned last.
        attribute_columns: the columns that become attributes; None for all others.
        erase_after: when the staged rows are to be erased.
        batch_size: rows a transaction (> 0).

    Raises:
        SettingsError: the URL cannot be meant.
        SourceError: the database cannot be read, the query fails, lacks a column or yields a value
            that no template could show.
        RefusedError: planning has begun, or the rows would have to be erased already.
        NotFoundError: there is no such run.
    """
    if erase_after <= clock.now():
        raise RefusedError("The staged recipients would have to be erased at once.")
    with store.read() as session:
        require_key(session, hasher)
    forget_recipients(store, run_id)
    with open_source(url, query_sql, query_name=query_name, batch_size=batch_size) as rows:
        columns = _columns(
            rows.columns, address_column, reference_column, attribute_columns, query_name
        )
        staging = _Staging(
            store=store,
            hasher=hasher,
            run_id=run_id,
            channel=channel,
            controller_id=controller_id,
            columns=columns,
            query_name=query_name,
            erase_after=erase_after,
        )
        for batch in rows.batches:
            staging.take(batch)
    return staging.report()


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where the query's columns stand (0-based)."""

    key: int
    is_reference: bool
    attributes: tuple[tuple[str, int], ...]


@dataclass(slots=True, eq=False)
class _Candidate:
    address: str
    attributes: dict[str, Any]


class _Staging:
    def __init__(
        self,
        *,
        store: Store,
        hasher: AddressHasher,
        run_id: int,
        channel: Channel,
        controller_id: int,
        columns: _Columns,
        query_name: str,
        erase_after: datetime,
    ) -> None:
        self._store = store
        self._hasher = hasher
        self._run_id = run_id
        self._channel = channel
        self._controller_id = controller_id
        self._columns = columns
        self._query_name = query_name
        self._erase_after = erase_after
        self._rows = 0
        self._staged = 0
        self._duplicates = 0
        self._refused: Counter[Reason] = Counter()

    def take(self, batch: Sequence[Sequence[Any]]) -> None:
        """Stage one batch of rows, whole."""
        self._rows += len(batch)
        keyed = [(_text(row[self._columns.key]), self._attributes(row)) for row in batch]
        with self._store.write() as session:
            _require_unplanned(session, self._run_id)
            if self._columns.is_reference:
                candidates = self._by_reference(session, keyed)
            else:
                candidates = self._by_address(keyed)
            self._stage(session, candidates)
            self._note_refusals(session)

    def report(self) -> SourceReport:
        """Return what became of all rows."""
        return SourceReport(self._rows, self._staged, self._duplicates, dict(self._refused))

    def _attributes(self, row: Sequence[Any]) -> dict[str, Any]:
        attributes = {}
        for name, place in self._columns.attributes:
            try:
                attributes[name] = json_value(row[place])
            except UnfitValueError as error:
                raise SourceError(
                    f"{self._query_name}: column {name} holds {error}.",
                    remedy="Convert it to text in the query, or leave the column out.",
                ) from None
        return attributes

    def _by_address(self, keyed: Iterable[tuple[str, dict[str, Any]]]) -> list[_Candidate]:
        candidates = []
        for text, attributes in keyed:
            try:
                candidates.append(_Candidate(normalise(self._channel, text), attributes))
            except AddressRefusedError:
                self._refused[Reason.INVALID_ADDRESS] += 1
        return candidates

    def _by_reference(
        self, session: Session, keyed: Sequence[tuple[str, dict[str, Any]]]
    ) -> list[_Candidate]:
        addresses = self._addresses_of(session, {reference for reference, _ in keyed})
        found = [
            _Candidate(addresses[reference], attributes)
            for reference, attributes in keyed
            if reference in addresses
        ]
        if missing := len(keyed) - len(found):
            self._refused[Reason.NO_CONSENT] += missing
        return found

    def _addresses_of(self, session: Session, references: set[str]) -> dict[str, str]:
        query = (
            select(Contact.external_ref, ContactPoint.address)
            .outerjoin(ContactMerge, ContactMerge.merged_contact_id == Contact.id)
            .join(
                ContactPoint,
                ContactPoint.contact_id == func.coalesce(ContactMerge.into_contact_id, Contact.id),
            )
            .where(
                Contact.controller_id == self._controller_id,
                Contact.external_ref.in_(references),
                ContactPoint.channel == self._channel,
                ContactPoint.address.is_not(None),
            )
            .order_by(ContactPoint.id)
        )
        return {ref: address for ref, address in session.execute(query) if ref and address}

    def _stage(self, session: Session, candidates: Sequence[_Candidate]) -> None:
        ids = ensure_address_ids(
            session, self._hasher, self._channel, (one.address for one in candidates)
        )
        taken = set(
            session.scalars(
                select(StagedRecipient.address_id).where(
                    StagedRecipient.run_id == self._run_id,
                    StagedRecipient.address_id.in_(ids.values()),
                )
            )
        )
        rows = []
        for one in candidates:
            address_id = ids[one.address]
            if address_id in taken:
                self._duplicates += 1
                continue
            taken.add(address_id)
            rows.append(self._row(address_id, one))
        insert_missing(session, StagedRecipient, rows)
        self._staged += len(rows)

    def _row(self, address_id: int, one: _Candidate) -> dict[str, Any]:
        return {
            "run_id": self._run_id,
            "address_id": address_id,
            "address": one.address,
            "attributes": one.attributes,
            "erase_after": self._erase_after,
        }

    def _note_refusals(self, session: Session) -> None:
        rows = [
            {"run_id": self._run_id, "reason": reason, "count": number}
            for reason, number in self._refused.items()
        ]
        upsert(session, SourceRefusal, rows, ("run_id", "reason"))


def count_staged(session: Session, run_id: int) -> int:
    """Return how many people are staged for the run."""
    query = select(func.count()).where(StagedRecipient.run_id == run_id)
    return session.scalar(query) or 0


def forget_recipients(store: Store, run_id: int) -> None:
    """Remove what was staged for the run, in ranges, so that no lock is held for long.

    Raises:
        RefusedError: planning has begun.
    """
    with store.write() as session:
        _require_unplanned(session, run_id)
        session.execute(delete(SourceRefusal).where(SourceRefusal.run_id == run_id))
        last = session.scalar(
            select(func.max(StagedRecipient.id)).where(StagedRecipient.run_id == run_id)
        )
    mine = select(StagedRecipient.id).where(StagedRecipient.run_id == run_id)
    while last is not None:
        with store.write() as session:
            _require_unplanned(session, run_id)
            some = mine.order_by(StagedRecipient.id).limit(_DELETED_AT_ONCE)
            session.execute(delete(StagedRecipient).where(StagedRecipient.id.in_(some)))
            last = session.scalar(mine.limit(1))


def _require_unplanned(session: Session, run_id: int) -> None:
    run = session.get(Run, run_id, with_for_update={"key_share": True})
    if run is None:
        raise NotFoundError(f"There is no run {run_id}.")
    if run.plan_ends_at is not None:
        raise RefusedError(
            "Planning has begun; nobody joins this run now.",
            remedy="Resume it, or launch again with --new-run.",
        )


def _columns(
    found: Sequence[str],
    address_column: str | None,
    reference_column: str | None,
    attribute_columns: Sequence[str] | None,
    query_name: str,
) -> _Columns:
    key = address_column or reference_column
    if key is None or (address_column and reference_column):
        raise SourceError(f"{query_name}: either an address or a reference column has to be named.")
    twice = next((name for name in found if found.count(name) > 1), None)
    if twice is not None:
        raise SourceError(
            f"{query_name}: the query yields two columns {twice}.",
            remedy="Give one of them another name with AS.",
        )
    attributes = [name for name in found if name != key]
    if attribute_columns is not None:
        attributes = list(attribute_columns)
    places = {name: place for place, name in enumerate(found)}
    for name in (key, *attributes):
        if name not in places:
            raise _missing(name, found, query_name)
    return _Columns(
        places[key], address_column is None, tuple((name, places[name]) for name in attributes)
    )


def _missing(name: str, found: Sequence[str], query_name: str) -> SourceError:
    near = nearest(name, found)
    remedy = f"Did you mean {near}?" if near else f"It yields: {', '.join(found)}."
    return SourceError(f"{query_name}: the query yields no column {name}.", remedy=remedy)


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()
