"""`sender worker` in a process of its own."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.support.tracked import ROOT
from tests.support.web_process import WebProcess

_ARMED = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
"""A shell that runs tests in the background lets its children ignore Ctrl-C."""


@contextmanager
def worker_process(environment: Mapping[str, str], *arguments: str) -> Iterator[WebProcess]:
    """Start `sender worker`, and end it at the end if it still runs; `working` says it is ready."""
    code = f"{_ARMED}; from sender.cli.app import main; main()"
    command = [sys.executable, "-c", code, "worker", *arguments]
    env = {**os.environ, **environment, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        running = WebProcess(process)
        listener = threading.Thread(target=running.listen)
        listener.start()
        try:
            yield running
        finally:
            process.kill()
            listener.join()
