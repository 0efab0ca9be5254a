"""What the ledgers already say about the addresses of one chunk."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from sender.imports.opt_out_cells import OptOut
from sender.store.consents import ConsentEvent
from sender.store.contacts import ImportBatch
from sender.store.id_lists import among
from sender.store.portable import chunks
from sender.store.suppressions import Block, SuppressionEvent
from sender.suppression.lifted import LiftedNo, lifted_noes
from sender.vocabulary import EVERY, EVERY_CHANNEL, BlockCause, Channel, ConsentKind, SuppressionAct

Blocked = tuple[int, str, int, BlockCause]
"""Address, channel (or `*`), purpose (or 0) and why."""

_HERE = (BlockCause.OPT_OUT, BlockCause.BOUNCE)
_OWN_NOES = (ConsentKind.REFUSED, ConsentKind.WITHDRAWN, ConsentKind.OBJECTED)


@dataclass(frozen=True, slots=True)
class KnownConsent:
    """One consent event, as far as telling it from another goes; not by how it came."""

    kind: ConsentKind
    occurred_at: datetime
    notice_id: int | None
    is_imported: bool = field(default=True, compare=False)


InOrder = tuple[int, KnownConsent]
"""An event and how many are known that came before it."""


class Ledgers:
    """Blocks and events of one controller about some addresses, as they are and as they become.

    Attributes:
        objected: addresses under an objection to this controller (or to all), since when.
        consents: consent events by address and purpose, oldest first.

    Args:
        session: a session in which the addresses are locked.
        controller_id: whose ledgers; blocks of every controller are seen too.
        address_ids: about whom.
        batch_id: the import that asks. A yes of another one that was revoked, or not brought in
            whole, does not count: it is as if it were not there, so that this one can bring it.
    """

    def __init__(
        self,
        session: Session,
        controller_id: int,
        address_ids: Sequence[int],
        batch_id: int | None = None,
    ) -> None:
        self._controller_id = controller_id
        self._batch_id = batch_id
        self.objected: dict[int, datetime] = {}
        self._blocked: set[Blocked] = set()  # opt-outs and bounces in force at this controller
        self._block_times: dict[Blocked, list[datetime]] = defaultdict(list)  # released or not
        self._release_times: dict[Blocked, list[datetime]] = defaultdict(list)
        self.consents: dict[int, dict[int, list[KnownConsent]]] = defaultdict(
            lambda: defaultdict(list)
        )
        self._unfinished: dict[tuple[int, int], list[InOrder]] = defaultdict(list)
        self._personal: dict[int, list[tuple[str, int, datetime]]] = defaultdict(list)
        self._lifted: dict[int, list[LiftedNo]] = defaultdict(list)
        for no in lifted_noes(session, controller_id, address_ids):
            self._lifted[no.address_id].append(no)
        for some in chunks(address_ids):
            self._load_blocks(session, some)
            self._load_opt_outs(session, some)
            self._load_consents(session, some)

    def knows(self, address_id: int, channel: Channel, opt_out: OptOut) -> bool:
        """Whether this very no is in force, or was said before, released or not.

        Of a no whose day alone is told, and that was released on that day, nobody knows: it may
        have been said again. A no to one purpose is not known by a wider one that is in force: that
        one may be lifted by itself.
        """
        key = _key(address_id, channel.value, opt_out)
        if self._blocked & {key, _key(address_id, EVERY_CHANNEL, opt_out)}:
            return True
        return _is_told(opt_out, self._block_times[key], self._release_times[key])

    def note(self, address_id: int, channel: Channel, opt_out: OptOut) -> None:
        """Let a no be known that is about to be written."""
        self._blocked.add(_key(address_id, channel.value, opt_out))

    def knows_withdrawal(self, address_id: int, purpose_id: int, opt_out: OptOut) -> bool:
        """Whether this very no to a purpose is on record; or, without a date, changes nothing.

        A yes that waits for its import's approval, or for its import to be carried on, is looked at
        like any other.
        """
        known = self.consents[address_id][purpose_id]
        yeses = [(place, one) for place, one in enumerate(known) if one.kind.is_affirmative]
        yeses += self._unfinished[address_id, purpose_id]
        noes = [(place, one) for place, one in enumerate(known) if one.kind.is_negative]
        if opt_out.told is None:
            return bool(noes) and all(any(_beats(no, yes) for no in noes) for yes in yeses)
        told = [no.occurred_at for _, no in noes if no.kind is ConsentKind.WITHDRAWN]
        return _is_told(opt_out, told, [yes.occurred_at for _, yes in yeses])

    def no_at(
        self, address_ids: Sequence[int], channel: Channel, purpose_id: int
    ) -> datetime | None:
        """Return when the person of these addresses last said no there, if that still stands."""
        channels, purposes = {EVERY_CHANNEL, channel.value}, {EVERY, purpose_id}
        times = [
            at
            for address_id in address_ids
            for on, about, at in self._personal[address_id]
            if on in channels and about in purposes
        ]
        for address_id in address_ids:
            known = self.consents[address_id][purpose_id]
            latest = max(
                known, key=lambda each: (each.occurred_at, each.kind.is_negative), default=None
            )
            if latest is not None and latest.kind in _OWN_NOES:
                times.append(latest.occurred_at)
        return max(times, default=None)

    def lifted_at(
        self, address_ids: Sequence[int], channel: Channel, purpose_id: int
    ) -> datetime | None:
        """Return when the person of these addresses last said a no there that was lifted since."""
        times = [
            no.said_at
            for address_id in address_ids
            for no in self._lifted[address_id]
            if no.covers(channel, purpose_id)
        ]
        return max(times, default=None)

    def _load_blocks(self, session: Session, address_ids: Sequence[int]) -> None:
        query = select(
            Block.address_id,
            Block.controller_id,
            Block.channel,
            Block.purpose_id,
            Block.cause,
            Block.set_at,
        ).where(
            among(session, Block.address_id, address_ids),
            Block.controller_id.in_([EVERY, self._controller_id]),
            Block.cause <= BlockCause.BOUNCE,
        )
        for address_id, controller_id, channel, purpose_id, cause, set_at in session.execute(query):
            if cause.set_by_person:
                self._personal[address_id].append((channel, purpose_id, set_at))
            if cause in _HERE and controller_id == self._controller_id:
                self._blocked.add((address_id, channel, purpose_id, cause))
            is_total = channel == EVERY_CHANNEL and purpose_id == EVERY
            if cause is BlockCause.OBJECTION and is_total:
                earlier = self.objected.get(address_id, set_at)
                self.objected[address_id] = min(earlier, set_at)

    def _load_opt_outs(self, session: Session, address_ids: Sequence[int]) -> None:
        query = select(
            SuppressionEvent.address_id,
            SuppressionEvent.channel,
            SuppressionEvent.purpose_id,
            SuppressionEvent.cause,
            SuppressionEvent.occurred_at,
            SuppressionEvent.act,
        ).where(
            among(session, SuppressionEvent.address_id, address_ids),
            SuppressionEvent.controller_id == self._controller_id,
            SuppressionEvent.cause.in_(_HERE),
        )
        for address_id, channel, purpose_id, cause, occurred_at, act in session.execute(query):
            is_set = act is SuppressionAct.SET
            times = self._block_times if is_set else self._release_times
            times[address_id, channel, purpose_id or EVERY, cause].append(occurred_at)

    def _load_consents(self, session: Session, address_ids: Sequence[int]) -> None:
        query = (
            select(
                ConsentEvent.address_id,
                ConsentEvent.purpose_id,
                ConsentEvent.kind,
                ConsentEvent.occurred_at,
                ConsentEvent.notice_id,
                ConsentEvent.batch_id.is_not(None).label("is_imported"),
                self._is_lost().label("is_lost"),
                ImportBatch.revoked_at,
            )
            .outerjoin(ImportBatch, ImportBatch.id == ConsentEvent.batch_id)
            .where(
                among(session, ConsentEvent.address_id, address_ids),
                ConsentEvent.controller_id == self._controller_id,
            )
            .order_by(ConsentEvent.id)
        )
        for row in session.execute(query):
            known = self.consents[row.address_id][row.purpose_id]
            one = KnownConsent(row.kind, row.occurred_at, row.notice_id, bool(row.is_imported))
            if not (row.is_lost and row.kind.is_affirmative):
                known.append(one)
            elif row.revoked_at is None:
                self._unfinished[row.address_id, row.purpose_id].append((len(known), one))

    def _is_lost(self) -> ColumnElement[bool]:
        """Whether an event came with another import, of which no yes will ever count as it is."""
        unfinished = ImportBatch.finished_at.is_(None) & (ImportBatch.id != (self._batch_id or 0))
        return ImportBatch.id.is_not(None) & (ImportBatch.revoked_at.is_not(None) | unfinished)


def _key(address_id: int, channel: str, opt_out: OptOut) -> Blocked:
    return address_id, channel, opt_out.purpose_id or EVERY, opt_out.cause


def _beats(no: InOrder, yes: InOrder) -> bool:
    """Whether the no outweighs the yes, as `sender.consent.fold.beats` says."""
    is_before = no[0] < yes[0]
    return no[1].occurred_at >= yes[1].occurred_at or (yes[1].is_imported and is_before)


def _is_told(opt_out: OptOut, noes: Sequence[datetime], lifted: Sequence[datetime]) -> bool:
    """Whether one of the noes may be this very one, and nothing of the time told lifted it."""
    told = opt_out.told
    return told is not None and any(
        opt_out.is_same_time(no) and not any(no < at <= told.latest for at in lifted) for no in noes
    )
