"""Decide what doubtful replies were. Whatever is decided, only holds are released."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.consent.objection import Objection, lock_people, record_objection
from sender.contacts.addresses import lock_addresses
from sender.errors import NotFoundError, RefusedError
from sender.inbound.inbox import HELD_BY, is_open
from sender.inbound.reply_acts import ReplyAct, mark_opted_out, sources_in_force
from sender.store import audit_trail
from sender.store.inbound import InboxMessage
from sender.store.portable import chunks
from sender.suppression.ledger import BlockScope, Suppression, release, suppress
from sender.vocabulary import BlockCause, Channel, ReplyMeaning

STOP_SOURCE: Final = "stop:inbox"
OBJECTION_SOURCE: Final = "inbox"
_LONGEST_OPERATOR: Final = 200


class Decision(StrEnum):
    """What an operator made of a reply."""

    STOP = "stop"
    OBJECTION = "objection"
    """Leave me alone for good: all channels, all addresses (guidance ¶72)."""
    NOT_A_STOP = "not-a-stop"

    @property
    def meaning(self) -> ReplyMeaning:
        """As it stands beside the message; the audit trail has the decision itself."""
        return ReplyMeaning.OTHER if self is Decision.NOT_A_STOP else ReplyMeaning.STOP


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of a bulk decision.

    Attributes:
        messages: how many were decided.
        people: of how many addresses.
        released: how many holds ended.
        still_held: addresses that another open message, or another hold, keeps held.
    """

    messages: int
    people: int
    released: int
    still_held: int


def decide(
    session: Session,
    controller_id: int,
    message_ids: Iterable[int],
    decision: Decision,
    *,
    operator: str,
    now: datetime,
) -> Decided:
    """Record what these messages were, and act on it; all of them or none.

    A message that was decided may be made a stop later; the other way round only the person's own
    new act counts.

    Args:
        session: a writing session.
        controller_id: whose inbox.
        message_ids: which messages.
        decision: what they were.
        operator: who decides.
        now: when.

    Raises:
        NotFoundError: the controller has no such message.
        RefusedError: `not-a-stop` for what never was in doubt, or was decided.
    """
    desk = _Desk(session, controller_id, decision, operator, now)
    rows = desk.take(sorted(set(message_ids)))
    desk.act_on(rows)
    desk.write_down(rows)
    return desk.end_holds(rows)


@dataclass(frozen=True, slots=True)
class _Desk:
    session: Session
    controller_id: int
    decision: Decision
    operator: str
    now: datetime

    def take(self, message_ids: Sequence[int]) -> list[InboxMessage]:
        """Lock the messages, which must be the controller's and open to this decision."""
        rows = [row for some in chunks(message_ids) for row in self._locked(some)]
        missing = set(message_ids) - {row.id for row in rows}
        if missing:
            raise NotFoundError(
                f"This controller's inbox has no message {min(missing)}.",
                remedy="See: sender inbox list --all",
            )
        if self.decision is Decision.NOT_A_STOP:
            _require_open(rows)
        return rows

    def _locked(self, message_ids: Sequence[int]) -> Sequence[InboxMessage]:
        query = (
            select(InboxMessage)
            .where(
                InboxMessage.id.in_(message_ids), InboxMessage.controller_id == self.controller_id
            )
            .order_by(InboxMessage.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        return self.session.scalars(query).all()

    def act_on(self, rows: Sequence[InboxMessage]) -> None:
        """Stop whom it stops; everybody's address is locked afterwards."""
        if self.decision is not Decision.NOT_A_STOP:
            for row in rows:
                mark_opted_out(self.session, _as_stop(row, self.now))
        address_ids = [row.address_id for row in rows]
        if self.decision is Decision.OBJECTION:
            lock_people(self.session, self.controller_id, address_ids)
        lock_addresses(self.session, address_ids)
        if self.decision is Decision.STOP:
            suppress(self.session, [self._opt_out(row) for row in rows], self.now)
        if self.decision is Decision.OBJECTION:
            earliest = {row.address_id: row for row in reversed(rows)}
            for _, row in sorted(earliest.items()):
                record_objection(self.session, self._objection(row), self.now)

    def _opt_out(self, row: InboxMessage) -> Suppression:
        return Suppression(
            scope=_scope(row),
            cause=BlockCause.OPT_OUT,
            occurred_at=row.received_at,
            source=STOP_SOURCE,
            by_person=True,
            operator=self.operator,
            personal={"inbox_message": row.id},
        )

    def _objection(self, row: InboxMessage) -> Objection:
        return Objection(
            controller_id=self.controller_id,
            address_id=row.address_id,
            occurred_at=row.received_at,
            source=OBJECTION_SOURCE,
            operator=self.operator,
        )

    def write_down(self, rows: Sequence[InboxMessage]) -> None:
        """Close the messages; each decision is in the audit trail."""
        for row in rows:
            row.decided_as, row.decided_at = self.decision.meaning, self.now
            row.decided_by = self.operator[:_LONGEST_OPERATOR]
            audit_trail.record(
                self.session,
                now=self.now,
                operator=self.operator,
                action="inbox.decide",
                controller_id=self.controller_id,
                details={"message": row.id, "decided": self.decision.value},
            )
        self.session.flush()

    def end_holds(self, rows: Sequence[InboxMessage]) -> Decided:
        """Release the holds that these messages set, unless something else needs them."""
        messages: dict[BlockScope, list[int]] = {}
        for row in rows:
            messages.setdefault(_scope(row), []).append(row.id)
        held = [
            scope for scope in messages if sources_in_force(self.session, scope, BlockCause.HOLD)
        ]
        ended = [scope for scope in held if self._end_hold(scope, messages[scope])]
        people = len({scope.address_id for scope in messages})
        return Decided(len(rows), people, len(ended), len(held) - len(ended))

    def _end_hold(self, scope: BlockScope, message_ids: Sequence[int]) -> bool:
        if not self._is_done_with(scope):
            return False
        lifting = Suppression(
            scope=scope,
            cause=BlockCause.HOLD,
            occurred_at=self.now,
            source=f"{HELD_BY}{self.decision}",
            by_person=False,
            operator=self.operator,
            personal={"inbox_messages": list(message_ids), "decided": self.decision.value},
        )
        try:
            release(self.session, lifting, self.now)
        except RefusedError:  # held again at this very moment
            return False
        return True

    def _is_done_with(self, scope: BlockScope) -> bool:
        waiting = select(InboxMessage.id).where(
            is_open(),
            InboxMessage.controller_id == self.controller_id,
            InboxMessage.address_id == scope.address_id,
            InboxMessage.channel == Channel(scope.channel),
        )
        if self.session.scalar(waiting.limit(1)) is not None:
            return False
        sources = sources_in_force(self.session, scope, BlockCause.HOLD)
        return all(source.startswith(HELD_BY) for source in sources)


def _require_open(rows: Sequence[InboxMessage]) -> None:
    for row in rows:
        if row.meaning is not ReplyMeaning.DOUBTFUL or row.decided_at is not None:
            raise RefusedError(
                f"Message {row.id} is not open: nothing is held for it.",
                remedy="What a person stopped, only the person starts again.",
            )


def _as_stop(row: InboxMessage, now: datetime) -> ReplyAct:
    return ReplyAct(
        address_id=row.address_id,
        channel=row.channel,
        controller_ids=(row.controller_id,),
        certain=True,
        rule="inbox",
        heard=False,
        at=row.received_at,
        now=now,
    )


def _scope(row: InboxMessage) -> BlockScope:
    return BlockScope(row.address_id, row.controller_id, row.channel.value)
