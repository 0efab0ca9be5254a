"""What the docs tell people to type works, from top to bottom."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.core import TyperGroup

from sender.cli.groups import GROUPS, load
from sender.consent.notices import NoticeFile
from sender.controllers.file import read_controller_file
from sender.toml.model import read_model
from tests.support.command_line import Desk, sit_down
from tests.support.tracked import ROOT

COMMANDS = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs/getting-started.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def names_of(group: str) -> Iterator[str]:
    command = load(group)
    if not isinstance(command, TyperGroup):
        yield group
        return
    for name, inner in command.commands.items():
        if isinstance(inner, TyperGroup):
            yield from (f"{group} {name} {leaf}" for leaf in inner.commands)
        else:
            yield f"{group} {name}"


def test_the_docs_name_every_command() -> None:
    missing = [
        name for group in GROUPS for name in names_of(group) if f"`sender {name}" not in COMMANDS
    ]
    assert missing == []


def test_the_files_in_the_reference_are_valid(tmp_path: Path) -> None:
    controller, notice = blocks(COMMANDS, "toml")
    path = tmp_path / "file.toml"
    path.write_text(controller, encoding="utf-8")
    assert read_controller_file(path).slug == "riverside"
    path.write_text(notice, encoding="utf-8")
    assert read_model(path, NoticeFile).slug == "sign-up-form"


def _asks(arguments: list[str]) -> bool:
    launches = arguments[:2] == ["campaign", "launch"] and "--dry-run" not in arguments
    return launches or arguments[:3] == ["contacts", "batch", "approve"]


def test_the_guide_works_from_top_to_bottom(
    tmp_path: Path,
    sqlite_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk: Desk = sit_down(tmp_path, sqlite_url, capsys, monkeypatch)
    controller, notice, campaign = blocks(GUIDE, "toml")
    desk.write("riverside.toml", controller)
    desk.write("notice.toml", notice)
    desk.write("spring.toml", campaign)
    desk.write("spring.html", blocks(GUIDE, "html")[0])
    desk.write("people.csv", blocks(GUIDE, "csv")[0])
    desk.write("old-opt-outs.csv", "zed@example.org\n")
    typed = [
        shlex.split(line)[1:]
        for block in blocks(GUIDE, "sh")
        for line in block.splitlines()
        if line.startswith("sender ")
    ]
    assert len(typed) >= 9
    for arguments in typed:
        asks = _asks(arguments)
        desk.done(*arguments, *(["--yes"] if asks else []))
    [event] = desk.read("consent", "history", "ann@example.org", "-c", "riverside")["events"]
    assert event["what"] == "given"
    assert desk.read("suppress", "check", "zed@example.org", "-c", "riverside")["blocked"]
    assert desk.read("campaign", "report", "2")["people"] == {"accepted": 2}
