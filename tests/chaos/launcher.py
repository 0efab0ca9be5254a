"""`sender` in a process of its own that a test can break in ways that no command offers.

CHAOS_KILL: `module:function:number:before` or `:after`: at which call of which function to die, as
    in a power cut.
CHAOS_FREEZE: the same, to stand still there.
CHAOS_LOOK: how many people a last look is for.
CHAOS_SMALL: how many people a planning range and a batch of staged rows hold; parts hold a third.
CHAOS_HASTE: how many times sooner than usual a silent process is taken for lost.
CHAOS_HOST: the machine that it says to be on, so that nobody sees whether its process is there.
CHAOS_CLOCK: a file with the seconds by which the wall clock is ahead, read at every look at it.
CHAOS_PAGES: how many pages of a full disk a SQLite database may still take.
"""

import os
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any


def launch(arguments: Sequence[str]) -> None:
    """Do as the environment says, then be `sender` with these arguments."""
    # A shell that runs tests in the background lets its children ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["sender", *arguments]
    for name, prepare in _PREPARATIONS.items():
        if name in os.environ:
            prepare(os.environ[name])
    import_module("sender.cli.app").main()


def arm(point: str, number_of_signal: int = signal.SIGKILL) -> None:
    """Let the process die, or stand still, at this point."""
    module, path, number, moment = point.split(":")
    owner: Any = import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    inner, calls = getattr(owner, name), count(1)

    def watched(*arguments: Any, **named: Any) -> Any:
        now = next(calls) == int(number)
        if now and moment == "before":
            os.kill(os.getpid(), number_of_signal)
        result = inner(*arguments, **named)
        if now and moment == "after":
            os.kill(os.getpid(), number_of_signal)
        return result

    setattr(owner, name, watched)


def look_for(people: str) -> None:
    """Let a last look be for so many, so that a test can step in between calls."""
    _constants("sender.delivery.dispatch").MOST_AT_ONCE = int(people)


def make_small(people: str) -> None:
    """Plan and stage in small steps, so that there are several."""
    planning = _constants("sender.delivery.planning")
    planning.RANGE_SIZE, planning.PART_SIZE = int(people), max(1, int(people) // 3)
    staging = import_module("sender.delivery.source").stage_recipients
    staging.__kwdefaults__["batch_size"] = int(people)


def hurry(times: str) -> None:
    """Shorten what a test would have to wait for; the order of things stays as it is."""
    for module, names in (
        ("sender.delivery.recovery", ("HEARTBEAT_EVERY", "SILENT_AFTER")),
        ("sender.jobs.workers", ("HEARTBEAT_EVERY", "LOST_AFTER")),
        ("sender.worker.crews", ("POLL_EVERY",)),
        ("sender.web.housekeeping", ("SIGN_UPS_EVERY",)),
    ):
        constants = _constants(module)
        for name in names:
            setattr(constants, name, getattr(constants, name) / int(times))
    engine = _constants("sender.store.engine")
    minute, part = "=60000", f"={60_000 // int(times)}"  # how long a transaction may be frozen
    assert minute in engine._POSTGRESQL_OPTIONS
    engine._POSTGRESQL_OPTIONS = engine._POSTGRESQL_OPTIONS.replace(minute, part)
    if sys.argv[1:2] == ["worker"]:
        duties = _constants("sender.worker.duties")
        duties.DUTIES = tuple(
            replace(duty, every="* * * * * *") if duty.name in {"sweep", "schedules"} else duty
            for duty in duties.DUTIES
        )


def move_to(host: str) -> None:
    """Be on another machine, as far as anybody can tell."""
    socket.gethostname = lambda: host


def set_clock(file: str) -> None:
    """Let the wall clock be ahead by what the file says; waiting and deadlines are as before."""
    clock: Any = import_module("sender.clock").SystemClock
    inner = clock.now

    def now(self: Any) -> datetime:
        told: datetime = inner(self) + timedelta(seconds=float(Path(file).read_text() or "0"))
        return told

    clock.now = now


def fill_disk(pages: str) -> None:
    """Let SQLite say that the disk is full once the database has grown by so many pages."""
    from sqlalchemy import Engine, event  # noqa: PLC0415  # only where it is asked for

    def limit(connection: Any, _record: Any) -> None:
        [(size,)] = connection.execute("PRAGMA page_count").fetchall()
        connection.execute(f"PRAGMA max_page_count = {size + int(pages)}")

    event.listen(Engine, "connect", limit)


def _constants(module: str) -> Any:
    return import_module(module)


_PREPARATIONS: dict[str, Any] = {
    "CHAOS_HASTE": hurry,  # first: others import these times by name
    "CHAOS_HOST": move_to,
    "CHAOS_CLOCK": set_clock,
    "CHAOS_LOOK": look_for,
    "CHAOS_SMALL": make_small,
    "CHAOS_PAGES": fill_disk,
    "CHAOS_KILL": arm,
    "CHAOS_FREEZE": partial(arm, number_of_signal=signal.SIGSTOP),
}


if __name__ == "__main__":
    launch(sys.argv[1:])
