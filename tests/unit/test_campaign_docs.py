"""Every example of the campaign file's reference is read, and every key is described there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sender.campaigns import definition, schedule
from sender.campaigns.definition import parse_campaign
from sender.contacts.filter import FIELDS, Operator
from sender.vocabulary import CampaignKind, ContactSource, OptOutStyle, Priority

REFERENCE = Path(__file__).parents[2] / "docs" / "campaign-file.md"
TEXT = REFERENCE.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```toml\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
CAMPAIGN = """\
name = "example"
controller = "national"
channel = "email"
purpose = "campaign-news"
subject = "News"
template = "spring.html"
max_recipients = 1
"""
FILES = {
    "spring.html": "",
    "spring.txt": "",
    "polling-day.txt": "",
    "people.sql": "SELECT email, first_name, ward FROM people",
    "layouts:standard": "",
}


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 12
    assert TEXT.count("```") == 2 * len(EXAMPLES) + 2  # and one sample of what `check` prints


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_read(example: str) -> None:
    text = example if example.startswith("name = ") else CAMPAIGN + example
    parse_campaign(text, FILES, REFERENCE)


def _words() -> Iterator[str]:
    yield from definition._KEYS
    yield from schedule._SCHEDULE_KEYS
    yield from (*FIELDS, *Operator, *CampaignKind, *ContactSource, *OptOutStyle, *Priority)
    yield from ("where", "all", "any", "not", "in", "starts_with", "has", "from", "to", "style")
    yield from ("url_env", "query", "address", "reference", "attributes")


@pytest.mark.parametrize("word", sorted(set(_words())))
def test_every_word_is_in_the_reference(word: str) -> None:
    assert re.search(rf"`\[?{word}\]?`|^{word} = |{{ {word} =", TEXT, re.MULTILINE)
