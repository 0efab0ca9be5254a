"""A rendered e-mail as a MIME message, for the providers that take one."""

from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from sender.rendering.message import RenderedEmail

_HEADER_POLICY = SMTP.clone(max_line_length=998)
"""RFC 5322, section 2.1.1. At 78 the standard library writes a long List-Unsubscribe address as
encoded words, which RFC 8058 receivers do not read."""


def to_mime(message: RenderedEmail, *, message_id: str, date: datetime) -> EmailMessage:
    """Build multipart/alternative, text first (RFC 2046, section 5.1.4).

    Args:
        message: the rendered e-mail.
        message_id: with or without angle brackets.
        date: timezone-aware.
    """
    mime = EmailMessage(policy=_HEADER_POLICY)
    mime["From"] = Address(display_name=message.from_name, addr_spec=message.from_address)
    mime["To"] = Address(addr_spec=message.to_address)
    mime["Subject"] = message.subject
    mime["Date"] = date
    mime["Message-ID"] = f"<{message_id.strip('<>')}>"
    if message.reply_to is not None:
        mime["Reply-To"] = Address(addr_spec=message.reply_to)
    for name, value in message.headers:
        mime[name] = value
    mime["MIME-Version"] = "1.0"
    mime.make_alternative()
    mime.attach(_part(message.text, "plain"))
    mime.attach(_part(message.html, "html"))
    return mime


def _part(content: str, subtype: str) -> EmailMessage:
    part = EmailMessage(policy=SMTP)
    part.set_content(content, subtype=subtype, cte="quoted-printable")
    del part["MIME-Version"]
    return part
