from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.errors import SettingsError
from sender.suppression.tokens import HIGHEST_DELIVERY_ID, TokenKeys, TokenRefusedError

OLD, NEW = "1:" + "11" * 32, "2:" + "22" * 32
KEYS = TokenKeys.parse(f"{NEW},{OLD}")
SALT = b"s" * 16
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@given(st.integers(min_value=0, max_value=HIGHEST_DELIVERY_ID))
def test_a_token_gives_its_delivery_back(delivery_id: int) -> None:
    token = KEYS.make(delivery_id, SALT)
    assert len(token) == 22
    assert token.isalnum()
    assert token.isascii()
    assert KEYS.read(token).delivery_id == delivery_id
    assert KEYS.read(token).is_for(SALT)


@given(
    st.integers(min_value=0, max_value=HIGHEST_DELIVERY_ID),
    st.integers(min_value=0, max_value=21),
    st.sampled_from(ALPHABET),
)
def test_no_other_token_is_taken_for_it(delivery_id: int, place: int, other: str) -> None:
    token = KEYS.make(delivery_id, SALT)
    forged = token[:place] + other + token[place + 1 :]
    if forged == token:
        return
    with suppress(TokenRefusedError):
        assert not KEYS.read(forged).is_for(SALT)


@given(st.binary(min_size=16, max_size=16))
def test_a_token_of_ours_does_not_speak_for_a_row_of_another_run(other: bytes) -> None:
    token = KEYS.read(KEYS.make(7, SALT))
    assert token.delivery_id == 7
    assert token.is_for(other) == (other == SALT)
    assert not token.is_for(None)


def test_a_run_without_a_salt_keeps_its_links() -> None:
    assert KEYS.read(KEYS.make(7, None)).is_for(None)


@given(st.binary(max_size=40), st.binary(min_size=16, max_size=16))
def test_a_signature_holds_for_its_use_and_message_only(message: bytes, other: bytes) -> None:
    signature = KEYS.sign("undo", message)
    assert KEYS.signed("undo", message, signature)
    assert not KEYS.signed("return", message, signature)
    assert not KEYS.signed("undo", message + b"x", signature)
    assert KEYS.signed("undo", message, other) == (other == signature)
    assert KEYS.signed("undo", message, TokenKeys.parse(OLD).sign("undo", message))


def test_an_old_key_verifies_and_does_not_sign() -> None:
    of_old_key = TokenKeys.parse(OLD).make(7, SALT)
    assert KEYS.read(of_old_key).is_for(SALT)
    assert KEYS.make(7, SALT) != of_old_key


def test_a_key_that_is_gone_verifies_nothing() -> None:
    token = KEYS.make(7, SALT)
    with pytest.raises(TokenRefusedError):
        TokenKeys.parse(OLD).read(token)


def test_the_secret_decides_not_the_key_id() -> None:
    token = TokenKeys.parse("2:" + "33" * 32).make(7, SALT)
    with pytest.raises(TokenRefusedError):
        KEYS.read(token)


@pytest.mark.parametrize(
    "token", ["", "a", "z" * 22, "0" * 21, "0" * 23, "-" * 22, "٣" * 22, " " * 22, "0" * 22]
)
def test_damaged_tokens_are_refused_without_being_repeated(token: str) -> None:
    with pytest.raises(TokenRefusedError) as refusal:
        KEYS.read(token)
    assert len(token) < 2 or token not in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    ["", "1", "1:", "1:zz", "x:" + "11" * 32, "256:" + "11" * 32, "-1:" + "11" * 32,
     "1:" + "11" * 31, f"{OLD},{OLD}", f"{OLD},"],
)  # fmt: skip
def test_malformed_key_rings_are_refused_without_the_secret(text: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        TokenKeys.parse(text)
    assert "11" * 8 not in str(refusal.value)


def test_delivery_ids_beyond_56_bits_are_a_programming_error() -> None:
    for delivery_id in (-1, HIGHEST_DELIVERY_ID + 1):
        with pytest.raises(ValueError, match="56 bits"):
            KEYS.make(delivery_id, SALT)


def test_keys_do_not_show_their_secrets() -> None:
    assert "1111" not in repr(KEYS)
    assert "\\x11" not in repr(KEYS)
