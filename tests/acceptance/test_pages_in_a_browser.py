"""The opt-out pages in a real Chromium: by keyboard, on a phone, without JavaScript, by axe.

WCAG 2.2 AA is what people need who cannot see well, hold a mouse, or read long: an opt-out that
they cannot reach is none.
"""

from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from fastapi import FastAPI
from playwright.sync_api import Browser, Page

from sender.store.engine import open_store
from sender.suppression.links import NOBODY, token_keys
from sender.vocabulary import BlockCause, Channel, Reason
from sender.web.pages import routes
from tests.support.browsing import MEASURE, WIDTHS, flaws, press, strike, tab_to
from tests.support.campaign_folder import open_office
from tests.support.factory import establish
from tests.support.opt_out_door import ONE_CLICK, Door, Message, introduce, open_door
from tests.support.web_server import serve

NAME = "Riverside and Upper Valley Constituency Association"


@pytest.fixture
def door(sqlite_url: str, tmp_path: Path) -> Iterator[Door]:
    store = open_store(sqlite_url)
    with open_door(store, tmp_path, name=NAME, relatives=["national", "mayor"]) as opened:
        with store.write() as session:
            for slug, name in (("national", "The National Party"), ("mayor", "Sam for Mayor")):
                introduce(session, establish(session, slug), name=name)
        yield opened
    store.close()


def new_message(door: Door) -> Message:
    with door.store.write() as session:
        return door.send(session)


def every_page(door: Door, page: Page) -> Iterator[str]:
    """Walk through every page that a reader can meet, and name each as it is shown."""
    message = new_message(door)
    page.goto(door.url + message.link)
    yield "asking"
    press(page, "Stop only “Campaign news”")
    yield "purpose stopped"
    press(page, "Stop all emails")
    yield "stopped"
    press(page, "Undo")
    yield "undone partly"
    press(page, "Stop everything")
    yield "objected"
    page.get_by_label("The National Party").check()
    press(page, "Pass it on to those I ticked")
    yield "passed on"
    press(page, "I want emails again")
    yield "return asked"
    page.goto(door.url + door.confirmation())
    yield "coming back"
    press(page, "Yes, I want them again")
    yield "came back"
    page.goto(door.url + message.link + "/return/x")
    yield "way back too old"
    page.goto(door.url + door.sms.link)
    yield "text message"
    page.goto(door.url + "/u/broken")
    yield "broken"
    keys = token_keys(door.context.settings)
    page.goto(f"{door.url}/u/{keys.make(4_000_000, bytes(16))}")
    yield "row missing"
    page.goto(f"{door.url}/u/{keys.make(NOBODY, None)}")
    yield "preview"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(door: Door, look: Callable[..., Page], scheme: str) -> None:
    page = look("about:blank", color_scheme=scheme)
    found = {}
    for name in every_page(door, page):
        found[name] = flaws(page)
    assert len(found) == 14
    assert {name: rules for name, rules in found.items() if rules} == {}


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_every_page_fits_and_its_targets_can_be_hit(
    door: Door, look: Callable[..., Page], width: int
) -> None:
    page = look("about:blank", viewport={"width": width, "height": 700})
    for name in every_page(door, page):
        seen = page.evaluate(MEASURE)
        assert (seen["overflow"], seen["small"]) == (0, []), name
        assert (seen["headings"], seen["landmarks"], seen["language"]) == (1, 1, "en-GB"), name
        assert page.title() == page.locator("h1").inner_text(), name


def test_a_result_is_told_as_status_at_the_top(door: Door, look: Callable[..., Page]) -> None:
    page = look(door.url + door.link)
    assert page.evaluate(MEASURE)["status"] == 0
    press(page, "Stop all emails")
    assert page.evaluate(MEASURE)["status"] == 1
    assert page.title() == "Stopped: no more emails"
    first = page.locator("main > *").first
    assert first.get_attribute("role") == "status"


def test_all_can_be_done_by_keyboard_alone(door: Door, look: Callable[..., Page]) -> None:
    page = look(door.url + door.link)
    tab_to(page, "Stop all emails")
    strike(page, "Enter")
    assert page.title() == "Stopped: no more emails"
    tab_to(page, "Undo")
    strike(page, "Enter")
    assert page.title().startswith("Undone")
    assert door.blocks() == set()
    tab_to(page, "Stop everything")
    strike(page, "Enter")
    assert page.title() == f"Stopped: nothing more from {NAME}"
    tab_to(page, "The National Party")
    page.keyboard.press("Space")
    tab_to(page, "Pass it on to those I ticked")
    strike(page, "Space")
    assert page.title() == "Passed on"
    assert "The National Party" in page.locator("main").inner_text()
    tab_to(page, "I want emails again")
    strike(page, "Enter")
    page.goto(door.url + door.confirmation())
    tab_to(page, "Yes, I want them again")
    strike(page, "Enter")
    assert door.blocks() == set()


def test_all_works_without_javascript(door: Door, look: Callable[..., Page]) -> None:
    page = look("about:blank", java_script_enabled=False)
    seen = [(name, page.title()) for name in every_page(door, page)]
    assert len({title for _, title in seen}) == len(seen)


def test_nothing_is_asked_for_elsewhere_nor_kept(door: Door, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    for _ in every_page(door, page):
        pass
    assert [url for url in asked if not url.startswith(f"{door.url}/u/")] == []
    # The three statuses of refusal are all that the browser has to say.
    assert {text.partition("status of ")[2][:3] for text in said} <= {"404", "410", "503"}
    assert context.cookies() == []
    context.close()


def test_who_asks_for_less_motion_gets_none(door: Door, look: Callable[..., Page]) -> None:
    calm = look(door.url + door.link, reduced_motion="reduce")
    moving = look(door.url + door.link, reduced_motion="no-preference")
    duration = "() => getComputedStyle(document.querySelector('button')).transitionDuration"
    assert calm.evaluate(duration) == "0s"
    assert moving.evaluate(duration) != "0s"


def test_the_controllers_colour_is_on_its_pages(door: Door, look: Callable[..., Page]) -> None:
    ground = "() => getComputedStyle(document.querySelector('button.main')).backgroundColor"
    assert look(door.url + door.link, color_scheme="light").evaluate(ground) == "rgb(122, 31, 92)"
    assert look(door.url + door.link, color_scheme="dark").evaluate(ground) != "rgb(122, 31, 92)"


def test_a_forwarded_message_tells_whose_it_is_and_how_to_take_it_back(
    door: Door, look: Callable[..., Page]
) -> None:
    friend = look(door.url + door.link)
    text = friend.locator("main").inner_text()
    assert "a•••@e•••.org" in text
    assert "somebody passed this message on to you" in text
    press(friend, "Stop all emails")
    reader = look(door.url + door.link)
    assert reader.get_by_role("button", name="Undo").count() == 0
    press(friend, "Undo")
    assert door.blocks() == set()


def test_from_the_message_in_the_inbox_to_the_next_run(
    sqlite_url: str, tmp_path: Path, look: Callable[..., Page]
) -> None:
    store = open_store(sqlite_url)
    with open_office(store, tmp_path, people=3) as office:
        run_id, _ = office.launch(office.email())
        app = FastAPI()
        app.include_router(routes(office.context))
        first, second, _ = sorted((tmp_path / "outbox" / f"run-{run_id}").glob("*.eml"))
        with serve(app) as url:
            page = look(url + link_in_text(first))
            press(page, "Stop all emails")
            assert page.title() == "Stopped: no more emails"
            program = requests.post(url + link_in_header(second), ONE_CLICK, timeout=30)
            assert program.status_code == 200
        next_id, _ = office.launch(office.email(name="summer"))
        counts = office.counts(next_id)
        assert counts.handed_over == 1
        assert counts.by_reason == {Reason.SUPPRESSED: 2}
    store.close()


def link_in_header(path: Path) -> str:
    message = message_from_bytes(path.read_bytes(), policy=policy.default)
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    return path_of(message["List-Unsubscribe"])


def link_in_text(path: Path) -> str:
    message = message_from_bytes(path.read_bytes(), policy=policy.default)
    body = message.get_body(("plain",))
    assert body is not None
    [found] = [word for word in body.get_content().split() if "/u/" in word]
    return path_of(found)


def path_of(written: str) -> str:
    return urlsplit(written.partition(">")[0].strip("< ")).path


def test_a_stop_by_link_in_a_text_message(door: Door, look: Callable[..., Page]) -> None:
    page = look(door.url + door.sms.link, viewport={"width": 360, "height": 700})
    press(page, "Stop all text messages")
    assert "•••89" in page.locator("main").inner_text()
    assert door.blocks(door.sms.address_id) == {(BlockCause.OPT_OUT, Channel.SMS.value, False)}
