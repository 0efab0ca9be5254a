"""Import a list of opt-outs, as another system exported it. It needs no contact to exist.

Losing the opt-outs of the old system on a change of systems is the commonest way to write to people
who said no; a controller's first live run therefore waits for this list.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy.orm import Session

from sender.clock import Clock
from sender.consent.purposes import find_purpose
from sender.contacts.addresses import ensure_address_ids, lock_addresses
from sender.errors import UsageError
from sender.imports.address_list import ListLayout, addresses_of, list_layout
from sender.imports.batch import Errand
from sender.imports.context import ImportContext, load_context
from sender.imports.counts import Counts, ImportReport
from sender.imports.course import Course, Flow, Progress
from sender.imports.csv_file import CsvFile, Encoding, Record, survey
from sender.imports.hashed_list import Given, Hashed, HashedList, hashed_layout
from sender.imports.ledgers import Ledgers
from sender.imports.list_row import ListRow, row_of
from sender.imports.opt_out_cells import OptOut
from sender.imports.problem import Problem
from sender.imports.rehearsal import Transactions, transactions
from sender.imports.rejects import RejectsFile, default_path
from sender.store.controllers import Controller, OptOutDeclaration
from sender.store.engine import Store
from sender.store.keys import AddressHasher, require_key
from sender.suppression.ledger import BlockScope, Suppression, suppress
from sender.vocabulary import BlockCause, Channel

ROWS_A_CHUNK = 2_000

IMPORTED = "imported"
"""The statement of an `OptOutDeclaration` after such an import."""

_ACTION = "suppress.import"


def import_opt_outs(
    store: Store,
    hasher: AddressHasher,
    clock: Clock,
    *,
    controller_slug: str,
    path: Path,
    operator: str,
    encoding: Encoding | None = None,
    channel: Channel | None = None,
    purpose: str | None = None,
    hashed: Hashed | None = None,
    dry_run: bool = False,
    rejects_path: Path | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Block every address of the list on its channel, for all purposes of the controller or one.

    The list is a CSV file with a column `email`, `mobile` or `address` (and, if it is known,
    `opt_out_at` and `opt_out_source`), or has one address a line. Addresses are kept by their hash
    only. What is blocked already is left as it is. In the report, `created` rows brought at least
    one new block. When every row could be read, it is on record that the controller's old opt-outs
    were imported; with rejects, somebody has to look at them and sign that (`controller declare`).
    A list for one purpose says nothing of the others, and puts nothing on record.
    An import that died goes on where it was when the same operator brings the same list in again.

    Args:
        store: the database.
        hasher: with the database's key.
        clock: tells when.
        controller_slug: whose messages people opted out of.
        path: the list.
        operator: who imports it.
        encoding: of its text; by default its first bytes tell UTF-8 from UTF-16.
        channel: take only addresses of this channel; by default, both, told apart by the column or
            by their look.
        purpose: the slug of the one purpose that they opted out of; by default, of all.
        hashed: how the list was hashed, where it has hashes instead of addresses. They are held,
            and block an address at once where it is held in plain, or in the moment it arrives.
        dry_run: only tell what would happen.
        rejects_path: where to write what could not be taken; by default beside the list.
        progress: called after each chunk.

    Raises:
        FileError: the file cannot be read or has no addresses.
        NotFoundError: there is no such controller, or it has no such purpose.
        UsageError: a list of hashes for one purpose.
        RefusedError: another process is bringing the list in.
        KeyRefusedError: the hasher's key is not this database's.
    """
    if purpose is not None and hashed is not None:
        raise UsageError(
            "A list of hashes cannot be for one purpose.",
            remedy="Import it without the purpose: that stops more, never less.",
        )
    file = survey(path, encoding)
    layout = list_layout(file) if hashed is None else hashed_layout(file, hashed)
    with store.read() as session:
        require_key(session, hasher)
        context = load_context(session, controller_slug)
        purpose_id = _purpose_id(session, context, purpose)
    header = file.header if layout.has_header else ("address",)
    told: dict[str, object] = {} if encoding is None else {"encoding": encoding}
    told |= {"channel": channel, "purpose": purpose, "hashed": hashed and hashed.told}
    errand = Errand(_ACTION, context.controller_id, operator, file, told)
    rows = file.rows + (not layout.has_header)
    with (
        transactions(store, dry_run=dry_run) as begin,
        RejectsFile(rejects_path or default_path(path), header) as rejects,
    ):
        flow: Flow[ListRow]
        if hashed is None:
            flow = _AddressList(hasher, clock, context, operator, file, layout, channel, purpose_id)
        else:
            given = Given(file, layout, channel, hashed, ROWS_A_CHUNK)
            flow = HashedList(hasher, clock, context, operator, given, is_rehearsal=dry_run)
        return Course(begin, clock, errand, flow, rows, is_rehearsal=dry_run).run(rejects, progress)


@dataclass(frozen=True, slots=True)
class _AddressList:
    """A flow of addresses into blocks."""

    hasher: AddressHasher
    clock: Clock
    context: ImportContext
    operator: str
    file: CsvFile
    layout: ListLayout
    channel: Channel | None
    purpose_id: int | None

    @property
    def rows_a_chunk(self) -> int:
        return ROWS_A_CHUNK

    def records(self) -> Iterator[Record]:
        return self.file.records(with_header=not self.layout.has_header)

    def read(self, record: Record) -> ListRow:
        row = row_of(record, self.layout, self.context.zone, self.clock.now())
        row.opt_out = replace(row.opt_out, purpose_id=self.purpose_id)
        for found in addresses_of(record, self.layout, self.channel):
            if isinstance(found, Problem):
                row.problems.append(found)
            else:
                row.addresses.append(found)
        if not row.addresses and not row.problems and self.channel is None:
            row.problems.append(_NO_ADDRESS)
        return row

    def write(self, session: Session, batch_id: int, rows: Sequence[ListRow]) -> Counter[str]:
        ids = {
            channel: ensure_address_ids(
                session,
                self.hasher,
                channel,
                (one for row in rows for other, one in row.addresses if other is channel),
                for_a_no=True,
            )
            for channel in Channel
        }
        known = [row_id for by_address in ids.values() for row_id in by_address.values()]
        lock_addresses(session, known)
        ledgers = Ledgers(session, self.context.controller_id, known)
        tally: Counter[str] = Counter()
        acts: list[Suppression] = []
        for row in rows:
            fresh = [
                self._act(ids[channel][one], channel, row.opt_out, batch_id)
                for channel, one in row.addresses
                if _is_new(ids[channel][one], channel, row.opt_out, ledgers)
            ]
            acts.extend(fresh)
            tally.update(row.tally(len(fresh)))
        suppress(session, acts, self.clock.now())
        return tally

    def reject(self, rejects: RejectsFile, row: ListRow) -> None:
        rejects.add(row.record, row.problems)

    def conclude(self, begin: Transactions, batch_id: int) -> Counter[str]:
        """Do nothing more."""
        del begin, batch_id
        return Counter()

    def finish(self, session: Session, counts: Counts) -> None:
        """Put on record that the old opt-outs were imported, if each row could be read."""
        if self.purpose_id is not None:
            return
        taken = counts.opt_outs_recorded + counts.opt_outs_unchanged
        if taken and not counts.rejected:
            now = self.clock.now()
            session.add(_declaration(self.context.controller_id, self.operator, now))

    def _act(
        self, address_id: int, channel: Channel, opt_out: OptOut, batch_id: int
    ) -> Suppression:
        return Suppression(
            scope=BlockScope(address_id, self.context.controller_id, channel, opt_out.purpose_id),
            cause=BlockCause.OPT_OUT,
            occurred_at=opt_out.at,
            source=opt_out.source,
            by_person=True,
            operator=self.operator,
            batch_id=batch_id,
        )


_NO_ADDRESS = Problem("", "The row has no address.", "Fill one in, or leave the row out.")


def _is_new(address_id: int, channel: Channel, opt_out: OptOut, ledgers: Ledgers) -> bool:
    if ledgers.knows(address_id, channel, opt_out):
        return False
    ledgers.note(address_id, channel, opt_out)
    return True


def _purpose_id(session: Session, context: ImportContext, slug: str | None) -> int | None:
    if slug is None:
        return None
    controller = session.get_one(Controller, context.controller_id)
    return find_purpose(session, controller, slug).id


def _declaration(controller_id: int, operator: str, now: datetime) -> OptOutDeclaration:
    return OptOutDeclaration(
        controller_id=controller_id, statement=IMPORTED, recorded_at=now, operator=operator
    )
