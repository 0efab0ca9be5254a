"""Whatever README and docs tell people to type exists."""

import importlib
import os
import re
from typing import cast

import click
import typer.main

from tests.support.tracked import ROOT, project_files

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *project_files("docs", suffix=".md")]
BLOCK = re.compile(r"^```(?:sh|bash|console|shell)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SCRIPT = re.compile(r"^(?:\$ )?((?:scripts|\.ci)/[\w.\-]+)")
COMMAND = re.compile(r"^(?:\$ )?(?:\.venv/bin/)?sender((?: [a-z][a-z\-]*)+)")


def typed_lines(text: str) -> list[str]:
    return [line.strip() for block in BLOCK.findall(text) for line in block.splitlines()]


def scripts_in(text: str) -> set[str]:
    return {match[1] for line in typed_lines(text) if (match := SCRIPT.match(line))}


def commands_in(text: str) -> set[str]:
    return {match[1].strip() for line in typed_lines(text) if (match := COMMAND.match(line))}


def is_command(words: list[str], command: click.Command) -> bool:
    if not words or not isinstance(command, click.Group):
        return True  # what follows a command is its arguments
    return words[0] in command.commands and is_command(words[1:], command.commands[words[0]])


def test_the_scripts_that_pages_name_exist() -> None:
    named = {script for page in PAGES for script in scripts_in(page.read_text())}
    assert [script for script in sorted(named) if not os.access(ROOT / script, os.X_OK)] == []


def test_the_commands_that_pages_name_exist() -> None:
    named = {command for page in PAGES for command in commands_in(page.read_text())}
    app = importlib.import_module("sender.cli.app").app
    root = cast("click.Command", typer.main.get_command(app))
    assert [command for command in sorted(named) if not is_command(command.split(), root)] == []


def test_commands_and_scripts_are_found_in_a_page() -> None:
    page = "Run:\n```sh\nscripts/demo\n$ sender campaign check FILE\n.venv/bin/sender status\n```\n"
    assert scripts_in(page) == {"scripts/demo"}
    assert commands_in(page) == {"campaign check", "status"}


def test_an_invented_command_is_seen() -> None:
    tree = click.Group(
        "sender", commands={"db": click.Group("db", commands={"check": click.Command("check")})}
    )
    assert is_command(["db", "check", "now"], tree)
    assert not is_command(["db", "mend"], tree)
