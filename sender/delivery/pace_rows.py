"""The rows of rates and of the runs that want them; the statements are made once a process.

On PostgreSQL each statement stands alone and nothing is locked between two of them: a turn is
written only where the account's arrival time is still the one that was seen, so a process that is
frozen between looking and writing holds nobody up. On SQLite the transaction is the only writer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    Engine,
    Insert,
    Select,
    Table,
    Update,
    bindparam,
    cast,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from sender.delivery.turns import Claim, Decision, share_left
from sender.store.campaigns import RateClaim, RateLimit
from sender.store.portable import table_of

_SLOWED_FOR_SECONDS = 1.0
"""Within this, further throttling is the answer to calls that were on their way already."""

_FORGOTTEN_AFTER_SECONDS = 600.0

_ACCOUNT, _CLAIM = table_of(RateLimit), table_of(RateClaim)
_THIS_ACCOUNT = _ACCOUNT.c.name == bindparam("account")
_THIS_CLAIM = (_CLAIM.c.name == bindparam("account")) & (_CLAIM.c.run_id == bindparam("run"))

_SLOW_DOWN = (
    update(_ACCOUNT)
    .where(
        _THIS_ACCOUNT,
        or_(
            _ACCOUNT.c.slowed_at_seconds.is_(None),
            func.abs(_ACCOUNT.c.slowed_at_seconds - bindparam("at", type_=Double))
            >= _SLOWED_FOR_SECONDS,
        ),
    )
    .values(slowed_to=bindparam("part"), slowed_at_seconds=bindparam("at", type_=Double))
)
_TERMS: dict[str, Any] = {"weight": bindparam("share"), "urgent": bindparam("first")}
_WANT = update(_CLAIM).where(_THIS_CLAIM).values(**_TERMS, wanted_at_seconds=bindparam("at"))
_LONG_SILENT = select(_CLAIM.c.run_id).where(
    _CLAIM.c.name == bindparam("account"), _CLAIM.c.wanted_at_seconds < bindparam("before")
)
_FORGET = delete(_CLAIM).where(_THIS_CLAIM, _CLAIM.c.wanted_at_seconds < bindparam("before"))


def lockless(engine: Engine) -> Engine:
    """Return the engine as the statements here need it: on PostgreSQL, each commits by itself."""
    if engine.dialect.name == "sqlite":
        return engine
    return engine.execution_options(isolation_level="AUTOCOMMIT")


@dataclass(frozen=True, slots=True)
class Seen:
    """What the rows say of one rate; times in seconds.

    Attributes:
        arrival_at: the account's arrival time.
        part_left: the part of the rate, up to 1, that throttling leaves now.
        now: when it was seen, by the clock that all go by.
        mine: the run's own claim, if it has one.
        others: the claims of other runs, those long silent among them.
    """

    arrival_at: float
    part_left: float
    now: float
    mine: Claim | None
    others: Sequence[Claim]


@dataclass(frozen=True, slots=True)
class RateRows:
    """The rows of one rate, as one run sees and writes them; see `Pace` for what each is."""

    dialect: str
    account: str
    run_id: int | None
    weight: int
    urgent: bool

    def look(self, connection: Connection, now: float | None) -> Seen:
        """Read the account and its claims; None for `now` lets PostgreSQL tell the time."""
        values = {"account": self.account, "now": now}
        rows = connection.execute(_look(self.dialect), values).all()
        if not rows:
            connection.execute(_new_account(self.dialect), {"account": self.account})
            rows = connection.execute(_look(self.dialect), values).all()
        arrival_at, slowed_to, slowed_at, seen_at = rows[0][:4]
        claims = {row[4]: _claim(row) for row in rows if row[4] is not None}
        return Seen(
            arrival_at,
            share_left(slowed_to, slowed_at, seen_at),
            seen_at,
            claims.pop(self.run_id, None),
            list(claims.values()),
        )

    def claim(self, connection: Connection, now: float | None) -> None:
        """Add the run's claim, and forget the claims of runs that were long silent."""
        values = {**self._claim_values, "now": now}
        connection.execute(_new_claim(self.dialect), values)
        before = self.look(connection, now).now - _FORGOTTEN_AFTER_SECONDS
        silent = {"account": self.account, "before": before}
        for run_id in connection.scalars(_LONG_SILENT, silent).all():
            connection.execute(_FORGET, {**silent, "run": run_id})

    def want(self, connection: Connection, at: float) -> None:
        """Write that the run wants the rate."""
        connection.execute(_WANT, {**self._claim_values, "at": at})

    def move(self, connection: Connection, seen: Seen, decision: Decision) -> bool:
        """Move the arrival times of the account and, if it has one, of the run's claim.

        Returns:
            False, with nothing written, if another moved the account's since it was seen.
        """
        values: dict[str, Any] = {
            "account": self.account, "seen": seen.arrival_at, "arrival": decision.arrival_at,
        }  # fmt: skip
        if seen.mine is None:
            return connection.execute(_move(self.dialect), values).rowcount == 1
        claimed = {**self._claim_values, "at": seen.now, "own": decision.own_arrival_at}
        if self.dialect == "postgresql":
            return connection.execute(_move_both(), {**values, **claimed}).rowcount == 1
        connection.execute(_move(self.dialect), values)
        return connection.execute(_count_share(), claimed).rowcount == 1

    def slow_down(self, connection: Connection, slowed_to: float, at: float) -> bool:
        """Write the part of the rate that is left; False if that was done within a second."""
        values = {"account": self.account, "part": slowed_to, "at": at}
        return connection.execute(_SLOW_DOWN, values).rowcount == 1

    @property
    def _claim_values(self) -> dict[str, Any]:
        return {
            "account": self.account, "run": self.run_id,
            "share": self.weight, "first": self.urgent,
        }  # fmt: skip


def _claim(row: Sequence[Any]) -> Claim:
    return Claim(weight=row[5], urgent=row[6], wanted_at=row[7], arrival_at=row[8])


def _time(dialect: str) -> ColumnElement[Any]:
    given = bindparam("now", type_=Double)
    if dialect == "sqlite":
        return given
    told = cast(func.extract("epoch", func.statement_timestamp()), Double)
    return func.coalesce(given, told)


@lru_cache
def _look(dialect: str) -> Select[Any]:
    columns = (
        _ACCOUNT.c.arrival_at_seconds, _ACCOUNT.c.slowed_to, _ACCOUNT.c.slowed_at_seconds,
        _time(dialect), _CLAIM.c.run_id, _CLAIM.c.weight, _CLAIM.c.urgent,
        _CLAIM.c.wanted_at_seconds, _CLAIM.c.arrival_at_seconds,
    )  # fmt: skip
    joined = _ACCOUNT.outerjoin(_CLAIM, _CLAIM.c.name == _ACCOUNT.c.name)
    return select(*columns).select_from(joined).where(_THIS_ACCOUNT)


@lru_cache
def _move(dialect: str) -> Update:
    moved = (
        update(_ACCOUNT)
        .where(_THIS_ACCOUNT, _ACCOUNT.c.arrival_at_seconds == bindparam("seen"))
        .values(arrival_at_seconds=bindparam("arrival"))
    )
    if dialect == "sqlite":
        return moved
    # What a crash of the server undoes costs half a second of rate, once: no wait for its disk.
    at_ease = func.set_config("synchronous_commit", "off", True).label("at_ease")
    return moved.returning(_ACCOUNT.c.name, at_ease)


@lru_cache
def _count_share() -> Update:
    changed: dict[str, Any] = {
        "wanted_at_seconds": bindparam("at"),
        "arrival_at_seconds": bindparam("own"),
    }
    return update(_CLAIM).where(_THIS_CLAIM).values(**_TERMS, **changed)


@lru_cache
def _move_both() -> Update:
    """PostgreSQL's: both rows or neither, in one statement."""
    moved = _move("postgresql").cte("moved")
    return _count_share().where(_CLAIM.c.name == moved.c.name)


@lru_cache
def _new_account(dialect: str) -> Insert:
    made = _insert(dialect)(_ACCOUNT).values(name=bindparam("account"), arrival_at_seconds=0.0)
    return made.on_conflict_do_nothing()


@lru_cache
def _new_claim(dialect: str) -> Insert:
    made = _insert(dialect)(_CLAIM).values(
        **_TERMS,
        name=bindparam("account"),
        run_id=bindparam("run"),
        wanted_at_seconds=_time(dialect),
        arrival_at_seconds=_time(dialect),
    )
    return made.on_conflict_do_nothing()


def _insert(dialect: str) -> Callable[[Table], sqlite.Insert | postgresql.Insert]:
    return sqlite.insert if dialect == "sqlite" else postgresql.insert
