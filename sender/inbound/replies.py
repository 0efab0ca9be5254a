"""Take in what a person wrote back: the way to suppression first, then the words, then an answer.

    text or e-mail → `PersonsReply` → keep once → STOP, hold or START → inbox → a fixed answer

All of it is one transaction. No contact, delivery or campaign is needed (guidance ¶56).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from sender.contacts.addresses import ensure_address_ids, lock_addresses
from sender.context import Context
from sender.inbound import answers
from sender.inbound.notifications import Arrived, Kept, keep, note_suppressed
from sender.inbound.recogniser import Recognised, recognise
from sender.inbound.reply_acts import (
    ReplyAct,
    hold,
    mark_opted_out,
    provider_blocks,
    start,
    stop,
)
from sender.inbound.reply_scope import (
    Elsewhere,
    Recipients,
    readers_of,
    recipients_of,
    startable,
)
from sender.providers.events import PersonsReply
from sender.store.alert_book import raise_alert
from sender.store.inbound import InboxMessage
from sender.suppression.journal import remember
from sender.vocabulary import Arrival, Channel, ReplyMeaning

UNKNOWN_RECIPIENT = "replies.unknown_recipient"
"""The alert that somebody wrote to a number or mailbox that no controller has."""

FROM_ELSEWHERE = "from-elsewhere"
"""The rule by which messages are held to the address that the answered message had gone to."""

_LONGEST_BODY = 20_000
_LONGEST_TO = 100


@dataclass(frozen=True, slots=True)
class ReplyTaken:
    """What became of a reply.

    Attributes:
        answer: the fixed text to answer with, if any.
        again: whether it had been taken in before; then nothing was changed.
        meaning: what it says.
    """

    answer: str | None
    again: bool
    meaning: ReplyMeaning


def take_reply(
    session: Session,
    context: Context,
    reply: PersonsReply,
    now: datetime,
    *,
    arrived_by: Arrival = Arrival.WEBHOOK,
    read: Recognised | None = None,
) -> ReplyTaken:
    """Take a reply in; told again under its name, it changes nothing but is journaled again.

    A START is acted on by text only: an e-mail's sender is too easily invented to lift a block.
    Answers are given to texts that came by webhook only.

    Args:
        session: a writing session; acknowledge only after it has committed.
        context: the opened installation.
        reply: what the person wrote, of an origin that was verified; of an e-mail their own words.
        now: when it is recorded.
        arrived_by: how it came.
        read: what it means, where more than its words say so, as an e-mail's subject does.
    """
    reply = _storable(reply)
    read = read or recognise(reply.body, opt_out_type=reply.opt_out_type)
    address_id = _address_id(session, context, reply)
    recipients = recipients_of(session, reply, address_id)
    keep_for = timedelta(days=context.settings.event_retention_days)
    account_id = reply.account_ids[0] if len(reply.account_ids) == 1 else None
    kept = keep(
        session,
        reply.provider,
        reply.name,
        raw_type="reply",
        payload=_payload(reply, read, recipients),
        arrived=Arrived(account_id, arrived_by, now, keep_for),
    )
    if kept.again:
        remember(session, kept.suppression_event_ids)
        return ReplyTaken(None, again=True, meaning=read.meaning)
    act = ReplyAct(
        address_id=address_id,
        channel=reply.channel,
        controller_ids=recipients.controller_ids,
        certain=recipients.certain,
        rule=read.rule,
        heard=answers.provider_answers(session, reply),
        at=min(reply.occurred_at or now, now),
        now=now,
        delivery_id=recipients.delivery_id,
    )
    words_until = now + timedelta(days=context.settings.inbox_retention_days)
    taker = _Taker(session, reply, read, act, recipients.elsewhere, kept, words_until)
    answer = taker.take(answerable=arrived_by is Arrival.WEBHOOK)
    return ReplyTaken(answer, again=False, meaning=read.meaning)


@dataclass(frozen=True, slots=True)
class _Taker:
    """Takes one new reply in."""

    session: Session
    reply: PersonsReply
    read: Recognised
    act: ReplyAct
    elsewhere: Elsewhere | None
    kept: Kept
    words_until: datetime

    def take(self, *, answerable: bool) -> str | None:
        """Act on it, keep it, and return the answer if there is one."""
        if self.read.meaning is ReplyMeaning.STOP:
            mark_opted_out(self.session, self.act)
        elsewhere = [self.elsewhere.address_id] if self.elsewhere else []
        lock_addresses(self.session, [self.act.address_id, *elsewhere])
        reaches = answerable and self._answer_would_reach()
        events = self._act()
        held = self._hold_elsewhere()
        note_suppressed(self.session, self.kept, [*events.values(), *held])
        self._keep_words(events)
        if not self.act.certain:
            self._tell_of_unknown_recipient()
        return self._answer(events) if reaches else None

    def _act(self) -> dict[int | None, int]:
        """Return the suppression events by controller."""
        if self.read.meaning is ReplyMeaning.STOP:
            return stop(self.session, self.act)
        if self.read.meaning is ReplyMeaning.DOUBTFUL:
            return hold(self.session, self._read_by())
        if self.read.meaning is ReplyMeaning.START and self.reply.channel is Channel.SMS:
            return self._start()
        return {}

    def _start(self) -> dict[int | None, int]:
        """Let those write again through whose own account it came."""
        addressed = self.act.controller_ids
        own = tuple(startable(self.session, self.reply, addressed))
        if addressed and not own:
            return {}
        return start(self.session, replace(self.act, controller_ids=own))

    def _read_by(self) -> ReplyAct:
        """A hold is set where somebody will read the words, and can lift it."""
        if self.act.controller_ids:
            return self.act
        readers = tuple(readers_of(self.session, self.act.address_id))
        return replace(self.act, controller_ids=readers)

    def _keep_words(self, events: Mapping[int | None, int]) -> None:
        """Words of which nobody knows to whom they were written are shown only to be decided on."""
        doubtful = self.read.meaning is ReplyMeaning.DOUBTFUL
        readers = self._read_by().controller_ids if doubtful else ()
        if self.act.certain:
            readers = self.act.controller_ids
        holds = events if doubtful else {}
        for controller_id in readers:
            self._keep(self.act.address_id, controller_id, holds.get(controller_id))
        self.session.flush()

    def _hold_elsewhere(self) -> list[int]:
        """Hold messages to where the answered one had gone, until somebody has looked.

        People read at one address what was sent to another, and answer from there. That somebody
        passed the message on is as likely, so nobody is stopped by it.
        """
        other = self.elsewhere
        if other is None or self.read.meaning not in {ReplyMeaning.STOP, ReplyMeaning.DOUBTFUL}:
            return []
        act = replace(
            self.act,
            address_id=other.address_id,
            controller_ids=(other.controller_id,),
            rule=FROM_ELSEWHERE,
        )
        event_ids = list(hold(self.session, act).values())
        for event_id in event_ids:
            self._keep(other.address_id, other.controller_id, event_id)
        return event_ids

    def _keep(self, address_id: int, controller_id: int, hold_event_id: int | None) -> None:
        is_held = hold_event_id is not None
        self.session.add(
            InboxMessage(
                notification_id=self.kept.notification_id,
                controller_id=controller_id,
                address_id=address_id,
                channel=self.reply.channel,
                received_at=self.act.now,
                body=self.reply.body,
                meaning=ReplyMeaning.DOUBTFUL if is_held else self.read.meaning,
                hold_event_id=hold_event_id,
                erase_after=self.words_until,
            )
        )

    def _tell_of_unknown_recipient(self) -> None:
        texted = self.reply.channel is Channel.SMS
        to = self.reply.to[0][:_LONGEST_TO] if texted and self.reply.to else ""
        raise_alert(
            self.session,
            UNKNOWN_RECIPIENT,
            f"{self.reply.channel} {to}".strip(),
            now=self.act.now,
            details={
                "meaning": self.read.meaning,
                "accounts": list(self.reply.account_ids),
                "controllers": list(self.act.controller_ids),
            },
        )

    def _answer_would_reach(self) -> bool:
        return (
            self.reply.channel is Channel.SMS
            and self.act.certain
            and not self.act.heard
            and not provider_blocks(self.session, self.act)
        )

    def _answer(self, events: Mapping[int | None, int]) -> str | None:
        name = self.kept.notification_id
        if self.read.meaning is ReplyMeaning.STOP:
            return answers.to_stop(self.session, self.act, name)
        if self.read.meaning is ReplyMeaning.START:
            return answers.to_start(self.session, self.act, name, lifted=events)
        if self.read.meaning is ReplyMeaning.HELP:
            return answers.to_help(self.session, self.act, name)
        return None


def _address_id(session: Session, context: Context, reply: PersonsReply) -> int:
    found = ensure_address_ids(
        session, context.hasher, reply.channel, [reply.address], for_a_no=True
    )
    return found[reply.address]


def _payload(reply: PersonsReply, read: Recognised, recipients: Recipients) -> dict[str, Any]:
    """What came, without the person's address and words; mailboxes may be other people's."""
    by_text = reply.channel is Channel.SMS
    return {
        "meaning": read.meaning.value,
        "rule": read.rule,
        "opt_out_type": reply.opt_out_type,
        "to": [one[:_LONGEST_TO] for one in reply.to] if by_text else [],
        "controllers": list(recipients.controller_ids),
        "certain": recipients.certain,
    }


def _storable(reply: PersonsReply) -> PersonsReply:
    """PostgreSQL takes no NUL and no half of a surrogate pair; neither may cost an opt-out."""
    return replace(
        reply,
        name=_clean(reply.name),
        to=tuple(_clean(one) for one in reply.to),
        body=_clean(reply.body)[:_LONGEST_BODY],
        opt_out_type=_clean(reply.opt_out_type or "")[:_LONGEST_TO] or None,
    )


def _clean(text: str) -> str:
    return text.replace("\0", "").encode(errors="replace").decode()
