"""`RESULTS.md`: one section a benchmark, each with where and when it was measured."""

import os
import platform
import re
import sqlite3
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.support.postgres_binaries import find_binaries

_HEAD = """# Results

Written by `python -m benchmarks`; [README.md](README.md) says what is measured and how. A figure in
bold stands beside a target. µs are CPU time, user and system, unless “per s” says by the clock.
"""
_SECTION = re.compile(r"<!-- begin (\w+) -->\n.*?\n\n> (.*?)\n\n(.*?)\n<!-- end \1 -->", re.DOTALL)
_LIBRARIES = ("SQLAlchemy", "psycopg", "Jinja2", "boto3", "twilio", "procrastinate")


@dataclass(frozen=True)
class Section:
    """What a benchmark printed, and where it ran."""

    where: str
    printed: str


def machine() -> str:
    """Return machine, versions, load and time, on one line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    load = os.getloadavg()[0]
    return (
        f"{datetime.now(UTC):%d %B %Y %H:%M} UTC; {os.cpu_count()} processors ({_processor()}), "
        f"{memory:.0f} GiB; load before {load:.1f}; {platform.system()} {platform.release()}; "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {_postgresql()}; "
        f"{libraries}"
    )


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _postgresql() -> str:
    server = find_binaries() / "postgres"
    told = subprocess.run([server, "--version"], capture_output=True, text=True, check=True)
    return f"PostgreSQL {told.stdout.split()[2]}"


def read_sections(path: Path) -> dict[str, Section]:
    """Return the sections of an earlier run, by benchmark."""
    if not path.exists():
        return {}
    found = _SECTION.finditer(path.read_text(encoding="utf-8"))
    return {match[1]: Section(match[2], match[3]) for match in found}


def write_results(path: Path, rows: Sequence[tuple[str, str, str, Section | None]]) -> None:
    """Write all sections: name, title and target of each, and what was found, if it was run."""
    parts = [_HEAD]
    for name, title, target, section in rows:
        parts.append(f"## {title}\n\nTarget: {target}\n")
        if section is None:
            parts.append(f"Not run yet: `python -m benchmarks {name}`.\n")
        else:
            parts.append(
                f"<!-- begin {name} -->\nMeasured:\n\n> {section.where}\n\n"
                f"{section.printed}\n<!-- end {name} -->\n"
            )
    path.write_text("\n".join(parts), encoding="utf-8")
