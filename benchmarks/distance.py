"""How fast one process sends to a provider that answers after 20 ms, with default settings.

    .venv/bin/python -m benchmarks.distance [--messages 10000] [--delay 0.02]

The account's rate is set so high that it is not the limit. By the clock, from the yes.
"""

import argparse

from benchmarks.launched import launched
from benchmarks.office import open_office
from benchmarks.sinks import running_sink, stats
from benchmarks.ways import SES_BULK, SES_SINGLE, TWILIO

LEAST = ((SES_BULK, "500"), (SES_SINGLE, ""), (TWILIO, "100"))
SINGLE_SHARE = 0.2


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--delay", type=float, default=0.02)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    arguments = parser.parse_args()
    print("| sent by | database | messages per s | at least | most calls at once | CPU, s per s |")
    print("|---|---|---|---|---|---|")
    for way, least in LEAST:
        messages = round(arguments.messages * (1 if way is SES_BULK else SINGLE_SHARE))
        for database in arguments.database or ["sqlite", "postgresql"]:
            with (
                running_sink(delay=arguments.delay) as url,
                open_office(database, way, url, messages) as office,
            ):
                sent, seen = launched(office), stats(url)
            share = sent.cpu_seconds / sent.wall_seconds
            print(
                f"| {way.name} | {database} | **{sent.per_second:,.0f}** | {least} "
                f"| {seen['most_under_way']} | {share:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
