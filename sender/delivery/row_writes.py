"""The two writes that every message costs: the mark before its call, and the acceptance after it.

Written out for each database, because converting what is alike in all rows once a row costs several
times what the database takes: PostgreSQL gets the rows as one document, SQLite as plain tuples.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from sender.store.base import UtcDateTime

_MOMENT: Final = UtcDateTime()

_MARK: Final = """
    UPDATE delivery SET state = 'dispatching', not_before = NULL, version_id = {version},
        controller_version_id = {said_by}, dispatcher_id = {dispatcher}, dispatched_at = {at},
        consent_event_id = {event}, message_hash = {hash}, segments = {parts}, "values" = {used}
"""
_ACCEPT: Final = """
    UPDATE delivery SET accepted_at = COALESCE(accepted_at, {at}), provider_message_id = {name},
        state = CASE WHEN state IN ('dispatching', 'unknown') THEN 'accepted' ELSE state END
"""
_ONCE: Final = ("version", "said_by", "dispatcher", "at")
_IN_SQLITE: Final = dict.fromkeys(("event", "hash", "parts", "used", "name", *_ONCE), "?")
_IN_POSTGRESQL: Final = {
    **{name: f"%({name})s" for name in _ONCE},
    "event": "row.event",
    "hash": "decode(row.hash, 'hex')",
    "parts": "row.parts",
    "used": "row.used",
    "name": "row.name",
}
_BY_ID: Final = "WHERE id = ?"
_MARK_ROWS: Final = """
    FROM json_to_recordset(%(rows)s)
        AS row(id bigint, event bigint, hash text, parts bigint, used json)
    WHERE delivery.id = row.id
"""
_ACCEPT_ROWS: Final = """
    FROM json_to_recordset(%(rows)s) AS row(id bigint, name text) WHERE delivery.id = row.id
"""
_MARK_SQLITE: Final = _MARK.format_map(_IN_SQLITE) + _BY_ID
_MARK_POSTGRESQL: Final = _MARK.format_map(_IN_POSTGRESQL) + _MARK_ROWS
_ACCEPT_SQLITE: Final = _ACCEPT.format_map(_IN_SQLITE) + _BY_ID
_ACCEPT_POSTGRESQL: Final = _ACCEPT.format_map(_IN_POSTGRESQL) + _ACCEPT_ROWS


@dataclass(frozen=True, slots=True)
class Mark:
    """What a mark says of one delivery: see the columns of `delivery`."""

    delivery_id: int
    consent_event_id: int | None
    message_hash: bytes
    segments: int | None
    values: Mapping[str, Any]


def write_marks(
    session: Session,
    marks: Sequence[Mark],
    *,
    version_id: int,
    controller_version_id: int,
    dispatcher_id: int,
    at: datetime,
) -> None:
    """Put these deliveries, which this transaction holds, into `dispatching`."""
    connection = session.connection()
    moment = _moment(session, at)
    if connection.dialect.name == "sqlite":
        once = (version_id, controller_version_id, dispatcher_id, moment)
        rows = [
            (*once, one.consent_event_id, one.message_hash, one.segments,
             json.dumps(dict(one.values)), one.delivery_id)
            for one in marks
        ]  # fmt: skip
        connection.exec_driver_sql(_MARK_SQLITE, rows)
        return
    document = [
        {
            "id": one.delivery_id,
            "event": one.consent_event_id,
            "hash": one.message_hash.hex(),
            "parts": one.segments,
            "used": dict(one.values),
        }
        for one in marks
    ]
    given = {
        "version": version_id,
        "said_by": controller_version_id,
        "dispatcher": dispatcher_id,
        "at": moment,
        "rows": json.dumps(document),
    }
    connection.exec_driver_sql(_MARK_POSTGRESQL, given)


def write_accepted(
    session: Session, message_names: Sequence[tuple[int, str]], at: datetime
) -> None:
    """Write that the provider took these messages, by delivery id and its name for each.

    A delivery that an event has brought further keeps its state.
    """
    connection = session.connection()
    moment = _moment(session, at)
    if connection.dialect.name == "sqlite":
        rows = [(moment, name, delivery_id) for delivery_id, name in message_names]
        connection.exec_driver_sql(_ACCEPT_SQLITE, rows)
        return
    document = [{"id": delivery_id, "name": name} for delivery_id, name in message_names]
    given = {"at": moment, "rows": json.dumps(document)}
    connection.exec_driver_sql(_ACCEPT_POSTGRESQL, given)


def _moment(session: Session, at: datetime) -> Any:
    """Return a moment as the database's driver takes it."""
    dialect = session.get_bind().dialect
    convert = _MOMENT.dialect_impl(dialect).bind_processor(dialect)
    return at if convert is None else convert(at)
