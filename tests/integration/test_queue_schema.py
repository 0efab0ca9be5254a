"""The job queue's tables come, grow and go with ours, and with nobody else's."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from sender.errors import DatabaseError
from sender.store import queue_schema
from sender.store.engine import Store, open_store
from sender.store.migrate import downgrade, upgrade
from sender.store.queue_schema import _migrations, install_queue, newest_queue_schema
from sender.store.queue_schema import queue_schema as installed
from sender.store.schema import require_current

OLDER = "03.02.00_50_post_batch_defer_jobs"
SHAPE = text(
    """
    SELECT 'column ' || table_name || '.' || column_name || ' ' || data_type
    FROM information_schema.columns WHERE table_name LIKE 'procrastinate%'
    UNION ALL SELECT 'function ' || oid::regprocedure || md5(prosrc)
    FROM pg_proc WHERE proname LIKE 'procrastinate%'
    UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE tgname LIKE 'procrastinate%'
    UNION ALL SELECT 'label ' || enumlabel FROM pg_enum
    UNION ALL SELECT 'index ' || indexname FROM pg_indexes WHERE tablename LIKE 'procrastinate%'
    """
)


@pytest.fixture
def store(postgresql_url: str) -> Iterator[Store]:
    opened = open_store(postgresql_url)
    yield opened
    opened.close()


def shape(store: Store) -> list[str]:
    with store.engine.connect() as connection:
        return sorted(connection.scalars(SHAPE))


def run(store: Store, *statements: str) -> None:
    with store.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def put_back(store: Store, newest: str) -> None:
    """Leave the database with the queue's tables as an older library made them."""
    with store.engine.begin() as connection:
        queue_schema.remove_queue(connection)
    for path in _migrations():
        if path.stem > newest:
            break
        # One transaction each: a new enum value cannot be used in the one that adds it.
        with store.engine.begin() as connection:
            queue_schema._execute(connection, path.read_text())
    run(store, f"COMMENT ON TABLE procrastinate_jobs IS 'Procrastinate schema {newest}'")


def test_an_upgrade_brings_the_queue_and_says_which(store: Store) -> None:
    with store.engine.connect() as connection:
        assert installed(connection) == newest_queue_schema()
        assert connection.scalar(text("SELECT count(*) FROM procrastinate_jobs")) == 0


def test_an_older_queue_is_refused_and_then_upgraded_with_its_jobs(
    store: Store, postgresql_url: str
) -> None:
    whole = shape(store)
    put_back(store, OLDER)
    run(store, "INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('send', 'send')")
    with pytest.raises(DatabaseError, match=f"job queue is at {OLDER}") as refused:
        require_current(store)
    assert "sender db upgrade" in refused.value.remedy
    upgrade(postgresql_url)
    require_current(store)
    assert shape(store) == whole
    with store.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM procrastinate_jobs")) == 1


def test_a_newer_queue_is_left_alone(store: Store, postgresql_url: str) -> None:
    run(store, "COMMENT ON TABLE procrastinate_jobs IS 'Procrastinate schema 99.00.00_01_later'")
    with pytest.raises(DatabaseError, match=r"job queue is at 99\.00\.00"):
        require_current(store)
    with pytest.raises(DatabaseError, match=r"job queue is at 99\.00\.00"):
        upgrade(postgresql_url)


def test_a_queue_of_somebody_else_is_left_alone(store: Store, postgresql_url: str) -> None:
    run(store, "COMMENT ON TABLE procrastinate_jobs IS NULL")
    with pytest.raises(DatabaseError, match="did not install"):
        upgrade(postgresql_url)
    with pytest.raises(DatabaseError, match="did not install"):
        require_current(store)


def test_a_database_without_the_queue_is_refused(store: Store) -> None:
    with store.engine.begin() as connection:
        queue_schema.remove_queue(connection)
    assert shape(store) == []
    with pytest.raises(DatabaseError, match="job queue is at nothing"):
        require_current(store)


def test_a_downgrade_below_the_queue_takes_it_away(store: Store, postgresql_url: str) -> None:
    downgrade(postgresql_url, "0002")
    assert shape(store) == []
    upgrade(postgresql_url)
    require_current(store)


def test_a_second_install_changes_nothing(store: Store) -> None:
    before = shape(store)
    with store.engine.begin() as connection:
        install_queue(connection)
    assert shape(store) == before
