"""People who write back to two controllers: by text to numbers, by e-mail to mailboxes."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.clock import SystemClock
from sender.context import Context
from sender.inbound.replies import ReplyTaken, take_reply
from sender.providers.events import PersonsReply
from sender.settings import Settings
from sender.store.deliveries import Reply
from sender.store.engine import Store
from sender.store.inbound import InboundNotification, InboxMessage
from sender.store.suppressions import Block, SuppressionEvent
from sender.vocabulary import Arrival, BlockCause, Channel, ProviderName
from tests.support.factory import (
    HASHER,
    NOW,
    OPERATOR,
    Organisation,
    add_account,
    add_controller,
    add_controller_version,
    add_identity,
    add_notice,
    add_purpose,
)

NUMBER_OF_A, NUMBER_OF_B, SHARED = "+447700900001", "+447700900002", "+447700900003"
NOBODYS = "+447700900009"
PERSON = "+447911123456"
WRITER = "ann@example.com"
MINUTE = timedelta(minutes=1)

_names = count(1)

Standing = tuple[int, str, BlockCause]
"""A block in force: controller (0 is all), channel, cause."""


@dataclass
class ReplyDesk:
    """Two controllers, `a` and `b`, each with a number, and one number that both use.

    Each reply comes a minute after the one before.
    """

    store: Store
    a: Organisation
    b: Organisation
    account_id: int
    now: datetime = NOW
    settings: Settings = field(default_factory=Settings)

    @property
    def context(self) -> Context:
        """The opened installation; replies are told their time."""
        return Context(self.settings, self.store, HASHER, SystemClock(), OPERATOR)

    def text(
        self, body: str, to: str = NUMBER_OF_A, *, sender: str = PERSON, **changed: Any
    ) -> ReplyTaken:
        """Somebody sends a text message, and it is taken in and committed."""
        changed.setdefault("account_ids", (self.account_id,))
        return self.take(texted(body, to, sender=sender, **changed))

    def mail(self, body: str, to: str, **changed: Any) -> ReplyTaken:
        """Somebody sends an e-mail."""
        return self.take(mailed(body, to, **changed), arrived_by=Arrival.MAILBOX)

    def take(self, reply: PersonsReply, **how: Any) -> ReplyTaken:
        """Take a reply in, a minute after the last."""
        self.now += MINUTE
        with self.store.write() as session:
            return take_reply(session, self.context, reply, self.now, **how)

    def blocks(self) -> set[Standing]:
        """All blocks in force."""
        with self.store.read() as session:
            rows = session.scalars(select(Block)).all()
        return {(row.controller_id, row.channel, row.cause) for row in rows}

    def opted_out(self, *bodies: Organisation, channel: Channel = Channel.SMS) -> set[Standing]:
        """What STOP to these controllers amounts to."""
        return {(body.id, channel.value, BlockCause.OPT_OUT) for body in bodies}

    def held(self, *bodies: Organisation, channel: Channel = Channel.SMS) -> set[Standing]:
        """What a doubtful reply to these controllers amounts to."""
        return {(body.id, channel.value, BlockCause.HOLD) for body in bodies}

    def events(self) -> list[SuppressionEvent]:
        """Every suppression event."""
        return self._all(select(SuppressionEvent).order_by(SuppressionEvent.id))

    def inbox(self) -> list[InboxMessage]:
        """Every message in every inbox."""
        return self._all(select(InboxMessage).order_by(InboxMessage.id))

    def notifications(self) -> list[InboundNotification]:
        """Everything that was told."""
        return self._all(select(InboundNotification).order_by(InboundNotification.id))

    def answers(self) -> list[Reply]:
        """Every answer that was given."""
        return self._all(select(Reply).order_by(Reply.id))

    def _all(self, query: Any) -> list[Any]:
        with self.store.read() as session:
            return list(session.scalars(query))


def texted(
    body: str, to: str = NUMBER_OF_A, *, sender: str = PERSON, **changed: Any
) -> PersonsReply:
    """Return a text message that nobody has told us of yet."""
    columns = {"name": f"SM{next(_names)}", **changed}
    return PersonsReply(
        provider=ProviderName.TWILIO,
        channel=Channel.SMS,
        address=sender,
        to=(to,),
        body=body,
        **columns,
    )


def mailed(body: str, to: str, **changed: Any) -> PersonsReply:
    """Return an e-mail that nobody has told us of yet."""
    columns = {"name": f"<{next(_names)}@example.com>", "address": WRITER, **changed}
    return PersonsReply(
        provider=ProviderName.SMTP, channel=Channel.EMAIL, to=(to,), body=body, **columns
    )


def open_desk(store: Store, **settings: Any) -> ReplyDesk:
    """Establish both controllers and return the desk."""
    with store.write() as session:
        account = add_account(session, "texting", provider=ProviderName.TWILIO)
        a = _body(session, "riverside", NUMBER_OF_A)
        b = _body(session, "hillside", NUMBER_OF_B)
        for body in (a, b):
            add_identity(
                session, body.controller, Channel.SMS, account=account, address=SHARED, name="both"
            )
        return ReplyDesk(store, a, b, account.id, settings=Settings(**settings))


def _body(session: Session, slug: str, number: str) -> Organisation:
    account = add_account(session, "texting", provider=ProviderName.TWILIO)
    controller = add_controller(session, slug)
    version = add_controller_version(session, controller)
    identities = {
        Channel.SMS: add_identity(
            session, controller, Channel.SMS, account=account, address=number
        ),
        Channel.EMAIL: add_identity(session, controller, Channel.EMAIL),
    }
    return Organisation(
        controller=controller,
        version=version,
        purpose=add_purpose(session, controller, "campaign-news"),
        notice=add_notice(session, controller),
        identities=identities,
    )
