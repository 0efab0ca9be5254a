"""What the pages of the project point at is there: links, code, tests, commands, settings."""

import ast
import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup

from sender.campaigns.definition import parse_campaign
from sender.cli.groups import GROUPS, load
from sender.settings import Settings
from tests.support.tracked import ROOT, project_files, relative

PAGES = project_files(suffix=".md")
COMPLIANCE = ROOT / "docs/compliance.md"
README = ROOT / "README.md"
DECISIONS = sorted((ROOT / "docs/adr").glob("*.md"))

FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
OUR_PATH = re.compile(r"(?:sender|tests|templates|migrations|scripts|benchmarks)/[\w./\-]+")
NAMED_TEST = re.compile(r"(tests/[\w/]+\.py)::(\w+)")
OPTION = re.compile(r"(?<!\S)(--[a-z][a-z\-]*)")


def prose(text: str) -> str:
    return FENCE.sub("", text)


def blocks(page: Path, language: str) -> list[str]:
    pattern = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
    return pattern.findall(page.read_text("utf-8"))


def anchor(heading: str) -> str:
    """Return what GitHub makes of a heading."""
    plain = unicodedata.normalize("NFC", re.sub(r"[`*\[\]]", "", heading)).lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    return {anchor(heading) for heading in HEADING.findall(prose(page.read_text("utf-8")))}


def broken_links(page: Path, text: str) -> list[str]:
    broken = []
    for link in LINK.findall(CODE.sub("", prose(text))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, fragment = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        missing = not target.exists()
        if missing or (fragment and fragment not in anchors(target)):
            broken.append(f"{relative(page)}: {link}")
    return broken


def paths_in(text: str) -> set[str]:
    return {
        match[0].rstrip("./")
        for code in CODE.findall(prose(text))
        if (match := OUR_PATH.fullmatch(code.partition("::")[0].split()[0]))
    }


@cache
def functions_of(path: Path) -> frozenset[str]:
    return frozenset(
        node.name
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef)
    )


def missing_tests(text: str) -> list[str]:
    return [
        f"{path}::{name}"
        for path, name in NAMED_TEST.findall(text)
        if not (ROOT / path).is_file() or name not in functions_of(ROOT / path)
    ]


def typed_in(text: str) -> set[str]:
    """Return everything that a page tells people to type, in a block or in a line of prose."""
    typed = {line.strip() for block in FENCE.findall(text) for line in block.splitlines()}
    typed |= set(CODE.findall(prose(text)))
    return {line for line in typed if re.match("sender (?!=)", line)}


def flaw_of_command(line: str) -> str:
    """Return what is wrong with a command line, empty if nothing."""
    words = re.split(r" [|·] | # ", line)[0].split()[1:]
    if words[0] not in GROUPS:
        return f"{line}: no such command"
    command: Any = load(words.pop(0))
    while words and isinstance(command, TyperGroup):
        if words[0] not in command.commands:
            return f"{line}: no such command"
        command = command.commands[words.pop(0)]
    known = {name for option in command.params for name in option.opts} | {"--help"}
    unknown = set(OPTION.findall(" ".join(words))) - known
    return f"{line}: no such option {sorted(unknown)}" if unknown else ""


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken_links(page, page.read_text("utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_path_in_the_pages_exists(page: Path) -> None:
    named = paths_in(page.read_text("utf-8"))
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_test_in_the_pages_exists(page: Path) -> None:
    assert missing_tests(page.read_text("utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_command_and_option_in_the_pages_exists(page: Path) -> None:
    flaws = [flaw_of_command(line) for line in sorted(typed_in(page.read_text("utf-8")))]
    assert [flaw for flaw in flaws if flaw] == []


def test_every_control_of_the_matrix_has_code_and_a_test() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|\n").split("|")]
        for line in COMPLIANCE.read_text("utf-8").splitlines()
        if line.startswith("|") and not line.startswith(("|---", "| ¶ |", "| rule |", "| case |"))
    ]
    assert len(rows) > 40
    assert [row[0] for row in rows if not NAMED_TEST.search(row[-1])] == []
    of_paragraphs = [row for row in rows if len(row) == 5]
    assert [row[0] for row in of_paragraphs if not paths_in(row[3])] == []


def test_every_paragraph_of_the_guidance_is_in_the_matrix() -> None:
    text = COMPLIANCE.read_text("utf-8")
    rows = re.findall(r"^\| ([\d, \-]+) \|", text, re.MULTILINE)
    left_out = re.findall(r"^Not for this program.*$", text, re.MULTILINE)
    ranges = re.findall(r"(\d+)(?:-(\d+))?", " ".join(rows))
    ranges += re.findall(r"¶(\d+)(?:-(\d+))?", " ".join(left_out))
    told = {n for low, high in ranges for n in range(int(low), int(high or low) + 1)}
    assert sorted(set(range(1, 90)) - told) == []


def test_the_readme_names_every_setting() -> None:
    text = README.read_text("utf-8")
    named = {f"SENDER_{name}".upper() for name in Settings.model_fields}
    assert {name for name in named if f"| `{name}` |" not in text} == set()


def test_the_readmes_campaign_is_one() -> None:
    [campaign], [template] = blocks(README, "toml"), blocks(README, "jinja")
    parse_campaign(campaign, {"spring.html": template, "layouts:standard": ""}, README)


def test_the_readme_says_first_that_opt_outs_have_to_be_answered() -> None:
    introduction = README.read_text("utf-8").partition("\n## ")[0]
    assert "Before you write to real people" in introduction
    assert "`sender web`" in introduction


def test_the_decisions_are_numbered_in_the_index() -> None:
    index = (ROOT / "docs/README.md").read_text("utf-8")
    assert [path.name[:4] for path in DECISIONS] == [
        f"{number:04}" for number in range(1, len(DECISIONS) + 1)
    ]
    assert [path.name for path in DECISIONS if f"(adr/{path.name})" not in index] == []
    for path in DECISIONS:
        assert path.read_text("utf-8").startswith(f"# {path.name[:4]}: ")


def test_what_is_not_there_is_seen() -> None:
    page = ROOT / "docs/README.md"
    assert broken_links(page, "[a](nowhere.md) [b](../README.md#nothing) [c](#documents)") == [
        "docs/README.md: nowhere.md",
        "docs/README.md: ../README.md#nothing",
    ]
    assert paths_in("`sender/nothing.py` and `tests/unit/no.py::test_x`, `sender db`") == {
        "sender/nothing.py",
        "tests/unit/no.py",
    }
    assert missing_tests("`tests/unit/test_docs.py::test_that_nobody_wrote`") == [
        "tests/unit/test_docs.py::test_that_nobody_wrote"
    ]
    assert flaw_of_command("sender fly FILE")
    assert flaw_of_command("sender campaign fly FILE")
    assert flaw_of_command("sender campaign launch FILE --fast")
    assert flaw_of_command("sender campaign launch FILE --dry-run") == ""
