"""An ask that is written so that a program does not read it is an ask all the same."""

import pytest

from sender.rendering.disguise import plain_letters, unmasked
from sender.rendering.kind_lint import lint, lint_html
from tests.unit.test_kind_lint import CLEAN, OWN

DISGUISED = [
    "V\u043ete for us",
    "\u1d20\u1d0f\u1d1b\u1d07 for us",
    "v0te for us",
    "V O T E for us",
    "V O T E  N O W",
    "v.o.t.e for us",
    "V-o-t-e for us",
    "vo-te for us",
    "d\u03bfn\u03b1te today",
    "do\u00b7nate today",
    "d0nate",
    "please don@te today",
    "\U0001f1fb\U0001f1f4\U0001f1f9\U0001f1ea",
    "\U0001f165\U0001f15e\U0001f163\U0001f154 for us",
    "v\u034fote",
    "v\u202aote",
    "v\u0336o\u0336t\u0336e",
    "(v)(o)(t)(e) for us",
    "\u24b1\u24aa\u24af\u24a0 for us",
    "vo[te] for us",
    "s u p p o r t us",
    "https://x.example/d%6Fnate",
]
IN_MARKUP = [
    "<p>vo<code>te</code> for us</p>",
    "<p>vo<ins></ins>te for us</p>",
    "<p>vo<x-y>te</x-y> for us</p>",
    "<p>v<!-- nothing -->ote for us</p>",
    "<div style='display:inline'>vo</div><div style='display:inline'>te for us</div>",
    "<table><tr><td>do</td><td>nate</td></tr></table>",
    "<img src=a.png alt=Donate>",
    "<p>do&shy;nate</p>",
    "<p>&#118;&#x6f;te</p>",
    "<p>d&#x043e;nate</p>",
]


@pytest.mark.parametrize("text", DISGUISED)
def test_disguised_words_are_asks(text: str) -> None:
    assert any(flag.is_final for flag in lint(text, OWN))


@pytest.mark.parametrize("html", IN_MARKUP)
def test_disguising_markup_hides_no_ask(html: str) -> None:
    assert any(flag.is_final for flag in lint_html(html, OWN))


def test_plain_words_stay_plain() -> None:
    for text in CLEAN:
        assert lint_html(f"<table><tr><td>{text}</td><td>{text}</td></tr></table>", OWN) == ()


def test_numbers_and_lists_are_read_as_they_are() -> None:
    assert unmasked(plain_letters("On a scale from 1 to 5, 9am to 3pm, £20")) == (
        "on a scale from 1 to 5, 9am to epm, £20"
    )
