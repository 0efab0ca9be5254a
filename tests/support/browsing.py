"""What tests of pages do in a real Chromium: look, measure, press, go by keyboard, ask axe."""

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # has none
from playwright.sync_api import Page

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
SMALLEST_TARGET = 24
"""CSS pixels (WCAG 2.2, 2.5.8)."""
WIDTHS = {"phone": 360, "narrowest": 320, "twice as large": 640, "desk": 1280}
"""320 px is a desk of 1280 px at 400 % (WCAG 2.2, 1.4.10)."""

MEASURE = """() => ({
  overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  small: [...document.querySelectorAll("button, input:not([type=hidden]), a")]
    .filter(one => { const box = one.getBoundingClientRect();
                     return Math.min(box.width, box.height) < SMALLEST; })
    .map(one => one.outerHTML),
  headings: document.querySelectorAll("h1").length,
  landmarks: document.querySelectorAll("main").length,
  language: document.documentElement.lang,
  status: document.querySelectorAll("[role=status] h1").length,
})""".replace("SMALLEST", str(SMALLEST_TARGET))


def press(page: Page, name: str) -> None:
    """Press a button that leads to the next page, and wait for that page to be whole."""
    with page.expect_navigation():
        page.get_by_role("button", name=name, exact=True).click()


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the control of this name has the focus, which must show."""
    for _ in range(30):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        outline = focused.evaluate("one => parseFloat(getComputedStyle(one).outlineWidth)")
        assert outline >= 2, "nobody sees where the focus is"
        label = focused.evaluate("one => one.labels?.[0]?.innerText ?? one.innerText")
        if label == name:
            return
    pytest.fail(f"no Tab leads to {name}")


def strike(page: Page, key: str) -> None:
    """Strike a key that leads to the next page, and wait for that page to be whole."""
    with page.expect_navigation():
        page.keyboard.press(key)


def flaws(page: Page) -> list[str]:
    """Return the rules of axe that a page breaks; of what axe cannot tell, the contrast."""
    response = Axe().run(page, options={"resultTypes": ["violations", "incomplete"]}).response
    unsure = [one["id"] for one in response["incomplete"] if one["id"] == "color-contrast"]
    return [one["id"] for one in response["violations"]] + unsure
