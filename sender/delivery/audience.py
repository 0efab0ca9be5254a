"""Whom a run is about: the controller's contact points, or recipients staged from elsewhere."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from sender.consent.eligibility import AFFIRMED, People, same_or_between
from sender.contacts.filter import Filter
from sender.contacts.filter_sql import compile_filter
from sender.store.campaigns import StagedRecipient
from sender.store.consents import ConsentState
from sender.store.contacts import Contact, ContactPoint
from sender.vocabulary import Channel


class Audience(Protocol):
    """People in order of address id, in ranges."""

    @property
    def key_column(self) -> str:
        """The column of `delivery` that keeps the key of a row of `people`."""
        ...

    def people(self, low: int, high: int) -> People:
        """Return those with `low < address id <= high`."""
        ...

    def range_end(self, session: Session, low: int, size: int) -> int | None:
        """Return the address id of the `size`-th row after `low`; None when fewer are left."""
        ...

    def last(self, session: Session) -> int:
        """Return the greatest address id there is; 0 when there is nobody."""
        ...


@dataclass(frozen=True, slots=True)
class Expiring:
    """People whose yes to one purpose counts now, and soon no longer (guidance ¶57).

    Attributes:
        purpose_id: the purpose.
        fresh_after: their last affirmative act is later than this,
        stale_by: and not later than this; or
        ends_after: their consent ends after this moment
        ended_by: and by this one.
    """

    purpose_id: int
    fresh_after: datetime
    stale_by: datetime
    ends_after: datetime
    ended_by: datetime

    def of(self, controller_id: int) -> ColumnElement[bool]:
        """Return the condition on `ConsentState`."""
        state = ConsentState
        return and_(
            state.controller_id == controller_id,
            state.purpose_id == self.purpose_id,
            state.address_id == ContactPoint.address_id,
            state.status.in_(AFFIRMED),
            state.last_affirmative_at > self.fresh_after,
            state.ends_at.is_(None) | (state.ends_at > self.ends_after),
            or_(state.last_affirmative_at <= self.stale_by, state.ends_at <= self.ended_by),
        )


@dataclass(frozen=True, slots=True)
class ContactAudience:
    """A controller's contacts on one channel, narrowed by the campaign's filter.

    Somebody who objected is not to be profiled (guidance ¶72): a filter never looks at them, so
    they are in no narrowed audience; in an audience of everybody they count as refused.
    """

    controller_id: int
    channel: Channel
    where: Filter | None = None
    expiring: Expiring | None = None

    @property
    def key_column(self) -> str:
        """The contact point."""
        return "contact_point_id"

    def people(self, low: int, high: int) -> People:
        """Return those with `low < address id <= high` who pass the filter."""
        within = same_or_between(low, high)
        query = select(
            ContactPoint.id.label("key"),
            ContactPoint.address_id,
            ContactPoint.address.is_not(None).label("has_address"),
            ContactPoint.contact_id,
        ).where(self._mine(), within(ContactPoint.address_id))
        if self.expiring is not None:
            query = query.join(ConsentState, self.expiring.of(self.controller_id))
        if self.where is not None or self.expiring is not None:
            query = query.join(Contact, Contact.id == ContactPoint.contact_id).where(
                Contact.objected_at.is_(None)
            )
        if self.where is not None:
            query = query.where(compile_filter(self.where, Contact))
        return People(query.subquery("people"), within)

    def range_end(self, session: Session, low: int, size: int) -> int | None:
        """Return the address id of the `size`-th contact point after `low`."""
        return session.scalar(_nth(ContactPoint.address_id, self._mine(), low, size))

    def last(self, session: Session) -> int:
        """Return the greatest address id of the controller's contact points."""
        return session.scalar(select(func.max(ContactPoint.address_id)).where(self._mine())) or 0

    def _mine(self) -> ColumnElement[bool]:
        return (ContactPoint.controller_id == self.controller_id) & (
            ContactPoint.channel == self.channel
        )


@dataclass(frozen=True, slots=True)
class StagedAudience:
    """Recipients that were pulled from the organisation's own database for one run."""

    run_id: int

    @property
    def key_column(self) -> str:
        """The staged recipient."""
        return "staged_recipient_id"

    def people(self, low: int, high: int) -> People:
        """Return those with `low < address id <= high`."""
        within = same_or_between(low, high)
        query = select(
            StagedRecipient.id.label("key"),
            StagedRecipient.address_id,
            StagedRecipient.address.is_not(None).label("has_address"),
        ).where(StagedRecipient.run_id == self.run_id, within(StagedRecipient.address_id))
        return People(query.subquery("people"), within)

    def range_end(self, session: Session, low: int, size: int) -> int | None:
        """Return the address id of the `size`-th staged recipient after `low`."""
        mine = StagedRecipient.run_id == self.run_id
        return session.scalar(_nth(StagedRecipient.address_id, mine, low, size))

    def last(self, session: Session) -> int:
        """Return the greatest address id that was staged."""
        query = select(func.max(StagedRecipient.address_id)).where(
            StagedRecipient.run_id == self.run_id
        )
        return session.scalar(query) or 0


def _nth(
    column: InstrumentedAttribute[int], mine: ColumnElement[bool], low: int, size: int
) -> Select[int]:
    return select(column).where(mine, column > low).order_by(column).offset(size - 1).limit(1)
