"""Show an address so that its holder knows it again and nobody else learns it."""

from sender.vocabulary import Channel

_HIDDEN = "•••"


def mask(channel: Channel, address: str) -> str:
    """Return `a•••@e•••.org` for an e-mail address, `•••89` for a number.

    Args:
        channel: of the address.
        address: normalised.
    """
    if channel is Channel.SMS:
        return _HIDDEN + address[-2:]
    local, _, domain = address.rpartition("@")
    name, _, top = domain.rpartition(".")
    return f"{local[:1]}{_HIDDEN}@{name[:1]}{_HIDDEN}.{top}"
