"""Personal opt-out links: the public address with a token of the delivery."""

from collections.abc import Callable
from dataclasses import dataclass

from sender.errors import SettingsError
from sender.settings import Settings
from sender.suppression.tokens import TokenKeys

NOBODY = 0
"""The delivery id in the links of previews: no delivery has it, so such a link stops nothing."""


@dataclass(frozen=True, slots=True)
class OptOutLinks:
    """Makes links under one public address."""

    public_url: str
    keys: TokenKeys

    @property
    def preview(self) -> str:
        """The link of a preview."""
        return self.of_run(None)(NOBODY)

    def of_run(self, link_salt: bytes | None) -> Callable[[int], str]:
        """Return the function that makes the link of a run's delivery.

        Args:
            link_salt: the run's.
        """
        return lambda delivery_id: f"{self.public_url}/u/{self.keys.make(delivery_id, link_salt)}"


def confirm_url_of(opt_out_url: str) -> str:
    """Return the link of the same message by which its reader confirms a consent anew.

    Its token is the message's; the page answers for runs alone that ask people to reconfirm.
    Without a link there is none: "".
    """
    address, found, token = opt_out_url.rpartition("/u/")
    return f"{address}/k/{token}" if found else ""


def opt_out_links(settings: Settings) -> OptOutLinks:
    """Return what makes opt-out links in this installation.

    Raises:
        SettingsError: the public address or the token keys are missing or malformed.
    """
    return OptOutLinks(public_address(settings), token_keys(settings))


def public_address(settings: Settings) -> str:
    """Return the https address under which opt-out pages and webhooks are reached, without slash.

    Raises:
        SettingsError: it is missing, or not https.
    """
    if not settings.public_url or not settings.public_url.startswith("https://"):
        raise SettingsError(
            "SENDER_PUBLIC_URL is not set to an https address.",
            remedy="Set it to where opt-out pages are reached, e.g. https://out.example.org",
        )
    return settings.public_url.rstrip("/")


def token_keys(settings: Settings) -> TokenKeys:
    """Return the keys of the opt-out links.

    Raises:
        SettingsError: they are missing or malformed.
    """
    if settings.token_keys is None:
        raise SettingsError(
            "SENDER_TOKEN_KEYS is not set.",
            remedy='Set it to 1:SECRET, with a SECRET from: python -c "import secrets; '
            'print(secrets.token_hex(32))"',
        )
    return TokenKeys.parse(settings.token_keys.get_secret_value())
