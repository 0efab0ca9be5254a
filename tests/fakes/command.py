"""Runs a fake by hand or as a process of its own, until it is told to stop."""

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.fakes.http import Bucket
from tests.fakes.loop import LoopServer


def run_fake(make: Callable[..., LoopServer]) -> None:
    """Serve until SIGINT or SIGTERM; the first line of output is the address."""
    options = _parse()
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    with make(**options) as fake:
        sys.stdout.write(f"{fake.url}\n")
        sys.stdout.flush()
        signal.sigwait(signals)


def _parse() -> dict[str, Any]:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--port", type=int, default=0, help="default: any free port")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--rate", type=float, help="messages per second before throttling")
    parser.add_argument("--daily-quota", type=int, help="messages before the quota is used up")
    parser.add_argument("--journal", type=Path, help="append each delivery id to this JSONL file")
    given = parser.parse_args()
    options = {
        "port": given.port,
        "delay": given.delay,
        "bucket": Bucket(given.rate, given.rate) if given.rate else None,
        "daily_quota": given.daily_quota,
        "journal": given.journal,
    }
    return {name: value for name, value in options.items() if value is not None}
