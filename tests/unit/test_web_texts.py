"""The public pages say nothing that is not in the texts, and the texts hold nothing unused."""

import re
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter

import pytest
from jinja2 import Environment
from jinja2.lexer import TOKEN_DATA

from sender.inbound.opt_out_message import Stopped
from sender.resources import resource_folder
from sender.vocabulary import Channel
from sender.web.masking import mask
from sender.web.texts import ENGLISH, Words, channel_words

TEMPLATES = sorted((resource_folder("templates") / "pages").glob("*.html"))
WEB = Path(__file__).parents[2] / "sender" / "web"
PATTERNS = ("opt_out_*.py", "confirm_*.py", "sign_up*.py")
CODE = sorted(path for pattern in PATTERNS for path in WEB.glob(pattern))
SOURCES = "".join(path.read_text(encoding="utf-8") for path in [*TEMPLATES, *CODE])
SPOKEN_ATTRIBUTES = {"alt", "aria-label", "content", "placeholder", "title"}
NOT_SPOKEN = {"width=device-width, initial-scale=1", "light dark", "no-referrer", "noindex"}
KNOWN_VALUES = {
    *("name", "messages", "messages_first", "address", "purpose", "email", "names"),
    *("site", "day"),
}


class Listener(HTMLParser):
    """Hears what a page would say."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def handle_data(self, data: str) -> None:
        self.heard += re.findall(r"\w+", data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 # the base class calls it so
        spoken = [value for name, value in attrs if name in SPOKEN_ATTRIBUTES and value]
        self.heard += [value for value in spoken if value not in NOT_SPOKEN]


def words_of(source: str) -> list[str]:
    listener = Listener()
    tokens = Environment(autoescape=True).lex(source)
    listener.feed("".join(text for _, kind, text in tokens if kind == TOKEN_DATA))
    return listener.heard


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_holds_no_words_of_its_own(template: Path) -> None:
    assert words_of(template.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source", ["<p>Stop</p>", '<button aria-label="Stop">', "{% if x %}Stop{% endif %}"]
)
def test_words_in_a_template_are_heard(source: str) -> None:
    assert words_of(source) == ["Stop"]


def is_named(word: str) -> bool:
    return f"'{word}'" in SOURCES or f'"{word}"' in SOURCES


def is_used(key: str) -> bool:
    """Whether it is named as it stands, or put together from what is named."""
    first, _, last = key.partition(".")
    of_outcome = first in {"title", "lead"} and (last in set(Stopped) or is_named(last))
    of_page = last in {"title", "lead"} and is_named(first)
    return is_named(key) or of_outcome or of_page or first == "channel"


def test_every_text_is_used() -> None:
    assert [key for key in ENGLISH if not is_used(key)] == []


def test_every_text_of_a_template_is_there() -> None:
    named = re.findall(r"'([a-z-]+\.[a-z-]+)'", SOURCES)
    assert len(named) > 15
    assert [key for key in named if key not in ENGLISH] == []


@pytest.mark.parametrize("key", ENGLISH)
def test_a_text_names_known_values_only(key: str) -> None:
    assert {name for _, name, _, _ in Formatter().parse(ENGLISH[key]) if name} <= KNOWN_VALUES


def test_a_text_without_its_value_is_an_error() -> None:
    with pytest.raises(KeyError):
        Words(ENGLISH, {})("title.nothing")
    assert Words(ENGLISH, channel_words(ENGLISH, Channel.SMS))("channel.sms") == "text messages"


@pytest.mark.parametrize(
    ("channel", "address", "shown"),
    [
        (Channel.EMAIL, "ann.archer@example.org", "a•••@e•••.org"),
        (Channel.EMAIL, "a@b.co.uk", "a•••@b•••.uk"),
        (Channel.EMAIL, "ann@xn--bcher-kva.example", "a•••@x•••.example"),
        (Channel.SMS, "+447700900789", "•••89"),
    ],
)
def test_an_address_is_masked_so_that_its_holder_knows_it(
    channel: Channel, address: str, shown: str
) -> None:
    assert mask(channel, address) == shown
