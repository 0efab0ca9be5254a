"""Several `sender worker` processes, each on a machine of its own, and `sender web` beside them.

Whoever dies is replaced, as a service manager does. A process is taken for lost ten times sooner
than usual, so that many rounds fit into a test; the order of things stays as it is.
"""

import random
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

from sqlalchemy import select

from sender.store.campaigns import Run
from sender.store.deliveries import Delivery
from sender.store.journal import Journal, Owner
from sender.store.journal_marks import set_mark
from sender.store.keys import database_name
from sender.suppression.links import opt_out_links
from sender.vocabulary import DeliveryState, RunState
from tests.support.campaign_folder import OFFICE_JOURNAL
from tests.support.chaos_world import ChaosWorld
from tests.support.ledger_watch import NEVER_HANDED_OVER, LedgerWatch
from tests.support.nursery import Child
from tests.support.opt_outs import FORM, ONE_CLICK
from tests.support.ses_courier import (
    SECRETS,
    Courier,
    listen_to_events,
    take_in,
    until_acknowledged,
)

SLOTS: Final = 2
A_MINUTE: Final = 60.0
"""Seconds within which others have picked up what a killed process left."""
QUICK: Final = {"CHAOS_HASTE": "10", "CHAOS_SMALL": "60"}


@dataclass
class Floor:
    """The processes that work.

    Attributes:
        world: the office and the provider's end.
        chance: what is random.
        variables: of every process.
        said_no: by delivery, when a person's no was acknowledged.
    """

    world: ChaosWorld
    chance: random.Random
    variables: dict[str, str] = field(default_factory=lambda: dict(QUICK))
    workers: list[Child] = field(default_factory=list)
    said_no: dict[int, datetime] = field(default_factory=dict)
    _web: Child | None = None
    _timer: threading.Timer | None = None
    _machines: "count[int]" = field(default_factory=lambda: count(1))

    def open(self, workers: int, *, web: bool = True) -> None:
        """Start workers and the web server, and wait until they are at work."""
        listen_to_events(self.world.office)
        self._machine(0)
        started = [self.hire() for _ in range(workers)]
        if web:
            self.serve()
        for worker in started:
            worker.hear("working")

    def hire(self, **variables: str) -> Child:
        """Start one more worker."""
        variables = {**self._machine(next(self._machines)), **self.variables, **variables}
        worker = self.world.start("worker", "--slots", str(SLOTS), **variables)
        self.workers.append(worker)
        return worker

    def serve(self) -> None:
        """Start the web server."""
        self._web = self.world.start("web", "--port", "0", **SECRETS)

    @property
    def web(self) -> Child:
        """The web server."""
        assert self._web is not None
        return self._web

    def url(self) -> str:
        """Return where the web server is, once it is."""
        return f"http://127.0.0.1:{self.web.hear('listening')['port']}"

    def courier(self) -> Courier:
        """Return who brings the provider's events to the web server."""
        return Courier(self.url, self.world.fake.messages, random.Random(self.chance.random()))

    def launch(self, file: Path | None = None) -> Child:
        """Launch a campaign from a further machine; workers send it."""
        return self.world.launch(
            file or self.world.campaign(), **self._machine(0), **self.variables
        )

    def _machine(self, number: int) -> dict[str, str]:
        """Return what makes a process one of another machine: its name, and its own journal.

        Launches and the web server share one, the office's.
        """
        name = f"machine-{number}"
        folder = self.world.office.folder
        path = folder / (f"{name}.journal" if number else OFFICE_JOURNAL)
        if not path.exists():
            self._begin_journal(path)
        return {"CHAOS_HOST": name, "SENDER_JOURNAL": str(path)}

    def _begin_journal(self, path: Path) -> None:
        """Begin a machine's journal and let the database rely on it, as by `suppress replay`."""
        context = self.world.office.context
        with context.store.write() as session:
            owner = Owner(context.hasher, database_name(session))
            journal = Journal(path, owner, context.clock)
            set_mark(session, journal.begin().name, path.stat().st_size, context.clock.now())

    def replace(self) -> int:
        """Start anew what has died; return how many that were."""
        dead = [worker for worker in self.workers if worker.poll() is not None]
        for worker in dead:
            self.workers.remove(worker)
            self.hire()
        if self._web is not None and self._web.poll() is not None:
            self.serve()
        return len(dead)

    def strike_soon(self, *strikes: Callable[[], None]) -> threading.Event:
        """Let something happen at a random moment of the sending; return what tells that it did."""

        def strike() -> None:
            for one in strikes:
                one()

        if self.chance.random() < 0.8:
            most = (self.world.people - len(self.said_no)) * 2 // 3
            self.world.fake.strike_after(self.chance.randrange(1, most), strike)
            return self.world.fake.struck
        struck = threading.Event()

        def later() -> None:
            strike()
            struck.set()

        self._timer = threading.Timer(self.chance.uniform(0, 2), later)
        self._timer.start()
        return struck

    def call_off(self) -> None:
        """Let a strike that has not happened yet never happen."""
        self.world.fake.strike_after(None, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()

    def begun(self, run_id: int, launcher: Child) -> bool:
        """Wait until somebody is planned in the run; False when its launcher died before that."""
        wait_until(lambda: bool(self.world.states(run_id)) or launcher.poll() is not None)
        return bool(self.world.states(run_id))

    def new_run(self, launcher: Child, before: int | None) -> int | None:
        """Return the run that a launcher opened; None if it died before that."""
        found: list[int] = []

        def is_there() -> bool:
            latest = self.world.latest_run_if_any()
            if latest is not None and latest != before:
                found.append(latest)
            return bool(found) or launcher.poll() is not None

        wait_until(is_there)
        return found[0] if found else None

    def carried_out(self, watch: LedgerWatch, *, seconds: float = A_MINUTE) -> bool:
        """Watch until the run is over; False when nobody has confirmed it."""
        office = self.world.office

        def is_over() -> bool:
            watch.look()
            return not office.run(watch.run_id).state.is_open

        def nobody_will() -> bool:
            return office.run(watch.run_id).state is RunState.PLANNING and all(
                child.poll() is not None
                for child in self.world.children
                if child.arguments[0] == "campaign"
            )

        wait_until(lambda: is_over() or nobody_will(), seconds=seconds)
        return not office.run(watch.run_id).state.is_open

    def say_no(self, run_id: int, people: int) -> None:
        """Let random people of a run say no by one click, until each is acknowledged."""
        office = self.world.office
        with office.store.read() as session:
            query = select(Delivery.id).where(Delivery.run_id == run_id)
            ids = list(session.scalars(query.order_by(Delivery.id)))
            link = opt_out_links(office.context.settings).of_run(
                session.get_one(Run, run_id).link_salt
            )
        for delivery_id in self.chance.sample(ids, min(people, len(ids))):
            path = link(delivery_id).removeprefix("https://out.example.org")
            until_acknowledged(self.url, path, ONE_CLICK, {"Content-Type": FORM}, threading.Event())
            self.said_no[delivery_id] = office.context.clock.now()

    def require_sound_end(self, run_id: int) -> int:
        """Require what holds at a run's end, replay the provider's events, and look again.

        Returns how many were unknown before.
        """
        world = self.world
        watch = world.watch(run_id)
        counts = watch.look()
        assert counts[DeliveryState.PENDING] == counts[DeliveryState.DISPATCHING] == 0
        self._require_noes_were_kept(run_id)
        messages = [
            one for one in world.fake.messages if one.message["tags"]["run-id"] == str(run_id)
        ]
        take_in(world.office, self.chance.sample(messages, len(messages)))
        after, taken = world.states(run_id), world.messages_of(run_id)
        for delivery_id, state in after.items():
            if delivery_id in taken:
                assert state is DeliveryState.DELIVERED
            else:
                assert state in {*NEVER_HANDED_OVER, DeliveryState.UNKNOWN}
        watch.look()
        return counts[DeliveryState.UNKNOWN]

    def _require_noes_were_kept(self, run_id: int) -> None:
        with self.world.office.store.read() as session:
            for delivery_id, at in self.said_no.items():
                row = session.get_one(Delivery, delivery_id)
                if row.run_id == run_id:
                    assert row.dispatched_at is None or row.dispatched_at < at


def kill(child: Child) -> Callable[[], None]:
    """Return what kills a process."""
    return partial(child.send_signal, signal.SIGKILL)


def wait_until(holds: Callable[[], bool], *, seconds: float = A_MINUTE) -> None:
    """Return once it holds; asks again and again, for at most so long."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.05)):
        if holds():
            return
        pause.wait(0.05)
    raise AssertionError("it does not come true")
