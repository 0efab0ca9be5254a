"""Launch a campaign in this process, as `sender campaign launch` does, and say what it cost.

    python -m benchmarks.launched CAMPAIGN_FILE     settings in the environment

Measured from the yes: the rest of planning, and all sending.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.office import Office
from benchmarks.sent import Sent
from sender.campaigns.definition import load_campaign
from sender.campaigns.launch import prepare_launch
from sender.cli.app import seek_cycles_seldom
from sender.context import open_context
from sender.delivery.runs import count

SAMPLE_EVERY = 5.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("campaign", type=Path)
    print(json.dumps(launch(parser.parse_args().campaign)))


def launch(campaign: Path) -> dict[str, Any]:
    """Launch; return the fields of `Sent`."""
    samples: list[float] = []
    seek_cycles_seldom()
    with open_context() as context:
        prepared = prepare_launch(context, load_campaign(campaign), any_time=True)
        sampler = threading.Thread(target=_sample, args=(samples,), daemon=True)
        sampler.start()
        cpu, wall, confirmed_at = time.process_time(), time.perf_counter(), time.monotonic()
        prepared.confirm()
        ending = prepared.dispatch()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        with context.store.read() as session:
            counts = count(session, prepared.run_id)
        prepared.close()
    assert ending.value == "finished", ending
    return {
        "messages": counts.handed_over, "cpu_seconds": cpu, "wall_seconds": wall,
        "confirmed_at": confirmed_at, "memory_mib": samples,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }  # fmt: skip


def _sample(samples: list[float]) -> None:
    page_mib = resource.getpagesize() / 2**20
    while True:
        resident = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        samples.append(round(resident * page_mib, 1))
        time.sleep(SAMPLE_EVERY)


def launched(office: Office, *, most_seconds: float | None = None) -> Sent:
    """Launch the office's campaign in a process of its own.

    Raises:
        TimeoutExpired: it took longer.
    """
    command = [sys.executable, "-m", "benchmarks.launched", str(office.campaign)]
    done = subprocess.run(
        command,
        env={**os.environ, **office.variables},
        stdout=subprocess.PIPE,
        check=True,
        timeout=most_seconds,
    )
    told = json.loads(done.stdout)
    return Sent(**{**told, "memory_mib": tuple(told["memory_mib"])})


if __name__ == "__main__":
    main()
