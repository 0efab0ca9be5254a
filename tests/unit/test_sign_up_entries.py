"""What a form amounts to: addresses with their ticks, or what is wrong, told by what was typed."""

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.signup.entries import Filled, Problem, examine
from sender.signup.open_form import Box, OpenForm
from sender.vocabulary import Channel

BOXES = tuple(
    Box(channel, place, slug, slug.title())
    for channel in Channel
    for place, slug in enumerate(("news", "local-issue:school"))
)
FORM = OpenForm(cast("Any", None), cast("Any", None), cast("Any", None), BOXES)
EMAIL, SMS = Channel.EMAIL, Channel.SMS
VALUES = [box.value for box in BOXES]


def filled(email: str = "", mobile: str = "", *ticked: str) -> Filled:
    return Filled({EMAIL: email, SMS: mobile}, frozenset(ticked))


def test_each_address_has_its_own_ticks() -> None:
    found = examine(
        FORM,
        filled(" Ann@Example.ORG ", "07700 900789", "email:news", "sms:local-issue:school"),
    )
    assert [
        (one.channel, one.address, [box.value for box in one.boxes]) for one in found.entries
    ] == [
        (EMAIL, "ann@example.org", ["email:news"]),
        (SMS, "+447700900789", ["sms:local-issue:school"]),
    ]
    assert not found.problems


def test_one_thing_that_is_wrong_keeps_all_of_it_out() -> None:
    found = examine(FORM, filled("ann@example.org", "020 7946 0018", "email:news", "sms:news"))
    assert found.entries == ()
    assert found.problems == {SMS: Problem.NOT_MOBILE}


@pytest.mark.parametrize(
    ("mobile", "problem"),
    [
        ("020 7946 0018", Problem.NOT_MOBILE),
        ("0800 1111", Problem.NOT_MOBILE),
        ("0909 879 0000", Problem.NOT_MOBILE),
        ("07012 345678", Problem.NOT_MOBILE),
        ("076 1234 5678", Problem.NOT_MOBILE),
        ("0345 123 4567", Problem.NOT_MOBILE),
        ("+33 6 12 34 56 78", Problem.FROM_ABROAD),
        ("+1 202 555 0143", Problem.FROM_ABROAD),
        ("12", Problem.ADDRESS_MALFORMED),
        ("ann", Problem.ADDRESS_MALFORMED),
    ],
)
def test_a_number_that_is_no_mobile_of_here_is_refused(mobile: str, problem: Problem) -> None:
    assert examine(FORM, filled("", mobile, "sms:news")).problems == {SMS: problem}


@pytest.mark.parametrize("mobile", ["07911 123456", "+44 7700 900789", "0044 7700 900789"])
def test_a_mobile_is_taken(mobile: str) -> None:
    [entry] = examine(FORM, filled("", mobile, "sms:news")).entries
    assert entry.address.startswith("+447")


@given(st.text(max_size=400), st.text(max_size=400), st.frozensets(st.sampled_from([*VALUES, "x"])))
def test_whatever_is_typed_is_taken_whole_or_not_at_all(
    email: str, mobile: str, ticked: frozenset[str]
) -> None:
    found = examine(FORM, Filled({EMAIL: email, SMS: mobile}, ticked))
    assert bool(found.entries) != bool(found.problems)
    for entry in found.entries:
        assert entry.boxes
        assert {box.value for box in entry.boxes} <= ticked
        assert {box.channel for box in entry.boxes} == {entry.channel}


def test_an_entry_shows_no_address_of_itself() -> None:
    found = examine(FORM, filled("ann@example.org", "", "email:news"))
    assert "example.org" not in repr(found)
    assert "example.org" not in repr(filled("ann@example.org"))
