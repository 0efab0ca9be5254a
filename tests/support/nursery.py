"""Start many `sender` processes quickly: each is forked from one that has the libraries imported.

with nursery() as nurse:
    child = nurse.start(["worker", "--slots", "2"], environ, folder)
    child.kill()

Importing libraries is most of what a command costs. Only libraries are shared: each child imports
the program itself, after its own environment has said how (`tests/chaos/launcher.py`).
"""

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 120
"""Only a process that hangs takes this long."""
LIBRARIES = (
    *("sqlalchemy.orm", "sqlalchemy.dialects.postgresql.psycopg", "sqlalchemy.dialects.sqlite"),
    *("psycopg", "psycopg_pool", "procrastinate", "pydantic_settings", "typer", "rich.table"),
    *("rich.progress", "boto3", "botocore.config", "botocore.httpsession", "botocore.client"),
    *("twilio.rest", "jinja2.sandbox", "css_inline", "lxml.html", "structlog"),
    *("phonenumbers", "email_validator", "cronsim", "prometheus_client", "fastapi", "uvicorn"),
    *("uvicorn.protocols.http.httptools_impl", "uvicorn.lifespan.on", "uvicorn.loops.asyncio"),
    *("multipart", "cryptography.x509", "cryptography.x509.verification", "email.message"),
    *("cryptography.hazmat.primitives.serialization", "asyncio", "certifi", "zoneinfo"),
)


@dataclass
class Child:
    """A `sender` process. `returncode` is None while it lives, below 0 after a signal."""

    arguments: Sequence[str]
    out: Path
    err: Path
    pid: int = 0
    returncode: int | None = None
    stopped: threading.Event = field(default_factory=threading.Event)
    _born: threading.Event = field(default_factory=threading.Event)
    _gone: threading.Event = field(default_factory=threading.Event)

    def wait(self, timeout: float = PATIENCE_SECONDS) -> int:
        """Return its exit code once it is gone."""
        assert self._gone.wait(timeout), (self.arguments, self.complaints())
        assert self.returncode is not None
        return self.returncode

    def poll(self) -> int | None:
        """Return its exit code, or None while it lives."""
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, if it still lives."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """kill -9."""
        self.send_signal(signal.SIGKILL)

    def answer(self) -> str:
        """Return what it has printed so far."""
        return self.out.read_text(encoding="utf-8")

    def complaints(self) -> str:
        """Return what it has logged so far."""
        return self.err.read_text(encoding="utf-8")

    def hear(self, event: str, timeout: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """Return the first log line of an event; waits until it is there.

        Raises:
            ConnectionError: the process ended without it.
        """
        pause = threading.Event()
        for _ in range(int(timeout / 0.02)):
            for line in self.complaints().splitlines(keepends=True):
                if f'"event": "{event}"' in line and line.endswith("\n"):
                    return dict(json.loads(line))
            if self.returncode is not None:
                raise ConnectionError(self.complaints())
            pause.wait(0.02)
        raise AssertionError(f"{event} was never said: {self.complaints()}")

    def note(self, news: Mapping[str, int]) -> None:
        """Take in what the nursery says of it."""
        if "pid" in news:
            self.pid = news["pid"]
            self._born.set()
        if "stopped" in news:
            self.stopped.set()
        if "code" in news:
            self.returncode = news["code"]
            self._gone.set()

    def wait_for_birth(self) -> None:
        """Return once it has a process id."""
        assert self._born.wait(PATIENCE_SECONDS)


class Nurse:
    """Starts children, and hears how they end."""

    def __init__(self, process: "subprocess.Popen[str]", folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._numbers = count(1)
        self._lock = threading.Lock()
        self.children: dict[int, Child] = {}

    def start(self, arguments: Sequence[str], environ: Mapping[str, str], folder: Path) -> Child:
        """Start `sender` with these arguments, this environment and in this folder."""
        with self._lock:
            number = next(self._numbers)
            out, err = self._folder / f"{number}.out", self._folder / f"{number}.err"
            child = self.children[number] = Child(list(arguments), out, err)
            for path in (out, err):
                path.touch()
            request = {
                "number": number, "arguments": list(arguments), "environ": dict(environ),
                "folder": str(folder), "out": str(out), "err": str(err),
            }  # fmt: skip
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        child.wait_for_birth()
        return child

    def listen(self) -> None:
        """Take in news until the nursery is gone."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            news = json.loads(line)
            self.children[news["number"]].note(news)


@contextmanager
def nursery() -> Iterator[Nurse]:
    """Keep a nursery for the length of the block; its children end with it."""
    environ = {name: value for name, value in os.environ.items() if "SENDER" not in name}
    with (
        TemporaryDirectory(prefix="sender-nursery-") as folder,
        subprocess.Popen(
            [sys.executable, "-m", "tests.support.nursery"],
            cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as process,
    ):  # fmt: skip
        nurse = Nurse(process, Path(folder))
        listener = threading.Thread(target=nurse.listen)
        listener.start()
        try:
            yield nurse
        finally:
            assert process.stdin is not None
            process.stdin.close()
            listener.join()


def serve() -> None:
    """Fork children as they are asked for, and tell how they end, until standard input ends."""
    for library in LIBRARIES:
        import_module(library)
    awake, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the tests, which end this
    numbers: dict[int, int] = {}
    unread = b""
    while True:
        ready, _, _ = select.select([0, awake], [], [])
        if awake in ready:
            os.read(awake, 4096)
            _tell_of_changes(numbers)
        if 0 in ready:
            read = os.read(0, 1 << 20)
            if not read:
                break
            *lines, unread = (unread + read).split(b"\n")
            for line in lines:
                _bear(json.loads(line), numbers)
    for pid in numbers:
        os.kill(pid, signal.SIGKILL)


def _bear(request: dict[str, Any], numbers: dict[int, int]) -> None:
    pid = os.fork()
    if pid == 0:
        _become(request)
    numbers[pid] = request["number"]
    _say(number=request["number"], pid=pid)


def _tell_of_changes(numbers: dict[int, int]) -> None:
    for pid, number in list(numbers.items()):
        found, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
        if not found:
            continue
        if os.WIFSTOPPED(status):
            _say(number=number, stopped=1)
        else:
            del numbers[pid]
            _say(number=number, code=os.waitstatus_to_exitcode(status))


def _say(**news: int) -> None:
    sys.stdout.write(json.dumps(news) + "\n")
    sys.stdout.flush()


def _become(request: dict[str, Any]) -> NoReturn:
    """Be the child from here on, and end as any interpreter does."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for name, number in (("out", 1), ("err", 2)):
        os.dup2(os.open(request[name], os.O_WRONLY | os.O_APPEND), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(request["environ"])
    os.chdir(request["folder"])
    import_module("tests.chaos.launcher").launch(request["arguments"])
    sys.exit()


if __name__ == "__main__":
    serve()
