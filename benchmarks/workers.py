"""One, two and four `sender worker` processes on one campaign, the provider 100 ms away.

    .venv/bin/python -m benchmarks.workers [--messages 8000] [--rounds 2] [--delay 0.1]

PostgreSQL. CPU is that of the workers alone, from just before the launch to the last message; what
they need to start is left out. The wall is from the yes to the last message. Means of the rounds,
one, two and four workers in turns.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.launched import launched
from benchmarks.office import Office, open_office
from benchmarks.sinks import running_sink, stats
from benchmarks.ways import SES_BULK, SES_SINGLE, Way
from sender.jobs.workers import live_slots
from sender.store.engine import open_store

COUNTS = (1, 2, 4)
TICK = 1 / os.sysconf("SC_CLK_TCK")
MOST_SECONDS = 1_200
BULK_FACTOR = 5
"""So many times the messages, for what goes out 50 a call."""


@dataclass(frozen=True)
class Done:
    """What some workers did together."""

    messages: int
    cpu_seconds: float
    wall_seconds: float

    @property
    def per_cpu_second(self) -> float:
        return self.messages / self.cpu_seconds

    @property
    def per_second(self) -> float:
        return self.messages / self.wall_seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=8_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--delay", type=float, default=0.1)
    parser.add_argument("--slots", type=int, default=1, help="of each worker")
    arguments = parser.parse_args()
    print(
        "| sent by | workers | per CPU s | of one worker's, >= 0.9 | messages per s "
        "| of one worker's, 2: >= 1.8 |"
    )
    print("|---|---|---|---|---|---|")
    for way, messages in (
        (SES_SINGLE, arguments.messages),
        (SES_BULK, arguments.messages * BULK_FACTOR),
    ):
        rounds = [
            [measure(way, messages, count, arguments.slots, arguments.delay) for count in COUNTS]
            for _ in range(arguments.rounds)
        ]
        for row in _rows(way, rounds):
            print(row, flush=True)


def _rows(way: Way, rounds: Sequence[Sequence[Done]]) -> Iterator[str]:
    base_cpu = base_wall = 0.0
    for workers, done in zip(COUNTS, zip(*rounds, strict=True), strict=True):
        cpu = statistics.mean(one.per_cpu_second for one in done)
        wall = statistics.mean(one.per_second for one in done)
        base_cpu, base_wall = base_cpu or cpu, base_wall or wall
        yield (
            f"| {way.name} | {workers} | {cpu:,.0f} | **{cpu / base_cpu:.2f}** "
            f"| {wall:,.0f} | **{wall / base_wall:.2f}** |"
        )


def measure(way: Way, messages: int, workers: int, slots: int, delay: float) -> Done:
    with (
        running_sink(delay=delay) as url,
        open_office("postgresql", way, url, messages) as office,
        _running(office, workers, slots) as processes,
    ):
        _wait_for(office, workers * slots)
        before = _cpu_seconds(processes)
        sent = launched(office, most_seconds=MOST_SECONDS)
        spent, seen = _cpu_seconds(processes) - before, stats(url)
    return Done(sent.messages, spent, seen["last_at"] - sent.confirmed_at)


@contextmanager
def _running(
    office: Office, workers: int, slots: int
) -> Iterator[Sequence["subprocess.Popen[bytes]"]]:
    sender = str(Path(sys.executable).with_name("sender"))
    processes = [
        subprocess.Popen(
            [sender, "worker", "--slots", str(slots)],
            env={**os.environ, **office.variables},
            stderr=(office.campaign.parent / f"worker-{number}.log").open("wb"),
        )
        for number in range(workers)
    ]
    try:
        yield processes
    except Exception:
        for log in sorted(office.campaign.parent.glob("worker-*.log")):
            print(log.read_text(encoding="utf-8")[-2_000:], file=sys.stderr)
        raise
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def _wait_for(office: Office, slots: int) -> None:
    store = open_store(office.database_url)
    living = 0
    while living < slots:
        time.sleep(0.2)
        with store.read() as session:
            living = live_slots(session)
    store.close()
    time.sleep(2)  # let them do their first round of house work


def _cpu_seconds(processes: Sequence["subprocess.Popen[bytes]"]) -> float:
    total = 0
    for process in processes:
        fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
        total += sum(int(ticks) for ticks in fields.split()[11:13])
    return total * TICK


if __name__ == "__main__":
    main()
