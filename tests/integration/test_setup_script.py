"""The set-up of scripts/demo and scripts/test says plainly what a fresh machine lacks."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.tracked import ROOT

NEEDED_TOOLS = ("dirname", "id", "grep", "sh")
TOO_OLD = f"""#!/bin/sh
exec {sys.executable} -c 'import sys; sys.version_info = (3, 10, 14); exec(sys.argv[1])' "$2"
"""
WITHOUT_VENV = '#!/bin/sh\ncase "$*" in *ensurepip*) exit 1 ;; esac\n'


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A PATH on which there is no Python but the ones that a test puts there."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in NEEDED_TOOLS:
        (folder / name).symlink_to(str(shutil.which(name)))
    return folder


def run_setup(commands: str, tools: Path) -> subprocess.CompletedProcess[str]:
    script = f'. "{ROOT}/scripts/setup.sh"; VENV="{tools}/venv"; {commands}'
    bash = str(shutil.which("bash"))
    environment = {"PATH": str(tools), "HOME": str(tools)}
    return subprocess.run(
        [bash, "-uc", script], env=environment, capture_output=True, text=True, check=False
    )


def put_python(tools: Path, name: str, script: str) -> None:
    (tools / name).write_text(script)
    (tools / name).chmod(0o755)


def put_stamped_environment(tools: Path, kind: str) -> None:
    (tools / "venv" / "bin").mkdir(parents=True)
    (tools / "venv" / "bin" / "python").symlink_to(sys.executable)
    locks = f"requirements/{kind}.txt requirements/build.txt"
    stamp = f'lock_fingerprint {locks} >"$VENV/.installed-{kind}"'
    assert run_setup(stamp, tools).returncode == 0


def test_no_python_is_refused_with_the_remedy(tools: Path) -> None:
    put_python(tools, "python3", TOO_OLD)
    done = run_setup("make_venv", tools)
    assert done.returncode == 1
    assert "No Python 3.11 or newer was found." in done.stderr
    assert "python3-venv" in done.stderr


def test_the_first_python_that_is_new_enough_is_taken(tools: Path) -> None:
    put_python(tools, "python3.13", TOO_OLD)
    (tools / "python3.12").symlink_to(sys.executable)
    assert run_setup("find_python", tools).stdout.strip() == str(tools / "python3.12")


def test_a_python_without_venv_is_refused_with_the_remedy(tools: Path) -> None:
    put_python(tools, "python3", WITHOUT_VENV)
    done = run_setup("make_venv", tools)
    assert done.returncode == 1
    assert "apt-get install python3-venv" in done.stderr


@pytest.mark.parametrize(("installed", "wanted"), [("dev", "dev"), ("dev", "runtime")])
def test_what_is_installed_is_not_installed_again(tools: Path, installed: str, wanted: str) -> None:
    put_stamped_environment(tools, installed)
    done = run_setup(f"set_up {wanted}", tools)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("changed", ["requirements/dev.txt", "pyproject.toml"])
def test_a_changed_lock_or_project_is_installed_again(tools: Path, changed: str) -> None:
    put_stamped_environment(tools, "dev")
    (tools / "requirements").mkdir()
    for name in ("requirements/dev.txt", "requirements/build.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tools / name)
    is_set_up = f"ROOT={tools}; is_set_up_for dev"
    assert run_setup(is_set_up, tools).returncode == 0
    with (tools / changed).open("a") as file:
        file.write("\n")
    assert run_setup(is_set_up, tools).returncode == 1


@pytest.mark.parametrize("script", ["demo", "lock", "test"])
def test_scripts_parse_and_are_executable(script: str) -> None:
    path = ROOT / "scripts" / script
    assert os.access(path, os.X_OK)
    subprocess.run([str(shutil.which("bash")), "-n", str(path)], check=True)
