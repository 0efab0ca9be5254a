"""Tell an operator of alerts by e-mail, through one of the installation's provider accounts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from markupsafe import escape
from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.alerts.message import Digest
from sender.campaigns.reply_mail import PreparedReply, hand_over
from sender.context import Context
from sender.errors import SettingsError
from sender.rendering.message import RenderedEmail, hash_parts
from sender.store.controllers import ProviderAccount, SenderIdentity
from sender.vocabulary import Channel

_FROM_NAME: Final = "Campaign sender"
_FOLDER: Final = "alerts"
"""Stands in the place of a controller, where a provider notes one."""


@dataclass(frozen=True, slots=True)
class _Sender:
    account: ProviderAccount
    address: str


def send_mail(context: Context, digest: Digest, address: str, place: int) -> None:
    """Send the digest to one address.

    Args:
        context: the opened installation.
        digest: what to tell.
        address: whom.
        place: of the address among all; makes the message's number its own.

    Raises:
        SettingsError: SENDER_ALERT_ACCOUNT names no account, or there is nobody to write as.
        ProviderError: the provider did not take it, or nobody knows whether it did.
    """
    with context.store.read() as session:
        sender = _sender(session, context)
    mail = _mail(digest, sender.address, address)
    number = _number(digest.at) + place
    hand_over(context, PreparedReply(sender.account, number, _FOLDER, mail, digest.at))


def _number(at: datetime) -> int:
    """Return a number that no reply has: it names the message, and finds no delivery."""
    return int(at.timestamp() * 1_000_000)


def _sender(session: Session, context: Context) -> _Sender:
    name = context.settings.alert_account
    account = session.scalar(select(ProviderAccount).where(ProviderAccount.name == name))
    if account is None:
        raise SettingsError(
            "SENDER_ALERT_ACCOUNT names no provider account.",
            remedy="Set it to the name of an e-mail account: sender controller show SLUG",
        )
    address = context.settings.alert_from or _own_address(session, account.id)
    if not address:
        raise SettingsError(
            "The account of SENDER_ALERT_ACCOUNT has no e-mail identity to write as.",
            remedy="Set SENDER_ALERT_FROM.",
        )
    return _Sender(account, address)


def _own_address(session: Session, account_id: int) -> str | None:
    query = select(SenderIdentity.address).where(
        SenderIdentity.provider_account_id == account_id,
        SenderIdentity.channel == Channel.EMAIL,
        SenderIdentity.retired_at.is_(None),
    )
    return session.scalar(query.order_by(SenderIdentity.id).limit(1))


def _mail(digest: Digest, from_address: str, to_address: str) -> RenderedEmail:
    text = f"{digest.text}\n"
    paragraphs = "".join(f"<p>{_with_breaks(part)}</p>" for part in digest.text.split("\n\n"))
    html = f'<!doctype html><html lang="en"><body>{paragraphs}</body></html>'
    return RenderedEmail(
        to_address=to_address,
        from_address=from_address,
        from_name=_FROM_NAME,
        reply_to=None,
        subject=digest.subject,
        html=html,
        text=text,
        headers=(),
        opt_out_url="",
        message_hash=hash_parts((digest.subject, html, text)),
        warnings=(),
    )


def _with_breaks(text: str) -> str:
    return "<br>".join(str(escape(line)) for line in text.split("\n"))
