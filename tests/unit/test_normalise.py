"""One address, one spelling."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sender.contacts import normalise as module
from sender.contacts.normalise import (
    AddressRefusal,
    AddressRefusedError,
    normalise,
    normalise_email,
    normalise_number,
)
from sender.vocabulary import Channel


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("jo@example.org", "jo@example.org"),
        ("  Jo.Bloggs@Example.ORG ", "jo.bloggs@example.org"),
        ("info@example.org", "info@example.org"),
        ("jo\u200b@example.org\ufeff", "jo@example.org"),
        ("jo@ example.org", "jo@example.org"),
        ("jo@bücher.example.de", "jo@xn--bcher-kva.example.de"),
        ("\uff4ao@example.org", "jo@example.org"),
        ("o'neill+news@example.co.uk", "o'neill+news@example.co.uk"),
    ],
)
def test_email_spellings_fold_into_one(raw: str, expected: str) -> None:
    assert normalise_email(raw) == expected


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("", AddressRefusal.EMPTY),
        (" \u200b", AddressRefusal.EMPTY),
        ("jo", AddressRefusal.MALFORMED),
        ("jo@localhost", AddressRefusal.MALFORMED),
        ("jo@host.invalid", AddressRefusal.MALFORMED),
        ("jo..b@example.org", AddressRefusal.MALFORMED),
        ("Jo <jo@example.org>", AddressRefusal.MALFORMED),
        ("ü@example.org", AddressRefusal.MALFORMED),
        ("a@example.org,b@example.org", AddressRefusal.MALFORMED),
        ("a" * 65 + "@example.org", AddressRefusal.MALFORMED),
    ],
)
def test_email_that_cannot_be_meant_is_refused(raw: str, code: AddressRefusal) -> None:
    with pytest.raises(AddressRefusedError) as caught:
        normalise_email(raw)
    assert caught.value.code is code
    assert caught.value.remedy
    assert "example" not in str(caught.value)


@pytest.mark.parametrize(
    "raw",
    [
        "07911 123456",
        "+44 7911 123456",
        "+44 (0)7911 123456",
        "0044 7911 123456",
        "447911123456",
        "7911123456",
        "'+447911123456",
        "07911\u00a0123\u2011456",
        "\uff10\uff17\uff19\uff11\uff11 123456",
        "\u202a07911-123456\u202c",
    ],
)
def test_number_spellings_fold_into_one(raw: str) -> None:
    assert normalise_number(raw) == "+447911123456"


def test_number_without_country_code_belongs_to_its_region() -> None:
    assert normalise_number("0612345678", region="FR") == "+33612345678"
    assert normalise_number("+33 6 12 34 56 78") == "+33612345678"
    assert normalise_number("+1 415 555 2671") == "+14155552671"


def test_number_of_a_range_not_listed_yet_passes() -> None:
    assert normalise_number("07700 900123") == "+447700900123"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("", AddressRefusal.EMPTY),
        ("4.47E+11", AddressRefusal.SPREADSHEET),
        ("4,47E+11", AddressRefusal.SPREADSHEET),
        ("4.477E+11", AddressRefusal.SPREADSHEET),
        ("447911123456.0", AddressRefusal.SPREADSHEET),
        ("0800FLOWERS", AddressRefusal.MALFORMED),
        ("07911123456 ext 5", AddressRefusal.MALFORMED),
        ("999", AddressRefusal.NOT_POSSIBLE),
        ("+999123456789", AddressRefusal.NOT_POSSIBLE),
        ("020 7946 0000", AddressRefusal.NOT_MOBILE),
        ("07012 345678", AddressRefusal.NOT_MOBILE),
        ("0800 1111", AddressRefusal.NOT_MOBILE),
    ],
)
def test_number_that_cannot_take_a_text_is_refused(raw: str, code: AddressRefusal) -> None:
    with pytest.raises(AddressRefusedError) as caught:
        normalise_number(raw)
    assert caught.value.code is code


def _spelling(channel: Channel, raw: str) -> str | None:
    try:
        return normalise(channel, raw)
    except AddressRefusedError:
        return None


@given(st.sampled_from(Channel), st.text() | st.emails() | st.from_regex(r"\+?[0-9 ()-]{6,16}"))
@example(Channel.EMAIL, "a\u200b\u0301@example.org")
@example(Channel.EMAIL, "jo@BÜCHER.de")
def test_normalising_twice_changes_nothing(channel: Channel, raw: str) -> None:
    once = _spelling(channel, raw)
    assert once is None or normalise(channel, once) == once


labels = st.from_regex(r"[a-zA-Z0-9._+'-]{1,70}", fullmatch=True)
domains = st.lists(st.from_regex(r"[a-z0-9-]{1,65}", fullmatch=True), min_size=1, max_size=4)


@given(labels, domains, st.sampled_from(["org", "co.uk", "test", "x", "xn--p1ai", "123"]))
@example("a", ["xn--bcher-kva"], "org")
@example("a", ["ab--cd"], "org")
@example("a", ["a" * 63], "org")
@example("a" * 64, ["b" * 63, "c" * 63, "d" * 57], "org")
def test_quick_email_path_agrees_with_the_library(local: str, middle: list[str], top: str) -> None:
    lowered = f"{local}@{'.'.join(middle)}.{top}".lower()
    if module._is_plain_email(lowered):
        assert module._email_by_library(lowered) == lowered


@given(st.from_regex(r"(\+44|0044|0)7[0-9]{9}", fullmatch=True))
@example("07624123456")
@example("07781123456")
def test_quick_number_path_agrees_with_the_library(text: str) -> None:
    quick = module._plain_british_mobile(text, "GB")
    if quick is not None:
        assert quick == module._number_by_library(text, "GB")
