"""Ask the providers what their webhooks may have missed; safe to repeat.

    account → what it tells since the last time → `receive` or `take_reply` → what was new

What a webhook brought has the same name here and is known; what is new should have come by one. The
answers are those of the provider's own API, under our credentials, so they are believed as such.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.context import Context
from sender.errors import NotFoundError, RefusedError, SenderError
from sender.inbound.receive import receive
from sender.inbound.reconcile_matching import Matching
from sender.inbound.replies import take_reply
from sender.providers.account import AccountSettings
from sender.providers.events import Notification, PersonsReply
from sender.store.alert_book import raise_alert
from sender.store.controllers import ProviderAccount, SenderIdentity
from sender.store.inbound import InboundNotification, Reconciliation
from sender.store.portable import chunks
from sender.vocabulary import Arrival, ProviderName, ReplyMeaning

FIRST_TIME = timedelta(days=30)
"""How far the first question goes back."""

OVERLAP = timedelta(days=1)
"""How far a question goes back behind the one before: records of providers appear late."""

ON_THE_WAY = timedelta(minutes=15)
"""What is younger may still come by its webhook; it is taken in, and blames nobody."""

MISSED_OPT_OUTS = "reconcile.missed_opt_outs"
"""The alert that people's wishes were found that no webhook had brought."""

_AT_ONCE = 200

Told = Notification | PersonsReply
SettingsOf = Callable[[ProviderAccount], AccountSettings]


@dataclass(slots=True)
class Reconciled:
    """What one account told.

    Attributes:
        account: its name.
        since: from when on it was asked.
        looked_at: how many records it showed.
        new: how many of them were not known, by kind of event or meaning of reply.
        missed: those of `new` that a webhook should have brought by now.
        opt_outs: those of `missed` that stop somebody by their own wish, or may.
        problems: what went wrong; empty if everything was asked.
    """

    account: str
    since: datetime
    looked_at: int = 0
    new: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    opt_outs: int = 0
    problems: list[str] = field(default_factory=list)


def reconcile(
    context: Context,
    settings_of: SettingsOf,
    *,
    account: str | None = None,
    since: datetime | None = None,
) -> list[Reconciled]:
    """Ask each account that some controller sends through; one that fails stops no other.

    Args:
        context: the opened installation.
        settings_of: how an account is configured.
        account: only this one, by its name.
        since: from when on, timezone-aware; else a day before the last complete answer began, and
            30 days back the first time.

    Raises:
        NotFoundError: there is no such account.
        RefusedError: its provider has nothing to be asked for.
    """
    return [_ask(context, row, settings_of, since) for row in _accounts(context, account)]


def _accounts(context: Context, name: str | None) -> Sequence[ProviderAccount]:
    with context.store.read() as session:
        if name is not None:
            return [_named(session, name)]
        used = select(SenderIdentity.provider_account_id)
        query = select(ProviderAccount).where(
            ProviderAccount.provider.in_(list(_SOURCES)), ProviderAccount.id.in_(used)
        )
        return session.scalars(query.order_by(ProviderAccount.name)).all()


def _named(session: Session, name: str) -> ProviderAccount:
    found = session.scalar(select(ProviderAccount).where(ProviderAccount.name == name))
    if found is None:
        raise NotFoundError(
            f"There is no provider account {name}.", remedy="See: sender controller show SLUG"
        )
    if found.provider not in _SOURCES:
        raise RefusedError(
            f"Provider account {name} ({found.provider}) keeps no record that could be asked for.",
            remedy="Bounces of smtp come by mail: sender inbound mailbox DIR",
        )
    return found


def _ask(
    context: Context, account: ProviderAccount, settings_of: SettingsOf, since: datetime | None
) -> Reconciled:
    with context.store.write() as session:
        started_at = context.clock.now()
        begun = since or _since(session, account.id, started_at)
        row = Reconciliation(account_id=account.id, started_at=started_at, found={})
        session.add(row)
    found = Reconciled(account.name, begun)
    asker = _Asker(context, account, found)
    for source in _SOURCES[account.provider]:
        try:
            asker.take_all(source(settings_of(account), context, begun))
        except SenderError as error:
            found.problems.append(str(error))
        except Exception as error:  # noqa: BLE001  # what one account does must not stop the others
            found.problems.append(f"Provider account {account.name}: {type(error).__name__}.")
    with context.store.write() as session:
        _close(session, row.id, found, context.clock.now())
    return found


def _since(session: Session, account_id: int, now: datetime) -> datetime:
    """Return from when on an account is asked; an answer that broke off counts for nothing."""
    query = select(func.max(Reconciliation.started_at)).where(
        Reconciliation.account_id == account_id, Reconciliation.finished_at.is_not(None)
    )
    last = session.scalar(query)
    return now - FIRST_TIME if last is None else last - OVERLAP


def _close(session: Session, row_id: int, found: Reconciled, now: datetime) -> None:
    row = session.get_one(Reconciliation, row_id)
    row.found = {
        "looked_at": found.looked_at,
        "new": dict(found.new),
        "missed": dict(found.missed),
        "opt_outs": found.opt_outs,
    }
    row.finished_at = None if found.problems else now
    if found.opt_outs:
        details = {
            "opt_outs": found.opt_outs,
            "missed": dict(found.missed),
            "because": f"People's wishes that no webhook had brought: {found.opt_outs:,}.",
            "remedy": "Mend the account's webhook (docs/providers.md); these are taken in.",
        }
        raise_alert(session, MISSED_OPT_OUTS, found.account, now=now, details=details)


@dataclass(frozen=True, slots=True)
class _Asker:
    """Takes in what one account tells."""

    context: Context
    account: ProviderAccount
    found: Reconciled

    def take_all(self, told: Iterator[Told]) -> None:
        for some in chunks(told, _AT_ONCE):
            self.found.looked_at += len(some)
            with self.context.store.read() as session:
                known = _settled(session, self.account.provider, [one.name for one in some])
            for one in some:
                if one.name not in known:
                    self._take(one)

    def _take(self, told: Told) -> None:
        if isinstance(told, PersonsReply):
            self._take_reply(told)
        else:
            self._take_notification(told)

    def _take_reply(self, reply: PersonsReply) -> None:
        now = self.context.clock.now()
        reply = replace(reply, account_ids=(self.account.id,))
        with self.context.store.write() as session:
            taken = take_reply(session, self.context, reply, now, arrived_by=Arrival.RECONCILE)
        if not taken.again:
            wish = taken.meaning in {ReplyMeaning.STOP, ReplyMeaning.DOUBTFUL}
            self._count(f"reply:{taken.meaning}", reply.occurred_at, now, wish=wish)

    def _take_notification(self, told: Notification) -> None:
        now = self.context.clock.now()
        with self.context.store.write() as session:
            matching = Matching(session, self.context.hasher, self.account.id)
            told = replace(told, events=tuple(matching.named(one) for one in told.events))
            if not any(matching.concerns_us(event) for event in told.events):
                return
            stopped = [matching.is_stopped(event) for event in told.events]
            received = receive(
                session,
                self.context.hasher,
                told,
                account_id=self.account.id,
                arrived_by=Arrival.RECONCILE,
                now=now,
                keep_for=timedelta(days=self.context.settings.event_retention_days),
            )
            if received.again:
                return
        for event, was_stopped in zip(told.events, stopped, strict=True):
            if not was_stopped:
                wish = event.block is not None and event.block.set_by_person
                self._count(event.kind.value, event.occurred_at, now, wish=wish)

    def _count(self, what: str, at: datetime | None, now: datetime, *, wish: bool) -> None:
        self.found.new[what] += 1
        if at is None or at < now - ON_THE_WAY:
            self.found.missed[what] += 1
            self.found.opt_outs += wish


def _settled(session: Session, provider: ProviderName, names: Sequence[str]) -> set[str]:
    """Return the names of what is known and stopped nobody.

    What stopped somebody is told again, so that it is surely in the journal.
    """
    query = select(InboundNotification.name).where(
        InboundNotification.provider == provider,
        InboundNotification.name.in_(names),
        InboundNotification.suppression_event_ids.is_(None),
    )
    return set(session.scalars(query))


# Each source imports its provider itself: the SDKs take a quarter of a second each to import.


def _ses_list(settings: AccountSettings, context: Context, since: datetime) -> Iterator[Told]:
    from sender.providers.ses.pull import suppressed_destinations  # noqa: PLC0415  # see above

    timeout = context.settings.provider_timeout
    return suppressed_destinations(settings, os.environ, timeout, since, context.hasher)


def _twilio_texts(settings: AccountSettings, context: Context, since: datetime) -> Iterator[Told]:
    from sender.providers.twilio.pull import inbound_messages  # noqa: PLC0415  # see above

    return inbound_messages(settings, os.environ, context.settings.provider_timeout, since)


def _twilio_outcomes(
    settings: AccountSettings, context: Context, since: datetime
) -> Iterator[Told]:
    from sender.providers.twilio.pull import message_outcomes  # noqa: PLC0415  # see above

    return message_outcomes(settings, os.environ, context.settings.provider_timeout, since)


Source = Callable[[AccountSettings, Context, datetime], Iterator[Told]]

_SOURCES: dict[ProviderName, tuple[Source, ...]] = {
    ProviderName.SES: (_ses_list,),
    ProviderName.TWILIO: (_twilio_texts, _twilio_outcomes),  # people's wishes first
}
