"""Import a list of opt-outs, as another system exported it. It needs no contact to exist.

Losing the opt-outs of the old system on a change of systems is the commonest way to write to people
who said no; a controller's first live run therefore waits for this list.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy.orm import Session

from sender.clock import Clock
from sender.contacts.addresses import ensure_address_ids, lock_addresses
from sender.imports.address_list import ListLayout, addresses_of, cell, list_layout
from sender.imports.batch import close_batch, open_batch
from sender.imports.contacts import Progress
from sender.imports.context import ImportContext, load_context
from sender.imports.counts import Counts, ImportReport, counts_of
from sender.imports.csv_file import CsvFile, Record, survey
from sender.imports.ledgers import Ledgers
from sender.imports.opt_out_cells import OptOut, read_source, read_time
from sender.imports.problem import Problem
from sender.imports.rehearsal import Transactions, transactions
from sender.imports.rejects import RejectsFile, default_path
from sender.store.controllers import OptOutDeclaration
from sender.store.engine import Store
from sender.store.keys import AddressHasher, require_key
from sender.store.portable import chunks
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
    channel: Channel | None = None,
    dry_run: bool = False,
    rejects_path: Path | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Block every address of the list on its channel, for all purposes of the controller.

    The list is a CSV file with a column `email`, `mobile` or `address` (and, if it is known,
    `opt_out_at` and `opt_out_source`), or has one address a line. Addresses are kept by their hash
    only. What is blocked already is left as it is. In the report, `created` rows brought at least
    one new block. When every row could be read, it is on record that the controller's old opt-outs
    were imported; with rejects, somebody has to look at them and sign that (`controller declare`).

    Args:
        store: the database.
        hasher: with the database's key.
        clock: tells when.
        controller_slug: whose messages people opted out of.
        path: the list.
        operator: who imports it.
        channel: take only addresses of this channel; by default, both, told apart by the column or
            by their look.
        dry_run: only tell what would happen.
        rejects_path: where to write what could not be taken; by default beside the list.
        progress: called after each chunk.

    Raises:
        FileError: the file cannot be read or has no addresses.
        NotFoundError: there is no such controller.
        KeyRefusedError: the hasher's key is not this database's.
    """
    file = survey(path)
    layout = list_layout(file)
    with store.read() as session:
        require_key(session, hasher)
        context = load_context(session, controller_slug)
    header = file.header if layout.has_header else ("address",)
    with (
        transactions(store, dry_run=dry_run) as begin,
        RejectsFile(rejects_path or default_path(path), header) as rejects,
    ):
        run = _Import(
            begin=begin,
            hasher=hasher,
            clock=clock,
            context=context,
            operator=operator,
            file=file,
            layout=layout,
            channel=channel,
        )
        report = run.bring_in(rejects, progress)
    return ImportReport(None, report.counts, report.rejects_path) if dry_run else report


@dataclass(slots=True)
class _Row:
    record: Record
    opt_out: OptOut
    addresses: list[tuple[Channel, str]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Import:
    begin: Transactions
    hasher: AddressHasher
    clock: Clock
    context: ImportContext
    operator: str
    file: CsvFile
    layout: ListLayout
    channel: Channel | None

    def bring_in(self, rejects: RejectsFile, progress: Progress | None) -> ImportReport:
        with self.begin() as session:
            batch_id = open_batch(
                session,
                file=self.file,
                action=_ACTION,
                controller_id=self.context.controller_id,
                operator=self.operator,
                now=self.clock.now(),
            )
        tally: Counter[str] = Counter()
        total = self.file.rows + (not self.layout.has_header)
        for rows in chunks(self._rows(), ROWS_A_CHUNK):
            with self.begin() as session:
                tally.update(self._write(session, batch_id, rows))
            for row in rows:
                rejects.add(row.record, row.problems)
            rejects.flush()
            if progress is not None:
                progress(tally["rows"], total)
        counts = counts_of(tally)
        self._close(batch_id, counts)
        return ImportReport(batch_id, counts, rejects.path)

    def _rows(self) -> Iterator[_Row]:
        for record in self.file.records(with_header=not self.layout.has_header):
            now = self.clock.now()
            problems: list[Problem] = []
            told, at = read_time(
                cell(record, self.layout.time_place), self.context.zone, now, problems
            )
            source = read_source(cell(record, self.layout.source_place), problems)
            row = _Row(record, OptOut(at, told, source), problems=problems)
            for found in addresses_of(record, self.layout, self.channel):
                if isinstance(found, Problem):
                    row.problems.append(found)
                else:
                    row.addresses.append(found)
            if not row.addresses and not row.problems and self.channel is None:
                row.problems.append(_NO_ADDRESS)
            yield row

    def _write(self, session: Session, batch_id: int, rows: Sequence[_Row]) -> Counter[str]:
        ids = {
            channel: ensure_address_ids(
                session,
                self.hasher,
                channel,
                (one for row in rows for other, one in row.addresses if other is channel),
            )
            for channel in Channel
        }
        known = [row_id for by_address in ids.values() for row_id in by_address.values()]
        lock_addresses(session, known)
        ledgers = Ledgers(session, self.context.controller_id, known)
        tally: Counter[str] = Counter()
        acts: list[Suppression] = []
        now = self.clock.now()
        for row in rows:
            fresh = [
                self._act(ids[channel][one], channel, row.opt_out, batch_id)
                for channel, one in row.addresses
                if _is_new(ids[channel][one], channel, row.opt_out, ledgers)
            ]
            acts.extend(fresh)
            tally.update(_tally(row, len(fresh)))
        suppress(session, acts, now)
        return tally

    def _act(
        self, address_id: int, channel: Channel, opt_out: OptOut, batch_id: int
    ) -> Suppression:
        return Suppression(
            scope=BlockScope(address_id, self.context.controller_id, channel),
            cause=BlockCause.OPT_OUT,
            occurred_at=opt_out.at,
            source=opt_out.source,
            by_person=True,
            operator=self.operator,
            batch_id=batch_id,
        )

    def _close(self, batch_id: int, counts: Counts) -> None:
        now = self.clock.now()
        with self.begin() as session:
            taken = counts.opt_outs_recorded + counts.opt_outs_unchanged
            if taken and not counts.rejected:
                session.add(_declaration(self.context.controller_id, self.operator, now))
            close_batch(
                session,
                batch_id=batch_id,
                action=_ACTION,
                controller_id=self.context.controller_id,
                operator=self.operator,
                now=now,
                counts=counts,
            )


_NO_ADDRESS = Problem("", "The row has no address.", "Fill one in, or leave the row out.")


def _is_new(address_id: int, channel: Channel, opt_out: OptOut, ledgers: Ledgers) -> bool:
    if ledgers.knows(address_id, channel, opt_out):
        return False
    ledgers.blocked.add((address_id, channel, opt_out.cause))
    return True


def _tally(row: _Row, fresh: int) -> Counter[str]:
    refused = bool(row.problems) and not row.addresses
    outcome = "created" if fresh else "rejected" if refused else "unchanged"
    return Counter(
        {
            "rows": 1,
            outcome: 1,
            "problems": len(row.problems),
            "opt_outs_recorded": fresh,
            "opt_outs_unchanged": len(row.addresses) - fresh,
        }
    )


def _declaration(controller_id: int, operator: str, now: datetime) -> OptOutDeclaration:
    return OptOutDeclaration(
        controller_id=controller_id, statement=IMPORTED, recorded_at=now, operator=operator
    )
