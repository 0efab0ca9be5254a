"""Fixtures of the tests that work on databases."""

from collections.abc import Iterator

import pytest

from sender.store.engine import Store, open_store


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A fresh, migrated database, on each dialect in turn."""
    opened = open_store(database_url)
    yield opened
    opened.close()
