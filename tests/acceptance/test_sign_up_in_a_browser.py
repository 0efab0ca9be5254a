"""The sign-up pages in a real Chromium: by keyboard, on a phone, without JavaScript, by axe.

And from a page of another site, as `sender form snippet` prints it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from sender.signup.open_form import read_open_form
from sender.store.engine import open_store
from sender.vocabulary import BlockCause
from sender.web.sign_up_view import snippet
from tests.support.browsing import MEASURE, WIDTHS, flaws, press, strike, tab_to
from tests.support.factory import add_form
from tests.support.sign_up_hall import ANN, FORM, NUMBER, Hall, open_hall
from tests.support.web_server import serve

BUTTON = "Send me the message to confirm"
NEWS = "Emails about “Campaign news”"
TEXTS = "Text messages about “Campaign news”"


@pytest.fixture
def hall(sqlite_url: str, tmp_path: Path) -> Iterator[Hall]:
    store = open_store(sqlite_url)
    with open_hall(store, tmp_path) as opened:
        yield opened
    store.close()


def fill(page: Page, email: str = ANN, mobile: str = "") -> None:
    page.get_by_label(NEWS, exact=True).check()
    page.get_by_label("Your email address").fill(email)
    if mobile:
        page.get_by_label(TEXTS, exact=True).check()
        page.get_by_label("Your mobile number").fill(mobile)


def every_page(hall: Hall, page: Page) -> Iterator[str]:
    """Walk through every page that somebody can meet, and name each as it is shown."""
    page.goto(hall.url + FORM)
    yield "form"
    press(page, BUTTON)
    yield "nothing ticked"
    fill(page, "ann at example", "020 7946 0018")
    press(page, BUTTON)
    yield "both wrong"
    fill(page, ANN, NUMBER)
    press(page, BUTTON)
    yield "asked"
    assert hall.keep().sent == 2
    page.goto(hall.url + hall.link(0))
    yield "confirming"
    press(page, "Yes, I agree")
    yield "confirmed"
    page.goto(hall.url + hall.link(1))
    press(page, "That was not me")
    yield "disowned"
    page.goto(hall.url + FORM)
    fill(page, "bea@example.org")
    press(page, BUTTON)
    hall.keep()
    hall.wait(days=8)
    page.goto(hall.url + hall.link())
    yield "too old"
    with hall.store.write() as session:
        add_form(session, hall.riverside.controller, version=2, most_a_day=1)
    page.goto(hall.url + FORM)
    fill(page, "cat@example.org", "07700 900123")
    press(page, BUTTON)
    yield "full"
    page.goto(hall.url + "/s/riverside/nothing")
    yield "closed"
    page.goto(hall.url + "/c/broken")
    yield "broken"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(hall: Hall, look: Callable[..., Page], scheme: str) -> None:
    page = look("about:blank", color_scheme=scheme)
    found = {}
    for name in every_page(hall, page):
        found[name] = flaws(page)
    assert len(found) == 11
    assert {name: rules for name, rules in found.items() if rules} == {}


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_every_page_fits_and_its_targets_can_be_hit(
    hall: Hall, look: Callable[..., Page], width: int
) -> None:
    page = look("about:blank", viewport={"width": width, "height": 700})
    for name in every_page(hall, page):
        seen = page.evaluate(MEASURE)
        assert (seen["overflow"], seen["small"]) == (0, []), name
        assert (seen["headings"], seen["landmarks"], seen["language"]) == (1, 1, "en-GB"), name
        assert page.title() == page.locator("h1").inner_text(), name


def test_all_works_without_javascript(hall: Hall, look: Callable[..., Page]) -> None:
    page = look("about:blank", java_script_enabled=False)
    seen = list(every_page(hall, page))
    assert seen[-1] == "broken"
    assert hall.kinds() == ["requested", "requested", "given", "objected", "requested"]


def test_all_can_be_done_by_keyboard_alone(hall: Hall, look: Callable[..., Page]) -> None:
    page = look(hall.url + FORM)
    tab_to(page, NEWS)
    page.keyboard.press("Space")
    tab_to(page, "Your email address")
    page.keyboard.type(ANN)
    strike(page, "Enter")
    assert page.title() == "Now confirm it"
    hall.keep()
    page.goto(hall.url + hall.link())
    tab_to(page, "Yes, I agree")
    strike(page, "Enter")
    assert page.title().startswith("Thank you")
    assert hall.decision().allowed


def test_no_box_is_ever_ticked_beforehand(hall: Hall, look: Callable[..., Page]) -> None:
    page = look("about:blank")
    for name in every_page(hall, page):
        assert page.locator("input:checked").count() == 0, name


def test_nothing_is_asked_for_elsewhere_nor_kept(hall: Hall, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for _ in every_page(hall, page):
        pass
    assert {url.removeprefix(hall.url)[:3] for url in asked} == {"/s/", "/c/"}
    assert context.cookies() == []
    context.close()


def test_what_is_wrong_is_told_at_its_field(hall: Hall, look: Callable[..., Page]) -> None:
    page = look(hall.url + FORM)
    fill(page, "ann at example")
    press(page, BUTTON)
    field = page.get_by_label("Your email address")
    assert field.get_attribute("aria-invalid") == "true"
    told = page.locator(f"#{field.get_attribute('aria-describedby')}")
    assert "no email address" in told.inner_text()
    assert field.input_value() == "ann at example"


def test_the_form_works_from_a_page_of_another_site(hall: Hall, look: Callable[..., Page]) -> None:
    with hall.store.read() as session:
        offered = read_open_form(session, "riverside", "web", hall.clock.now())
        assert offered is not None
        html = snippet(session, offered, hall.url + FORM)
    whole = f"<!doctype html><html lang=en><title>Join</title><body>{html}</body></html>"
    site = Starlette(routes=[Route("/", lambda _request: HTMLResponse(whole))])
    with serve(site) as url:
        page = look(url, java_script_enabled=False)
        fill(page)
        press(page, BUTTON)
        assert page.url == hall.url + FORM
        assert page.title() == "Now confirm it"
    hall.keep()
    page.goto(hall.url + hall.link())
    press(page, "That was not me")
    assert (0, "*", 0, BlockCause.OBJECTION) in hall.blocks()
