"""A refresh campaign's file: what it must say, and what only it may."""

from pathlib import Path
from typing import Any

import pytest

from sender.campaigns.definition import load_campaign
from sender.toml.source import FileErrors
from sender.vocabulary import Channel
from tests.support.campaign_folder import campaign_toml

ASKS = '[audience]\nexpiring_within = "60d"\n'
LINKED = '<p>Go on? <a href="{{ confirm_url }}">Yes</a></p>\n'
PLAIN = "<p>Come along.</p>\n"


def problems(folder: Path, more: str = ASKS, letter: str = LINKED, **changed: Any) -> str:
    """Return what is wrong with the file; nothing where it is sound."""
    (folder / "letter.html").write_text(letter, encoding="utf-8")
    (folder / "letter.txt").write_text("Unsubscribe: {{ opt_out_url }}\n", encoding="utf-8")
    path = folder / "campaign.toml"
    path.write_text(campaign_toml(Channel.EMAIL, more, **changed), encoding="utf-8")
    try:
        load_campaign(path)
    except FileErrors as refused:
        return str(refused)
    return ""


@pytest.mark.parametrize(("written", "days"), [("60d", 60), ("8w", 56), ("30", 30)])
def test_it_says_whose_consent_ends_within_which_time(
    tmp_path: Path, written: str, days: int
) -> None:
    assert problems(tmp_path, ASKS.replace("60d", written)) == ""
    within = load_campaign(tmp_path / "campaign.toml").audience.expiring_within
    assert within is not None
    assert within.days == days


@pytest.mark.parametrize("written", ["0d", "soon", "99999d", "-3", "2m"])
def test_a_time_that_cannot_be_meant_is_refused(tmp_path: Path, written: str) -> None:
    assert "1 to 3,650 days" in problems(tmp_path, ASKS.replace("60d", written))


def test_its_message_carries_the_confirm_link(tmp_path: Path) -> None:
    assert "lacks the link" in problems(tmp_path, letter=PLAIN)
    assert "text_template" in problems(tmp_path, text_template="letter.txt")


def test_no_other_campaign_carries_it(tmp_path: Path) -> None:
    assert "expiring_within" in problems(tmp_path, more="")
    assert problems(tmp_path, more="", letter=PLAIN) == ""


def test_it_speaks_for_one_controller_and_is_marketing(tmp_path: Path) -> None:
    assert "one controller" in problems(tmp_path, on_behalf_of=["party"])
    assert "marketing" in problems(tmp_path, kind="service")


def test_it_takes_no_source(tmp_path: Path) -> None:
    more = f'{ASKS}[audience.source]\nurl_env = "CRM"\nquery = "q.sql"\naddress = "email"\n'
    (tmp_path / "q.sql").write_text("SELECT email FROM people", encoding="utf-8")
    assert "beside a source" in problems(tmp_path, more)
