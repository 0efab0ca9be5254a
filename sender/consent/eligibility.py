"""The policy of `sender.consent.policy` as one set-based statement.

Every rule stands here in the same order as in `decide`; a property test holds the two equal on
generated histories, on both databases. Blocks are folded once per address of the range and joined:
correlated scopes are four times slower, single probes thirty times.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import (
    BinaryExpression,
    BindParameter,
    ColumnElement,
    FromClause,
    Select,
    and_,
    bindparam,
    case,
    func,
    literal,
    null,
    or_,
    select,
    true,
)
from sqlalchemy.orm import InstrumentedAttribute, aliased

from sender.consent.policy import CAUSE_REASONS, FLAW_REASONS, STATUS_REASONS, Scope
from sender.store.base import UtcDateTime, Word
from sender.store.consents import ConsentEvent, ConsentState
from sender.store.contacts import Contact, ContactPoint
from sender.store.id_lists import is_given
from sender.store.suppressions import Block
from sender.vocabulary import (
    EVERY,
    EVERY_CHANNEL,
    ConsentFlaw,
    ConsentKind,
    ContactSource,
    Reason,
)

IdColumn = ColumnElement[Any] | InstrumentedAttribute[int]
AddressRange = Callable[[IdColumn], ColumnElement[bool]]
"""Narrows a column of address ids to those that the statement is about."""

AFFIRMED = (ConsentKind.GIVEN, ConsentKind.RECONFIRMED)


@dataclass(frozen=True, slots=True)
class People:
    """Who is asked about.

    Attributes:
        rows: a subquery with the columns `key`, `address_id`, `has_address` and, if known,
            `contact_id` (of the first scope's controller).
        within: the range that holds all its address ids.
    """

    rows: FromClause
    within: AddressRange


def decisions(people: People, scopes: Sequence[Scope]) -> Select[Any]:
    """Return a query of one row per person: `key`, `address_id`, `reason`, `refused_by`, `event_N`.

    `reason` is null where every scope allows; `refused_by` is the controller of the first scope
    that refuses; `event_N` is the consent event relied on for scope N.
    """
    parts = [_ScopeParts(people, scope, number) for number, scope in enumerate(scopes)]
    source = people.rows
    for part in parts:
        source = part.join_to(source)
    judged = (
        select(
            people.rows.c.key,
            people.rows.c.address_id,
            *[part.refusal().label(f"refusal_{number}") for number, part in enumerate(parts)],
            *[part.state.event_id.label(f"event_{number}") for number, part in enumerate(parts)],
        )
        .select_from(source)
        # Judged once: PostgreSQL would fold the query and repeat the rules wherever they are read.
        .cte("judged")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    refusals = [judged.c[f"refusal_{number}"] for number in range(len(parts))]
    refused_by = case(
        *[
            (refusal.is_not(None), literal(scope.controller_id))
            for refusal, scope in zip(refusals, scopes, strict=True)
        ],
        else_=null(),
    )
    first = refusals[0] if len(refusals) == 1 else func.coalesce(*refusals)
    return select(
        judged.c.key,
        judged.c.address_id,
        first.label("reason"),
        refused_by.label("refused_by"),
        *[judged.c[f"event_{number}"] for number in range(len(parts))],
    )


def moments(scopes: Sequence[Scope]) -> dict[str, datetime]:
    """Return the parameters by which a statement of `decisions` is used again at another time.

    The scopes must be those that it was made for in all but their times.
    """
    found: dict[str, datetime] = {}
    for number, scope in enumerate(scopes):
        found |= {f"at_{number}": scope.at, f"fresh_after_{number}": scope.fresh_after}
        if scope.frozen_at is not None:
            found[f"frozen_at_{number}"] = scope.frozen_at
        if scope.closes_at is not None:
            found[f"closes_at_{number}"] = scope.closes_at
    return found


class _ScopeParts:
    """The joins and the CASE of one scope."""

    def __init__(self, people: People, scope: Scope, number: int) -> None:
        self.people, self.scope, self.number = people, scope, number
        self.state = aliased(ConsentState, name=f"state_{number}")
        self.contact = aliased(Contact, name=f"contact_{number}")
        self.point = aliased(ContactPoint, name=f"point_{number}")
        self.blocked = self._folded_blocks(number)
        self.contact_known = number == 0 and "contact_id" in people.rows.c

    def join_to(self, source: FromClause) -> FromClause:
        """Join what this scope looks at to the people; nobody is lost for want of a row."""
        address_id = self.people.rows.c.address_id
        scope, state = self.scope, self.state
        joined = source.outerjoin(
            state,
            and_(
                state.controller_id == scope.controller_id,
                state.purpose_id == scope.purpose_id,
                state.address_id == address_id,
                # Implied by the people's own range; said again because no planner infers it.
                self.people.within(state.address_id),
            ),
        ).outerjoin(self.blocked, self.blocked.c.address_id == address_id)
        if self.contact_known:
            return joined.outerjoin(self.contact, self.contact.id == self.people.rows.c.contact_id)
        return joined.outerjoin(
            self.point,
            and_(
                self.point.controller_id == scope.controller_id,
                self.point.address_id == address_id,
            ),
        ).outerjoin(self.contact, self.contact.id == self.point.contact_id)

    def refusal(self) -> ColumnElement[Any]:
        """Return the reason to refuse, or null; the order is `policy.decide`'s."""
        state = self.state
        rules: list[tuple[ColumnElement[bool], ColumnElement[Any]]] = [
            *self._controller_rules(),
            (self.people.rows.c.has_address.is_not(true()), _reason(Reason.INVALID_ADDRESS)),
            (self.contact.objected_at.is_not(None), _reason(Reason.OBJECTED)),
            *[
                (self.blocked.c.cause == literal(cause, Block.cause.type), _reason(reason))
                for cause, reason in CAUSE_REASONS.items()
            ],
            # A newer program's words, met after a step back: whatever is not known refuses.
            (self.blocked.c.cause.is_not(None), _reason(Reason.SUPPRESSED)),
            (state.event_id.is_(None), self._no_consent()),
            *self._revoked(),
            *[(state.status == status, _reason(why)) for status, why in STATUS_REASONS.items()],
            *[(state.flaw == flaw, _reason(why)) for flaw, why in FLAW_REASONS.items()],
            (state.status.not_in(AFFIRMED), _reason(Reason.NO_CONSENT)),
            (state.flaw != ConsentFlaw.NONE, _reason(Reason.NO_CONSENT)),
            (state.ends_at <= self._moment("at", self.scope.at), _reason(Reason.ENDED)),
            *self._closed(),
            (
                or_(
                    state.last_affirmative_at.is_(None),
                    state.last_affirmative_at
                    <= self._moment("fresh_after", self.scope.fresh_after),
                ),
                _reason(Reason.STALE),
            ),
        ]
        return case(*rules, else_=null())

    def _controller_rules(self) -> list[tuple[ColumnElement[bool], ColumnElement[Any]]]:
        rules: list[tuple[ColumnElement[bool], ColumnElement[Any]]] = []
        state = self.state
        if self.scope.frozen_at is not None:
            frozen_at = self._moment("frozen_at", self.scope.frozen_at)
            not_since = (
                true()
                if self.scope.is_only_named
                else or_(
                    state.last_affirmative_at.is_(None),
                    state.last_affirmative_at <= frozen_at,
                    state.notice_shown_from.is_(None),
                    state.notice_shown_from <= frozen_at,
                )
            )
            rules.append((not_since, _reason(Reason.CONTROLLER_FROZEN)))
        if not self.scope.has_sender_identity:
            rules.append((true(), _reason(Reason.NO_SENDER_IDENTITY)))
        return rules

    def _closed(self) -> list[tuple[ColumnElement[bool], ColumnElement[Any]]]:
        """Return the rule on a purpose that is over from a moment on."""
        if self.scope.closes_at is None:
            return []
        closes_at = self._moment("closes_at", self.scope.closes_at)
        return [(closes_at <= self._moment("at", self.scope.at), _reason(Reason.ENDED))]

    def _revoked(self) -> list[tuple[ColumnElement[bool], ColumnElement[Any]]]:
        """Return the rule on imports that were just revoked; hardly ever is there one."""
        if not self.scope.revoked_batches:
            return []
        event = aliased(ConsentEvent)
        batch_id = select(event.batch_id).where(event.id == self.state.event_id)
        is_revoked = (
            batch_id.correlate(self.state).scalar_subquery().in_(sorted(self.scope.revoked_batches))
        )
        return [(is_revoked, _reason(Reason.INVALIDATED))]

    def _no_consent(self) -> ColumnElement[Any]:
        return case(
            (self.contact.source == ContactSource.CASEWORK, _reason(Reason.CASEWORK)),
            (self._agreed_on_other_channel(), _reason(Reason.WRONG_CHANNEL)),
            (self._agreed_to_other_purpose(), _reason(Reason.WRONG_PURPOSE)),
            else_=_reason(Reason.NO_CONSENT),
        )

    def _agreed_on_other_channel(self) -> ColumnElement[bool]:
        other, point = aliased(ConsentState), aliased(ContactPoint)
        return _found(
            select(literal(1))
            .select_from(point)
            .join(other, other.address_id == point.address_id)
            .where(
                point.contact_id == self.contact.id,
                point.channel != self.scope.channel,
                other.controller_id == self.scope.controller_id,
                other.purpose_id == self.scope.purpose_id,
                other.status.in_(AFFIRMED),
            )
            .correlate(self.contact)
        )

    def _agreed_to_other_purpose(self) -> ColumnElement[bool]:
        other = aliased(ConsentState)
        return _found(
            select(literal(1))
            .where(
                other.controller_id == self.scope.controller_id,
                other.address_id == self.people.rows.c.address_id,
                other.purpose_id != self.scope.purpose_id,
                other.status.in_(AFFIRMED),
            )
            .correlate(self.people.rows)
        )

    def _moment(self, name: str, value: datetime) -> BindParameter[datetime]:
        return bindparam(f"{name}_{self.number}", value, UtcDateTime())

    def _folded_blocks(self, number: int) -> FromClause:
        scope = self.scope
        return (
            select(Block.address_id, func.min(Block.cause).label("cause"))
            .where(
                self.people.within(Block.address_id),
                Block.controller_id.in_((EVERY, scope.controller_id)),
                Block.channel.in_((EVERY_CHANNEL, scope.channel.value)),
                Block.purpose_id.in_((EVERY, scope.purpose_id)),
            )
            .group_by(Block.address_id)
            .subquery(f"blocked_{number}")
        )


def _found(query: Select[Any]) -> ColumnElement[bool]:
    """Whether a correlated query finds a row, looked up for just the rows that ask.

    Not EXISTS: PostgreSQL would hash the whole table once a range to answer it for everybody.
    """
    return query.limit(1).scalar_subquery().is_not(None)


def _reason(reason: Reason) -> ColumnElement[Any]:
    return literal(reason, Word(Reason))


def same_or_between(low: int, high: int) -> AddressRange:
    """Return the range `low < id <= high`."""

    def within(column: IdColumn) -> ColumnElement[bool]:
        return and_(column > low, column <= high)

    return within


def any_of(address_ids: Sequence[int]) -> AddressRange:
    """Return the range of just these ids (a few hundred at most)."""

    def within(column: IdColumn) -> BinaryExpression[bool]:
        return column.in_(address_ids)

    return within


def given_as(dialect: str, parameter: str) -> AddressRange:
    """Return the range of the ids that are given, under this name, when the statement runs.

    Their value is made by `sender.store.id_lists.id_list`.
    """
    return partial(is_given, dialect, parameter)
