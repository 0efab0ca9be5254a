"""What was acknowledged is there afterwards, whatever is killed in between (invariant 6).

CHAOS_OPT_OUTS makes it longer; CHAOS_SEED repeats a round that failed.
"""

import http.client
import json
import os
import queue
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import text

from sender.store.chain import LEDGERS
from sender.store.chain_check import verify
from sender.store.engine import Store, open_store
from sender.store.keys import register_key
from tests.support.campaign_folder import environment
from tests.support.databases import PostgresDatabases, SqliteDatabases
from tests.support.factory import HASHER, NOW
from tests.support.opt_outs import Crowd, OptOut, connect, gather, ways
from tests.support.postgres import PostgresServer, running_postgres

ROOT = Path(__file__).parents[2]
OPT_OUTS = int(os.environ.get("CHAOS_OPT_OUTS", "1000"))
STRIKES = 6
CLIENTS = 8
MOST_TRIES = 100_000
COMMAND = "from sender.cli.app import main; main()"
SEED = int(os.environ.get("CHAOS_SEED", str(random.randrange(10**6))))


class WebProcess:
    """`sender web` in a process of its own, killed and started again."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self._folder = folder
        self._environ = {
            **{name: value for name, value in os.environ.items() if "SENDER" not in name},
            **environment(folder, database_url),
            "SENDER_JOURNAL": str(folder / "opt-outs.journal"),
            "PYTHONPATH": str(ROOT),
        }
        self._up = threading.Event()
        self._url = ""
        self.said: list[str] = []
        self._process: subprocess.Popen[str]
        self._reader: threading.Thread

    def start(self) -> None:
        """Start, and return once connections are taken."""
        self._process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "web", "--port", "0"],
            cwd=self._folder, env=self._environ, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.said.append(line)
            if '"listening"' in line:
                self._url = f"http://127.0.0.1:{json.loads(line)['port']}"
                break
        assert self._process.poll() is None, self.said
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self._up.set()

    def url(self) -> str:
        """Return where it is, once it is."""
        assert self._up.wait(timeout=60)
        return self._url

    def kill(self) -> None:
        """kill -9, in the middle of whatever it does."""
        self._up.clear()
        self._process.send_signal(signal.SIGKILL)
        self._gone()

    def stop(self) -> int:
        """Tell it to end, as a service manager does, and return its exit code."""
        self._process.terminate()
        return self._gone()

    def _gone(self) -> int:
        code = self._process.wait(timeout=60)
        self._reader.join(timeout=60)
        assert self._process.stderr is not None
        self._process.stderr.close()
        return code

    def _read(self) -> None:
        assert self._process.stderr is not None
        self.said.extend(self._process.stderr)


@dataclass
class Clients:
    """Threads that post until each opt-out was acknowledged, as providers do."""

    server: WebProcess
    waiting: queue.SimpleQueue[OptOut]
    acknowledged: set[int] = field(default_factory=set)
    refusals: int = 0
    errors: list[BaseException] = field(default_factory=list)
    progress: threading.Condition = field(default_factory=threading.Condition)

    def run(self) -> list[threading.Thread]:
        threads = [threading.Thread(target=self._guarded) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        return threads

    def wait_until(self, reached: Callable[[], bool]) -> None:
        with self.progress:
            assert self.progress.wait_for(lambda: reached() or self.errors, timeout=300)
        assert not self.errors, self.errors

    def _guarded(self) -> None:
        try:
            while True:
                self._deliver(self.waiting.get_nowait())
        except queue.Empty:
            return
        except BaseException as error:  # noqa: BLE001  # handed to the test's own thread
            self.errors.append(error)
        finally:
            with self.progress:
                self.progress.notify_all()

    def _deliver(self, opt_out: OptOut) -> None:
        for _ in range(MOST_TRIES):
            connection = connect(self.server.url())
            try:
                status = opt_out.send(connection)
            except (OSError, http.client.HTTPException):
                continue  # killed under us: nothing was acknowledged
            finally:
                connection.close()
            with self.progress:
                if status in {200, 204}:
                    self.acknowledged.add(opt_out.address_id)
                else:
                    assert status == 503, (opt_out.way, status)
                    self.refusals += 1
                self.progress.notify_all()
            if status != 503:
                return
        raise AssertionError("never acknowledged")


@dataclass
class Scene:
    """A database, a crowd in it, and how to bring the database down."""

    store: Store
    crowd: Crowd
    folder: Path
    postgres: PostgresServer | None

    def bring_down(self, clients: Clients) -> None:
        """Take the database away until somebody was refused, then give it back."""
        if self.postgres is not None:
            self.store.close()
            self.postgres.restart(crash=True)
            return
        before = clients.refusals
        with self.store.write() as session:
            session.execute(text("SELECT 1"))
            clients.wait_until(lambda: clients.refusals > before)

    def require_sound(self, acknowledged: set[int]) -> None:
        assert acknowledged <= self.crowd.stopped(self.store)


@contextmanager
def _database(dialect: str) -> Iterator[tuple[str, PostgresServer | None]]:
    if dialect == "sqlite":
        with TemporaryDirectory(prefix="sender-sqlite-") as folder:
            yield SqliteDatabases(Path(folder)).create_migrated(), None
        return
    with running_postgres(durable=True) as server:
        databases = PostgresDatabases(server.url)
        try:
            url = databases.create_migrated()
        finally:
            databases.close()
        yield url, server if server.data is not None else None


@pytest.fixture
def scene(dialect: str, tmp_path: Path) -> Iterator[Scene]:
    with _database(dialect) as (url, postgres):
        store = open_store(url)
        with store.write() as session:
            register_key(session, HASHER, NOW)
            crowd = gather(session, OPT_OUTS)
        yield Scene(store, crowd, tmp_path, postgres)
        store.close()


def test_whatever_was_acknowledged_is_there_after_every_kill(scene: Scene) -> None:
    print(f"CHAOS_SEED={SEED}")  # noqa: T201  # pytest shows it when the test fails
    chance = random.Random(SEED)
    assert ways(scene.crowd.opt_outs) == {"one-click", "page", "stop"}
    waiting: queue.SimpleQueue[OptOut] = queue.SimpleQueue()
    for opt_out in chance.sample(scene.crowd.opt_outs, OPT_OUTS):
        waiting.put(opt_out)
    server = WebProcess(scene.folder, scene.store.engine.url.render_as_string(hide_password=False))
    server.start()
    clients = Clients(server, waiting)
    threads = clients.run()
    moments = sorted(chance.sample(range(1, OPT_OUTS - 2 * CLIENTS), STRIKES))
    try:
        for place, moment in enumerate(moments):
            clients.wait_until(lambda moment=moment: len(clients.acknowledged) >= moment)  # type: ignore[misc]  # a default binds the loop's value
            if place % 3 == 2:
                scene.bring_down(clients)
            else:
                server.kill()
                scene.require_sound(set(clients.acknowledged))
                server.start()
        for thread in threads:
            thread.join(timeout=300)
    finally:
        code = server.stop()
    assert not clients.errors
    assert code == 0
    everybody = {one.address_id for one in scene.crowd.opt_outs}
    assert clients.acknowledged == everybody
    assert scene.crowd.stopped(scene.store) == everybody
    with scene.store.read() as session:
        assert [found for ledger in LEDGERS for found in verify(session, ledger)] == []
    said = "".join(server.said)
    assert "/u/" not in said.replace("/u/{token}", "")
    assert "+447700" not in said
    assert "@example.org" not in said
