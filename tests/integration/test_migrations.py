"""One history of the schema serves both databases, up and down."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, inspect, text

from sender.errors import DatabaseError
from sender.store.engine import Store, open_store
from sender.store.migrate import alembic_config, downgrade, upgrade
from sender.store.schema import NEWEST, require_current
from sender.store.tables import metadata
from tests.support.every_table import fill


@contextmanager
def opened(url: str) -> Iterator[Store]:
    store = open_store(url)
    try:
        yield store
    finally:
        store.close()


def shape(store: Store) -> dict[str, tuple[object, ...]]:
    """Return all that a migration could leave behind: columns, keys, indexes, triggers."""
    found = MetaData()
    found.reflect(store.engine)
    triggers = {
        "sqlite": "SELECT name || sql FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname || tgrelid::regclass::text FROM pg_trigger"
        " WHERE NOT tgisinternal",
    }
    with store.engine.connect() as connection:
        names = sorted(connection.scalars(text(triggers[store.dialect])))
    tables = {
        name: (
            sorted(f"{column.name} {column.type} {column.nullable}" for column in table.columns),
            sorted(str(index.name) for index in table.indexes),
            sorted(str(constraint.name) for constraint in table.constraints),
        )
        for name, table in found.tables.items()
    }
    return {**tables, "triggers": tuple(names)}


def is_ours(_item: object, name: str | None, kind: str, *_: object) -> bool:
    """Leave the job queue's tables out, as migrations/env.py does."""
    return not (kind == "table" and (name or "").startswith("procrastinate_"))


def test_there_is_one_head_and_one_base() -> None:
    scripts = ScriptDirectory.from_config(alembic_config())
    assert scripts.get_heads() == [NEWEST]
    assert len(scripts.get_bases()) == 1


def test_the_models_and_the_migrations_agree(store: Store) -> None:
    with store.engine.connect() as connection:
        opts = {"compare_type": True, "include_object": is_ours}
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, metadata) == []


def test_alembic_check_agrees(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that a maintainer runs by hand finds the database by its variable."""
    monkeypatch.setenv("SENDER_DATABASE_URL", database_url)
    command.check(alembic_config())


def test_up_down_and_up_again_is_the_same(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    with opened(empty_database_url) as store:
        first = shape(store)
        assert set(metadata.tables) <= set(first)
        assert first["triggers"]
        with store.write() as session:
            fill(session)
    downgrade(empty_database_url, "base")
    upgrade(empty_database_url)
    with opened(empty_database_url) as store:
        assert shape(store) == first


def test_a_downgrade_to_base_leaves_nothing_behind(database_url: str) -> None:
    with opened(database_url) as store, store.write() as session:
        fill(session)
    downgrade(database_url, "base")
    with opened(database_url) as store:
        assert inspect(store.engine).get_table_names() == ["alembic_version"]
        assert shape(store)["triggers"] == ()
        if store.dialect == "postgresql":
            assert _scalars(store, "SELECT proname FROM pg_proc WHERE proname LIKE 'sender%'") == []
            types = "SELECT typname FROM pg_type WHERE typtype = 'e'"
            assert _scalars(store, types) == []


def _scalars(store: Store, query: str) -> list[object]:
    with store.engine.connect() as connection:
        return list(connection.scalars(text(query)))


def test_a_second_upgrade_changes_nothing(database_url: str) -> None:
    with opened(database_url) as store:
        before = shape(store)
    upgrade(database_url)
    with opened(database_url) as store:
        assert shape(store) == before


def test_two_processes_may_upgrade_at_once(empty_database_url: str) -> None:
    program = "import sys; from sender.store.migrate import upgrade; upgrade(sys.argv[1])"
    command_line = [sys.executable, "-W", "error", "-c", program, empty_database_url]
    processes = [
        subprocess.Popen(command_line, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    with opened(empty_database_url) as store:
        require_current(store)


def test_a_failed_upgrade_leaves_nothing_half_made(empty_database_url: str) -> None:
    """A table in the way of the schema: all of the upgrade is taken back."""
    with opened(empty_database_url) as store, store.engine.begin() as connection:
        connection.execute(text("CREATE TABLE suppression_payload (id INTEGER)"))
    with pytest.raises(Exception, match="suppression_payload"):
        upgrade(empty_database_url)
    with opened(empty_database_url) as store:
        assert inspect(store.engine).get_table_names() == ["suppression_payload"]


def test_a_database_that_was_never_migrated_is_refused(empty_database_url: str) -> None:
    with (
        opened(empty_database_url) as store,
        pytest.raises(DatabaseError, match="not been set up") as refused,
    ):
        require_current(store)
    assert "sender db upgrade" in refused.value.remedy


def test_a_database_of_another_version_is_refused(store: Store) -> None:
    require_current(store)
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'later'"))
    with pytest.raises(DatabaseError, match="schema later; this program needs"):
        require_current(store)
