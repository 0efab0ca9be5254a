"""No more than a provider account's daily quota leaves, over all processes.

One row per account says how much is left. Processes take from it what they are about to send, and
give back what they did not. It is counted anew, by whoever finds it older than a minute.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, bindparam, case, select, update
from sqlalchemy.orm import Session

from sender.clock import Clock
from sender.errors import ProviderError
from sender.providers.base import Capacity
from sender.store.alert_book import raise_alert
from sender.store.campaigns import AccountQuota
from sender.store.controllers import ProviderAccount
from sender.store.engine import Store
from sender.store.inbound import Alert
from sender.store.portable import insert_for, table_of

QUOTA_NEARLY_USED: Final = "quota.nearly_used"
"""Less than a tenth of an account's daily quota is left."""

_COUNT_EVERY = timedelta(minutes=1)
_TOLD_EVERY = timedelta(days=1)
_ON_ITS_WAY_FOR = timedelta(minutes=10)
"""Within this the provider has counted what was taken, or it was given back."""

_REMEDY = "Runs wait once it is used up. Ask the provider for more, or spread campaigns over days."

_QUOTA = table_of(AccountQuota)
_TAKE = (
    update(_QUOTA)
    .where(
        _QUOTA.c.account_id == bindparam("account"),
        _QUOTA.c.counted_at.between(bindparam("since"), bindparam("until")),
        _QUOTA.c.remaining > bindparam("most"),
    )
    .values(
        remaining=_QUOTA.c.remaining - bindparam("most"), taken=_QUOTA.c.taken + bindparam("most")
    )
    .returning(_QUOTA.c.remaining, _QUOTA.c.allowed)
)
_GIVE_BACK = (
    update(_QUOTA)
    .where(_QUOTA.c.account_id == bindparam("account"), _QUOTA.c.remaining.is_not(None))
    .values(
        remaining=_QUOTA.c.remaining + bindparam("back"),
        # What was taken before the last count is not among what was taken since.
        taken=case(
            (_QUOTA.c.taken > bindparam("back"), _QUOTA.c.taken - bindparam("back")), else_=0
        ),
    )
)


@dataclass(frozen=True, slots=True)
class _Stale:
    """The row has to be counted anew, by us: when it was counted last, if ever."""

    counted_at: datetime | None


@dataclass(slots=True)
class Quota:
    """The daily quota of one provider account, as all processes share it.

    Attributes:
        store: where the shared row lies.
        clock: the time.
        account_id: which account.
        count: asks the provider what is left.
    """

    store: Store
    clock: Clock
    account_id: int
    count: Callable[[], Capacity]
    _unlimited_from: datetime | None = field(default=None, init=False)

    def take(self, most: int) -> int:
        """Take up to so many messages (> 0) and return how many may go; 0: it is used up.

        An account without a quota costs one look a minute.

        Raises:
            ProviderError: it was never counted, and the provider does not tell.
        """
        now = self.clock.now()
        if self._unlimited_from is not None and _is_fresh(self._unlimited_from, now):
            return most
        if self._take_of_plenty(most, now):
            return most
        taken = self._take_what_is_there(most, now)
        if isinstance(taken, _Stale):
            self._count_anew(taken.counted_at)
            taken = self._take_what_is_there(most, self.clock.now())
        return taken if isinstance(taken, int) else 0

    def give_back(self, messages: int) -> None:
        """Give back what was taken and not sent (>= 0)."""
        if messages > 0 and self._unlimited_from is None:
            with self.store.engine.begin() as connection:
                connection.execute(_GIVE_BACK, {"account": self.account_id, "back": messages})

    def _take_of_plenty(self, most: int, now: datetime) -> bool:
        """Take all of it by one statement, which does where more than that is left."""
        values = {
            "account": self.account_id, "most": most,
            "since": now - _COUNT_EVERY, "until": now + _COUNT_EVERY,
        }  # fmt: skip
        with self.store.engine.begin() as connection:
            row = connection.execute(_TAKE, values).first()
        if row is None:
            return False
        if _is_low(row.remaining, row.allowed) and not _is_low(row.remaining + most, row.allowed):
            self._tell(row.remaining, row.allowed, now)
        return True

    def _take_what_is_there(self, most: int, now: datetime) -> int | _Stale:
        with self.store.write() as session:
            row = self._locked(session)
            if row is None:
                return _Stale(None)
            if not _is_fresh(row.counted_at, now):
                self._change(session, counted_at=now)  # the others go on with what it says
                return _Stale(row.counted_at)
            self._unlimited_from = row.counted_at if row.remaining is None else None
            if row.remaining is None:
                return most
            taken: int = max(0, min(most, row.remaining))
            if taken:
                self._change_by_taking(session, row, taken, now)
        if taken and _is_low(row.remaining - taken, row.allowed):
            self._tell(row.remaining - taken, row.allowed, now)
        return taken

    def _change_by_taking(self, session: Session, row: Row[Any], taken: int, now: datetime) -> None:
        """Take it; what is used up now is counted anew in a minute, when the provider has it."""
        counted_at = now if taken == row.remaining else row.counted_at
        self._change(
            session,
            remaining=row.remaining - taken,
            taken=row.taken + taken,
            counted_at=counted_at,
        )

    def _count_anew(self, counted_at: datetime | None) -> None:
        """Ask the provider, outside of all transactions. While it does not tell, the row holds."""
        try:
            capacity = self.count()
        except ProviderError:
            if counted_at is None:
                raise
            return
        now = self.clock.now()
        with self.store.write() as session:
            row = self._locked(session)
            if row is None or counted_at is None:
                self._add(session, capacity, now)
                return
            on_its_way = row.taken if row.remaining and now - counted_at <= _ON_ITS_WAY_FOR else 0
            left = capacity.remaining_today
            self._change(
                session,
                allowed=capacity.daily_quota,
                remaining=None if left is None else max(0, left - on_its_way),
                taken=0,
                counted_at=now,
                rate_per_second=capacity.rate_per_second,
            )

    def _add(self, session: Session, capacity: Capacity, now: datetime) -> None:
        """Add the row; where another process was quicker, its count holds."""
        added = insert_for(session, AccountQuota).values(
            account_id=self.account_id,
            allowed=capacity.daily_quota,
            remaining=capacity.remaining_today,
            taken=0,
            counted_at=now,
            rate_per_second=capacity.rate_per_second,
        )
        session.execute(added.on_conflict_do_nothing())

    def _locked(self, session: Session) -> Row[Any] | None:
        query = select(_QUOTA).where(_QUOTA.c.account_id == self.account_id).with_for_update()
        return session.execute(query).first()

    def _change(self, session: Session, **values: Any) -> None:
        where = _QUOTA.c.account_id == self.account_id
        session.execute(update(_QUOTA).where(where).values(**values))

    def _tell(self, left: int, allowed: int, now: datetime) -> None:
        """Raise the alert, at most once a day."""
        with self.store.write() as session:
            name = session.get_one(ProviderAccount, self.account_id).name
            told_at = session.scalar(
                select(Alert.last_at).where(Alert.kind == QUOTA_NEARLY_USED, Alert.subject == name)
            )
            if told_at is None or now - told_at >= _TOLD_EVERY:
                because = f"{left:,} of {allowed:,} messages a day are left."
                details = {"because": because, "remedy": _REMEDY}
                raise_alert(session, QUOTA_NEARLY_USED, name, now=now, details=details)


def _is_fresh(counted_at: datetime, now: datetime) -> bool:
    return abs(now - counted_at) <= _COUNT_EVERY


def _is_low(left: int, allowed: int | None) -> bool:
    return allowed is not None and left * 10 < allowed
