"""A campaign office whose launches run in processes of their own, to be killed and stopped."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from sender.delivery.progress import Ending
from sender.store.campaigns import Run
from sender.store.deliveries import Delivery
from sender.store.engine import open_store
from sender.vocabulary import Channel, DeliveryState, RunState
from tests.fakes.ses import SesFake
from tests.support.campaign_folder import Office, environment, open_office
from tests.support.ledger_watch import LedgerWatch
from tests.support.nursery import Child, Nurse

PEOPLE = 200
ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "5"))
"""How often whatever is random is tried, on each database."""
TAKEN = (DeliveryState.ACCEPTED, DeliveryState.UNKNOWN)
_numbers = count(1)


class StrikingFake(SesFake):
    """An SES that sends a signal to the launcher when it took a certain number of messages."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.account.rate, self.account.quota = 5_000.0, 10_000_000.0
        self.struck = threading.Event()
        self._left: int | None = None
        self._strike: Any = None

    def strike_after(self, messages: int | None, strike: Any) -> None:
        """Call `strike` once when that many more messages were taken, before they are answered.

        None calls off what has not happened yet.
        """
        if messages is not None:
            self.struck.clear()
        self._left, self._strike = messages, strike

    def take(self, delivery_id: int, message: dict[str, Any]) -> None:
        super().take(delivery_id, message)
        if self._left is not None:
            self._left -= 1
            if self._left == 0:
                self._strike()
                self.struck.set()


@dataclass
class ChaosWorld:
    """The office, the provider's end, and launchers."""

    office: Office
    fake: StrikingFake
    database_url: str
    people: int
    nurse: Nurse
    children: list[Child] = field(default_factory=list)

    def campaign(self, more: str = "") -> Path:
        """Write the file of a campaign that was never sent."""
        return self.office.file(Channel.EMAIL, more, name=f"round-{next(_numbers)}")

    def start(self, *arguments: str | Path, **variables: str) -> Child:
        """Start `sender` with these arguments in a process of its own."""
        environ = {
            **{name: value for name, value in os.environ.items() if "SENDER" not in name},
            **environment(self.office.folder, self.database_url),
            "CHAOS_LOOK": "50",
            **variables,
        }
        child = self.nurse.start([str(one) for one in arguments], environ, self.office.folder)
        self.children.append(child)
        return child

    def launch(self, file: Path, **variables: str) -> Child:
        """Start to launch the file without asking."""
        return self.start("campaign", "launch", file.name, "--yes", **variables)

    def latest_run(self) -> int:
        """Return the run that was opened last."""
        latest = self.latest_run_if_any()
        assert latest is not None
        return latest

    def latest_run_if_any(self) -> int | None:
        """Return the run that was opened last; None when there is none."""
        with self.office.store.read() as session:
            return session.scalar(select(func.max(Run.id)))

    def act(self, move: Callable[..., RunState]) -> None:
        """Pause or cancel the latest run, as another operator does."""
        now = self.office.context.clock.now()
        with self.office.store.write() as session:
            move(session, self.latest_run(), now=now, operator="olive")

    def finish(self, run_id: int) -> None:
        """Resume the run until nobody is left."""
        if self.office.run(run_id).state.is_open:
            assert self.office.resume(run_id) is Ending.FINISHED

    def watch(self, run_id: int) -> LedgerWatch:
        """Return what looks at the run's ledger."""
        return LedgerWatch(self.office.store, run_id, lambda: self.messages_of(run_id))

    def finish_watched(self, run_id: int) -> None:
        """Resume a run that was broken off, and require the invariants before and after."""
        watch = self.watch(run_id)
        watch.look()
        self.finish(run_id)
        watch.look()
        self.require_sound_end(run_id)

    def states(self, run_id: int) -> dict[int, DeliveryState]:
        """Return each delivery of the run with its state."""
        with self.office.store.read() as session:
            query = select(Delivery.id, Delivery.state).where(Delivery.run_id == run_id)
            return dict(session.execute(query).all())

    def messages_of(self, run_id: int) -> Counter[int]:
        """Return how many messages the fake took for each delivery of the run."""
        return Counter(
            one.delivery_id
            for one in self.fake.messages
            if one.message["tags"]["run-id"] == str(run_id)
        )

    def require_nobody_pending_was_written_to(self, run_id: int) -> None:
        """Invariant 4 in the middle: whatever may be sent again was not sent."""
        states = self.states(run_id)
        for delivery_id in self.messages_of(run_id):
            assert states[delivery_id] is not DeliveryState.PENDING

    def require_sound_end(self, run_id: int) -> None:
        """Invariants 4 and 5 at the end: nobody twice, nobody lost, only unknowns are open."""
        states, messages = self.states(run_id), self.messages_of(run_id)
        assert set(messages.values()) <= {1}
        assert len(states) == self.people
        assert set(states.values()) <= set(TAKEN)
        accepted = {key for key, state in states.items() if state is DeliveryState.ACCEPTED}
        unknown = {key for key, state in states.items() if state is DeliveryState.UNKNOWN}
        assert accepted <= messages.keys() <= accepted | unknown
        counts = self.office.counts(run_id)
        assert counts.unknown == len(unknown) <= 150
        assert counts.planned == counts.handed_over + counts.unknown == self.people


@contextmanager
def chaos_world(
    nurse: Nurse, database_url: str, folder: Path, *, people: int
) -> Iterator[ChaosWorld]:
    """Open an office over the database, with people, and the fake."""
    store = open_store(database_url)
    with StrikingFake() as fake, open_office(store, folder, ses=fake, people=people) as office:
        world = ChaosWorld(office, fake, database_url, people, nurse)
        try:
            yield world
        finally:
            for child in world.children:  # also one that a failed test left stopped
                child.kill()
                child.wait()
    store.close()


def wait_for(child: Child) -> tuple[int, str, str]:
    """Wait for the end of a process; return its exit code, its answer and its complaints."""
    code = child.wait()
    return code, child.answer(), child.complaints()


def strike(child: Child, number: signal.Signals) -> None:
    """Send it a signal."""
    child.send_signal(number)
