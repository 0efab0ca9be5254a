"""A rotation of the hash key that is killed: nothing has changed, and it can be done again."""

from pathlib import Path

import pytest
from sqlalchemy import insert, select

from sender.contacts.addresses import find_address_ids
from sender.store.addresses import Address
from sender.store.engine import open_store
from sender.store.keys import AddressHasher, register_key, require_key
from sender.vocabulary import Channel
from tests.support.campaign_folder import environment
from tests.support.factory import HASH_KEY, HASHER, NOW, block
from tests.support.nursery import Nurse

NEW_KEY = bytes([2]) * 32
RING = AddressHasher(NEW_KEY, HASH_KEY)
PEOPLE = [f"person{place}@example.org" for place in range(300)]

MOMENTS = {
    "before a range was written": "sender.delivery.key_rotation:rewrite:1:before",
    "when a range was written": "sender.store.key_ring:_write:1:after",
    "before the key is known": "sender.delivery.key_rotation:add_keys:1:before",
    "just before the commit": "sender.delivery.key_rotation:audit:1:after",
    "just after it": "sender.delivery.key_rotation:rotate_key:1:after",
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_any_moment_it_has_happened_whole_or_not_at_all(
    nurse: Nurse, database_url: str, tmp_path: Path, moment: str
) -> None:
    store = open_store(database_url)
    with store.write() as session:
        register_key(session, HASHER, NOW)
        rows = [
            {"channel": Channel.EMAIL, "key_hash": HASHER.hash(Channel.EMAIL, one)}
            for one in PEOPLE
        ]
        session.execute(insert(Address), rows)
        told = find_address_ids(session, HASHER, Channel.EMAIL, PEOPLE[-1:])[PEOPLE[-1]]
        block(session, told)
    environ = environment(tmp_path, database_url) | {
        "SENDER_HASH_KEY": f"{NEW_KEY.hex()},{HASH_KEY.hex()}"
    }
    command = ["db", "rotate-key", "--json"]
    armed = MOMENTS[moment]
    child = nurse.start(command, environ | {"CHAOS_KILL": armed}, tmp_path)
    assert child.wait() == -9
    with store.read() as session:
        require_key(session, RING if moment == "just after it" else HASHER)
    again = nurse.start(command, environ, tmp_path)
    assert again.wait() == 0, again.complaints()
    with store.read() as session:
        require_key(session, RING)
        found = find_address_ids(session, RING, Channel.EMAIL, PEOPLE)
        assert len(found) == len(PEOPLE)
        assert found[PEOPLE[-1]] == told
        assert len(session.scalars(select(Address.id)).all()) == len(PEOPLE)
    store.close()
