"""Which spellings of an address fill one mailbox."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.contacts.mailbox import mailbox_of
from sender.contacts.normalise import normalise_email


@pytest.mark.parametrize(
    ("address", "plainest"),
    [
        ("jo@example.org", "jo@example.org"),
        ("jo.may@example.org", "jo.may@example.org"),
        ("jo+news@example.org", "jo@example.org"),
        ("jo+a+b@example.org", "jo@example.org"),
        ("j.o+news@gmail.com", "jo@gmail.com"),
        ("j.o@googlemail.com", "jo@gmail.com"),
        ("+jo@example.org", "+jo@example.org"),
    ],
)
def test_what_follows_a_plus_sign_is_left_out_and_dots_at_gmail(
    address: str, plainest: str
) -> None:
    assert mailbox_of(address) == plainest


names = st.from_regex(r"[a-z0-9+]{1,9}(\.[a-z0-9+]{1,9})?", fullmatch=True)


@given(names, st.sampled_from(("gmail.com", "googlemail.com", "example.org")))
def test_the_plainest_spelling_is_an_address_and_its_own(name: str, domain: str) -> None:
    plainest = mailbox_of(f"{name}@{domain}")
    assert mailbox_of(plainest) == plainest
    assert normalise_email(plainest) == plainest
