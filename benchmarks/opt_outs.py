"""What opting out costs the web server, beside the same server doing nothing but parse and answer.

    .venv/bin/python -m benchmarks.opt_outs [--requests 2000] [--rounds 3]
        [--people 40000] [--database sqlite|postgresql] [--only throughput|sending]

Throughput: distinct people and messages, posted by four clients that keep their connections; CPU of
the server's process only, without the database server's. Latency while a campaign is sending: see
`benchmarks.opt_outs_sending`.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from benchmarks.opt_outs_crowd import KINDS, add_requests, open_filled
from benchmarks.opt_outs_sending import compare, percentile, timed
from benchmarks.opt_outs_server import Served, make_authority, serving
from benchmarks.plan_million import empty_database
from sender.clock import SystemClock
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from tests.support.opt_outs import OptOut, connect

CLIENTS = 4
WARM_UP = 200
"""Requests of each kind that are not measured: statements are compiled, connections opened."""


@dataclass(frozen=True)
class Measured:
    """One kind of request in one round."""

    per_cpu_second: float
    per_second: float
    latencies_ms: list[float]


def main() -> None:
    arguments = _arguments()
    databases = arguments.database or ["sqlite", "postgresql"]
    print(f"Python {sys.version.split()[0]}; {arguments.requests:,} requests of each kind\n")
    if arguments.only != "sending":
        print_throughput(databases, arguments.requests, arguments.rounds)
    if arguments.only != "throughput":
        compare(databases, arguments.people)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--people", type=int, default=40_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    parser.add_argument("--only", choices=["throughput", "sending"])
    return parser.parse_args()


def print_throughput(databases: Sequence[str], requests: int, rounds: int) -> None:
    found: dict[tuple[str, str], list[Measured]] = defaultdict(list)
    for _ in range(rounds):
        for server in ("bare", *databases):
            for name, measured in measure(server, requests).items():
                found[server, name].append(measured)
    for server in databases:
        print(f"\n{server}, beside bare (medians of {rounds} rounds)\n")
        print("| request | bare, per CPU s | ours | ratio | per s | p50, ms | p99, ms | rounds |")
        print("|---|---|---|---|---|---|---|---|")
        for kind in KINDS:
            print(_row(kind.name, found["bare", kind.name], found[server, kind.name]), flush=True)


def _row(name: str, bare: list[Measured], ours: list[Measured]) -> str:
    base = statistics.median(one.per_cpu_second for one in bare)
    rates = sorted(one.per_cpu_second for one in ours)
    rate = statistics.median(rates)
    wall = statistics.median(one.per_second for one in ours)
    latencies = [latency for one in ours for latency in one.latencies_ms]
    return (
        f"| {name} | {base:,.0f} | {rate:,.0f} | {rate / base:.2f} | {wall:,.0f} "
        f"| {percentile(latencies, 50):.1f} | {percentile(latencies, 99):.1f} "
        f"| {rates[0]:,.0f}-{rates[-1]:,.0f} |"
    )


def measure(server: str, requests: int) -> dict[str, Measured]:
    """Serve a new database, and post so many requests of each kind, one kind after the other."""
    with scene(server, requests) as (store, served, posts):
        measured = {name: post(served, some) for name, some in posts.items()}
        if server != "bare":
            require_all_there(store, requests)
    return measured


@contextmanager
def scene(server: str, requests: int) -> Iterator[tuple[Store, Served, dict[str, list[OptOut]]]]:
    """Yield a filled database, a server on it, and the requests to post there."""
    clock = SystemClock()
    database, role = ("sqlite", "bare") if server == "bare" else (server, "real")
    with (
        empty_database(database) as url,
        tempfile.TemporaryDirectory() as folder,
    ):
        store, _ = open_filled(url, clock, 100_000)
        sns = make_authority(Path(folder), clock)
        posts = add_requests(store, clock, sns, WARM_UP + requests)
        with serving(role, url, Path(folder)) as served:
            yield store, served, posts
        store.close()


def post(served: Served, posts: Sequence[OptOut]) -> Measured:
    """Post all from several clients; only those after the warm-up count."""
    _post_all(served, posts[:1])  # alone: SNS's certificate is looked at but once
    _post_all(served, posts[1:WARM_UP])
    counted = posts[WARM_UP:]
    cpu, started = served.cpu_seconds(), time.perf_counter()
    latencies = _post_all(served, counted)
    seconds, cpu = time.perf_counter() - started, served.cpu_seconds() - cpu
    return Measured(len(counted) / cpu, len(counted) / seconds, latencies)


def _post_all(served: Served, posts: Sequence[OptOut]) -> list[float]:
    def send(some: Sequence[OptOut]) -> list[float]:
        connection = connect(served.url)
        latencies = [timed(one, connection) for one in some]
        connection.close()
        return latencies

    with ThreadPoolExecutor(CLIENTS) as pool:
        shares = pool.map(send, [posts[place::CLIENTS] for place in range(CLIENTS)])
        return [latency for share in shares for latency in share]


def require_all_there(store: Store, requests: int) -> None:
    """Nothing is measured that did not happen: each delivery was told what it should be."""
    columns = (Delivery.opted_out_at, Delivery.delivered_at, Delivery.complained_at)
    with store.read() as session:
        told = [session.scalar(select(func.count(column))) or 0 for column in columns]
    each = WARM_UP + requests
    assert told == [3 * each, 2 * each, each], told


if __name__ == "__main__":
    main()
