"""One organisation whose database has a journal: it takes noes, releases and replays."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import select

from sender.clock import SystemClock
from sender.context import open_journal
from sender.delivery.replay import Replay, Replayed
from sender.errors import RefusedError
from sender.store.engine import Store
from sender.store.journal import JournalFile, Owner
from sender.store.journal_entries import read_entry
from sender.store.keys import database_name
from sender.store.suppressions import Block
from sender.suppression.journal import require_whole
from sender.suppression.ledger import BlockScope, Suppression, release, suppress
from sender.vocabulary import (
    BlockCause,
)
from tests.support.backups import journal_at
from tests.support.campaign_folder import Office
from tests.support.factory import (
    NOW,
    Organisation,
    address_id_of,
    establish,
)

_minutes = count(1)


class Desk:
    """One organisation whose database has a journal and a backup."""

    def __init__(self, store: Store, path: Path) -> None:
        self.store = store
        self.path = path
        self.clock = SystemClock()
        with store.write() as session:
            self.organisation: Organisation = establish(session, "riverside")
        store.journal = journal_at(path)

    @property
    def entries(self) -> list[object]:
        return [read_entry(line) for _, line in JournalFile(self.path).lines(0)]

    def act(self, address_id: int, at: datetime, **changed: object) -> Suppression:
        values: dict[str, object] = {
            "scope": BlockScope(address_id, self.organisation.id, "email"),
            "cause": BlockCause.OPT_OUT,
            "occurred_at": at,
            "source": "one-click",
            "by_person": True,
            "operator": "page",
        }
        return Suppression(**{**values, **changed})  # type: ignore[arg-type]  # as they are named

    def opt_out(self, address: str = "ann@example.org", **changed: object) -> datetime:
        at = later()
        with self.store.write() as session:
            suppress(session, [self.act(address_id_of(session, address), at, **changed)], at)
        return at

    def opt_in(self, address: str = "ann@example.org", **changed: object) -> None:
        at = later()
        with self.store.write() as session:
            release(session, self.act(address_id_of(session, address), at, **changed), at)

    def replay(
        self,
        *files: Path,
        dry_run: bool = False,
        progress: Callable[[int], None] = lambda _lines: None,
        **options: object,
    ) -> Replayed:
        replay = Replay(
            self.store,
            self.clock,
            "olive",
            files=files,
            **options,  # type: ignore[arg-type]  # as they are named
        )
        return replay.run(dry_run=dry_run, progress=progress)

    def blocks(self) -> set[tuple[object, ...]]:
        with self.store.read() as session:
            return {
                (row.address_id, row.controller_id, row.channel, row.purpose_id, row.cause)
                for row in session.scalars(select(Block))
            }

    def is_behind(self) -> bool:
        try:
            require_whole(self.store)
        except RefusedError as error:
            return "behind its journal" in error.problem
        return False


def later() -> datetime:
    return NOW + timedelta(minutes=next(_minutes))


def keep_journal(office: Office) -> None:
    """Let the office's own process write the journal that its launchers write."""
    context = office.context
    with context.store.read() as session:
        owner = Owner(context.hasher, database_name(session))
    context.store.journal = open_journal(context.settings, owner, context.clock)


def replay(office: Office, **options: Any) -> Replayed:
    """Replay the office's journal."""
    context = office.context
    store, clock = context.store, context.clock
    return Replay(store, clock, context.operator, **options).run(dry_run=False)
