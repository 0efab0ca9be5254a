"""Rules of the house that no linter knows, held over every source file."""

import ast
import re
from collections.abc import Callable, Iterator

import pytest

from tests.support.tracked import project_files, relative

LONGEST_FILE = 600
ONLY_CLOCK = "sender/clock.py"
# One letter of each stands in brackets, so that this file does not find itself.
UNFINISHED = re.compile(r"\b(?:T[O]DO|F[I]XME|X[X]X|NotImplemented[E]rror)\b")
WALL_CLOCKS = {
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "date.today",
    "datetime.date.today",
    "time.time",
    "time.time_ns",
    "time.sleep",
}

SOURCES = project_files("sender", suffix=".py")
FINISHED_WORK = project_files("sender", "scripts", "migrations", "templates", "benchmarks")


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def wall_clock_calls(source: str) -> list[int]:
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return [call.lineno for call in calls if dotted(call.func) in WALL_CLOCKS]


def naive_datetimes(source: str) -> Iterator[int]:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func).rpartition("datetime.")[2]
        aware = len(node.args) + sum(word.arg == "tz" for word in node.keywords)
        needed = {"utcnow": 99, "utcfromtimestamp": 99, "now": 1, "fromtimestamp": 2}
        if "datetime" in dotted(node.func) and aware < needed.get(name, 0):
            yield node.lineno


def test_there_are_sources() -> None:
    assert len(SOURCES) > 10


def offenders(rule: Callable[[str], object]) -> list[str]:
    return [relative(path) for path in SOURCES if rule(path.read_text())]


def test_no_source_file_is_longer_than_people_read() -> None:
    assert offenders(lambda source: source.count("\n") > LONGEST_FILE) == []


def test_every_module_says_what_it_is_for() -> None:
    assert (
        offenders(lambda source: source.strip() and not ast.get_docstring(ast.parse(source))) == []
    )


def test_no_datetime_lacks_its_time_zone() -> None:
    assert offenders(lambda source: list(naive_datetimes(source))) == []


def test_only_the_clock_reads_the_time() -> None:
    assert [name for name in offenders(wall_clock_calls) if name != ONLY_CLOCK] == []


def test_nothing_is_left_for_later() -> None:
    found = [
        f"{relative(path)}: {match[0]}"
        for path in FINISHED_WORK
        for match in UNFINISHED.finditer(path.read_text(errors="replace"))
    ]
    assert not found


@pytest.mark.parametrize(
    ("source", "naive"),
    [
        ("datetime.now()", True),
        ("datetime.now(UTC)", False),
        ("datetime.now(tz=UTC)", False),
        ("datetime.utcnow()", True),
        ("datetime.datetime.utcnow()", True),
        ("datetime.fromtimestamp(0)", True),
        ("datetime.fromtimestamp(0, UTC)", False),
        ("clock.now()", False),
    ],
)
def test_naive_datetimes_are_told_from_aware_ones(source: str, *, naive: bool) -> None:
    assert bool(list(naive_datetimes(source))) is naive


def test_the_wheel_carries_what_the_package_reads() -> None:
    assert project_files("migrations")
    assert project_files("templates")
