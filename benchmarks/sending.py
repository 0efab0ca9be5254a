"""Client CPU of a message from the yes to the provider's answer, beside a bare loop.

    .venv/bin/python -m benchmarks.sending [--messages 30000] [--rounds 5] [--way "SES bulk"]
        [--database sqlite|postgresql]

Ours and bare in turns, each in a process of its own, to a sink in another; medians of the rounds.
The database server's own CPU is not counted: it is no client.
"""

import argparse
import statistics
from collections.abc import Iterator, Sequence

from benchmarks.bare import bare
from benchmarks.launched import launched
from benchmarks.office import open_office
from benchmarks.sinks import running_sink
from benchmarks.ways import SES_BULK, WAYS, Way

SINGLE_SHARE = 0.1
"""Of the messages: what goes out one by one takes longer."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--way", choices=[way.name for way in WAYS], action="append")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    arguments = parser.parse_args()
    databases = arguments.database or ["sqlite", "postgresql"]
    print("| sent by | database | bare, µs | ours, µs | bare/ours | at least | ours, per s |")
    print("|---|---|---|---|---|---|---|")
    for way in WAYS:
        if arguments.way is None or way.name in arguments.way:
            share = 1.0 if way is SES_BULK else SINGLE_SHARE
            for row in compare(way, databases, round(arguments.messages * share), arguments.rounds):
                print(row, flush=True)


def compare(way: Way, databases: Sequence[str], messages: int, rounds: int) -> Iterator[str]:
    bare_us: list[float] = []
    ours_us: dict[str, list[float]] = {database: [] for database in databases}
    rates: dict[str, list[float]] = {database: [] for database in databases}
    with running_sink(way.sink) as url:
        for _ in range(rounds):
            bare_us.append(bare(way, url, messages).cpu_us)
            for database in databases:
                with open_office(database, way, url, messages) as office:
                    sent = launched(office)
                ours_us[database].append(sent.cpu_us)
                rates[database].append(sent.per_second)
    base = statistics.median(bare_us)
    for database in databases:
        ours = statistics.median(ours_us[database])
        yield (
            f"| {way.name} | {database} | {base:.0f} | {ours:.0f} | **{base / ours:.2f}** "
            f"| {way.least} | {statistics.median(rates[database]):,.0f} |"
        )


if __name__ == "__main__":
    main()
