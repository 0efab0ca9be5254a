"""How the command line behaves whatever the command: exit codes, errors, JSON, help."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from sender.cli import groups
from sender.cli.app import run
from sender.cli.groups import GROUPS, load
from tests.support.command_line import CONTROLLER_FILE, Desk, sit_down
from tests.support.factory import HASH_KEY

SECRET = "ann@example.org"


@pytest.fixture
def desk(
    tmp_path: Path,
    sqlite_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    return sit_down(tmp_path, sqlite_url, capsys, monkeypatch)


def started(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `sender` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", "from sender.cli.app import main; main()", *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def commands(name: str) -> Iterator[tuple[str, Any]]:
    def walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(command, TyperGroup):
            for inner, child in command.commands.items():
                yield from walk(f"{path} {inner}", child)
        else:
            yield path, command

    yield from walk(name, load(name))


EVERY_COMMAND = [found for name in GROUPS for found in commands(name)]


@pytest.mark.parametrize(
    ("name", "command"), EVERY_COMMAND, ids=[name for name, _ in EVERY_COMMAND]
)
def test_every_command_says_what_it_does_and_can_speak_json(name: str, command: Any) -> None:
    assert command.help, name
    assert f"sender {name}" in (command.epilog or ""), f"{name} shows no example of its own"
    options = {option for parameter in command.params for option in parameter.opts}
    assert "--json" in options, name


ABOUT_PEOPLE = ("contacts", "consent", "suppress", "notice list", "inbox")
ABOUT_THE_WHOLE_DATABASE = {"suppress replay"}
OF_ONE_CONTROLLER = [
    found
    for found in EVERY_COMMAND
    if found[0].startswith(ABOUT_PEOPLE) and found[0] not in ABOUT_THE_WHOLE_DATABASE
]


@pytest.mark.parametrize(
    ("name", "command"), OF_ONE_CONTROLLER, ids=[name for name, _ in OF_ONE_CONTROLLER]
)
def test_every_command_about_people_is_told_the_controller(name: str, command: Any) -> None:
    [option] = [one for one in command.params if "--controller" in one.opts]
    or_all = [one for one in command.params if "--all-controllers" in one.opts]
    assert option.required or or_all, name


def test_opt_outs_for_nobody_in_particular_are_not_taken(desk: Desk) -> None:
    desk.done("db", "upgrade")
    answer = desk.sender("suppress", "import", desk.write("old.csv", "email\na@example.org\n"))
    assert answer.code == 2
    assert "--all-controllers" in answer.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["db", "chek"],
        ["db", "check", "--foo"],
        ["controller", "show"],
        ["consent", "history", SECRET],
        ["consent", "expiring", "-c", "riverside", "--days", "0"],
        ["suppress", "add", SECRET, "-c", "r", "--reason", "gut", "--received-on", "2026-01-01"],
        ["controller", "declare", "riverside", "--opt-outs", "perhaps"],
    ],
)
def test_wrong_usage_is_2_with_one_line(desk: Desk, arguments: list[str]) -> None:
    answer = desk.sender(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.count("\n") == 1
    assert "--help" in answer.err


def test_wrong_usage_can_be_read_by_scripts(desk: Desk) -> None:
    answer = desk.sender("db", "chek", "--json")
    assert answer.code == 2
    assert answer.document["error"]["type"] == "usage"
    assert answer.err == ""


def test_a_refusal_is_1_with_its_remedy(desk: Desk) -> None:
    desk.set_up()
    answer = desk.sender("controller", "show", "riversid")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == "There is no controller riversid. Did you mean riverside?\n"
    document = desk.sender("controller", "show", "riversid", "--json").document
    assert document["error"]["remedy"] == "Did you mean riverside?"
    assert document["error"]["type"] == "NotFoundError"


def test_a_bad_file_is_told_line_by_line(desk: Desk) -> None:
    bad = CONTROLLER_FILE.replace('"association"', '"club"').replace("https://", "http://")
    path = desk.write("bad.toml", bad)
    answer = desk.sender("controller", "add", path)
    assert answer.code == 1
    assert f"{path}:3: kind: must be one of" in answer.err
    assert f"{path}:6: privacy_notice_url: must be a full https address." in answer.err
    errors = desk.sender("controller", "add", path, "--json").document["error"]["errors"]
    assert [(one["line"], one["key"]) for one in errors] == [
        (3, "kind"),
        (6, "privacy_notice_url"),
    ]


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("SENDER_HASH_KEY", "", "SENDER_HASH_KEY is not set"),
        ("SENDER_HASH_KEY", "ab" * 31, "SENDER_HASH_KEY has 31 bytes"),
        ("SENDER_HASH_KEY", "ab" * 32, "not the key that this database was made with"),
        ("SENDER_DATABASE_URL", "nonsense", "SENDER_DATABASE_URL is not a database URL"),
        ("SENDER_PROVIDER_TIMEOUT_SECONDS", "soon", "SENDER_PROVIDER_TIMEOUT_SECONDS"),
    ],
)
def test_a_wrong_environment_is_refused_by_name(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str, value: str, problem: str
) -> None:
    desk.set_up()
    monkeypatch.setenv(name, value)
    for arguments in (["controller", "list"], ["db", "check"]):
        answer = desk.sender(*arguments)
        assert answer.code == 1
        assert problem in answer.err
        assert "ab" * 20 not in answer.err


def test_a_database_that_is_not_set_up_is_told_the_command(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENDER_DATABASE_URL", f"sqlite:///{desk.folder / 'new.sqlite3'}")
    answer = desk.sender("controller", "list")
    assert answer.code == 1
    assert "Run: sender db upgrade" in answer.err
    assert desk.sender("doctor").code == 1
    document = desk.read("db", "upgrade")
    assert document["before"] is None
    assert document["after"]
    assert desk.read("controller", "list") == {"controllers": []}
    assert "already" in desk.done("db", "upgrade").out


def test_the_operator_of_the_command_goes_before_the_environments(desk: Desk) -> None:
    desk.set_up()
    signed = desk.read(
        "--operator", "otto", "controller", "declare", "riverside", "--opt-outs", "none-exist"
    )
    assert signed["operator"] == "otto"
    signed = desk.read("controller", "declare", "riverside", "--opt-outs", "none-exist")
    assert signed["operator"] == "olive"


def _break(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    broken = typer.Typer()

    @broken.command()
    def break_down(json_output: bool = typer.Option(False, "--json")) -> None:  # noqa: FBT001  # Typer's flag
        raise error

    monkeypatch.setattr(groups, "load", lambda _: typer.main.get_command(broken))


def test_what_nobody_foresaw_tells_no_personal_data(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    _break(monkeypatch, ValueError(f"cannot write to {SECRET}"))
    answer = desk.sender("doctor")
    assert answer.code == 1
    assert answer.err.startswith("Failed unexpectedly (ValueError). Set SENDER_DEBUG=1")
    assert SECRET not in answer.err
    assert SECRET not in desk.sender("doctor", "--json").out
    monkeypatch.setenv("SENDER_DEBUG", "1")
    assert SECRET in desk.sender("doctor").err


def test_an_interrupt_is_130_with_one_line(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    _break(monkeypatch, KeyboardInterrupt())
    answer = desk.sender("doctor")
    assert (answer.code, answer.err) == (130, "Interrupted.\n")


def test_the_address_is_in_no_error(desk: Desk) -> None:
    desk.set_up()
    answer = desk.sender("consent", "history", "ann@@example.org", "-c", "riverside")
    assert answer.code == 1
    assert "ann@" not in answer.err


def test_without_arguments_there_is_help(desk: Desk) -> None:
    answer = desk.sender()
    assert "controller" in answer.out
    assert answer.err == ""


def test_the_real_process_ends_with_the_code(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'real.sqlite3'}"
    environment = {"SENDER_DATABASE_URL": url, "SENDER_HASH_KEY": HASH_KEY.hex()}
    version = started(tmp_path, "--version")
    assert (version.returncode, version.stdout.split()[0]) == (0, "sender")
    assert started(tmp_path, "db", "chek", **environment).returncode == 2
    unset = started(tmp_path, "controller", "list", "--json", **environment)
    assert unset.returncode == 1
    assert "sender db upgrade" in json.loads(unset.stdout)["error"]["remedy"]


def test_start_up_imports_nothing_heavy() -> None:
    heavy = ("sqlalchemy", "boto3", "twilio", "lxml", "phonenumbers", "alembic")
    script = (
        "import sys; from sender.cli.app import run; run(['--version']);"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_run_takes_its_arguments_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("sender ")
