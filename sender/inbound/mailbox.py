"""Read a maildir: reports go to the deliveries, people's words to the recogniser.

    new/ and unseen cur/ → one message, one transaction → cur/ with the flag S, after the commit

A message that is read again changes nothing, so whatever happens between the commit and the move is
harmless. What cannot be read stays where it is and is told. (https://cr.yp.to/proto/maildir.html)
"""

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from sender.context import Context
from sender.errors import NotFoundError
from sender.inbound.mail_proof import Records, deliveries_of, proven
from sender.inbound.receive import receive
from sender.inbound.recogniser import recognise
from sender.inbound.recogniser.mail import own_words, recognise_mail
from sender.inbound.replies import take_reply
from sender.providers.events import PersonsReply
from sender.providers.smtp.events import Report, Words, read_mail
from sender.providers.smtp.mime import HEAD_BYTES, UnreadableMailError
from sender.suppression.links import token_keys
from sender.vocabulary import Arrival, Channel, ProviderName

_SEEN = "S"
_INFO = ":2,"


@dataclass(slots=True)
class MailboxRead:
    """What a mailbox held.

    Attributes:
        events: how many of each kind machines told of.
        replies: how many of each meaning people wrote.
        again: messages that were known.
        unread: files that stay, by name, and why.
    """

    events: Counter[str] = field(default_factory=Counter)
    replies: Counter[str] = field(default_factory=Counter)
    again: int = 0
    unread: dict[str, str] = field(default_factory=dict)


def read_mailbox(
    context: Context, folder: Path, *, keep: bool = False, seen_too: bool = False
) -> MailboxRead:
    """Take in every message of a maildir that was not seen yet; safe to repeat.

    Args:
        context: the opened installation.
        folder: the maildir, with `new` and `cur` in it.
        keep: leave the messages where they are, unseen.
        seen_too: read also those that somebody has seen.

    Raises:
        NotFoundError: it is no maildir.
        OperationalError: the database fails; what was not read yet stays.
    """
    found = MailboxRead()
    for path in _waiting(folder, seen_too=seen_too):
        try:
            taken = _take_file(context, path, found)
        except (OperationalError, InterfaceError):
            raise  # the database's fault, not the message's
        except UnreadableMailError as error:
            found.unread[path.name] = error.problem
        except Exception as error:  # noqa: BLE001  # one bad message must not stop the others
            found.unread[path.name] = type(error).__name__
        else:
            if taken and not keep and not _mark_seen(folder, path):
                found.unread[path.name] = "It was taken in, and cannot be moved."
    return found


def _take_file(context: Context, path: Path, found: MailboxRead) -> bool:
    """Take one file in; say whether it was there."""
    try:
        head = _head_of(path)
    except FileNotFoundError:  # a mail program moved it in the meantime; next time then
        return False
    mail = read_mail(head)
    with context.store.write() as session:
        counted = _take(session, context, mail)
    if counted is None:
        found.again += 1
    else:
        where = found.events if isinstance(mail, Report) else found.replies
        where.update(counted)
    return True


def _take(session: Session, context: Context, mail: Report | Words) -> list[str] | None:
    """Return the kinds of events, or the meaning; None for what was known."""
    if isinstance(mail, Words):
        taken = take_reply(
            session,
            context,
            _as_reply(session, mail),
            context.clock.now(),
            arrived_by=Arrival.MAILBOX,
            read=recognise_mail(mail.subject, mail.text),
        )
        return None if taken.again else [taken.meaning.value]
    keys = token_keys(context.settings) if context.settings.token_keys is not None else None
    notification = proven(Records(session, context.hasher, keys), mail)
    received = receive(
        session,
        context.hasher,
        notification,
        account_id=None,
        arrived_by=Arrival.MAILBOX,
        now=context.clock.now(),
        keep_for=timedelta(days=context.settings.event_retention_days),
    )
    return None if received.again else [event.kind.value for event in notification.events]


def _as_reply(session: Session, mail: Words) -> PersonsReply:
    answered = deliveries_of(session, mail.traces.message_ids)
    return PersonsReply(
        provider=ProviderName.SMTP,
        name=mail.name,
        channel=Channel.EMAIL,
        address=mail.author,
        to=mail.mailboxes,
        body=_shown(mail),
        delivery_id=answered[0].id if answered else None,
        occurred_at=mail.written_at,
    )


def _shown(mail: Words) -> str:
    """Return what an operator is shown: all of it where nothing is the person's own.

    The subject stands above where it says what the words do not.
    """
    words = own_words(mail.text)
    if not words:
        return f"{mail.subject}\n{mail.text}".strip()
    meant = recognise_mail(mail.subject, mail.text).meaning
    return words if recognise(words).meaning is meant else f"{mail.subject}\n{words}"


def _waiting(folder: Path, *, seen_too: bool) -> Iterator[Path]:
    for name in ("new", "cur"):
        if not (folder / name).is_dir():
            raise NotFoundError(
                f"{folder} is no maildir: it has no folder {name}.",
                remedy="Name the folder that holds new, cur and tmp.",
            )
    for name in ("new", "cur"):
        for path in sorted((folder / name).iterdir()):
            was_seen = _SEEN in path.name.rpartition(_INFO)[2] and _INFO in path.name
            if not path.name.startswith(".") and (seen_too or not was_seen):
                yield path


def _head_of(path: Path) -> bytes:
    """Return the beginning of a file; links, pipes and devices are no mail.

    Raises:
        UnreadableMailError: it is no plain file, or may not be read.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnreadableMailError(f"The file cannot be opened ({type(error).__name__}).") from None
    with os.fdopen(number, "rb") as file:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise UnreadableMailError("This is no plain file.")
        return file.read(HEAD_BYTES)


def _mark_seen(folder: Path, path: Path) -> bool:
    """Move a message to `cur` as seen; say whether it can have gone there."""
    base, info, flags = path.name.partition(_INFO)
    flags = flags if info else ""
    target = folder / "cur" / f"{base}{_INFO}{''.join(sorted({*flags, _SEEN}))}"
    if target == path:
        return True
    try:
        if not target.exists():  # or else a copy that somebody made: neither may be lost
            path.replace(target)
    except OSError:
        pass
    return not path.exists()  # also where another reader was quicker
