"""`sender web` in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from typing import Any

from tests.support.factory import HASH_KEY
from tests.support.tracked import ROOT
from tests.support.web_context import PUBLIC_URL, TOKEN_KEYS

SECONDS = 60
_ARMED = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
"""A shell that runs tests in the background lets its children ignore Ctrl-C."""


@dataclass(frozen=True)
class WebProcess:
    """A running server; `said` is what it has logged so far."""

    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)
    _events: "Queue[dict[str, Any]]" = field(default_factory=Queue)

    @property
    def url(self) -> str:
        """Where it listens; waits until it does."""
        line = self.wait_for("listening")
        return f"{'https' if line['tls'] else 'http'}://{line['host']}:{line['port']}"

    def wait_for(self, event: str) -> dict[str, Any]:
        """Return the next log line of an event."""
        while True:
            line = self._events.get(timeout=SECONDS)
            if line["event"] == event:
                return line
            assert line["event"] != "ended", "\n".join(self.said)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Tell it to stop, and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=SECONDS)

    def listen(self) -> None:
        """Read what it logs until it ends."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            self._events.put(json.loads(line) if line.startswith("{") else {"event": "text"})
        self._events.put({"event": "ended"})


def web_environment(url: str, folder: Path) -> dict[str, str]:
    """Return the environment of a server on the database at `url`."""
    return {
        **os.environ,
        "SENDER_DATABASE_URL": url,
        "SENDER_HASH_KEY": HASH_KEY.hex(),
        "SENDER_TOKEN_KEYS": TOKEN_KEYS,
        "SENDER_PUBLIC_URL": PUBLIC_URL,
        "SENDER_JOURNAL": str(folder / "opt-outs.journal"),
        "PYTHONPATH": str(ROOT),
    }


@contextmanager
def web_process(environment: Mapping[str, str], *arguments: str) -> Iterator[WebProcess]:
    """Start `sender web` on a free port, and end it at the end if it still runs."""
    code = f"{_ARMED}; from sender.cli.app import main; main()"
    command = [sys.executable, "-c", code, "web", "--port", "0", *arguments]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        running = WebProcess(process)
        listener = threading.Thread(target=running.listen)
        listener.start()
        try:
            yield running
        finally:
            process.kill()
            listener.join()
