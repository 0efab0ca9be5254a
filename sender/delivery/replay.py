"""Bring a restored database to what its journals say: `sender suppress replay`.

First the open runs are held, then each line is applied that the database lacks, in order, a few
hundred lines a transaction with the mark of how far it came. A replay that breaks off goes on where
it was, and one that is done twice changes nothing more.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from sender.clock import Clock
from sender.consent.replaying import Names, ObjectionKey, Replaying
from sender.delivery.replay_sent import SentAgain, write_down
from sender.delivery.restored import OpenRuns
from sender.errors import RefusedError
from sender.store.audit_trail import record as audit
from sender.store.controllers import Controller
from sender.store.engine import Store
from sender.store.journal import Header, Journal, JournalError, JournalFile
from sender.store.journal_entries import Entry, Sent, Suppressed
from sender.store.journal_marks import JournalMark, marks, set_mark
from sender.store.keys import AddressHasher, require_unrotated
from sender.suppression.journal import (
    Comparison,
    Read,
    entries,
    headers,
    lost,
    require_not_shorter,
)
from sender.vocabulary import EVERY_CHANNEL, BlockCause, SuppressionAct

EraseAgain = Callable[[Session, int, int, str, datetime], None]
"""Empties what is held of a person again: of a controller's id, an address's id, who acts, now."""


@dataclass(slots=True)
class Replayed:
    """What a replay found and did; with a dry run, what it found.

    Attributes:
        journals: how many files were read.
        lacking: what the database lacked.
        held_runs: runs that were open in the backup, and wait for a resume now.
        overtaken: noes and releases in whose place something as new or newer stood.
        releases_left_out: releases that lack the evidence they need; the block stays.
        erased_again: erasures of addresses that the backup had undone.
        unknown: deliveries that are `unknown` now instead of not sent.
        lost_runs: messages of runs that the database does not know, by campaign.
    """

    journals: int = 0
    lacking: Comparison = field(default_factory=Comparison)
    held_runs: list[int] = field(default_factory=list)
    overtaken: int = 0
    releases_left_out: int = 0
    erased_again: int = 0
    sent: SentAgain = field(default_factory=SentAgain)


@dataclass(frozen=True, slots=True)
class Replay:
    """A replay of this installation's journal and of files that are given beside it.

    Attributes:
        store: the restored database, with its journal.
        clock: the time.
        operator: who replays.
        files: further journals: other machines', or copies from elsewhere.
        without: names of journals that are gone for good.
        block_everywhere: let opt-outs from a controller that is not here any more hold at all.
        nobody_was_sent: somebody vouches that nothing went out after the backup.
        erase_again: what empties whoever was erased after the backup; None: nothing does.
    """

    store: Store
    clock: Clock
    operator: str
    files: Sequence[Path] = ()
    without: Sequence[str] = ()
    block_everywhere: bool = False
    nobody_was_sent: bool = False
    erase_again: EraseAgain | None = None

    def run(
        self, *, dry_run: bool, progress: Callable[[int], None] = lambda _lines: None
    ) -> Replayed:
        """Replay, or only look.

        Args:
            dry_run: change nothing.
            progress: told how many lines each transaction has dealt with.

        Raises:
            RefusedError: a journal that the database knows is not among the files; one names a
                controller that is not here; or a run is being sent still.
            JournalError: a file cannot be read, or there is none.
            KeyRefusedError: a file has lines under a key that is not here.
        """
        journal = self._journal()
        hasher = journal.owner.hasher
        sources = headers([*journal.files(), *map(JournalFile, self.files)])
        with self.store.read() as session:
            known = marks(session)
        self._require_sources(sources, known, hasher)
        ends, survey = self._survey(sources, known, hasher)
        done = Replayed(journals=len(sources), lacking=survey.lacking)
        if dry_run:
            return done
        if survey.lacking.is_behind or self.without:
            done.held_runs = self._hold_runs()
        for name, (file, _) in sources.items():
            for some in entries(file, known.get(name, 0), hasher, ends[name]):
                self._apply(some, name, survey, done, hasher)
                progress(len(some))
        self._finish(journal, ends, done)
        return done

    def _journal(self) -> Journal:
        if self.store.journal is None:
            raise JournalError(
                "SENDER_JOURNAL is off.",
                remedy="Set it to the file that was written, or a new one.",
            )
        return self.store.journal

    def _require_sources(
        self,
        sources: Mapping[str, tuple[JournalFile, Header]],
        known: Mapping[str, int],
        hasher: AddressHasher,
    ) -> None:
        for file, header in sources.values():
            if header.key not in hasher.fingerprints:
                raise JournalError(
                    f"{file.path} was written under a key that SENDER_HASH_KEY lacks.",
                    remedy="Its addresses mean nothing without it. Set every key, newest first.",
                )
        missing = sorted(set(known) - set(sources) - set(self.without))
        if missing:
            raise RefusedError(
                f"This database also knows the journal {', '.join(missing)}.",
                remedy="Give its file too: sender suppress replay FILE... If it is gone for good: "
                "--without NAME",
            )

    def _survey(
        self,
        sources: Mapping[str, tuple[JournalFile, Header]],
        known: Mapping[str, int],
        hasher: AddressHasher,
    ) -> tuple[dict[str, int], "_Survey"]:
        """Read everything once, so that nothing is begun that cannot be brought to its end."""
        survey, ends = _Survey(), {}
        for name, (file, _) in sources.items():
            ends[name] = known.get(name, 0)
            require_not_shorter(file, ends[name])
            for some in entries(file, ends[name], hasher):
                ends[name] = some[-1].end
                survey.add(self.store, some)
        with self.store.read() as session:
            here = set(session.scalars(select(Controller.slug)))
        strangers = sorted(survey.controllers - here)
        if strangers and not self.block_everywhere:
            raise RefusedError(
                f"The journal names controllers that this database does not have: "
                f"{', '.join(strangers)}. Nothing was changed.",
                remedy="Add them again with: sender controller add FILE. If one is gone for good, "
                "--block-everywhere lets its opt-outs hold at every controller.",
            )
        return ends, survey

    def _hold_runs(self) -> list[int]:
        without_record = bool(self.without) and not self.nobody_was_sent
        with self.store.write() as session:
            return OpenRuns(self.clock.now(), self.operator, without_record).hold(session)

    def _apply(
        self,
        some: Sequence[Read],
        name: str,
        survey: "_Survey",
        done: Replayed,
        hasher: AddressHasher,
    ) -> None:
        now = self.clock.now()
        with self.store.write() as session:
            replaying = Replaying(Names(session, now), self.operator, survey.undone)
            for entry in lost(session, _whole(some)):
                self._apply_one(replaying, entry, done, now)
            require_unrotated(session, hasher)
            set_mark(session, name, some[-1].end, now)

    def _apply_one(self, replaying: Replaying, entry: Entry, done: Replayed, now: datetime) -> None:
        if isinstance(entry, Sent):
            write_down(replaying.names.session, entry, done.sent, now)
            return
        if isinstance(entry, Suppressed) and entry.is_erasure:
            done.erased_again += self._erase_again(replaying.names, entry)
        try:
            if isinstance(entry, Suppressed):
                applied = replaying.suppressed(entry)
            else:
                applied = replaying.refused(entry)
        except RefusedError:
            done.releases_left_out += 1
        else:
            done.overtaken += not applied

    def _erase_again(self, names: Names, entry: Suppressed) -> bool:
        """Before its own line is applied: messages are locked before people, as everywhere."""
        controller_id = names.controller_id(entry.controller) if entry.controller else None
        if controller_id is None or self.erase_again is None:
            return False
        address_id = names.address_id(entry.person)
        self.erase_again(names.session, controller_id, address_id, self.operator, names.now)
        return True

    def _finish(self, journal: Journal, ends: Mapping[str, int], done: Replayed) -> None:
        now = self.clock.now()
        own = journal.begin().name
        with self.store.write() as session:
            session.execute(delete(JournalMark).where(JournalMark.journal.in_(self.without)))
            if own not in ends:
                set_mark(session, own, 1, now)
            for name, end in ends.items():
                set_mark(session, name, max(end, 1), now)
            audit(
                session,
                now=now,
                operator=self.operator,
                action="journal.replay",
                details=_details(done, self),
            )


@dataclass(slots=True)
class _Survey:
    """What the journals hold, as far as it decides how the lines are applied."""

    lacking: Comparison = field(default_factory=Comparison)
    controllers: set[str] = field(default_factory=set)
    undone: dict[ObjectionKey, datetime] = field(default_factory=dict)

    def add(self, store: Store, some: Sequence[Read]) -> None:
        found = _whole(some)
        self.lacking.damaged += len(some) - len(found)
        for entry in found:
            if isinstance(entry, Suppressed):
                self._note_undone(entry)
        with store.read() as session:
            for entry in lost(session, found):
                self.lacking.add_lost(entry)
                if entry.controller is not None:
                    self.controllers.add(entry.controller)

    def _note_undone(self, entry: Suppressed) -> None:
        objection = entry.cause is BlockCause.OBJECTION and entry.channel == EVERY_CHANNEL
        if objection and entry.by_person and entry.act is SuppressionAct.RELEASE:
            key = (entry.person.key_hash, entry.controller or "")
            last = self.undone.get(key, entry.occurred_at)
            self.undone[key] = max(last, entry.occurred_at)


def _whole(some: Sequence[Read]) -> list[Entry]:
    return [one.entry for one in some if one.entry is not None]


def _details(done: Replayed, replay: Replay) -> dict[str, object]:
    lacking = done.lacking
    return {
        "noes": lacking.noes,
        "releases": lacking.releases,
        "messages": lacking.messages,
        "damaged": lacking.damaged,
        "overtaken": done.overtaken,
        "releases_left_out": done.releases_left_out,
        "erased_again": done.erased_again,
        "unknown": done.sent.unknown,
        "lost_runs": len(done.sent.lost),
        "held_runs": done.held_runs,
        "without": list(replay.without),
        "nobody_was_sent": replay.nobody_was_sent,
        "block_everywhere": replay.block_everywhere,
    }
