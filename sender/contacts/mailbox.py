"""Which mailbox an e-mail address probably ends up in; pure.

For limits only: to say that two spellings are one person's would be a guess, and neither consent
nor a block may rest on one.
"""

from typing import Final

_GMAIL: Final = frozenset({"gmail.com", "googlemail.com"})


def mailbox_of(address: str) -> str:
    """Return the plainest spelling of a normalised e-mail address.

    Without what follows a plus sign (RFC 5233, section 1: what most hosts take), and at Gmail
    without dots in the name (support.google.com/mail/answer/7436150). What is left of an address
    that begins with a plus sign is that address.
    """
    local, _, domain = address.rpartition("@")
    name = local.partition("+")[0] or local
    if domain in _GMAIL:
        name, domain = name.replace(".", ""), "gmail.com"
    return f"{name}@{domain}"
