"""Hand one reply over: a fixed text, not marketing, that answers a person's own act.

It is written down before it is handed over, so a crash can't send it twice.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from markupsafe import escape

from sender.campaigns.accounts import open_account
from sender.context import Context
from sender.errors import ProviderError
from sender.providers.base import Accepted, Outgoing, Rejected, Unknown
from sender.rendering.message import RenderedEmail, RenderedMessage, RenderedSms, hash_parts
from sender.rendering.segments import count_segments
from sender.store.controllers import ControllerVersion, ProviderAccount, SenderIdentity

_START_WITHIN: Final = timedelta(minutes=1)
_DELIVER_WITHIN: Final = timedelta(minutes=15)


class InDoubtError(ProviderError):
    """Nobody knows whether the provider took the reply: it must not be handed over again."""


class TurnedDownError(ProviderError):
    """The provider refused the reply for good."""


@dataclass(frozen=True, slots=True)
class PreparedReply:
    """A reply that its row in the ledger is there for.

    Attributes:
        account: through which it goes.
        reply_id: the row.
        controller_slug: whose it is.
        message: what it says, to whom.
        written_at: when the row was written.
    """

    account: ProviderAccount
    reply_id: int
    controller_slug: str
    message: RenderedMessage
    written_at: datetime


def hand_over(context: Context, reply: PreparedReply) -> None:
    """Hand a reply over, at most once; its row must have been committed.

    Raises:
        InDoubtError: nobody knows whether the provider took it.
        TurnedDownError: it refused it for good.
        ProviderError: it did not take it; another try may be made.
    """
    provider = open_account(reply.account, context)
    try:
        start_before = context.clock.monotonic() + _START_WITHIN.total_seconds()
        outcome = provider.send([_outgoing(reply)], start_before).results[0]
    finally:
        provider.close()
    if isinstance(outcome, Accepted):
        return
    code = getattr(outcome, "code", "not started")
    if isinstance(outcome, Unknown):
        raise InDoubtError(
            f"Nobody knows whether the provider took the message ({reply.account.name}: {code}).",
            remedy="If nothing arrives, try again tomorrow.",
        )
    failure = TurnedDownError if isinstance(outcome, Rejected) else ProviderError
    raise failure(
        f"The provider did not take the message ({reply.account.name}: {code}).",
        remedy="Look at the account with: sender doctor --providers",
    )


def reply_email(
    version: ControllerVersion, identity: SenderIdentity, address: str, subject: str, text: str
) -> RenderedEmail:
    """Return an e-mail of plain paragraphs, which ends with who writes and how to reach them.

    A paragraph that is an https address becomes a link.
    """
    footer = f"{version.name}, {version.postal_address}\n{version.contact_email}"
    whole = f"{text.strip()}\n\n{footer}\n"
    paragraphs = "".join(_paragraph(part) for part in whole.strip().split("\n\n"))
    html = f'<!doctype html><html lang="en"><body>{paragraphs}</body></html>'
    return RenderedEmail(
        to_address=address,
        from_address=identity.address,
        from_name=identity.display_name,
        reply_to=identity.reply_to,
        subject=subject,
        html=html,
        text=whole,
        headers=(),
        opt_out_url="",
        message_hash=hash_parts((subject, html, whole)),
        warnings=(),
    )


def reply_sms(identity: SenderIdentity, number: str, body: str) -> RenderedSms:
    """Return a text message."""
    return RenderedSms(
        to_number=number,
        sender=identity.address,
        body=body,
        segments=count_segments(body),
        opt_out_url=None,
        message_hash=hash_parts((body,)),
        warnings=(),
    )


def _paragraph(text: str) -> str:
    if text.startswith("https://") and not text.split()[1:]:
        return f'<p><a href="{escape(text)}">{escape(text)}</a></p>'
    return f"<p>{escape(text)}</p>"


def _outgoing(reply: PreparedReply) -> Outgoing:
    return Outgoing(
        # Deliveries count up from 1: a negative id can never be taken for one.
        delivery_id=-reply.reply_id,
        run_id=0,
        controller_slug=reply.controller_slug,
        message=reply.message,
        expires_at=reply.written_at + _DELIVER_WITHIN,
    )
