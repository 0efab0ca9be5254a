"""What about an address is worth a look before it is relied on; pure.

A flag forbids nothing: consent does. An office's mailbox may have agreed, and whoever reads it may
not be who did; a throw-away address bounces soon, and then blocks itself.
"""

from enum import StrEnum
from typing import Final

from sender.contacts.normalise import AddressRefusal, AddressRefusedError, normalise
from sender.vocabulary import Channel


class AddressFlag(StrEnum):
    """Why an address that is held should be looked at."""

    ROLE_ACCOUNT = "role_account"
    DISPOSABLE_DOMAIN = "disposable_domain"
    NO_TEXTS = "no_texts"
    MALFORMED = "malformed"


EXPLAINED: Final[dict[AddressFlag, str]] = {
    AddressFlag.ROLE_ACCOUNT: "The mailbox of an office, not of a person: who agreed?",
    AddressFlag.DISPOSABLE_DOMAIN: "A throw-away address: it will soon be nobody's.",
    AddressFlag.NO_TEXTS: "A number that takes no text messages: fixed line, premium rate or such.",
    AddressFlag.MALFORMED: "Not an address in the spelling that this program keeps.",
}

ROLE_ACCOUNTS: Final = frozenset({
    # RFC 2142, sections 2 to 6.
    "info", "marketing", "sales", "support", "abuse", "noc", "security", "postmaster", "hostmaster",
    "usenet", "news", "webmaster", "www", "uucp", "ftp",
    # Offices of organisations that people in this field write to and from.
    "accounts", "admin", "administrator", "agent", "bookings", "campaign", "campaigns", "chair",
    "clerk", "comms", "communications", "complaints", "contact", "customerservice", "editor",
    "enquiries", "events", "feedback", "finance", "hello", "help", "helpdesk", "hr", "inquiries",
    "it", "jobs", "legal", "mail", "mailbox", "mailer-daemon", "media", "membership", "newsdesk",
    "newsletter", "no-reply", "noreply", "office", "organiser", "orders", "press", "privacy",
    "reception", "recruitment", "root", "secretary", "service", "services", "team", "treasurer",
    "volunteers",
})  # fmt: skip
"""Local parts that name an office, without what follows a `+`."""

DISPOSABLE_DOMAINS: Final = frozenset({
    "10minutemail.com", "burnermail.io", "discard.email", "dispostable.com", "emailondeck.com",
    "fakeinbox.com", "getairmail.com", "getnada.com", "grr.la", "guerrillamail.biz",
    "guerrillamail.com", "guerrillamail.de", "guerrillamail.info", "guerrillamail.net",
    "guerrillamail.org", "guerrillamailblock.com", "inboxkitten.com", "mail-temp.com",
    "mailcatch.com", "maildrop.cc", "mailinator.com", "mailinator.net", "mailnesia.com",
    "mailpoof.com", "mailsac.com", "mintemail.com", "mohmal.com", "moakt.com", "mytemp.email",
    "pokemail.net", "sharklasers.com", "spam4.me", "spamgourmet.com", "tempail.com",
    "temp-mail.org", "tempmail.com", "tempmailo.com", "tempr.email", "throwawaymail.com",
    "trashmail.com", "trashmail.de", "trashmail.net", "yopmail.com", "yopmail.fr", "yopmail.net",
})  # fmt: skip
"""The best-known services alone; their subdomains count. A list of all would be old tomorrow."""


def flags(channel: Channel, address: str) -> tuple[AddressFlag, ...]:
    """Return what is to be said of an address that is held, in the order of the flags."""
    try:
        spelt = normalise(channel, address)
    except AddressRefusedError as refused:
        if refused.code is AddressRefusal.NOT_MOBILE:
            return (AddressFlag.NO_TEXTS,)
        return (AddressFlag.MALFORMED,)
    found = []
    if channel is Channel.EMAIL:
        local, _, domain = spelt.rpartition("@")
        if local.partition("+")[0] in ROLE_ACCOUNTS:
            found.append(AddressFlag.ROLE_ACCOUNT)
        if is_disposable(domain):
            found.append(AddressFlag.DISPOSABLE_DOMAIN)
    if spelt != address:
        found.append(AddressFlag.MALFORMED)
    return tuple(found)


def is_disposable(domain: str) -> bool:
    """Whether a domain, in lower case, is one of `DISPOSABLE_DOMAINS` or below one."""
    labels = domain.split(".")
    return any(".".join(labels[place:]) in DISPOSABLE_DOMAINS for place in range(len(labels)))
