"""Bring a no back that a journal holds and a restored database does not.

Only ever towards no: a release is applied under the rules of any release, and a yes is in no
journal.
"""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, exists, or_, select
from sqlalchemy.orm import Session

from sender.consent.ledger import ConsentAct
from sender.consent.ledger import record as record_consents
from sender.consent.objection import Objection, record_objection
from sender.errors import RefusedError
from sender.store.addresses import Address
from sender.store.consents import ConsentEvent, Purpose
from sender.store.controllers import Controller
from sender.store.deliveries import Delivery
from sender.store.journal_entries import REPLAYED, Person, Refused, Suppressed
from sender.store.portable import insert_missing
from sender.store.suppressions import Block, SuppressionEvent
from sender.suppression.ledger import BlockScope, Suppression, release, suppress
from sender.vocabulary import EVERY, EVERY_CHANNEL, BlockCause, SuppressionAct

_SOURCE_LENGTH = 200

ObjectionKey = tuple[bytes, str]
"""The keyed hash of an address, and a controller's slug."""


@dataclass(slots=True)
class Names:
    """What the words of a journal are called in this database; makes addresses and purposes.

    Attributes:
        session: a writing session.
        now: the time.
    """

    session: Session
    now: datetime
    _controllers: dict[str, int] = field(default_factory=dict)

    def controller_id(self, slug: str) -> int | None:
        """Return the controller's id; None if the database has none of this name."""
        if slug not in self._controllers:
            found = self.session.scalar(select(Controller.id).where(Controller.slug == slug))
            if found is None:
                return None
            self._controllers[slug] = found
        return self._controllers[slug]

    def address_id(self, person: Person) -> int:
        """Return the id of an address, made if it is not known any more."""
        row = {"channel": person.channel, "key_hash": person.key_hash}
        query = select(Address.id).filter_by(**row)
        found = self.session.scalar(query)
        if found is None:
            insert_missing(self.session, Address, [row])
            found = self.session.scalars(query).one()
        return found

    def purpose_id(self, controller_id: int, slug: str) -> int:
        """Return the id of a purpose, made if it is not known any more, with its slug as title."""
        query = select(Purpose.id).where(
            Purpose.controller_id == controller_id, Purpose.slug == slug
        )
        found = self.session.scalar(query)
        if found is None:
            row = {"controller_id": controller_id, "slug": slug, "title": slug}
            insert_missing(self.session, Purpose, [{**row, "created_at": self.now}])
            found = self.session.scalars(query).one()
        return found


@dataclass(frozen=True, slots=True)
class Replaying:
    """Brings noes and releases back in one transaction.

    Attributes:
        names: of this database.
        operator: who replays.
        undone: for each objection that the person took back, when; it marks no contact again.
    """

    names: Names
    operator: str
    undone: dict[ObjectionKey, datetime]

    def suppressed(self, entry: Suppressed) -> bool:
        """Bring a block or a release back; False if something newer stands in its place.

        A controller that the database does not know counts as every controller: nobody can say any
        more whose messages the person meant.

        Raises:
            RefusedError: a release that may not be made again: it lacks its evidence, or its
                controller is not known.
        """
        act = self._act(entry)
        if entry.act is SuppressionAct.RELEASE and entry.controller and not act.scope.controller_id:
            raise RefusedError(f"There is no controller {entry.controller}.")
        if self._is_overtaken(act, entry):
            return False
        if entry.act is SuppressionAct.RELEASE:
            release(self.names.session, act, self.names.now)
        elif self._is_objection(entry, act):
            record_objection(self.names.session, _objection(act), self.names.now)
        else:
            suppress(self.names.session, [act], self.names.now)
        return True

    def refused(self, entry: Refused) -> bool:
        """Bring a consent event back that says no; False if a no as new is there.

        Where the database does not know the controller, it counts as an opt-out from all.
        """
        controller_id = self.names.controller_id(entry.controller)
        if controller_id is None:
            return self.suppressed(_as_opt_out(entry))
        act = ConsentAct(
            controller_id=controller_id,
            purpose_id=self.names.purpose_id(controller_id, entry.purpose),
            address_id=self.names.address_id(entry.person),
            kind=entry.kind,
            occurred_at=entry.occurred_at,
            method=entry.method,
            source=_replayed(entry.source),
            operator=self.operator,
        )
        if self._has_newer_no(act):
            return False
        record_consents(self.names.session, [act], self.names.now)
        return True

    def _act(self, entry: Suppressed) -> Suppression:
        names = self.names
        controller_id = names.controller_id(entry.controller) if entry.controller else None
        purpose_id = None
        if controller_id is not None and entry.purpose is not None:
            purpose_id = names.purpose_id(controller_id, entry.purpose)
        address_id = names.address_id(entry.person)
        return Suppression(
            scope=BlockScope(address_id, controller_id, entry.channel, purpose_id),
            cause=entry.cause,
            occurred_at=entry.occurred_at,
            source=_replayed(entry.source),
            by_person=entry.by_person,
            operator=self.operator,
            delivery_id=self._delivery_id(entry.delivery_id, address_id),
        )

    def _delivery_id(self, delivery_id: int | None, address_id: int) -> int | None:
        """Return the delivery if it is this person's: after a restore its number comes again."""
        query = select(Delivery.id).where(
            Delivery.id == delivery_id, Delivery.address_id == address_id
        )
        return None if delivery_id is None else self.names.session.scalar(query)

    def _is_objection(self, entry: Suppressed, act: Suppression) -> bool:
        total = act.scope.controller_id is not None and entry.channel == EVERY_CHANNEL
        if entry.cause is not BlockCause.OBJECTION or not total or entry.purpose is not None:
            return False
        undone_at = self.undone.get((entry.person.key_hash, entry.controller or ""))
        return undone_at is None or undone_at <= _told_at(entry)

    def _is_overtaken(self, act: Suppression, entry: Suppressed) -> bool:
        """Whether a release is as old as something there, or a no is in force or was lifted since.

        Only a release after it was recorded lifted a no: one told late holds, however old it is.
        """
        events = _same_scope(act)
        if entry.act is SuppressionAct.RELEASE:
            return self._is_any(events, SuppressionEvent.occurred_at >= act.occurred_at)
        is_newer_no = and_(
            SuppressionEvent.act == SuppressionAct.SET,
            SuppressionEvent.occurred_at >= act.occurred_at,
            _in_force(act),
        )
        lifted_since = and_(
            SuppressionEvent.act == SuppressionAct.RELEASE,
            SuppressionEvent.occurred_at > _told_at(entry),
        )
        return self._is_any(events, or_(is_newer_no, lifted_since))

    def _is_any(self, events: Select[int], condition: ColumnElement[bool]) -> bool:
        return self.names.session.scalar(events.where(condition).limit(1)) is not None

    def _has_newer_no(self, act: ConsentAct) -> bool:
        event = ConsentEvent
        query = select(event.kind).where(
            event.controller_id == act.controller_id,
            event.purpose_id == act.purpose_id,
            event.address_id == act.address_id,
            event.occurred_at >= act.occurred_at,
        )
        return any(kind.is_negative for kind in self.names.session.scalars(query))


def _told_at(entry: Suppressed) -> datetime:
    """Return when we learned of it; of what an earlier replay brought, at least when it was."""
    return entry.occurred_at if entry.source.startswith(REPLAYED) else entry.recorded_at


def _same_scope(act: Suppression) -> Select[int]:
    event, scope = SuppressionEvent, act.scope
    return select(event.id).where(
        event.address_id == scope.address_id,
        event.controller_id.is_not_distinct_from(scope.controller_id),
        event.channel == scope.channel,
        event.purpose_id.is_not_distinct_from(scope.purpose_id),
        event.cause == act.cause,
    )


def _in_force(act: Suppression) -> ColumnElement[bool]:
    return exists(
        select(Block.event_id).where(
            Block.address_id == act.scope.address_id,
            Block.controller_id == (act.scope.controller_id or EVERY),
            Block.channel == act.scope.channel,
            Block.purpose_id == (act.scope.purpose_id or EVERY),
            Block.cause == act.cause,
        )
    )


def _as_opt_out(entry: Refused) -> Suppressed:
    return Suppressed(
        event_id=entry.event_id,
        row_hash=entry.row_hash,
        act=SuppressionAct.SET,
        person=entry.person,
        controller=entry.controller,
        channel=entry.person.channel.value,
        purpose=None,
        cause=BlockCause.OPT_OUT,
        occurred_at=entry.occurred_at,
        recorded_at=entry.occurred_at,
        source=entry.source,
        by_person=True,
        delivery_id=None,
    )


def _objection(act: Suppression) -> Objection:
    assert act.scope.controller_id is not None
    return Objection(
        controller_id=act.scope.controller_id,
        address_id=act.scope.address_id,
        occurred_at=act.occurred_at,
        source=act.source,
        operator=act.operator,
        delivery_id=act.delivery_id,
    )


def _replayed(source: str) -> str:
    return source if source.startswith(REPLAYED) else f"{REPLAYED}{source}"[:_SOURCE_LENGTH]
