"""Bringing people in: a file of consents, beside a bare bulk load of the same rows.

    .venv/bin/python -m benchmarks.imports [--rows 1000000] [--few 10000] [--database ...]

Ours is `sender contacts import`: each row read and checked, merged by reference and address, its
consent held against the notice, hashed into the chain and folded, every 2,000 rows one transaction
that survives a power cut. The bare load parses the same file and writes its cells as they are into
one plain table without a key: COPY on PostgreSQL, executemany on SQLite, one transaction.

Rows per CPU second are of the process that loads; PostgreSQL's own CPU stands beside. Memory is the
process's peak, for a few rows and for all.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import make_url

from benchmarks.growth import _servers_cpu, _write_people
from sender.clock import SystemClock
from sender.store.engine import open_store
from sender.store.keys import register_key
from sender.store.migrate import upgrade
from tests.support.campaign_folder import environment
from tests.support.factory import HASHER, add_declaration, establish
from tests.support.postgres import running_postgres

SENDER = (sys.executable, "-c", "from sender.cli.app import main; main()")


@dataclass(frozen=True)
class Load:
    """What one load took.

    Attributes:
        cpu_seconds: of the process that loads, user and system.
        server_seconds: of PostgreSQL.
        wall_seconds: by the clock.
        peak_mib: the most memory that the process ever had.
    """

    rows: int
    cpu_seconds: float
    server_seconds: float
    wall_seconds: float
    peak_mib: float


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--few", type=int, default=10_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    arguments = parser.parse_args()
    print(
        "| database | rows | bare, rows per CPU s | ours | bare/ours | with the server's CPU "
        "| bare, per s | ours, per s | bare, peak MiB | ours, peak MiB | more than the few |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for database in arguments.database or ["sqlite", "postgresql"]:
        least = None
        for rows in (arguments.few, arguments.rows):
            bare, ours = measure(database, rows)
            least = ours.peak_mib if least is None else least
            print(_row(database, bare, ours, ours.peak_mib - least), flush=True)


def measure(database: str, rows: int) -> tuple[Load, Load]:
    """Load the same rows barely and by the import, each into a database of its own."""
    with TemporaryDirectory(prefix="sender-benchmark-") as name, _server(database) as server:
        folder = Path(name)
        _write_people(folder / "people.csv", rows)
        bare = _timed(_bare_command(folder, server), folder, os.environ, rows, server)
        variables = _set_up(folder, server)
        command = [*SENDER, "contacts", "import", "people.csv", "-c", "riverside", "--json"]
        return bare, _timed(command, folder, {**os.environ, **variables}, rows, server)


@dataclass(frozen=True)
class _Server:
    """Where the databases are: a PostgreSQL server, or a file in the folder."""

    url: str | None = None
    data: Path | None = None


@contextmanager
def _server(database: str) -> Iterator[_Server]:
    if database == "sqlite":
        yield _Server()
        return
    with running_postgres(durable=True) as server:
        yield _Server(server.url, server.data)


def _bare_command(folder: Path, server: _Server) -> list[str]:
    where = str(folder / "bare.sqlite3")
    if server.url is not None:
        plain = make_url(server.url).set(drivername="postgresql")
        where = plain.render_as_string(hide_password=False)
    return [sys.executable, "-m", "benchmarks.bare_load", where, str(folder / "people.csv")]


def _set_up(folder: Path, server: _Server) -> Mapping[str, str]:
    url = server.url or f"sqlite:///{folder / 'sender.sqlite3'}"
    upgrade(url)
    store = open_store(url)
    with store.write() as session:
        register_key(session, HASHER, SystemClock().now())
        add_declaration(session, establish(session).controller)
    store.close()
    return environment(folder, url)


def _timed(
    command: Sequence[str], folder: Path, environ: Mapping[str, str], rows: int, server: _Server
) -> Load:
    here = Path(__file__).parents[1]
    path = os.pathsep.join(filter(None, [str(here), environ.get("PYTHONPATH", "")]))
    spent = _servers_cpu(server.data) if server.data else 0.0
    wall = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, env={**environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    answer = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - wall
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    assert process.returncode == 0, command
    assert json.loads(answer)["counts"]["created"] == rows, answer
    spent = _servers_cpu(server.data) - spent if server.data else 0.0
    return Load(rows, used.ru_utime + used.ru_stime, spent, wall, used.ru_maxrss / 1024)


def _row(database: str, bare: Load, ours: Load, more: float) -> str:
    per_cpu = [one.rows / one.cpu_seconds for one in (bare, ours)]
    in_all = [one.rows / (one.cpu_seconds + one.server_seconds) for one in (bare, ours)]
    return (
        f"| {database} | {ours.rows:,} | {per_cpu[0]:,.0f} | {per_cpu[1]:,.0f} "
        f"| {per_cpu[0] / per_cpu[1]:.1f} | {in_all[0] / in_all[1]:.1f} "
        f"| {bare.rows / bare.wall_seconds:,.0f} | {ours.rows / ours.wall_seconds:,.0f} "
        f"| {bare.peak_mib:.0f} | {ours.peak_mib:.0f} | **{more:+.0f}** |"
    )


if __name__ == "__main__":
    main()
