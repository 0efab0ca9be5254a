"""The bare bulk load beside the import: parse a CSV file, write its cells into one plain table.

    python -m benchmarks.bare_load SQLITE_FILE|POSTGRESQL_URL FILE.csv

COPY on PostgreSQL, executemany on SQLite, one transaction, text columns, no key and no index.
"""

import csv
import json
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

import psycopg
from psycopg import sql

AT_ONCE = 10_000


def main() -> None:
    where, file = sys.argv[1:]
    with Path(file).open(encoding="utf-8", newline="") as source:
        reader = csv.reader(source)
        names = next(reader)
        load = _into_postgresql if where.startswith("postgresql:") else _into_sqlite
        rows = load(where, names, reader)
    print(json.dumps({"counts": {"created": rows}}))


def _into_sqlite(path: str, names: Sequence[str], reader: Iterator[list[str]]) -> int:
    columns = ", ".join(f'"{name}" TEXT' for name in names)
    statement = f"INSERT INTO bare VALUES ({', '.join('?' * len(names))})"  # only marks
    done = 0
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"CREATE TABLE bare ({columns})")
        connection.execute("BEGIN IMMEDIATE")
        while some := list(islice(reader, AT_ONCE)):
            connection.executemany(statement, some)
            done += len(some)
        connection.execute("COMMIT")
    return done


def _into_postgresql(url: str, names: Sequence[str], reader: Iterator[list[str]]) -> int:
    columns = sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(name)) for name in names)
    done = 0
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE TABLE bare ({})").format(columns))
        with cursor.copy("COPY bare FROM STDIN") as copy:
            for row in reader:
                copy.write_row(row)
                done += 1
    return done


if __name__ == "__main__":
    main()
