"""Fixtures of the tests that use the program as people do."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from sender.delivery import dispatch
from sender.store.engine import Store, open_store
from tests.support.browsing import ARGUMENTS
from tests.support.command_line import Desk, sit_down


@pytest.fixture(autouse=True)
def one_call_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a last look be for one provider call; put back what `one_call_at_a_time` sets."""
    monkeypatch.setattr(dispatch, "MOST_AT_ONCE", 50)
    monkeypatch.setattr(dispatch, "UNDER_WAY", dispatch.UNDER_WAY)


@pytest.fixture
def desk(
    tmp_path: Path,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    """Somebody who types commands, in an installation with Riverside in it, on each dialect."""
    seated = sit_down(tmp_path, database_url, capsys, monkeypatch)
    seated.set_up()
    return seated


@pytest.fixture
def store(desk: Desk, database_url: str) -> Iterator[Store]:
    """The database that the commands work on."""
    del desk  # who made its tables
    opened = open_store(database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    """A Chromium without a window."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def look(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a page in a context of its own, which is closed at the end."""
    contexts = []

    def open_page(url: str, **options: Any) -> Page:
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
