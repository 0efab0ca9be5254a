"""A million recipients: memory beside ten thousand, and how soon the first message goes out.

    .venv/bin/python -m benchmarks.million [--few 10000] [--many 1000000]

SES bulk calls to a sink that only counts. Memory is the sending process's own, from its start to
its end (planning, sending, the report's counts); it is looked at every five seconds.
"""

import argparse
import statistics

from benchmarks.launched import launched
from benchmarks.office import open_office
from benchmarks.sent import Sent
from benchmarks.sinks import running_sink, stats
from benchmarks.ways import SES_BULK


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--few", type=int, default=10_000)
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    arguments = parser.parse_args()
    print(
        "| database | recipients | first message after, s | peak, MiB | more than the few | "
        "first third, MiB | last third, MiB | minutes | per s |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for database in arguments.database or ["sqlite", "postgresql"]:
        least = None
        for messages in (arguments.few, arguments.many):
            sent, waited = measure(database, messages)
            least = sent.peak_mib if least is None else least
            print(_row(database, sent, waited, sent.peak_mib - least), flush=True)


def measure(database: str, messages: int) -> tuple[Sent, float]:
    """Send; return what it took, and the seconds from the yes to the first message."""
    with running_sink() as url, open_office(database, SES_BULK, url, messages) as office:
        sent, seen = launched(office), stats(url)
    assert seen["messages"] == sent.messages, seen
    return sent, seen["first_at"] - sent.confirmed_at


def _row(database: str, sent: Sent, waited: float, more: float) -> str:
    memory = sent.memory_mib
    third = max(1, len(memory) // 3)
    first, last = statistics.median(memory[:third]), statistics.median(memory[-third:])
    return (
        f"| {database} | {sent.messages:,} | **{waited:.2f}** | {sent.peak_mib:.0f} "
        f"| **{more:+.0f}** | {first:.0f} | {last:.0f} | {sent.wall_seconds / 60:.1f} "
        f"| {sent.per_second:,.0f} |"
    )


if __name__ == "__main__":
    main()
