"""Hashes of other systems: read as they are written, made as they were made."""

import hashlib
import hmac
from base64 import b64encode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.contacts.normalise import AddressRefusedError, normalise_number
from sender.errors import KeyRefusedError, UsageError
from sender.suppression.foreign_digests import (
    HashAlgorithm,
    digest_by,
    read_digest,
    read_key,
    spellings,
)
from sender.vocabulary import Channel

ANN = "ann@example.org"
SECRET = "a key of the old system"


@pytest.mark.parametrize("algorithm", HashAlgorithm)
@given(data=st.data())
def test_a_hash_is_read_in_each_usual_form_and_in_no_other_length(
    algorithm: HashAlgorithm, data: st.DataObject
) -> None:
    digest = data.draw(st.binary(min_size=algorithm.size, max_size=algorithm.size))
    forms = [
        digest.hex(),
        digest.hex().upper(),
        f" {digest.hex()} ",
        b64encode(digest).decode(),
        b64encode(digest).decode().rstrip("="),
        urlsafe_b64encode(digest).decode(),
    ]
    assert [read_digest(algorithm, form) for form in forms] == [digest] * len(forms)
    for form in (digest.hex()[:-2], digest.hex() + "00", b64encode(digest + b"x").decode()):
        assert read_digest(algorithm, form) is None


@pytest.mark.parametrize("text", ["", "ann@example.org", "g" * 64, "ä" * 64, "=" * 44, "é" * 43])
def test_what_is_no_hash_is_told(text: str) -> None:
    assert read_digest(HashAlgorithm.SHA256, text) is None


def test_plain_hashes_are_those_that_everybody_makes() -> None:
    made = {one: digest_by(one, None)(ANN).hex() for one in HashAlgorithm if not one.is_keyed}
    assert made == {
        HashAlgorithm.SHA256: hashlib.sha256(ANN.encode()).hexdigest(),
        HashAlgorithm.SHA1: hashlib.sha1(ANN.encode(), usedforsecurity=False).hexdigest(),
        HashAlgorithm.MD5: hashlib.md5(ANN.encode(), usedforsecurity=False).hexdigest(),
    }


@pytest.mark.parametrize(
    ("written", "secret"),
    [
        (SECRET, SECRET.encode()),
        (f" {SECRET}\n", SECRET.encode()),
        ("hex:00ff10", b"\x00\xff\x10"),
        ("base64:AP8Q", b"\x00\xff\x10"),
    ],
)
def test_keyed_hashes_use_the_key_as_it_is_written(written: str, secret: bytes) -> None:
    key = read_key("OLD_KEY", {"OLD_KEY": written})
    expected = hmac.new(secret, ANN.encode(), "sha256").digest()
    assert digest_by(HashAlgorithm.HMAC_SHA256, key)(ANN) == expected
    assert SECRET not in repr(key)


def test_a_fingerprint_tells_keys_apart_and_nothing_of_them() -> None:
    ours, theirs = (read_key("K", {"K": text}) for text in ("one key", "another key"))
    assert ours.fingerprint != theirs.fingerprint
    assert len(ours.fingerprint) == 32
    assert "one" not in ours.fingerprint


@pytest.mark.parametrize("written", ["", "  ", "hex:xyz", "base64:!!"])
def test_a_key_that_is_missing_or_unreadable_is_refused_without_telling_it(written: str) -> None:
    with pytest.raises(KeyRefusedError) as refused:
        read_key("OLD_KEY", {"OLD_KEY": written})
    assert "OLD_KEY" in str(refused.value)
    assert "xyz" not in str(refused.value)


def test_a_key_in_place_of_a_name_is_refused_without_repeating_it() -> None:
    with pytest.raises(UsageError) as refused:
        read_key("the key itself!", {})
    assert "itself" not in str(refused.value)


def test_email_is_hashed_in_the_spellings_that_are_usual() -> None:
    assert {*spellings(Channel.EMAIL, ANN)} == {ANN, ANN.upper()}
    assert "jo@bücher.example" in {*spellings(Channel.EMAIL, "jo@xn--bcher-kva.example")}
    assert {*spellings(Channel.EMAIL, "jo@xn--.example")} >= {"jo@xn--.example"}


@given(national=st.from_regex(r"7[1-57-9][0-9]{8}", fullmatch=True))
def test_numbers_are_hashed_in_each_way_of_writing_them(national: str) -> None:
    try:
        normalised = normalise_number(f"0{national}")
    except AddressRefusedError:
        return
    assert {*spellings(Channel.SMS, normalised)} == {
        f"+44{national}",
        f"44{national}",
        f"0044{national}",
        f"0{national}",
    }


def test_numbers_from_abroad_have_no_first_zero() -> None:
    assert {*spellings(Channel.SMS, "+33612345678")} == {
        "+33612345678",
        "33612345678",
        "0033612345678",
    }
