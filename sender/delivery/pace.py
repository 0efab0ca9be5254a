"""No faster than the provider account allows, over all processes, and shared among its runs.

One row per account holds the theoretical arrival time of its next message, one row per run that
wants the rate when its own next message is due (`sender/delivery/turns.py` decides). A reservation
is one short transaction under a lock on the account's row.

The time is PostgreSQL's own, so that machines need not agree on theirs. SQLite has none; there all
processes are on one machine and share its clock.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    Executable,
    Table,
    bindparam,
    cast,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from sender.clock import Clock
from sender.delivery.turns import (
    LONGEST_WAIT,
    MOST_RESERVED_SECONDS,
    SLOWEST,
    Claim,
    Decision,
    Turn,
    believable,
    decide,
    share_left,
    wants,
)
from sender.store.campaigns import RateClaim, RateLimit
from sender.store.engine import Store
from sender.store.portable import table_of

_BURST_SECONDS = 0.1
"""Messages that go out one call each leave as fast as they can within a turn: so much of the rate
stays within a hundredth of what ten seconds allow."""

_SLOWED_FOR_SECONDS = 1.0
"""Within this, further throttling is the answer to calls that were on their way already."""

_STILL_WANTED_AFTER_SECONDS = 0.2
"""How old a run's word that it wants the rate grows before it is written again."""

_FORGOTTEN_AFTER_SECONDS = 3_600.0
_ASK_AGAIN = Turn(granted=False, wait=timedelta(milliseconds=100))
_NO_TIME = timedelta(0)

_ACCOUNT, _CLAIM = table_of(RateLimit), table_of(RateClaim)

_CLAIMS = select(
    _CLAIM.c.run_id,
    _CLAIM.c.weight,
    _CLAIM.c.urgent,
    _CLAIM.c.wanted_at_seconds,
    _CLAIM.c.arrival_at_seconds,
).where(_CLAIM.c.name == bindparam("account"))
_MOVE = (
    update(_ACCOUNT)
    .where(_ACCOUNT.c.name == bindparam("account"))
    .values(arrival_at_seconds=bindparam("arrival"))
)
_SLOW_DOWN = (
    update(_ACCOUNT)
    .where(_ACCOUNT.c.name == bindparam("account"))
    .values(slowed_to=bindparam("left"), slowed_at_seconds=bindparam("at"))
)
_CLAIM_AGAIN = (
    update(_CLAIM)
    .where(_CLAIM.c.name == bindparam("account"), _CLAIM.c.run_id == bindparam("run"))
    .values(
        weight=bindparam("share"),
        urgent=bindparam("first"),
        wanted_at_seconds=bindparam("now"),
        arrival_at_seconds=bindparam("arrival"),
    )
)
_HELD_AT_MOST_MILLISECONDS = "5000"
"""A machine that is frozen or lost while it holds the account's row stops the others no longer."""

_FORGET = delete(_CLAIM).where(
    _CLAIM.c.name == bindparam("account"), _CLAIM.c.wanted_at_seconds < bindparam("before")
)


@dataclass(frozen=True, slots=True)
class _Account:
    """What the account's row says, and the time it was locked at."""

    arrival_at: float
    slowed_to: float | None
    slowed_at: float | None
    now: float

    @property
    def share_left(self) -> float:
        return share_left(self.slowed_to, self.slowed_at, self.now)


@dataclass(slots=True)
class Pace:
    """The pace of one provider account, for one run. Safe to use from several threads at once.

    Attributes:
        store: where the shared rows lie.
        clock: for the time of reservations, where the database has none.
        name: of the account's rate.
        rate_per_second: what the account allows, > 0.
        run_id: whose messages they are; None takes part in no sharing, as tests do.
        weight: the run's share beside the weights of other runs, > 0.
        urgent: whether the run goes before those that are not.
        own_clock: take `clock` on PostgreSQL too, as who holds the time in the hand must.
    """

    store: Store
    clock: Clock
    name: str
    rate_per_second: float
    run_id: int | None = None
    weight: int = 1
    urgent: bool = False
    own_clock: bool = False
    _share: float = field(default=1.0, init=False)
    _claimed: bool = field(default=False, init=False)
    _ask_after: datetime | None = field(default=None, init=False)
    _one_asks: threading.Lock = field(default_factory=threading.Lock, init=False)

    @property
    def current_rate_per_second(self) -> float:
        """The rate as of the last reservation: lower than allowed while throttling is recent."""
        return self.rate_per_second * self._share

    def most_at_once(self, limit: int, *, in_one_call: bool) -> int:
        """Return how many messages one reservation may be for: at least one, at most `limit`.

        Args:
            limit: the most that the provider takes.
            in_one_call: whether they leave in one provider call; otherwise each leaves by itself.
        """
        seconds = MOST_RESERVED_SECONDS if in_one_call else _BURST_SECONDS
        return max(1, min(limit, int(self.current_rate_per_second * seconds)))

    def reserve(self, messages: int) -> Turn:
        """Ask for room for so many messages (> 0) and return when to use it, or to ask again.

        Of the threads of one process one asks at a time; what it was told holds for the others.
        """
        with self._one_asks:
            if (left := self._told_to_wait()) > _NO_TIME:
                return Turn(granted=False, wait=left)
            turn = self._ask(messages)
            self._ask_after = None if turn.granted else self.clock.now() + turn.wait
            return turn

    def slow_down(self) -> None:
        """Halve the rate for all processes after the provider throttled.

        Once a second at most, and never below a twentieth; it recovers by a twentieth a second.
        """
        with self.store.engine.begin() as connection:
            account = self._lock(connection)
            left = account.share_left
            if account.slowed_at is None or _apart(account.now, account.slowed_at):
                left = max(SLOWEST, left / 2)
                values = {"account": self.name, "left": left, "at": account.now}
                connection.execute(_SLOW_DOWN, values)
        self._share = left

    def _told_to_wait(self) -> timedelta:
        if self._ask_after is None:
            return _NO_TIME
        left = self._ask_after - self.clock.now()
        return left if left <= LONGEST_WAIT else _NO_TIME  # the clock was set back meanwhile

    def _ask(self, messages: int) -> Turn:
        if self.run_id is not None and not self._claimed:
            self._claim()
        turn = self._try_once(messages)
        if turn is None:  # the claim was forgotten
            self._claim()
            turn = self._try_once(messages)
        return turn or _ASK_AGAIN

    def _claim(self) -> None:
        """Make the run's claim. The reference to its run may wait for a lock: not under ours."""
        with self.store.engine.begin() as connection:
            values = {"account": self.name, "run": self.run_id, **self._terms, "now": self._now()}
            connection.execute(_new_claim(connection.dialect.name), values)
        self._claimed = True

    @property
    def _terms(self) -> dict[str, Any]:
        return {"share": self.weight, "first": self.urgent}

    def _try_once(self, messages: int) -> Turn | None:
        """Decide under the account's lock; None if the run has no claim."""
        with self.store.engine.begin() as connection:
            account = self._lock(connection)
            self._share = account.share_left
            claims = self._claims(connection, account.now) if self.run_id is not None else {}
            mine = claims.pop(self.run_id, None)
            if self.run_id is not None and mine is None:
                return None
            rivals = [claim for claim in claims.values() if wants(claim, account.now)]
            arrival = believable(account.arrival_at, self.rate_per_second, account.now)
            seconds = messages / self.current_rate_per_second
            decision = decide(arrival, seconds, account.now, mine, rivals)
            if decision.turn.granted:
                moved = {"account": self.name, "arrival": decision.arrival_at}
                connection.execute(_MOVE, moved)
            if mine is not None:
                self._claim_again(connection, account.now, mine, decision, shared=bool(rivals))
        return decision.turn

    def _claim_again(
        self, connection: Connection, now: float, mine: Claim, decision: Decision, *, shared: bool
    ) -> None:
        """Write what the others need to know; a run that is alone need not count its share."""
        counted = shared and decision.turn.granted
        if counted or abs(now - mine.wanted_at) > _STILL_WANTED_AFTER_SECONDS:
            values = {"account": self.name, "run": self.run_id, **self._terms, "now": now}
            connection.execute(_CLAIM_AGAIN, {**values, "arrival": decision.own_arrival_at})

    def _lock(self, connection: Connection) -> _Account:
        values = {"account": self.name, "now": self._now()}
        statement = _locked_account(connection.dialect.name)
        row = connection.execute(statement, values).first()
        if row is None:
            connection.execute(_new_account(connection.dialect.name), {"account": self.name})
            row = connection.execute(statement, values).one()
        return _Account(row[0], row[1], row[2], row[3])

    def _claims(self, connection: Connection, now: float) -> dict[int | None, Claim]:
        rows = connection.execute(_CLAIMS, {"account": self.name}).all()
        forgotten = now - _FORGOTTEN_AFTER_SECONDS
        if any(row[3] < forgotten for row in rows):
            connection.execute(_FORGET, {"account": self.name, "before": forgotten})
        return {row[0]: Claim(row[1], row[2], row[3], row[4]) for row in rows if row[3] > forgotten}

    def _now(self) -> float | None:
        """Return the time to go by, or None to let PostgreSQL tell it."""
        ours = self.own_clock or self.store.dialect == "sqlite"
        return self.clock.now().timestamp() if ours else None


def _time(dialect: str) -> ColumnElement[float]:
    given = bindparam("now", type_=Double)
    if dialect == "sqlite":
        return given
    return func.coalesce(given, cast(func.extract("epoch", func.clock_timestamp()), Double))


@lru_cache
def _locked_account(dialect: str) -> Executable:
    """Lock the account's row and read it. On SQLite the transaction itself is the lock.

    A reservation that a crash of PostgreSQL undoes costs a second of rate, once: the commit does
    not wait for the disk.
    """
    columns = (_ACCOUNT.c.arrival_at_seconds, _ACCOUNT.c.slowed_to, _ACCOUNT.c.slowed_at_seconds)
    query = select(*columns, _time(dialect)).where(_ACCOUNT.c.name == bindparam("account"))
    if dialect == "sqlite":
        return query
    settings = {
        "idle_in_transaction_session_timeout": _HELD_AT_MOST_MILLISECONDS,
        "synchronous_commit": "off",
    }
    local = [func.set_config(name, value, True) for name, value in settings.items()]
    return query.add_columns(*local).with_for_update()


@lru_cache
def _new_account(dialect: str) -> Executable:
    made = _insert(dialect)(_ACCOUNT).values(name=bindparam("account"), arrival_at_seconds=0.0)
    return made.on_conflict_do_nothing()


@lru_cache
def _new_claim(dialect: str) -> Executable:
    made = _insert(dialect)(_CLAIM).values(
        name=bindparam("account"),
        run_id=bindparam("run"),
        weight=bindparam("share"),
        urgent=bindparam("first"),
        wanted_at_seconds=_time(dialect),
        arrival_at_seconds=_time(dialect),
    )
    return made.on_conflict_do_nothing()


def _insert(dialect: str) -> Callable[[Table], sqlite.Insert | postgresql.Insert]:
    return sqlite.insert if dialect == "sqlite" else postgresql.insert


def _apart(now: float, slowed_at: float) -> bool:
    return abs(now - slowed_at) >= _SLOWED_FOR_SECONDS
