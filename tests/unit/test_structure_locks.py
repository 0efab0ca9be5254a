"""The lock files are complete, hashed, and made from this pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest

from scripts.lock_inputs import LOCKS, first_line, outdated_locks
from tests.support.tracked import ROOT

PYPROJECT = (ROOT / "pyproject.toml").read_text()


def locked(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / name).read_text()
    return dict(re.findall(r"^([\w.\-]+)==([^ ;\\]+)", text, re.MULTILINE))


def wanted(requirements: list[object]) -> set[str]:
    names = [re.match(r"[\w.\-]+", line) for line in requirements if isinstance(line, str)]
    return {match[0].lower() for match in names if match}


def test_the_locks_were_made_from_this_project() -> None:
    assert outdated_locks(ROOT) == []


def test_a_changed_dependency_outdates_every_lock(tmp_path: Path) -> None:
    (tmp_path / "requirements").mkdir()
    for name in LOCKS:
        (tmp_path / "requirements" / name).write_text(first_line(PYPROJECT) + "\n")
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text(PYPROJECT)
    assert outdated_locks(tmp_path) == []
    pyproject.write_text(PYPROJECT.replace('"typer>=', '"typer>1,>='))
    assert outdated_locks(tmp_path) == list(LOCKS)


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads(PYPROJECT)
    runtime = {re.sub(r"\[.*", "", name) for name in wanted(project["project"]["dependencies"])}
    assert runtime <= set(locked("runtime.txt"))
    assert runtime | wanted(project["dependency-groups"]["dev"]) <= set(locked("dev.txt"))


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_a_hash(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text().replace("\\\n", "")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert lines
    assert [line.split()[0] for line in lines if "--hash=sha256:" not in line] == []


@pytest.mark.parametrize("name", ["runtime.txt", "build.txt"])
def test_what_ships_is_what_was_tested(name: str) -> None:
    development = locked("dev.txt")
    assert {p: v for p, v in locked(name).items() if development.get(p) != v} == {}
