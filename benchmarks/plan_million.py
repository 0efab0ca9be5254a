"""Plan a run for a million contacts, beside a bare INSERT … SELECT with the same joins.

    .venv/bin/python -m benchmarks.plan_million [--people 1000000] [--database sqlite|postgresql]

Both fill the same table with the same indexes from the same joined sources, in the same ranges'
order; the bare one judges nobody. Printed: seconds, the ratio, the longest write lock, and how much
the process grew.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Integer, case, func, insert, literal, select, type_coerce

from benchmarks.crowd import fill
from sender.clock import SystemClock
from sender.delivery.audience import ContactAudience
from sender.delivery.planning import plan
from sender.delivery.runs import count
from sender.store.base import Word
from sender.store.campaigns import Run
from sender.store.consents import ConsentState
from sender.store.contacts import Contact, ContactPoint
from sender.store.deliveries import Delivery
from sender.store.engine import Store, open_store
from sender.store.migrate import upgrade
from sender.store.suppressions import Block
from sender.vocabulary import Channel, DeliveryState
from tests.support.postgres import running_postgres


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    arguments = parser.parse_args()
    print(f"Python {sys.version.split()[0]}; {arguments.people:,} people\n")
    print("| database | bare, s | planned, s | ratio | longest range, s | grown by, MiB |")
    print("|---|---|---|---|---|---|")
    for database in arguments.database or ["sqlite", "postgresql"]:
        with empty_database(database) as url:
            bare = measure_bare(url, arguments.people)
        with empty_database(database) as url:
            print(measure(database, url, arguments.people, bare), flush=True)


@contextmanager
def empty_database(database: str) -> Iterator[str]:
    if database == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{Path(folder) / 'million.sqlite3'}"
        return
    with running_postgres(durable=True) as server:
        yield server.url


def measure_bare(url: str, people: int) -> float:
    upgrade(url)
    store = open_store(url)
    seconds = insert_bare(store, fill(store, SystemClock(), people))
    store.close()
    return seconds


def measure(database: str, url: str, people: int, bare: float) -> str:
    upgrade(url)
    store, clock = open_store(url), SystemClock()
    run_id = fill(store, clock, people)
    grown_from = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with store.read() as session:
        controller_id = session.get_one(Run, run_id).controller_id
    started = last = time.perf_counter()
    longest = 0.0
    for _people in plan(store, clock, run_id, ContactAudience(controller_id, Channel.EMAIL)):
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    planned = time.perf_counter() - started
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - grown_from) / 1024
    with store.read() as session:
        counts = count(session, run_id)
    store.close()
    assert counts.planned == people, counts
    refused = {reason.value: number for reason, number in counts.by_reason.items()}
    print(f"{database}: {refused}, pending {counts.pending:,}", file=sys.stderr)
    return (
        f"| {database} | {bare:.2f} | {planned:.2f} | {planned / bare:.2f} | {longest:.3f} "
        f"| {grown:.0f} |"
    )


def insert_bare(store: Store, run_id: int) -> float:
    """Insert everybody from the same joins, without judging, in one statement."""
    folded = (
        select(Block.address_id, func.min(Block.cause).label("cause"))
        .group_by(Block.address_id)
        .subquery()
    )
    state = Word(DeliveryState)
    with store.write() as session:
        run = session.get_one(Run, run_id)
        source = (
            select(
                literal(run_id),
                ContactPoint.address_id,
                ContactPoint.id,
                literal(DeliveryState.PENDING, state),
                # The joined columns are read, as a policy would, and decide nothing.
                case(
                    (type_coerce(folded.c.cause, Integer) > 100, Contact.id),
                    else_=ConsentState.event_id,
                ),
            )
            .outerjoin(Contact, Contact.id == ContactPoint.contact_id)
            .outerjoin(folded, folded.c.address_id == ContactPoint.address_id)
            .outerjoin(
                ConsentState,
                (ConsentState.controller_id == run.controller_id)
                & (ConsentState.purpose_id == run.purpose_id)
                & (ConsentState.address_id == ContactPoint.address_id),
            )
            .where(
                ContactPoint.controller_id == run.controller_id,
                ContactPoint.channel == Channel.EMAIL,
            )
            .order_by(ContactPoint.address_id)
        )
        columns = ("run_id", "address_id", "contact_point_id", "state", "consent_event_id")
        started = time.perf_counter()
        session.execute(insert(Delivery).from_select(columns, source, include_defaults=False))
        session.commit()
        return time.perf_counter() - started


if __name__ == "__main__":
    main()
