"""The key that turns addresses into hashes: registered once, and no other is let in."""

import pytest
from sqlalchemy import func, select

from sender.contacts.addresses import find_address_ids
from sender.errors import KeyRefusedError
from sender.settings import Settings, load_settings
from sender.store.addresses import HashKey
from sender.store.engine import Store
from sender.store.keys import AddressHasher, register_key, require_key
from sender.vocabulary import Channel
from tests.support.factory import HASHER, NOW, address_id_of
from tests.support.waiting import Rival

WRONG = AddressHasher(bytes(range(1, 33)))


def test_the_first_key_becomes_the_databases_own(store: Store) -> None:
    with store.write() as session:
        register_key(session, HASHER, NOW)
    with store.write() as session:
        register_key(session, HASHER, NOW)
        require_key(session, HASHER)
        assert session.scalar(select(func.count()).select_from(HashKey)) == 1


def test_a_wrong_key_is_refused_and_not_registered(store: Store) -> None:
    with store.write() as session:
        register_key(session, HASHER, NOW)
    with store.read() as session, pytest.raises(KeyRefusedError, match="not the key"):
        require_key(session, WRONG)
    with pytest.raises(KeyRefusedError), store.write() as session:
        register_key(session, WRONG, NOW)
    with store.read() as session:
        require_key(session, HASHER)
        assert session.scalar(select(func.count()).select_from(HashKey)) == 1


def test_a_database_without_a_key_knows_none(store: Store) -> None:
    with store.read() as session, pytest.raises(KeyRefusedError):
        require_key(session, HASHER)


def test_a_wrong_key_finds_nobody(store: Store) -> None:
    with store.write() as session:
        address_id = address_id_of(session, "ann@example.org")
        found = find_address_ids(session, HASHER, Channel.EMAIL, ["ann@example.org"])
        assert found == {"ann@example.org": address_id}
        assert find_address_ids(session, WRONG, Channel.EMAIL, ["ann@example.org"]) == {}


def test_the_same_text_on_two_channels_is_two_addresses() -> None:
    number = "+447700900123"
    assert HASHER.hash(Channel.SMS, number) != HASHER.hash(Channel.EMAIL, number)


def test_neither_fingerprint_nor_refusal_tells_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "ab" * 31
    monkeypatch.setenv("SENDER_HASH_KEY", secret)
    settings = load_settings()
    with pytest.raises(KeyRefusedError) as refused:
        _ = settings.hash_keys
    assert secret not in str(refused.value)
    assert secret not in repr(settings)
    assert HASHER.fingerprint not in bytes(range(32)).hex()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "is not set"),
        ("", "is not set"),
        ("ab" * 31, "has 31 bytes"),
        ("not hexadecimal", "not hexadecimal"),
        ("abc" * 33, "not hexadecimal"),
    ],
)
def test_a_missing_or_malformed_key_is_refused_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, text: str | None, problem: str
) -> None:
    monkeypatch.delenv("SENDER_HASH_KEY", raising=False)
    if text is not None:
        monkeypatch.setenv("SENDER_HASH_KEY", text)
    with pytest.raises(KeyRefusedError, match=problem) as refused:
        _ = Settings().hash_keys
    assert "secrets.token_hex(32)" in refused.value.remedy


def test_a_key_of_32_bytes_is_taken_with_stray_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENDER_HASH_KEY", f" {'ab' * 32}\n")
    assert Settings().hash_keys == (b"\xab" * 32,)


@pytest.mark.parametrize("dialect", ["postgresql"])
def test_two_first_commands_with_different_keys_register_one(store: Store) -> None:
    def register_wrong() -> None:
        with store.write() as session:
            register_key(session, WRONG, NOW)

    rival = Rival(store, register_wrong)
    with store.write() as session:
        register_key(session, HASHER, NOW)
        rival.start()
    with pytest.raises(KeyRefusedError):
        rival.finish()
    with store.read() as session:
        assert session.scalars(select(HashKey.fingerprint)).all() == [HASHER.fingerprint]
