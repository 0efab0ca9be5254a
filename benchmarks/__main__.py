"""Run benchmarks and write down what they found.

    .venv/bin/python -m benchmarks                      all: some two hours
    .venv/bin/python -m benchmarks sending costs        these; the others' figures stay
    .venv/bin/python -m benchmarks --quick              all with few messages: does everything run?

Each runs in a process of its own; what it prints becomes its section of `benchmarks/RESULTS.md`
(with `--quick`, it is only shown). A benchmark that was never run says so there.
"""

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.results import Section, machine, read_sections, write_results

RESULTS = Path(__file__).with_name("RESULTS.md")


@dataclass(frozen=True)
class Benchmark:
    """One benchmark.

    Attributes:
        name: its module.
        title: of its section.
        target: what it is to reach, and how it is measured.
        quick: arguments for a quick look.
    """

    name: str
    title: str
    target: str
    quick: tuple[str, ...]


BENCHMARKS = (
    Benchmark(
        "plan_million",
        "Planning 1,000,000 contacts",
        "At most 2 times a bare `INSERT … SELECT` with the same joins, table and indexes. The "
        "longest range is what a part of an audience takes; memory is how much the peak rose.",
        ("--people", "20000"),
    ),
    Benchmark(
        "sending",
        "Sending, end to end",
        "Client CPU of a message from the yes to the provider's answer (planning, last look, "
        "call, record), of the sending process, beside a bare loop: plain Jinja with the same "
        "layout, body, text and subject, the same SDK with default settings, as many threads. "
        "SES bulk and SMTP at least 0.75 of the bare loop's messages per CPU second, SES single "
        "and Twilio 0.9. Medians of the rounds, ours and bare in turns.",
        ("--messages", "1000", "--rounds", "1"),
    ),
    Benchmark(
        "distance",
        "A provider 20 ms away",
        "By the clock, one process, default settings: SES bulk at least 500 messages a second, "
        "Twilio 100.",
        ("--messages", "2000"),
    ),
    Benchmark(
        "workers",
        "Several workers",
        "Messages per CPU second of 2 and 4 workers at least 0.9 of one's; by the clock at least "
        "1.8 times with 2, the provider 100 ms away. Beside them, PostgreSQL and the sink need the "
        "machine too. Means of two rounds, in turns.",
        ("--messages", "200", "--rounds", "1"),
    ),
    Benchmark(
        "million",
        "A million recipients",
        "At most 20 MiB more than for 10,000, and steady while sending; the first message at most "
        "5 s after the yes.",
        ("--few", "1000", "--many", "5000"),
    ),
    Benchmark(
        "costs",
        "What the safeguards cost",
        "CPU µs a message, by the thread that does it. Rendering with the check: at most 1.25 "
        "times plain Jinja and 20 µs.",
        ("--messages", "1000"),
    ),
    Benchmark(
        "rate",
        "One account's rate over four processes",
        "Within 2 % or one provider call, whichever is larger, in any ten seconds.",
        ("--seconds", "13"),
    ),
    Benchmark(
        "opt_outs",
        "Opt-outs and events",
        "Requests of the web server beside the same server that only verifies, parses and "
        "answers; and one-click opt-outs while a campaign is sent at full speed.",
        ("--requests", "200", "--rounds", "1", "--only", "throughput"),
    ),
    Benchmark(
        "imports",
        "Bringing people in",
        "Memory does not grow with the file: at most 20 MiB more than for 10,000 rows. The rate "
        "beside a bare load, which parses the same file and writes its cells into one plain table: "
        "no check, no person, no consent, no chain, no index; so a ratio, and no target.",
        ("--rows", "3000", "--few", "1000"),
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(_names()))
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(_names())
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    failed = [
        benchmark.name
        for benchmark in BENCHMARKS
        if not arguments.names or benchmark.name in arguments.names
        if not carry_out(benchmark, quick=arguments.quick)
    ]
    if failed:
        sys.exit(f"Failed: {', '.join(failed)}")


def _names() -> list[str]:
    return [benchmark.name for benchmark in BENCHMARKS]


def carry_out(benchmark: Benchmark, *, quick: bool) -> bool:
    """Run one; show what it prints, and write it down unless it was quick or failed."""
    print(f"\n## {benchmark.title}\n", flush=True)
    where = machine()
    command = [sys.executable, "-m", f"benchmarks.{benchmark.name}"]
    printed = ""
    with subprocess.Popen(
        [*command, *(benchmark.quick if quick else ())], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            printed += line
    if process.returncode == 0 and not quick:
        _note(benchmark.name, Section(where, printed.strip()))
    return process.returncode == 0


def _note(name: str, section: Section) -> None:
    found = read_sections(RESULTS) | {name: section}
    write_results(
        RESULTS, [(one.name, one.title, one.target, found.get(one.name)) for one in BENCHMARKS]
    )


if __name__ == "__main__":
    main()
