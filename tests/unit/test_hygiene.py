"""Addresses that are worth a look before they are relied on."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.contacts.hygiene import (
    DISPOSABLE_DOMAINS,
    EXPLAINED,
    ROLE_ACCOUNTS,
    AddressFlag,
    flags,
    is_disposable,
)
from sender.contacts.normalise import AddressRefusal, AddressRefusedError, normalise_number
from sender.vocabulary import Channel

NO_TEXTS = (
    phonenumbers.PhoneNumberType.FIXED_LINE,
    phonenumbers.PhoneNumberType.TOLL_FREE,
    phonenumbers.PhoneNumberType.PREMIUM_RATE,
    phonenumbers.PhoneNumberType.VOIP,
    phonenumbers.PhoneNumberType.PERSONAL_NUMBER,
    phonenumbers.PhoneNumberType.PAGER,
    phonenumbers.PhoneNumberType.UAN,
)
"""The kinds of number of the British plan that take no text messages."""


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("ann@example.org", ()),
        ("press@example.org", (AddressFlag.ROLE_ACCOUNT,)),
        ("info+news@example.org", (AddressFlag.ROLE_ACCOUNT,)),
        ("informal@example.org", ()),
        ("ann@mailinator.com", (AddressFlag.DISPOSABLE_DOMAIN,)),
        ("ann@in.mailinator.com", (AddressFlag.DISPOSABLE_DOMAIN,)),
        ("ann@notmailinator.com", ()),
        ("info@yopmail.com", (AddressFlag.ROLE_ACCOUNT, AddressFlag.DISPOSABLE_DOMAIN)),
        ("Ann@Example.ORG", (AddressFlag.MALFORMED,)),
        ("not an address", (AddressFlag.MALFORMED,)),
    ],
)
def test_an_e_mail_address_is_flagged(address: str, found: tuple[AddressFlag, ...]) -> None:
    assert flags(Channel.EMAIL, address) == found


@pytest.mark.parametrize(
    ("number", "found"),
    [
        ("+447911123456", ()),
        ("+442079460000", (AddressFlag.NO_TEXTS,)),
        ("07911 123456", (AddressFlag.MALFORMED,)),
        ("+4479", (AddressFlag.MALFORMED,)),
    ],
)
def test_a_number_is_flagged(number: str, found: tuple[AddressFlag, ...]) -> None:
    assert flags(Channel.SMS, number) == found


@pytest.mark.parametrize(
    ("region", "kind"),
    [*[("GB", kind) for kind in NO_TEXTS], ("DE", phonenumbers.PhoneNumberType.SHARED_COST)],
)
def test_numbers_of_every_kind_that_takes_no_texts_are_refused(region: str, kind: int) -> None:
    number = phonenumbers.example_number_for_type(region, kind)
    assert number is not None
    text = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    with pytest.raises(AddressRefusedError) as refused:
        normalise_number(text)
    assert refused.value.code is AddressRefusal.NOT_MOBILE
    assert flags(Channel.SMS, text) == (AddressFlag.NO_TEXTS,)


@given(st.sampled_from(list(Channel)), st.text(max_size=80))
def test_whatever_is_held_can_be_looked_at(channel: Channel, text: str) -> None:
    assert set(flags(channel, text)) <= set(EXPLAINED)


def test_the_lists_are_in_the_spelling_that_is_compared() -> None:
    for word in (*ROLE_ACCOUNTS, *DISPOSABLE_DOMAINS):
        assert word == word.strip().lower()
    assert all(is_disposable(domain) for domain in DISPOSABLE_DOMAINS)
    assert len(EXPLAINED) == len(AddressFlag)
