"""Tokens of confirmation links: ours alone, for this use alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.signup.tokens import SALT_BYTES, TOKEN_LENGTH, make_token, new_salt, read_token
from sender.suppression.tokens import TokenKeys, TokenRefusedError

KEYS = TokenKeys.parse("2:" + "cd" * 32 + ",1:" + "ab" * 32)
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
OLD, NEW = TokenKeys.parse("1:" + "ab" * 32), TokenKeys.parse("2:" + "cd" * 32)


@given(number=st.integers(0, 2**40 - 1), salt=st.binary(min_size=SALT_BYTES, max_size=SALT_BYTES))
def test_a_token_says_what_it_was_made_of(number: int, salt: bytes) -> None:
    token = make_token(KEYS, number, salt)
    assert len(token) == TOKEN_LENGTH
    assert token.isascii()
    assert token.isalnum()
    for written in (token, token.upper()):
        told = read_token(KEYS, written)
        assert (told.sign_up_id, told.salt) == (number, salt)


@given(st.text(max_size=60))
def test_what_we_did_not_make_is_refused(text: str) -> None:
    with pytest.raises(TokenRefusedError):
        read_token(KEYS, text)


@given(
    place=st.integers(0, TOKEN_LENGTH - 1),
    letter=st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"),
)
def test_any_other_letter_is_refused(place: int, letter: str) -> None:
    token = make_token(KEYS, 7, b"salt")
    changed = token[:place] + letter + token[place + 1 :]
    if changed != token:
        with pytest.raises(TokenRefusedError):
            read_token(KEYS, changed)


def test_a_new_key_signs_and_an_old_one_still_verifies() -> None:
    assert read_token(KEYS, make_token(OLD, 7, b"salt")).sign_up_id == 7
    assert read_token(KEYS, make_token(NEW, 7, b"salt")).sign_up_id == 7
    with pytest.raises(TokenRefusedError):
        read_token(NEW, make_token(OLD, 7, b"salt"))


def test_a_signature_for_another_use_is_none_here() -> None:
    told = (7).to_bytes(5) + b"salt"
    assert KEYS.signed("sign-up", told, KEYS.sign("sign-up", told))
    assert not KEYS.signed("sign-up", told, KEYS.sign("return", told))


def test_no_two_salts_are_alike() -> None:
    assert len({new_salt() for _ in range(50)}) == 50
