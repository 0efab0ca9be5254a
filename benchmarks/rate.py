"""The rate of one account over four processes, by the clock: worst windows, shares, a killed one.

    .venv/bin/python -m benchmarks.rate [--seconds 30] [--only NAME]

Every process works for every run of a scenario with several threads, as workers do: it asks,
waits, "calls" (20 ms for a bulk call, 5 ms for a single message), and notes when each call began.
Nothing is sent. The window is ten seconds, moved from call to call; what the processes need to
start, and the last second, are left out.
"""

import argparse
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.plan_million import empty_database
from sender.clock import SystemClock
from sender.delivery.pace import Pace
from sender.store.engine import open_store
from sender.store.migrate import upgrade
from tests.support.claimants import Sent, busiest, quietest, total
from tests.support.factory import add_campaign, add_run, establish

PROCESSES = 4
THREADS = 3
WINDOW = 10.0
SETTLED_AFTER = 3.0
BULK_CALL_SECONDS, SINGLE_CALL_SECONDS = 0.02, 0.005


@dataclass(frozen=True)
class Wanting:
    """One run of a scenario; from when to when, as parts of the whole time."""

    name: str
    weight: int = 1
    urgent: bool = False
    begins: float = 0.0
    ends: float = 1.0


@dataclass(frozen=True)
class Scenario:
    name: str
    rate: float
    in_one_call: bool
    runs: tuple[Wanting, ...] = (Wanting("only"),)
    kill_one_at: float | None = None


SCENARIOS = (
    Scenario("20/s, bulk", 20, in_one_call=True),
    Scenario("200/s, bulk", 200, in_one_call=True),
    Scenario("100/s, single", 100, in_one_call=False),
    Scenario(
        "200/s, weights 1:3",
        200,
        in_one_call=True,
        runs=(Wanting("one", weight=1), Wanting("three", weight=3)),
    ),
    Scenario(
        "100/s single, weights 1:3",
        100,
        in_one_call=False,
        runs=(Wanting("one", weight=1), Wanting("three", weight=3)),
    ),
    Scenario(
        "200/s, an urgent run in the middle third",
        200,
        in_one_call=True,
        runs=(Wanting("normal"), Wanting("urgent", urgent=True, begins=1 / 3, ends=2 / 3)),
    ),
    Scenario("200/s, one of four killed", 200, in_one_call=True, kill_one_at=0.5),
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--only")
    arguments = parser.parse_args()
    print(f"Python {sys.version.split()[0]}; {PROCESSES} processes, {THREADS} threads a run each\n")
    print("| scenario | allowed in 10 s | most | fewest | over | under | one call | in all |")
    print("|---|---|---|---|---|---|---|---|")
    for scenario in SCENARIOS:
        if arguments.only in {None, scenario.name}:
            measure(scenario, arguments.seconds)


def measure(scenario: Scenario, seconds: float) -> None:
    with empty_database("postgresql") as url:
        run_ids = prepare(url, len(scenario.runs))
        sent, begun = work(scenario, url, run_ids, seconds)
    print(report(scenario, sent, begun, begun + seconds), flush=True)


def prepare(url: str, runs: int) -> list[int]:
    upgrade(url)
    store = open_store(url)
    with store.write() as session:
        organisation = establish(session)
        _, version = add_campaign(session, organisation.controller)
        run_ids = [add_run(session, organisation, version).id for _ in range(runs)]
    store.close()
    return run_ids


def work(
    scenario: Scenario, url: str, run_ids: Sequence[int], seconds: float
) -> tuple[list[Sent], float]:
    """Let the processes work and return what they sent, by seconds of the wall clock."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for _ in range(PROCESSES):
        ours, theirs = context.Pipe()
        process = context.Process(target=claim, args=(theirs, scenario, url, run_ids))
        process.start()
        theirs.close()
        pipes.append(ours)
        processes.append(process)
    for pipe in pipes:
        pipe.recv()  # it is ready
    begun = time.time() + 0.5
    for pipe in pipes:
        pipe.send((begun, begun + seconds))
    if scenario.kill_one_at is not None:
        time.sleep(begun + seconds * scenario.kill_one_at - time.time())
        os.kill(processes[0].pid or 0, signal.SIGKILL)
    with ThreadPoolExecutor(PROCESSES) as pool:
        sent = [Sent(*row) for rows in pool.map(received, pipes) for row in rows]
    for process in processes:
        process.join()
    return sorted(sent, key=lambda entry: entry.at), begun


def received(pipe: Any) -> list[tuple[float, int, str]]:
    """Read what a process tells, call by call, until it is done or dead."""
    rows = []
    while True:
        try:
            rows.append(pipe.recv())
        except EOFError:
            return rows


def claim(pipe: Any, scenario: Scenario, url: str, run_ids: Sequence[int]) -> None:
    """One process: some threads for each run."""
    store = open_store(url)
    clock = SystemClock()
    paces = [
        Pace(store, clock, "account:1", scenario.rate, run_id, run.weight, urgent=run.urgent)
        for run, run_id in zip(scenario.runs, run_ids, strict=True)
    ]
    pipe.send("ready")
    begin, end = pipe.recv()
    told = threading.Lock()
    threads = []
    for run, pace in zip(scenario.runs, paces, strict=True):
        first, last = (begin + part * (end - begin) for part in (run.begins, run.ends))
        sender = Sender(scenario, run.name, pace, first, last, partial(tell, pipe, told))
        threads += [threading.Thread(target=sender.keep_sending) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()


def tell(pipe: Any, told: threading.Lock, row: tuple[float, int, str]) -> None:
    with told:
        pipe.send(row)


@dataclass(frozen=True)
class Sender:
    """What one thread does for one run."""

    scenario: Scenario
    who: str
    pace: Pace
    begin: float
    end: float
    tell: Callable[[tuple[float, int, str]], None]

    def keep_sending(self) -> None:
        time.sleep(max(0.0, self.begin - time.time()))
        in_one_call = self.scenario.in_one_call
        while time.time() < self.end:
            messages = self.pace.most_at_once(50, in_one_call=in_one_call)
            turn = self.pace.reserve(messages)
            time.sleep(turn.wait.total_seconds())
            if not turn.granted:
                continue
            for _ in range(1 if in_one_call else messages):
                self.tell((time.time(), messages if in_one_call else 1, self.who))
                time.sleep(BULK_CALL_SECONDS if in_one_call else SINGLE_CALL_SECONDS)


def report(scenario: Scenario, sent: Sequence[Sent], begin: float, end: float) -> str:
    first, last = begin + SETTLED_AFTER, end - 1
    settled = [entry for entry in sent if first <= entry.at < last]
    allowed = scenario.rate * WINDOW
    most, fewest = busiest(settled, WINDOW), quietest(settled, WINDOW, first, last)
    call = max(entry.messages for entry in settled)
    parts = [
        f"{run.name} {share(settled, run, begin, end):.3f}" if len(scenario.runs) > 1 else ""
        for run in scenario.runs
    ]
    return (
        f"| {scenario.name} | {allowed:.0f} | {most} | {fewest} | {most / allowed - 1:+.1%} "
        f"| {fewest / allowed - 1:+.1%} | {call} ({call / allowed:.1%}) "
        f"| {total(settled, first, last) / scenario.rate / (last - first):.4f} {', '.join(parts)} |"
    )


def share(sent: Sequence[Sent], run: Wanting, begin: float, end: float) -> float:
    """Return the run's part of all that went out while it wanted to."""
    first, last = (begin + part * (end - begin) for part in (run.begins, run.ends))
    return total(sent, first + 1, last, run.name) / max(1, total(sent, first + 1, last))


if __name__ == "__main__":
    main()
