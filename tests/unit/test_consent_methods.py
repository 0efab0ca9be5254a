"""Silence, boxes ticked beforehand and inference are no act of consent (guidance ¶24-25)."""

import pytest

from sender.consent.methods import is_no_act, is_no_answer


@pytest.mark.parametrize(
    "method",
    [
        "pre-ticked",
        "Pre-ticked box on the form",
        "Opt-out box",
        "soft opt-in",
        "purchase",
        "Bought list",
        "inferred from donation",
        "Implied",
        "membership",
        "clicked",
        "legitimate_interests",
    ],
)
def test_no_act(method: str) -> None:
    assert is_no_act(method)


@pytest.mark.parametrize(
    "method",
    ["web-form", "paper", "doorstep", "donation-form", "double-opt-in", "phone", "casework"],
)
def test_act(method: str) -> None:
    assert not is_no_act(method)


@pytest.mark.parametrize(
    "text", ["", " ", "-", "?", "n/a", "N/A", "NULL", "None", "unknown", "tbc"]
)
def test_what_only_fills_a_cell_is_no_answer(text: str) -> None:
    assert is_no_answer(text)


@pytest.mark.parametrize("text", ["paper", "box 7", "7", "unknown 12", "form N/A-3", "Ö"])
def test_answer(text: str) -> None:
    assert not is_no_answer(text)
