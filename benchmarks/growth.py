"""How the database grows: bytes by table for people with consent, messages, and their events.

    .venv/bin/python -m benchmarks.growth [--people 100000]

On a PostgreSQL of its own: imports a CSV file of people as `sender contacts import` does, launches
an e-mail campaign to all of them against a sink, and takes in what SES tells of each fifth message
(Send and Delivery). Sizes are of tables with their indexes and with the room that updates leave
behind, without a VACUUM in between.
"""

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import select, text, update

from benchmarks.launched import launch
from benchmarks.letter import VALUES
from benchmarks.office import _write_campaign
from benchmarks.opt_outs_crowd import EVENTS
from benchmarks.sinks import running_sink
from benchmarks.ways import SES_BULK
from sender.clock import SystemClock
from sender.inbound.receive import receive
from sender.providers.ses.events import read_event
from sender.store.controllers import SenderIdentity
from sender.store.deliveries import Delivery
from sender.store.engine import Store, open_store
from sender.store.keys import register_key
from sender.store.migrate import upgrade
from sender.vocabulary import Arrival, Channel
from tests.support.campaign_folder import environment
from tests.support.factory import HASHER, add_account, add_declaration, establish
from tests.support.postgres import running_postgres

OF_EVENTS = 5
"""Each so many-th message gets its events."""

KEEP_FOR = timedelta(days=180)
TICKS = os.sysconf("SC_CLK_TCK")
Sizes = dict[str, int]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, default=100_000)
    people = parser.parse_args().people
    with running_postgres(durable=True) as server, TemporaryDirectory() as name:
        assert server.data is not None
        with running_sink() as sink:
            measure(server.url, server.data, Path(name), sink, people)


def measure(url: str, data: Path, folder: Path, sink: str, people: int) -> None:
    store = _set_up(url, sink)
    variables = environment(folder, url)
    file = folder / "people.csv"
    _write_people(file, people)
    before = _sizes(store)
    with _timed("import", data, people):
        _sender(variables, "contacts", "import", str(file), "--controller", "riverside")
    imported = _sizes(store)
    _tell("a contact with consent", before, imported, people)
    print(f"journal after the import: {_journal(folder):,} bytes\n")
    campaign = _write_campaign(folder, SES_BULK)
    os.environ.update(variables)
    with _timed("launch", data, people):
        messages = launch(campaign)["messages"]
    sent = _sizes(store)
    _tell("a message", imported, sent, messages)
    print(f"journal: {_journal(folder) / messages:.0f} bytes a message\n")
    with _timed("events", data, messages // OF_EVENTS):
        told = _take_events(store)
    _tell("a message's Send and Delivery", sent, _sizes(store), told)
    store.close()


def _set_up(url: str, sink: str) -> Store:
    upgrade(url)
    store = open_store(url)
    with store.write() as session:
        register_key(session, HASHER, SystemClock().now())
        organisation = establish(session)
        add_declaration(session, organisation.controller)
        options = {"endpoint_url": sink, "rate_per_second": 100_000}
        account = add_account(session, "benchmark", provider=SES_BULK.provider, options=options)
        session.execute(
            update(SenderIdentity)
            .where(SenderIdentity.id == organisation.identities[Channel.EMAIL].id)
            .values(provider_account_id=account.id)
        )
    return store


def _write_people(file: Path, people: int) -> None:
    own = ("ward", "polling_station", "branch", "member")
    consent = {
        "consent_purpose": "campaign-news", "consent_channel": "email",
        "consent_notice": "sign-up-form", "consent_at": "2026-05-01 18:30",
        "consent_method": "web-form", "consent_source": "https://riverside.example.org/join",
    }  # fmt: skip
    plain = {name: value for name, value in VALUES.items() if name not in own}
    values = {**plain, **{f"attr.{name}": VALUES[name] for name in own}, **consent}
    with file.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(["external_ref", "email", *values])
        for number in range(people):
            address = f"person.{number}@example.org"
            writer.writerow([f"A-{number:07}", address, *values.values()])


def _sender(variables: Mapping[str, str], *arguments: str) -> None:
    command = [sys.executable, "-c", "from sender.cli.app import main; main()", *arguments]
    environ = {**os.environ, **variables}
    subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, check=True)


def _take_events(store: Store) -> int:
    sent = json.loads((EVENTS / "event-send.json").read_text())
    delivered = json.loads((EVENTS / "event-delivery.json").read_text())
    with store.read() as session:
        query = select(Delivery.id, Delivery.run_id, Delivery.provider_message_id)
        rows = [tuple(row) for row in session.execute(query) if row[0] % OF_EVENTS == 0]
    for number, (delivery_id, run_id, message_id) in enumerate(rows):
        for event in (sent, delivered):
            event["mail"]["messageId"] = message_id
            event["mail"]["tags"] |= {"delivery-id": [str(delivery_id)], "run-id": [str(run_id)]}
            event["mail"]["destination"] = [f"person.{number * OF_EVENTS}@example.org"]
            _receive(store, f"{event['eventType']}-{delivery_id:020}-0000-sns", event)
    return len(rows)


def _receive(store: Store, name: str, event: dict[str, Any]) -> None:
    clock = SystemClock()
    with store.write() as session:
        receive(
            session, HASHER, read_event(name, json.dumps(event)), account_id=None,
            arrived_by=Arrival.WEBHOOK, now=clock.now(), keep_for=KEEP_FOR,
        )  # fmt: skip


def _sizes(store: Store) -> Sizes:
    query = text(
        "SELECT relname, pg_total_relation_size(oid) FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    with store.read() as session:
        return {name: int(size) for name, size in session.execute(query)}


def _tell(what: str, before: Sizes, after: Sizes, rows: int) -> None:
    grown = {name: (after[name] - before.get(name, 0)) / rows for name in after}
    print(f"\n{what}: {sum(grown.values()):,.0f} bytes, of {rows:,}")
    for name, size in sorted(grown.items(), key=lambda one: -one[1]):
        if size >= 1:
            print(f"  {name:<24} {size:8,.0f}")
    sys.stdout.flush()


def _journal(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("opt-outs.journal*"))


@contextmanager
def _timed(what: str, data: Path, rows: int) -> Iterator[None]:
    own, servers, wall = _own_cpu(), _servers_cpu(data), time.perf_counter()
    yield
    own, servers = _own_cpu() - own, _servers_cpu(data) - servers
    wall = time.perf_counter() - wall
    print(
        f"\n{what}: {rows / wall:,.0f} a second; CPU of ours {own / rows * 1e3:.2f} ms, "
        f"of PostgreSQL {servers / rows * 1e3:.2f} ms each"
    )


def _own_cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _servers_cpu(data: Path) -> float:
    """Return the CPU seconds of a PostgreSQL server, those of its past processes too."""
    first = int((data / "postmaster.pid").read_text().splitlines()[0])
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(path.parent.name) == first:
            ticks += sum(map(int, fields[11:15]))
        elif int(fields[1]) == first:
            ticks += sum(map(int, fields[11:13]))
    return ticks / TICKS


if __name__ == "__main__":
    main()
