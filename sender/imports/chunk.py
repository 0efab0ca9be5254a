"""Bring one chunk of rows in, in one transaction: people, then every no, then the yeses."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.consent.ledger import ConsentAct, record
from sender.contacts.addresses import ensure_address_ids
from sender.imports.basis import everything, has_living_yes, no_alone, tells_no, without_basis
from sender.imports.consent_cells import ConsentCells, flaw_of
from sender.imports.context import ImportContext
from sender.imports.ledgers import KnownConsent, Ledgers
from sender.imports.opt_out_cells import DEFAULT_SOURCE, OptOut
from sender.imports.people import People, Person, conflict
from sender.imports.placed import Placed, addresses_of, subjects_of
from sender.imports.problem import Problem
from sender.imports.reading import Storage
from sender.imports.rows import Row
from sender.store.controllers import Controller
from sender.store.keys import AddressHasher
from sender.suppression.ledger import BlockScope, Suppression, suppress
from sender.vocabulary import (
    EVERY_CHANNEL,
    BlockCause,
    Channel,
    ConsentFlaw,
    ConsentKind,
)


@dataclass(frozen=True, slots=True)
class ImportScope:
    """What all chunks of an import have in common."""

    context: ImportContext
    hasher: AddressHasher
    batch_id: int
    operator: str
    now: datetime
    storage: Storage | None = None


def bring_in(session: Session, scope: ImportScope, rows: Sequence[Row]) -> Counter[str]:
    """Write the rows and return what became of them; problems are noted in the rows.

    The chunks of one controller's imports wait for each other; those of others go on.
    """
    session.execute(
        select(Controller.id)
        .where(Controller.id == scope.context.controller_id)
        .with_for_update(key_share=True)
    )
    return _Chunk(session, scope, rows).write()


class _Chunk:
    def __init__(self, session: Session, scope: ImportScope, rows: Sequence[Row]) -> None:
        self._session = session
        self._scope = scope
        self._controller_id = scope.context.controller_id
        self._people = People(session, scope.hasher, self._controller_id)
        self._tally: Counter[str] = Counter()
        self._told: set[Person] = set()  # who objected in these very rows
        self._newly_objected: list[int] = []
        self._ledgers, ids = self._look_up(rows)
        self._placed = [self._place(row, ids) for row in rows]
        self._name_subjects()

    def write(self) -> Counter[str]:
        self._object()
        blocks = list(self._carry_objections())
        self._people.write(self._scope.now)
        blocks.extend(self._opt_outs())
        suppress(self._session, blocks, self._scope.now)
        acts = chain(self._objected_acts(), self._withdrawals(), self._consents())
        record(self._session, list(acts), self._scope.now)
        for placed in self._placed:
            self._tally[placed.outcome] += 1
            self._tally["noes_alone"] += placed.is_no_alone
            self._tally["problems"] += len(placed.row.problems)
        return self._tally

    def _look_up(self, rows: Sequence[Row]) -> tuple[Ledgers, dict[Channel, dict[str, int]]]:
        ids = {
            channel: ensure_address_ids(
                self._session,
                self._scope.hasher,
                channel,
                (row.addresses[channel] for row in rows if channel in row.addresses),
                now=self._scope.now,
            )
            for channel in Channel
        }
        refs = sorted({row.external_ref for row in rows if row.external_ref is not None})
        mentioned = [row_id for by_address in ids.values() for row_id in by_address.values()]
        known = self._people.lock(refs, mentioned)
        self._people.load()
        ledgers = Ledgers(self._session, self._controller_id, known, self._scope.batch_id)
        return ledgers, ids

    def _place(self, row: Row, ids: dict[Channel, dict[str, int]]) -> Placed:
        address_ids = {channel: ids[channel][one] for channel, one in row.addresses.items()}
        matched = self._people.matched(row, address_ids)
        if not row.is_refused and (problem := conflict(row, address_ids, matched)) is not None:
            row.refuse(problem)
        if not row.is_refused:
            self._require_reason(row, matched)
        if row.is_refused:
            return Placed(row, address_ids, None, [])
        person = matched[0] if matched else self._people.new()
        changed = self._take(person, row, address_ids)
        self._people.index(person)
        return Placed(row, address_ids, person, [person], not matched, bool(matched) and changed)

    def _require_reason(self, row: Row, matched: Sequence[Person]) -> None:
        """Refuse somebody new of whom there is neither a consent nor a no to keep (¶83).

        Where a no of theirs is kept already, it follows them to what the row names; no more.
        """
        is_on_file = bool(matched) and not matched[0].is_bare
        if is_on_file or self._has_basis(row) or tells_no(row):
            return
        problem = without_basis(row, self._scope.context.slug)
        if matched and matched[0].is_kept:
            row.problems.append(problem)
        else:
            row.refuse(problem)

    def _has_basis(self, row: Row) -> bool:
        return self._scope.storage is not None or has_living_yes(row, self._scope.context.slug)

    def _take(self, person: Person, row: Row, address_ids: dict[Channel, int]) -> bool:
        """Merge a row into its person: its details where there is a reason to hold them."""
        storage = self._scope.storage
        person.objects = person.objects or any(one.is_objection for one in row.opt_outs)
        person.objects |= not self._ledgers.objected.keys().isdisjoint(address_ids.values())
        if person.is_bare and not self._has_basis(row):
            return person.take(no_alone(row), address_ids)
        if person.is_bare and storage is not None:
            person.keep_for(storage)
        return person.take(everything(row, is_stored=storage is not None), address_ids)

    def _name_subjects(self) -> None:
        """Find whom the noes of refused rows count for, also where a later row brought them."""
        for placed in self._placed:
            if placed.person is None:
                matched = self._people.matched(placed.row, placed.address_ids)
                placed.subjects = subjects_of(placed.address_ids, matched)

    def _object(self) -> None:
        """Take the objections that the rows tell of."""
        for placed, opt_out in self._nos():
            if not opt_out.is_objection:
                continue
            if not placed.subjects:
                continue  # nobody is named; the row says so already
            fresh = [one for one in placed.subjects if self._objection_of(one) is None]
            for person in placed.subjects:
                person.is_changed = person.is_changed or person.objected_at is None
                person.objected_at = self._objection_of(person) or opt_out.at
            self._told.update(fresh)
            self._count(placed, "opt_outs", is_new=bool(fresh))
            if placed.is_new and not any(one.points for one in placed.subjects):
                placed.row.problems.append(_NOBODY_KNOWN)

    def _carry_objections(self) -> Iterator[Suppression]:
        """Block every address of everybody who objected, now or ever, by whatever address (¶72)."""
        for person in self._everybody():
            at = self._objection_of(person)
            if at is None:
                continue
            if person.objected_at is None:
                person.objected_at, person.is_changed = at, True
            for address_id in sorted(person.points.keys() - self._ledgers.objected.keys()):
                self._ledgers.objected[address_id] = at
                self._newly_objected.append(address_id)
                self._tally["objections_carried"] += person not in self._told
                yield self._block(address_id, EVERY_CHANNEL, BlockCause.OBJECTION, at)

    def _everybody(self) -> Iterator[Person]:
        yield from self._people.everybody
        for placed in self._placed:
            if placed.person is None:
                yield from (one for one in placed.subjects if one.objected_at is not None)

    def _objection_of(self, person: Person) -> datetime | None:
        if person.objected_at is not None:
            return min(person.objected_at, self._scope.now)
        objected = self._ledgers.objected
        return min((objected[one] for one in person.points if one in objected), default=None)

    def _opt_outs(self) -> Iterator[Suppression]:
        """Take the opt-outs from a channel, for every address of the person on it (¶56)."""
        for placed, opt_out in self._nos():
            if opt_out.channel is None:
                continue
            targets = addresses_of(placed.subjects, opt_out.channel)
            if not targets:
                placed.row.problems.append(_NOTHING_TO_OPT_OUT)
                continue
            channel, cause = opt_out.channel, opt_out.cause
            fresh = [one for one in targets if not self._ledgers.knows(one, channel, opt_out)]
            self._count(placed, "opt_outs", is_new=bool(fresh))
            for address_id in fresh:
                self._ledgers.note(address_id, channel, opt_out)
                yield self._block(address_id, channel, cause, opt_out.at, opt_out.source)

    def _objected_acts(self) -> Iterator[ConsentAct]:
        """End every consent of the addresses that an objection reached now."""
        for address_id in self._newly_objected:
            for purpose_id in list(self._ledgers.consents[address_id]):
                yield from self._objected_act(address_id, purpose_id)

    def _objected_act(self, address_id: int, purpose_id: int) -> Iterator[ConsentAct]:
        known = self._ledgers.consents[address_id][purpose_id]
        at = min(self._ledgers.objected[address_id], self._scope.now)
        if any(each.kind is ConsentKind.OBJECTED and each.occurred_at >= at for each in known):
            return
        known.append(KnownConsent(ConsentKind.OBJECTED, at, None))
        yield self._no(address_id, purpose_id, ConsentKind.OBJECTED, at, DEFAULT_SOURCE)

    def _withdrawals(self) -> Iterator[ConsentAct]:
        """Take the opt-outs from a purpose, for every address of the person."""
        knows = self._ledgers.knows_withdrawal
        for placed, opt_out in self._nos():
            purpose_id = opt_out.purpose_id
            if purpose_id is None:
                continue
            targets = addresses_of(placed.subjects, None)
            if not targets:
                placed.row.problems.append(_NOTHING_TO_OPT_OUT)
                continue
            fresh = [one for one in targets if not knows(one, purpose_id, opt_out)]
            self._count(placed, "opt_outs", is_new=bool(fresh))
            for address_id in fresh:
                known = self._ledgers.consents[address_id][purpose_id]
                known.append(KnownConsent(ConsentKind.WITHDRAWN, opt_out.at, None))
                yield self._no(
                    address_id, purpose_id, ConsentKind.WITHDRAWN, opt_out.at, opt_out.source
                )

    def _consents(self) -> Iterator[ConsentAct]:
        """Take the consents; one to an address under an objection comes after its no."""
        for placed, consent in self._yeses():
            person = placed.person
            assert person is not None
            address_id = placed.address_ids.get(consent.channel)
            if address_id is None and not placed.row.is_misread(consent.channel):
                address_id = person.sole_address(consent.channel)
                if address_id in person.blank and not person.is_bare:
                    placed.row.problems.append(_NOT_IN_PLAIN)
            if address_id is None:
                placed.row.problems.append(_NOTHING_TO_CONSENT)
                continue
            if address_id in self._ledgers.objected:
                yield from self._objected_act(address_id, consent.purpose_id)
            given = KnownConsent(ConsentKind.GIVEN, consent.at, consent.notice.id)
            known = self._ledgers.consents[address_id][consent.purpose_id]
            if given not in known and self._agreed_before_the_freeze(address_id):
                placed.row.problems.append(_FROZEN)
                continue
            if given not in known and self._is_taken_back(placed, address_id, consent):
                placed.row.problems.append(_TAKEN_BACK)
                continue
            self._count(placed, "consents", is_new=given not in known)
            if given not in known:
                known.append(given)
                flaw = flaw_of(consent, self._scope.context.slug, person.source)
                yield self._yes(address_id, consent, flaw)

    def _is_taken_back(self, placed: Placed, address_id: int, consent: ConsentCells) -> bool:
        """Whether the person said no since, at another address of theirs on the channel.

        They may have changed their address; their opt-out follows them (guidance ¶56). A no at any
        of their addresses that they lifted since counts too: they asked for what they were shown
        then, not for what a later file tells of the time before.
        """
        assert placed.person is not None
        channel, purpose_id = consent.channel, consent.purpose_id
        theirs = {address_id, *addresses_of([placed.person], channel)}
        noes = (
            self._ledgers.no_at(sorted(theirs - {address_id}), channel, purpose_id),
            self._ledgers.lifted_at(sorted(theirs), channel, purpose_id),
        )
        return any(no_at is not None and no_at >= consent.at for no_at in noes)

    def _agreed_before_the_freeze(self, address_id: int) -> bool:
        """Whether the address has a history of before: its person comes back by an act alone."""
        frozen_at = self._scope.context.frozen_at
        if frozen_at is None:
            return False
        history = self._ledgers.consents[address_id].values()
        return any(one.occurred_at <= frozen_at for known in history for one in known)

    def _yeses(self) -> Iterator[tuple[Placed, ConsentCells]]:
        taken = (placed for placed in self._placed if placed.person is not None)
        return ((placed, consent) for placed in taken for consent in placed.row.consents)

    def _nos(self) -> Iterator[tuple[Placed, OptOut]]:
        return ((placed, opt_out) for placed in self._placed for opt_out in placed.row.opt_outs)

    def _count(self, placed: Placed, what: str, *, is_new: bool) -> None:
        self._tally[f"{what}_recorded" if is_new else f"{what}_unchanged"] += 1
        placed.is_changed = placed.is_changed or is_new
        placed.is_heard = True

    def _block(
        self,
        address_id: int,
        channel: str,
        cause: BlockCause,
        at: datetime,
        source: str = DEFAULT_SOURCE,
    ) -> Suppression:
        return Suppression(
            scope=BlockScope(address_id, self._controller_id, channel),
            cause=cause,
            occurred_at=at,
            source=source,
            by_person=cause.set_by_person,
            operator=self._scope.operator,
            batch_id=self._scope.batch_id,
        )

    def _no(
        self, address_id: int, purpose_id: int, kind: ConsentKind, at: datetime, source: str
    ) -> ConsentAct:
        return ConsentAct(
            controller_id=self._controller_id,
            purpose_id=purpose_id,
            address_id=address_id,
            kind=kind,
            occurred_at=at,
            method="import",
            source=source,
            operator=self._scope.operator,
            batch_id=self._scope.batch_id,
        )

    def _yes(self, address_id: int, consent: ConsentCells, flaw: ConsentFlaw) -> ConsentAct:
        return ConsentAct(
            controller_id=self._controller_id,
            purpose_id=consent.purpose_id,
            address_id=address_id,
            kind=ConsentKind.GIVEN,
            occurred_at=consent.at,
            method=consent.method,
            source=consent.source,
            operator=self._scope.operator,
            notice_id=consent.notice.id,
            flaw=flaw,
            ends_at=consent.ends_at,
            batch_id=self._scope.batch_id,
        )


_NOTHING_TO_OPT_OUT = Problem(
    "opt_out",
    "The person has no address that it could be about, so the opt-out has nothing to hold on to.",
    "Give the address that they opted out with, or write all if they want nothing at all.",
)
_NOBODY_KNOWN = Problem(
    "external_ref",
    "Nobody of this reference is known; the objection waits until an address of theirs comes in.",
    "Give their address too, or correct the reference: a spreadsheet takes first zeros away.",
)
_TAKEN_BACK = Problem(
    "consent_at",
    "The person opted out since: at another address of theirs, or for a while.",
    "Leave the consent out. Should they agree again, record that act by itself.",
)
_FROZEN = Problem(
    "consent_at",
    "The controller was frozen after this person first agreed; a file brings nobody back.",
    "Record what they did since, by itself: sender consent record (guidance ¶84-86).",
)
_NOTHING_TO_CONSENT = Problem(
    "consent_channel",
    "The row has no address on the channel of its consent, and the person has none or several.",
    "Fill in the address that the consent is for.",
)
_NOT_IN_PLAIN = Problem(
    "consent_channel",
    "The consent was taken, but the address that it is for is known by its hash alone.",
    "Fill the address in, so that it can be written to.",
)
