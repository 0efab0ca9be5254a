"""Whatever script README and docs tell people to run exists; test_docs.py has the commands."""

import os
import re

from tests.support.tracked import ROOT, project_files

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *project_files("docs", suffix=".md")]
BLOCK = re.compile(r"^```(?:sh|bash|console|shell)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SCRIPT = re.compile(r"^(?:\$ )?((?:scripts|\.ci)/[\w.\-]+)")


def typed_lines(text: str) -> list[str]:
    return [line.strip() for block in BLOCK.findall(text) for line in block.splitlines()]


def scripts_in(text: str) -> set[str]:
    return {match[1] for line in typed_lines(text) if (match := SCRIPT.match(line))}


def test_the_scripts_that_pages_name_exist() -> None:
    named = {script for page in PAGES for script in scripts_in(page.read_text())}
    assert [script for script in sorted(named) if not os.access(ROOT / script, os.X_OK)] == []


def test_scripts_are_found_in_a_page() -> None:
    page = "Run:\n```sh\nscripts/demo\n$ scripts/test unit\n```\n"
    assert scripts_in(page) == {"scripts/demo", "scripts/test"}
