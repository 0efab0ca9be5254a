"""The ring of hash keys: each key hashes what the one before it made; the order is the ring."""

import hmac
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from sender.errors import KeyRefusedError
from sender.settings import Settings
from sender.store.keys import AddressHasher
from sender.vocabulary import Channel

OLDEST, MIDDLE, NEWEST = (bytes([place]) * 32 for place in (1, 2, 3))
ANN = "ann@example.org"


def test_an_address_is_hashed_by_each_key_in_turn_oldest_first() -> None:
    message = b"address\0email\0ann@example.org"
    expected = message
    for key in (OLDEST, MIDDLE, NEWEST):
        expected = hmac.digest(key, expected, "sha256")
    assert AddressHasher(NEWEST, MIDDLE, OLDEST).hash(Channel.EMAIL, ANN) == expected


@given(keys=st.lists(st.binary(min_size=32, max_size=80), min_size=1, max_size=5, unique=True))
def test_a_hash_of_any_time_becomes_the_one_of_today(keys: list[bytes]) -> None:
    ring = AddressHasher(*reversed(keys))
    for made in range(1, len(keys) + 1):
        then = AddressHasher(*reversed(keys[:made]))
        assert ring.lift(then.hash(Channel.SMS, ANN), then.fingerprint) == ring.hash(
            Channel.SMS, ANN
        )


def test_each_order_of_the_keys_is_another_ring() -> None:
    rings = [AddressHasher(*keys) for keys in permutations((OLDEST, MIDDLE, NEWEST))]
    assert len({ring.fingerprint for ring in rings}) == len(rings)
    assert AddressHasher(NEWEST, OLDEST).fingerprint != rings[0].fingerprint


def test_a_fingerprint_of_the_oldest_key_is_what_it_was_before_there_were_rings() -> None:
    digest = hmac.digest(OLDEST, b"consent-sender hash key fingerprint", "sha256")
    assert AddressHasher(MIDDLE, OLDEST).fingerprints[0] == digest.hex()[:32]


def test_a_hash_under_a_key_that_is_not_here_is_refused() -> None:
    ring = AddressHasher(NEWEST, OLDEST)
    with pytest.raises(KeyRefusedError, match="lacks") as refused:
        ring.lift(bytes(32), AddressHasher(MIDDLE, OLDEST).fingerprint)
    assert "rotate-key" in refused.value.remedy


def settings(text: str) -> Settings:
    return Settings(hash_key=SecretStr(text))


def test_the_settings_hold_the_keys_newest_first() -> None:
    text = f"{NEWEST.hex()}, {OLDEST.hex()}\n"
    assert settings(text).hash_keys == (NEWEST, OLDEST)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"{NEWEST.hex()},", "has 0 bytes"),
        (f"{NEWEST.hex()},abcd", "has 2 bytes"),
        (f"{NEWEST.hex()};{OLDEST.hex()}", "not hexadecimal"),
        (f"{NEWEST.hex()},{OLDEST.hex()},{NEWEST.hex()}", "a key twice"),
    ],
)
def test_a_malformed_ring_is_refused_without_the_secret(text: str, problem: str) -> None:
    with pytest.raises(KeyRefusedError, match=problem) as refused:
        _ = settings(text).hash_keys
    assert NEWEST.hex() not in str(refused.value)
